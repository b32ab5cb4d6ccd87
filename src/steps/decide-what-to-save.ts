import type { MountReport } from '../builder/mount-report.js';
import type { Archive } from '../entry/manifest.js';
import { type CacheMount, describeMount } from '../mounts/cache-mount.js';
import type { MountAge } from './found-mounts.js';
import type { RestoredMount } from './handover.js';
import { explainObstacle } from './incremental.js';
import type { Message } from './message.js';
import { type ReusedArchive, reuseArchives } from './reuse-archives.js';

/** All facts that decide what becomes of a mount. */
export interface MountFacts {
  readonly mount: CacheMount;
  /** Whether the builder has it; true if the builder cannot tell. */
  readonly exists: boolean;
  readonly age: MountAge;
  /** The build's report on it; undefined if the build has not come to it. */
  readonly report: MountReport | undefined;
  /** Why all of it was to be packed, if that was decided before the build. */
  readonly whyInFull: string | undefined;
  /** The mount in the previous entry. */
  readonly restored: RestoredMount | undefined;
  /** The key of the previous entry, if inject could not restore that entry. */
  readonly lateKey: string | undefined;
  /** Whether the new entry may name archives that stay in other entries. */
  readonly mayRefer: boolean;
  /** The restored archives that are at hand and whole. Only those of listToMove are looked at. */
  readonly atHand: readonly Archive[];
  /** How many times in a row a delta may be saved. */
  readonly maximum: number;
}

/** The decision on one mount of the new entry. */
export type Decision = {
  /** A few words for the closing table. */
  readonly state: string;
  /** A message for the user, if there is something to tell. */
  readonly message?: Message | undefined;
} & (
  | { readonly becomes: 'packed'; readonly report: ReportOf<'packed'> }
  | {
      readonly becomes: 'delta on restored';
      readonly report: ReportOf<'changed'>;
      readonly reused: readonly ReusedArchive[];
    }
  | {
      readonly becomes: 'unchanged';
      readonly report: ReportOf<'unchanged'>;
      readonly reused: readonly ReusedArchive[];
    }
  | {
      readonly becomes: 'kept as restored';
      readonly reused: readonly ReusedArchive[];
      /** Used instead if no entry is saved, because then nothing is kept either. */
      readonly ifNothingIsSaved: { readonly state: string; readonly text: string };
    }
  | { readonly becomes: 'empty' }
  /**
   * No entry can be saved. Without this mount, it would hide what an older entry holds of the
   * mount, or what the next entry could hold.
   */
  | { readonly becomes: 'lost' }
);

type ReportOf<Result> = Extract<MountReport, { readonly result: Result }>;

/**
 * Decides what becomes of a mount. What follows a saved mount is always at least as complete.
 * Whether there is an entry at all is decided in extract.ts, when all mounts are known.
 */
export function decide(facts: MountFacts): Decision {
  const { report, restored, maximum } = facts;
  if (report?.result === 'packed') {
    return { becomes: 'packed', state: 'packed', report, message: tellOfPacked(facts, report) };
  }
  // Undefined if nothing was restored, or if some of it would be lost.
  const reused = restored && reuseArchives(restored, facts);
  if (report?.result === 'changed' || report?.result === 'unchanged') {
    if (!reused) return { becomes: 'lost', state: report.result, message: tellOfLostBase(facts) };
    if (report.result === 'unchanged')
      return { becomes: 'unchanged', state: 'unchanged', report, reused };
    // The first archive is no delta, but the new delta is not in the list yet: the length is right.
    const state = `changes packed (${reused.length} of at most ${maximum})`;
    return { becomes: 'delta on restored', state, report, reused };
  }
  const state = stateOf(facts);
  if (reused) {
    const message = tellOfKept(facts, state);
    const ifNothingIsSaved = { state, text: tellOfNotKept(facts, state) };
    const kept = `${state}, kept as restored`;
    return { becomes: 'kept as restored', state: kept, reused, message, ifNothingIsSaved };
  }
  if (restored) return { becomes: 'lost', state, message: tellOfLost(facts, state) };
  if (state === 'failed') return { becomes: 'lost', state, message: tellOfFailed(facts) };
  return { becomes: 'empty', state };
}

/** For a mount of which nothing was packed. */
function stateOf({ exists, report }: MountFacts): 'absent' | 'empty' | 'failed' {
  if (!exists) return 'absent';
  return report?.result === 'empty' ? 'empty' : 'failed';
}

/** Uncompressed. */
const tinyBytes = 1_000_000;

function tellOfPacked(
  { mount, age, whyInFull }: MountFacts,
  { obstacle, bytes }: ReportOf<'packed'>,
): Message | undefined {
  const name = describeMount(mount);
  if (age === 'made since') {
    const text = `The cache mount ${name} is not the one that inject has filled: it was made anew since, by a build with no-cache or after the builder had dropped it. It is saved as it is now.`;
    return { level: 'notice', text };
  }
  // In a tiny mount, every change is too large, and a full archive is hardly larger: no message.
  if (whyInFull === undefined && obstacle === 'size' && bytes < tinyBytes) return undefined;
  const why = whyInFull ?? (obstacle && explainObstacle(obstacle));
  return why === undefined
    ? undefined
    : { level: 'log', text: `The cache mount ${name} is saved in full: ${why}.` };
}

function tellOfLostBase({ mount }: MountFacts): Message {
  const text = `What inject has restored of the cache mount ${describeMount(mount)} is not at hand any more, and what has changed since is of no use without it.`;
  return { level: 'warning', text };
}

const causes =
  'A build with no-cache has wiped it, the builder has dropped it (low disk), or the build has emptied it; if it is to be empty, use another key prefix.';

/** Undefined unless inject has left the mount empty, because it was too large. */
function tellOfBegunAnew({ mount, restored }: MountFacts, state: string): string | undefined {
  return restored?.exceeds === undefined
    ? undefined
    : `The cache mount ${describeMount(mount)} was begun anew, and is ${state} now: the build has not filled it.`;
}

function tellOfKept(facts: MountFacts, state: string): Message {
  const { mount, lateKey } = facts;
  const anew = tellOfBegunAnew(facts, state);
  if (anew !== undefined) return { level: 'log', text: `${anew} What was saved is kept.` };
  const name = `The cache mount ${describeMount(mount)}`;
  if (lateKey !== undefined) {
    const what = state === 'failed' ? 'could not be packed' : `is ${state}`;
    const text = `${name} ${what}, and inject could not restore ${lateKey}: what that holds of it is kept.`;
    return { level: 'warning', text };
  }
  const text =
    state === 'failed'
      ? `${name} could not be packed: what inject has restored is kept.`
      : `${name} was filled by inject and is ${state} now: what inject has restored is kept. ${causes}`;
  return { level: 'warning', text };
}

function tellOfNotKept(facts: MountFacts, state: string): string {
  const { mount, report, lateKey } = facts;
  const name = `The cache mount ${describeMount(mount)}`;
  if (state === 'failed') return tellOfFailed({ mount, report }).text;
  const anew = tellOfBegunAnew(facts, state);
  if (anew !== undefined) return anew;
  return lateKey === undefined
    ? `${name} was filled by inject and is ${state} now. ${causes}`
    : `${name} is ${state}, and inject could not restore ${lateKey}.`;
}

function tellOfLost(facts: MountFacts, state: string): Message {
  const name = `The cache mount ${describeMount(facts.mount)}`;
  const anew = tellOfBegunAnew(facts, state);
  const text = anew
    ? `${anew} What was saved is not at hand any more.`
    : `${name} was filled by inject and is ${state} now, and what inject has restored is not at hand any more. ${causes}`;
  return { level: 'warning', text };
}

function tellOfFailed({ mount, report }: Pick<MountFacts, 'mount' | 'report'>): Message {
  const why =
    report?.result === 'unusable' ? `: there is no ${report.missing}` : ' (the log says why)';
  const text = `The cache mount ${describeMount(mount)} could not be packed${why}.`;
  return { level: 'warning', text };
}
