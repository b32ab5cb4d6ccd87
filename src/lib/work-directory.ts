import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { copyFile, link, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Surroundings } from './surroundings.js';

/**
 * Makes the directory that holds all that one step writes. The step removes it at its end.
 *
 * It is never inside the workspace: there it would be sent along with `context: .` and change what
 * `COPY . .` sees. The cache client puts the path into a shell-like command line without quotes.
 * Therefore a RUNNER_TEMP or a TMPDIR with white space or quotes cannot be used.
 *
 * It is made without a wait: else a signal could come when it is there already, and its name not yet known.
 *
 * @throws Error if nothing can be written there
 */
export function createWorkDirectory({
  temporaryRoot,
  systemTemporary,
}: Pick<Surroundings, 'temporaryRoot' | 'systemTemporary'>): string {
  const root = [temporaryRoot, systemTemporary].find((path) => !/[\s"'\\]/.test(path)) ?? '/tmp';
  mkdirSync(root, { recursive: true });
  return mkdtempSync(join(root, 'buildkit-cache-mounts-'));
}

/**
 * Removes the directory of a step. What was being copied into it when the step was stopped goes on
 * beside this, and makes files where all was removed. So this begins again, for some two seconds.
 *
 * @throws Error if it cannot be removed
 */
export function removeWorkDirectory(path: string): void {
  for (let left = 20; ; left -= 1) {
    try {
      rmSync(path, { recursive: true, force: true });
      return;
    } catch (error) {
      if (left === 0 || (error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    }
  }
}

/** Removes the contents of a directory that were last changed more than a day ago, if it can. */
export async function removeOlderThanADay(
  directory: string,
  isMeant: (name: string) => boolean = () => true,
): Promise<void> {
  const names = await readdir(directory).catch((): string[] => []);
  const dayAgo = Date.now() - 24 * 60 * 60 * 1000;
  await Promise.all(
    names.filter(isMeant).map(async (name) => {
      const path = join(directory, name);
      const isOld = await stat(path).then(
        ({ mtimeMs }) => mtimeMs < dayAgo,
        () => false,
      );
      if (isOld) await rm(path, { recursive: true, force: true }).catch(() => undefined);
    }),
  );
}

/** Moves a file, between file systems too, and makes the directory that it goes into. */
export async function moveFile(source: string, destination: string): Promise<void> {
  await mkdir(dirname(destination), { recursive: true });
  try {
    await rename(source, destination);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    await copyFile(source, destination);
    await rm(source);
  }
}

/**
 * Gives a file a second name, and makes the directory that it goes into. A file that had that name
 * is replaced. If the file cannot have both names, because they are on two file systems or because
 * theirs has no hard links, it is copied.
 */
export async function linkFile(source: string, destination: string): Promise<void> {
  await mkdir(dirname(destination), { recursive: true });
  await rm(destination, { force: true });
  await link(source, destination).catch(() => copyFile(source, destination));
}
