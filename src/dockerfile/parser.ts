/*
 * Mirrors frontend/dockerfile/parser/parser.go of BuildKit v0.32.2, with split_command.go,
 * line_parsers.go (the words of ARG and ENV) and directives.go.
 */

import { splitShellWords } from './expand-variables.js';
import { splitFlags } from './flags.js';
import { isSpace, trimLeadingSpace, trimSpace } from './go-text.js';

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

/** A line at the top of the file that speaks to the frontend, such as `# escape=`. */
export interface Directive {
  readonly value: string;
  /** From 1. */
  readonly line: number;
}

export interface Dockerfile {
  /** The escape character, a backslash or a backquote. */
  readonly escapeToken: string;
  /** The frontend that is to read the file, in place of the builder's own. */
  readonly syntax: Directive | undefined;
  readonly instructions: readonly Instruction[];
}

/**
 * Splits a Dockerfile into its instructions as BuildKit does (parser.Parse), heredocs included. If a
 * line is read in another way, a mount is hidden or made up. The parsers that there are for JavaScript
 * do so: they take a quoted `<<` for the beginning of a heredoc.
 */
export function parseDockerfile(text: string): Dockerfile {
  const lines = text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .map(trimCarriageReturns);
  const escapeToken = readDirectives(lines, '#').get('escape')?.value ?? '\\';
  const instructions: Instruction[] = [];
  for (let at = 0; at < lines.length; ) {
    if (isBlankOrComment(lines[at])) {
      at++;
      continue;
    }
    const { logicalLine, end } = joinLines(lines, at, escapeToken);
    const instruction = parseInstruction(logicalLine, at + 1, escapeToken);
    const next = skipHeredocs(lines, end, readHeredocs(logicalLine, instruction));
    instructions.push({ ...instruction, source: lines.slice(at, next).join('\n') });
    at = next;
  }
  return { escapeToken, syntax: detectSyntax(lines), instructions };
}

function trimCarriageReturns(line: string): string {
  let end = line.length;
  while (line.charAt(end - 1) === '\r') end--;
  return line.slice(0, end);
}

/** Reads one instruction, such as that of an ONBUILD, in a single line. */
export function parseInstruction(text: string, line: number, escapeToken = '\\'): Instruction {
  const trimmed = trimSpace(text);
  // Any other white space belongs to the keyword, which BuildKit does not know then.
  const [separator = ''] = /[\t\v\f\r ]+/.exec(trimmed) ?? [];
  const at = separator === '' ? trimmed.length : trimmed.indexOf(separator);
  const keyword = trimmed.slice(0, at);
  const { flags, rest: following } = splitFlags(trimmed.slice(at + separator.length), escapeToken);
  return { keyword: keyword.toUpperCase(), line, flags, text: following, source: text };
}

/** Directives stand at the top, before any other comment, and end at the first that is not known. */
function readDirectives(lines: readonly string[], comment: string): Map<string, Directive> {
  const directives = new Map<string, Directive>();
  for (const [index, line] of lines.entries()) {
    const text = trimSpace(line);
    if (!text.startsWith(comment)) break;
    const [, name = '', value = ''] =
      /^([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S.*)$/s.exec(trimSpace(text.slice(comment.length))) ?? [];
    const key = name.toLowerCase();
    if (!['syntax', 'escape', 'check'].includes(key)) break;
    if (!directives.has(key)) directives.set(key, { value, line: index + 1 });
  }
  return directives;
}

/** The `syntax` directive, which can be written in the comments of other languages too. */
function detectSyntax(lines: readonly string[]): Directive | undefined {
  const first = lines[0]?.startsWith('#!') ? 1 : 0;
  const rest = lines.slice(first);
  const found = ['#', '//'].flatMap((comment) => readDirectives(rest, comment).get('syntax') ?? []);
  const [directive] = found;
  if (directive === undefined) return undefined;
  const [value = ''] = directive.value.split(' ');
  return { value, line: directive.line + first };
}

function isBlankOrComment(line = ''): boolean {
  return /^(#|$)/.test(trimLeadingSpace(line));
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

interface Heredoc {
  /** The line that ends it. */
  readonly name: string;
  /** Tabs at the beginning of its lines are no part of them. */
  readonly chomps: boolean;
}

/**
 * Passes over the bodies of the heredocs that an instruction opens; returns the place behind. One that
 * does not end is none: BuildKit refuses the file, and a frontend older than 1.16 takes `$((1 << 2))`
 * for no heredoc.
 */
function skipHeredocs(
  lines: readonly string[],
  start: number,
  heredocs: readonly Heredoc[],
): number {
  let at = start;
  for (const { name, chomps } of heredocs) {
    let end = at;
    const isEnd = (line = '') => (chomps ? line.replace(/^\t+/, '') : line) === name;
    while (end < lines.length && !isEnd(lines[end])) end++;
    if (end < lines.length) at = end + 1;
  }
  return at;
}

function readHeredocs(logicalLine: string, instruction: Instruction): Heredoc[] {
  if (!logicalLine.includes('<<') || !canContainHeredoc(instruction)) return [];
  try {
    const words = splitShellWords(logicalLine, 'quotes and escapes');
    return words.flatMap((word) => parseHeredoc(word) ?? []);
  } catch {
    return []; // such as a quote that is not closed
  }
}

function canContainHeredoc({ keyword, text, line }: Instruction): boolean {
  if (keyword === 'ONBUILD') {
    const trigger = parseInstruction(text, line);
    return trigger.keyword !== 'ONBUILD' && canContainHeredoc(trigger);
  }
  return ['RUN', 'COPY', 'ADD'].includes(keyword) && !isJsonArray(text);
}

/** @throws Error on what BuildKit refuses */
function parseHeredoc(word: string): Heredoc | undefined {
  const [, dash, rest = ''] = /^\d*<<(-?)[\t\n\f\r ]*([^<]*)$/.exec(word) ?? [];
  const [name, ...others] = rest === '' ? [] : splitShellWords(rest, 'neither');
  return name === undefined || others.length > 0 ? undefined : { name, chomps: dash === '-' };
}

function isJsonArray(text: string): boolean {
  try {
    return Array.isArray(JSON.parse(text));
  } catch {
    return false;
  }
}

/**
 * Splits text into words at white space, as BuildKit does for ARG and ENV (parseWords): quotes and
 * escapes stay in the words, for the expansion to take them away.
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
    } else if (!quote && isSpace(char)) {
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
