import { resolve } from 'node:path';
import type { MountInputs } from '../discovery/mount-inputs.js';
import { parseCsvRecord } from '../dockerfile/csv.js';
import { familiarName } from '../dockerfile/image-name.js';
import { cut } from '../dockerfile/mount-options.js';
import { maximumDeltas } from '../entry/manifest.js';
import type { StoreLocation } from '../entry/stores/open-store.js';
import { InputError } from '../lib/errors.js';
import type { Surroundings } from '../lib/surroundings.js';
import { formatPlatform, parsePlatform } from '../mounts/platform.js';
import { parseByteSize } from './byte-size.js';
import { type ExcludeRule, parseExclude } from './exclude.js';
import { countOfMadeKeys } from './generated-key.js';
import { type GetInput, withDefaults } from './get-input.js';
import { defaultKeyPrefix, inputsReadBy } from './input-definitions.js';
import { parseReferences } from './registry-references.js';

export interface InjectInputs extends SizeInputs {
  readonly mountInputs: MountInputs;
  /** Undefined: one is made (generated-key.ts). */
  readonly key: string | undefined;
  readonly keyPrefix: string;
  readonly restoreKeys: readonly string[];
  /** Undefined: the builder that buildx itself would use. */
  readonly builder: string | undefined;
  readonly utilityImage: string | undefined;
  readonly failOnCacheMiss: boolean;
  /** Whether to prepare for an extract that saves deltas. */
  readonly incremental: boolean;
  /** Whether archives may go straight to the builder. */
  readonly stream: boolean;
  /** Undefined: the cache of GitHub Actions. */
  readonly storeLocation: StoreLocation | undefined;
  /** Minutes that the step may take. */
  readonly timeout: number;
  readonly summary: boolean;
}

/** What inject reads, and extract too; what extract's inputs leave out is taken from inject. */
export interface SizeInputs {
  /** What is not saved. */
  readonly exclude: readonly ExcludeRule[];
  /** In bytes before compression; undefined: there is no limit. */
  readonly maxSize: number | undefined;
}

/** The limits within which a delta is saved instead of all of a mount. */
export interface IncrementalLimits {
  /** How many times in a row; 0: never. */
  readonly count: number;
  /** How large the deltas may become together, as a part of all that the mount held at first. */
  readonly share: number;
}

/** Fields that are undefined here are taken from the state of inject. */
export interface ExtractInputs extends SizeInputs {
  readonly mountInputs: MountInputs;
  readonly key: string | undefined;
  readonly builder: string | undefined;
  readonly utilityImage: string | undefined;
  /** Whether to save at all. */
  readonly save: boolean;
  /** The level of zstd; the levels of gzip end at 9. */
  readonly compressionLevel: number;
  readonly incremental: IncrementalLimits;
  /** Whether archives may come straight from the builder. */
  readonly stream: boolean;
  readonly storeLocation: StoreLocation | undefined;
  /** Minutes that the step may take. */
  readonly timeout: number;
  readonly summary: boolean;
}

/** Limits of the cache service and of its client; the timeout is a day, in minutes. */
const maximum = {
  ...{ keyLength: 512, keys: 10, timeout: 1440, compressionLevel: 19, share: 1000 },
  /** The room for the prefix in a key if the rest is made (generated-key.ts). */
  prefixLength: 400,
};

/** @throws InputError that names the input and the remedy */
export function readInjectInputs(getInput: GetInput, surroundings: Surroundings): InjectInputs {
  const input = withDefaults(inputsReadBy('inject'), getInput);
  const key = optional(input, 'key');
  const keyPrefix = optional(input, 'key-prefix');
  // Empty lines are left out, because an empty key would match every entry.
  const restoreKeys = linesOf(input, 'restore-keys');
  if (key !== undefined) checkKey('key', key);
  if (key !== undefined && keyPrefix !== undefined) {
    throw new InputError(
      'Input key-prefix: it is the prefix of the generated key; leave out either it or the input key.',
    );
  }
  checkKey('key-prefix', keyPrefix ?? '', maximum.prefixLength);
  for (const restoreKey of restoreKeys) {
    checkKey('restore-keys', restoreKey);
  }
  const room = maximum.keys - (key === undefined ? countOfMadeKeys : 1);
  if (restoreKeys.length > room) {
    throw new InputError(
      `Input restore-keys: ${restoreKeys.length} keys are too many, the cache service takes ${room}.`,
    );
  }
  return {
    mountInputs: readMountInputs(input, surroundings),
    key,
    keyPrefix: keyPrefix ?? defaultKeyPrefix,
    restoreKeys,
    builder: optional(input, 'builder'),
    utilityImage: optional(input, 'utility-image'),
    failOnCacheMiss: readBoolean(input, 'fail-on-cache-miss'),
    incremental: readBoolean(input, 'incremental'),
    stream: readBoolean(input, 'stream'),
    ...readCommonInputs(input, surroundings),
  };
}

/** @throws InputError that names the input and the remedy */
export function readExtractInputs(getInput: GetInput, surroundings: Surroundings): ExtractInputs {
  const input = withDefaults(inputsReadBy('extract'), getInput);
  const key = optional(input, 'key');
  if (key !== undefined) {
    checkKey('key', key);
  }
  return {
    mountInputs: readMountInputs(input, surroundings),
    key,
    builder: optional(input, 'builder'),
    utilityImage: optional(input, 'utility-image'),
    save: readBoolean(input, 'save'),
    compressionLevel: readNumber(input, 'compression-level', 1, maximum.compressionLevel),
    incremental: readIncremental(input),
    stream: readBoolean(input, 'stream'),
    ...readCommonInputs(input, surroundings),
  };
}

function readIncremental(input: GetInput): IncrementalLimits {
  const isOn = readBoolean(input, 'incremental');
  const count = readNumber(input, 'incremental-count', 1, maximumDeltas);
  const share = readNumber(input, 'incremental-share', 1, maximum.share) / 100;
  return { count: isOn ? count : 0, share };
}

/** A whole number. */
function readNumber(input: GetInput, name: string, least: number, most: number): number {
  const text = input(name).trim();
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most) {
    throw new InputError(`Input ${name}: "${text}" is no whole number from ${least} to ${most}.`);
  }
  return value;
}

function readCommonInputs(
  input: GetInput,
  { workspace }: Surroundings,
): Pick<ExtractInputs, 'storeLocation' | 'timeout' | 'summary' | keyof SizeInputs> {
  return {
    exclude: parseExclude(linesOf(input, 'exclude')),
    maxSize: readMaxSize(input),
    storeLocation: readStoreLocation(input, workspace),
    timeout: readTimeout(input),
    summary: readBoolean(input, 'summary'),
  };
}

/** Undefined: the cache of GitHub Actions. */
function readStoreLocation(input: GetInput, workspace: string): StoreLocation | undefined {
  const directory = optional(input, 'directory');
  const [registry, ...others] = parseReferences(linesOf(input, 'registry'));
  if (registry === undefined) {
    return directory === undefined ? undefined : { directory: resolve(workspace, directory) };
  }
  if (directory !== undefined) {
    throw new InputError(
      'Input registry: the archives are kept there or in the directory; leave out either it or the input directory.',
    );
  }
  return { registry: [registry, ...others] };
}

/**
 * An input of the single step alone.
 *
 * @throws InputError that names the input and the remedy
 */
export function readSaveAlways(getInput: GetInput): boolean {
  return readBoolean(withDefaults(inputsReadBy('single'), getInput), 'save-always');
}

function readMountInputs(input: GetInput, { env }: Surroundings): MountInputs {
  const platforms = namesOf(input, 'platforms').map((platform) =>
    formatPlatform(parsePlatform(platform)),
  );
  return {
    // Not trimmed, because messages name the line numbers of the workflow.
    cacheMounts: input('cache-mounts'),
    context: optional(input, 'context'),
    files: linesOf(input, 'file'),
    targets: namesOf(input, 'target'),
    buildArgs: readBuildArgs(input, env),
    platforms: platforms.length > 0 ? platforms : undefined,
    buildContexts: readBuildContexts(input),
    bake: {
      files: namesOf(input, 'bake-files'),
      targets: namesOf(input, 'bake-targets'),
      set: linesOf(input, 'bake-set'),
      vars: linesOf(input, 'bake-vars'),
    },
  };
}

/** `NAME=VALUE` a line. */
function readBuildContexts(input: GetInput): Map<string, string> {
  const contexts = new Map<string, string>();
  for (const line of linesOf(input, 'build-contexts')) {
    const [name, value] = cut(line.startsWith('"') ? parseQuoted(line) : line);
    if (value === undefined) {
      throw new InputError(
        `Input build-contexts: "${line}" is not of the form NAME=VALUE, as in docker/build-push-action.`,
      );
    }
    contexts.set(familiarName(name) ?? name, value);
  }
  return contexts;
}

/**
 * One `KEY=VALUE` per line, in CSV quotes if needed. `KEY` alone is the variable of the
 * environment.
 */
function readBuildArgs(input: GetInput, env: Surroundings['env']): Map<string, string> {
  const buildArgs = new Map<string, string>();
  for (const line of linesOf(input, 'build-args')) {
    const [name, given] = cut(line.startsWith('"') ? parseQuoted(line) : line);
    const value = given ?? env[name];
    if (value !== undefined) buildArgs.set(name, value);
  }
  return buildArgs;
}

function parseQuoted(line: string): string {
  try {
    return parseCsvRecord(line).join(',');
  } catch {
    return line;
  }
}

function checkKey(input: string, key: string, longest = maximum.keyLength): void {
  if (key.length > longest) {
    throw new InputError(
      `Input ${input}: "${key.slice(0, 40)}…" has ${key.length} characters, the cache service takes ${longest}. Hash the longer parts (hashFiles).`,
    );
  }
  if (/[,\n]/.test(key)) {
    throw new InputError(
      `Input ${input}: "${key}" holds a comma or a line break, which the cache service does not take.`,
    );
  }
}

function readMaxSize(input: GetInput): number | undefined {
  const text = optional(input, 'max-size');
  if (text === undefined) return undefined;
  const bytes = parseByteSize(text);
  if (bytes === undefined) {
    throw new InputError(`Input max-size: "${text}" is no size, such as 2GB, 1.5GiB or 500MB.`);
  }
  return bytes;
}

function readTimeout(input: GetInput): number {
  const text = input('timeout').trim();
  const minutes = Number(text);
  if (!/^\d*\.?\d+$/.test(text) || minutes <= 0 || minutes > maximum.timeout) {
    throw new InputError(
      `Input timeout: "${text}" is no number of minutes above 0, up to ${maximum.timeout} (a day); a step without a limit could hold up a job.`,
    );
  }
  return minutes;
}

/** Takes the same words as `getBooleanInput` of @actions/core. */
function readBoolean(input: GetInput, name: string): boolean {
  const text = input(name).trim();
  if (/^(true|True|TRUE)$/.test(text)) return true;
  if (/^(false|False|FALSE)$/.test(text)) return false;
  throw new InputError(`Input ${name}: "${text}" is neither true nor false.`);
}

/** The lines that are not blank, trimmed. */
function linesOf(input: GetInput, name: string): string[] {
  return input(name)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** Names, one per line or with commas between them. */
function namesOf(input: GetInput, name: string): string[] {
  const names = linesOf(input, name).flatMap((line) => line.split(','));
  return names.map((each) => each.trim()).filter((each) => each !== '');
}

function optional(input: GetInput, name: string): string | undefined {
  return input(name).trim() || undefined;
}
