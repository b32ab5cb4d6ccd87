import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { print } from '../console/console.js';
import { logStage } from '../console/log.js';
import { findDamageOfAny } from '../entry/archive.js';
import { archivesOf } from '../entry/manifest.js';
import { openEntry } from '../entry/open-entry.js';
import { type Store, storedDirectoryName } from '../entry/stores/store.js';
import { messageOf } from '../lib/errors.js';
import type { Surroundings } from '../lib/surroundings.js';
import type { CacheMount } from '../mounts/cache-mount.js';
import type { PackRequest } from './extract-request.js';
import { type InjectState, keptArchives, type RestoredMount } from './handover.js';

/** An entry that an earlier run has saved, and that the new one is to follow. */
export interface PreviousEntry {
  /** The key of the entry. */
  readonly key: string;
  /** Each archive names the entry that holds it. */
  readonly mounts: readonly RestoredMount[];
  /** Holds the archives of those mounts that were named. */
  readonly directory: string;
  /** Whether extract has restored it, because inject could not. */
  readonly isLate: boolean;
}

/**
 * Finds the entry that inject has restored. If there is none, and the build has filled only some of
 * the mounts, it looks for the entry that inject should have restored.
 *
 * @param packed how many mounts the build has packed
 */
export async function findPrevious(
  store: Store,
  { surroundings, state, mounts }: PackRequest,
  packed: number,
  workDirectory: string,
): Promise<PreviousEntry | undefined> {
  const isPartial = packed > 0 && packed < mounts.length;
  return (
    keptByInject(surroundings, state) ??
    (state && isPartial ? restoreLate(store, state, mounts, workDirectory) : undefined)
  );
}

/**
 * Whether a new entry would hide the entries that hold the restored archives. When GitHub is asked
 * for a key, it looks on the job's own branch first, and there every key that begins with the asked
 * one is an answer. Only then does it look on the default branch for just that key:
 * https://docs.github.com/en/actions/reference/workflows-and-actions/dependency-caching
 */
export function areHidden({ mounts }: PreviousEntry, newKey: string): boolean {
  return mounts.flatMap(archivesOf).some(({ entryKey = newKey }) => newKey.startsWith(entryKey));
}

function keptByInject(
  surroundings: Surroundings,
  state: InjectState | undefined,
): PreviousEntry | undefined {
  if (state?.restored === undefined) return undefined;
  const { key, mounts } = state.restored;
  return { key, mounts, directory: keptArchives(surroundings, state.key), isLate: false };
}

/**
 * Restores the entry that inject has missed if the cache service failed then. The client does not
 * tell trouble from a miss, and a new entry with less than the one before would hide that one for
 * good.
 *
 * @returns undefined if there is nothing, or nothing that can be used
 */
async function restoreLate(
  store: Store,
  { key, restoreKeys }: InjectState,
  mounts: readonly CacheMount[],
  workDirectory: string,
): Promise<PreviousEntry | undefined> {
  const directory = join(workDirectory, 'late', storedDirectoryName);
  await mkdir(join(workDirectory, 'late'));
  const newest = await logStage('Look for an entry that inject could not restore', () =>
    store.find(key, restoreKeys),
  );
  if (newest === undefined) return undefined;
  try {
    const [found] = await logStage('Restore it from the cache', () =>
      store.restore(directory, [newest]),
    );
    if (found === undefined) return undefined;
    const { manifest, directory: held } = await openEntry(store, found, directory, () => mounts);
    const archived = manifest.mounts.flatMap(({ archive, ...saved }) =>
      archive ? { ...saved, archive } : [],
    );
    const whole: RestoredMount[] = [];
    for (const saved of archived) {
      const damage = held && (await findDamageOfAny(held, archivesOf(saved)));
      if (damage === undefined) whole.push(saved);
    }
    return { key: found, mounts: whole, directory, isLate: true };
  } catch (error) {
    print(`The saved entry ${newest} cannot be used: ${messageOf(error)}.`);
    return undefined;
  }
}
