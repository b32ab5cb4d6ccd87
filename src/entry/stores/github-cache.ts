import { mkdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import * as cache from '@actions/cache';
import { print } from '../../console/console.js';
import { messageOf } from '../../lib/errors.js';
import { type SaveResult, type Store, storedDirectoryName } from './store.js';

/**
 * The options for GNU tar, in TAR_OPTIONS. They are needed because others can write to the cache,
 * and the client unpacks with -P. With -P, a tar file can write to `/x`, to `../x` and through its
 * own links. But an entry of ours is one flat directory. So of each member's path, and
 * of each link's target, only the last part counts, inside that directory. The directory exists
 * before, and is not replaced. If several entries are restored into it at once, the first file with
 * a name stays, because one tar must not remove a file that another tar uses.
 */
const flatten = [
  `--transform=s,^${storedDirectoryName}$,${storedDirectoryName}/.,`,
  `;s,^.*/,${storedDirectoryName}/,`,
  `;s,^[^/]*$,${storedDirectoryName}/&,`,
  ' --skip-old-files',
].join('');

/**
 * The option for GNU tar after the step has stopped waiting for the client. Tar does not know it
 * and ends at once. This is needed because the client may still download an entry, and that must
 * not be unpacked in surroundings that are not its own.
 */
const refuse = '--no-more-of-this-step';

const noService =
  'there is no GitHub Actions cache here (the runner names no cache service, as on a GitHub Enterprise Server without one, or with act): keep the archives in a directory, which the input directory names';

/**
 * The cache of GitHub Actions.
 *
 * @param ended aborted when the step stops waiting for the cache. The client cannot be stopped. So
 *   its calls then never settle, and nothing follows from them.
 */
export function githubCache(ended: AbortSignal): Store {
  return {
    // The client checks the environment variables that it needs (6.3.0: lib/cache.js).
    absence: cache.isFeatureAvailable() ? undefined : noService,
    find: (key, restoreKeys) => find(ended, key, restoreKeys),
    restore: (directory, keys) => restore(ended, directory, keys),
    isSaved: (key) => isSaved(ended, key),
    save: (directory, key) => save(ended, directory, key),
    isLasting: true,
    keepsImages: false,
    remedy: (key) =>
      `A saved key is never changed: if this stays so, delete the entry, and the next run saves it anew: gh cache delete '${key.replaceAll("'", "'\\''")}'`,
    otherKeyLabel: 'Restore-key hit',
    otherKeySource: 'restore key',
  };
}

async function find(
  ended: AbortSignal,
  key: string,
  restoreKeys: readonly string[],
): Promise<string | undefined> {
  return whileWaitedFor(ended, () =>
    // When the client looks up a key, it only computes a hash of the path, and touches no file.
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
      // For example, the key may not be valid. This must not throw, because other restores still
      // run and need the changed environment.
      print(`The entry ${key} cannot be restored: ${messageOf(error)}`);
      return undefined;
    }
  };
  return inParentOf(directory, ended, (path) =>
    Promise.all(keys.map((key) => restoreOne(path, key))),
  );
}

async function isSaved(ended: AbortSignal, key: string): Promise<boolean> {
  // The service also answers with an entry whose key only begins with this key.
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
  // -1 means any other trouble, which the client has logged, or that another job was faster.
  return (await isSaved(ended, key))
    ? { saved: false, why: 'another job has saved this key in the meantime' }
    : { saved: false, why: 'the cache service did not take it (the log says why)' };
}

/**
 * Calls the client in changed surroundings. Only one such call may run at a time.
 *
 * The client resolves paths against the working directory, unpacks into GITHUB_WORKSPACE and puts
 * its own files into RUNNER_TEMP. All three are set to the directory's parent. So the client gets
 * the same path on every runner, and writes nothing outside. The surroundings are put back when the
 * call settles, or when the step stops waiting for it.
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

/**
 * Calls the client. The log shows the time, because the client retries for half a minute and says
 * nothing. The result never settles after the step has stopped waiting.
 */
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

/** @returns a function that puts everything back */
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
