/*
 * Mirrors frontend/dockerfile/shell/lex.go of BuildKit v0.32.2: the functions have its names and its
 * order. Which variables a stage has, is in declared-mounts.ts.
 */
import { isSpace } from './go-text.js';

/**
 * The value of a variable, undefined if it is not set.
 *
 * @param hasAlternative the word itself says what to do then, as in `${x:-y}`
 */
export type Lookup = (name: string, hasAlternative: boolean) => string | undefined;

/** Of substitutions in one another: no word has so many, and each takes room on the stack. */
const maximumDepth = 200;

/**
 * Reads a word as BuildKit's frontend reads the values of its instructions (`Lex.ProcessWord`): quotes
 * are taken away, the escape character makes the next one literal, and variables are expanded:
 * `$x`, `${x}`, and with `-`, `+` and `?` (a colon before them treats empty as unset), `#`, `##`,
 * `%`, `%%`, `/` and `//`. A variable that is not set is empty.
 *
 * @param escapeToken the escape character of the Dockerfile
 * @throws Error on what BuildKit refuses, and whatever `lookup` throws
 */
export function expandWord(word: string, lookup: Lookup, escapeToken = '\\'): string {
  const lexer = newLexer(word, { escapeToken }, lookup);
  const { result } = processStopOn(lexer, undefined, false);
  if (lexer.unknown.length > 0) throw lexer.unknown[0];
  return result;
}

/**
 * Expands those variables of a word that are known. The others stay as they are written, without
 * their quotes.
 *
 * @param lookup gives undefined for a variable that is not known
 * @throws Error on what BuildKit refuses
 */
export function expandKnown(
  word: string,
  lookup: (name: string) => string | undefined,
  escapeToken: string,
): string {
  return processStopOn(
    newLexer(word, { escapeToken, skipUnsetEnv: true }, lookup),
    undefined,
    false,
  ).result;
}

/**
 * Splits a line into words at white space outside of quotes, as BuildKit does to find heredocs
 * (`Lex.ProcessWords`): variables stay as they are.
 *
 * @param keeps whether quotes and escapes stay in the words
 * @throws Error on what BuildKit refuses, such as a quote that is not closed
 */
export function splitShellWords(line: string, keeps: 'quotes and escapes' | 'neither'): string[] {
  const isRaw = keeps === 'quotes and escapes';
  const options = { escapeToken: '\\', rawQuotes: isRaw, skipUnsetEnv: true };
  return processStopOn(
    newLexer(line, options, () => undefined),
    undefined,
    isRaw,
  ).words;
}

interface LexerOptions {
  readonly escapeToken: string;
  /** Quotes stay in the result. */
  readonly rawQuotes?: boolean;
  /** What is not set stays as it is written. */
  readonly skipUnsetEnv?: boolean;
}

interface Lexer extends LexerOptions {
  readonly word: string;
  readonly chars: readonly string[];
  readonly lookup: Lookup;
  at: number;
  depth: number;
  /** Escape characters stay in the result. */
  rawEscapes: boolean;
  /** The word that is being read. A substitution inside of it begins it anew, as in BuildKit. */
  buffer: string;
  /** What the lookup has thrown: a variable is no matter in an alternative that does not count. */
  unknown: unknown[];
}

function newLexer(word: string, options: LexerOptions, lookup: Lookup): Lexer {
  const state = { at: 0, depth: 0, rawEscapes: false, buffer: '', unknown: [] };
  return { ...options, word, chars: scan(word), lookup, ...state };
}

/** The characters of a text; Go's scanner passes over a byte order mark at its beginning. */
function scan(text: string): string[] {
  return [...text.replace(/^\uFEFF/, '')];
}

/** The next character, which it passes over; empty at the end. */
function next(lexer: Lexer): string {
  return lexer.chars[lexer.at++] ?? '';
}

function peek(lexer: Lexer): string {
  return lexer.chars[lexer.at] ?? '';
}

function isAtEnd(lexer: Lexer): boolean {
  return lexer.at >= lexer.chars.length;
}

/** Reads up to `stopChar`, or to the end if there is none. */
function processStopOn(
  lexer: Lexer,
  stopChar: string | undefined,
  rawEscapes: boolean,
): { result: string; words: string[] } {
  const outerRawEscapes = lexer.rawEscapes;
  lexer.rawEscapes = rawEscapes;
  let result = '';
  const words: string[] = [];
  lexer.buffer = '';
  const endWord = () => {
    if (lexer.buffer !== '') words.push(lexer.buffer);
    lexer.buffer = '';
  };
  const addChar = (char: string) => {
    if (isSpace(char)) endWord();
    else lexer.buffer += char;
  };
  const finish = () => {
    endWord();
    lexer.rawEscapes = outerRawEscapes;
    return { result, words };
  };
  while (!isAtEnd(lexer)) {
    const char = peek(lexer);
    if (char === stopChar) {
      next(lexer);
      return finish();
    }
    const special = charFunctions.get(char);
    if (special !== undefined) {
      const text = special(lexer);
      result += text;
      if (char === '$') for (const each of text) addChar(each);
      else lexer.buffer += text;
    } else if (next(lexer) === lexer.escapeToken) {
      const escaped = (lexer.rawEscapes ? char : '') + next(lexer);
      result += escaped;
      lexer.buffer += escaped;
    } else {
      result += char;
      addChar(char);
    }
  }
  if (stopChar !== undefined) throw missing(stopChar);
  return finish();
}

const charFunctions: ReadonlyMap<string, (lexer: Lexer) => string> = new Map([
  ['$', processDollar],
  ['<', processPossibleHeredoc],
  ["'", processSingleQuote],
  ['"', processDoubleQuote],
]);

function processSingleQuote(lexer: Lexer): string {
  const quote = next(lexer);
  const end = lexer.chars.indexOf(quote, lexer.at);
  if (end < 0) throw unclosed(quote, lexer);
  const text = lexer.chars.slice(lexer.at, end).join('');
  lexer.at = end + 1;
  return lexer.rawQuotes ? quote + text + quote : text;
}

function processDoubleQuote(lexer: Lexer): string {
  const quote = next(lexer);
  let result = lexer.rawQuotes ? quote : '';
  while (!isAtEnd(lexer)) {
    if (peek(lexer) === '$') {
      result += processDollar(lexer);
      continue;
    }
    const char = next(lexer);
    if (char === quote) return lexer.rawQuotes ? result + quote : result;
    if (char !== lexer.escapeToken) {
      result += char;
      continue;
    }
    if (lexer.rawEscapes) result += char;
    if (isAtEnd(lexer)) break;
    // Only what would be special inside the quotes can be escaped there.
    result += ['"', '$', lexer.escapeToken].includes(peek(lexer)) ? next(lexer) : char;
  }
  throw unclosed(quote, lexer);
}

function processDollar(lexer: Lexer): string {
  next(lexer);
  if (peek(lexer) !== '{') {
    const name = processName(lexer);
    if (name === '') return '$';
    const value = getEnv(lexer, name, false);
    return value ?? (lexer.skipUnsetEnv ? `$${name}` : '');
  }
  next(lexer);
  if (isAtEnd(lexer)) throw missing('}');
  if ('{}:'.includes(peek(lexer))) throw badSubstitution(lexer);
  lexer.depth++;
  if (lexer.depth > maximumDepth) throw new Error('substitutions are nested too deeply');
  const value = processSubstitution(lexer, processName(lexer));
  lexer.depth--;
  return value;
}

/** What follows the name in `${name…}`; in BuildKit a part of processDollar. */
function processSubstitution(lexer: Lexer, name: string): string {
  const first = next(lexer);
  switch (first) {
    case '':
      throw missing('}');
    case '}': {
      const value = getEnv(lexer, name, false);
      return value ?? (lexer.skipUnsetEnv ? `\${${name}}` : '');
    }
    case '/':
      return processReplacement(lexer, name);
    case ':':
      return processModifier(lexer, name, next(lexer), true);
    default:
      return processModifier(lexer, name, first, false);
  }
}

function processModifier(
  lexer: Lexer,
  name: string,
  operator: string,
  nullIsUnset: boolean,
): string {
  if (operator === '') throw missing('}');
  if (!(nullIsUnset ? '+-?' : '+-?#%').includes(operator)) throw badSubstitution(lexer);
  const { unknown } = lexer;
  lexer.unknown = [];
  const { result: argument } = processStopOn(lexer, '}', '#%'.includes(operator));
  const unknownInArgument = lexer.unknown;
  lexer.unknown = unknown;
  const value = getEnv(lexer, name, '-+?'.includes(operator));
  if (value === undefined && lexer.skipUnsetEnv) {
    return `\${${name}${nullIsUnset ? ':' : ''}${operator}${argument}}`;
  }
  const isSet = value !== undefined && !(nullIsUnset && value === '');
  const counts = { '-': !isSet, '+': isSet, '?': !isSet }[operator] ?? true;
  if (counts) lexer.unknown = [...lexer.unknown, ...unknownInArgument];
  switch (operator) {
    case '-':
      return isSet ? value : argument;
    case '+':
      return isSet ? argument : '';
    case '?':
      if (isSet) return value;
      throw new Error(`${name}: ${argument || 'is not allowed to be unset or empty'}`);
    default: {
      const isGreedy = argument.startsWith(operator);
      const trim = operator === '%' ? trimSuffix : trimPrefix;
      return trim(isGreedy ? argument.slice(1) : argument, value ?? '', isGreedy);
    }
  }
}

/** `${name/pattern/replacement}`, or with `//` for all of them. */
function processReplacement(lexer: Lexer, name: string): string {
  const replaceAll = peek(lexer) === '/';
  if (replaceAll) next(lexer);
  const { result: pattern } = processStopOn(lexer, '/', true);
  const { result: replacement } = processStopOn(lexer, '}', true);
  const value = getEnv(lexer, name, false);
  if (value === undefined && lexer.skipUnsetEnv) {
    return `\${${name}/${pattern}/${replacement}}`;
  }
  const elements = readPattern(pattern);
  return replaceAll
    ? replaceAllMatches(value ?? '', toRegExp(elements, true, 'gu'), replacement)
    : (value ?? '').replace(toRegExp(elements, true, 'u'), () => replacement);
}

function processName(lexer: Lexer): string {
  const start = lexer.at;
  const first = peek(lexer);
  const part = /\p{Nd}/u.test(first) ? /\p{Nd}/u : /[\p{L}\p{Nd}_]/u;
  if (/[@*#?$!-]/.test(first)) lexer.at++;
  else while (part.test(peek(lexer))) lexer.at++;
  return lexer.chars.slice(start, lexer.at).join('');
}

/** In `<< EOF`, the white space is of one word with what follows. */
function processPossibleHeredoc(lexer: Lexer): string {
  let result = next(lexer);
  if (peek(lexer) !== '<') return result;
  result += next(lexer);
  while (/[\t\r ]/.test(peek(lexer))) result += next(lexer);
  return result;
}

function getEnv(lexer: Lexer, name: string, hasAlternative: boolean): string | undefined {
  try {
    return lexer.lookup(name, hasAlternative);
  } catch (error) {
    lexer.unknown.push(error);
    return hasAlternative ? undefined : '';
  }
}

function missing(char: string): Error {
  return new Error(`"${char}" is missing`);
}

function badSubstitution({ word }: Lexer): Error {
  return new Error(`a substitution \${…} in "${word}" is not valid`);
}

function unclosed(quote: string, { escapeToken }: Lexer): Error {
  return new Error(`the quote ${quote} is not closed (a plain one is ${escapeToken}${quote})`);
}

/**
 * Go's Regexp.ReplaceAllString: the replacement is a template, and an empty match counts for nothing
 * if it begins just where the match before it ends.
 */
function replaceAllMatches(value: string, pattern: RegExp, template: string): string {
  let result = '';
  let end = 0;
  let earlierEnd: number | undefined;
  for (const { 0: match, index } of value.matchAll(pattern)) {
    if (match !== '' || index !== earlierEnd) {
      result += value.slice(end, index) + expandTemplate(template, match);
      end = index + match.length;
    }
    earlierEnd = index + match.length;
  }
  return result + value.slice(end);
}

/** Go's Regexp.Expand, which BuildKit calls for `//` alone: there are no groups but the whole. */
function expandTemplate(template: string, match: string): string {
  return template.replace(
    /\$(?:\$|\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/gu,
    (all, braced, bare) => {
      const name: string | undefined = braced ?? bare;
      if (name === undefined) return all.slice(1);
      return /^0+$/.test(name) ? match : '';
    },
  );
}

// In Go's regular expressions, a dot is all but this one line break.
const anyChar = '[^\\n]';
const star = `${anyChar}*`;

/**
 * The elements of a shell pattern (`*`, `?`, characters, escaped ones) as regular expressions; in
 * BuildKit a part of convertShellPatternToRegex. It is always the backslash that escapes here.
 */
function readPattern(pattern: string): string[] {
  const chars = scan(pattern);
  const elements: string[] = [];
  for (let at = 0; at < chars.length; at++) {
    let char = chars[at] ?? '';
    if (char === '*' || char === '?') {
      elements.push(char === '*' ? star : anyChar);
      continue;
    }
    if (char === '\\') {
      at++;
      char = chars[at] ?? '';
      if (!/^[*?\\}/]$/.test(char)) {
        throw new Error(`the pattern "${pattern}" has an escape that is not valid`);
      }
    }
    elements.push(char.replace(/[\\^$.*+?()[\]{}|]/, '\\$&'));
  }
  return elements;
}

/**
 * The regular expression of a pattern. If a `*` is not the last, what follows it is taken where it
 * is first found, which leaves the most to the rest, and by a lookahead, which is not gone back into:
 * to try all the other places as well can take forever.
 */
function toRegExp(elements: readonly string[], greedy: boolean, flags: string): RegExp {
  const [head = '', ...others] = elements.join('').split(star);
  const last = others.pop();
  const middle = others.map((part, index) => `(?=(${star}?${part}))\\${index + 1}`).join('');
  const tail = last === undefined ? '' : `${star}${greedy ? '' : '?'}${last}`;
  return new RegExp(`${head}${middle}${tail}`, flags);
}

function trimPrefix(pattern: string, value: string, greedy: boolean): string {
  const match = toRegExp(readPattern(pattern), greedy, 'uy').exec(value);
  return value.slice(match?.[0].length ?? 0);
}

/** Each escape stays before its character; one at the end comes to stand before what it followed. */
function reversePattern(pattern: string): string {
  const parts = pattern.match(/\\[\s\S]|[\s\S]/gu) ?? [];
  return parts.reverse().join('');
}

function reverseString(text: string): string {
  return [...text].reverse().join('');
}

/** Backwards, as the shortest match at the end is not found by a regular expression. */
function trimSuffix(pattern: string, value: string, greedy: boolean): string {
  return reverseString(trimPrefix(reversePattern(pattern), reverseString(value), greedy));
}
