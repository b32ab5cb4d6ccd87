import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Builder } from '../builder/buildx.js';
import type { RunnerTools } from '../builder/runner-programs.js';
import { warn } from '../console/console.js';
import type { SeedStages } from '../dockerfile/stages.js';
import { type Archive, parseMount, parseSavedMount, type SavedMount } from '../entry/manifest.js';
import { messageOf } from '../lib/errors.js';
import { array, invalid, number, object, string } from '../lib/json.js';
import { temporaryRoot } from '../lib/work-directory.js';
import type { CacheMount } from '../mounts/cache-mount.js';

/** What inject leaves for the extract of the same job. */
export interface InjectState {
  readonly key: string;
  readonly mounts: readonly CacheMount[];
  readonly builder?: string | undefined;
  readonly utilityImage?: string | undefined;
  readonly seedStages?: SeedStages | undefined;
  readonly directory?: string | undefined;
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
  readonly time: number;
  /** What the builder knows the snapshots by that were then taken; undefined: none were. */
  readonly token?: string | undefined;
  /** What has filled them; it is kept. */
  readonly tools: RunnerTools;
}

/** A mount of an entry whose archives were whole; where it was named, they are kept. */
export interface RestoredMount extends SavedMount {
  readonly archive: Archive;
}

/** A directory a key, so that a job can have several injects. */
export async function writeState(state: InjectState): Promise<void> {
  await mkdir(directoryOf(state.key), { recursive: true });
  await writeFile(join(directoryOf(state.key), stateName), JSON.stringify(state));
}

/** Where the inject with this key keeps the archives that it has restored. */
export function keptArchives(key: string): string {
  return join(directoryOf(key), 'archives');
}

/** Keeps the programs that the inject with this key has copied for the builder, where it can. */
export async function keepTools(key: string, directory: string): Promise<void> {
  const kept = join(directoryOf(key), 'tools');
  await rm(kept, { recursive: true, force: true });
  // Extract copies them anew where they are not there.
  await rename(directory, kept).catch(() => undefined);
}

/** @returns whether they were there, and are now in a directory that was not there */
export async function takeTools(key: string, directory: string): Promise<boolean> {
  try {
    await mkdir(dirname(directory), { recursive: true });
    await rename(join(directoryOf(key), 'tools'), directory);
    return true;
  } catch {
    return false;
  }
}

/** All that the injects of this job have left; what cannot be read is named and left out. */
export async function readStates(): Promise<InjectState[]> {
  const names = await readdir(stateDirectory()).catch((): string[] => []);
  const states: InjectState[] = [];
  for (const name of names) {
    try {
      states.push(parseState(await readFile(join(stateDirectory(), name, stateName), 'utf8')));
    } catch (error) {
      warn(`What inject has left in this job cannot be read: ${messageOf(error)}`);
    }
  }
  return states;
}

/** Removes what one inject has left, and the directory with the last of them. */
export async function removeState(state: InjectState): Promise<void> {
  await rm(directoryOf(state.key), { recursive: true, force: true });
  // Fails while others are left.
  await rmdir(stateDirectory()).catch(() => undefined);
}

function stateDirectory(): string {
  return join(temporaryRoot(), 'buildkit-cache-mounts-state');
}

function directoryOf(key: string): string {
  return join(stateDirectory(), createHash('sha256').update(key).digest('hex'));
}

const stateName = 'state.json';

function parseState(text: string): InjectState {
  const state = object(JSON.parse(text), 'state');
  const { key, mounts, builder, utilityImage, platform } = state;
  const { seedStages, directory, restoreKeys, restored } = state;
  return {
    key: string(key, 'key'),
    mounts: array(mounts, 'mounts').map(parseMount),
    builder: builder === undefined ? undefined : string(builder, 'builder'),
    utilityImage: utilityImage === undefined ? undefined : string(utilityImage, 'utilityImage'),
    platform: platform === undefined ? undefined : string(platform, 'platform'),
    directory: directory === undefined ? undefined : string(directory, 'directory'),
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
  const { mounts, builder, time, token, tools } = object(value, 'filled');
  return {
    mounts: array(mounts, 'mounts').map(parseMount),
    builder: parseBuilder(builder),
    time: number(time, 'time'),
    token: token === undefined ? undefined : string(token, 'token'),
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
  const { name, driver, nodes, platforms, buildkit, endpoint } = object(value, 'builder');
  // Some of it buildx may leave empty; it is for the log.
  return {
    name: String(name),
    driver: String(driver),
    nodes: number(nodes, 'nodes'),
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
