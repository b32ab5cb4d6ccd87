import type { MountReport } from '../builder/mount-report.js';
import { formatBytes } from '../console/format.js';
import { type ArchivesForMount, findDamageOfAny } from '../entry/archive.js';
import { type Manifest, totalOf } from '../entry/manifest.js';
import type { OpenEntry } from '../entry/open-entry.js';
import { type CacheMount, describeMount, identityOf } from '../mounts/cache-mount.js';
import type { RestoredMount } from './handover.js';
import type { MountOutcome } from './result-table.js';

/** Finds the mounts of which all archives are there and undamaged. */
export async function checkArchives(
  toUnpack: readonly ArchivesForMount[],
  { directory }: Pick<OpenEntry, 'directory'>,
  remedy: string,
): Promise<{
  readonly whole: readonly ArchivesForMount[];
  readonly damaged: readonly MountOutcome[];
}> {
  // Then BuildKit checks them when it pulls them.
  if (directory === undefined) return { whole: toUnpack, damaged: [] };
  const checked = await Promise.all(
    toUnpack.map(async (mountArchives) => {
      const damage = await findDamageOfAny(directory, mountArchives.archives);
      return { mountArchives, damage };
    }),
  );
  return {
    whole: checked.flatMap(({ mountArchives, damage }) =>
      damage === undefined ? mountArchives : [],
    ),
    damaged: checked.flatMap(({ mountArchives, damage }) =>
      damage === undefined ? [] : leftOut(mountArchives.mount, `${damage}.${remedy}`),
    ),
  };
}

/** The mounts of an entry that extract can use again. */
export function listRestored(
  manifest: Manifest,
  damaged: readonly MountOutcome[],
): RestoredMount[] {
  const unusable = new Set(damaged.map(({ row }) => identityOf(row.mount)));
  return manifest.mounts.flatMap(({ archive, ...saved }) =>
    archive === undefined || unusable.has(identityOf(saved.mount)) ? [] : { ...saved, archive },
  );
}

export function leftOut(mount: CacheMount, why: string): MountOutcome {
  const remark = `The cache mount ${describeMount(mount)} was left out: ${why}`;
  return { row: { mount, state: 'left out' }, remark };
}

/**
 * What has become of a mount that was to be unpacked.
 *
 * @param whatToDo the remedy if the entry may be damaged
 */
export function outcomeOf(
  { mount, archives }: ArchivesForMount,
  report: MountReport | undefined,
  whatToDo: string,
): MountOutcome {
  const archive = totalOf(archives);
  switch (report?.result) {
    case 'unpacked':
      return { row: { mount, state: 'restored', archive, seconds: report.seconds } };
    case 'added': {
      const state = "added to what this job's builds have left there";
      return { row: { mount, state, archive, seconds: report.seconds } };
    }
    case 'unadded': {
      const remark = `To the cache mount ${describeMount(mount)}, which holds what this job's builds have left there, what is saved was not added, or not all of it: unpacking failed. The log says why; often the builder's disk is full.${whatToDo}`;
      return { row: { mount, state: 'not added' }, remark };
    }
    case 'warm':
      return { row: { mount, state: 'already warm, left as it is' } };
    case 'unusable':
      return leftOut(mount, `there is no ${report.missing}.`);
    case 'full':
      return leftOut(
        mount,
        `it needs ${formatBytes(archive.bytes)}, and the builder's disk has ${formatBytes(report.available)} free.`,
      );
    default: {
      const remark = `The cache mount ${describeMount(mount)} was left empty: unpacking failed. The log says why; often the builder's disk is full.${whatToDo}`;
      return { row: { mount, state: 'left empty' }, remark };
    }
  }
}
