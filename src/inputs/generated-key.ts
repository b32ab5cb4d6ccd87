import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Run, Surroundings } from '../lib/surroundings.js';
import { type CacheMount, describeMount, identityOf } from '../mounts/cache-mount.js';
import type { Gap } from '../mounts/gap.js';
import type { KeyedBuild } from './keyed-build.js';

export interface KeyInputs {
  /** Undefined: a key is made. */
  readonly key: string | undefined;
  /** The beginning of a made key. */
  readonly keyPrefix: string;
  readonly restoreKeys: readonly string[];
}

/** A key, and the keys to fall back to. */
export interface Keys {
  readonly key: string;
  /** In this order; each matches all keys that begin with it. */
  readonly restoreKeys: readonly string[];
  /** The hashes in a made key; undefined: the key was given. */
  readonly hashes: KeyHashes | undefined;
}

/** The hashes in a key, in their order. */
export interface KeyHashes {
  /** The names that tell the build from others. */
  readonly build: Hashed;
  readonly mounts: Hashed;
  /** The Dockerfiles and the lock files. */
  readonly files: Hashed;
}

export interface Hashed {
  /** 16 hexadecimal digits. */
  readonly hash: string;
  /** The names of what was hashed, for people. */
  readonly of: readonly string[];
}

/** All mounts of a build, so that they are the same in a run that cannot look up its images. */
export interface KeyedMounts {
  /** Those that are found if no image is looked up. */
  readonly keyedMounts: readonly CacheMount[];
  /** The others: only a base image tells their ids. */
  readonly gaps: readonly Gap[];
}

/** The key that was given, or else one that is made. Restore keys that were given come last. */
export async function resolveKeys(
  { key, keyPrefix, restoreKeys }: KeyInputs,
  build: KeyedBuild,
  mounts: KeyedMounts,
  { workspace, run }: Surroundings,
): Promise<Keys> {
  if (key !== undefined) return { key, restoreKeys, hashes: undefined };
  const hashes = {
    build: hashNames(build.names),
    mounts: hashMounts(mounts),
    files: await hashFiles(build.files, build.contexts, workspace, build.texts),
  };
  const made = makeDefaultKey({ ...run, prefix: keyPrefix }, hashes);
  return { key: made.key, restoreKeys: [...made.restoreKeys, ...restoreKeys], hashes };
}

export interface DefaultKey {
  readonly key: string;
  /** The key without its last part, without the last two, and so on, down to the build. */
  readonly restoreKeys: readonly string[];
}

/** The parts of a key, except for the hashes. */
export interface RunFacts extends Run {
  readonly prefix: string;
}

/** Files that say exactly what a package manager installs, named as in its own docs. */
const lockFileNames = new Set([
  ...['package-lock.json', 'npm-shrinkwrap.json', 'pnpm-lock.yaml', 'yarn.lock'],
  ...['bun.lock', 'bun.lockb', 'deno.lock'],
  ...['go.sum', 'go.work.sum', 'Cargo.lock'],
  ...['requirements.txt', 'poetry.lock', 'uv.lock', 'pdm.lock', 'pylock.toml', 'Pipfile.lock'],
  ...['Gemfile.lock', 'composer.lock', 'mix.lock', 'pubspec.lock', 'conan.lock', 'flake.lock'],
  ...['pom.xml', 'gradle.lockfile', 'buildscript-gradle.lockfile', 'libs.versions.toml'],
  ...['packages.lock.json', 'MODULE.bazel.lock', 'Package.resolved'],
]);

/** Directories of things that are installed already: lock files in them do not say what will be. */
const skippedDirectories = new Set(['.git', 'node_modules', 'vendor', 'target', '.venv']);

/**
 * The number of keys to ask the cache service for if the key is made: that key, and those to fall
 * back to.
 */
export const countOfMadeKeys = 5;

/** The length of the commit's name in a key. */
const commitDigits = 12;

/**
 * Makes the key of a run, `<prefix>-<os>-<arch>-<build>-<mounts>-<files>-<commit>-<attempt>`, and
 * the keys to fall back to: the same commit, the same files, the same mounts, anything of this
 * build. None is shorter, because it would find entries of other builds.
 */
export function makeDefaultKey(
  { prefix, os, architecture, commit, attempt }: RunFacts,
  { build, mounts, files }: KeyHashes,
): DefaultKey {
  const fixed = [prefix, os, architecture, build.hash];
  const parts = [...fixed, mounts.hash, files.hash, commit.slice(0, commitDigits), attempt];
  const start = (count: number) => `${parts.slice(0, count).join('-')}-`;
  return { key: parts.join('-'), restoreKeys: [start(7), start(6), start(5), start(4)] };
}

/**
 * Hashes the names of a build. Their order does not count, and a name without values is left out.
 */
export function hashNames(names: KeyedBuild['names']): Hashed {
  const given = Object.entries(names)
    .filter(([, values]) => values.length > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    hash: hashOf(given.map((each) => JSON.stringify(each))),
    of: given.map(([name, values]) => `${name} ${values.join(', ')}`),
  };
}

/** Hashes the identities of the mounts, and the gaps. Their order does not count. */
export function hashMounts({ keyedMounts, gaps }: KeyedMounts): Hashed {
  const lines = [...keyedMounts.map(identityOf), ...gaps.map(({ image, id }) => `${image} ${id}`)];
  const of = [...keyedMounts.map(describeMount), ...gaps.map(({ id }) => id)];
  return { hash: hashOf(lines.sort()), of };
}

/**
 * Hashes Dockerfiles, bake files and all lock files below build contexts, by their paths and contents.
 *
 * @param workspace paths count from here, because it differs between runners
 * @param texts Dockerfiles that are no files
 */
export async function hashFiles(
  dockerfiles: readonly string[],
  contexts: readonly string[],
  workspace: string,
  texts: readonly string[] = [],
): Promise<Hashed> {
  const lockFiles = (await Promise.all(contexts.map(findLockFiles))).flat();
  const lines: string[] = [];
  const of: string[] = [];
  for (const file of [...new Set([...dockerfiles, ...lockFiles])].sort()) {
    const content = await readFile(file).catch(() => undefined);
    if (content === undefined) continue;
    const path = relative(workspace, file);
    lines.push(`${createHash('sha256').update(content).digest('hex')} ${path}`);
    of.push(path);
  }
  for (const text of [...texts].sort()) {
    lines.push(createHash('sha256').update(text).digest('hex'));
  }
  return { hash: hashOf(lines), of };
}

function hashOf(lines: readonly string[]): string {
  const text = lines.map((line) => `${line}\n`).join('');
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** The lock files below a directory; symbolic links are not followed. */
async function findLockFiles(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const found = await Promise.all(
    entries.map(async (entry) => {
      const path = join(directory, entry.name);
      if (entry.isDirectory() && !skippedDirectories.has(entry.name)) return findLockFiles(path);
      return entry.isFile() && lockFileNames.has(entry.name) ? [path] : [];
    }),
  );
  return found.flat();
}
