import { object, string } from '../../lib/json.js';
import { directoryStore } from './directory.js';
import { githubCache } from './github-cache.js';
import type { Store } from './store.js';

/** The place of a store that is not the cache of GitHub Actions. */
export interface StoreLocation {
  /** An absolute path. */
  readonly directory: string;
}

/**
 * @param location undefined for the cache of GitHub Actions
 * @param ended aborted when the step stops waiting for the store
 */
export function openStore(location: StoreLocation | undefined, ended: AbortSignal): Store {
  return location === undefined ? githubCache(ended) : directoryStore(location.directory);
}

/** Reads a location from the state that inject leaves. */
export function parseStoreLocation(value: unknown): StoreLocation {
  const { directory } = object(value, 'storeLocation');
  return { directory: string(directory, 'directory') };
}
