import { join } from 'node:path';
import { packedFileName } from '../builder/in-builder/scripts.js';
import type { PackedContents } from '../builder/mount-report.js';
import { nameArchive, storeArchive } from '../entry/archive.js';
import { type Archive, archivesOf, type SavedMount, totalOf } from '../entry/manifest.js';
import { moveFile } from '../lib/work-directory.js';
import type { CacheMount } from '../mounts/cache-mount.js';
import type { Decision } from './decide-what-to-save.js';
import type { MountRow } from './result-table.js';
import type { ReusedArchive } from './reuse-archives.js';

/** The directories between which archives are moved. */
export interface ArchivePlaces {
  /** The output of the build; undefined: the archives have stayed in the builder. */
  readonly packed: string | undefined;
  /** The archives of the previous entry that are at hand; undefined if there is no such entry. */
  readonly previous: string | undefined;
  readonly newEntry: string;
}

/** The result for one mount. */
export interface AppliedDecision {
  readonly row: MountRow;
  /** The mount in the new entry; undefined if no entry can be saved. */
  readonly saved: SavedMount | undefined;
}

/**
 * Moves the archives of a mount into the new entry.
 *
 * @param index the mount's place in the list
 */
export async function apply(
  decision: Decision,
  index: number,
  mount: CacheMount,
  places: ArchivePlaces,
): Promise<AppliedDecision> {
  const row = { mount, state: decision.state };
  switch (decision.becomes) {
    case 'packed': {
      const archive = await storePacked(decision.report, index, places);
      const { seconds } = decision.report;
      return { row: { ...row, archive, cached: archive, seconds }, saved: { mount, archive } };
    }
    case 'delta on restored': {
      const base = await moveReused(mount, decision.reused, places);
      const delta = await storePacked(decision.report, index, places);
      const { seconds } = decision.report;
      const saved = { ...base, deltas: [...(base.deltas ?? []), delta] };
      const cached = totalOf(archivesOf(saved));
      return { row: { ...row, archive: delta, cached, seconds }, saved };
    }
    case 'unchanged': {
      const saved = await moveReused(mount, decision.reused, places);
      const cached = totalOf(archivesOf(saved));
      return { row: { ...row, cached, seconds: decision.report.seconds }, saved };
    }
    case 'kept as restored': {
      const saved = await moveReused(mount, decision.reused, places);
      return { row: { ...row, cached: totalOf(archivesOf(saved)) }, saved };
    }
    case 'empty':
      return { row, saved: { mount } };
    case 'lost':
      return { row, saved: undefined };
  }
}

async function storePacked(
  contents: PackedContents,
  index: number,
  { packed, newEntry }: ArchivePlaces,
): Promise<Archive> {
  if (packed === undefined) return nameArchive(contents);
  return storeArchive(
    join(packed, packedFileName(index, contents.compression)),
    contents,
    newEntry,
  );
}

/** @returns the mount as the manifest lists it */
async function moveReused(
  mount: CacheMount,
  reused: readonly ReusedArchive[],
  { previous, newEntry }: ArchivePlaces,
): Promise<SavedMount> {
  const archives: Archive[] = [];
  for (const { archive, isMoved } of reused) {
    if (isMoved && previous !== undefined) {
      await moveFile(join(previous, archive.file), join(newEntry, archive.file));
      const { entryKey: _, ...own } = archive;
      archives.push(own);
    } else {
      archives.push(archive);
    }
  }
  const [archive, ...deltas] = archives;
  return { mount, ...(archive && { archive }), ...(deltas.length > 0 && { deltas }) };
}
