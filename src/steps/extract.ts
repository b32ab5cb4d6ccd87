import { join } from 'node:path';
import { lookUpImages } from '../builder/image-config.js';
import { listRecords } from '../builder/list-records.js';
import { isHeld } from '../builder/records.js';
import { accessRegistries } from '../builder/registry-access.js';
import { addSummary, listAnnotations, print, setOutput, warn } from '../console/console.js';
import { formatBytes, plural } from '../console/format.js';
import { logStage } from '../console/log.js';
import { findBuilds } from '../discovery/builds.js';
import { areGiven } from '../discovery/mount-inputs.js';
import { listMounts, type MountList } from '../discovery/mount-list.js';
import { writeManifest } from '../entry/archive.js';
import {
  archivesOf,
  type Manifest,
  nameGaps,
  type SavedMount,
  totalOf,
} from '../entry/manifest.js';
import { openStore } from '../entry/stores/open-store.js';
import { type PushArchives, type Store, storedDirectoryName } from '../entry/stores/store.js';
import { resolveKeys } from '../inputs/generated-key.js';
import type { GetInput } from '../inputs/get-input.js';
import { defaultKeyPrefix } from '../inputs/input-definitions.js';
import { keyedBuildOf } from '../inputs/keyed-build.js';
import { type ExtractInputs, readExtractInputs, type SizeInputs } from '../inputs/read-inputs.js';
import { InputError, messageOf } from '../lib/errors.js';
import type { Surroundings } from '../lib/surroundings.js';
import { describeMount, identityOf } from '../mounts/cache-mount.js';
import { measureBuild, weigh } from './balance.js';
import { type Balance, nextCold, tellBalance } from './build-time.js';
import { tellOfUnknown } from './exclusions.js';
import {
  type ExtractRequest,
  findCandidates,
  type PackRequest,
  resolveRequest,
} from './extract-request.js';
import { type Figure, secondsSoFar, timesSoFar } from './figures.js';
import { type InjectState, readStates } from './handover.js';
import { describeNothingNew, describeSize } from './incremental.js';
import { type InjectNote, readNote } from './inject-note.js';
import { learnMounts } from './learn-mounts.js';
import { type ExtractedMount, fillEntry } from './new-entry.js';
import { type PackResult, pack } from './pack-mounts.js';
import { areHidden, findPrevious } from './previous-entry.js';
import { logMounts, logRows, type MountRow } from './result-table.js';
import { withinTime } from './run-step.js';
import { renderSummary } from './summary.js';
import { finishState } from './this-job.js';

const notSaved = 'The cache mounts were not saved';

/** The results that are shown to the user. */
interface ToldOutcomes {
  readonly rows: readonly MountRow[];
  /** Why nothing was saved, or facts that the user would not expect. */
  readonly reasons: readonly string[];
}

interface ExtractResult extends ToldOutcomes {
  readonly saved: boolean;
  readonly title: string;
  /** The compressed bytes that were put into the cache. */
  readonly savedBytes: number;
  /** The compressed bytes of all that the entry stands for; undefined: there is none. */
  readonly totalBytes?: number;
  /** What the cache brings and costs; undefined: no inject has run. */
  readonly balance?: Balance;
  /** Done when the builder is tidied up; never fails. */
  readonly tidied?: Promise<void>;
}

/**
 * Extract: takes the mounts out of the builder and saves them.
 *
 * @throws InputError on wrong input
 */
export async function extractMounts(
  surroundings: Surroundings,
  getInput: GetInput,
  makeWorkDirectory: () => string,
): Promise<void> {
  setOutput('saved', 'false');
  setOutput('saved-bytes', '0');
  const inputs = readExtractInputs(getInput, surroundings);
  const candidates = findCandidates(inputs, await readStates(surroundings));
  if (!inputs.save) return saveNothing(surroundings, candidates);
  let request: ExtractRequest | undefined;
  let tidied: Promise<void> | undefined;
  try {
    const result = await withinTime(inputs.timeout, async ({ deadline, ended }) => {
      let own: Promise<MountList> | undefined;
      const listOwn = () => {
        own ??= listOwnMounts(surroundings, inputs);
        return own;
      };
      request = await resolve(surroundings, inputs, candidates, listOwn);
      const list = await listRequested(request, listOwn);
      logMounts(list);
      const { compressionLevel, incremental, stream } = inputs;
      const access = accessRegistries(surroundings, request.builder);
      const store = openStore(request.storeLocation, { ended, access });
      const platform = request.platform ?? list.platform;
      const note = request.state && (await readNote(surroundings, request.state.key));
      const { keepsImages } = store;
      const savingInputs = { compressionLevel, incremental, stream, surroundings, keepsImages };
      const sizes = chooseSizes(inputs, note);
      const asked = { ...request, ...list, platform, ...savingInputs, ...sizes, deadline };
      for (const warning of tellOfUnknown(inputs.exclude, list.mounts)) warn(warning);
      return extract(asked, note, store, makeWorkDirectory());
    }).catch(giveUp);
    tidied = result.tidied;
    tellResult(inputs, request?.key, result);
  } finally {
    await Promise.all([tidied, request?.state && finishState(surroundings, request.state)]);
  }
}

function tellResult(inputs: ExtractInputs, key: string | undefined, result: ExtractResult): void {
  const { saved, savedBytes, totalBytes, balance, reasons } = result;
  setOutput('saved', String(saved));
  setOutput('saved-bytes', String(savedBytes));
  if (totalBytes !== undefined) setOutput('total-bytes', String(totalBytes));
  if (balance !== undefined) print(tellBalance(balance));
  if (balance?.time.kind === 'build') {
    setOutput('build-seconds', balance.time.seconds.toFixed(1));
  }
  if (reasons.length > 0) setOutput('reason', reasons.join('\n'));
  if (inputs.summary) addSummary(summaryOf(key, result));
}

function summaryOf(key: string | undefined, result: ExtractResult): string {
  const { title, rows, reasons, saved, savedBytes, totalBytes, balance } = result;
  const annotations = listAnnotations();
  // A warning says most of them in a whole sentence.
  const others = reasons.filter((reason) => !annotations.some((each) => each.includes(reason)));
  const sizes: Figure[] = [
    ...(saved ? [['Saved', formatBytes(savedBytes)] as const] : []),
    ...(totalBytes === undefined ? [] : [['In the cache', formatBytes(totalBytes)] as const]),
  ];
  return renderSummary({
    ...{ title, rows, remarks: [...others, ...annotations] },
    facts: key === undefined ? [] : [['Key', key]],
    figures: [...sizes, timesSoFar()],
    ...(balance && { lead: tellBalance(balance) }),
  });
}

/** Asks neither the builder nor the store for anything. */
async function saveNothing(
  surroundings: Surroundings,
  [state, ...others]: readonly InjectState[],
): Promise<void> {
  const why = 'save is false';
  print(`Nothing is saved: ${why}.`);
  setOutput('reason', why);
  if (state && others.length === 0) await finishState(surroundings, state);
}

/** Gives the reason if an error ends the step before it has begun. */
export function reportFailure(message: string): void {
  setOutput('reason', message);
}

/** @throws Error if it stays open which inject is meant */
async function resolve(
  surroundings: Surroundings,
  inputs: ExtractInputs,
  candidates: readonly InjectState[],
  listOwn: () => Promise<MountList>,
): Promise<ExtractRequest> {
  const [first, ...others] = candidates;
  const state = others.length === 0 ? first : await askBuilder(surroundings, inputs, candidates);
  return resolveRequest(inputs, state, async () =>
    generateKey(surroundings, inputs, await listOwn()),
  );
}

/** The key that an inject without inputs for the key would have made. */
async function generateKey(
  surroundings: Surroundings,
  { mountInputs }: ExtractInputs,
  list: MountList,
): Promise<string> {
  const wanted = { key: undefined, keyPrefix: defaultKeyPrefix, restoreKeys: [] };
  const build = keyedBuildOf(mountInputs, surroundings.workspace, list.bake);
  return (await resolveKeys(wanted, build, list, surroundings)).key;
}

/**
 * Finds the only inject, of several, of which the builder has a mount.
 *
 * @throws Error if there is none, or more than one, or if the builder does not tell
 */
async function askBuilder(
  surroundings: Surroundings,
  { builder }: ExtractInputs,
  states: readonly InjectState[],
): Promise<InjectState> {
  const built = await Promise.all(
    states.map(async (state) => {
      const { mounts } = state;
      const name = builder ?? state.builder ?? state.foundBuilder;
      const records = await listRecords(surroundings, { name }, mounts).catch(messageOf);
      const isBuilt = typeof records === 'string' || mounts.some((each) => isHeld(each, records));
      return isBuilt ? [state] : [];
    }),
  );
  const [only, ...others] = built.flat();
  if (only === undefined || others.length > 0) {
    throw new Error(
      `This job has several injects (${states.map(({ key }) => key).join(', ')}): give the input key of the one that this extract belongs to.`,
    );
  }
  print(
    `Of the injects of this job, the builder has mounts of just that with the key ${only.key}.`,
  );
  return only;
}

async function listRequested(
  { mounts, state }: ExtractRequest,
  listOwn: () => Promise<MountList>,
): Promise<MountList> {
  if (mounts === undefined) return listOwn();
  const { seedStages, platform, others = [], hint, leftOut = [], ofGaps = [] } = state ?? {};
  return {
    ...{ mounts, seedStages, platform, others, hint, leftOut, ofGaps },
    ...{ keyedMounts: mounts, gaps: [] },
    ...{ bake: undefined, notices: [], warnings: [] },
  };
}

/**
 * Lists the mounts according to extract's own inputs.
 *
 * @throws InputError if an input of this step is wrong; Error if there is no input and no inject
 */
async function listOwnMounts(
  surroundings: Surroundings,
  { mountInputs, builder }: ExtractInputs,
): Promise<MountList> {
  try {
    return await listMounts(mountInputs, await findBuilds(mountInputs, surroundings), (images) =>
      lookUpImages(surroundings, builder, images),
    );
  } catch (error) {
    if (areGiven(mountInputs)) throw error;
    throw new Error(
      `No inject has run before in this job, or what it has left is gone. ${messageOf(error)}`,
    );
  }
}

/** Takes from inject what extract's own inputs leave out. */
function chooseSizes({ exclude, maxSize }: SizeInputs, note: InjectNote | undefined): SizeInputs {
  return {
    exclude: exclude.length > 0 ? exclude : (note?.exclude ?? []),
    maxSize: maxSize ?? note?.maxSize,
  };
}

async function extract(
  request: PackRequest,
  note: InjectNote | undefined,
  store: Store,
  workDirectory: string,
): Promise<ExtractResult> {
  const { key, mounts, leftOut } = request;
  const directory = join(workDirectory, storedDirectoryName);
  if (mounts.length + leftOut.length === 0) return refuse('there are no cache mounts');
  if (store.absence !== undefined) return refuse(store.absence);
  const measured = note && measureBuild(request, note);
  const weighNow = async (asked: PackRequest, packed?: PackResult) =>
    note && measured && weigh(asked, note, await measured, packed);
  if ((await logStage('Look up the key', () => store.isSaved(key))) && !isToReplace(request))
    return withBalance(skip(request), note, await weighNow(request));
  const all = await learnMounts(request);
  if (all.mounts.length === 0) return refuse('no cache mount is known');
  const packed = await pack(all, workDirectory);
  const known = await weighNow(all, packed);
  const coldBuild = note && known && nextCold(known, today(), note.build);
  const facts = coldBuild === undefined ? {} : { coldBuild };
  const result = await save(all, packed, store, directory, workDirectory, facts).catch(giveUp);
  return { ...withBalance(result, note, known), tidied: packed.tidy() };
}

/** Whether inject has found that the entry of this key cannot be used as a whole. */
function isToReplace({ key, state }: PackRequest): boolean {
  const isIncomplete = state?.restored?.key === key && state.restored.isIncomplete === true;
  if (isIncomplete) print(`The entry ${key} could not be pulled as a whole: it is saved anew.`);
  return isIncomplete;
}

function withBalance(
  result: ExtractResult,
  note: InjectNote | undefined,
  known: ReturnType<typeof weigh> | undefined,
): ExtractResult {
  if (!note || !known) return result;
  const stepSeconds = note.seconds + secondsSoFar();
  return { ...result, balance: { ...known, isSaved: result.saved, stepSeconds } };
}

function today(): string {
  return new Date().toISOString().slice(0, 10);
}

/** Puts the archives that were packed or kept into an entry, and saves it. */
async function save(
  request: PackRequest,
  packed: PackResult,
  store: Store,
  directory: string,
  workDirectory: string,
  facts: Pick<Manifest, 'coldBuild'>,
): Promise<ExtractResult> {
  const { key } = request;
  const packedCount = packed.mounts.filter(({ report }) => report?.result === 'packed').length;
  const previous = await findPrevious(store, request, packedCount, workDirectory);
  const { maxSize } = request;
  const maximum = request.incremental.count;
  const isVisible = maximum > 0 && !(previous && areHidden(previous, key));
  const mayRefer = store.keepsImages || (store.isLasting && isVisible);
  const outcomes = await fillEntry({ packed, previous, directory, mayRefer, maximum, maxSize });
  const obstacle = findObstacle(outcomes);
  const saved = nameGaps(listSaved(outcomes), request.ofGaps);
  const [refusal] = await Promise.all([
    obstacle ?? saveEntry(key, { ...facts, mounts: saved }, store, directory, packed.push),
    // All that is needed of the state is in the entry. (The removal at the end reports trouble.)
    request.state && finishState(request.surroundings, request.state).catch(() => undefined),
  ]);
  // Only now it is known whether anything is kept.
  const final = refusal === undefined ? outcomes : outcomes.map(asNothingIsSaved);
  logRows(final.map(({ row }) => row));
  for (const { remark } of final) if (remark !== undefined) warn(remark);
  return refusal === undefined ? tellOfSaved(request, final) : refuse(refusal, final);
}

function asNothingIsSaved(outcome: ExtractedMount): ExtractedMount {
  const { row, remark } = outcome.ifNothingIsSaved ?? outcome;
  const { cached: _, ...others } = row;
  return { ...outcome, row: others, ...(remark === undefined ? {} : { remark }) };
}

/** Why these mounts cannot be saved; undefined if they can. */
function findObstacle(outcomes: readonly ExtractedMount[]): string | undefined {
  const missing = outcomes.flatMap(({ mount, saved }) => (saved ? [] : mount));
  if (missing.length > 0) {
    const names = missing.map(describeMount).join(', ');
    return `an entry without ${names} would hide what is saved, or could be, for good`;
  }
  return outcomes.some(({ isFilled }) => isFilled)
    ? undefined
    : 'no mount holds any file; check that the build ran, on this builder, and that the mounts are named as in the Dockerfile; put inject, or the single step, behind docker/setup-buildx-action';
}

/** @returns why the entry was not saved; undefined if it was */
async function saveEntry(
  key: string,
  manifest: Manifest,
  store: Store,
  directory: string,
  push: PushArchives | undefined,
): Promise<string | undefined> {
  await writeManifest(directory, manifest);
  const result = await logStage('Save to the cache', () => store.save(directory, key, push));
  return result.saved ? undefined : result.why;
}

function listSaved(outcomes: readonly ExtractedMount[]): SavedMount[] {
  return outcomes.flatMap((outcome) => outcome.saved ?? []);
}

function tellOfSaved(
  { key, incremental }: PackRequest,
  outcomes: readonly ExtractedMount[],
): ExtractResult {
  const saved = listSaved(outcomes);
  const archives = saved.flatMap(archivesOf);
  const own = archives.filter(({ entryKey }) => entryKey === undefined);
  const size = describeSize(saved, incremental);
  const nothingNew = describeNothingNew(saved);
  print(
    nothingNew
      ? `${nothingNew}, now under the key ${key} too.`
      : `Saved ${size} under the key ${key}.`,
  );
  const count = saved.filter(({ archive }) => archive).length;
  return {
    saved: true,
    title: nothingNew ?? `${plural(count, 'cache mount')} saved, ${size}`,
    savedBytes: totalOf(own).compressedBytes,
    totalBytes: totalOf(archives).compressedBytes,
    ...tell(outcomes),
  };
}

function skip({ key, mounts, state }: PackRequest): ExtractResult {
  const isGenerated = state?.isKeyGenerated ?? false;
  print(
    isGenerated
      ? `The key ${key} is saved already, nothing to do. Builds that differ only in build-args need a key-prefix each.`
      : `The key ${key} is saved already, nothing to do.`,
  );
  const reasons = ['the key is saved already'];
  if (state?.restored?.key === key) {
    const held = new Set(state.restored.mounts.map(({ mount }) => identityOf(mount)));
    const lacking = mounts.filter((mount) => !held.has(identityOf(mount)));
    if (lacking.length > 0) {
      const remedy = isGenerated
        ? 'If another build has saved it, give each a key-prefix of its own.'
        : "Use a key that changes with the Dockerfile: add ${{ hashFiles('Dockerfile') }} to it.";
      const remark = `The saved entry ${key} lacks ${lacking.map(describeMount).join(', ')}, and a saved key is never changed. ${remedy}`;
      warn(remark);
      reasons.push(remark);
    }
  }
  const rows = listAsSaved({ key, mounts, state });
  logRows(rows);
  const sizes = rows.flatMap(({ cached }) => cached ?? []);
  return {
    ...{ saved: false, title: 'Cache mounts: nothing to save', rows, reasons, savedBytes: 0 },
    ...(sizes.length > 0 && { totalBytes: totalOf(sizes).compressedBytes }),
  };
}

/** The mounts in an entry that is saved already, if inject has restored just that one. */
function listAsSaved({ key, mounts, state }: Pick<PackRequest, 'key' | 'mounts' | 'state'>) {
  const restored = state?.restored?.key === key ? state.restored.mounts : [];
  const asked = new Set(mounts.map(identityOf));
  return restored
    .filter(({ mount }) => asked.has(identityOf(mount)))
    .map((saved): MountRow => {
      const cached = totalOf(archivesOf(saved));
      return { mount: saved.mount, state: 'saved already', cached };
    });
}

function giveUp(error: unknown): ExtractResult {
  if (error instanceof InputError) throw error;
  warn(messageOf(error));
  return { saved: false, title: notSaved, rows: [], reasons: [messageOf(error)], savedBytes: 0 };
}

function refuse(why: string, outcomes: readonly ExtractedMount[] = []): ExtractResult {
  warn(`Nothing was saved: ${why}.`);
  const { rows, reasons } = tell(outcomes);
  return {
    saved: false,
    title: notSaved,
    rows,
    reasons: [why, ...reasons],
    savedBytes: 0,
  };
}

function tell(outcomes: readonly ExtractedMount[]): ToldOutcomes {
  return {
    rows: outcomes.map(({ row }) => row),
    reasons: outcomes.flatMap(({ remark }) => remark ?? []),
  };
}
