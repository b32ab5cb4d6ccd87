import type { MountReport } from '../builder/mount-report.js';
import { type Archive, archivesOf, totalOf } from '../entry/manifest.js';
import type { RestoredMount } from './handover.js';

/**
 * The deltas of an entry, up to this share of the full archive, both compressed, are saved again with
 * the next delta: that would otherwise build on one entry for each run, which all have to be asked for
 * when it is restored.
 */
const smallShare = 0.1;

/** An archive that was restored, and that the new entry builds on. */
export interface ReusedArchive {
  readonly archive: Archive;
  /** Whether the new entry is to hold it; if not, the entry that does is named. */
  readonly isMoved: boolean;
}

/** What is needed to tell which archives the new entry should hold. */
export interface MoveFacts {
  readonly report: MountReport | undefined;
  /** Whether the new entry may name archives that stay in others. */
  readonly mayRefer: boolean;
}

export interface ReuseFacts extends MoveFacts {
  /** Those of the restored archives that are at hand and whole. */
  readonly atHand: readonly Archive[];
}

/**
 * Those of a restored mount's archives that the new entry should hold: all if none may be named, and
 * small deltas if it gets another one. Nothing else needs to be at hand.
 */
export function listToMove(
  restored: RestoredMount,
  { report, mayRefer }: MoveFacts,
): readonly Archive[] {
  if (report?.result === 'packed') return [];
  if (!mayRefer) return archivesOf(restored);
  return report?.result === 'changed' ? smallDeltas(restored) : [];
}

/** @returns undefined if an archive that may not be named is not at hand */
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
