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

/**
 * What GNU tar is told once the step does not wait for the client any more: an option that it does not
 * know, so that it ends at once. What the client still downloads must not be unpacked in surroundings that
 * are not its own.
 */
const refuse = '--no-more-of-this-step';

const noService =
  'there is no GitHub Actions cache here (the runner names no cache service, as on a GitHub Enterprise Server without one, or with act): keep the archives in a directory, which the input directory names';

/**
 * The cache of GitHub Actions.
 *
 * @param ended aborted once the step does not wait for it any more. The client cannot be stopped: its
 *   calls then never settle, so that nothing follows from them.
 */
export function githubCache(ended: AbortSignal): Store {
  return {
    // The client decides by the variables of the environment that it needs (6.3.0: lib/cache.js).
    absence: cache.isFeatureAvailable() ? undefined : noService,
    find: (key, restoreKeys) => find(ended, key, restoreKeys),
    restore: (directory, keys) => restore(ended, directory, keys),
    isSaved: (key) => isSaved(ended, key),
    save: (directory, key) => save(ended, directory, key),
    isLasting: true,
    remedy: (key) =>
      `A saved key is never changed: if this stays so, delete the entry, and the next run saves it anew: gh cache delete '${key.replaceAll("'", "'\\''")}'`,
    otherKeyLabel: 'Restore-key hit',
  };
}

async function find(
  ended: AbortSignal,
  key: string,
  restoreKeys: readonly string[],
): Promise<string | undefined> {
  return whileWaitedFor(ended, () =>
    // To look a key up, the client needs the path for its hash only, and touches no file.
    cache.restoreCache([storedDirectoryName], key, [...restoreKeys], { lookupOnly: true }),
  );
}

async function restore(
  ended: AbortSignal,
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
  return inParentOf(directory, ended, (path) =>
    Promise.all(keys.map((key) => restoreOne(path, key))),
  );
}

async function isSaved(ended: AbortSignal, key: string): Promise<boolean> {
  // The service also answers with an entry whose key merely begins with this one.
  return (await find(ended, key, [])) === key;
}

async function save(ended: AbortSignal, directory: string, key: string): Promise<SaveResult> {
  try {
    const id = await inParentOf(directory, ended, (path) => cache.saveCache([path], key));
    if (id !== -1) {
      return { saved: true };
    }
  } catch (error) {
    return { saved: false, why: `the cache could not be saved: ${messageOf(error)}` };
  }
  // -1 stands for every other trouble, which the client has named in the log, and for a lost race.
  return (await isSaved(ended, key))
    ? { saved: false, why: 'another job has saved this key in the meantime' }
    : { saved: false, why: 'the cache service did not take it (the log says why)' };
}

/**
 * Of these calls only one at a time may be under way.
 *
 * The client resolves paths against the working directory, unpacks into GITHUB_WORKSPACE and puts
 * its own files into RUNNER_TEMP: with all three at the directory's parent, the path that it is
 * given is the same on every runner, and nothing lands outside. All of that is put back when the call
 * settles, or when the step does not wait for it any more.
 */
async function inParentOf<T>(
  directory: string,
  ended: AbortSignal,
  call: (path: string) => Promise<T>,
): Promise<T> {
  if (ended.aborted) return never();
  const parent = dirname(directory);
  const putBack = changeSurroundings(parent, {
    GITHUB_WORKSPACE: parent,
    RUNNER_TEMP: parent,
    TAR_OPTIONS: flatten,
  });
  const abandon = () => {
    putBack();
    process.env.TAR_OPTIONS = refuse;
  };
  ended.addEventListener('abort', abandon, { once: true });
  try {
    return await whileWaitedFor(ended, () => call(basename(directory)));
  } finally {
    ended.removeEventListener('abort', abandon);
    putBack();
  }
}

/** Calls the client, which retries for half a minute without a word. Never settles once the step has ended. */
async function whileWaitedFor<T>(ended: AbortSignal, call: () => Promise<T>): Promise<T> {
  if (ended.aborted) return never();
  const started = performance.now();
  const patience = setInterval(() => {
    const seconds = Math.round((performance.now() - started) / 1000);
    print(`The cache service has taken ${seconds} seconds so far.`);
  }, 10_000);
  const stop = () => clearInterval(patience);
  ended.addEventListener('abort', stop, { once: true });
  const [result] = await Promise.allSettled([call()]);
  if (ended.aborted) return never();
  ended.removeEventListener('abort', stop);
  stop();
  if (result.status === 'rejected') throw result.reason;
  return result.value;
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}

/** @returns what puts all of it back */
function changeSurroundings(cwd: string, variables: Readonly<Record<string, string>>): () => void {
  const before = {
    cwd: process.cwd(),
    variables: Object.keys(variables).map((name) => [name, process.env[name]] as const),
  };
  process.chdir(cwd);
  Object.assign(process.env, variables);
  return () => {
    process.chdir(before.cwd);
    for (const [name, value] of before.variables) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}
