import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../lib/errors.js';
import { linkFile, moveFile } from '../../lib/work-directory.js';
import { manifestName, readManifest } from '../archive.js';
import { archiveFilePattern, archivesOf, type Manifest, renderManifest } from '../manifest.js';
import type { SaveResult, Store } from './store.js';

/**
 * A directory as a store. It holds one entry, under any key. The caller brings the directory from
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
    keepsImages: false,
    remedy: () => '',
    otherKeyLabel: 'Found in the directory',
    otherKeySource: 'what the directory holds',
    separation: 'Give each a directory of its own.',
  };
}

/** The key of the entry in the directory; undefined if there is none. */
export async function findInDirectory(directory: string): Promise<string | undefined> {
  const names = await readdir(directory).catch((): string[] => []);
  if (!names.includes(manifestName)) return undefined;
  const manifest = await readManifest(directory).catch(() => undefined);
  return manifest?.key ?? 'unknown';
}

/**
 * Puts the entry of the directory into `destination`, and also leaves it in the directory. If an
 * archive is missing, that is no error here, because it concerns only one mount.
 *
 * @throws Error if there is no manifest, or if it cannot be read
 */
export async function restoreFromDirectory(directory: string, destination: string): Promise<void> {
  await mkdir(destination, { recursive: true });
  const { mounts } = await readManifest(directory).catch((error: unknown) => {
    const file = join(directory, manifestName);
    throw new Error(
      `${file} cannot be used, and the next extract replaces it: ${messageOf(error)}`,
    );
  });
  const archives = mounts.flatMap(archivesOf);
  const there = new Set(await readdir(directory));
  const names = [manifestName, ...archives.map(({ file }) => file)];
  for (const name of names.filter((each) => there.has(each))) {
    await linkFile(join(directory, name), join(destination, name));
  }
}

/**
 * Replaces the entry of the directory by the entry in `source`. The new archives come first, under
 * names that no others have. Then one rename puts the manifest into place. Last, the archives that
 * the manifest does not name are removed. So a reader always finds the old entry or the new entry
 * complete, even if this is killed.
 */
export async function saveToDirectory(
  directory: string,
  source: string,
  key: string,
): Promise<SaveResult> {
  await mkdir(directory, { recursive: true });
  const saved = await readManifest(source);
  const before = new Set(await readdir(directory));
  for (const { file } of saved.mounts.flatMap(archivesOf)) {
    if (!before.has(file)) await moveFile(join(source, file), join(directory, file));
  }
  const manifest = { ...saved, key };
  const draft = join(directory, `${manifestName}.new`);
  await writeFile(draft, renderManifest(manifest));
  await rename(draft, join(directory, manifestName));
  await removeUnnamed(directory, manifest);
  return { saved: true };
}

/** Removes only files that are named like our archives, because the directory may hold others. */
async function removeUnnamed(directory: string, { mounts }: Manifest): Promise<void> {
  const named = new Set(mounts.flatMap(archivesOf).map(({ file }) => file));
  const names = await readdir(directory);
  const ours = names.filter((name) => archiveFilePattern.test(name) && !named.has(name));
  await Promise.all(ours.map((name) => rm(join(directory, name))));
}
