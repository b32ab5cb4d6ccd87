import { join } from 'node:path';
import { readCurrentBuilder } from '../builder/builder-address.js';
import { lookUpImages } from '../builder/image-config.js';
import type { MountReport } from '../builder/mount-report.js';
import { accessRegistries, whyNotPushing } from '../builder/registry-access.js';
import { whyNotGnuTar } from '../builder/runner-programs.js';
import { addSummary, listAnnotations, notify, print, setOutput, warn } from '../console/console.js';
import { plural } from '../console/format.js';
import { logStage } from '../console/log.js';
import { findBuilds } from '../discovery/builds.js';
import { listMounts, type MountList } from '../discovery/mount-list.js';
import { type ArchivesForMount, selectArchives } from '../entry/archive.js';
import {
  type ArchiveSize,
  archivesOf,
  type Manifest,
  type SavedMount,
  totalOf,
} from '../entry/manifest.js';
import type { OpenEntry } from '../entry/open-entry.js';
import { openStore } from '../entry/stores/open-store.js';
import { storedDirectoryName } from '../entry/stores/store.js';
import { hashNames, resolveKeys } from '../inputs/generated-key.js';
import type { GetInput } from '../inputs/get-input.js';
import { keyedBuildOf } from '../inputs/keyed-build.js';
import { type InjectInputs, readInjectInputs, type SizeInputs } from '../inputs/read-inputs.js';
import { InputError, messageOf } from '../lib/errors.js';
import type { Surroundings } from '../lib/surroundings.js';
import { linkFile } from '../lib/work-directory.js';
import {
  areSameMounts,
  type CacheMount,
  describeMount,
  identityOf,
} from '../mounts/cache-mount.js';
import type { LeftOutMount, MountOfGap } from '../mounts/gap.js';
import { coldBuildOf } from './balance.js';
import { tellOfUnknown } from './exclusions.js';
import { describeRestored, type Figure, secondsSoFar, timesSoFar } from './figures.js';
import {
  type InjectRequest,
  prepare,
  type ReadyBuilder,
  type UnpackResult,
  unpack,
} from './fill-mounts.js';
import { type InjectState, keptArchives, readStates, writeState } from './handover.js';
import { writeNote } from './inject-note.js';
import { checkArchives, listRestored, outcomeOf } from './inject-outcomes.js';
import { adoptMounts, stillLeftOut } from './learn-mounts.js';
import { tellOfNewBeginning } from './mount-size.js';
import { restoreEntry, type UnusableEntry } from './restore-entry.js';
import { logMiss, logMounts, logRows, type MountOutcome, type MountRow } from './result-table.js';
import { withinTime } from './run-step.js';
import { renderSummary } from './summary.js';
import { recallJob } from './this-job.js';

const notRestored = 'The cache mounts were not restored';

const firstRun =
  'A first run is always like this: its build fills the cache mounts, they are saved after it, and the next run restores them.';

interface MatchedEntry {
  readonly key: string;
  /** Its name in the summary, if it is not the key that was asked for. */
  readonly label: string;
}

interface InjectResult {
  readonly title: string;
  /** The entry that was found. */
  readonly matched: MatchedEntry | undefined;
  readonly rows: readonly MountRow[];
  /** Facts that the user would not expect. */
  readonly remarks: readonly string[];
  /** What a user may want to know, beside what is warned of. */
  readonly hint?: string;
  /** Whether mounts were not restored because they are too large. */
  readonly isBegunAnew?: boolean;
  /** The entry that was unpacked. */
  readonly manifest?: Manifest;
  /** How many mounts were filled. */
  readonly filled: number;
  /** Whether the entry has exactly the key, and all of it that was named could be used. */
  readonly isHit: boolean;
  /** The mounts that were left out, and that the entry has told. */
  readonly adopted?: readonly MountOfGap[];
}

/**
 * Inject: restores the saved mounts into the builder.
 *
 * @returns the key that extract saves them under
 * @throws InputError on wrong input, or if nothing was filled and that is to fail the step
 */
export async function injectMounts(
  surroundings: Surroundings,
  getInput: GetInput,
  makeWorkDirectory: () => string,
): Promise<string> {
  const inputs = readInjectInputs(getInput, surroundings);
  setOutput('cache-hit', 'false');
  setOutput('restored-count', '0');
  setOutput('restored-bytes', '0');
  const listedAt = Date.now();
  const list = await listDeclared(surroundings, inputs);
  const build = keyedBuildOf(inputs.mountInputs, surroundings.workspace, list.bake);
  const keys = await resolveKeys(inputs, build, list, surroundings);
  setOutput('cache-primary-key', keys.key);
  logMounts(list);
  for (const warning of tellOfUnknown(inputs.exclude, list.mounts)) warn(warning);
  const result = await withinTime(inputs.timeout, async ({ deadline, ended }) => {
    const access = accessRegistries(surroundings, inputs.builder);
    const store = openStore(inputs.storeLocation, { ended, access });
    const states = await readStates(surroundings);
    const job = recallJob(surroundings, states);
    const request = { ...inputs, ...keys, ...list, listedAt, store, deadline, surroundings, job };
    warnOfSameKey(request, states);
    return inject(request, makeWorkDirectory());
  }).catch((error: unknown) => {
    if (error instanceof InputError) throw error;
    return cold(notRestored, [messageOf(error)]);
  });
  const adopted = result.adopted ?? [];
  tellOfLeftOut(stillLeftOut(list.leftOut, adopted));
  const { hash } = hashNames(build.names);
  const mounts = [...list.mounts, ...adopted.map(({ mount }) => mount)];
  await leaveNote(surroundings, keys.key, inputs, mounts, hash, result);
  tellResult(inputs, keys.key, result);
  if (inputs.failOnCacheMiss && result.filled === 0 && !result.isBegunAnew) {
    throw new InputError('No cache mount was filled, and fail-on-cache-miss is set.');
  }
  return keys.key;
}

async function listDeclared(
  surroundings: Surroundings,
  { mountInputs, builder }: InjectInputs,
): Promise<MountList> {
  const builds = await findBuilds(mountInputs, surroundings);
  return listMounts(mountInputs, builds, (images) => lookUpImages(surroundings, builder, images));
}

function tellResult(inputs: InjectInputs, key: string, result: InjectResult): void {
  for (const remark of result.remarks) warn(remark);
  logRows(result.rows);
  if (result.hint !== undefined) print(result.hint);
  const restored = totalOf(result.rows.flatMap(({ archive }) => archive ?? []));
  setOutput('cache-hit', String(result.isHit));
  setOutput('restored-count', String(result.filled));
  setOutput('restored-bytes', String(restored.compressedBytes));
  if (inputs.summary) addSummary(summaryOf(key, result, restored));
}

function tellOfLeftOut(leftOut: readonly LeftOutMount[]): void {
  for (const { message } of leftOut) warn(message);
  if (leftOut.length > 0) {
    print(
      'Extract looks on the builder for what was left out here, and saves it for the next run.',
    );
  }
}

async function leaveNote(
  surroundings: Surroundings,
  key: string,
  { exclude, maxSize }: SizeInputs,
  mounts: readonly CacheMount[],
  build: string,
  { manifest }: InjectResult,
): Promise<void> {
  await writeNote(surroundings, key, {
    seconds: secondsSoFar(),
    endedAt: Date.now(),
    build,
    coldBuild: manifest && coldBuildOf(manifest, mounts, build),
    exclude,
    maxSize,
  });
}

function summaryOf(key: string, result: InjectResult, restored: ArchiveSize): string {
  const { title, rows, hint, filled } = result;
  const sizes: Figure[] = filled > 0 ? [['Restored', describeRestored(restored)]] : [];
  return renderSummary({
    ...{ title, rows, facts: factsOf(key, result) },
    figures: [...sizes, timesSoFar()],
    remarks: [...listAnnotations(), ...(hint === undefined ? [] : [hint])],
  });
}

function factsOf(key: string, { matched }: InjectResult): [name: string, value: string][] {
  if (matched === undefined) return [['Key', key]];
  if (matched.key === key) return [['Key (exact hit)', key]];
  return [
    ['Key', key],
    [matched.label, matched.key],
  ];
}

/** The result if nothing was restored. */
function cold(
  title: string,
  remarks: readonly string[] = [],
  matched?: MatchedEntry,
): InjectResult {
  return { title, rows: [], remarks, filled: 0, isHit: false, matched };
}

async function inject(request: InjectRequest, workDirectory: string): Promise<InjectResult> {
  const { store, key, restoreKeys, mounts, leftOut } = request;
  // Also if there is nothing to do, because extract without inputs reads the state.
  await writeState(request.surroundings, stateOf(request));
  if (mounts.length + leftOut.length === 0) return cold('There are no cache mounts');
  if (store.absence !== undefined) return cold(notRestored, [`${notRestored}: ${store.absence}.`]);
  // Only a builder that can push is of use, which is known only if it is asked.
  const early = store.keepsImages ? prepareToPull(request, workDirectory) : undefined;
  const found = await logStage('Look up the key', () => store.find(key, restoreKeys));
  await early;
  if (found === undefined) {
    print(`Nothing was found for the key ${key}: the build starts cold.`);
    logMiss(request);
    await rememberBuilder(request);
    return {
      ...cold('No saved cache mounts were found'),
      rows: notSavedYet(mounts),
      hint: firstRun,
    };
  }
  const ready = early ?? prepare(request, workDirectory);
  try {
    return await injectFound(request, found, ready, workDirectory);
  } finally {
    (await ready.catch(() => undefined))?.early?.cancel();
  }
}

async function injectFound(
  request: InjectRequest,
  found: string,
  ready: Promise<ReadyBuilder>,
  workDirectory: string,
): Promise<InjectResult> {
  const { store, mounts, leftOut } = request;
  ready.catch(() => undefined); // unpack throws the error, if it needs the builder
  setOutput('cache-matched-key', found);
  const restored = await restoreEntry(request, found, join(workDirectory, storedDirectoryName));
  const prepared = await ready.catch(() => undefined);
  const adopted = 'trouble' in restored ? [] : adoptMounts(leftOut, mounts, restored.manifest);
  const all = withAdopted(request, adopted);
  const state = { ...stateOf(all), foundBuilder: prepared?.builder.name || undefined };
  await writeState(request.surroundings, state);
  if ('trouble' in restored) {
    const remark = `${restored.trouble}.${tellOfTar(restored, prepared)}${remedyFor(request, restored.key)}`;
    return cold(notRestored, [remark], { key: restored.key, label: store.otherKeyLabel });
  }
  return { ...(await fill(all, state, restored, ready, workDirectory)), adopted };
}

/** @throws InputError if the builder cannot push; and the errors of {@link prepare} */
function prepareToPull(request: InjectRequest, workDirectory: string): Promise<ReadyBuilder> {
  const checked = prepare(request, workDirectory).then(async (ready) => {
    const obstacle = await whyNotPushing(request.surroundings, ready.builder);
    if (obstacle !== undefined) throw new InputError(`Input registry: ${obstacle}`);
    return ready;
  });
  checked.catch(() => undefined); // thrown to who waits for it
  return checked;
}

function withAdopted(request: InjectRequest, adopted: readonly MountOfGap[]): InjectRequest {
  for (const { mount, gap } of adopted) {
    print(`The saved entry tells what ${gap.id} is: ${describeMount(mount)}`);
  }
  const mounts = [...request.mounts, ...adopted.map(({ mount }) => mount)];
  return { ...request, mounts, ofGaps: [...request.ofGaps, ...adopted] };
}

function notSavedYet(mounts: readonly CacheMount[]): MountRow[] {
  return mounts.map((mount) => ({ mount, state: 'not saved yet' }));
}

/** Needed because the cache client tells only that tar has failed. */
function tellOfTar({ isStored }: UnusableEntry, prepared: ReadyBuilder | undefined): string {
  if (isStored || !prepared?.tools.tarVersion) return '';
  const why = whyNotGnuTar(prepared.tools);
  return why === undefined ? '' : ` GNU tar is needed, and ${why}.`;
}

/**
 * Notes the builder that is used now, because extract is to look at it, even if it is gone by then.
 */
async function rememberBuilder(request: InjectRequest): Promise<void> {
  const { surroundings } = request;
  const foundBuilder = request.builder ?? (await readCurrentBuilder(surroundings));
  await writeState(surroundings, { ...stateOf(request), foundBuilder });
}

/** Needed because this inject overwrites the state of an earlier one with the same key. */
function warnOfSameKey(request: InjectRequest, states: readonly InjectState[]): void {
  const { key } = request;
  const own = untold(request);
  if (states.some((state) => state.key === key && !areSameMounts(untold(state), own))) {
    warn(
      `An inject before this one has the same key ${key}, for other mounts, and its extract has not run: only one of the two can be saved. ${ofItsOwn(request)}`,
    );
  }
}

/** The mounts without those that only a base image or an entry has told. */
function untold({ mounts, ofGaps = [] }: Pick<InjectState, 'mounts' | 'ofGaps'>): CacheMount[] {
  const told = new Set(ofGaps.map(({ mount }) => identityOf(mount)));
  return mounts.filter((mount) => !told.has(identityOf(mount)));
}

/** The remedy if two builds share an entry. */
function ofItsOwn({ hashes, store }: InjectRequest): string {
  if (store.separation !== undefined) return store.separation;
  if (hashes !== undefined) return 'Give each a key-prefix of its own.';
  return 'Give each a key, and restore keys, of its own.';
}

/** Tells the user if an entry has none of the mounts: most often another build has saved it. */
function tellOfOthers(request: InjectRequest, { key, manifest }: OpenEntry): void {
  const saved = new Set(manifest.mounts.map(({ mount }) => identityOf(mount)));
  if (request.mounts.some((mount) => saved.has(identityOf(mount)))) return;
  const held = manifest.mounts.map(({ mount }) => describeMount(mount)).join(', ') || 'no mounts';
  notify(
    `The entry ${key} has none of the cache mounts of this build; it has ${held}. If another build has saved it: ${ofItsOwn(request)}`,
  );
}

/** Unpacks a restored entry into its mounts, except for those with a damaged archive. */
async function fill(
  request: InjectRequest,
  state: InjectState,
  entry: OpenEntry,
  ready: Promise<ReadyBuilder>,
  workDirectory: string,
): Promise<InjectResult> {
  const { key, manifest } = entry;
  const remedy = remedyFor(request, key);
  const { toUnpack, tooLarge, unsaved, unnamed } = selectArchives(request.mounts, manifest);
  if (unnamed.length > 0) {
    print(`Saved, but not named any more: ${unnamed.map(describeMount).join(', ')}`);
  }
  tellOfOthers(request, entry);
  const { whole, damaged } = await checkArchives(toUnpack, entry, remedy);
  await writeState(request.surroundings, withRestored(state, entry, damaged));
  await beginAnew(request, tooLarge, entry);
  const unpacked = await unpack(request, whole, ready, entry, workDirectory);
  await writeState(request.surroundings, withRestored(state, entry, damaged, unpacked));
  const { reports, gone } = unpacked;
  const outcomes = [
    ...damaged,
    ...gone,
    ...withoutGone(whole, gone).map((each) => outcomeOf(each, reports.get(each.index), remedy)),
    ...listOthers(tooLarge, unsaved),
  ];
  const { filled: count, used } = countFilled(reports);
  const isComplete = toUnpack.length > 0 && tooLarge.length === 0 && used === toUnpack.length;
  return {
    title: `${count} of ${plural(request.mounts.length, 'cache mount')} restored`,
    matched: { key, label: request.store.otherKeyLabel },
    manifest,
    isBegunAnew: tooLarge.length > 0,
    rows: outcomes.map(({ row }) => row),
    remarks: outcomes.flatMap(({ remark }) => remark ?? []),
    filled: count,
    isHit: isComplete && key === request.key,
  };
}

/** If the builder pulls the archives, the entry is incomplete until it has pulled all of them. */
function withRestored(
  state: InjectState,
  { key, manifest, directory }: OpenEntry,
  damaged: readonly MountOutcome[],
  unpacked?: UnpackResult,
): InjectState {
  const gone = unpacked?.gone ?? [];
  const mounts = listRestored(manifest, [...damaged, ...gone]);
  const isIncomplete =
    directory === undefined && (unpacked === undefined || gone.length > 0) ? true : undefined;
  return { ...state, restored: { key, mounts, filled: unpacked?.filled, isIncomplete } };
}

/** The mounts of which nothing was to be unpacked. */
function listOthers(
  tooLarge: readonly SavedMount[],
  unsaved: readonly CacheMount[],
): MountOutcome[] {
  const begunAnew = tooLarge.map(({ mount }): MountRow => ({ mount, state: 'begun anew' }));
  return [...begunAnew, ...notSavedYet(unsaved)].map((row) => ({ row }));
}

function withoutGone(
  whole: readonly ArchivesForMount[],
  gone: readonly MountOutcome[],
): readonly ArchivesForMount[] {
  const mounts = new Set(gone.map(({ row }) => row.mount));
  return whole.filter(({ mount }) => !mounts.has(mount));
}

/** How many mounts were filled, and of how many the content can be used. */
function countFilled(reports: ReadonlyMap<number, MountReport>): { filled: number; used: number } {
  const results = [...reports.values()].map(({ result }) => result);
  const filled = results.filter((result) => result === 'unpacked' || result === 'added').length;
  return { filled, used: filled + results.filter((result) => result === 'warm').length };
}

/**
 * Leaves mounts empty, so that the build fills them anew. Their archives are kept for extract, which
 * saves them again if the build does not fill the mounts.
 */
async function beginAnew(
  { surroundings, key, store }: InjectRequest,
  tooLarge: readonly SavedMount[],
  entry: OpenEntry,
): Promise<void> {
  const canBeSaved = !(store.isLasting && entry.key === key);
  for (const saved of tooLarge) {
    notify(tellOfNewBeginning(saved, canBeSaved));
    if (entry.directory === undefined) continue;
    for (const { file } of archivesOf(saved)) {
      const kept = join(keptArchives(surroundings, key), file);
      // If an archive is missing, extract finds that out.
      await linkFile(join(entry.directory, file), kept).catch(() => undefined);
    }
  }
}

/** The remedy for a damaged entry, if no later extract can save its key again. */
function remedyFor({ key, store }: InjectRequest, found: string): string {
  const remedy = found === key ? store.remedy(found) : '';
  return remedy === '' ? '' : ` ${remedy}`;
}

function stateOf(request: InjectRequest): InjectState {
  const { key, restoreKeys, hashes, mounts, seedStages, others, hint } = request;
  const { leftOut, ofGaps, listedAt } = request;
  const { builder, platform, utilityImage, storeLocation, surroundings, job } = request;
  return {
    job: surroundings.job,
    jobBegan: job.began,
    ...{ key, restoreKeys, mounts, seedStages, others, hint, leftOut, ofGaps, listedAt },
    isKeyGenerated: hashes === undefined ? undefined : true,
    ...{ builder, platform, utilityImage, storeLocation },
    isStreamOff: request.stream ? undefined : true,
  };
}
