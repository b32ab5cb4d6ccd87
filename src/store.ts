import { mkdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import * as cache from '@actions/cache';
import { findInDirectory, restoreFromDirectory, saveToDirectory } from './directory-store.js';
import { messageOf } from './errors.js';
import { print } from './host.js';

/**
 * The directory that is saved, by the name that it has in its parent. The cache service knows an
 * entry by key and by a hash of this very string, so every runner must use the same one; the
 * archives' format version is part of it, so that an action never meets a format older than it can
 * read.
 */
export const storedDirectoryName = 'buildkit-cache-mounts.v1';

/**
 * What GNU tar is told by TAR_OPTIONS. The client unpacks with -P, which lets an archive write to
 * `/x`, `../x` and through its own links, and others can write to the cache. An entry of ours is
 * one flat directory: whatever path a member, or the target of a link, is given, only its last part
 * counts, in that directory, which is there before and is not replaced. Where several entries are
 * restored into it at once, the first file of a name stays: none is taken away under another's tar.
 */
const flatten = [
  `--transform=s,^${storedDirectoryName}$,${storedDirectoryName}/.,`,
  `;s,^.*/,${storedDirectoryName}/,`,
  `;s,^[^/]*$,${storedDirectoryName}/&,`,
  ' --skip-old-files',
].join('');

export type SaveResult = { readonly saved: true } | { readonly saved: false; readonly why: string };

/** Where entries are kept. `entry` is a directory whose last part is {@link storedDirectoryName}. */
export interface Store {
  /**
   * Finds the newest entry that matches, without fetching it. Trouble with a service is in the log,
   * never thrown.
   *
   * @returns its key; undefined where there is none, or no service to tell
   */
  find(entry: string, key: string, restoreKeys: readonly string[]): Promise<string | undefined>;
  /**
   * Restores the entries with these keys, all at once, beside what is there; a file that more than
   * one of them has is that of any.
   *
   * @returns the keys of what was restored; undefined where that failed, and the log says why
   */
  restore(entry: string, keys: readonly string[]): Promise<readonly (string | undefined)[]>;
  /** Whether an entry with exactly this key can be saved no more. */
  isSaved(entry: string, key: string): Promise<boolean>;
  /** Saves the entry, whose files may be moved. Trouble is a result, never thrown. */
  save(entry: string, key: string): Promise<SaveResult>;
  /** Whether an entry stays when others are saved, so that these may build on it. */
  readonly isLasting: boolean;
  /** What to do about a damaged entry; empty where the next one takes its place. */
  remedy(key: string): string;
}

/** @param directory undefined for the cache of GitHub Actions */
export function storeFor(directory: string | undefined): Store {
  return directory === undefined ? cacheStore : directoryStore(directory);
}

const cacheStore: Store = {
  find,
  restore,
  isSaved,
  save,
  isLasting: true,
  remedy: (key) =>
    `A saved key is never changed: if this stays so, delete the entry, and the next run saves it anew: gh cache delete '${key.replaceAll("'", "'\\''")}'`,
};

function directoryStore(directory: string): Store {
  return {
    find: () => findInDirectory(directory),
    restore: async (entry, keys) => {
      await restoreFromDirectory(directory, entry);
      return keys;
    },
    isSaved: async () => false,
    save: (entry, key) =>
      saveToDirectory(directory, entry, key).catch((error: unknown) => ({
        saved: false,
        why: `the directory ${directory} cannot be written: ${messageOf(error)}`,
      })),
    isLasting: false,
    remedy: () => '',
  };
}

async function find(
  directory: string,
  key: string,
  restoreKeys: readonly string[],
): Promise<string | undefined> {
  return inParentOf(directory, (path) =>
    cache.restoreCache([path], key, [...restoreKeys], { lookupOnly: true }),
  );
}

async function restore(
  directory: string,
  keys: readonly string[],
): Promise<readonly (string | undefined)[]> {
  await mkdir(directory, { recursive: true });
  const restoreOne = async (path: string, key: string) => {
    try {
      return await cache.restoreCache([path], key);
    } catch (error) {
      // Such as a key that cannot be one. The others' tars still run, and need the environment.
      print(`The entry ${key} cannot be restored: ${messageOf(error)}`);
      return undefined;
    }
  };
  return inParentOf(directory, (path) => Promise.all(keys.map((key) => restoreOne(path, key))));
}

async function isSaved(directory: string, key: string): Promise<boolean> {
  // The service also answers with an entry whose key merely begins with this one.
  return (await find(directory, key, [])) === key;
}

async function save(directory: string, key: string): Promise<SaveResult> {
  try {
    const id = await inParentOf(directory, (path) => cache.saveCache([path], key));
    if (id !== -1) {
      return { saved: true };
    }
  } catch (error) {
    return { saved: false, why: `the cache could not be saved: ${messageOf(error)}` };
  }
  // -1 stands for every other trouble, which the client has named in the log, and for a lost race.
  return (await isSaved(directory, key))
    ? { saved: false, why: 'another job has saved this key in the meantime' }
    : { saved: false, why: 'the cache service did not take it (the log says why)' };
}

/**
 * Of these calls only one at a time may be under way.
 *
 * The client resolves paths against the working directory, unpacks into GITHUB_WORKSPACE and puts
 * its own files into RUNNER_TEMP: with all three at the directory's parent, the path that it is
 * given is the same on every runner, and nothing lands outside.
 */
async function inParentOf<T>(directory: string, call: (path: string) => Promise<T>): Promise<T> {
  const parent = dirname(directory);
  const previous = { cwd: process.cwd(), env: { ...process.env } };
  process.chdir(parent);
  process.env.GITHUB_WORKSPACE = parent;
  process.env.RUNNER_TEMP = parent;
  process.env.TAR_OPTIONS = flatten;
  // It retries for half a minute without a word.
  const started = performance.now();
  const patience = setInterval(() => {
    const seconds = Math.round((performance.now() - started) / 1000);
    print(`The cache service has taken ${seconds} seconds so far.`);
  }, 10_000);
  try {
    return await call(basename(directory));
  } finally {
    clearInterval(patience);
    process.chdir(previous.cwd);
    restoreVariable('GITHUB_WORKSPACE', previous.env);
    restoreVariable('RUNNER_TEMP', previous.env);
    restoreVariable('TAR_OPTIONS', previous.env);
  }
}

function restoreVariable(name: string, environment: NodeJS.ProcessEnv): void {
  const value = environment[name];
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}
