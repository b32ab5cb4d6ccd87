import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { unquoteWord } from '../../src/shell-word.js';

describe('a word is read as BuildKit’s shell lexer reads it', () => {
  test.each([
    ['', ''],
    ['a b', 'a b'],
    ["'a b'", 'a b'],
    ['"a b"', 'a b'],
    [`a'b'"c"d`, 'abcd'],
    [`"it's"`, "it's"],
    [`'say "x"'`, 'say "x"'],
    ['\\a', 'a'],
    ['\\\\', '\\'],
    ['\\ ', ' '],
    ["\\'", "'"],
    ['\\"', '"'],
    ['a\\', 'a'],
    ['\\😀', '😀'],
    ["'\\a'", '\\a'],
    ["'\\'", '\\'],
    ['"\\a"', '\\a'],
    ['"\\\\"', '\\'],
    ['"\\""', '"'],
    ['"\\$A"', '$A'],
    [`"\\'"`, "\\'"],
    ['\\$HOME', '$HOME'],
    ["'$HOME'", '$HOME'],
    ["'${HOME}'", '${HOME}'],
    ['$', '$'],
    ['a$', 'a$'],
    ['$.', '$.'],
    ['$/x', '$/x'],
    ['$ a', '$ a'],
    ['"$"', '$'],
    [`$'a'`, '$a'],
    ['日本', '日本'],
  ])('%s', (word, expected) => {
    expect(unquoteWord(word)).toBe(expected);
  });

  test.each([
    ['$HOME', '$HOME'],
    ['a/$HOME/b', '$HOME'],
    ['$a-b', '$a'],
    ['$_', '$_'],
    ['$1', '$1'],
    ['$@', '$@'],
    ['$$', '$$'],
    ['"$HOME"', '$HOME'],
    ['${HOME}', '${HOME}'],
    ['${HOME:-/root}', '${HOME:-/root}'],
    ['${HOME', '${HOME'],
    ['${}', '${}'],
  ])('the variable in %s is refused by its name', (word, variable) => {
    expect(() => unquoteWord(word)).toThrow(`the variable ${variable} is not expanded here`);
  });

  test.each([
    ['$über', '$über'],
    ['$٣', '$٣'],
  ])('the variable in %s is refused by its name', (word, variable) => {
    expect(() => unquoteWord(word)).toThrow(`the variable ${variable} is not expanded here`);
  });

  test.each([
    ['"', '"'],
    ['"a', '"'],
    ['a"b"c"', '"'],
    ['"a\\"', '"'],
    ['"a\\', '"'],
    ["'a", "'"],
    ["'a\\''", "'"],
  ])('the open quote in %s is refused', (word, quote) => {
    expect(() => unquoteWord(word)).toThrow(`the quote ${quote} is not closed`);
  });
});

describe('any text comes back', () => {
  const anyText = fc.string({ unit: 'binary' });

  test('each character behind a backslash', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(unquoteWord([...text].map((char) => `\\${char}`).join(''))).toBe(text);
      }),
    );
  });

  test('in double quotes, with what is special there behind a backslash', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(unquoteWord(`"${text.replace(/["$\\]/g, '\\$&')}"`)).toBe(text);
      }),
    );
  });

  test('in single quotes, if it has none', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const plain = text.replaceAll("'", '');
        expect(unquoteWord(`'${plain}'`)).toBe(plain);
      }),
    );
  });
});
