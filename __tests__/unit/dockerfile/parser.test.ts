import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseDockerfile, parseInstruction, splitWords } from '../../../src/dockerfile/parser.js';

type Read = [line: number, keyword: string, flags: string[], text: string];

function read(lines: readonly string[], lineBreak = '\n'): Read[] {
  return parseDockerfile(lines.join(lineBreak)).instructions.map(
    ({ line, keyword, flags, text }) => [line, keyword, [...flags], text],
  );
}

/** Behind each there is a RUN that only counts where all before it has been read rightly. */
function readBeforeLast(lines: readonly string[]): Read[] {
  const instructions = read([...lines, 'RUN last']);
  expect(instructions.at(-1)).toEqual([lines.length + 1, 'RUN', [], 'last']);
  return instructions.slice(0, -1);
}

describe('instructions', () => {
  test.each<[name: string, lines: string[], instructions: Read[]]>([
    ['in lower case', ['run a'], [[1, 'RUN', [], 'a']]],
    ['in any case', ['rUn a'], [[1, 'RUN', [], 'a']]],
    ['indented', ['  \tRUN a'], [[1, 'RUN', [], 'a']]],
    ['with tabs and spaces', ['RUN \t a  b '], [[1, 'RUN', [], 'a  b']]],
    ['with nothing', ['RUN'], [[1, 'RUN', [], '']]],
    ['that are not known', ['HELLO world'], [[1, 'HELLO', [], 'world']]],
    [
      'with flags',
      ['RUN --mount=type=cache,target=/x --network=none go'],
      [[1, 'RUN', ['mount=type=cache,target=/x', 'network=none'], 'go']],
    ],
    [
      'with comments and blank lines around',
      ['', '# a', 'RUN a', '   # b', ' ', 'RUN b # no comment', '#'],
      [
        [3, 'RUN', [], 'a'],
        [6, 'RUN', [], 'b # no comment'],
      ],
    ],
    ['of ONBUILD', ['ONBUILD RUN --mount=a go'], [[1, 'ONBUILD', [], 'RUN --mount=a go']]],
  ])('%s', (_, lines, instructions) => {
    expect(readBeforeLast(lines)).toEqual(instructions);
  });

  test.each(['', '\n', '# only a comment', '\uFEFF', '# escape=`'])('none in %j', (text) => {
    expect(parseDockerfile(text).instructions).toEqual([]);
  });

  test('end with the file, too', () => {
    expect(read(['RUN a'])).toEqual([[1, 'RUN', [], 'a']]);
    expect(read(['RUN a \\'])).toEqual([[1, 'RUN', [], 'a']]);
    expect(read(['RUN a \\', '# b'])).toEqual([[1, 'RUN', [], 'a']]);
  });

  test('keep their own text', () => {
    const lines = ['COPY a \\', '  # comment', '  /b', 'COPY <<EOF /c', 'x', 'EOF', 'RUN z'];
    const { instructions } = parseDockerfile(lines.join('\n'));
    expect(instructions.map(({ source }) => source)).toEqual([
      lines.slice(0, 3).join('\n'),
      lines.slice(3, 6).join('\n'),
      'RUN z',
    ]);
  });
});

describe('lines that go on', () => {
  test.each<[name: string, lines: string[], text: string]>([
    ['once', ['a \\', 'b'], 'a b'],
    ['without a space', ['a\\', 'b'], 'ab'],
    ['with the next one’s indentation', ['a \\', '  b'], 'a   b'],
    ['with white space behind the backslash', ['a \\ \t', 'b'], 'a b'],
    ['over blank lines', ['a \\', '', ' \t', 'b'], 'a b'],
    ['over comments', ['a \\', '# c', '  # d', 'b'], 'a b'],
    ['over comments that look as if they went on', ['a \\', '# c \\', 'b'], 'a b'],
    ['over comments that hold a RUN', ['a \\', '# RUN c', 'b'], 'a b'],
    ['into one that begins with a keyword', ['a \\', 'RUN b'], 'a RUN b'],
    ['several times', ['a \\', 'b \\', '', '# c', 'd\\', 'e'], 'a b de'],
    ['with an empty one', ['a \\', '\\', 'b'], 'a b'],
    ['where # is no comment', ['a #\\', 'b'], 'a #b'],
    ['not at a backslash inside', ['a \\ b'], 'a \\ b'],
  ])('%s', (_, lines, text) => {
    const [first = '', ...others] = lines;
    const instruction: Read = [1, 'RUN', [], text];
    expect(readBeforeLast([`RUN ${first}`, ...others])).toEqual([instruction]);
    expect(read([`RUN ${first}`, ...others, 'RUN last'], '\r\n')).toEqual([
      instruction,
      [lines.length + 1, 'RUN', [], 'last'],
    ]);
    // The same with a backquote.
    const swapped = [`RUN ${first}`, ...others].map((line) => line.replaceAll('\\', '`'));
    expect(readBeforeLast(['# escape=`', ...swapped])).toEqual([
      [2, 'RUN', [], text.replaceAll('\\', '`')],
    ]);
  });

  test('between flags', () => {
    const lines = [
      'RUN \\',
      '',
      '--mount=type=cache,target=/x \\',
      ' # comment',
      '  --mount=type=cache,\\',
      'target=/y \\',
      '  go',
    ];
    expect(readBeforeLast(lines)).toEqual([
      [1, 'RUN', ['mount=type=cache,target=/x', 'mount=type=cache,target=/y'], 'go'],
    ]);
  });

  test('in the keyword', () => {
    expect(readBeforeLast(['RU\\', 'N a', 'RUN\\', ' b'])).toEqual([
      [1, 'RUN', [], 'a'],
      [3, 'RUN', [], 'b'],
    ]);
  });

  test('not at two backslashes', () => {
    expect(readBeforeLast(['RUN a \\\\'])).toEqual([[1, 'RUN', [], 'a \\\\']]);
  });
});

describe('the escape directive', () => {
  test.each<[name: string, lines: string[], escapeToken: string]>([
    ['none', ['FROM a'], '\\'],
    ['a backquote', ['# escape=`', 'FROM a'], '`'],
    ['a backslash', ['# escape=\\', 'FROM a'], '\\'],
    ['without a space', ['#escape=`', 'FROM a'], '`'],
    ['with more of them, in capitals', ['#  ESCAPE = ` ', 'FROM a'], '`'],
    ['behind a byte order mark', ['\uFEFF# escape=`', 'FROM a'], '`'],
    ['behind another directive', ['# syntax=docker/dockerfile:1', '# escape=`', 'FROM a'], '`'],
    ['behind checks', ['# check=skip=all', '# escape=`', 'FROM a'], '`'],
    ['behind a comment', ['# comment', '# escape=`', 'FROM a'], '\\'],
    ['behind a blank line', ['', '# escape=`', 'FROM a'], '\\'],
    ['behind an instruction', ['FROM a', '# escape=`'], '\\'],
  ])('%s', (_, lines, escapeToken) => {
    for (const lineBreak of ['\n', '\r\n']) {
      expect(parseDockerfile(lines.join(lineBreak)).escapeToken).toBe(escapeToken);
    }
  });

  test.each<[name: string, lines: string[]]>([
    ['a directive that is not known', ['# foo=bar', '# escape=`', 'FROM a']],
  ])('behind %s', (_, lines) => {
    expect(parseDockerfile(lines.join('\n')).escapeToken).toBe('\\');
  });
});

describe('white space that is not ASCII', () => {
  test('does not end a keyword, so that BuildKit does not know the instruction', () => {
    expect(read(['RUN\u00a0--mount=a go', 'RUN\u2003x y'])).toEqual([
      [1, 'RUN\u00a0--MOUNT=A', [], 'go'],
      [2, 'RUN\u2003X', [], 'y'],
    ]);
  });

  test('hides the flags behind it', () => {
    expect(read(['RUN \u00a0--mount=a go', 'RUN \u3000--mount=a go'])).toEqual([
      [1, 'RUN', [], '--mount=a go'],
      [2, 'RUN', [], '--mount=a go'],
    ]);
  });

  test('is taken off both ends of an instruction', () => {
    expect(read(['\u3000RUN a\u00a0', '\u0085RUN b\u0085'])).toEqual([
      [1, 'RUN', [], 'a'],
      [2, 'RUN', [], 'b'],
    ]);
  });

  test('makes a line blank', () => {
    expect(read(['RUN a \\', '\u0085', '\u3000# c', 'b'])).toEqual([[1, 'RUN', [], 'a b']]);
  });
});

test('white space at the end belongs to no flag, even if its quote is not closed', () => {
  expect(read(['RUN --mount="id=a  '])).toEqual([[1, 'RUN', ['mount=id=a'], '']]);
  expect(read(['RUN --mount="id=a  \\'])).toEqual([[1, 'RUN', ['mount=id=a'], '']]);
  expect(read(['RUN --mount=id=a\\ '])).toEqual([[1, 'RUN', ['mount=id=a'], '']]);
});

describe('a byte order mark', () => {
  test('is no part of the first instruction', () => {
    expect(read(['\uFEFFFROM a', 'RUN b'])).toEqual([
      [1, 'FROM', [], 'a'],
      [2, 'RUN', [], 'b'],
    ]);
  });
});

describe('the bodies of heredocs are no instructions', () => {
  test.each<[name: string, lines: string[], instruction: Read]>([
    ['RUN', ['RUN <<EOF', 'RUN x', 'EOF'], [1, 'RUN', [], '<<EOF']],
    [
      'behind a command',
      ['RUN cat <<EOF >/x && y', 'RUN x', 'EOF'],
      [1, 'RUN', [], 'cat <<EOF >/x && y'],
    ],
    [
      'behind a flag',
      ['RUN --mount=type=cache,target=/x <<EOF', 'RUN --mount=type=cache,target=/y x', 'EOF'],
      [1, 'RUN', ['mount=type=cache,target=/x'], '<<EOF'],
    ],
    [
      'on a line that goes on',
      ['RUN --mount=type=cache,target=/x \\', '  <<EOF sh', '--mount=type=cache,target=/y', 'EOF'],
      [1, 'RUN', ['mount=type=cache,target=/x'], '<<EOF sh'],
    ],
    ['in single quotes', ["RUN <<'EOF'", 'RUN $x', 'EOF'], [1, 'RUN', [], "<<'EOF'"]],
    ['in double quotes', ['RUN <<"EOF" sh', 'RUN x', 'EOF'], [1, 'RUN', [], '<<"EOF" sh']],
    ['without leading tabs', ['RUN <<-EOF', '\tRUN x', '\t\tEOF'], [1, 'RUN', [], '<<-EOF']],
    [
      'with lines that are almost the end',
      ['RUN <<EOF', 'EOF ', ' EOF', '\tEOF', 'EOFF', 'RUN x', 'EOF'],
      [1, 'RUN', [], '<<EOF'],
    ],
    ['with blank lines', ['RUN <<EOF', '', '', 'EOF'], [1, 'RUN', [], '<<EOF']],
    ['with nothing', ['RUN <<EOF', 'EOF'], [1, 'RUN', [], '<<EOF']],
    ['with backslashes', ['RUN <<EOF', 'x \\', 'EOF'], [1, 'RUN', [], '<<EOF']],
    ['with comments', ['RUN <<EOF', '# EOF', 'EOF'], [1, 'RUN', [], '<<EOF']],
    [
      'two of them',
      ['RUN <<A cat <<B', 'RUN x', 'B', 'A', 'RUN y', 'A', 'B'],
      [1, 'RUN', [], '<<A cat <<B'],
    ],
    ['COPY', ['COPY <<EOF /x', 'RUN x', 'EOF'], [1, 'COPY', [], '<<EOF /x']],
    ['ADD', ['ADD <<EOF /x', 'RUN x', 'EOF'], [1, 'ADD', [], '<<EOF /x']],
    ['ONBUILD', ['ONBUILD RUN <<EOF', 'RUN x', 'EOF'], [1, 'ONBUILD', [], 'RUN <<EOF']],
    ['with a name that is a variable', ['RUN <<$X', 'RUN x', '$X'], [1, 'RUN', [], '<<$X']],
    [
      'with an operator in its name',
      ['RUN cat <<EOF|sh', 'EOF', 'EOF|sh'],
      [1, 'RUN', [], 'cat <<EOF|sh'],
    ],
  ])('%s', (_, lines, instruction) => {
    expect(readBeforeLast(lines)).toEqual([instruction]);
    expect(read([...lines, 'RUN last'], '\r\n')).toEqual([
      instruction,
      [lines.length + 1, 'RUN', [], 'last'],
    ]);
  });

  // White space before the word, as BuildKit takes it since Dockerfile 1.16.
  test.each<[line: string, end: string]>([
    ['RUN << EOF', 'EOF'],
    ['RUN <<\tEOF', 'EOF'],
    ['RUN cat << EOF > f', 'EOF'],
    ['RUN python << "PY"', 'PY'],
    ["RUN --mount=type=cache,target=/x cat <<  'PY' && y", 'PY'],
    ['RUN 3<< EOF cat', 'EOF'],
    ['COPY << EOF /x', 'EOF'],
    ['ADD << EOF /x', 'EOF'],
    ['ONBUILD RUN << EOF', 'EOF'],
    ['RUN x=$((1 << 2)) y', '2))'],
  ])('with white space before the word: %s', (line, end) => {
    const lines = [line, 'from os import path', 'RUN --mount=type=cache,target=/y x', end];
    const [keyword = ''] = line.split(' ');
    expect(readBeforeLast(lines)).toEqual([
      [1, keyword, expect.anything(), expect.stringContaining('<<')],
    ]);
  });

  test.each([
    // BuildKit finds no heredoc in a line that it cannot split into words.
    "RUN cat <<EOF && echo it's",
    'RUN cat <<EOF ${x',
    'RUN cat <<EOF ${x^^}',
    // Nor one whose operator stands in a word that a substitution has cut off.
    'RUN cat <<${X:-EOF}',
    // The dash belongs to the operator, so that white space ends the word behind it.
    'RUN cat <<- EOF',
  ])('there is none in %s, though its end is there', (line) => {
    expect(readBeforeLast([line, 'RUN x', 'EOF'])).toHaveLength(3);
  });

  test('one that does not end is none, and another of the same line is read', () => {
    const lines = ['RUN x=$((1 << 2)) cat <<EOF', 'RUN x', 'EOF'];
    expect(readBeforeLast(lines)).toEqual([[1, 'RUN', [], 'x=$((1 << 2)) cat <<EOF']]);
  });

  test('the line that ends one may have several carriage returns', () => {
    expect(readBeforeLast(['RUN <<EOF', 'RUN x', 'EOF\r\r'])).toHaveLength(1);
    expect(read(['RUN <<EOF', 'RUN x', 'EOF\r'])).toHaveLength(1);
  });

  test('with a backquote for the escape character', () => {
    const lines = ['# escape=`', 'RUN cat <<EOF `', '  && x', 'RUN x', 'EOF'];
    expect(readBeforeLast(lines)).toEqual([[2, 'RUN', [], 'cat <<EOF   && x']]);
  });

  test.each<[name: string, lines: string[]]>([
    ['for a file descriptor', ['RUN 3<<EOF cat', 'RUN x', 'EOF']],
    ['one of two without leading tabs', ['RUN <<-A cat <<B', '\tA', '\tB', 'RUN x', 'B']],
    ['with a quote in its name', ['RUN cat <<E"O"F', 'RUN x', 'EOF']],
  ])('%s', (_, lines) => {
    expect(readBeforeLast(lines)).toEqual([[1, 'RUN', [], lines[0]?.slice('RUN '.length)]]);
  });

  test.each([
    'RUN cat << EOF',
    'RUN cat <<<word',
    'RUN cat <<',
    'RUN x<<EOF',
    'RUN echo $((1<<2))',
    'RUN ["cat", "<<EOF"]',
    'RUN echo "<<EOF"',
    'CMD <<EOF',
    'ENV X=<<EOF',
    '# RUN <<EOF',
  ])('there is none in %s', (line) => {
    expect(readBeforeLast([line])).toHaveLength(line.startsWith('#') ? 0 : 1);
  });

  test.each([`RUN echo "a <<EOF b"`, `RUN sh -c 'cat <<EOF >/x'`, 'RUN echo \\<<EOF'])(
    'there is none in %s',
    (line) => {
      expect(readBeforeLast([line])).toHaveLength(1);
    },
  );
});

test('an instruction in a single line is read the same way', () => {
  expect(parseInstruction(' run --mount=a  go', 7)).toEqual({
    keyword: 'RUN',
    line: 7,
    flags: ['mount=a'],
    text: 'go',
    source: ' run --mount=a  go',
  });
  expect(parseInstruction('', 1)).toMatchObject({ keyword: '', flags: [], text: '' });
});

describe('the words of an ARG or ENV', () => {
  test.each<[text: string, words: string[]]>([
    ['', []],
    ['  ', []],
    ['A', ['A']],
    [' A  B=1\tC= ', ['A', 'B=1', 'C=']],
    ['A="b c" D', ['A="b c"', 'D']],
    ["A='b c' D", ["A='b c'", 'D']],
    [`A="it's" B='"' C`, [`A="it's"`, `B='"'`, 'C']],
    ['A=b\\ c D', ['A=b\\ c', 'D']],
    ['A=b\\\\ c', ['A=b\\\\', 'c']],
    ['A=\\"b c\\"', ['A=\\"b', 'c\\"']],
    ['A="b\\" c" D', ['A="b\\" c"', 'D']],
    ["A='b\\' c", ["A='b\\'", 'c']],
    ['A=b"c d"e f', ['A=b"c d"e', 'f']],
    ['A="b c', ['A="b c']],
    ['A=b\\', ['A=b']],
    ['A=日本 B', ['A=日本', 'B']],
  ])('%s', (text, words) => {
    expect(splitWords(text, '\\')).toEqual(words);
    const swapped = splitWords(text.replaceAll('\\', '`'), '`');
    expect(swapped).toEqual(words.map((word) => word.replaceAll('\\', '`')));
  });

  test('a backslash is nothing special where the backquote is', () => {
    expect(splitWords('A=b\\ c', '`')).toEqual(['A=b\\', 'c']);
  });
});

test('a long comment that is nearly a directive is read in good time', () => {
  const comment = `# a =${' '.repeat(2000)}x${' '.repeat(2000)}x\rx`;
  expect(parseDockerfile(`${comment}\n# escape=\``).escapeToken).toBe('\\');
  expect(parseDockerfile(`# syntax = x\ry \n# escape = \` \n`).escapeToken).toBe('`');
});

test('any text is read, and its instructions begin where they say', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      'FROM a',
      'RUN x',
      'RUN <<EOF',
      'EOF',
      '--mount=',
      '# escape=`',
      'ARG',
      'ONBUILD',
    ),
    fc.constantFrom(
      '\n',
      '\n',
      '\r\n',
      '\r',
      '\\\n',
      '`\n',
      ' ',
      '\t',
      '#',
      '\\',
      '`',
      '"',
      "'",
      '<<',
    ),
    fc.string({ unit: 'binary', maxLength: 3 }),
  );
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const text = pieces.join('');
      const { instructions } = parseDockerfile(text);
      const lines = text.split(/\r?\n|\r/);
      let earlier = 0;
      for (const { line, keyword } of instructions) {
        expect(line).toBeGreaterThanOrEqual(earlier);
        expect(line).toBeLessThanOrEqual(lines.length);
        expect(keyword).toBe(keyword.toUpperCase());
        earlier = line;
      }
    }),
    { numRuns: 1000 },
  );
});
