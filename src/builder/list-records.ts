import type { Surroundings } from '../lib/surroundings.js';
import type { CacheMount } from '../mounts/cache-mount.js';
import { listCacheMounts } from './buildx.js';
import { type BuilderRecord, isHeld, parseRecords, parseStandIns } from './records.js';

/**
 * Lists the cache mounts that a builder has.
 *
 * While BuildKit measures a record, for its garbage collection or for somebody else's `docker buildx
 * du`, it lists a copy in its place that is of another type (cacheManager.DiskUsage, commit): where
 * one of the mounts is missing, it is looked for among these.
 *
 * @param builder its name; undefined for the one that buildx itself would use
 * @throws Error where the builder cannot tell
 */
export async function listRecords(
  surroundings: Surroundings,
  builder: string | undefined,
  mounts: readonly CacheMount[],
): Promise<BuilderRecord[]> {
  const records = parseRecords(
    await listCacheMounts(surroundings, builder, 'type=exec.cachemount'),
  );
  const missing = mounts.filter((mount) => !isHeld(mount, records));
  if (missing.length === 0) return records;
  const standIns = parseStandIns(
    await listCacheMounts(surroundings, builder, 'description~=cached.mount'),
  );
  return [...records, ...standIns.filter(({ id }) => !records.some((record) => record.id === id))];
}
