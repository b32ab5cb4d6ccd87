import { setTimeout as delay } from 'node:timers/promises';
import { type BuilderRecord, hasAll, parseRecords } from './builder-records.js';
import { listCacheMounts } from './buildx.js';
import type { CacheMount } from './cache-mount.js';

const pause = 500;

/**
 * Lists the cache mounts that a builder has.
 *
 * @param builder its name; undefined for the one that buildx itself would use
 *
 * BuildKit leaves out a record that is just being measured for somebody else's `docker buildx du`
 * (cacheManager.DiskUsage): where one of the mounts is missing, it is looked for a second time.
 *
 * @throws Error where the builder cannot tell
 */
export async function listRecords(
  builder: string | undefined,
  mounts: readonly CacheMount[],
): Promise<BuilderRecord[]> {
  const records = parseRecords(await listCacheMounts(builder));
  if (hasAll(records, mounts)) return records;
  await delay(pause);
  const again = parseRecords(await listCacheMounts(builder));
  return [...new Map([...records, ...again].map((record) => [record.key, record])).values()];
}
