import { resolve } from 'node:path';
import * as core from '@actions/core';
import type { MountInputs } from '../discovery/mount-list.js';
import { parseCsvRecord } from '../dockerfile/csv.js';
import { cut } from '../dockerfile/mount-options.js';
import { maximumDeltas } from '../entry/manifest.js';
import { InputError } from '../lib/errors.js';
import { formatPlatform, parsePlatform } from '../mounts/platform.js';
import { defaultKeyPrefix } from './generated-key.js';

export interface InjectInputs {
  readonly mountInputs: MountInputs;
  /** Undefined: one is made (default-key.ts). */
  readonly key: string | undefined;
  readonly keyPrefix: string;
  readonly restoreKeys: readonly string[];
  /** Undefined: the builder that buildx itself would use. */
  readonly builder: string | undefined;
  readonly utilityImage: string | undefined;
  readonly failOnCacheMiss: boolean;
  /** Whether to make ready for an extract that saves changes. */
  readonly incremental: boolean;
  /** Path of the directory that entries are kept in; undefined: the cache of GitHub Actions. */
  readonly directory: string | undefined;
  /** Minutes that the step may take. */
  readonly timeout: number;
  readonly summary: boolean;
}

/** When changes are saved instead of all of a mount. */
export interface IncrementalLimits {
  /** How many times in a row; 0: never. */
  readonly count: number;
  /** How large they may become together, as a part of all that the mount held at first. */
  readonly share: number;
}

/** What is left out here is taken from what inject has left. */
export interface ExtractInputs {
  readonly mountInputs: MountInputs;
  readonly key: string | undefined;
  readonly builder: string | undefined;
  readonly utilityImage: string | undefined;
  /** As zstd counts; gzip's ends at 9. */
  readonly compressionLevel: number;
  readonly incremental: IncrementalLimits;
  /** Whether archives may go straight from the builder to this machine. */
  readonly stream: boolean;
  readonly directory: string | undefined;
  /** Minutes that the step may take. */
  readonly timeout: number;
  readonly summary: boolean;
}

/** Limits of the cache service and of its client; minutes in a day. */
const maximum = { keyLength: 512, keys: 10, timeout: 1440, compressionLevel: 19, share: 1000 };

/** Minutes. */
const defaultTimeout = 30;

/** A key that is made, and what to fall back to. */
const madeKeys = 4;

/** @throws InputError that names the input and the remedy */
export function readInjectInputs(): InjectInputs {
  const key = optional('key');
  const keyPrefix = optional('key-prefix');
  // An empty one would match every entry.
  const restoreKeys = core.getMultilineInput('restore-keys').filter((each) => each !== '');
  if (key !== undefined) checkKey('key', key);
  if (key !== undefined && keyPrefix !== undefined) {
    throw new InputError(
      'Input key-prefix: it is the prefix of the generated key; leave out either it or the input key.',
    );
  }
  checkKey('key-prefix', keyPrefix ?? '');
  for (const restoreKey of restoreKeys) {
    checkKey('restore-keys', restoreKey);
  }
  const room = maximum.keys - (key === undefined ? madeKeys : 1);
  if (restoreKeys.length > room) {
    throw new InputError(
      `Input restore-keys: ${restoreKeys.length} keys are too many, the cache service takes ${room}.`,
    );
  }
  return {
    mountInputs: readMountInputs(),
    key,
    keyPrefix: keyPrefix ?? defaultKeyPrefix,
    restoreKeys,
    builder: optional('builder'),
    utilityImage: optional('utility-image'),
    failOnCacheMiss: readBoolean('fail-on-cache-miss', false),
    incremental: readBoolean('incremental', true),
    ...readCommonInputs(),
  };
}

/** @throws InputError that names the input and the remedy */
export function readExtractInputs(): ExtractInputs {
  const key = optional('key');
  if (key !== undefined) {
    checkKey('key', key);
  }
  return {
    mountInputs: readMountInputs(),
    key,
    builder: optional('builder'),
    utilityImage: optional('utility-image'),
    compressionLevel: readNumber('compression-level', 1, maximum.compressionLevel, 3),
    incremental: readIncremental(),
    stream: readBoolean('stream', true),
    ...readCommonInputs(),
  };
}

function readIncremental(): IncrementalLimits {
  const isOn = readBoolean('incremental', true);
  const count = readNumber('incremental-count', 1, maximumDeltas, 10);
  const share = readNumber('incremental-share', 1, maximum.share, 50) / 100;
  return { count: isOn ? count : 0, share };
}

/** A whole number. */
function readNumber(name: string, least: number, most: number, standard: number): number {
  const text = optional(name) ?? String(standard);
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most) {
    throw new InputError(`Input ${name}: "${text}" is no whole number from ${least} to ${most}.`);
  }
  return value;
}

function readCommonInputs(): Pick<ExtractInputs, 'directory' | 'timeout' | 'summary'> {
  const directory = optional('directory');
  return {
    directory: directory && resolve(process.env.GITHUB_WORKSPACE || process.cwd(), directory),
    timeout: readTimeout(),
    summary: readBoolean('summary', true),
  };
}

/** An input of the single step alone. @throws InputError that names the input and the remedy */
export function readSaveAlways(): boolean {
  return readBoolean('save-always', false);
}

function readMountInputs(): MountInputs {
  const platforms = core
    .getMultilineInput('platforms')
    .flatMap((line) => line.split(','))
    .map((platform) => platform.trim())
    .filter((platform) => platform !== '')
    .map((platform) => formatPlatform(parsePlatform(platform)));
  return {
    // Not trimmed: the line numbers of messages are those of the workflow.
    cacheMounts: core.getInput('cache-mounts', { trimWhitespace: false }),
    context: optional('context'),
    files: core.getMultilineInput('file').filter((file) => file !== ''),
    target: optional('target'),
    buildArgs: readBuildArgs(),
    platforms: platforms.length > 0 ? platforms : undefined,
  };
}

/** `KEY=VALUE` a line, in CSV quotes where needed; `KEY` alone is the variable of the environment. */
function readBuildArgs(): Map<string, string> {
  const buildArgs = new Map<string, string>();
  for (const line of core.getMultilineInput('build-args').filter((each) => each !== '')) {
    const [name, given] = cut(line.startsWith('"') ? parseQuoted(line) : line);
    const value = given ?? process.env[name];
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

function readTimeout(): number {
  const text = optional('timeout') ?? String(defaultTimeout);
  const minutes = Number(text);
  if (!/^\d*\.?\d+$/.test(text) || minutes <= 0 || minutes > maximum.timeout) {
    throw new InputError(
      `Input timeout: "${text}" is no number of minutes between 0 and ${maximum.timeout}.`,
    );
  }
  return minutes;
}

function readBoolean(name: string, standard: boolean): boolean {
  if (optional(name) === undefined) return standard;
  try {
    return core.getBooleanInput(name);
  } catch {
    throw new InputError(`Input ${name}: "${core.getInput(name)}" is neither true nor false.`);
  }
}

function optional(name: string): string | undefined {
  return core.getInput(name) || undefined;
}
