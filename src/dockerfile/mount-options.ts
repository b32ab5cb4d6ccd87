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

const optionOfKey: ReadonlyMap<string, ValueOption | 'readonly'> = new Map([
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
    const earlier = options[option];
    if (duplicates === 'refused' && earlier !== undefined && earlier !== value) {
      throw new Error(`${option} is given twice, as "${earlier}" and as "${value}"`);
    }
    options[option] = value;
  }
  return options;
}

/** @throws Error where the options make no cache mount */
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
  if (!options.id && id === '/') {
    throw new Error(`target=${target} cannot be a mount`);
  }
  const ownership = parseOwnership(options);
  const from = options.from === 'scratch' ? undefined : options.from;
  const source = cleanPath(`/${options.source ?? ''}`);
  if (source !== '/' && !from) {
    throw new Error(`source=${options.source} needs from=…, the image that holds it`);
  }
  return {
    id,
    ...(from ? { from } : {}),
    ...(source === '/' ? {} : { source }),
    ...(ownership && source === '/' ? { ownership } : {}),
  };
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
function cleanPath(path: string): string {
  const cleaned = posix.normalize(path);
  return cleaned.length > 1 && cleaned.endsWith('/') ? cleaned.slice(0, -1) : cleaned;
}
