import { posix } from 'node:path';
import { type Range, utf8Sequences } from './utf8-sequences.js';

/**
 * Patterns of .dockerignore, as a script of GNU sed that finds the files which they exclude. They
 * mean what they mean to BuildKit (github.com/moby/patternmatcher 0.6, patternmatcher.go): a path
 * is excluded if the last pattern that matches it, or a directory above it, does not begin with "!".
 *
 * The script works on bytes, in the C locale, because the names of files may be any bytes. A
 * character in a pattern is a character of UTF-8; bytes that are none are matched by `*` only.
 */

/** Thrown for a pattern that BuildKit refuses, too. */
export class PatternError extends Error {
  override readonly name = 'PatternError';
}

/** A pattern, without the "!" in front. */
interface Pattern {
  readonly text: string;
  readonly isException: boolean;
}

/**
 * Renders the script. It reads the paths that `find . -depth -print0` prints, and prints those that
 * are excluded, and END at the end. A directory is left out only with all that is in it. (In this
 * order, a directory comes right after its content.)
 *
 * @param lines as in .dockerignore; the last one that matches counts
 * @throws PatternError
 */
export function renderExcludeScript(lines: readonly string[]): string {
  const patterns = lines.map(cleanPattern);
  const marks = patterns.map(
    ({ text, isException }) => `/^.\\/(${compile(text)})(\\/.*)?$/s/^./${isException ? 'I' : 'E'}/`,
  );
  return [
    's/^\\.\\///',
    '/^\\.$/{s/.*/END/;p;d}',
    // E or I in front says whether the path is excluded or included.
    's/^/I\\//',
    ...marks,
    // The last path that is included is kept.
    '/^I/{h;d}',
    'G',
    '/^E\\/(.*)\\x00I\\/\\1\\//d',
    's/\\x00.*//',
    's/^E/./',
    'p',
    '',
  ].join('\n');
}

/** Does the same as ReadAll in ignorefile.go, and then New in patternmatcher.go. */
function cleanPattern(line: string): Pattern {
  const trimmed = line.trim();
  const isException = trimmed.startsWith('!');
  const text = isException ? trimmed.slice(1).trim() : trimmed;
  if (text === '') throw new PatternError(`"${line}" is no pattern`);
  const clean = posix.normalize(text).replace(/(?<=.)\/$/s, '');
  return { text: clean.replace(/^\/(?=.)/s, ''), isException };
}

/** Renders a pattern as an extended regular expression of GNU sed. */
function compile(pattern: string): string {
  // BuildKit compares these without a regular expression: "**.log" matches "a.log", too.
  const suffix = /^\*\*([^*?[\]\\]*)$/.exec(pattern)?.[1];
  if (suffix?.startsWith('/')) return `(.*\\/)?${literal(suffix.slice(1))}`;
  if (suffix !== undefined) return `.*${literal(suffix)}`;
  const prefix = /^([^*?[\]\\]+)\*\*\/?$/.exec(pattern)?.[1];
  if (prefix !== undefined) return `${literal(prefix)}.*`;
  let result = '';
  // BuildKit does not escape this sign in its regular expression: it stands for the beginning of the path.
  const hasAnchors = /[*?[\]\\]/.test(pattern);
  let mayBeEmpty = true;
  const rest = readerOf(pattern);
  for (let char = rest.next(); char !== undefined; char = rest.next()) {
    if (char === '^' && hasAnchors) {
      result = mayBeEmpty ? '' : never;
      continue;
    }
    mayBeEmpty &&= char === '*';
    if (char === '*' && rest.take('*')) {
      rest.take('/');
      // In a regular expression of Go, the dot matches no line feed.
      result += rest.isAtEnd() ? '[^\\n]*' : '([^\\n]*\\/)?';
    } else if (char === '*') {
      // Not \/ for the slash, because within brackets a backslash is one.
      result += '[^\\x2f]*';
    } else if (char === '?') result += anyBut([[slash, slash]]);
    else if (char === '[') result += readClass(rest, pattern);
    else if (char === '\\') result += literal(rest.next() ?? refuseEnd(pattern));
    else result += literal(char);
  }
  return result;
}

function refuseEnd(pattern: string): never {
  throw new PatternError(`"${pattern}" ends with a \\ or within [ ]`);
}

interface Reader {
  next(): string | undefined;
  /** @returns whether the next character is this one; if so, it is read */
  take(char: string): boolean;
  isAtEnd(): boolean;
}

function readerOf(text: string): Reader {
  const characters = [...text];
  let position = 0;
  return {
    next: () => characters[position++],
    take: (char) => {
      const isNext = characters[position] === char;
      if (isNext) position++;
      return isNext;
    },
    isAtEnd: () => position >= characters.length,
  };
}

/** No path has such a byte. */
const never = '\\x00';

const slash = 0x2f;
const lastCodePoint = 0x10ffff;

/** Reads what follows a `[`, up to the `]`. */
function readClass(rest: Reader, pattern: string): string {
  const isNegated = rest.take('^');
  const ranges: Range[] = [];
  const member = () => {
    const char = rest.next() ?? refuseEnd(pattern);
    if (char === '-' || char === ']')
      throw new PatternError(`"${pattern}" has ${char} at a wrong place`);
    const plain = char === '\\' ? (rest.next() ?? refuseEnd(pattern)) : char;
    return plain.codePointAt(0) ?? 0;
  };
  do {
    const first = member();
    const last = rest.take('-') ? member() : first;
    if (last < first) throw new PatternError(`"${pattern}" has a range that ends before it begins`);
    ranges.push([first, last]);
  } while (!rest.take(']'));
  return isNegated ? anyBut(ranges) : anyOf(ranges);
}

/** Any character that is in none of the ranges. */
function anyBut(ranges: readonly Range[]): string {
  const sorted = [...ranges].sort(([a], [b]) => a - b);
  const others: Range[] = [];
  let next = 1;
  for (const [first, last] of sorted) {
    if (first > next) others.push([next, first - 1]);
    next = Math.max(next, last + 1);
  }
  if (next <= lastCodePoint) others.push([next, lastCodePoint]);
  return anyOf(others);
}

function anyOf(ranges: readonly Range[]): string {
  const sequences = ranges.flatMap(([first, last]) => utf8Sequences(first, last));
  return `(${sequences.map((bytes) => bytes.map(byteRange).join('')).join('|')})`;
}

/** One byte of a range. In brackets, many signs mean something, so only letters and digits are there. */
function byteRange([first, last]: Range): string {
  if (first === last) return literalByte(first);
  if (first >= 0x80) return `[${byteName(first)}-${byteName(last)}]`;
  const parts: string[] = [];
  for (let byte = first; byte <= last; ) {
    const run = plainRuns.find(([low, high]) => byte >= low && byte <= high);
    const end = run === undefined ? byte : Math.min(run[1], last);
    parts.push(end === byte ? literalByte(byte) : `[${plainByte(byte)}-${plainByte(end)}]`);
    byte = end + 1;
  }
  return parts.length === 1 ? parts.join('') : `(${parts.join('|')})`;
}

/** Control characters, digits and letters. */
const plainRuns: readonly Range[] = [
  [0x01, 0x1f],
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x61, 0x7a],
];

function literal(text: string): string {
  return [...Buffer.from(text)].map(literalByte).join('');
}

function literalByte(byte: number): string {
  return /[.[\]*^$+?{}|()\\/]/.test(String.fromCharCode(byte))
    ? `\\${String.fromCharCode(byte)}`
    : plainByte(byte);
}

function plainByte(byte: number): string {
  return byte > 0x1f && byte < 0x7f ? String.fromCharCode(byte) : byteName(byte);
}

function byteName(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}
