/**
 * Text as Go sees it, for the files that mirror BuildKit: JavaScript's `\s` and `trim` take a byte order
 * mark for white space and U+0085 for none, and Go (unicode.IsSpace, strings.TrimSpace) the other way
 * round.
 */

/** White space, for a character class of a regular expression. */
const space =
  '\\t\\n\\v\\f\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';

const spacePattern = new RegExp(`[${space}]`);
const leadingSpace = new RegExp(`^[${space}]+`);

/** @param char one character; the empty string is no white space */
export function isSpace(char: string): boolean {
  return spacePattern.test(char);
}

export function trimLeadingSpace(text: string): string {
  return text.replace(leadingSpace, '');
}

export function trimSpace(text: string): string {
  let end = text.length;
  while (end > 0 && isSpace(text.charAt(end - 1))) end--;
  return trimLeadingSpace(text.slice(0, end));
}
