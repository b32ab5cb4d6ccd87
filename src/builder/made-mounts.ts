import type { Surroundings } from '../lib/surroundings.js';
import type { BuilderAddress } from './builder-address.js';
import { listBuildCache } from './buildx.js';
import { isOfUser, parseBuildCache, parseDescription, parseTime } from './records.js';

/** A cache mount of the builder that starts from nothing, with the RUN that has made it. */
export interface MadeMount {
  /** With its namespace in front: `NAMESPACE/ID`. */
  readonly id: string;
  /** The shell with its options, and the command. */
  readonly command: string;
  /** The latest time at which it may have been made or used, in milliseconds since the epoch. */
  readonly usedAt: number;
}

/** @throws Error if the builder cannot list them */
export async function listMadeMounts(
  surroundings: Surroundings,
  builder: BuilderAddress,
): Promise<MadeMount[]> {
  const listed = await listBuildCache(surroundings, builder, 'type=exec.cachemount');
  return parseMadeMounts(listed, Date.now());
}

/**
 * Reads the output of `docker buildx du` for the type exec.cachemount.
 *
 * @param now the time at which it was put out
 */
export function parseMadeMounts(text: string, now: number): MadeMount[] {
  return parseBuildCache(text)
    .filter(({ hasParent }) => !hasParent)
    .flatMap(({ description, createdAt, lastUsed }) => {
      const command = /^cached mount .*? from exec (.*?)(?: with id "(?:[^"\\]|\\.)*")?$/s.exec(
        description,
      )?.[1];
      if (command === undefined) return [];
      const age = parseAge(lastUsed);
      const used = age === undefined ? undefined : now - age;
      const usedAt = Math.max(used ?? 0, parseTime(createdAt) ?? 0);
      return [{ id: parseDescription(description), command, usedAt }];
    })
    .filter(isOfUser);
}

const secondsOf: Readonly<Record<string, number>> = {
  ...{ second: 1, minute: 60, hour: 3600, day: 86_400 },
  ...{ week: 7 * 86_400, month: 30 * 86_400, year: 365 * 86_400 },
};

/**
 * The shortest time, in milliseconds, that buildx may describe in these words (HumanDuration of
 * github.com/docker/go-units); undefined if it is none.
 */
export function parseAge(text = ''): number | undefined {
  const [, amount = '', unit = ''] =
    /^(Less than a|About an?|\d+) (second|minute|hour|day|week|month|year)s? ago$/.exec(text) ?? [];
  const seconds = secondsOf[unit];
  if (seconds === undefined || amount === 'Less than a') return seconds && 0;
  const count = amount.startsWith('About') ? 1 : Number(amount);
  // From two hours on, hours are rounded, and all else is cut.
  const rounded = unit === 'hour' && count > 1 ? count - 0.5 : count;
  return rounded * seconds * 1000;
}

/** Whether a mount was made by a RUN of this command, behind any shell. */
export function isMadeBy({ command }: MadeMount, run: string): boolean {
  const made = simplify(command);
  const wanted = simplify(run);
  if (wanted === '') return false;
  if (made === wanted) return true;
  // A program and its options, the last of which says that a command follows.
  const shell = made.endsWith(` ${wanted}`) ? made.slice(0, -wanted.length - 1) : '';
  return /^\S+(?: \S+)* [-/]\w*c\w*$/i.test(shell);
}

function simplify(command: string): string {
  return command.replace(/\s+/g, ' ').trim();
}
