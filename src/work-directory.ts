import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where this job's temporary files belong: RUNNER_TEMP, which the runner empties after each job. */
export function temporaryRoot(): string {
  return process.env.RUNNER_TEMP || tmpdir();
}

/**
 * Makes the directory that holds all that one step writes; the step removes it at its end.
 *
 * It is never inside the workspace: there it would be sent along with `context: .` and change what
 * `COPY . .` sees. The cache client puts the path into a shell-like command line without quotes, so
 * a RUNNER_TEMP with white space or quotes cannot be used.
 */
export async function createWorkDirectory(): Promise<string> {
  const root = /[\s"'\\]/.test(temporaryRoot()) ? tmpdir() : temporaryRoot();
  return mkdtemp(join(root, 'buildkit-cache-mounts-'));
}
