import { directoryStore } from './directory.js';
import { githubCache } from './github-cache.js';
import type { Store } from './store.js';

/** @param directory undefined for the cache of GitHub Actions */
export function storeFor(directory: string | undefined): Store {
  return directory === undefined ? githubCache : directoryStore(directory);
}
