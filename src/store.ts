import { readdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import * as cache from '@actions/cache';
import * as core from '@actions/core';
import { messageOf } from './errors.js';

/**
 * The directory that is saved, by the name that it has in its parent. The cache service knows an
 * entry by key and by a hash of this very string, so every runner must use the same one; the
 * archives' format version is part of it, so that an action never meets a format older than it can
 * read.
 */
export const storedDirectoryName = 'buildkit-cache-mounts.v1';

export type SaveResult = { readonly saved: true } | { readonly saved: false; readonly why: string };

export interface Restoration {
  /** Of the entry that was found; undefined where there is none, or no service to tell. */
  readonly key: string | undefined;
  /** Whether it could be fetched and unpacked; if not, the client has said why in the log. */
  readonly isRestored: boolean;
}

/**
 * Restores the newest entry that matches into `directory`, whose last part is
 * {@link storedDirectoryName}. Trouble with the service is in the log, never thrown.
 */
export async function restore(
  directory: string,
  key: string,
  restoreKeys: string[],
): Promise<Restoration> {
  const parent = dirname(directory);
  const before = await readdir(parent);
  const find = (options: { lookupOnly: boolean }) =>
    inParentOf(directory, (path) => cache.restoreCache([path], key, restoreKeys, options));
  const restored = await find({ lookupOnly: false });
  if (restored !== undefined) return { key: restored, isRestored: true };
  // The client says nothing of a key that it could not restore; but by then it has made a directory
  // for the download, which it has not where nothing was found.
  const hasTried = (await readdir(parent)).length > before.length;
  return { key: hasTried ? await find({ lookupOnly: true }) : undefined, isRestored: false };
}

/** Tells whether an entry with exactly this key is saved, without fetching it. */
export async function isSaved(directory: string, key: string): Promise<boolean> {
  const found = await inParentOf(directory, (path) =>
    cache.restoreCache([path], key, [], { lookupOnly: true }),
  );
  // The service also answers with an entry whose key merely begins with this one.
  return found === key;
}

/** Saves `directory` under the key. Trouble with the service is a result, never thrown. */
export async function save(directory: string, key: string): Promise<SaveResult> {
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
    : { saved: false, why: 'the cache service did not take it (the log above says why)' };
}

/**
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
  // It retries for half a minute without a word.
  const started = performance.now();
  const patience = setInterval(() => {
    const seconds = Math.round((performance.now() - started) / 1000);
    core.info(`The cache service has taken ${seconds} seconds so far.`);
  }, 10_000);
  try {
    return await call(basename(directory));
  } finally {
    clearInterval(patience);
    process.chdir(previous.cwd);
    restoreVariable('GITHUB_WORKSPACE', previous.env);
    restoreVariable('RUNNER_TEMP', previous.env);
  }
}

function restoreVariable(name: string, environment: NodeJS.ProcessEnv): void {
  const value = environment[name];
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}
