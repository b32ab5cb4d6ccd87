/**
 * What a .dockerignore leaves out, as BuildKit has it: github.com/moby/patternmatcher, line for line
 * (ReadAll of ignorefile.go, and New, MatchesOrParentMatches, match and compile of patternmatcher.go).
 */
import { posix } from 'node:path';

interface Pattern {
  readonly cleaned: string;
  readonly isException: boolean;
  matches(path: string): boolean;
}

/** @throws Error for a pattern that is refused */
export function parseIgnored(lines: readonly string[]): readonly Pattern[] {
  return lines.map((line) => {
    let text = line.trim();
    const isException = text.startsWith('!');
    if (isException) text = text.slice(1).trim();
    if (text === '') throw new Error('illegal exclusion pattern');
    let cleaned = posix.normalize(text);
    if (cleaned.length > 1 && cleaned.endsWith('/')) cleaned = cleaned.slice(0, -1);
    if (cleaned.length > 1 && cleaned.startsWith('/')) cleaned = cleaned.slice(1);
    checkSyntax(cleaned);
    return { cleaned, isException, matches: compile(cleaned) };
  });
}

/** Whether a path is left out. */
export function isIgnored(patterns: readonly Pattern[], path: string): boolean {
  const parts = path.split('/');
  const parents = parts.slice(0, -1).map((_, index) => parts.slice(0, index + 1).join('/'));
  let matched = false;
  for (const { isException, matches } of patterns) {
    if (isException !== matched) continue;
    if (matches(path) || parents.some(matches)) matched = !isException;
  }
  return matched;
}

/** As path/filepath.Match refuses a pattern. */
function checkSyntax(pattern: string): void {
  const chars = [...pattern];
  const escaped = (at: number): number => {
    const char = chars[at];
    if (char === undefined || char === '-' || char === ']') throw new Error('bad pattern');
    const end = char === '\\' ? at + 1 : at;
    if (chars[end] === undefined) throw new Error('bad pattern');
    return end + 1;
  };
  for (let at = 0; at < chars.length; at++) {
    if (chars[at] === '\\') {
      if (++at >= chars.length) throw new Error('bad pattern');
    } else if (chars[at] === '[') {
      at++;
      if (chars[at] === '^') at++;
      do {
        at = escaped(at);
        if (chars[at] === '-') at = escaped(at + 1);
        if (at >= chars.length) throw new Error('bad pattern');
      } while (chars[at] !== ']');
    }
  }
}

// (In a regular expression of Go, the dot matches all but a line feed; in one of JavaScript, it does not match
// a carriage return, either.)
function compile(pattern: string): (path: string) => boolean {
  const chars = [...pattern];
  let type: 'exact' | 'prefix' | 'suffix' | 'regexp' = 'exact';
  let expression = '^';
  for (let at = 0, turn = 0; at < chars.length; turn++) {
    const char = chars[at++] ?? '';
    if (char === '*' && chars[at] === '*') {
      at++;
      if (chars[at] === '/') at++;
      if (at >= chars.length) {
        if (type === 'exact') type = 'prefix';
        else {
          expression += '[^\n]*';
          type = 'regexp';
        }
      } else {
        expression += '([^\n]*/)?';
        type = 'regexp';
      }
      if (turn === 0) type = 'suffix';
    } else if (char === '*') {
      expression += '[^/]*';
      type = 'regexp';
    } else if (char === '?') {
      expression += '[^/]';
      type = 'regexp';
    } else if ('.+()|{}$'.includes(char)) expression += `\\${char}`;
    else if (char === '\\') {
      const next = chars[at++];
      expression += next === undefined ? '\\\\' : quote(next);
      type = 'regexp';
    } else if (char === '[' || char === ']') {
      expression += char === ']' && !isOpen(expression) ? '\\]' : char;
      type = 'regexp';
    } else expression += char === '/' ? '/' : char;
  }
  const compiled = type === 'regexp' ? new RegExp(`${expression}$`, 'u') : undefined;
  return (path) => {
    if (compiled) return compiled.test(path);
    if (type === 'prefix') return path.startsWith(pattern.slice(0, pattern.indexOf('**')));
    if (type === 'exact') return path === pattern;
    const suffix = pattern.slice(2);
    return path.endsWith(suffix) || (suffix.startsWith('/') && path === suffix.slice(1));
  };
}

/** An escaped letter or space would be refused by JavaScript's regular expressions, or mean something. */
function quote(char: string): string {
  return /[\^$\\.*+?()[\]{}|/-]/.test(char) ? `\\${char}` : char;
}

function isOpen(expression: string): boolean {
  return /(?<!\\)\[[^\]]*$/.test(expression);
}
