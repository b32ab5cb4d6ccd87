/**
 * Reads a value as BuildKit's frontend reads an option of a RUN flag: single and double quotes are
 * taken away, a backslash makes the next character literal.
 *
 * @throws Error on an open quote, or on a variable (`$NAME`, `${…}`): they are not expanded
 */
export function unquoteWord(word: string): string {
  let result = '';
  let quote: '"' | "'" | undefined;
  for (let i = 0; i < word.length; i++) {
    const char = word.charAt(i);
    if (quote === "'") {
      if (char === quote) quote = undefined;
      else result += char;
    } else if (char === '\\') {
      const next = word.charAt(i + 1);
      // Inside double quotes a backslash only escapes what would be special there.
      if (quote && !['"', '$', '\\', ''].includes(next)) result += char;
      else {
        result += next;
        i++;
      }
    } else if (char === '$' && /^\$[\p{L}\p{Nd}_{@*#?$!-]/u.test(word.slice(i))) {
      const variable = /^\$(\{[^}]*\}?|[\p{L}\p{Nd}_]+|.)/u.exec(word.slice(i))?.[0];
      throw new Error(
        `the variable ${variable} is not expanded here: write its value (a plain dollar sign is \\$)`,
      );
    } else if (char === quote) {
      quote = undefined;
    } else if (!quote && (char === '"' || char === "'")) {
      quote = char;
    } else {
      result += char;
    }
  }
  if (quote) {
    throw new Error(`the quote ${quote} is not closed (a plain one is \\${quote})`);
  }
  return result;
}
