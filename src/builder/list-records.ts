import type { Surroundings } from '../lib/surroundings.js';
import type { CacheMount } from '../mounts/cache-mount.js';
import type { BuilderAddress } from './builder-address.js';
import { type Builder, listBuildCache } from './buildx.js';
import { type BuilderRecord, isHeld, parseRecords, parseStandIns } from './records.js';
import { lacksMountIds } from './versions.js';

/**
 * Lists the cache mounts that a builder has.
 *
 * BuildKit sometimes measures a cache mount, for its garbage collection or for somebody else's
 * `docker buildx du`. During that time it lists a copy instead, which has another type
 * (cacheManager.DiskUsage, commit). So if a mount is missing, it is looked for among the copies.
 *
 * @throws Error if the builder cannot list them
 */
export async function listRecords(
  surroundings: Surroundings,
  builder: BuilderAddress,
  mounts: readonly CacheMount[],
): Promise<BuilderRecord[]> {
  const records = parseRecords(await listBuildCache(surroundings, builder, 'type=exec.cachemount'));
  const missing = mounts.filter((mount) => !isHeld(mount, records));
  if (missing.length === 0) return records;
  const standIns = parseStandIns(await listDescribed(surroundings, builder));
  return [...records, ...standIns.filter(({ id }) => !records.some((record) => record.id === id))];
}

async function listDescribed(surroundings: Surroundings, builder: BuilderAddress): Promise<string> {
  // Buildx before 0.15 knows no patterns for descriptions.
  return listBuildCache(surroundings, builder, 'description~=cached.mount').catch(() =>
    listBuildCache(surroundings, builder),
  );
}

/** The reason why the builder's list does not show which mounts exist; undefined if it does. */
export function whyUnlisted(builder: Builder, address: BuilderAddress): string | undefined {
  if (lacksMountIds(builder.buildkit))
    return `BuildKit ${builder.buildkit} does not tell their ids, as 0.12 and later do`;
  return builder.nodes > 1 && address.configuration === undefined
    ? `it has ${builder.nodes} nodes, whose mounts are listed as one`
    : undefined;
}
