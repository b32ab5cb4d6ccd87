import type { MountReport } from '../builder/mount-report.js';
import { type Archive, archivesOf, totalOf } from '../entry/manifest.js';
import type { RestoredMount } from './handover.js';

/**
 * If the deltas of an entry are at most this share of the full archive, both compressed, they are
 * saved again with the next delta. Otherwise that delta would build on one entry for each run, and
 * a restore would have to ask for all of these.
 */
const smallShare = 0.1;

/** An archive that was restored, and that the new entry builds on. */
export interface ReusedArchive {
  readonly archive: Archive;
  /** Whether the new entry is to hold it. If not, the new entry names the one that does. */
  readonly isMoved: boolean;
}

/** The facts that decide which archives the new entry should hold. */
export interface MoveFacts {
  readonly report: MountReport | undefined;
  /** Whether the new entry may name archives that stay in other entries. */
  readonly mayRefer: boolean;
}

export interface ReuseFacts extends MoveFacts {
  /** The restored archives that are at hand and whole. */
  readonly atHand: readonly Archive[];
}

/**
 * The archives of a restored mount that the new entry should hold: all if it may not name those of
 * other entries, and small deltas if it gets another delta. No other archive needs to be at hand.
 */
export function listToMove(
  restored: RestoredMount,
  { report, mayRefer }: MoveFacts,
): readonly Archive[] {
  if (report?.result === 'packed') return [];
  if (!mayRefer) return archivesOf(restored);
  return report?.result === 'changed' ? smallDeltas(restored) : [];
}

/**
 * @returns undefined if an archive is not at hand, and the new entry may not name it in another one
 */
export function reuseArchives(
  restored: RestoredMount,
  facts: ReuseFacts,
): readonly ReusedArchive[] | undefined {
  const toMove = listToMove(restored, facts);
  const reused = archivesOf(restored).map((archive) => ({
    archive,
    isMoved: toMove.includes(archive) && facts.atHand.includes(archive),
  }));
  return facts.mayRefer || reused.every(({ isMoved }) => isMoved) ? reused : undefined;
}

/** The deltas that the last entry holds, if they are small. */
function smallDeltas({ archive, deltas = [] }: RestoredMount): readonly Archive[] {
  const own = deltas.filter(({ entryKey }) => entryKey === deltas.at(-1)?.entryKey);
  const isSmall = totalOf(own).compressedBytes <= archive.compressedBytes * smallShare;
  return isSmall ? own : [];
}
