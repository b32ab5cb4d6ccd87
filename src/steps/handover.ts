import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Builder } from '../builder/buildx.js';
import type { OtherMount } from '../builder/records.js';
import type { RunnerTools } from '../builder/runner-programs.js';
import { warn } from '../console/console.js';
import type { SeedStages } from '../dockerfile/stages.js';
import {
  type Archive,
  parseGap,
  parseMount,
  parseSavedMount,
  renderSavedMount,
  type SavedMount,
} from '../entry/manifest.js';
import { parseStoreLocation, type StoreLocation } from '../entry/stores/open-store.js';
import { isAbsence, messageOf } from '../lib/errors.js';
import { array, invalid, number, object, string } from '../lib/json.js';
import type { Surroundings } from '../lib/surroundings.js';
import { removeOlderThanADay } from '../lib/work-directory.js';
import type { CacheMount } from '../mounts/cache-mount.js';
import type { LeftOutMount, MountOfGap } from '../mounts/gap.js';

/*
 * What inject leaves for extract. It is below RUNNER_TEMP, in a directory for each key: the state
 * (state.json), the archives that were restored (archives/) and the programs that were copied for
 * the builder (tools/). The file note.json beside them is that of inject-note.ts.
 */

/** The state that inject leaves for the extract of the same job. */
export interface InjectState {
  readonly key: string;
  /** The job, as Surroundings name it; undefined off GitHub. */
  readonly job?: string | undefined;
  /** When the first inject of the job began; see this-job.ts. */
  readonly jobBegan?: number | undefined;
  /** True: the key was made, because none was given. */
  readonly isKeyGenerated?: true | undefined;
  readonly mounts: readonly CacheMount[];
  /** The name that was given; undefined: none was given. */
  readonly builder?: string | undefined;
  /**
   * The name of the builder that inject has found; undefined: it looked for none, or found none.
   */
  readonly foundBuilder?: string | undefined;
  readonly utilityImage?: string | undefined;
  readonly seedStages?: SeedStages | undefined;
  readonly storeLocation?: StoreLocation | undefined;
  /** True: the input stream was false. */
  readonly isStreamOff?: true | undefined;
  /** The first of the platforms that are built for, if it was given. */
  readonly platform?: string | undefined;
  /** Mounts of stages that inject was not asked for. */
  readonly others?: readonly OtherMount[] | undefined;
  /** What may be the matter if the builder has other mounts. */
  readonly hint?: string | undefined;
  /** The mounts that the base images leave open: extract looks for them on the builder. */
  readonly leftOut?: readonly LeftOutMount[] | undefined;
  /** Those of the mounts that were found for a gap. */
  readonly ofGaps?: readonly MountOfGap[] | undefined;
  /** When the mounts were listed, in milliseconds since the epoch: the build comes later. */
  readonly listedAt?: number | undefined;
  readonly restoreKeys: readonly string[];
  /** The entry that was restored. */
  readonly restored?: RestoredEntry | undefined;
}

export interface RestoredEntry {
  readonly key: string;
  readonly mounts: readonly RestoredMount[];
  readonly filled?: FilledMounts | undefined;
  /** True: the builder could not pull all of it. So extract saves it anew, under the same key too. */
  readonly isIncomplete?: true | undefined;
}

/** The mounts of an entry that inject has filled. */
export interface FilledMounts {
  readonly mounts: readonly CacheMount[];
  /** Others, which held files of this job's builds: what they lacked was added. */
  readonly added?: readonly CacheMount[] | undefined;
  readonly builder: Builder;
  /** When they had been filled, by the builder's clock, in milliseconds since the epoch. */
  readonly filledAt: number;
  /** The id of the snapshots that were taken then; undefined: none were taken. */
  readonly snapshotId?: string | undefined;
  /** The programs that have filled them; they are kept. */
  readonly tools: RunnerTools;
  /** True: the RUNs of the builder do not reach this machine. */
  readonly isUnreachable?: true | undefined;
}

/** A mount of an entry whose archives were whole. If the mount was named, they are kept. */
export interface RestoredMount extends SavedMount {
  readonly archive: Archive;
}

/**
 * Writes the state, and removes states that are more than a day old and that no extract has
 * removed. One directory per key, so that a job can have several injects. A rename puts the state
 * into place, because these may run at the same time and read each other's states.
 */
export async function writeState(surroundings: Surroundings, state: InjectState): Promise<void> {
  await removeOlderThanADay(stateDirectory(surroundings));
  const directory = stateDirectoryOf(surroundings, state.key);
  await mkdir(directory, { recursive: true });
  const draft = join(directory, `${stateName}.${process.pid}`);
  await writeFile(draft, renderState(state));
  await rename(draft, join(directory, stateName));
}

/** The directory in which the inject with this key keeps the archives that it has restored. */
export function keptArchives(surroundings: Surroundings, key: string): string {
  return join(stateDirectoryOf(surroundings, key), 'archives');
}

/** Keeps the programs that the inject with this key has copied for the builder, if it can. */
export async function keepTools(
  surroundings: Surroundings,
  key: string,
  directory: string,
): Promise<void> {
  const kept = join(stateDirectoryOf(surroundings, key), 'tools');
  await rm(kept, { recursive: true, force: true });
  // If they are not there, extract copies them anew.
  await rename(directory, kept).catch(() => undefined);
}

/** @returns whether the programs were there; if so, they have been moved into the new directory */
export async function takeTools(
  surroundings: Surroundings,
  key: string,
  directory: string,
): Promise<boolean> {
  try {
    await mkdir(dirname(directory), { recursive: true });
    await rename(join(stateDirectoryOf(surroundings, key), 'tools'), directory);
    return true;
  } catch {
    return false;
  }
}

/**
 * Reads the states of the injects of this job, in the order in which they were written. A state
 * that cannot be read is named in a warning, and left out. States of earlier jobs are left out too:
 * the runner empties its temporary directory after each job, but others may not. So is an inject that
 * has not written its state yet, or whose extract has just removed it.
 */
export async function readStates(surroundings: Surroundings): Promise<InjectState[]> {
  const directory = stateDirectory(surroundings);
  const names = await readdir(directory).catch((): string[] => []);
  const states: { readonly state: InjectState; readonly writtenAt: number }[] = [];
  for (const name of names) {
    try {
      const file = join(directory, name, stateName);
      const state = parseState(await readFile(file, 'utf8'));
      if (state.job === surroundings.job) {
        states.push({ state, writtenAt: (await stat(file)).mtimeMs });
      }
    } catch (error) {
      if (isAbsence(error)) continue;
      warn(`What inject has left in this job cannot be read: ${messageOf(error)}`);
    }
  }
  return states.sort((a, b) => a.writtenAt - b.writtenAt).map(({ state }) => state);
}

/** Removes the state of one inject, and with the last state the directory of all. */
export async function removeState(surroundings: Surroundings, state: InjectState): Promise<void> {
  await rm(stateDirectoryOf(surroundings, state.key), { recursive: true, force: true });
  // Fails while other states are left.
  await rmdir(stateDirectory(surroundings)).catch(() => undefined);
}

function stateDirectory({ temporaryRoot }: Surroundings): string {
  return join(temporaryRoot, 'buildkit-cache-mounts-state');
}

export function stateDirectoryOf(surroundings: Surroundings, key: string): string {
  return join(stateDirectory(surroundings), createHash('sha256').update(key).digest('hex'));
}

const stateName = 'state.json';

export function renderState(state: InjectState): string {
  const { restored } = state;
  const mounts = restored?.mounts.map(renderSavedMount);
  return JSON.stringify({ ...state, restored: restored && { ...restored, mounts } });
}

export function parseState(text: string): InjectState {
  const state = object(JSON.parse(text), 'state');
  const { key, job, jobBegan, isKeyGenerated, mounts, builder, foundBuilder } = state;
  const { utilityImage, platform, isStreamOff } = state;
  const { seedStages, storeLocation, restoreKeys, restored, others, hint } = state;
  const { leftOut, ofGaps, listedAt } = state;
  return {
    key: string(key, 'key'),
    job: job === undefined ? undefined : string(job, 'job'),
    jobBegan: jobBegan === undefined ? undefined : number(jobBegan, 'jobBegan'),
    isKeyGenerated: isKeyGenerated === true ? true : undefined,
    mounts: array(mounts, 'mounts').map(parseMount),
    builder: builder === undefined ? undefined : string(builder, 'builder'),
    foundBuilder: foundBuilder === undefined ? undefined : string(foundBuilder, 'foundBuilder'),
    utilityImage: utilityImage === undefined ? undefined : string(utilityImage, 'utilityImage'),
    platform: platform === undefined ? undefined : string(platform, 'platform'),
    storeLocation: storeLocation === undefined ? undefined : parseStoreLocation(storeLocation),
    isStreamOff: isStreamOff === true ? true : undefined,
    seedStages: seedStages === undefined ? undefined : parseSeedStages(seedStages),
    others: others === undefined ? undefined : parseOthers(others),
    hint: hint === undefined ? undefined : string(hint, 'hint'),
    leftOut: leftOut === undefined ? undefined : array(leftOut, 'leftOut').map(parseLeftOut),
    ofGaps: ofGaps === undefined ? undefined : array(ofGaps, 'ofGaps').map(parseMountOfGap),
    listedAt: listedAt === undefined ? undefined : number(listedAt, 'listedAt'),
    restoreKeys: array(restoreKeys, 'restoreKeys').map((each) => string(each, 'restoreKeys[]')),
    restored: restored === undefined ? undefined : parseRestored(restored),
  };
}

function parseRestored(value: unknown): RestoredEntry {
  const { key, mounts, filled, isIncomplete } = object(value, 'restored');
  return {
    key: string(key, 'key'),
    mounts: array(mounts, 'mounts').map(parseRestoredMount),
    filled: filled === undefined ? undefined : parseFilled(filled),
    isIncomplete: isIncomplete === true ? true : undefined,
  };
}

function parseFilled(value: unknown): FilledMounts {
  const { mounts, added, builder, filledAt, snapshotId, tools, isUnreachable } = object(
    value,
    'filled',
  );
  return {
    mounts: array(mounts, 'mounts').map(parseMount),
    added: added === undefined ? undefined : array(added, 'added').map(parseMount),
    builder: parseBuilder(builder),
    filledAt: number(filledAt, 'filledAt'),
    snapshotId: snapshotId === undefined ? undefined : string(snapshotId, 'snapshotId'),
    tools: parseTools(tools),
    isUnreachable: isUnreachable === true ? true : undefined,
  };
}

function parseTools(value: unknown): RunnerTools {
  const { names, tarVersion, directories, obstacle } = object(value, 'tools');
  return {
    names: array(names, 'names').map((each) => string(each, 'names[]')),
    tarVersion: String(tarVersion),
    directories: array(directories, 'directories').map((each) => string(each, 'directories[]')),
    obstacle: obstacle === undefined ? undefined : string(obstacle, 'obstacle'),
  };
}

function parseBuilder(value: unknown): Builder {
  const { name, driver, nodes, node, platforms, buildkit, endpoint } = object(value, 'builder');
  // Buildx may leave some of these fields empty; they are for the log.
  return {
    name: String(name),
    driver: String(driver),
    nodes: number(nodes, 'nodes'),
    node: String(node),
    platforms: array(platforms, 'platforms').map((each) => string(each, 'platforms[]')),
    buildkit: String(buildkit),
    endpoint: String(endpoint),
  };
}

function parseRestoredMount(value: unknown): RestoredMount {
  const { archive, ...saved } = parseSavedMount(value);
  if (archive === undefined) throw invalid('archive', archive);
  return { ...saved, archive };
}

function parseSeedStages(value: unknown): SeedStages {
  const fields = object(value, 'seedStages');
  const { head, stages, context, ignore } = fields;
  return {
    head: string(head, 'head'),
    stages: string(stages, 'stages'),
    context: string(context, 'context'),
    buildArgs: parseTexts(fields.buildArgs, 'buildArgs'),
    ignore: String(ignore),
    namedContexts: parseTexts(fields.namedContexts, 'namedContexts'),
  };
}

function parseTexts(value: unknown, name: string): Record<string, string> {
  const entries = Object.entries(object(value, name));
  return Object.fromEntries(entries.map(([key, each]) => [key, String(each)]));
}

function parseOthers(value: unknown): OtherMount[] {
  return array(value, 'others').map((each) => {
    const { mount, stage, file, input } = object(each, 'others[]');
    if (input !== 'target' && input !== 'bake-targets') throw invalid('input', input);
    return {
      mount: parseMount(mount),
      stage: string(stage, 'stage'),
      file: string(file, 'file'),
      input,
    };
  });
}

function parseLeftOut(value: unknown): LeftOutMount {
  const { gap, template, command, message } = object(value, 'leftOut[]');
  return {
    gap: parseGap(gap),
    template: parseMount(template),
    command: String(command),
    message: string(message, 'message'),
  };
}

function parseMountOfGap(value: unknown): MountOfGap {
  const { mount, gap } = object(value, 'ofGaps[]');
  return { mount: parseMount(mount), gap: parseGap(gap) };
}
