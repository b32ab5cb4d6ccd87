import { hasCachedMount, listBuilds } from '../builder/build-history.js';
import { isNewer } from '../builder/records.js';
import type { ColdBuild } from '../entry/cold-build.js';
import type { Manifest } from '../entry/manifest.js';
import { areSameMounts, type CacheMount } from '../mounts/cache-mount.js';
import { type Balance, type BuildTime, type Interval, selectBuilds, timeOf } from './build-time.js';
import type { PackRequest } from './extract-request.js';
import type { InjectNote } from './inject-note.js';
import type { PackResult } from './pack-mounts.js';

/** The cold build that an entry tells of, if it was one of the same mounts and the same build. */
export function coldBuildOf(
  { mounts, coldBuild }: Manifest,
  wanted: readonly CacheMount[],
  build: string,
): ColdBuild | undefined {
  const isSame = areSameMounts(
    mounts.map(({ mount }) => mount),
    wanted,
  );
  return isSame && coldBuild?.build === build ? coldBuild : undefined;
}

/** Asks the builder's history how long the build has taken. Never fails. */
export async function measureBuild(
  { surroundings, builder }: PackRequest,
  note: InjectNote,
): Promise<BuildTime> {
  const gap: Interval = { from: note.endedAt, to: performance.timeOrigin };
  const builds = selectBuilds(await listBuilds(surroundings, builder), gap);
  const inDoubt = builds.filter(({ cachedSteps }) => cachedSteps > 0);
  const answers = await Promise.all(
    inDoubt.map(({ ref }) => hasCachedMount(surroundings, builder, ref)),
  );
  const isUnknown = answers.includes(undefined) ? undefined : false;
  return timeOf(builds, gap, answers.includes(true) || isUnknown);
}

/**
 * What is known of the build, except for what the steps themselves have done.
 *
 * @param packed undefined: nothing was packed
 */
export function weigh(
  { state, mounts }: PackRequest,
  note: InjectNote,
  time: BuildTime,
  packed: PackResult | undefined,
): Pick<Balance, 'time' | 'isCold' | 'lastCold' | 'isRestored'> {
  const { mounts: filled = [], added = [] } = state?.restored?.filled ?? {};
  const isRestored = filled.length + added.length > 0;
  return {
    time,
    isRestored,
    isCold: !isRestored && packed !== undefined && areNew(packed, note.endedAt),
    lastCold: areSameMounts(mounts, state?.mounts ?? []) ? note.coldBuild : undefined,
  };
}

/** Whether all mounts that the builder has were made after a time. */
function areNew({ mounts, records }: PackResult, time: number): boolean {
  const there = mounts.filter(({ exists }) => exists);
  return (
    typeof records !== 'string' &&
    there.length > 0 &&
    there.every(({ mount }) => isNewer(mount, records, time))
  );
}
