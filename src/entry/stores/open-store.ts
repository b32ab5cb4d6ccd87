import { object, string } from '../../lib/json.js';
import { directoryStore } from './directory.js';
import { githubCache } from './github-cache.js';
import type { Store } from './store.js';

/** Where entries are kept, if not in the cache of GitHub Actions. */
export interface StoreLocation {
  /** Absolute path. */
  readonly directory: string;
}

/**
 * @param location undefined for the cache of GitHub Actions
 * @param ended aborted once the step does not wait for the store any more
 */
export function openStore(location: StoreLocation | undefined, ended: AbortSignal): Store {
  return location === undefined ? githubCache(ended) : directoryStore(location.directory);
}

/** Reads a location as it stands in the state that inject leaves. */
export function parseStoreLocation(value: unknown): StoreLocation {
  const { directory } = object(value, 'storeLocation');
  return { directory: string(directory, 'directory') };
}
