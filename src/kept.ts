import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { findDamage, readManifest } from './archive.js';
import { messageOf } from './errors.js';
import { print } from './host.js';
import { logStage } from './log.js';
import { type InjectState, keptArchives, type RestoredMount } from './state.js';
import { type Store, storedDirectoryName } from './store.js';

/** What an earlier run has saved, for the mounts of which this one has nothing to save. */
export interface Kept {
  readonly mounts: readonly Pick<RestoredMount, 'mount' | 'archive'>[];
  /** Where the archives are. */
  readonly directory: string;
  /** The key of the entry where it was not inject that has restored it. */
  readonly lateKey: string | undefined;
}

/** What inject has restored. */
export function keptByInject(state: InjectState | undefined): Kept | undefined {
  return state?.restored
    ? { mounts: state.restored.mounts, directory: keptArchives(state.key), lateKey: undefined }
    : undefined;
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
  workDirectory: string,
): Promise<Kept | undefined> {
  const directory = join(workDirectory, 'late', storedDirectoryName);
  await mkdir(join(workDirectory, 'late'));
  const found = await logStage('Look for an entry that inject could not restore', async () => {
    const newest = await store.find(directory, key, restoreKeys);
    return newest === undefined ? undefined : store.restore(directory, newest);
  });
  if (found === undefined) return undefined;
  try {
    const { mounts } = await readManifest(directory);
    const archived = mounts.flatMap(({ mount, archive }) => (archive ? { mount, archive } : []));
    const damage = await Promise.all(archived.map(({ archive }) => findDamage(directory, archive)));
    const whole = archived.filter((_, index) => damage[index] === undefined);
    return { mounts: whole, directory, lateKey: found };
  } catch (error) {
    print(`The saved entry ${found} cannot be used: ${messageOf(error)}.`);
    return undefined;
  }
}
