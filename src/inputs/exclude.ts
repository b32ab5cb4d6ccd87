import { PatternError, renderExcludeScript } from '../builder/exclude-script.js';
import { InputError } from '../lib/errors.js';

/** A line of the input exclude. */
export interface ExcludeRule {
  /** The id of the mount that it is for; undefined: it is for all. */
  readonly id?: string | undefined;
  /** As in .dockerignore; with an exclamation mark in front it is an exception. */
  readonly pattern: string;
}

/**
 * Reads the lines of the input: `PATTERN`, or `ID: PATTERN` for the mounts with this id. Lines that
 * begin with # are skipped.
 *
 * @throws InputError
 */
export function parseExclude(lines: readonly string[]): ExcludeRule[] {
  return lines.filter((line) => !line.startsWith('#')).map(parseRule);
}

function parseRule(line: string): ExcludeRule {
  const [, id, rest] = /^(.*?\S):\s+(.*)$/s.exec(line) ?? [];
  const pattern = rest ?? line;
  try {
    renderExcludeScript([pattern]);
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    throw new InputError(
      `Input exclude: ${error.message}. The patterns are those of .dockerignore.`,
    );
  }
  return { id, pattern };
}
