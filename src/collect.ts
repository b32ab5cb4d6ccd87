import { storeArchive, takeKeptArchive } from './archive.js';
import { type CacheMount, describeMount, identityOf } from './cache-mount.js';
import { notify } from './host.js';
import type { Kept } from './kept.js';
import type { MountRow } from './log.js';
import type { SavedMount } from './manifest.js';
import type { Packed } from './pack.js';
import type { MountReport } from './report.js';

/** What becomes of one mount in the new entry. */
export interface Outcome {
  readonly mount: CacheMount;
  readonly row: MountRow;
  /** Undefined where an entry would hide a better one: nothing can be saved then. */
  readonly saved: SavedMount | undefined;
  /** Whether the build has left something in it that could be packed. */
  readonly isPacked: boolean;
  /** What is not as one would expect. */
  readonly remark?: string;
}

const causes =
  'A build with no-cache has wiped it, the builder has dropped it (low disk), or the build has emptied it; if it is to be empty, use another key prefix.';

/**
 * Decides what the new entry holds of a mount, and puts its archive there: a saved mount is only
 * ever followed by one at least as complete.
 */
export async function collect(
  kept: Kept | undefined,
  packed: Packed,
  index: number,
  mount: CacheMount,
  entry: string,
): Promise<Outcome> {
  const name = describeMount(mount);
  const report = packed.reports.get(index);
  if (report?.result === 'packed') {
    const archive = await storeArchive(packed.directory, index, report, entry);
    if (packed.isRemade(mount)) {
      notify(
        `The cache mount ${name} is not the one that inject has filled: it was made anew since, by a build with no-cache or after the builder had dropped it. It is saved as it is now.`,
      );
    }
    const row = { mount, state: 'packed', archive, seconds: report.seconds };
    return { mount, row, saved: { mount, archive }, isPacked: true };
  }
  const { what, hasFailed } = describe(report, packed.isKnown(mount));
  const restored = kept?.mounts.find((each) => identityOf(each.mount) === identityOf(mount));
  const archive =
    kept && restored
      ? await takeKeptArchive(kept.directory, index, restored.archive, entry)
      : undefined;
  if (archive) {
    return {
      mount,
      row: { mount, state: `${what}, kept as restored`, archive },
      saved: { mount, archive },
      isPacked: false,
      remark: tellKept(name, what, hasFailed, kept?.lateKey),
    };
  }
  const row = { mount, state: what };
  if (restored) {
    const remark = `The cache mount ${name} was filled by inject and is ${what} now, and what inject has restored is not at hand any more. ${causes}`;
    return { mount, row, saved: undefined, isPacked: false, remark };
  }
  if (hasFailed) {
    const remark = `The cache mount ${name} could not be packed${why(report)}.`;
    return { mount, row, saved: undefined, isPacked: false, remark };
  }
  return { mount, row, saved: { mount }, isPacked: false };
}

function tellKept(
  name: string,
  what: string,
  hasFailed: boolean,
  lateKey: string | undefined,
): string {
  if (lateKey !== undefined) {
    const state = hasFailed ? 'could not be packed' : `is ${what}`;
    return `The cache mount ${name} ${state}, and inject could not restore ${lateKey}: what that holds of it is saved again.`;
  }
  return hasFailed
    ? `The cache mount ${name} could not be packed: what inject has restored is saved again.`
    : `The cache mount ${name} was filled by inject and is ${what} now: what inject has restored is saved again. ${causes}`;
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
