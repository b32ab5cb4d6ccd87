/*
 * Mirrors frontend/dockerfile/instructions/commands_runmount.go (parseMount) and
 * frontend/dockerfile/dockerfile2llb/convert_runmount.go (dispatchRunMounts) of BuildKit v0.32.2.
 */
import { posix } from 'node:path';
import type { CacheMount, Ownership } from '../mounts/cache-mount.js';

type ValueOption =
  | 'type'
  | 'id'
  | 'target'
  | 'sharing'
  | 'from'
  | 'source'
  | 'uid'
  | 'gid'
  | 'mode';
export type MountOptions = Partial<Record<ValueOption, string>>;

const optionOfKey: ReadonlyMap<string, ValueOption | 'readonly' | 'env'> = new Map([
  ['type', 'type'],
  ['id', 'id'],
  ['target', 'target'],
  ['dst', 'target'],
  ['destination', 'target'],
  ['sharing', 'sharing'],
  ['from', 'from'],
  ['source', 'source'],
  ['src', 'source'],
  ['uid', 'uid'],
  ['gid', 'gid'],
  ['mode', 'mode'],
  ['readonly', 'readonly'],
  ['ro', 'readonly'],
  ['readwrite', 'readonly'],
  ['rw', 'readonly'],
  ['env', 'env'],
]);

export function isOption(field: string): boolean {
  const [key, value] = cut(field);
  const option = optionOfKey.get(key.toLowerCase());
  return option !== undefined && (value !== undefined || option === 'readonly');
}

/**
 * Reads the options of a cache mount.
 *
 * @param expand expands a value and takes its quotes away
 * @param duplicates BuildKit takes the last of several values; who writes for us is told
 * @throws Error on an option that is unknown, or has no value or a bad one
 */
export function parseOptions(
  fields: readonly string[],
  expand: (value: string) => string,
  duplicates: 'refused' | 'last wins' = 'refused',
): MountOptions {
  const options: MountOptions = {};
  for (const field of fields) {
    const [key, raw] = cut(field);
    const option = optionOfKey.get(key.toLowerCase());
    if (option === undefined) {
      throw new Error(
        `unknown option "${key}": the options of a cache mount are id, target, uid, gid, mode, from, source, sharing and ro`,
      );
    }
    if (raw === undefined) {
      if (option === 'readonly') continue;
      throw new Error(`the option ${key} has no value: write ${key}=…`);
    }
    const value = expand(raw);
    if (option === 'readonly') {
      // No part of the identity; these are the booleans of Go.
      if (/^(1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/.test(value)) continue;
      throw new Error(`${field} is neither true nor false`);
    }
    // The name of a secret's variable. BuildKit takes it for any type, and heeds it for that alone.
    if (option === 'env') continue;
    const earlier = options[option];
    if (duplicates === 'refused' && earlier !== undefined && earlier !== value) {
      throw new Error(`${option} is given twice, as "${earlier}" and as "${value}"`);
    }
    options[option] = value;
  }
  return options;
}

/**
 * The mount that the options make. Its `from` is the name that they have, be it of a stage or an image.
 *
 * @throws Error if they make no cache mount
 */
export function toCacheMount(options: MountOptions): CacheMount {
  const { type = 'cache', sharing = 'shared', target } = options;
  if (type.toLowerCase() !== 'cache') {
    throw new Error(`type=${type} is no cache mount: only type=cache can be saved`);
  }
  if (!['shared', 'private', 'locked'].includes(sharing.toLowerCase())) {
    throw new Error(`sharing=${sharing} is unknown: it is shared, private or locked`);
  }
  const id = options.id || (target && cleanPath(target));
  if (!id) {
    throw new Error('neither id nor target is given: one of them must name the mount');
  }
  // BuildKit refuses just this one text: with `/.`, the mount is made, though its RUN fails.
  if (!options.id && target === '/') {
    throw new Error(`target=${target} cannot be a mount`);
  }
  const ownership = parseOwnership(options);
  const source = cleanPath(`/${options.source ?? ''}`);
  const mount = {
    id,
    ...(options.from ? { from: options.from } : {}),
    ...(source === '/' ? {} : { source }),
    ...(ownership && source === '/' ? { ownership } : {}),
  };
  return options.from && options.from !== 'scratch' ? mount : startFromNothing(mount);
}

/**
 * The mount that starts from an empty directory. There, a source is a directory of the mount itself,
 * which another RUN has made: BuildKit's directory is that of the mount without a source.
 */
export function startFromNothing({ from: _, source: __, ...mount }: CacheMount): CacheMount {
  return mount;
}

function parseOwnership({ uid, gid, mode }: MountOptions): Ownership | undefined {
  if (uid === undefined && gid === undefined && mode === undefined) {
    return undefined;
  }
  return {
    uid: parseNumber('uid', uid ?? '0', 10),
    gid: parseNumber('gid', gid ?? '0', 10),
    // BuildKit drops setuid, setgid and sticky here.
    mode: parseNumber('mode', mode ?? '0755', 8) & 0o777,
  };
}

function parseNumber(option: string, text: string, radix: 8 | 10): number {
  const value = (radix === 8 ? /^[0-7]+$/ : /^[0-9]+$/).test(text)
    ? Number.parseInt(text, radix)
    : Number.NaN;
  if (!(value < 2 ** 32)) {
    throw new Error(
      `${option}=${text} is no ${radix === 8 ? 'octal' : 'decimal'} number of 32 bits`,
    );
  }
  return value;
}

/** Cuts `key=value` at its first equals sign. */
export function cut(field: string): [key: string, value: string | undefined] {
  const at = field.indexOf('=');
  return at < 0 ? [field, undefined] : [field.slice(0, at), field.slice(at + 1)];
}

/** Go's `path.Clean`, but for the empty path. */
export function cleanPath(path: string): string {
  const cleaned = posix.normalize(path);
  return cleaned.length > 1 && cleaned.endsWith('/') ? cleaned.slice(0, -1) : cleaned;
}
