import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ColdBuild, parseColdBuild } from '../entry/cold-build.js';
import type { ExcludeRule } from '../inputs/exclude.js';
import { array, number, object, string } from '../lib/json.js';
import type { Surroundings } from '../lib/surroundings.js';
import { stateDirectoryOf } from './handover.js';

/** What inject writes down at its very end, beside its state. */
export interface InjectNote {
  /** How long the step took. (It cannot be told by the runner's clock, which may be set meanwhile.) */
  readonly seconds: number;
  /** When it ended, by the runner's clock, in milliseconds since the epoch. */
  readonly endedAt: number;
  /** A hash of the names that tell the build from others. */
  readonly build: string;
  /** The last cold build that the restored entry tells of, if it is of the same mounts. */
  readonly coldBuild?: ColdBuild | undefined;
  /** What extract is not to save, unless its own inputs say it. */
  readonly exclude: readonly ExcludeRule[];
  /** How large a mount may be when it is saved; undefined: there is no limit. */
  readonly maxSize?: number | undefined;
}

const noteName = 'note.json';

/** Writes the note if there is a state; without one, extract does not look for it. */
export async function writeNote(
  surroundings: Surroundings,
  key: string,
  note: InjectNote,
): Promise<void> {
  const file = join(stateDirectoryOf(surroundings, key), noteName);
  await writeFile(file, JSON.stringify(note)).catch(() => undefined);
}

/** @returns undefined if inject has left none, such as one that was ended by a signal */
export async function readNote(
  surroundings: Surroundings,
  key: string,
): Promise<InjectNote | undefined> {
  try {
    const file = join(stateDirectoryOf(surroundings, key), noteName);
    return parseNote(await readFile(file, 'utf8'));
  } catch {
    return undefined;
  }
}

export function parseNote(text: string): InjectNote {
  const note = object(JSON.parse(text), 'note');
  const { seconds, endedAt, build, coldBuild, exclude, maxSize } = note;
  return {
    seconds: number(seconds, 'seconds'),
    endedAt: number(endedAt, 'endedAt'),
    build: string(build, 'build'),
    coldBuild: coldBuild === undefined ? undefined : parseColdBuild(coldBuild),
    exclude: array(exclude, 'exclude').map(parseRule),
    maxSize: maxSize === undefined ? undefined : number(maxSize, 'maxSize'),
  };
}

function parseRule(value: unknown): ExcludeRule {
  const { id, pattern } = object(value, 'exclude[]');
  return {
    id: id === undefined ? undefined : string(id, 'id'),
    pattern: string(pattern, 'pattern'),
  };
}
