/**
 * The value of a variable, undefined where it is not set.
 *
 * @param hasAlternative the word itself says what to do then, as in `${x:-y}`
 */
export type Lookup = (name: string, hasAlternative: boolean) => string | undefined;

/**
 * Reads a word as BuildKit's frontend reads the values of its instructions (its `shell.Lex`): quotes
 * are taken away, the escape character makes the next one literal, and variables are expanded:
 * `$x`, `${x}`, and with `-`, `+` and `?` (a colon before them treats empty as unset), `#`, `##`,
 * `%`, `%%`, `/` and `//`. A variable that is not set is empty.
 *
 * @param escape the escape character of the Dockerfile
 * @throws Error on what BuildKit refuses, and whatever `lookup` throws
 */
export function expandWord(word: string, lookup: Lookup, escapeToken = '\\'): string {
  const chars = [...word];
  let at = 0;
  const next = () => chars[at++] ?? '';
  // A variable that cannot be known is no matter in an alternative that does not count.
  let unknown: unknown[] = [];
  const look = (name: string, hasAlternative: boolean) => {
    try {
      return lookup(name, hasAlternative);
    } catch (error) {
      unknown.push(error);
      return hasAlternative ? undefined : '';
    }
  };

  /** Up to `stop`, or to the end where there is none. */
  function readTo(stop: string | undefined, keepEscapes: boolean): string {
    let result = '';
    while (at < chars.length) {
      const char = next();
      if (char === stop) return result;
      if (char === "'") result += readSingleQuoted();
      else if (char === '"') result += readDoubleQuoted(keepEscapes);
      else if (char === '$') result += readVariable();
      else if (char === escapeToken) result += (keepEscapes ? char : '') + next();
      else result += char;
    }
    if (stop !== undefined) throw new Error(`"${stop}" is missing`);
    return result;
  }

  function readSingleQuoted(): string {
    const end = chars.indexOf("'", at);
    if (end < 0) throw unclosed("'");
    const text = chars.slice(at, end).join('');
    at = end + 1;
    return text;
  }

  function readDoubleQuoted(keepEscapes: boolean): string {
    let result = '';
    while (at < chars.length) {
      const char = next();
      if (char === '"') return result;
      if (char === '$') result += readVariable();
      else if (char === escapeToken) {
        if (keepEscapes) result += char;
        if (at === chars.length) break;
        // Only what would be special inside the quotes can be escaped there.
        result += ['"', '$', escapeToken].includes(chars[at] ?? '') ? next() : char;
      } else result += char;
    }
    throw unclosed('"');
  }

  function readVariable(): string {
    if (chars[at] !== '{') {
      const name = readName();
      return name === '' ? '$' : (look(name, false) ?? '');
    }
    at++;
    if (at === chars.length) throw new Error('"}" is missing');
    if ('{}:'.includes(chars[at] ?? '')) throw badSubstitution();
    return readSubstitution(readName());
  }

  function readName(): string {
    const rest = chars.slice(at).join('');
    const name = /^(?:\p{Nd}+|[@*#?$!-]|[\p{L}\p{Nd}_]+)/u.exec(rest)?.[0] ?? '';
    at += [...name].length;
    return name;
  }

  /** What follows the name in `${name…}`. */
  function readSubstitution(name: string): string {
    const first = next();
    if (first === '}') return look(name, false) ?? '';
    if (first === '/') return replacePattern(look(name, false) ?? '');
    const emptyIsUnset = first === ':';
    const operator = emptyIsUnset ? next() : first;
    if (!(emptyIsUnset ? '+-?' : '+-?#%').includes(operator)) throw badSubstitution();
    const before = unknown;
    unknown = [];
    const argument = readTo('}', operator === '#' || operator === '%');
    const inArgument = unknown;
    unknown = before;
    const value = look(name, '-+?'.includes(operator));
    const isSet = value !== undefined && !(emptyIsUnset && value === '');
    const counts = { '-': !isSet, '+': isSet, '?': !isSet }[operator] ?? true;
    if (counts) unknown = [...unknown, ...inArgument];
    switch (operator) {
      case '-':
        return isSet ? value : argument;
      case '+':
        return isSet ? argument : '';
      case '?':
        if (isSet) return value;
        throw new Error(`${name}: ${argument || 'is not allowed to be unset or empty'}`);
      case '#':
        return trimPrefix(argument, value ?? '');
      case '%':
        return trimSuffix(argument, value ?? '');
      default:
        throw badSubstitution();
    }
  }

  function replacePattern(value: string): string {
    const all = chars[at] === '/';
    if (all) at++;
    const pattern = toRegExp(readTo('/', true), true, all ? 'gu' : 'u');
    const replacement = readTo('}', true);
    return value.replace(pattern, (match) =>
      all ? expandTemplate(replacement, match) : replacement,
    );
  }

  function badSubstitution(): Error {
    return new Error(`a substitution \${…} in "${word}" is not valid`);
  }

  function unclosed(quote: string): Error {
    return new Error(`the quote ${quote} is not closed (a plain one is ${escapeToken}${quote})`);
  }

  const result = readTo(undefined, false);
  if (unknown.length > 0) throw unknown[0];
  return result;
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

function trimPrefix(argument: string, value: string): string {
  const { pattern, greedy } = parsePattern(argument, '#');
  return value.slice(toRegExp(pattern, greedy, 'uy').exec(value)?.[0].length ?? 0);
}

/** The shortest match at the end is not found by a regular expression: try every start. */
function trimSuffix(argument: string, value: string): string {
  const { pattern, greedy } = parsePattern(argument, '%');
  const whole = new RegExp(`^(?:${toRegExp(pattern, true, 'u').source})$`, 'u');
  const chars = [...value];
  const starts = Array.from({ length: chars.length + 1 }, (_, index) => index);
  const matches = starts.filter((start) => whole.test(chars.slice(start).join('')));
  return chars.slice(0, greedy ? matches.at(0) : matches.at(-1)).join('');
}

function parsePattern(argument: string, operator: string): { pattern: string; greedy: boolean } {
  const greedy = argument.startsWith(operator);
  return { greedy, pattern: greedy ? argument.slice(1) : argument };
}

/** A shell pattern of `*`, `?` and escaped characters as a regular expression. */
function toRegExp(pattern: string, greedy: boolean, flags: string): RegExp {
  const source = pattern.replace(
    /\\([\s\S]?)|([\s\S])/g,
    (_, escaped: string | undefined, char = '') => {
      if (escaped !== undefined && !/^[*?\\}/]$/.test(escaped)) {
        throw new Error(`the pattern "${pattern}" has an escape that is not valid`);
      }
      if (char === '*') return greedy ? '.*' : '.*?';
      if (char === '?') return '.';
      return (escaped ?? char).replace(/[\\^$.*+?()[\]{}|]/, '\\$&');
    },
  );
  return new RegExp(source, flags);
}
