import type { BuildRecord } from '../builder/build-history.js';
import { formatDuration } from '../console/format.js';
import type { ColdBuild } from '../entry/cold-build.js';

/** The time between an inject and its extract, by the builder's clock, in milliseconds. */
export interface Interval {
  readonly from: number;
  readonly to: number;
}

/** How long the build of a job has taken, as far as that is known. */
export type BuildTime =
  | {
      readonly kind: 'build';
      readonly seconds: number;
      /**
       * Whether the layer cache has answered a RUN with a cache mount; undefined: the history does
       * not tell. Only if it has not, the time says something of the cache mounts.
       */
      readonly isCached: boolean | undefined;
    }
  /** Only the whole time between the two steps is known. */
  | { readonly kind: 'gap'; readonly seconds: number }
  /** Not even that, because the runner's clock was set back in between. */
  | { readonly kind: 'unknown' };

/**
 * The builds that have begun and ended between the two steps.
 *
 * @param builds undefined: there is no history
 * @returns empty if one of them has failed, because its time says nothing
 */
export function selectBuilds(
  builds: readonly BuildRecord[] | undefined,
  { from, to }: Interval,
): readonly BuildRecord[] {
  const between = (builds ?? []).filter(
    ({ startedAt, endedAt }) => startedAt >= from && endedAt !== undefined && endedAt <= to,
  );
  return between.every(({ status }) => status === 'Completed') ? between : [];
}

/** The time of some builds, which is that from the start of the first to the end of the last. */
export function timeOf(
  builds: readonly BuildRecord[],
  { from, to }: Interval,
  isCached: boolean | undefined,
): BuildTime {
  if (builds.length === 0) {
    return to < from ? { kind: 'unknown' } : { kind: 'gap', seconds: (to - from) / 1000 };
  }
  const first = Math.min(...builds.map(({ startedAt }) => startedAt));
  const last = Math.max(...builds.map(({ endedAt = first }) => endedAt));
  return { kind: 'build', seconds: (last - first) / 1000, isCached };
}

/** All that the line on what the cache brings is made of. */
export interface Balance {
  readonly time: BuildTime;
  /** The build has found none of its cache mounts on the builder. */
  readonly isCold: boolean;
  /** The last cold build of the same mounts; undefined: none is known. */
  readonly lastCold: ColdBuild | undefined;
  readonly isRestored: boolean;
  readonly isSaved: boolean;
  /** The time of both steps. */
  readonly stepSeconds: number;
}

/** The cold build that the next entry tells of. */
export function nextCold(
  { time, isCold, lastCold }: Pick<Balance, 'time' | 'isCold' | 'lastCold'>,
  today: string,
  build: string,
): ColdBuild | undefined {
  if (time.kind !== 'build' || time.isCached !== false || !isCold) return lastCold;
  return { seconds: Math.round(time.seconds * 10) / 10, date: today, build };
}

/**
 * What the cache brings and costs, in one line: "The build took 58 s; without the cache (2026-11-20)
 * 4 min 12 s. Restoring and saving took 9.2 s." All of it was measured. What was not is left out.
 */
export function tellBalance(balance: Balance): string {
  const { isRestored, isSaved, stepSeconds } = balance;
  const work = [...(isRestored ? ['restoring'] : []), ...(isSaved ? ['saving'] : [])].join(' and ');
  const cost = `${work.charAt(0).toUpperCase()}${work.slice(1)} took ${formatDuration(stepSeconds)}.`;
  return work === '' ? tellTime(balance) : `${tellTime(balance)} ${cost}`;
}

function tellTime({ time, isCold, lastCold, isRestored }: Balance): string {
  if (time.kind === 'unknown') {
    return 'How long the build took is not known, because the clock was set back.';
  }
  const duration = formatDuration(time.seconds);
  if (time.kind === 'gap') return `Between inject and extract there were ${duration}.`;
  const took = `The build took ${duration}`;
  if (time.isCached) return `${took}; the layer cache spared it a RUN with a cache mount.`;
  if (time.isCached === undefined) return `${took}.`;
  if (isCold) return `${took}, without the cache.`;
  if (lastCold === undefined || !isRestored) return `${took}.`;
  const { date, seconds } = lastCold;
  return `${took}; without the cache (${date}) ${formatDuration(seconds)}.`;
}
