import type { Surroundings } from '../lib/surroundings.js';
import type { CacheMount } from '../mounts/cache-mount.js';
import type { BuilderAddress } from './builder-address.js';
import { type Builder, listBuildCache } from './buildx.js';
import { type BuilderRecord, isHeld, parseRecords, parseStandIns } from './records.js';
import { lacksMountIds } from './versions.js';

/**
 * Lists the cache mounts that a builder has.
 *
 * While BuildKit measures a record, for its garbage collection or for somebody else's `docker buildx
 * du`, it lists a copy in its place that is of another type (cacheManager.DiskUsage, commit): where
 * one of the mounts is missing, it is looked for among these.
 *
 * @throws Error where the builder cannot tell
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
  // buildx before 0.15 knows no patterns for descriptions.
  return listBuildCache(surroundings, builder, 'description~=cached.mount').catch(() =>
    listBuildCache(surroundings, builder),
  );
}

/** Why a list of the builder's cache mounts would not tell which of them there are; undefined if it tells. */
export function whyUnlisted(builder: Builder, address: BuilderAddress): string | undefined {
  if (lacksMountIds(builder.buildkit))
    return `BuildKit ${builder.buildkit} does not tell their ids, as 0.12 and later do`;
  return builder.nodes > 1 && address.configuration === undefined
    ? `it has ${builder.nodes} nodes, whose mounts are listed as one`
    : undefined;
}
