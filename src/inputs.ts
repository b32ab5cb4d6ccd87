import * as core from '@actions/core';
import { type CacheMount, type ParsedCacheMounts, parseCacheMounts } from './cache-mount.js';
import { InputError, messageOf } from './errors.js';

export interface InjectInputs {
  readonly mounts: readonly CacheMount[];
  readonly key: string;
  readonly restoreKeys: string[];
  /** Undefined: the builder that buildx itself would use. */
  readonly builder: string | undefined;
  readonly utilityImage: string | undefined;
  readonly failOnCacheMiss: boolean;
  /** What the user should know of the inputs, though it is no error. */
  readonly notices: readonly string[];
}

/** What is left out here is taken from what inject has left. */
export interface ExtractInputs {
  readonly mounts: readonly CacheMount[] | undefined;
  readonly key: string | undefined;
  readonly builder: string | undefined;
  readonly utilityImage: string | undefined;
  readonly notices: readonly string[];
}

/** Limits of the cache service and of its client. */
const maximum = { keyLength: 512, keys: 10 };

/** @throws InputError that names the input and the remedy */
export function readInjectInputs(): InjectInputs {
  const { mounts, notices } = readCacheMounts();
  if (mounts.length === 0) {
    throw new InputError('Input cache-mounts: no mount is named. Write one id or target a line.');
  }
  const key = core.getInput('key');
  if (key === '') {
    throw new InputError('Input key is required: the name under which the mounts are saved.');
  }
  // An empty one would match every entry.
  const restoreKeys = core.getMultilineInput('restore-keys').filter((each) => each !== '');
  checkKey('key', key);
  for (const restoreKey of restoreKeys) {
    checkKey('restore-keys', restoreKey);
  }
  if (1 + restoreKeys.length > maximum.keys) {
    throw new InputError(
      `Input restore-keys: ${restoreKeys.length} keys are too many, the cache service takes ${maximum.keys - 1}.`,
    );
  }
  return {
    mounts,
    key,
    restoreKeys,
    builder: optional('builder'),
    utilityImage: optional('utility-image'),
    failOnCacheMiss: readBoolean('fail-on-cache-miss'),
    notices,
  };
}

/** @throws InputError that names the input and the remedy */
export function readExtractInputs(): ExtractInputs {
  const { mounts, notices } = readCacheMounts();
  const key = optional('key');
  if (key !== undefined) {
    checkKey('key', key);
  }
  return {
    mounts: mounts.length === 0 ? undefined : mounts,
    key,
    builder: optional('builder'),
    utilityImage: optional('utility-image'),
    notices,
  };
}

function readCacheMounts(): ParsedCacheMounts {
  try {
    // Not trimmed: the line numbers of messages are those of the workflow.
    const { mounts, notices } = parseCacheMounts(
      core.getInput('cache-mounts', { trimWhitespace: false }),
    );
    return { mounts, notices: notices.map((notice) => `Input cache-mounts: ${notice}`) };
  } catch (error) {
    throw new InputError(`Input cache-mounts: ${messageOf(error)}`);
  }
}

function checkKey(input: string, key: string): void {
  if (key.length > maximum.keyLength) {
    throw new InputError(
      `Input ${input}: "${key.slice(0, 40)}…" has ${key.length} characters, the cache service takes ${maximum.keyLength}. Hash the longer parts (hashFiles).`,
    );
  }
  if (/[,\n]/.test(key)) {
    throw new InputError(
      `Input ${input}: "${key}" holds a comma or a line break, which the cache service does not take.`,
    );
  }
}

function readBoolean(name: string): boolean {
  try {
    return core.getBooleanInput(name);
  } catch {
    throw new InputError(`Input ${name}: "${core.getInput(name)}" is neither true nor false.`);
  }
}

function optional(name: string): string | undefined {
  return core.getInput(name) || undefined;
}
