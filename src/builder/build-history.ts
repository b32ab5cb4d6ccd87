import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { array, count, object, string } from '../lib/json.js';
import type { Surroundings } from '../lib/surroundings.js';
import { ownConfiguration } from './builder-address.js';
import { askDocker, namedBuilder } from './buildx.js';
import { filesContext } from './scratch-dockerfile.js';

/** A build as the builder's history has it. Times are by the builder's clock, in milliseconds. */
export interface BuildRecord {
  /** `BUILDER/NODE/ID`. */
  readonly ref: string;
  readonly name: string;
  /** `Completed` if it has succeeded. */
  readonly status: string;
  readonly startedAt: number;
  /** Undefined: it still runs. */
  readonly endedAt: number | undefined;
  /** How many of its steps the layer cache has answered. */
  readonly cachedSteps: number;
}

/** The scratch builds have this name in the history. */
export const scratchBuildName = filesContext;

/**
 * Lists the builds that this machine's buildx has started, except for scratch builds. The builder
 * may have run others, too, if several machines use it. A build is left out if the builder's clock
 * does not agree with ours.
 *
 * @param builder undefined for the builder that buildx itself would use
 * @returns undefined if buildx or the builder keeps no history, or if it cannot be read
 */
export async function listBuilds(
  surroundings: Surroundings,
  builder: string | undefined,
): Promise<readonly BuildRecord[] | undefined> {
  const args = ['buildx', 'history', 'ls', ...namedBuilder(builder), '--format=json'];
  const { exitCode, stdout } = await askDocker(surroundings, args);
  if (exitCode !== 0) return undefined;
  try {
    const builds = parseHistory(stdout).filter(({ name }) => name !== scratchBuildName);
    const started = await Promise.all(builds.map(({ ref }) => startOf(surroundings, ref)));
    return builds.filter(({ startedAt }, index) => isNear(startedAt, started[index]));
  } catch {
    return undefined;
  }
}

/** Reads the output of `docker buildx history ls --format=json`: one object a line. */
export function parseHistory(text: string): BuildRecord[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.map((line) => {
    const record = object(JSON.parse(line), 'build');
    const completed = record.completed_at;
    return {
      ref: string(record.ref, 'ref'),
      name: String(record.name),
      status: string(record.status, 'status'),
      startedAt: time(record.created_at, 'created_at'),
      endedAt: completed === undefined ? undefined : time(completed, 'completed_at'),
      cachedSteps: count(record.cached_steps ?? 0, 'cached_steps'),
    };
  });
}

function time(value: unknown, name: string): number {
  const parsed = Date.parse(string(value, name));
  if (Number.isNaN(parsed)) throw new Error(`the field "${name}" is no time`);
  return parsed;
}

/**
 * When our buildx has started a build, by our own clock; undefined: it has not. Buildx writes a file
 * of this name for each build that it starts, right before (localstate/localstate.go).
 */
async function startOf(surroundings: Surroundings, ref: string): Promise<number | undefined> {
  const file = join(ownConfiguration(surroundings), 'refs', ref);
  return stat(file).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  );
}

/** A busy machine takes its time, so that the same moment may be told a little later. */
const tolerance = 5000;

function isNear(time: number, other: number | undefined): boolean {
  return other !== undefined && Math.abs(time - other) <= tolerance;
}

/**
 * Whether the layer cache has answered a RUN with a cache mount; undefined if the history does not
 * tell.
 */
export async function hasCachedMount(
  surroundings: Surroundings,
  builder: string | undefined,
  ref: string,
): Promise<boolean | undefined> {
  const id = ref.split('/').at(-1) ?? ref;
  const args = ['buildx', 'history', 'logs', ...namedBuilder(builder), '--progress=rawjson', id];
  const { exitCode, stdout, stderr } = await askDocker(surroundings, args);
  if (exitCode !== 0) return undefined;
  try {
    return parseProgress(`${stdout}\n${stderr}`).some(isCachedMount);
  } catch {
    return undefined;
  }
}

interface Step {
  readonly name: string;
  readonly isCached: boolean;
}

/** Reads the output of `docker buildx history logs --progress=rawjson`. */
export function parseProgress(text: string): Step[] {
  const lines = text.split('\n').filter((line) => line.startsWith('{'));
  return lines.flatMap((line) =>
    array(object(JSON.parse(line), 'status').vertexes ?? [], 'vertexes').map((each) => {
      const { name, cached } = object(each, 'vertex');
      return { name: String(name), isCached: cached === true };
    }),
  );
}

export function isCachedMount({ name, isCached }: Step): boolean {
  return isCached && /\bRUN\s.*--mount=\S*\btype=cache\b/s.test(name);
}
