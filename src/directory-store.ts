import { copyFile, link, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { manifestName, readManifest } from './archive.js';
import { archiveFileName, type Manifest, renderManifest } from './manifest.js';
import type { SaveResult } from './store.js';
import { moveFile } from './work-directory.js';

/**
 * A directory as a store: it holds one entry, whatever its key, and whoever calls us brings it from
 * one run to the next.
 */

/** The key of what the directory holds; undefined where it holds nothing. */
export async function findInDirectory(directory: string): Promise<string | undefined> {
  const names = await readdir(directory).catch((): string[] => []);
  if (!names.includes(manifestName)) return undefined;
  const manifest = await readManifest(directory).catch(() => undefined);
  return manifest?.key ?? 'unknown';
}

/** Puts what the directory holds into `entry`, and leaves it where it is, too. */
export async function restoreFromDirectory(directory: string, entry: string): Promise<void> {
  await mkdir(entry, { recursive: true });
  const { mounts } = await readManifest(directory);
  const archives = mounts.flatMap(({ archive }) => archive?.file ?? []);
  for (const name of [manifestName, ...archives]) {
    await linkOrCopy(join(directory, name), join(entry, name));
  }
}

/** A link costs nothing, but cannot be had between file systems, nor on all of them. */
async function linkOrCopy(source: string, destination: string): Promise<void> {
  await link(source, destination).catch(() => copyFile(source, destination));
}

/**
 * Puts `entry` in the place of what the directory holds: first the archives, under names that are
 * not in use, then the manifest, by one rename; then what no manifest names any more is removed. Who
 * reads the directory meanwhile, or after this was killed, finds the one or the other whole.
 */
export async function saveToDirectory(
  directory: string,
  entry: string,
  key: string,
): Promise<SaveResult> {
  await mkdir(directory, { recursive: true });
  const before = await readdir(directory);
  const first = 1 + Math.max(-1, ...before.map((name) => Number.parseInt(name, 10) || 0));
  const { mounts } = await readManifest(entry);
  const renamed: Manifest = {
    key,
    mounts: mounts.map(({ mount, archive }, index) => {
      if (archive === undefined) return { mount };
      return {
        mount,
        archive: { ...archive, file: archiveFileName(first + index, archive.compression) },
      };
    }),
  };
  for (const [index, { archive }] of renamed.mounts.entries()) {
    const source = mounts[index]?.archive?.file;
    if (archive === undefined || source === undefined) continue;
    await moveFile(join(entry, source), join(directory, archive.file));
  }
  const draft = join(directory, `${manifestName}.new`);
  await writeFile(draft, renderManifest(renamed));
  await rename(draft, join(directory, manifestName));
  await removeUnnamed(directory, renamed);
  return { saved: true };
}

/** Only what has the form of our own files: the directory may hold others. */
async function removeUnnamed(directory: string, { mounts }: Manifest): Promise<void> {
  const named = new Set(mounts.flatMap(({ archive }) => archive?.file ?? []));
  const names = await readdir(directory);
  const ours = names.filter((name) => /^\d+\.tar\.(zst|gz)$/.test(name) && !named.has(name));
  await Promise.all(ours.map((name) => rm(join(directory, name))));
}
