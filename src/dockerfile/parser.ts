import { splitFlags } from './flags.js';
import { expandWord } from './shell-word.js';

export interface Instruction {
  /** In upper case. */
  readonly keyword: string;
  /** The line that it begins on, from 1. */
  readonly line: number;
  readonly flags: readonly string[];
  /** What follows the flags, up to the end of the logical line: without the bodies of heredocs. */
  readonly text: string;
  /** All of it as it stands in the file. */
  readonly source: string;
}

export interface Dockerfile {
  /** The escape character, a backslash or a backquote. */
  readonly escapeToken: string;
  readonly instructions: readonly Instruction[];
}

/**
 * Splits a Dockerfile into its instructions as BuildKit's parser does (parser.Parse, heredocs
 * included). A line that is read in another way hides a mount or makes one up; the parsers that there
 * are for JavaScript take a quoted `<<`, for one, for the beginning of a heredoc.
 */
export function parseDockerfile(text: string): Dockerfile {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const escapeToken = readEscapeDirective(lines);
  const instructions: Instruction[] = [];
  for (let at = 0; at < lines.length; ) {
    if (isBlankOrComment(lines[at])) {
      at++;
      continue;
    }
    const { logicalLine, end } = joinLines(lines, at, escapeToken);
    const instruction = parseInstruction(logicalLine, at + 1, escapeToken);
    const next = skipHeredocs(lines, end, instruction);
    instructions.push({ ...instruction, source: lines.slice(at, next).join('\n') });
    at = next;
  }
  return { escapeToken, instructions };
}

/** Reads one instruction, such as that of an ONBUILD, in a single line. */
export function parseInstruction(text: string, line: number, escapeToken = '\\'): Instruction {
  const [, keyword = '', rest = ''] = /^\s*(\S+)\s*([\s\S]*)$/.exec(text) ?? [];
  const { flags, rest: following } = splitFlags(rest, escapeToken);
  return { keyword: keyword.toUpperCase(), line, flags, text: following, source: text };
}

/** Directives stand at the top, before any other comment, and end at the first that is not known. */
function readEscapeDirective(lines: readonly string[]): string {
  for (const line of lines) {
    const [, name = '', value = ''] =
      /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S.*)$/s.exec(line.trim()) ?? [];
    if (name.toLowerCase() === 'escape') return value;
    if (!['syntax', 'check'].includes(name.toLowerCase())) break;
  }
  return '\\';
}

function isBlankOrComment(line = ''): boolean {
  return /^\s*(#|$)/.test(line);
}

/**
 * Joins continued lines, without their escape token and the white space behind it, leaving out
 * comments and blank lines between them.
 *
 * @returns the joined line, and the place of the line behind it
 */
function joinLines(
  lines: readonly string[],
  start: number,
  escapeToken: string,
): { logicalLine: string; end: number } {
  // Two escape tokens are an escaped one.
  const continuation = escapeToken === '`' ? /(^|[^`])`[ \t]*$/ : /(^|[^\\])\\[ \t]*$/;
  let logicalLine = '';
  let end = start;
  while (end < lines.length) {
    const line = lines[end] ?? '';
    end++;
    if (end > start + 1 && isBlankOrComment(line)) continue;
    logicalLine += line.replace(continuation, '$1');
    if (!continuation.test(line)) break;
  }
  return { logicalLine, end };
}

/** Passes over the bodies of the heredocs that an instruction opens; returns the place behind. */
function skipHeredocs(lines: readonly string[], start: number, instruction: Instruction): number {
  let at = start;
  for (const { name, chomps } of readHeredocs(instruction)) {
    while (at < lines.length) {
      const line = lines[at] ?? '';
      at++;
      if ((chomps ? line.replace(/^\t+/, '') : line) === name) break;
    }
  }
  return at;
}

function readHeredocs({ keyword, text, line }: Instruction): { name: string; chomps: boolean }[] {
  if (keyword === 'ONBUILD') return readHeredocs(parseInstruction(text, line));
  if (!['RUN', 'COPY', 'ADD'].includes(keyword) || isJsonArray(text)) return [];
  return splitWords(text, '\\').flatMap((word) => {
    const [, dash, quoted = ''] = /^\d*<<(-?)([^<]+)$/.exec(word) ?? [];
    if (quoted === '') return [];
    try {
      return { name: expandWord(quoted, (variable) => `$${variable}`), chomps: dash === '-' };
    } catch {
      return []; // no word, and so no heredoc
    }
  });
}

function isJsonArray(text: string): boolean {
  try {
    return Array.isArray(JSON.parse(text));
  } catch {
    return false;
  }
}

/**
 * Splits text into words at white space, as BuildKit does for ARG and ENV: quotes and escapes stay
 * in the words, for the expansion to take them away.
 */
export function splitWords(text: string, escapeToken: string): string[] {
  const words: string[] = [];
  let word = '';
  let quote = '';
  const chars = [...text];
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] ?? '';
    if (char === escapeToken && quote !== "'") {
      at++;
      if (at < chars.length) word += char + chars[at];
    } else if (!quote && /\s/.test(char)) {
      if (word !== '') words.push(word);
      word = '';
    } else {
      if (char === quote) quote = '';
      else if (!quote && (char === '"' || char === "'")) quote = char;
      word += char;
    }
  }
  return word === '' ? words : [...words, word];
}
