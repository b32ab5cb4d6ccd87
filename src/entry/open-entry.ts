import { logStage } from '../console/log.js';
import { type CacheMount, identityOf } from '../mounts/cache-mount.js';
import { readManifest } from './archive.js';
import { type Archive, archivesOf, type Manifest, type SavedMount } from './manifest.js';
import type { Store } from './stores/store.js';

/** An entry whose manifest was read. The entries that it builds on were restored, too. */
export interface OpenEntry {
  readonly key: string;
  /** Each archive names the entry that holds it. */
  readonly manifest: Manifest;
  /** The directory with the wanted archives; undefined: the builder pulls them itself. */
  readonly directory: string | undefined;
  /** The keys of the entries that it builds on, but that could not be restored. */
  readonly missing: readonly string[];
}

/**
 * Reads an entry that was restored into `directory`, and restores the entries that it builds on.
 *
 * @param listWanted the mounts whose archives are wanted
 * @throws Error with the reason if it cannot be read
 */
export async function openEntry(
  store: Store,
  key: string,
  directory: string,
  listWanted: (manifest: Manifest) => readonly CacheMount[],
): Promise<OpenEntry> {
  const { mounts, ...others } = await readManifest(directory);
  const manifest = { ...others, mounts: mounts.map((saved) => withHolder(saved, key)) };
  const identities = new Set(listWanted(manifest).map(identityOf));
  const archives = manifest.mounts
    .filter(({ mount }) => identities.has(identityOf(mount)))
    .flatMap(archivesOf);
  const holders = new Set(archives.map(({ entryKey = key }) => entryKey));
  const bases = [...holders].filter((holder) => holder !== key);
  if (store.keepsImages) return { key, manifest, directory: undefined, missing: [] };
  if (bases.length === 0) return { key, manifest, directory, missing: [] };
  const found = await logStage(`Restore what it builds on: ${bases.join(', ')}`, () =>
    store.restore(directory, bases),
  );
  return { key, manifest, directory, missing: bases.filter((base) => !found.includes(base)) };
}

function withHolder(saved: SavedMount, key: string): SavedMount {
  const { archive, deltas = [] } = saved;
  const name = (each: Archive): Archive => ({ ...each, entryKey: each.entryKey ?? key });
  if (archive === undefined) return saved;
  return { ...saved, archive: name(archive), deltas: deltas.map(name) };
}
