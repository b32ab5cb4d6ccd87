import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { expandWord, splitShellWords } from '../../../src/dockerfile/expand-variables.js';

// What is expected here is what BuildKit's own frontend made of each word.

const variables: Readonly<Record<string, string>> = {
  a: 'A',
  x: 'xxyy',
  EMPTY: '',
  HOME: '/home',
  version: 'v1.2.3',
  path: '/tmp/tmp/bar.txt',
  url: 'http://example.org',
  needle: '/tmp',
  stars: 'a***yy*',
  asks: '???y',
  backslash: 'a\\b',
  brace: 'a}b',
  ends: 'a}',
  special: '()[]{}^$.*?|x',
  pattern: '*x',
  quotes: `it's "q"`,
  dollar: '$x',
  emoji: 'a😀b😀',
  lines: 'a\nbc',
  한국: '어',
  über: 'U',
  _u: 'under',
};

function expand(word: string, escapeToken?: string): string {
  return expandWord(word, (name) => variables[name], escapeToken);
}

describe('quotes and escapes', () => {
  test.each([
    ['', ''],
    ['a b', 'a b'],
    ["'a b'", 'a b'],
    ['"a b"', 'a b'],
    [`a'b'"c"d`, 'abcd'],
    [`a ' b ' "c "`, 'a  b  c '],
    [`"it's"`, "it's"],
    [`'say "x"'`, 'say "x"'],
    [`"''"`, "''"],
    ['\\a', 'a'],
    ['\\\\', '\\'],
    ['\\ ', ' '],
    ["\\'", "'"],
    ['\\"a\\"', '"a"'],
    ['a\\', 'a'],
    ['\\😀', '😀'],
    ['\\\\\\a', '\\a'],
    ["'\\a'", '\\a'],
    ["'\\'", '\\'],
    ["'a\\\\b'", 'a\\\\b'],
    ['"\\a"', '\\a'],
    ['"\\\\"', '\\'],
    ['"\\\\\\a"', '\\\\a'],
    ['"\\""', '"'],
    ['"\\$a"', '$a'],
    [`"\\'"`, "\\'"],
    ['\\$HOME', '$HOME'],
    ['\\\\$HOME', '\\/home'],
    ['\\${}', '${}'],
    ['\\${HOME}', '${HOME}'],
    ["'$HOME'", '$HOME'],
    ["'${HOME}'", '${HOME}'],
    ['`a`', '`a`'],
    ['{}', '{}'],
    ['a}b', 'a}b'],
    ['日本', '日本'],
  ])('%s', (word, expected) => {
    expect(expand(word)).toBe(expected);
  });

  test.each([
    ['"', '"'],
    ['"a', '"'],
    ['a"b"c"', '"'],
    ['"a\\"', '"'],
    ['"a\\', '"'],
    ["'a", "'"],
    ["'a\\''", "'"],
    ["it's", "'"],
    ['${x:-"a}', '"'],
    ["${x#'a}", "'"],
  ])('the open quote in %s is refused', (word, quote) => {
    expect(() => expand(word)).toThrow(`the quote ${quote} is not closed`);
  });
});

describe('variables', () => {
  test.each([
    ['$HOME', '/home'],
    ['${HOME}', '/home'],
    ['a/$HOME/b', 'a//home/b'],
    ['"$HOME"', '/home'],
    [`"a'$HOME'"`, "a'/home'"],
    ['$a$x', 'Axxyy'],
    ['${a}${x}', 'Axxyy'],
    ['a$x-b', 'axxyy-b'],
    ['$x_y', ''],
    ['${x}_y', 'xxyy_y'],
    ['$_u', 'under'],
    ['$über', 'U'],
    ['안${한국}녕', '안어녕'],
    ['$NOT_SET', ''],
    ['a${NOT_SET}b', 'ab'],
    ['$EMPTY', ''],
    // What comes out of a variable is not read again.
    ['$quotes', `it's "q"`],
    ['"${quotes}"', `it's "q"`],
    ['$dollar', '$x'],
    ['${backslash}', 'a\\b'],
    // One digit or many, or one character that is special to a shell, is a name by itself.
    ['$1x', 'x'],
    ['$12x', 'x'],
    ['$٣x', 'x'],
    ['$@.$*.$#.$?.$-.$!.$0.$$', '.......'],
    ['$$a', 'a'],
    ['${@}', ''],
    ['${1:-one}', 'one'],
    ['${-:-x}', 'x'],
    // No name.
    ['$', '$'],
    ['a$', 'a$'],
    ['"a$"', 'a$'],
    ['$.', '$.'],
    ['$/x', '$/x'],
    ['$ a', '$ a'],
    ['$"a"', '$a'],
    [`$'a'`, '$a'],
  ])('%s', (word, expected) => {
    expect(expand(word)).toBe(expected);
  });

  test.each<[word: string, names: string[]]>([
    ['$a-${b}', ['a', 'b']],
    ['$1a', ['1']],
    ['$12', ['12']],
    ['$٣٤a', ['٣٤']],
    ['$$a', ['$']],
    ['$a_1é.b', ['a_1é']],
    ['"$a"', ['a']],
    ["'$a'\\$b$", []],
  ])('the names in %s', (word, names) => {
    const asked: string[] = [];
    expandWord(word, (name) => {
      asked.push(name);
      return undefined;
    });
    expect(asked).toEqual(names);
  });

  test('what the lookup throws is thrown', () => {
    expect(() =>
      expandWord('${x}', () => {
        throw new Error('unknown');
      }),
    ).toThrow(new Error('unknown'));
  });
});

describe('with - and + and ?', () => {
  test.each([
    ['${NOT_SET-y}', 'y'],
    ['${NOT_SET:-y}', 'y'],
    ['${EMPTY-y}', ''],
    ['${EMPTY:-y}', 'y'],
    ['${x-y}', 'xxyy'],
    ['${x:-y}', 'xxyy'],
    ['${NOT_SET-}', ''],
    ['${NOT_SET:-}', ''],
    ['${NOT_SET+y}', ''],
    ['${NOT_SET:+y}', ''],
    ['${EMPTY+y}', 'y'],
    ['${EMPTY:+y}', ''],
    ['${x+y}', 'y'],
    ['${x:+y}', 'y'],
    ['${x+}', ''],
    ['${x:+}', ''],
    ['${x?no}', 'xxyy'],
    ['${x:?no}', 'xxyy'],
    ['${EMPTY?no}', ''],
    ['${x?}', 'xxyy'],
    ['${x:?}', 'xxyy'],
    ['a${NOT_SET:-$HOME}b', 'a/homeb'],
    ['${NOT_SET:-${HOME:-y}}', '/home'],
    ['${NOT_SET:-${NOR_SET:-y}z}', 'yz'],
    ['${NOT_SET:+${HOME}}', ''],
    ['${x:+${NOT_SET}}', ''],
    ['${x:+${HOME:+deep}}', 'deep'],
    ['${NOT_SET:-a:-b}', 'a:-b'],
    ['${NOT_SET:--}', '-'],
    ['${NOT_SET--}', '-'],
    ['${NOT_SET:-a b}', 'a b'],
    ['${NOT_SET:-"a  b"}', 'a  b'],
    ['${NOT_SET:-a\\}b}', 'a}b'],
    ['${NOT_SET:-"a}b"}', 'a}b'],
    ["${NOT_SET:-'a}b'}", 'a}b'],
    ['${NOT_SET:-{}}', '{}'],
    ['${NOT_SET:-$(a)}', '$(a)'],
    ['${NOT_SET:-\\$HOME}', '$HOME'],
    ["${NOT_SET:-'$HOME'}", '$HOME'],
    [`"\${NOT_SET:-'$HOME'}"`, '$HOME'],
    ['"${NOT_SET:-"a"}"', 'a'],
    ['${x:+"quoted $a"}', 'quoted A'],
  ])('%s', (word, expected) => {
    expect(expand(word)).toBe(expected);
  });

  test.each([
    ['${NOT_SET?gone}', 'NOT_SET: gone'],
    ['${NOT_SET:?gone}', 'NOT_SET: gone'],
    ['${EMPTY:?gone}', 'EMPTY: gone'],
    ['${NOT_SET?no $a ${x} "here"}', 'NOT_SET: no A xxyy here'],
    ['${NOT_SET?}', 'NOT_SET: is not allowed to be unset'],
    ['${NOT_SET:?}', 'NOT_SET: is not allowed to be unset'],
    ['${EMPTY:?}', 'EMPTY: is not allowed to be'],
    ['${NOT_SET:-${NOR_SET?gone}}', 'NOR_SET: gone'],
  ])('%s is refused', (word, message) => {
    expect(() => expand(word)).toThrow(message);
  });

  test.each<[word: string, asked: [name: string, hasAlternative: boolean][]]>([
    ['$x', [['x', false]]],
    ['${x}', [['x', false]]],
    ['${x:-y}', [['x', true]]],
    ['${x-y}', [['x', true]]],
    ['${x:+y}', [['x', true]]],
    ['${x?y}', [['x', true]]],
    ['${x#y}', [['x', false]]],
    ['${x%y}', [['x', false]]],
    ['${x/y/z}', [['x', false]]],
  ])('the lookup is told whether %s says itself what to do without a value', (word, expected) => {
    const asked: [string, boolean][] = [];
    expandWord(word, (name, hasAlternative) => {
      asked.push([name, hasAlternative]);
      return 'set';
    });
    expect(asked).toEqual(expected);
  });

  // The alternative is expanded before it is known whether it counts.
  test.each([
    ['${x:-$UNKNOWN}', 'xxyy'],
    ['${x-${UNKNOWN#y}}', 'xxyy'],
    ['${EMPTY:+$UNKNOWN}', ''],
    ['${x?$UNKNOWN}', 'xxyy'],
  ])('a variable that cannot be known is no matter where it does not count: %s', (word, value) => {
    const lookup = (name: string) => {
      if (name === 'UNKNOWN') throw new Error('unknown');
      return variables[name];
    };
    expect(expandWord(word, lookup)).toBe(value);
  });
});

describe('with # and %', () => {
  test.each([
    ['${x#x}', 'xyy'],
    ['${x##x}', 'xyy'],
    ['${x#y}', 'xxyy'],
    ['${x#*y}', 'y'],
    ['${x##*y}', ''],
    ['${x#*x*y}', 'y'],
    ['${x#*}', 'xxyy'],
    ['${x##*}', ''],
    ['${x#?}', 'xyy'],
    ['${x##??}', 'yy'],
    ['${x#}', 'xxyy'],
    ['${x##}', 'xxyy'],
    ['${x###}', 'xxyy'],
    ['${x%y}', 'xxy'],
    ['${x%%y}', 'xxy'],
    ['${x%x}', 'xxyy'],
    ['${x%y*}', 'xxy'],
    ['${x%%y*}', 'xx'],
    ['${x%*}', 'xxyy'],
    ['${x%%*}', ''],
    ['${x%?}', 'xxy'],
    ['${x%}', 'xxyy'],
    ['${x%%}', 'xxyy'],
    ['${path##*/}', 'bar.txt'],
    ['${path#/*/}', 'tmp/bar.txt'],
    ['${path%/*}', '/tmp/tmp'],
    ['${path%%/*}', ''],
    ['${path%.*}', '/tmp/tmp/bar'],
    ['${version#v}', '1.2.3'],
    ['${version%.*}', 'v1.2'],
    ['${version%%.*}', 'v1'],
    ['${NOT_SET#x}', ''],
    ['${NOT_SET%x}', ''],
    ['${EMPTY#*}', ''],
    ['${x#$a}', 'xxyy'],
    ['${x#$EMPTY}', 'xxyy'],
    ['${x#${NOT_SET:-x}}', 'xyy'],
    // What a variable holds is a pattern, too; quotes do not change that.
    ['${x#$pattern}', 'xyy'],
    ['${x#"*"}', 'xxyy'],
    ["${x#'x'}", 'xyy'],
    ['${x#"x"}', 'xyy'],
    // Escapes.
    ['${stars%%\\**}', 'a'],
    ['${stars%%\\**\\*}', 'a'],
    ['${stars%\\*}', 'a***yy'],
    ['${asks#?\\?}', '?y'],
    ['${backslash#a\\\\}', 'b'],
    ['${backslash%\\\\b}', 'a'],
    ['${brace#a\\}}', 'b'],
    ['${brace%\\}b}', 'a'],
    ['${x#"\\*"}', 'xxyy'],
    ['${x#"\\x"}', 'xxyy'],
    // Nothing else is special.
    ['${special#()[]{\\}^$.\\*\\?|}', 'x'],
    ['${version#v1x2}', 'v1.2.3'],
  ])('%s', (word, expected) => {
    expect(expand(word)).toBe(expected);
  });

  test('a match is the shortest or the longest, wherever the stars are', () => {
    const anyOf = (characters: string, maxLength: number) =>
      fc.array(fc.constantFrom(...characters), { maxLength }).map((all) => all.join(''));
    const matches = (pattern: string, text: string): boolean => {
      if (pattern === '') return text === '';
      if (pattern.startsWith('*')) {
        return matches(pattern.slice(1), text) || (text !== '' && matches(pattern, text.slice(1)));
      }
      const isSame = text !== '' && (pattern.startsWith('?') || pattern[0] === text[0]);
      return isSame && matches(pattern.slice(1), text.slice(1));
    };
    fc.assert(
      fc.property(anyOf('ab', 7), anyOf('ab*?', 5), (value, pattern) => {
        const cuts = Array.from({ length: value.length + 1 }, (_, index) => index);
        const starts = cuts.filter((cut) => matches(pattern, value.slice(0, cut)));
        const ends = cuts.filter((cut) => matches(pattern, value.slice(cut)));
        const read = (operator: string) => expandWord(`\${v${operator}${pattern}}`, () => value);
        expect([read('#'), read('##'), read('%'), read('%%')]).toEqual([
          value.slice(starts.at(0) ?? 0),
          value.slice(starts.at(-1) ?? 0),
          value.slice(0, ends.at(-1) ?? value.length),
          value.slice(0, ends.at(0) ?? value.length),
        ]);
      }),
    );
  });
});

describe('with /', () => {
  test.each([
    ['${x/x/z}', 'zxyy'],
    ['${x//x/z}', 'zzyy'],
    ['${x/x/}', 'xyy'],
    ['${x//x/}', 'yy'],
    ['${x/z/w}', 'xxyy'],
    ['${x/x*y/-}', '-'],
    ['${x/x?/-}', '-yy'],
    ['${x//?/-}', '----'],
    ['${x///}', 'xxyy'],
    ['${x/$EMPTY/w}', 'wxxyy'],
    ['${x//$EMPTY/w}', 'wxwxwywyw'],
    ['${NOT_SET/x/y}', ''],
    ['${NOT_SET//x/y}', ''],
    ['${NOT_SET///}', ''],
    ['${path/$needle/}', '/tmp/bar.txt'],
    ['${path//$needle/}', '/bar.txt'],
    ['${path/\\//_}', '_tmp/tmp/bar.txt'],
    ['${path//\\//_}', '_tmp_tmp_bar.txt'],
    ['${path//\\//\\/}', '\\/tmp\\/tmp\\/bar.txt'],
    ['${url/http:\\/\\//ftp:\\/\\/}', 'ftp:\\/\\/example.org'],
    ['${version/./-}', 'v1-2.3'],
    ['${version//./-}', 'v1-2-3'],
    ['${stars/\\*/+}', 'a+**yy*'],
    ['${stars//\\*/+}', 'a+++yy+'],
    ['${brace/\\}/_}', 'a_b'],
    [`\${x/"x"/'y'}`, 'yxyy'],
    ['${x/x/$a}', 'Axyy'],
    ['${x/x/${NOT_SET:-z}}', 'zxyy'],
    ['${x/x/a\\}b}', 'a\\}bxyy'],
    ['${x/x/\\$}', '\\$xyy'],
    ['${x/x/$dollar}', '$xxyy'],
    ['${x/x/&\\1}', '&\\1xyy'],
    ['${emoji/😀/x}', 'axb😀'],
  ])('%s', (word, expected) => {
    expect(expand(word)).toBe(expected);
  });

  // An empty match just behind another one counts for nothing.
  test.each([
    ['${x//*/r}', 'r'],
    ['${x//x*/r}', 'r'],
    ['${lines//*/r}', 'r\nr'],
    ['${EMPTY//*/r}', 'r'],
    ['${x//y*/r}', 'xxr'],
    ['${x/*/r}', 'r'],
  ])('%s', (word, expected) => {
    expect(expand(word)).toBe(expected);
  });

  // Where all are replaced, BuildKit reads the replacement as a template of Go's regexp package.
  test.each([
    ['${x//x/$dollar}', 'yy'],
    ['${x//x/\\$0}', '\\x\\xyy'],
    ['${x//x/\\$1z}', '\\\\yy'],
  ])('%s', (word, expected) => {
    expect(expand(word)).toBe(expected);
  });
});

describe('a pattern’s wildcards', () => {
  test.each([
    ['${emoji#?}', '😀b😀'],
    ['${emoji/?/x}', 'x😀b😀'],
    ['${emoji%😀}', 'a😀b'],
    ['${lines%b*}', 'a\n'],
    ['${lines%?c}', 'a\n'],
  ])('%s', (word, expected) => {
    expect(expand(word)).toBe(expected);
  });

  test.each([
    ['${emoji##??}', 'b😀'],
    ['${emoji%?}', 'a😀b'],
    ['${emoji%%??}', 'a😀'],
    ['${emoji//?/x}', 'xxxx'],
  ])('stand for whole characters: %s', (word, expected) => {
    expect(expand(word)).toBe(expected);
  });

  test.each([
    ['${lines#*c}', 'a\nbc'],
    ['${lines%%a*}', 'a\nbc'],
    ['${lines/?b/x}', 'a\nbc'],
  ])('do not stand for a line break: %s', (word, expected) => {
    expect(expand(word)).toBe(expected);
  });
});

describe('a substitution that is not valid is refused', () => {
  test.each([
    '${}',
    'he${}xx',
    '${:}',
    '${:x}',
    '${{x}',
    '${.}',
    '${ x}',
    '${x }',
    '${x=y}',
    '${x:=y}',
    '${x=:y}',
    '${x:y}',
    '${x:}',
    '${x::-y}',
    '${x:#x}',
    '${x:##x}',
    '${x:%y}',
    '${x:/x/y}',
    '${x,}',
    '${x^^}',
    '${x@Q}',
    '${#x}',
    '${!x}',
    '"${}"',
  ])('%s', (word) => {
    expect(() => expand(word)).toThrow(`a substitution \${…} in "${word}" is not valid`);
  });

  test.each([
    ['${', '}'],
    ['${x', '}'],
    ['a${x-y', '}'],
    ['${x:-', '}'],
    ['${x:-y\\}', '}'],
    ['${x#', '}'],
    ['${x%y', '}'],
    ['${x/a/', '}'],
    ['${x/a/b', '}'],
    ['${x/', '/'],
    ['${x/a', '/'],
    ['${x/a}', '/'],
    ['${x//}', '/'],
    ['${x//a}', '/'],
    ['${x:-${y}', '}'],
  ])('%s, where a %s is missing', (word, missing) => {
    expect(() => expand(word)).toThrow(`"${missing}" is missing`);
  });

  test.each(['${x#\\x}', '${x%\\x}', '${x/\\x/}', '${x//a\\b/}'])('%s, for its escape', (word) => {
    expect(() => expand(word)).toThrow('has an escape that is not valid');
  });

  // BuildKit refuses it, so that there is no build with it.
  test('an escape at the end of a pattern', () => {
    expect(() => expand('${brace#a\\}', '`')).toThrow('has an escape that is not valid');
  });
});

describe('with a backquote for the escape character', () => {
  test.each([
    ['a`b', 'ab'],
    ['a``b', 'a`b'],
    ['`$HOME', '$HOME'],
    ['``$HOME', '`/home'],
    ['`${HOME}', '${HOME}'],
    ["`'", "'"],
    ['`"', '"'],
    ['"`$HOME"', '$HOME'],
    ['"`${HOME}"', '${HOME}'],
    ['"`a"', '`a'],
    ['"`""', '"'],
    ['"``"', '`'],
    ["'`'", '`'],
    ['a\\b', 'a\\b'],
    ['\\$HOME', '\\/home'],
    ['"\\$HOME"', '\\/home'],
    ['"a\\"', 'a\\'],
    ['C:\\dir\\$HOME', 'C:\\dir\\/home'],
    ['${NOT_SET:-a`}b}', 'a}b'],
    ['${NOT_SET:-`$HOME}', '$HOME'],
    ['${NOT_SET:-C:\\a}', 'C:\\a'],
    // In a pattern it is always the backslash that counts.
    ['${x#`*}', 'xxyy'],
    ['${x#\\*}', 'xxyy'],
    ['${stars%`*}', 'a***yy*'],
    ['${stars%\\*}', 'a***yy'],
    ['${brace#a`}}', 'a}b'],
    ['${path/`//_}', '/tmp/tmp/bar.txt'],
    ['${brace#a"\\}"}', 'b'],
    // It turns the pattern round, so that a backslash at its end comes before another character.
    ['${stars%*\\}', 'a***yy'],
    ['${stars%%*\\}', 'a***yy'],
    ['${ends%"}"\\}', 'a'],
    ['${x/x/`$}', '`$xyy'],
  ])('%s', (word, expected) => {
    expect(expand(word, '`')).toBe(expected);
  });

  test.each(['"a`"', "'a`'b'"])('the open quote in %s is refused', (word) => {
    expect(() => expand(word, '`')).toThrow('is not closed');
  });
});

test.each([
  ['${v#*?}', '\rb'],
  ['${v##*b}', ''],
  ['${v%?b}', 'a'],
  ['${v%%*b}', ''],
  ['${v//?/x}', 'xxx'],
])('a wildcard stands for all characters but the line feed: %s', (word, expected) => {
  for (const char of ['\r', '\u2028']) {
    expect(expandWord(word, () => `a${char}b`)).toBe(expected.replace('\r', char));
  }
  expect(expandWord('${v%?b}', () => 'a\nb')).toBe('a\nb');
});

test.each(['#', '##', '%', '%%', '/', '//'])(
  'a pattern with many stars is looked for in good time, with %s',
  (operator) => {
    const word = `\${v${operator}${'*a'.repeat(20)}*b*c${operator.startsWith('/') ? '/' : ''}}`;
    const value = 'a'.repeat(2000);
    expect(expandWord(word, () => value)).toBe(value);
  },
);

test('a byte order mark at the beginning is passed over', () => {
  expect(expand('\uFEFFa$x\uFEFF')).toBe('axxyy\uFEFF');
  expect(expandWord('${v#\uFEFFa}', () => 'ab')).toBe('b');
});

describe('words', () => {
  test.each<[line: string, raw: string[], plain: string[]]>([
    ['a  b\tc', ['a', 'b', 'c'], ['a', 'b', 'c']],
    [`a "b c"'d'`, ['a', `"b c"'d'`], ['a', 'b cd']],
    ['a\\ b', ['a\\ b'], ['a b']],
    ['$x ${y} ${z:-a b}', ['$x', '${y}', '${z:-a', 'b}'], ['$x', '${y}', '${z:-a', 'b}']],
    ['${x#a} ${x/b/c}', ['${x#a}', '${x/b/c}'], ['${x#a}', '${x/b/c}']],
    ['${x//b/c}', ['${x/b/c}'], ['${x/b/c}']],
    ['a << b <<<c', ['a', '<< b', '<<<c'], ['a', '<< b', '<<<c']],
    // A substitution begins the word anew: BuildKit has one buffer for both.
    ['a${x:-b}c', ['${x:-b}c'], ['${x:-b}c']],
    ['a\u3000b', ['a', 'b'], ['a', 'b']],
    [`""`, ['""'], []],
  ])('%s', (line, raw, plain) => {
    expect(splitShellWords(line, 'quotes and escapes')).toEqual(raw);
    expect(splitShellWords(line, 'neither')).toEqual(plain);
  });

  test.each(["it's", '"a', '${x', '${x^^}'])('%s is refused', (line) => {
    expect(() => splitShellWords(line, 'neither')).toThrow();
  });
});

test('substitutions can be nested, but not without end', () => {
  const nested = (levels: number) => `${'${x:-'.repeat(levels)}y${'}'.repeat(levels)}`;
  expect(expandWord(nested(200), () => undefined)).toBe('y');
  for (const levels of [201, 100_000]) {
    expect(() => expandWord(nested(levels), () => undefined)).toThrow(/^substitutions are nested/);
  }
  expect(expandWord('${x:-y}'.repeat(1000), () => undefined)).toBe('y'.repeat(1000));
});

describe('any text comes back', () => {
  const anyText = fc.string({ unit: 'binary' });

  test.each(['\\', '`'])('each character behind a %s', (escapeToken) => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(expand([...text].map((char) => `${escapeToken}${char}`).join(''), escapeToken)).toBe(
          text,
        );
      }),
    );
  });

  test('in double quotes, with what is special there behind a backslash', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(expand(`"${text.replace(/["$\\]/g, '\\$&')}"`)).toBe(text);
      }),
    );
  });

  test('in single quotes, if it has none', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const plain = text.replaceAll("'", '');
        expect(expand(`'${plain}'`)).toBe(plain);
      }),
    );
  });

  test('from a variable, however it is asked for', () => {
    const words = ['$v', '${v}', '"$v"', '${v-x}', '${v?x}', '${none:-$v}', '${x:+$v}', '${v#}'];
    fc.assert(
      fc.property(anyText, fc.constantFrom(...words), (text, word) => {
        const values = new Map([
          ['v', text],
          ['x', 'x'],
        ]);
        expect(expandWord(word, (name) => values.get(name))).toBe(text);
      }),
    );
  });
});

test('anything is expanded, or refused with an Error that says why', () => {
  const piece = fc.oneof(
    fc.constantFrom('$', '${', '}', '{', ':', '-', '+', '?', '#', '%', '/', '*', '\\', '`'),
    fc.constantFrom('"', "'", 'x', 'EMPTY', 'NOT_SET', ' '),
    fc.string({ unit: 'binary', maxLength: 2 }),
  );
  fc.assert(
    fc.property(fc.array(piece), fc.constantFrom('\\', '`'), (pieces, escapeToken) => {
      try {
        expect(typeof expand(pieces.join(''), escapeToken)).toBe('string');
      } catch (error) {
        expect(String(error)).toMatch(
          /is not closed|is not valid|is missing|^Error: (EMPTY|NOT_SET|[\p{L}\p{Nd}_]+|\W): /u,
        );
      }
    }),
    { numRuns: 1000 },
  );
});
