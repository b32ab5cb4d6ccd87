import { isDeepStrictEqual } from 'node:util';
import { array, object, string } from '../../lib/json.js';
import { directoryStore } from './directory.js';
import { githubCache } from './github-cache.js';
import { type RegistryAccess, registryStore } from './registry.js';
import type { Store } from './store.js';

/** The place of a store that is not the cache of GitHub Actions. */
export type StoreLocation =
  | {
      /** An absolute path. */
      readonly directory: string;
    }
  | {
      /** References in registries; extract saves to the first. */
      readonly registry: References;
    };

type References = readonly [string, ...string[]];

/** What the stores need of the step that opens one. */
export interface StoreSurroundings {
  /** Aborted when the step stops waiting for the store. */
  readonly ended: AbortSignal;
  /** The way to registries. */
  readonly access: RegistryAccess;
}

/** @param location undefined for the cache of GitHub Actions */
export function openStore(
  location: StoreLocation | undefined,
  { ended, access }: StoreSurroundings,
): Store {
  if (location === undefined) return githubCache(ended);
  if ('registry' in location) return registryStore(location.registry, access);
  return directoryStore(location.directory);
}

/** Whether two locations, of which none is the cache of GitHub Actions, hold one entry. */
export function isSamePlace(one: StoreLocation, other: StoreLocation): boolean {
  const placeOf = (location: StoreLocation) =>
    'registry' in location ? location.registry[0] : location;
  return isDeepStrictEqual(placeOf(one), placeOf(other));
}

/** Reads a location from the state that inject leaves. */
export function parseStoreLocation(value: unknown): StoreLocation {
  const { directory, registry } = object(value, 'storeLocation');
  if (registry === undefined) return { directory: string(directory, 'directory') };
  const [first, ...others] = array(registry, 'registry').map((each) => string(each, 'registry[]'));
  return { registry: [string(first, 'registry[]'), ...others] };
}
