/**
 * The value of a variable, undefined where it is not set.
 *
 * @param hasAlternative the word itself says what to do then, as in `${x:-y}`
 */
export type Lookup = (name: string, hasAlternative: boolean) => string | undefined;

/** Of substitutions in one another: no word has so many, and each takes room on the stack. */
const maximumDepth = 200;

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
  let depth = 0;
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
    depth++;
    if (depth > maximumDepth) throw new Error('substitutions are nested too deeply');
    const value = readSubstitution(readName());
    depth--;
    return value;
  }

  function readName(): string {
    const start = at;
    const first = chars[at] ?? '';
    const part = /\p{Nd}/u.test(first) ? /\p{Nd}/u : /[\p{L}\p{Nd}_]/u;
    if (/[@*#?$!-]/.test(first)) at++;
    else while (part.test(chars[at] ?? '')) at++;
    return chars.slice(start, at).join('');
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
    const pattern = toRegExp(readPattern(readTo('/', true)), true, all ? 'gu' : 'u');
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
  return value.slice(matchedLength(readPattern(pattern), greedy, value));
}

/** Backwards, as the shortest match at the end is not found by a regular expression. */
function trimSuffix(argument: string, value: string): string {
  const { pattern, greedy } = parsePattern(argument, '%');
  const backwards = [...value].reverse().join('');
  const length = matchedLength(readPattern(pattern).reverse(), greedy, backwards);
  return value.slice(0, value.length - length);
}

/** The length of the match at the beginning of a value. */
function matchedLength(elements: readonly string[], greedy: boolean, value: string): number {
  return toRegExp(elements, greedy, 'uy').exec(value)?.[0].length ?? 0;
}

function parsePattern(argument: string, operator: string): { pattern: string; greedy: boolean } {
  const greedy = argument.startsWith(operator);
  return { greedy, pattern: greedy ? argument.slice(1) : argument };
}

// In Go's regular expressions, a dot is all but this one line break.
const anyChar = '[^\\n]';
const star = `${anyChar}*`;

/** The elements of a shell pattern (`*`, `?`, characters, escaped ones) as regular expressions. */
function readPattern(pattern: string): string[] {
  const elements = pattern.match(/\\[\s\S]?|[\s\S]/gu) ?? [];
  return elements.map((element) => {
    if (element === '*') return star;
    if (element === '?') return anyChar;
    if (/^\\(?![*?\\}/]$)/.test(element)) {
      throw new Error(`the pattern "${pattern}" has an escape that is not valid`);
    }
    return element.replace(/^\\/, '').replace(/[\\^$.*+?()[\]{}|]/, '\\$&');
  });
}

/**
 * The regular expression of a pattern. Where a `*` is not the last, what follows it is taken where it
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
