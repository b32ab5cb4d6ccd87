import { parseCsvRecord } from '../dockerfile/csv.js';
import { expandWord, type Lookup } from '../dockerfile/expand-variables.js';
import { splitFlags } from '../dockerfile/flags.js';
import { cut, isOption, parseOptions, toCacheMount } from '../dockerfile/mount-options.js';
import { messageOf } from '../lib/errors.js';
import { type CacheMount, describeMount, identityOf } from '../mounts/cache-mount.js';

export interface ParsedCacheMounts {
  readonly mounts: CacheMount[];
  /** What the user should know, though it is no error. */
  readonly notices: string[];
  /** What follows an id on its line: the path of its mount, as another tool wants it. */
  readonly paths: readonly PathOfId[];
}

export interface PathOfId {
  readonly id: string;
  readonly path: string;
  /** From 1. */
  readonly line: number;
}

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
  const paths: PathOfId[] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    const number = index + 1;
    if (line === '' || line.startsWith('#')) {
      continue;
    }
    try {
      const { mount, path } = parseLine(line, lookup);
      if (path !== undefined) paths.push({ id: mount.id, path, line: number });
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
  return { mounts, notices, paths };
}

function parseLine(line: string, lookup: Lookup): { mount: CacheMount; path?: string | undefined } {
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
    return { mount: toCacheMount(parseOptions(parseCsvRecord(readFlagValue(flag)), expand)) };
  }
  const fields = parseCsvRecord(line);
  const [first = '', second, ...more] = fields;
  if (isOption(first)) {
    return { mount: toCacheMount(parseOptions(fields, expand)) };
  }
  if (first === '') {
    throw new Error('the id is empty');
  }
  if (more.length > 0 || (second !== undefined && isOption(second))) {
    throw new Error(
      `options can follow only an option: write id=${first},… (or put an id that holds a comma in quotes)`,
    );
  }
  return { mount: { id: first }, path: second };
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
