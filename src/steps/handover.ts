import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Builder } from '../builder/buildx.js';
import type { RunnerTools } from '../builder/runner-programs.js';
import { warn } from '../console/console.js';
import type { SeedStages } from '../dockerfile/stages.js';
import {
  type Archive,
  parseMount,
  parseSavedMount,
  renderSavedMount,
  type SavedMount,
} from '../entry/manifest.js';
import { parseStoreLocation, type StoreLocation } from '../entry/stores/open-store.js';
import { messageOf } from '../lib/errors.js';
import { array, invalid, number, object, string } from '../lib/json.js';
import type { Surroundings } from '../lib/surroundings.js';
import { removeOlderThanADay } from '../lib/work-directory.js';
import type { CacheMount } from '../mounts/cache-mount.js';

/** What inject leaves for the extract of the same job. */
export interface InjectState {
  readonly key: string;
  /** The job, as Surroundings name it; undefined off GitHub. */
  readonly job?: string | undefined;
  /** True: it was made, as none was given. */
  readonly isKeyGenerated?: true | undefined;
  readonly mounts: readonly CacheMount[];
  /** As it was named; undefined: it was not. */
  readonly builder?: string | undefined;
  /** The name of the one that was found then; undefined: none was looked for, or found. */
  readonly foundBuilder?: string | undefined;
  readonly utilityImage?: string | undefined;
  readonly seedStages?: SeedStages | undefined;
  readonly storeLocation?: StoreLocation | undefined;
  /** The first of the platforms that are built for, where it was given. */
  readonly platform?: string | undefined;
  readonly restoreKeys: readonly string[];
  /** The entry that was restored. */
  readonly restored?: RestoredEntry | undefined;
}

export interface RestoredEntry {
  readonly key: string;
  readonly mounts: readonly RestoredMount[];
  readonly filled?: FilledMounts | undefined;
}

/** What inject has filled of the mounts of an entry. */
export interface FilledMounts {
  readonly mounts: readonly CacheMount[];
  readonly builder: Builder;
  /** When they had been filled, by the builder's clock, in milliseconds since the epoch. */
  readonly filledAt: number;
  /** What the builder knows the snapshots by that were then taken; undefined: none were. */
  readonly snapshotId?: string | undefined;
  /** What has filled them; it is kept. */
  readonly tools: RunnerTools;
}

/** A mount of an entry whose archives were whole; where it was named, they are kept. */
export interface RestoredMount extends SavedMount {
  readonly archive: Archive;
}

/**
 * Writes what inject leaves, and removes what was left more than a day ago, if no extract has come for it.
 * A directory a key, so that a job can have several injects.
 */
export async function writeState(surroundings: Surroundings, state: InjectState): Promise<void> {
  await removeOlderThanADay(stateDirectory(surroundings));
  const directory = directoryOf(surroundings, state.key);
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, stateName), renderState(state));
}

/** Where the inject with this key keeps the archives that it has restored. */
export function keptArchives(surroundings: Surroundings, key: string): string {
  return join(directoryOf(surroundings, key), 'archives');
}

/** Keeps the programs that the inject with this key has copied for the builder, where it can. */
export async function keepTools(
  surroundings: Surroundings,
  key: string,
  directory: string,
): Promise<void> {
  const kept = join(directoryOf(surroundings, key), 'tools');
  await rm(kept, { recursive: true, force: true });
  // Extract copies them anew where they are not there.
  await rename(directory, kept).catch(() => undefined);
}

/** @returns whether they were there, and are now in a directory that was not there */
export async function takeTools(
  surroundings: Surroundings,
  key: string,
  directory: string,
): Promise<boolean> {
  try {
    await mkdir(dirname(directory), { recursive: true });
    await rename(join(directoryOf(surroundings, key), 'tools'), directory);
    return true;
  } catch {
    return false;
  }
}

/**
 * Reads what the injects of this job have left, the last one last. What cannot be read is named and left out.
 * The runner empties its temporary directory after each job; others may not, so that an earlier job's is there.
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
      warn(`What inject has left in this job cannot be read: ${messageOf(error)}`);
    }
  }
  return states.sort((a, b) => a.writtenAt - b.writtenAt).map(({ state }) => state);
}

/** Removes what one inject has left, and the directory with the last of them. */
export async function removeState(surroundings: Surroundings, state: InjectState): Promise<void> {
  await rm(directoryOf(surroundings, state.key), { recursive: true, force: true });
  // Fails while others are left.
  await rmdir(stateDirectory(surroundings)).catch(() => undefined);
}

function stateDirectory({ temporaryRoot }: Surroundings): string {
  return join(temporaryRoot, 'buildkit-cache-mounts-state');
}

function directoryOf(surroundings: Surroundings, key: string): string {
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
  const { key, job, isKeyGenerated, mounts, builder, foundBuilder } = state;
  const { utilityImage, platform } = state;
  const { seedStages, storeLocation, restoreKeys, restored } = state;
  return {
    key: string(key, 'key'),
    job: job === undefined ? undefined : string(job, 'job'),
    isKeyGenerated: isKeyGenerated === true ? true : undefined,
    mounts: array(mounts, 'mounts').map(parseMount),
    builder: builder === undefined ? undefined : string(builder, 'builder'),
    foundBuilder: foundBuilder === undefined ? undefined : string(foundBuilder, 'foundBuilder'),
    utilityImage: utilityImage === undefined ? undefined : string(utilityImage, 'utilityImage'),
    platform: platform === undefined ? undefined : string(platform, 'platform'),
    storeLocation: storeLocation === undefined ? undefined : parseStoreLocation(storeLocation),
    seedStages: seedStages === undefined ? undefined : parseSeedStages(seedStages),
    restoreKeys: array(restoreKeys, 'restoreKeys').map((each) => string(each, 'restoreKeys[]')),
    restored: restored === undefined ? undefined : parseRestored(restored),
  };
}

function parseRestored(value: unknown): RestoredEntry {
  const { key, mounts, filled } = object(value, 'restored');
  return {
    key: string(key, 'key'),
    mounts: array(mounts, 'mounts').map(parseRestoredMount),
    filled: filled === undefined ? undefined : parseFilled(filled),
  };
}

function parseFilled(value: unknown): FilledMounts {
  const { mounts, builder, filledAt, snapshotId, tools } = object(value, 'filled');
  return {
    mounts: array(mounts, 'mounts').map(parseMount),
    builder: parseBuilder(builder),
    filledAt: number(filledAt, 'filledAt'),
    snapshotId: snapshotId === undefined ? undefined : string(snapshotId, 'snapshotId'),
    tools: parseTools(tools),
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
  const { name, driver, nodes, node, platforms, buildkit } = object(value, 'builder');
  // Some of it buildx may leave empty; it is for the log.
  return {
    name: String(name),
    driver: String(driver),
    nodes: number(nodes, 'nodes'),
    node: String(node),
    platforms: array(platforms, 'platforms').map((each) => string(each, 'platforms[]')),
    buildkit: String(buildkit),
  };
}

function parseRestoredMount(value: unknown): RestoredMount {
  const { archive, ...saved } = parseSavedMount(value);
  if (archive === undefined) throw invalid('archive', archive);
  return { ...saved, archive };
}

function parseSeedStages(value: unknown): SeedStages {
  const { head, stages, context, buildArgs, ignore } = object(value, 'seedStages');
  const args = Object.entries(object(buildArgs, 'buildArgs'));
  return {
    head: string(head, 'head'),
    stages: string(stages, 'stages'),
    context: string(context, 'context'),
    buildArgs: Object.fromEntries(args.map(([name, each]) => [name, String(each)])),
    ignore: String(ignore),
  };
}
