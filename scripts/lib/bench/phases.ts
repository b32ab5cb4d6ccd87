/** Where the time of a step goes, by the times at which the lines of its log have come. */

import type { StageTitle } from '../../../src/console/log.js';

export interface LogLine {
  /** Since the start of the step. */
  readonly seconds: number;
  readonly text: string;
}

export type Phase = (typeof phases)[number];

/** In their order; no step has all of them. */
export const phases = [
  'start',
  'look up the key',
  'restore: download',
  'restore: unpack',
  'check the archives',
  'ask the builder',
  'prepare the build',
  'build: send',
  'build: run',
  'build: receive',
  'build: rest',
  'digest',
  'save: pack',
  'save: upload',
  'end',
] as const;

/** Those in which the cache client works. */
export const storePhases: readonly Phase[] = [
  'look up the key',
  'restore: download',
  'restore: unpack',
  'save: pack',
  'save: upload',
];

/** If a stage is renamed in the steps alone, its title here has no longer this type. */
type StageLine = `::group::${StageTitle}`;

type OtherLine = `::debug::${string}` | `#0 ${string}` | 'Cache Size: ';

const packing: StageLine = '::group::Pack out of the builder';

/** What begins with a line. */
const beginnings: readonly (readonly [prefix: StageLine | OtherLine, phase: Phase])[] = [
  ['::group::Look up the key', 'look up the key'],
  ['::group::Restore from the cache', 'restore: download'],
  ['::group::Restore what it builds on: ', 'restore: download'],
  ['Cache Size: ', 'restore: unpack'],
  ['::group::Unpack into the builder', 'prepare the build'],
  [packing, 'prepare the build'],
  ['::debug::docker buildx build', 'build: rest'],
  ['#0 building with', 'build: rest'],
  ['::group::Save to the cache', 'save: pack'],
  ['::debug::File Size: ', 'save: upload'],
];

/** What follows on the end of a group that a phase is in. */
const followers: Partial<Record<Phase, Phase>> = {
  'look up the key': 'ask the builder',
  'restore: download': 'check the archives',
  'restore: unpack': 'check the archives',
  'save: pack': 'end',
  'save: upload': 'end',
};

/**
 * Splits the whole time of a step. Within the build, the time before a line is that of the build's
 * step that the line tells of; steps of BuildKit that overlap cannot be told apart.
 */
export function splitPhases(
  lines: readonly LogLine[],
  wholeSeconds: number,
): ReadonlyMap<Phase, number> {
  const result = new Map<Phase, number>();
  const add = (phase: Phase, seconds: number) =>
    result.set(phase, (result.get(phase) ?? 0) + seconds);
  const steps = new Map<string, Phase>();
  // Extract's build is followed by digests, inject's by nothing.
  const packs = lines.some(({ text }) => text.startsWith(packing));
  let phase: Phase = 'start';
  let previous = 0;
  for (const { seconds, text } of lines) {
    const building: boolean = phase === 'build: rest';
    add(building ? buildPhase(text, steps) : phase, seconds - previous);
    previous = seconds;
    const begun = beginnings.find(([prefix]) => text.startsWith(prefix))?.[1];
    // A command that is started before the group of the build only waits.
    if (begun === 'build: rest' && phase !== 'prepare the build') continue;
    if (begun) phase = begun;
    else if (text.startsWith('::endgroup::')) {
      phase = building ? (packs ? 'digest' : 'end') : (followers[phase] ?? phase);
    }
  }
  add(phase, wholeSeconds - previous);
  return result;
}

/** @param steps what is known of BuildKit's steps, by their numbers */
function buildPhase(text: string, steps: Map<string, Phase>): Phase {
  const [, number = '', rest = ''] = /^#(\d+) (.*)/.exec(text) ?? [];
  const known = steps.get(number);
  if (known) return known;
  const phase = /load from client|load build context/.test(rest)
    ? 'build: send'
    : /^\[.*\] RUN /.test(rest)
      ? 'build: run'
      : /^exporting/.test(rest)
        ? 'build: receive'
        : 'build: rest';
  if (number !== '') steps.set(number, phase);
  return phase;
}
