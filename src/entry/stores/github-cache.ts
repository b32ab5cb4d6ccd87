import { mkdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import * as cache from '@actions/cache';
import { print } from '../../console/console.js';
import { messageOf } from '../../lib/errors.js';
import { type SaveResult, type Store, storedDirectoryName } from './store.js';

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

/** The cache of GitHub Actions. */
export const githubCache: Store = {
  find,
  restore,
  isSaved,
  save,
  isLasting: true,
  remedy: (key) =>
    `A saved key is never changed: if this stays so, delete the entry, and the next run saves it anew: gh cache delete '${key.replaceAll("'", "'\\''")}'`,
  otherKeyLabel: 'Restore-key hit',
};

async function find(key: string, restoreKeys: readonly string[]): Promise<string | undefined> {
  return tellOfDelay(() =>
    // To look a key up, the client needs the path for its hash only, and touches no file.
    cache.restoreCache([storedDirectoryName], key, [...restoreKeys], { lookupOnly: true }),
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

async function isSaved(key: string): Promise<boolean> {
  // The service also answers with an entry whose key merely begins with this one.
  return (await find(key, [])) === key;
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
  return (await isSaved(key))
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
  try {
    return await tellOfDelay(() => call(basename(directory)));
  } finally {
    process.chdir(previous.cwd);
    restoreVariable('GITHUB_WORKSPACE', previous.env);
    restoreVariable('RUNNER_TEMP', previous.env);
    restoreVariable('TAR_OPTIONS', previous.env);
  }
}

/** The client retries for half a minute without a word. */
async function tellOfDelay<T>(call: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const patience = setInterval(() => {
    const seconds = Math.round((performance.now() - started) / 1000);
    print(`The cache service has taken ${seconds} seconds so far.`);
  }, 10_000);
  try {
    return await call();
  } finally {
    clearInterval(patience);
  }
}

function restoreVariable(name: string, environment: NodeJS.ProcessEnv): void {
  const value = environment[name];
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}
