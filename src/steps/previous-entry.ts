import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { print } from '../console/console.js';
import { logStage } from '../console/log.js';
import { findDamageOfAny } from '../entry/archive.js';
import { archivesOf } from '../entry/manifest.js';
import { openEntry } from '../entry/open-entry.js';
import { type Store, storedDirectoryName } from '../entry/stores/store.js';
import { messageOf } from '../lib/errors.js';
import type { CacheMount } from '../mounts/cache-mount.js';
import { type InjectState, keptArchives, type RestoredMount } from './handover.js';

/** What an earlier run has saved. */
export interface Kept {
  /** The key of the entry. */
  readonly key: string;
  /** Each archive names the entry that holds it. */
  readonly mounts: readonly RestoredMount[];
  /** Where the archives are of those that were named. */
  readonly directory: string;
  /** Whether it was not inject that has restored it. */
  readonly isLate: boolean;
}

/** What inject has restored. */
export function keptByInject(state: InjectState | undefined): Kept | undefined {
  if (state?.restored === undefined) return undefined;
  const { key, mounts } = state.restored;
  return { key, mounts, directory: keptArchives(state.key), isLate: false };
}

/**
 * Restores what inject would have, had the cache service not failed it then: the client does not
 * tell trouble from a miss, and an entry with less than the one before would hide that for good.
 *
 * @returns undefined where there is nothing, or nothing that can be used
 */
export async function restoreLate(
  store: Store,
  { key, restoreKeys }: InjectState,
  mounts: readonly CacheMount[],
  workDirectory: string,
): Promise<Kept | undefined> {
  const directory = join(workDirectory, 'late', storedDirectoryName);
  await mkdir(join(workDirectory, 'late'));
  const newest = await logStage('Look for an entry that inject could not restore', () =>
    store.find(directory, key, restoreKeys),
  );
  if (newest === undefined) return undefined;
  try {
    const [found] = await logStage('Restore it from the cache', () =>
      store.restore(directory, [newest]),
    );
    if (found === undefined) return undefined;
    const { manifest } = await openEntry(store, found, directory, mounts);
    const archived = manifest.mounts.flatMap(({ archive, ...saved }) =>
      archive ? { ...saved, archive } : [],
    );
    const whole: RestoredMount[] = [];
    for (const saved of archived) {
      const damage = await findDamageOfAny(directory, archivesOf(saved));
      if (damage === undefined) whole.push(saved);
    }
    return { key: found, mounts: whole, directory, isLate: true };
  } catch (error) {
    print(`The saved entry ${newest} cannot be used: ${messageOf(error)}.`);
    return undefined;
  }
}
