import type { Obstacle } from '../builder/mount-report.js';
import { formatBytes, plural } from '../console/format.js';
import { archivesOf, type SavedMount, totalOf } from '../entry/manifest.js';
import type { IncrementalLimits } from '../inputs/read-inputs.js';
import { type CacheMount, identityOf } from '../mounts/cache-mount.js';
import type { InjectState } from './handover.js';
import { roomForChanges } from './mount-size.js';

/** Whether the changes of a mount may be saved as a delta, or why all of it is saved. */
export interface Allowance {
  /** Absent if there is nothing to compare the mount with. */
  readonly changes?: {
    /** How large they may be, uncompressed. With 0, only the result "unchanged" is of use. */
    readonly bytes: number;
    /** The id of the snapshot on the builder. */
    readonly snapshotId: string;
  };
  /**
   * Why all of the mount is saved; absent if that is expected, or if only the build will show it.
   */
  readonly whyInFull?: string;
}

export interface AllowanceFacts {
  readonly state: InjectState | undefined;
  readonly incremental: IncrementalLimits;
  readonly maxSize: number | undefined;
}

/**
 * @param isSame whether it is known to be the mount that inject has filled
 * @param exclude a hash of what is not saved now; undefined: all is saved
 */
export function findAllowance(
  { state, incremental, maxSize }: AllowanceFacts,
  mount: CacheMount,
  isSame: boolean,
  exclude?: string,
): Allowance {
  const { mounts = [], filled } = state?.restored ?? {};
  const restored = mounts.find((each) => identityOf(each.mount) === identityOf(mount));
  if (restored === undefined || incremental.count === 0) return {};
  const { archive, deltas = [], exceeds } = restored;
  if (exceeds !== undefined) return { whyInFull: 'inject has begun it anew' };
  const isIn = (some: readonly CacheMount[] = []) =>
    some.some((each) => identityOf(each) === identityOf(mount));
  if (isIn(filled?.added)) {
    return { whyInFull: 'it also holds what other builds of this job have left there' };
  }
  if (!filled || !isIn(filled.mounts)) return { whyInFull: 'inject has not filled it' };
  const { snapshotId } = filled;
  if (snapshotId === undefined) return { whyInFull: 'inject has taken no snapshot of it' };
  if (!isSame)
    return { whyInFull: 'the builder does not tell that it is the one that inject has filled' };
  if (restored.exclude !== exclude) return { whyInFull: 'other files of it are excluded now' };
  const room = roomForChanges(restored, maxSize);
  if (room === undefined) return { whyInFull: 'it may have more than max-size' };
  if (deltas.length >= incremental.count) {
    const whyInFull = `its changes were saved ${plural(deltas.length, 'time')} in a row`;
    return { changes: { bytes: 0, snapshotId }, whyInFull };
  }
  const bytes = Math.floor(archive.bytes * incremental.share - totalOf(deltas).bytes);
  return { changes: { bytes: Math.max(0, Math.min(bytes, room)), snapshotId } };
}

/** Says why the builder has made no delta. */
export function explainObstacle(obstacle: Obstacle): string {
  switch (obstacle) {
    case 'snapshot':
      return 'there is no snapshot of it that is of use';
    case 'size':
      return 'too much of it has changed';
    case 'tar':
      return 'GNU tar cannot pack its changes alone';
  }
}

/**
 * The size of a new entry's own archives, and of all archives that it stands for, such as "5.9 MB
 * of 186 MB (incremental, 2 of at most 10)".
 */
export function describeSize(saved: readonly SavedMount[], { count }: IncrementalLimits): string {
  const archives = saved.flatMap(archivesOf);
  const own = archives.filter(({ entryKey }) => entryKey === undefined);
  const sizeOf = (some: typeof archives) => formatBytes(totalOf(some).compressedBytes);
  const deltas = Math.max(0, ...saved.map((each) => each.deltas?.length ?? 0));
  if (own.length === archives.length && deltas === 0) return sizeOf(own);
  const place = deltas === 0 || deltas > count ? '' : `, ${deltas} of at most ${count}`;
  return `${sizeOf(own)} of ${sizeOf(archives)} (incremental${place})`;
}

/** The message for an entry that only names archives of other entries; undefined for all others. */
export function describeNothingNew(saved: readonly SavedMount[]): string | undefined {
  const archives = saved.flatMap(archivesOf);
  if (archives.length === 0 || archives.some(({ entryKey }) => entryKey === undefined)) return;
  return `Nothing changed: ${formatBytes(totalOf(archives).compressedBytes)} stay as saved`;
}
