/** Builds of bake and Compose files as a user runs them, on the engine that DOCKER_HOST names. */
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Writes files into a directory, by their paths in it. */
export async function writeFiles(
  directory: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), text);
  }
}

/**
 * Runs docker buildx bake in a directory.
 *
 * @returns its log
 */
export async function bake(
  directory: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { stderr } = await execute(
    'docker',
    [
      ...['buildx', 'bake', '--progress=plain', '--provenance=false'],
      ...['--set=*.output=type=cacheonly', ...args],
    ],
    { cwd: directory, maxBuffer: 1 << 28, env: { ...process.env, ...env } },
  );
  return stderr;
}

/**
 * A RUN that says whether something was in its mount, and leaves something there. It has no network, as
 * an engine may have none to give.
 */
export function runWithMount(name: string, options: string): string {
  return `RUN --network=none --mount=type=cache,target=/c,${options} ["/bin/sh", "-c", "if [ -f /c/file ]; then echo found:${name}; else echo lacking:${name}; fi; echo 1 >/c/file"]`;
}

/** What such RUNs have said, sorted. */
export function saidByRuns(log: string): string[] {
  const lines = [...log.matchAll(/^#\d+ [\d.]+ ((?:found|lacking):\S+)$/gm)];
  return lines.map(([, said = '']) => said).sort();
}
