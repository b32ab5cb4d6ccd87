import { join } from 'node:path';
import * as core from '@actions/core';
import { storeArchive, takeKeptArchive, writeManifest } from './archive.js';
import { type CacheMount, describeMount, identityOf } from './cache-mount.js';
import { resolveRequest } from './extract-request.js';
import { formatBytes } from './format.js';
import { readExtractInputs } from './inputs.js';
import { logMounts, logRows, logStage, logText, type MountRow } from './log.js';
import type { SavedMount } from './manifest.js';
import { listMounts } from './mount-list.js';
import { type Packed, type PackRequest, pack } from './pack.js';
import type { MountReport } from './report.js';
import { type InjectState, keptArchives, readStates, removeState } from './state.js';
import { runStep, withinTime } from './step.js';
import { isSaved, save, storedDirectoryName } from './store.js';

interface Result {
  readonly saved: boolean;
  /** Why nothing was saved, or what is not as one would expect. */
  readonly reasons: readonly string[];
}

/** What becomes of one mount in the new entry. */
interface Outcome {
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

await runStep(
  async (makeWorkDirectory) => {
    core.setOutput('saved', 'false');
    const inputs = readExtractInputs();
    const request = resolveRequest(inputs, await readStates());
    try {
      const list = request.mounts
        ? {
            mounts: request.mounts,
            seedStages: request.state?.seedStages,
            notices: [],
            warnings: [],
          }
        : await listMounts(inputs.mountInputs);
      logMounts(list);
      const workDirectory = await makeWorkDirectory();
      const { saved, reasons } = await withinTime(inputs.timeout, () =>
        extract({ ...request, ...list }, workDirectory),
      );
      core.setOutput('saved', String(saved));
      if (reasons.length > 0) core.setOutput('reason', reasons.join('\n'));
    } finally {
      if (request.state) await removeState(request.state);
    }
  },
  (failure) => core.setOutput('reason', failure),
);

/** Takes the mounts out of the builder and saves them. */
async function extract(request: PackRequest, workDirectory: string): Promise<Result> {
  const { key, mounts } = request;
  const entry = join(workDirectory, storedDirectoryName);
  if (mounts.length === 0) return { saved: false, reasons: ['there are no cache mounts'] };
  if (await logStage('Look up the key', () => isSaved(entry, key))) return skip(request);
  const packed = await pack(request, workDirectory);
  const outcomes: Outcome[] = [];
  for (const [index, mount] of mounts.entries()) {
    outcomes.push(await collect(request, packed, index, mount, entry));
  }
  logRows(outcomes.map(({ row }) => row));
  const remarks = outcomes.flatMap(({ remark }) => remark ?? []);
  for (const remark of remarks) core.warning(remark);
  const missing = outcomes.flatMap(({ mount, saved }) => (saved ? [] : mount));
  if (missing.length > 0) {
    return refuse(
      `an entry without ${missing.map(describeMount).join(', ')} would hide what is saved, or could be, for good`,
      remarks,
    );
  }
  if (!outcomes.some(({ isPacked }) => isPacked)) {
    return refuse(
      'no mount holds any file; check that the build ran, on this builder, and that the mounts are named as in the Dockerfile',
      remarks,
    );
  }
  const saved = outcomes.flatMap((outcome) => outcome.saved ?? []);
  await writeManifest(entry, saved);
  const result = await logStage('Save to the cache', () => save(entry, key));
  if (!result.saved) return refuse(result.why, remarks);
  const sizes = saved.map(({ archive }) => archive?.compressedBytes ?? 0);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  logText(`Saved ${formatBytes(total)} under the key ${key}.`);
  return { saved: true, reasons: remarks };
}

function skip({ key, mounts, state }: PackRequest): Result {
  logText(`The key ${key} is saved already, nothing to do.`);
  if (state?.restored?.key === key) {
    const held = new Set(state.restored.mounts.map(({ mount }) => identityOf(mount)));
    const lacking = mounts.filter((mount) => !held.has(identityOf(mount)));
    if (lacking.length > 0) {
      core.warning(
        `The saved entry ${key} lacks ${lacking.map(describeMount).join(', ')}, and a saved key is never changed. Use a key that changes with the Dockerfile: add \${{ hashFiles('Dockerfile') }} to it.`,
      );
    }
  }
  return { saved: false, reasons: ['the key is saved already'] };
}

function refuse(why: string, remarks: readonly string[]): Result {
  core.warning(`Nothing was saved: ${why}.`);
  return { saved: false, reasons: [why, ...remarks] };
}

/**
 * Decides what the new entry holds of a mount, and puts its archive there: a saved mount is only
 * ever followed by one at least as complete.
 */
async function collect(
  { state }: PackRequest,
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
      core.notice(
        `The cache mount ${name} is not the one that inject has filled: it was made anew since, by a build with no-cache or after the builder had dropped it. It is saved as it is now.`,
      );
    }
    const row = { mount, state: 'packed', archive, seconds: report.seconds };
    return { mount, row, saved: { mount, archive }, isPacked: true };
  }
  const { what, hasFailed } = describe(report, packed.isKnown(mount));
  const restored = findRestored(state, mount);
  const archive =
    state && restored
      ? await takeKeptArchive(keptArchives(state.key), index, restored.archive, entry)
      : undefined;
  if (archive) {
    return {
      mount,
      row: { mount, state: `${what}, kept as restored`, archive },
      saved: { mount, archive },
      isPacked: false,
      remark: `The cache mount ${name} ${hasFailed ? 'could not be packed' : `was filled by inject and is ${what} now`}: what inject has restored is saved again.${hasFailed ? '' : ` ${causes}`}`,
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

function describe(
  report: MountReport | undefined,
  isKnown: boolean,
): { readonly what: string; readonly hasFailed: boolean } {
  if (!isKnown) return { what: 'absent', hasFailed: false };
  if (report?.result === 'empty') return { what: 'empty', hasFailed: false };
  return { what: 'failed', hasFailed: true };
}

function why(report: MountReport | undefined): string {
  return report?.result === 'unusable'
    ? `: there is no ${report.missing}`
    : ' (the log above says why)';
}

function findRestored(state: InjectState | undefined, mount: CacheMount) {
  const identity = identityOf(mount);
  return state?.restored?.mounts.find((each) => identityOf(each.mount) === identity);
}
