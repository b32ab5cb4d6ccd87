import { posix } from 'node:path';
import { parseCsvRecord } from './csv.js';
import { messageOf } from './errors.js';
import { splitFlags } from './flags.js';
import { expandWord, type Lookup } from './shell-word.js';

/** A stage, with what tells it from others of its name. */
export interface StageReference {
  readonly name: string;
  /** Of the text of all that it is built from. */
  readonly digest: string;
}

/** Owner and permissions that a mount is created with. */
export interface Ownership {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/**
 * A cache mount by what BuildKit tells it from others by: its cache id and the directory that it
 * starts from. Two mounts that differ in any field are two directories on the builder; target,
 * sharing and ro are no part of it (`dispatchRunMounts` in BuildKit's Dockerfile frontend).
 */
export interface CacheMount {
  readonly id: string;
  /** The build argument BUILDKIT_CACHE_MOUNT_NS; absent: none. */
  readonly namespace?: string;
  /** The image whose directory the mount starts from; absent: an empty one, or a stage's. */
  readonly from?: string;
  /** The stage of a Dockerfile whose directory the mount starts from. */
  readonly stage?: StageReference;
  /** Directory in the image or stage, absolute and cleaned; absent: its root. */
  readonly source?: string;
  /**
   * Present as soon as one of uid, gid and mode is given, the others then being 0, 0 and 0755; even
   * where all have these values, the mount is another than one without them. Absent beside
   * `source`, where BuildKit ignores all three.
   */
  readonly ownership?: Ownership;
}

export interface ParsedCacheMounts {
  readonly mounts: CacheMount[];
  /** What the user should know, though it is no error. */
  readonly notices: string[];
}

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

/**
 * Reads the input `cache-mounts`: one mount a line; blank lines and lines that begin with `#` are
 * skipped. A line is either options as in a Dockerfile's `--mount` flag, or an id, literally.
 *
 * @param lookup the variables that options may hold
 * @throws Error that lists every line that is wrong, with its number
 */
export function parseCacheMounts(
  text: string,
  lookup: Lookup = () => undefined,
): ParsedCacheMounts {
  const lineOfIdentity = new Map<string, number>();
  const mounts: CacheMount[] = [];
  const notices: string[] = [];
  const errors: string[] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    const number = index + 1;
    if (line === '' || line.startsWith('#')) {
      continue;
    }
    try {
      const mount = parseLine(line, lookup);
      const identity = identityOf(mount);
      const earlier = lineOfIdentity.get(identity);
      if (earlier === undefined) {
        lineOfIdentity.set(identity, number);
        mounts.push(mount);
      } else {
        notices.push(
          `line ${number} names the same cache mount as line ${earlier}: ${describeMount(mount)}`,
        );
      }
    } catch (error) {
      errors.push(`line ${number} (${line}): ${messageOf(error)}`);
    }
  }
  if (errors.length > 0) {
    throw new Error(errors.join('\n'));
  }
  return { mounts, notices };
}

/** A string that is equal for two mounts just when BuildKit holds them for one. */
export function identityOf(mount: CacheMount): string {
  const { id, namespace, from, stage, source, ownership } = mount;
  return JSON.stringify([
    id,
    namespace ?? null,
    from ?? null,
    stage ? [stage.name, stage.digest] : null,
    source ?? null,
    ownership ? [ownership.uid, ownership.gid, ownership.mode] : null,
  ]);
}

/** A mount as a person would name it: the id, and the options that make it another mount. */
export function describeMount(mount: CacheMount): string {
  const { namespace, source, ownership } = mount;
  const from = mount.from ?? mount.stage?.name;
  const options = [
    ...(namespace === undefined ? [] : [`namespace=${namespace}`]),
    ...(from === undefined ? [] : [`from=${from}`]),
    ...(source === undefined ? [] : [`source=${source}`]),
    ...(ownership ? renderOwnership(ownership) : []),
  ];
  return options.length > 0 ? `${mount.id} (${options.join(',')})` : mount.id;
}

/** The options of a `--mount` flag that stand for the ownership. */
export function renderOwnership({ uid, gid, mode }: Ownership): string[] {
  return [`uid=${uid}`, `gid=${gid}`, `mode=0${mode.toString(8)}`];
}

function parseLine(line: string, lookup: Lookup): CacheMount {
  const expand = (value: string) =>
    expandWord(value, (name, hasAlternative) => {
      const variable = lookup(name, hasAlternative);
      if (variable !== undefined || hasAlternative) return variable;
      throw new Error(
        `the variable $${name} has no value: give it in build-args, or write the value itself (a plain dollar sign is \\$)`,
      );
    });
  const flag = line.replace(/^RUN\s+(?=--mount)/i, '');
  if (flag.startsWith('--mount=')) {
    return toCacheMount(parseOptions(parseCsvRecord(readFlagValue(flag)), expand));
  }
  const fields = parseCsvRecord(line);
  const [first = '', second, ...more] = fields;
  if (isOption(first)) {
    return toCacheMount(parseOptions(fields, expand));
  }
  if (first === '') {
    throw new Error('the id is empty');
  }
  if (more.length > 0 || (second !== undefined && isOption(second))) {
    throw new Error(
      `options can follow only an option: write id=${first},… (or put an id that holds a comma in quotes)`,
    );
  }
  return { id: first };
}

function isOption(field: string): boolean {
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

/** Reads the value of a flag pasted from a Dockerfile. */
function readFlagValue(line: string): string {
  const { flags, rest } = splitFlags(line);
  const [flag = '', ...others] = flags;
  // A pasted line may still have its continuation character.
  if (others.length > 0 || (rest !== '' && rest !== '\\')) {
    const more = [...others.map((other) => `--${other}`), rest].join(' ').trim();
    throw new Error(
      `one mount a line: put "${more}" on a line of its own, or quotes around white space`,
    );
  }
  return cut(flag)[1] ?? '';
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
