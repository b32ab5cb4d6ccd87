import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { splitFlags } from '../../../src/dockerfile/flags.js';

describe('the flags at the beginning of an instruction', () => {
  test.each<[text: string, flags: string[], rest: string]>([
    ['', [], ''],
    ['go build', [], 'go build'],
    ['  go build  ', [], 'go build'],
    ['--mount=type=cache,target=/x go build', ['mount=type=cache,target=/x'], 'go build'],
    ['--mount=a', ['mount=a'], ''],
    ['--mount=a  \t --network=none   go', ['mount=a', 'network=none'], 'go'],
    ['\n--mount=a\v--mount=b\fgo', ['mount=a', 'mount=b'], 'go'],
    ['--mount=a go --mount=b', ['mount=a'], 'go --mount=b'],
    ['--mount=a -x --mount=b', ['mount=a'], '-x --mount=b'],
    ['- --mount=a', [], '- --mount=a'],
    ['--mount=', ['mount='], ''],
    ['--mount=a=b=c x', ['mount=a=b=c'], 'x'],
    ['--mount=a -- --mount=b', ['mount=a'], '--mount=b'],
    ['-- --mount=a', [], '--mount=a'],
    ['--', [], ''],
    ['--mount=a --', ['mount=a'], ''],
    // Quotes.
    ['--mount="a b" x', ['mount=a b'], 'x'],
    ["--mount='a b' x", ['mount=a b'], 'x'],
    ['"--mount=a" x', [], '"--mount=a" x'],
    ['--"mount=a b" x', ['mount=a b'], 'x'],
    [`--mount="a'b"'c"d' x`, [`mount=a'bc"d`], 'x'],
    ['--mount=a""b x', ['mount=ab'], 'x'],
    ['--mount="a b', ['mount=a b'], ''],
    ['--mount=$A x', ['mount=$A'], 'x'],
    // A backslash, whatever stands behind it.
    ['--mount=a\\ b x', ['mount=a b'], 'x'],
    ['--mount=a\\\\b x', ['mount=a\\b'], 'x'],
    ['--mount=a\\"b x', ['mount=a"b'], 'x'],
    ['--mount="a\\"b" x', ['mount=a"b'], 'x'],
    ["--mount='a\\'b' x", ["mount=a'b"], 'x'],
    ['--mount=\\$A x', ['mount=$A'], 'x'],
    ['--mount="\\$A" x', ['mount=$A'], 'x'],
    ['--mount=a\\n x', ['mount=an'], 'x'],
    ['--mount=a\\', ['mount=a'], ''],
    ['--mount="a\\', ['mount=a'], ''],
    ['--mount=a`b x', ['mount=a`b'], 'x'],
    // What follows is left as it is.
    ['--mount=a "x  y"  \\z', ['mount=a'], '"x  y"  \\z'],
    ['--mount=a ["x", "y"]', ['mount=a'], '["x", "y"]'],
    ['--mount=a é 日本', ['mount=a'], 'é 日本'],
  ])('%j', (text, flags, rest) => {
    expect(splitFlags(text)).toEqual({ flags, rest });
  });

  test.each<[text: string, flag: string]>([
    ['--mount=id=ü x', 'mount=id=Ã¼'],
    ['--mount=id=日本 x', 'mount=id=æ\u0097¥æ\u009c¬'],
    ['--mount=id="ü ü" x', 'mount=id=Ã¼ Ã¼'],
    ['--mount=id=\\ü x', 'mount=id=Ã¼'],
  ])('each byte is a character: %s', (text, flag) => {
    expect(splitFlags(text)).toEqual({ flags: [flag], rest: 'x' });
  });

  test('a byte can be white space: U+0085 or U+00A0', () => {
    expect(splitFlags('--mount=id=à x')).toEqual({ flags: ['mount=id=Ã'], rest: 'x' });
    expect(splitFlags('--mount=id=Å x')).toEqual({ flags: ['mount=id=Ã'], rest: 'x' });
    expect(splitFlags('--mount=id=…x')).toEqual({ flags: ['mount=id=â\u0080¦x'], rest: '' });
  });

  // BuildKit takes a flag without an equals sign for one that is switched on.
  test.each<[text: string, flags: string[], rest: string]>([
    ['--link --from=build /a /b', ['link', 'from=build'], '/a /b'],
    ['--from=build --link /a /b', ['from=build', 'link'], '/a /b'],
    ['--link /a /b', ['link'], '/a /b'],
    ['--from build /a /b', ['from'], 'build /a /b'],
    ['--link <<EOF /b', ['link'], '<<EOF /b'],
  ])('a flag without a value: %j', (text, flags, rest) => {
    expect(splitFlags(text)).toEqual({ flags, rest });
  });

  test('a flag at the end needs no value', () => {
    expect(splitFlags('--link')).toEqual({ flags: ['link'], rest: '' });
  });
});

test('any ASCII text can be the value of a flag, behind backslashes or in quotes', () => {
  const anyText = fc.string({ unit: 'binary-ascii' });
  fc.assert(
    fc.property(anyText, anyText, (first, second) => {
      const escaped = first.replace(/[\s\S]/g, '\\$&');
      const quoted = second.replace(/["\\]/g, '\\$&');
      expect(splitFlags(`--a=${escaped} --b="${quoted}" x`)).toEqual({
        flags: [`a=${first}`, `b=${second}`],
        rest: 'x',
      });
    }),
  );
});

test('any text is split', () => {
  const piece = fc.constantFrom('--', 'mount', '=', ' ', '"', "'", '\\', 'é', '-');
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const { flags, rest } = splitFlags(pieces.join(''));
      expect(flags).not.toContain(undefined);
      expect(rest).toBe(rest.trim());
    }),
  );
});
