import { formatBytes, formatDuration } from '../console/format.js';
import { listStageTimes, type StageTime, type StageTitle } from '../console/log.js';
import type { ArchiveSize } from '../entry/manifest.js';

/** A figure of the step, for people: what it is of, and its value. */
export type Figure = readonly [name: string, value: string];

/** The seconds since the process of this step was started. */
export function secondsSoFar(): number {
  return performance.now() / 1000;
}

/** The real times of this step until now. */
export function timesSoFar(): Figure {
  return ['Time', describeTimes(listStageTimes(), secondsSoFar())];
}

/**
 * The times of the stages, such as "fetch 2.0 s, unpack 8.1 s, the whole step 12 s". The whole is
 * more than their sum, because a step does more than these, and they do not run side by side.
 */
export function describeTimes(stages: readonly StageTime[], whole: number): string {
  const sums = new Map<string, number>();
  for (const { title, seconds } of stages) {
    const name = nameOf(title);
    sums.set(name, (sums.get(name) ?? 0) + seconds);
  }
  const parts = [...sums].map(([name, seconds]) => `${name} ${formatDuration(seconds)}`);
  return [...parts, `the whole step ${formatDuration(whole)}`].join(', ');
}

function nameOf(title: StageTitle): string {
  switch (title) {
    case 'Look up the key':
    case 'Look for an entry that inject could not restore':
      return 'look-up';
    case 'Unpack into the builder':
      return 'unpack';
    case 'Pack out of the builder':
      return 'pack';
    case 'Save to the cache':
      return 'save';
    default:
      return 'fetch';
  }
}

/** "337 MB, 1.5 GB unpacked". */
export function describeRestored({ bytes, compressedBytes }: ArchiveSize): string {
  return `${formatBytes(compressedBytes)}, ${formatBytes(bytes)} unpacked`;
}
