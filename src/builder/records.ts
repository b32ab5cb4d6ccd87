import { object, string } from '../lib/json.js';
import { type CacheMount, describeMount } from '../mounts/cache-mount.js';
import { snapshotMountPrefix } from './scratch-dockerfile.js';

/** A directory that the builder keeps for a cache mount. */
export interface BuilderRecord {
  /**
   * When it was made, by the builder's clock, in milliseconds since the epoch. It stays over builds
   * and changes when the directory is made anew. Undefined where it cannot be told.
   */
  readonly createdAt: number | undefined;
  /** The mount's id with its namespace in front: `NAMESPACE/ID`. */
  readonly id: string;
}

/**
 * Reads what `docker buildx du --verbose` or `--format json` prints of records of the type
 * exec.cachemount: each has a time, and a description, which ends in the Go-quoted id; that is missing
 * where it equals the target.
 *
 * @throws Error where a description is of another form
 */
export function parseRecords(text: string): BuilderRecord[] {
  return parseBuildCache(text)
    .map(({ createdAt, description }) => ({
      createdAt: parseTime(createdAt),
      id: parseDescription(description),
    }))
    .filter(isOfUser);
}

const snapshotMountId = new RegExp(`/${snapshotMountPrefix}[0-9a-f]+$`);

/** There are mounts of our own beside the user's. */
function isOfUser({ id }: BuilderRecord): boolean {
  return !snapshotMountId.test(id);
}

/**
 * Reads the same of records of any type that are described as cache mounts: what stands in for one
 * is of another time.
 */
export function parseStandIns(text: string): BuilderRecord[] {
  const mounts = parseBuildCache(text).filter(({ description }) =>
    description.startsWith('cached mount '),
  );
  return mounts
    .map(({ description }) => ({ createdAt: undefined, id: parseDescription(description) }))
    .filter(isOfUser);
}

/** A record of any type, in the builder's own words. */
interface DescribedRecord {
  /** What the builder knows it by; empty if it cannot be told. */
  readonly id: string;
  /** As Go prints it. */
  readonly createdAt: string;
  readonly description: string;
}

/** Reads what `docker buildx du --verbose` or `--format json` prints; records without a description are left out. */
export function parseBuildCache(text: string): DescribedRecord[] {
  return text.trimStart().startsWith('{')
    ? text.split('\n').flatMap(readJsonLine)
    : readVerbose(text);
}

function readJsonLine(line: string): DescribedRecord[] {
  if (!line.startsWith('{')) return [];
  const { ID = '', CreatedAt, Description } = object(JSON.parse(line), 'record');
  if (Description === undefined) return [];
  const description = string(Description, 'Description');
  return [{ id: String(ID), description, createdAt: String(CreatedAt) }];
}

/** A description holds the command as it is, with all its lines (a heredoc); the count follows. */
function readVerbose(text: string): DescribedRecord[] {
  const records = text.matchAll(
    /^ID:[ \t]+(\S+)|^Created at:[ \t]+(.*)|^Description:[ \t]+(?:([\s\S]*?)(?=\r?\nUsage count:[ \t]+\d)|(.*))/gm,
  );
  let id = '';
  let createdAt = '';
  return [...records].flatMap(([, ownId, time, upToCount, line]) => {
    if (ownId !== undefined) id = ownId;
    if (time !== undefined) createdAt = time;
    const description = upToCount ?? line;
    return description === undefined ? [] : { id, createdAt, description };
  });
}

/** `2026-01-17 18:29:20.123456789 +0000 UTC`; some versions print it by RFC 3339. */
function parseTime(text: string): number | undefined {
  const [, date, time, zone] =
    /^(\d+-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(?:\.\d+)?) ?(Z|[+-]\d\d:?\d\d)/.exec(text) ?? [];
  const parsed = Date.parse(`${date}T${time}${zone?.replace(/(\d\d)(\d\d)$/, '$1:$2')}`);
  return Number.isNaN(parsed) ? undefined : parsed;
}

function parseDescription(description: string): string {
  const quoted = / with id ("(?:[^"\\]|\\.)*")$/.exec(description)?.[1];
  if (quoted !== undefined) return unquoteGo(quoted);
  const target = /^cached mount (.*?) from exec /s.exec(description)?.[1];
  if (target === undefined) throw new Error(`a record cannot be read: ${description}`);
  return target;
}

/** Go's strconv.Unquote, for what its %q writes. */
function unquoteGo(quoted: string): string {
  const named: Readonly<Record<string, string>> = {
    ...{ a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' },
  };
  return quoted
    .slice(1, -1)
    .replace(
      /\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U(00(?:0[0-9a-f]|10)[0-9a-f]{4})|(.))/g,
      (_, x?: string, u?: string, U?: string, char = '') => {
        const code = x ?? u ?? U;
        return code === undefined
          ? (named[char] ?? char)
          : String.fromCodePoint(Number.parseInt(code, 16));
      },
    );
}

/** Whether the builder has a record for the mount. */
export function isHeld(mount: CacheMount, records: readonly BuilderRecord[]): boolean {
  return records.some(({ id }) => id === recordId(mount));
}

/**
 * Whether all that the builder has for a mount's id was made after a time, in milliseconds since the
 * epoch; false where that cannot be told.
 */
export function isNewer(
  mount: CacheMount,
  records: readonly BuilderRecord[],
  time: number,
): boolean {
  return wereAllMade(mount, records, (createdAt) => createdAt > time);
}

/** Whether all that the builder has for a mount's id was there at a time; false where that cannot be told. */
export function isOlder(
  mount: CacheMount,
  records: readonly BuilderRecord[],
  time: number,
): boolean {
  return wereAllMade(mount, records, (createdAt) => createdAt <= time);
}

function wereAllMade(
  mount: CacheMount,
  records: readonly BuilderRecord[],
  isMeant: (createdAt: number) => boolean,
): boolean {
  const own = records.filter(({ id }) => id === recordId(mount));
  const wasMade = ({ createdAt }: BuilderRecord) => createdAt !== undefined && isMeant(createdAt);
  return own.length > 0 && own.every(wasMade);
}

/** What a comparison of the mounts asked for with those of the builder shows. */
export interface Comparison {
  /** The mounts that the builder has. */
  readonly known: readonly CacheMount[];
  readonly warnings: readonly string[];
  readonly information: readonly string[];
}

/**
 * Compares the mounts that are asked for with those that the builder has. A record tells the id
 * only, not the options that make it one of several mounts.
 */
export function compareRecords(
  mounts: readonly CacheMount[],
  records: readonly BuilderRecord[],
  builder: string,
): Comparison {
  const held = countBy(records.map(({ id }) => id));
  const asked = countBy(mounts.map(recordId));
  const known = mounts.filter((mount) => held.has(recordId(mount)));
  const others = [...held.keys()].filter((id) => !asked.has(id));
  const warnings: string[] = [];
  for (const mount of mounts.filter((each) => !held.has(recordId(each)))) {
    const nearest = findNearest(recordId(mount), others);
    warnings.push(
      `There is no cache mount "${describeMount(mount)}" on the builder ${builder}${nearest === undefined ? '.' : `; did you mean "${displayId(nearest)}"?`} ${listHeld(held)}`,
    );
  }
  for (const [id, count] of asked) {
    const heldCount = held.get(id) ?? 0;
    if (heldCount > count) {
      warnings.push(
        `The builder ${builder} has ${heldCount} cache mounts with the id "${displayId(id)}", and ${count === 1 ? 'one is' : `${count} are`} asked for: it is also mounted with other options (uid, gid, mode, from), or builds that ran at the same time have made copies of it.`,
      );
    }
  }
  const information =
    others.length > 0 ? [`Not asked for, but on the builder: ${listIds(others)}`] : [];
  return { known, warnings, information };
}

function recordId({ namespace = '', id }: CacheMount): string {
  return `${namespace}/${id}`;
}

/** Without the slash behind an empty namespace. */
function displayId(record: string): string {
  return record.replace(/^\//, '');
}

function listHeld(held: ReadonlyMap<string, number>): string {
  return held.size === 0
    ? 'It has none at all: did the build run on this builder?'
    : `It has ${listIds([...held.keys()])}.`;
}

function listIds(records: readonly string[]): string {
  const ids = records.map(displayId).sort();
  const rest = ids.length - maximumListed;
  return [...ids.slice(0, maximumListed), ...(rest > 0 ? [`and ${rest} more`] : [])].join(', ');
}

const maximumListed = 20;

function countBy(ids: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

/** The most similar one, where it is similar at all. */
function findNearest(id: string, candidates: readonly string[]): string | undefined {
  const simple = (text: string) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
  const distances = candidates
    .map((candidate) => ({ candidate, distance: editDistance(simple(id), simple(candidate)) }))
    .filter(({ candidate, distance }) => distance <= Math.max(2, candidate.length / 3));
  return distances.sort((a, b) => a.distance - b.distance)[0]?.candidate;
}

/** Levenshtein's. */
function editDistance(a: string, b: string): number {
  const target = [...b];
  let row = Array.from({ length: target.length + 1 }, (_, index) => index);
  for (const [i, char] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 0; j < target.length; j++) {
      const replaced = (row[j] ?? 0) + (char === target[j] ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[target.length] ?? 0;
}
