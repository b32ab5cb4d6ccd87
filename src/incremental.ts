import { type CacheMount, identityOf } from './cache-mount.js';
import { formatBytes, plural } from './format.js';
import { archivesOf, type SavedMount, totalOf } from './manifest.js';
import type { InjectState } from './state.js';

/** When changes are saved instead of all of a mount. */
export interface IncrementalLimits {
  /** How many times in a row; 0: never. */
  readonly count: number;
  /** How large they may become together, as a part of all that the mount held at first. */
  readonly share: number;
}

/** How many bytes of changes, uncompressed, and what the builder knows the snapshot by. */
export interface Allowance {
  readonly bytes: number;
  readonly token: string;
}

/**
 * What may be saved of a mount's changes since inject.
 *
 * @param isSame whether it is known to be the mount that inject has filled
 * @returns or why all of it is to be saved; undefined where nothing else could be expected
 */
export function findAllowance(
  { state, incremental }: { state: InjectState | undefined; incremental: IncrementalLimits },
  mount: CacheMount,
  isSame: boolean,
): Allowance | string | undefined {
  const { mounts = [], token } = state?.restored ?? {};
  const restored = mounts.find((each) => identityOf(each.mount) === identityOf(mount));
  if (restored === undefined || incremental.count === 0) return undefined;
  const { archive, deltas = [] } = restored;
  const bytes = Math.floor(archive.bytes * incremental.share - totalOf(deltas).bytes);
  if (token === undefined) return 'inject has taken no snapshot of it';
  if (!isSame) return 'the builder does not tell that it is the one that inject has filled';
  if (deltas.length >= incremental.count)
    return `its changes were saved ${plural(deltas.length, 'time')} in a row`;
  if (bytes <= 0) return 'its changes have become too large';
  return { bytes, token };
}

/** What a new entry holds of all that it stands for, such as "5.9 MB of 186 MB (incremental, 2 of at most 10)". */
export function describeSize(saved: readonly SavedMount[], { count }: IncrementalLimits): string {
  const archives = saved.flatMap(archivesOf);
  const own = archives.filter(({ entry }) => entry === undefined);
  const sizeOf = (some: typeof archives) => formatBytes(totalOf(some).compressedBytes);
  const deltas = Math.max(0, ...saved.map((each) => each.deltas?.length ?? 0));
  if (own.length === archives.length && deltas === 0) return sizeOf(own);
  const place = deltas === 0 || deltas > count ? '' : `, ${deltas} of at most ${count}`;
  return `${sizeOf(own)} of ${sizeOf(archives)} (incremental${place})`;
}
