import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../lib/errors.js';
import { linkFile, moveFile } from '../../lib/work-directory.js';
import { manifestName, readManifest } from '../archive.js';
import { archiveFilePattern, archivesOf, type Manifest, renderManifest } from '../manifest.js';
import type { SaveResult, Store } from './store.js';

/**
 * A directory as a store: it holds one entry, whatever its key, and whoever calls us brings it from
 * one run to the next.
 */

export function directoryStore(directory: string): Store {
  return {
    absence: undefined,
    find: () => findInDirectory(directory),
    restore: async (destination, keys) => {
      await restoreFromDirectory(directory, destination);
      return keys;
    },
    isSaved: async () => false,
    save: (source, key) =>
      saveToDirectory(directory, source, key).catch((error: unknown) => ({
        saved: false,
        why: `the directory ${directory} cannot be written: ${messageOf(error)}`,
      })),
    isLasting: false,
    remedy: () => '',
    otherKeyLabel: 'Found in the directory',
  };
}

/** The key of what the directory holds; undefined where it holds nothing. */
export async function findInDirectory(directory: string): Promise<string | undefined> {
  const names = await readdir(directory).catch((): string[] => []);
  if (!names.includes(manifestName)) return undefined;
  const manifest = await readManifest(directory).catch(() => undefined);
  return manifest?.key ?? 'unknown';
}

/**
 * Puts what the directory holds into `destination`, and leaves it where it is, too. An archive that is missing
 * is so there, too: it concerns one mount only.
 *
 * @throws Error where there is no manifest, or one that cannot be read
 */
export async function restoreFromDirectory(directory: string, destination: string): Promise<void> {
  await mkdir(destination, { recursive: true });
  const { mounts } = await readManifest(directory);
  const archives = mounts.flatMap(archivesOf);
  const there = new Set(await readdir(directory));
  const names = [manifestName, ...archives.map(({ file }) => file)];
  for (const name of names.filter((each) => there.has(each))) {
    await linkFile(join(directory, name), join(destination, name));
  }
}

/**
 * Puts the entry in `source` into the place of what the directory holds: first the archives that are not there yet,
 * whose names no others have, then the manifest, by one rename; then what no manifest names any more is
 * removed. Who reads the directory meanwhile, or after this was killed, finds the one or the other whole.
 */
export async function saveToDirectory(
  directory: string,
  source: string,
  key: string,
): Promise<SaveResult> {
  await mkdir(directory, { recursive: true });
  const { mounts } = await readManifest(source);
  const before = new Set(await readdir(directory));
  for (const { file } of mounts.flatMap(archivesOf)) {
    if (!before.has(file)) await moveFile(join(source, file), join(directory, file));
  }
  const manifest = { key, mounts };
  const draft = join(directory, `${manifestName}.new`);
  await writeFile(draft, renderManifest(manifest));
  await rename(draft, join(directory, manifestName));
  await removeUnnamed(directory, manifest);
  return { saved: true };
}

/** Only what has the form of our own files: the directory may hold others. */
async function removeUnnamed(directory: string, { mounts }: Manifest): Promise<void> {
  const named = new Set(mounts.flatMap(archivesOf).map(({ file }) => file));
  const names = await readdir(directory);
  const ours = names.filter((name) => archiveFilePattern.test(name) && !named.has(name));
  await Promise.all(ours.map((name) => rm(join(directory, name))));
}
