/* Mirrors frontend/dockerfile/parser/split_command.go of BuildKit v0.32.2. */
import { isSpace, trimSpace } from './go-text.js';

/** The flags at the beginning of an instruction, and what follows them. */
export interface SplitFlags {
  /** Each without its leading dashes, such as `mount=type=cache,…`. */
  readonly flags: readonly string[];
  readonly rest: string;
}

/**
 * Takes the flags off an instruction's text as BuildKit does (extractBuilderFlags): quotes are taken
 * away, the escape token makes the next character literal, white space ends a flag. BuildKit goes byte
 * by byte and takes each for a character, so that a non-ASCII id becomes another one. The mount on the
 * builder has that id, and so must ours.
 */
export function splitFlags(text: string, escapeToken = '\\'): SplitFlags {
  const bytes = Buffer.from(text, 'utf8').toString('latin1');
  const flags: string[] = [];
  let at = skipSpace(bytes, 0);
  while (bytes.startsWith('--', at)) {
    const word = readWord(bytes, at, escapeToken);
    at = skipSpace(bytes, word.end);
    if (word.text === '--') break;
    flags.push(word.text.slice(2));
  }
  return { flags, rest: trimSpace(Buffer.from(bytes.slice(at), 'latin1').toString('utf8')) };
}

function skipSpace(bytes: string, start: number): number {
  let at = start;
  while (at < bytes.length && isSpace(bytes.charAt(at))) at++;
  return at;
}

function readWord(
  bytes: string,
  start: number,
  escapeToken: string,
): { text: string; end: number } {
  let text = '';
  let quote = '';
  let at = start;
  for (; at < bytes.length && (quote || !isSpace(bytes.charAt(at))); at++) {
    const char = bytes.charAt(at);
    if (char === escapeToken) {
      at++;
      text += bytes.charAt(at);
    } else if (char === quote) {
      quote = '';
    } else if (!quote && (char === '"' || char === "'")) {
      quote = char;
    } else {
      text += char;
    }
  }
  return { text, end: Math.min(at, bytes.length) };
}
