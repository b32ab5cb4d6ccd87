import { join } from 'node:path';
import { packedFileName } from '../builder/in-builder/scripts.js';
import type { MountReport } from '../builder/mount-report.js';
import { notify, print } from '../console/console.js';
import { storeArchive } from '../entry/archive.js';
import { archivesOf, type SavedMount, totalOf } from '../entry/manifest.js';
import { type CacheMount, describeMount, identityOf } from '../mounts/cache-mount.js';
import { explainObstacle } from './changes.js';
import type { Packed } from './pack-mounts.js';
import type { Kept } from './previous-entry.js';
import type { MountRow } from './result-table.js';
import { carryOver } from './reuse-archives.js';

/** What becomes of one mount in the new entry. */
export interface Outcome {
  readonly mount: CacheMount;
  readonly row: MountRow;
  /** Undefined where an entry would hide a better one: nothing can be saved then. */
  readonly saved: SavedMount | undefined;
  /** Whether the build has left something in it. */
  readonly isFilled: boolean;
  /** What is not as one would expect. */
  readonly remark?: string;
}

/** Where the outcomes come from, and where they go. */
export interface Collection {
  readonly packed: Packed;
  /** What inject, or an earlier run, has restored or saved. */
  readonly kept: Kept | undefined;
  /** Directory of the new entry. */
  readonly entry: string;
  /** Whether the new entry may name what others hold. */
  readonly mayRefer: boolean;
  /** How many times in a row changes are saved. */
  readonly maximum: number;
}

const causes =
  'A build with no-cache has wiped it, the builder has dropped it (low disk), or the build has emptied it; if it is to be empty, use another key prefix.';

/**
 * Decides what the new entry holds of a mount, and puts its archives there: a saved mount is only
 * ever followed by one at least as complete.
 *
 * @param index the mount's place in the list
 */
export async function collect(
  collection: Collection,
  index: number,
  mount: CacheMount,
): Promise<Outcome> {
  const { packed, kept, entry, mayRefer, maximum } = collection;
  const name = describeMount(mount);
  const report = packed.reports.get(index);
  const restored = kept?.mounts.find((each) => identityOf(each.mount) === identityOf(mount));
  const carried =
    kept && restored && report?.result !== 'packed'
      ? await carryOver(
          kept,
          restored,
          entry,
          !mayRefer ? 'nothing' : report?.result === 'changed' ? 'large' : 'all',
        )
      : undefined;
  if (report?.result === 'packed') {
    const file = packedFileName(index, report.compression);
    const archive = await storeArchive(join(packed.directory, file), report, entry);
    const { obstacle } = report;
    const whyInFull = packed.whyInFull(mount) ?? (obstacle && explainObstacle(obstacle));
    if (packed.isRemade(mount)) {
      notify(
        `The cache mount ${name} is not the one that inject has filled: it was made anew since, by a build with no-cache or after the builder had dropped it. It is saved as it is now.`,
      );
    } else if (whyInFull !== undefined) {
      print(`The cache mount ${name} is saved in full: ${whyInFull}.`);
    }
    const row = { mount, state: 'packed', archive, seconds: report.seconds };
    return { mount, row, saved: { mount, archive }, isFilled: true };
  }
  if (carried && report?.result === 'unchanged') {
    const row = { mount, state: 'unchanged', seconds: report.seconds };
    return { mount, row, saved: carried, isFilled: true };
  }
  if (carried && report?.result === 'changed') {
    const { archive, deltas = [] } = carried;
    const file = packedFileName(index, report.compression);
    const delta = await storeArchive(join(packed.directory, file), report, entry);
    const all = [...deltas, delta];
    const state = `changes packed (${all.length} of at most ${maximum})`;
    const row = { mount, state, archive: delta, seconds: report.seconds };
    return { mount, row, saved: { mount, archive, deltas: all }, isFilled: true };
  }
  if (report?.result === 'unchanged' || report?.result === 'changed') {
    const row = { mount, state: report.result };
    const remark = `What inject has restored of the cache mount ${name} is not at hand any more, and what has changed since is of no use without it.`;
    return { mount, row, saved: undefined, isFilled: true, remark };
  }
  const { what, hasFailed } = describe(report, packed.isKnown(mount));
  if (carried) {
    return {
      mount,
      row: { mount, state: `${what}, kept as restored`, archive: totalOf(archivesOf(carried)) },
      saved: carried,
      isFilled: false,
      remark: tellKept(name, what, hasFailed, kept?.isLate ? kept.key : undefined),
    };
  }
  const row = { mount, state: what };
  if (restored) {
    const remark = `The cache mount ${name} was filled by inject and is ${what} now, and what inject has restored is not at hand any more. ${causes}`;
    return { mount, row, saved: undefined, isFilled: false, remark };
  }
  if (hasFailed) {
    const remark = `The cache mount ${name} could not be packed${why(report)}.`;
    return { mount, row, saved: undefined, isFilled: false, remark };
  }
  return { mount, row, saved: { mount }, isFilled: false };
}

function tellKept(
  name: string,
  what: string,
  hasFailed: boolean,
  lateKey: string | undefined,
): string {
  if (lateKey !== undefined) {
    const state = hasFailed ? 'could not be packed' : `is ${what}`;
    return `The cache mount ${name} ${state}, and inject could not restore ${lateKey}: what that holds of it is kept.`;
  }
  return hasFailed
    ? `The cache mount ${name} could not be packed: what inject has restored is kept.`
    : `The cache mount ${name} was filled by inject and is ${what} now: what inject has restored is kept. ${causes}`;
}

function describe(
  report: MountReport | undefined,
  isKnown: boolean,
): { readonly what: string; readonly hasFailed: boolean } {
  if (!isKnown) return { what: 'absent', hasFailed: false };
  if (report?.result === 'empty') return { what: 'empty', hasFailed: false };
  return { what: 'failed', hasFailed: true };
}

function why(report: MountReport | undefined): string {
  return report?.result === 'unusable' ? `: there is no ${report.missing}` : ' (the log says why)';
}
