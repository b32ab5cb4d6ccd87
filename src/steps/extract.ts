import { join } from 'node:path';
import { addSummary, print, setOutput, warn } from '../console/console.js';
import { plural } from '../console/format.js';
import { logStage } from '../console/log.js';
import { listMounts, type MountList } from '../discovery/mount-list.js';
import { writeManifest } from '../entry/archive.js';
import { archivesOf } from '../entry/manifest.js';
import { storeFor } from '../entry/stores/open-store.js';
import { type Store, storedDirectoryName } from '../entry/stores/store.js';
import { defaultKeyPrefix, resolveKeys } from '../inputs/generated-key.js';
import { type ExtractInputs, readExtractInputs } from '../inputs/read-inputs.js';
import { InputError, messageOf } from '../lib/errors.js';
import { describeMount, identityOf } from '../mounts/cache-mount.js';
import { describeSize } from './changes.js';
import { type ExtractRequest, resolveRequest } from './extract-request.js';
import { type InjectState, readStates, removeState } from './handover.js';
import { collect, type Outcome } from './new-entry.js';
import { type Packed, type PackRequest, pack } from './pack-mounts.js';
import { type Kept, keptByInject, restoreLate } from './previous-entry.js';
import { logMounts, logRows, type MountRow } from './result-table.js';
import { withinTime } from './run-step.js';
import { renderSummary } from './summary.js';

const notSaved = 'The cache mounts were not saved';

interface Extraction {
  readonly saved: boolean;
  readonly title: string;
  readonly rows: readonly MountRow[];
  /** Why nothing was saved, or what is not as one would expect. */
  readonly reasons: readonly string[];
  /** Until the builder is tidied up; never fails. */
  readonly tidied?: Promise<void>;
}

/**
 * Extract: takes the mounts out of the builder and saves them.
 *
 * @throws InputError on wrong input
 */
export async function extractMounts(makeWorkDirectory: () => Promise<string>): Promise<void> {
  setOutput('saved', 'false');
  const inputs = readExtractInputs();
  const { compressionLevel, incremental, stream } = inputs;
  const states = await readStates();
  const request = resolveRequest(await withKey(inputs, states), states);
  let tidied: Promise<void> | undefined;
  try {
    const list = await listRequested(request, inputs);
    logMounts(list);
    const result = await withinTime(inputs.timeout, async () =>
      extract(
        { ...request, ...list, compressionLevel, incremental, stream },
        await makeWorkDirectory(),
      ),
    ).catch(giveUp);
    tidied = result.tidied;
    setOutput('saved', String(result.saved));
    if (result.reasons.length > 0) setOutput('reason', result.reasons.join('\n'));
    if (inputs.summary) {
      const { title, rows, reasons } = result;
      addSummary(renderSummary({ title, rows, remarks: reasons, facts: [['Key', request.key]] }));
    }
  } finally {
    await Promise.all([tidied, request.state && removeState(request.state)]);
  }
}

/** What ends the step before it has begun. */
export function reportFailure(message: string): void {
  setOutput('reason', message);
}

/** A directory needs no key, and so no inject that has made one. */
async function withKey(
  inputs: ExtractInputs,
  states: readonly InjectState[],
): Promise<ExtractInputs> {
  const { key, directory, mountInputs } = inputs;
  if (key !== undefined || directory === undefined || states.length > 0) return inputs;
  const made = await resolveKeys({
    key,
    keyPrefix: defaultKeyPrefix,
    restoreKeys: [],
    mountInputs,
  });
  return { ...inputs, key: made.key };
}

async function listRequested(
  { mounts, state }: ExtractRequest,
  { mountInputs }: ExtractInputs,
): Promise<MountList> {
  if (mounts === undefined) return listMounts(mountInputs);
  return { mounts, seedStages: state?.seedStages, notices: [], warnings: [] };
}

async function extract(request: PackRequest, workDirectory: string): Promise<Extraction> {
  const { key, mounts } = request;
  const store = storeFor(request.directory);
  const entry = join(workDirectory, storedDirectoryName);
  if (mounts.length === 0) return refuse('there are no cache mounts');
  if (await logStage('Look up the key', () => store.isSaved(entry, key))) return skip(request);
  const packed = await pack(request, workDirectory);
  const result = await save(request, packed, store, entry, workDirectory).catch(giveUp);
  return { ...result, tidied: packed.tidied };
}

/** Puts what was packed, and what is kept, into an entry, and saves that. */
async function save(
  request: PackRequest,
  packed: Packed,
  store: Store,
  entry: string,
  workDirectory: string,
): Promise<Extraction> {
  const { key, mounts } = request;
  const kept = keptByInject(request.state) ?? (await keepLate(request, packed, workDirectory));
  const maximum = request.incremental.count;
  const mayRefer = store.isLasting && maximum > 0 && !(kept && areHidden(kept, key));
  const outcomes: Outcome[] = [];
  for (const [index, mount] of mounts.entries()) {
    outcomes.push(await collect({ packed, kept, entry, mayRefer, maximum }, index, mount));
  }
  logRows(outcomes.map(({ row }) => row));
  for (const { remark } of outcomes) if (remark !== undefined) warn(remark);
  const [result] = await Promise.all([
    saveEntry(request, outcomes, store, entry),
    // All that is needed of it is in the entry. (Trouble with that is reported in the end.)
    request.state && removeState(request.state).catch(() => undefined),
  ]);
  return result;
}

async function saveEntry(
  { key, incremental }: PackRequest,
  outcomes: readonly Outcome[],
  store: Store,
  entry: string,
): Promise<Extraction> {
  const missing = outcomes.flatMap(({ mount, saved }) => (saved ? [] : mount));
  if (missing.length > 0) {
    const names = missing.map(describeMount).join(', ');
    const why = `an entry without ${names} would hide what is saved, or could be, for good`;
    return refuse(why, outcomes);
  }
  if (!outcomes.some(({ isFilled }) => isFilled)) {
    const why =
      'no mount holds any file; check that the build ran, on this builder, and that the mounts are named as in the Dockerfile';
    return refuse(why, outcomes);
  }
  const saved = outcomes.flatMap((outcome) => outcome.saved ?? []);
  await writeManifest(entry, saved);
  const result = await logStage('Save to the cache', () => store.save(entry, key));
  if (!result.saved) return refuse(result.why, outcomes);
  const size = describeSize(saved, incremental);
  print(`Saved ${size} under the key ${key}.`);
  const count = saved.filter(({ archive }) => archive).length;
  return {
    saved: true,
    title: `${plural(count, 'cache mount')} saved, ${size}`,
    ...tell(outcomes),
  };
}

/**
 * Whether entries that hold what was restored cannot be found behind a new one. Asked for a key, GitHub
 * answers with what begins with it on the job's own branch, before it looks on the default branch for just
 * that key: https://docs.github.com/en/actions/reference/workflows-and-actions/dependency-caching
 */
function areHidden({ mounts }: Kept, newKey: string): boolean {
  return mounts.flatMap(archivesOf).some(({ entry = newKey }) => newKey.startsWith(entry));
}

/** Where inject has restored nothing, and the build has filled only some of the mounts. */
async function keepLate(
  { state, mounts, directory }: PackRequest,
  { reports }: Packed,
  workDirectory: string,
): Promise<Kept | undefined> {
  const filled = [...reports.values()].filter(({ result }) => result === 'packed').length;
  return state && filled > 0 && filled < mounts.length
    ? restoreLate(storeFor(directory), state, mounts, workDirectory)
    : undefined;
}

function skip({ key, mounts, state }: PackRequest): Extraction {
  print(`The key ${key} is saved already, nothing to do.`);
  const reasons = ['the key is saved already'];
  if (state?.restored?.key === key) {
    const held = new Set(state.restored.mounts.map(({ mount }) => identityOf(mount)));
    const lacking = mounts.filter((mount) => !held.has(identityOf(mount)));
    if (lacking.length > 0) {
      const remark = `The saved entry ${key} lacks ${lacking.map(describeMount).join(', ')}, and a saved key is never changed. Use a key that changes with the Dockerfile: add \${{ hashFiles('Dockerfile') }} to it.`;
      warn(remark);
      reasons.push(remark);
    }
  }
  return { saved: false, title: 'Cache mounts: nothing to save', rows: [], reasons };
}

function giveUp(error: unknown): Extraction {
  if (error instanceof InputError) throw error;
  warn(messageOf(error));
  return { saved: false, title: notSaved, rows: [], reasons: [messageOf(error)] };
}

function refuse(why: string, outcomes: readonly Outcome[] = []): Extraction {
  warn(`Nothing was saved: ${why}.`);
  const { rows, reasons } = tell(outcomes);
  return {
    saved: false,
    title: notSaved,
    rows,
    reasons: [why, ...reasons],
  };
}

function tell(outcomes: readonly Outcome[]): Pick<Extraction, 'rows' | 'reasons'> {
  return {
    rows: outcomes.map(({ row }) => row),
    reasons: outcomes.flatMap(({ remark }) => remark ?? []),
  };
}
