import { object, string } from '../lib/json.js';
import { type CacheMount, describeMount } from '../mounts/cache-mount.js';
import { snapshotMountPrefix } from './scratch-dockerfile.js';

/** The builder's facts about one cache mount that it has. */
export interface BuilderRecord {
  /**
   * The time when the mount was made, by the builder's clock, in milliseconds since the epoch. A
   * build does not change it. It changes if the mount is made anew. Undefined if it is not known.
   */
  readonly createdAt: number | undefined;
  /** The mount's id with its namespace in front: `NAMESPACE/ID`. */
  readonly id: string;
}

/**
 * Reads the output of `docker buildx du --verbose` or `--format json` for the type exec.cachemount.
 * Each record has a time and a description. The description ends in the id, quoted as in Go; the id
 * is missing if it equals the target.
 *
 * @throws Error if a description has another form
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

/** The list also holds our own cache mounts, which keep the snapshots. */
export function isOfUser({ id }: Pick<BuilderRecord, 'id'>): boolean {
  return !snapshotMountId.test(id);
}

/**
 * Reads the same output for all types, and takes those that are described as cache mounts. The time
 * is dropped, because a copy has another time than the mount.
 */
export function parseStandIns(text: string): BuilderRecord[] {
  const mounts = parseBuildCache(text).filter(({ description }) =>
    description.startsWith('cached mount '),
  );
  return mounts
    .map(({ description }) => ({ createdAt: undefined, id: parseDescription(description) }))
    .filter(isOfUser);
}

/** A part of the build cache of any type, in the builder's own words. */
interface DescribedRecord {
  /** The builder's own id for it; empty if it is not known. */
  readonly id: string;
  /** As Go prints it. */
  readonly createdAt: string;
  readonly description: string;
  /** How long ago it was used, in words. */
  readonly lastUsed?: string | undefined;
  /** True: it starts from something else, as a cache mount with an owner or with `from` does. */
  readonly hasParent?: true | undefined;
}

/**
 * Reads the output of `docker buildx du --verbose` or `--format json`. Parts without a description
 * are left out.
 */
export function parseBuildCache(text: string): DescribedRecord[] {
  return text.trimStart().startsWith('{')
    ? text.split('\n').flatMap(readJsonLine)
    : readVerbose(text);
}

function readJsonLine(line: string): DescribedRecord[] {
  if (!line.startsWith('{')) return [];
  const {
    ID = '',
    CreatedAt,
    Description,
    LastUsedAt,
    Parents,
  } = object(JSON.parse(line), 'record');
  if (Description === undefined) return [];
  const description = string(Description, 'Description');
  const lastUsed = typeof LastUsedAt === 'string' ? LastUsedAt : undefined;
  const hasParent = Array.isArray(Parents) && Parents.length > 0 ? true : undefined;
  return [{ id: String(ID), description, createdAt: String(CreatedAt), lastUsed, hasParent }];
}

/**
 * A description holds the command unchanged. It can have several lines, because the command may be
 * a heredoc. So it ends only at the line with the usage count.
 */
function readVerbose(text: string): DescribedRecord[] {
  const fields = text.matchAll(
    /^ID:[ \t]+(\S+)|^(Parents?:)|^Created at:[ \t]+(.*)|^Last used:[ \t]+(.*\S)|^Description:[ \t]+(?:([\s\S]*?)(?=\r?\nUsage count:[ \t]+\d)|(.*))/gm,
  );
  const records: DescribedRecord[] = [];
  let id = '';
  let createdAt = '';
  let hasParent: true | undefined;
  for (const [, ownId, parents, time, lastUsed, upToCount, line] of fields) {
    if (ownId !== undefined) [id, hasParent] = [ownId, undefined];
    if (parents !== undefined) hasParent = true;
    if (time !== undefined) createdAt = time;
    const description = upToCount ?? line;
    if (description !== undefined) records.push({ id, createdAt, description, hasParent });
    const last = records.at(-1);
    // It stands behind the description, which some records lack.
    if (lastUsed !== undefined && last?.id === id) records.splice(-1, 1, { ...last, lastUsed });
  }
  return records;
}

/** Reads `2026-01-17 18:29:20.123456789 +0000 UTC`, or the form of RFC 3339 of some versions. */
export function parseTime(text: string): number | undefined {
  const [, date, time, zone] =
    /^(\d+-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(?:\.\d+)?) ?(Z|[+-]\d\d:?\d\d)/.exec(text) ?? [];
  const parsed = Date.parse(`${date}T${time}${zone?.replace(/(\d\d)(\d\d)$/, '$1:$2')}`);
  return Number.isNaN(parsed) ? undefined : parsed;
}

export function parseDescription(description: string): string {
  const quoted = / with id ("(?:[^"\\]|\\.)*")$/.exec(description)?.[1];
  if (quoted !== undefined) return unquoteGo(quoted);
  const target = /^cached mount (.*?) from exec /s.exec(description)?.[1];
  if (target === undefined) throw new Error(`a record cannot be read: ${description}`);
  return target;
}

/** Does the same as Go's strconv.Unquote for the output of %q. */
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
 * Whether all records for a mount's id are of mounts that were made after a time, in milliseconds
 * since the epoch; false if that is not known.
 */
export function isNewer(
  mount: CacheMount,
  records: readonly BuilderRecord[],
  time: number,
): boolean {
  return wereAllMade(mount, records, (createdAt) => createdAt > time);
}

/** Whether all mounts with a mount's id already existed at a time; false if that is not known. */
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

/** A mount that a stage declares which is not built, as far as inject was told. */
export interface OtherMount {
  readonly mount: CacheMount;
  readonly stage: string;
  /** The Dockerfile, for messages. */
  readonly file: string;
  /** The input that names what is built. */
  readonly input: 'target' | 'bake-targets';
}

/** What is known beside the mounts that are asked for. */
export interface KnownBeside {
  readonly others: readonly OtherMount[];
  /** What may be the matter if the mounts do not fit. */
  readonly hint: string | undefined;
}

/** The result of a comparison of the mounts asked for with the mounts of the builder. */
export interface Comparison {
  readonly warnings: readonly string[];
  readonly information: readonly string[];
}

/**
 * Compares the mounts that are asked for with the mounts that the builder has. Several mounts can
 * have the same id and differ in their options, but a record tells only the id.
 */
export function compareRecords(
  mounts: readonly CacheMount[],
  records: readonly BuilderRecord[],
  builder: string,
  { others: declared, hint }: KnownBeside = { others: [], hint: undefined },
): Comparison {
  const held = countBy(records.map(({ id }) => id));
  const asked = countBy(mounts.map(recordId));
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
  const forgotten = declared.filter(({ mount }) => others.includes(recordId(mount)));
  warnings.push(...describeForgotten(forgotten, builder));
  if (warnings[0] !== undefined && hint !== undefined) warnings[0] += ` ${hint}`;
  const named = new Set(forgotten.map(({ mount }) => recordId(mount)));
  const rest = others.filter((id) => !named.has(id));
  const information =
    rest.length > 0 ? [`Not asked for, but on the builder: ${listIds(rest)}`] : [];
  return { warnings, information };
}

/** One text for each stage. */
function describeForgotten(forgotten: readonly OtherMount[], builder: string): string[] {
  const stages = new Map<string, OtherMount[]>();
  for (const each of forgotten) {
    const stage = JSON.stringify([each.file, each.stage]);
    stages.set(stage, [...(stages.get(stage) ?? []), each]);
  }
  return [...stages.values()].map((mounts) => {
    const names = mounts.map(({ mount }) => describeMount(mount)).join(', ');
    const { stage = '', file = '', input = 'target' } = mounts[0] ?? {};
    const what = input === 'target' ? 'stages' : 'bake targets';
    return `The builder ${builder} has ${names}, which the stage ${stage} of ${file} declares, and which was not asked for: it is not saved. If that stage is built, too, name all ${what} that are built in the input ${input}, one per line.`;
  });
}

function recordId({ namespace = '', id }: CacheMount): string {
  return `${namespace}/${id}`;
}

/** Leaves out the slash after an empty namespace. */
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

/** Finds the most similar id, if one is similar enough. */
function findNearest(id: string, candidates: readonly string[]): string | undefined {
  const simple = (text: string) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
  const distances = candidates
    .map((candidate) => ({ candidate, distance: editDistance(simple(id), simple(candidate)) }))
    .filter(({ candidate, distance }) => distance <= Math.max(2, candidate.length / 3));
  return distances.sort((a, b) => a.distance - b.distance)[0]?.candidate;
}

/** The Levenshtein distance. */
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
