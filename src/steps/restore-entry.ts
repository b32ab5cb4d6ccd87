import { print } from '../console/console.js';
import { logStage } from '../console/log.js';
import { type OpenEntry, openEntry } from '../entry/open-entry.js';
import type { Store } from '../entry/stores/store.js';
import { messageOf } from '../lib/errors.js';
import type { InjectRequest } from './fill-mounts.js';
import { adoptMounts } from './learn-mounts.js';

/** An entry that cannot be used, and why. */
export interface UnusableEntry {
  readonly key: string;
  /** Whether the store has given it. */
  readonly isStored: boolean;
  readonly trouble: string;
}

/** What is to be restored. */
type EntryRequest = Pick<InjectRequest, 'store' | 'key' | 'mounts' | 'leftOut'>;

/** Restores an entry, and the entries that it builds on, into a directory. */
export async function restoreEntry(
  { store, key: wanted, mounts, leftOut }: EntryRequest,
  found: string,
  directory: string,
): Promise<OpenEntry | UnusableEntry> {
  const [key] = await logStage('Restore from the cache', () => store.restore(directory, [found]));
  if (key === undefined) {
    const trouble = `The saved entry ${found} could not be restored (the log says why): the build starts cold`;
    return { key: found, isStored: false, trouble };
  }
  if (key === wanted) print(`Found the entry ${key}.`);
  const unusable = (why: string) => ({
    key,
    isStored: true,
    trouble: `The saved entry ${key} cannot be used: ${why}`,
  });
  try {
    const entry = await openEntry(store, key, directory, (manifest) => [
      ...mounts,
      ...adoptMounts(leftOut, mounts, manifest).map(({ mount }) => mount),
    ]);
    if (entry.missing.length === 0) {
      if (key !== wanted) print(tellOfOtherKey(key, wanted, store));
      return entry;
    }
    const bases = entry.missing.join(', ');
    return unusable(
      `it builds on the entry ${bases}, which could not be restored: it is gone, or the log says why`,
    );
  } catch (error) {
    return unusable(messageOf(error));
  }
}

function tellOfOtherKey(key: string, wanted: string, { otherKeySource }: Store): string {
  return `Restored from ${key} (${otherKeySource}); this run will save as ${wanted}.`;
}
