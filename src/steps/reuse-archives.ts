import { join } from 'node:path';
import { findDamage } from '../entry/archive.js';
import { type Archive, archivesOf, totalOf } from '../entry/manifest.js';
import { moveFile } from '../lib/work-directory.js';
import type { RestoredMount } from './handover.js';
import type { Kept } from './previous-entry.js';

/**
 * The deltas of an entry, up to this share of the full archive, both compressed, are saved again with
 * the next delta: that would otherwise build on one entry for each run, which all have to be asked for
 * when it is restored.
 */
const carriedShare = 0.1;

/**
 * Brings what was restored of a mount into a new entry: it is named where it is saved already, or moved.
 *
 * @param naming whether all is named that can be, or only what is large, or nothing as it would not
 *   stay where it is
 * @returns what the new manifest says of it; undefined where it cannot be named and is not at hand
 */
export async function carryOver(
  kept: Kept,
  restored: RestoredMount,
  entry: string,
  naming: 'all' | 'large' | 'nothing',
): Promise<RestoredMount | undefined> {
  const { deltas = [] } = restored;
  const own = deltas.filter(({ entry }) => entry === deltas.at(-1)?.entry);
  const isSmall = totalOf(own).compressedBytes <= restored.archive.compressedBytes * carriedShare;
  const small = naming === 'large' && isSmall ? own : [];
  const carried: Archive[] = [];
  for (const archive of archivesOf(restored)) {
    const isMoved = naming === 'nothing' || small.includes(archive);
    const isWhole = isMoved && (await findDamage(kept.directory, archive)) === undefined;
    if (!isWhole) {
      if (naming === 'nothing') return undefined;
      carried.push(archive);
      continue;
    }
    const { entry: _, ...facts } = archive;
    await moveFile(join(kept.directory, archive.file), join(entry, archive.file));
    carried.push(facts);
  }
  const [archive = restored.archive, ...others] = carried;
  return { mount: restored.mount, archive, ...(others.length > 0 ? { deltas: others } : {}) };
}
