/** What is left out of an archive, by the machine's own sh, find, sed and tar. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PatternError, renderExcludeScript } from '../../../src/builder/exclude-script.js';
import { isIgnored, parseIgnored } from '../../support/dockerignore.js';
import { placeScriptHere } from '../../support/scripts-here.js';

const execute = promisify(execFile);

let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'exclude-'));
});

afterAll(() => rm(root, { recursive: true }));

/** Packs a mount with these files, each a path; that of a directory ends with a slash. */
async function pack(paths: readonly string[], lines: readonly string[]): Promise<string[]> {
  const directory = await mkdtemp(join(root, 'pack-'));
  const mount = join(directory, 'mounts/0');
  await mkdir(mount, { recursive: true });
  await mkdir(join(directory, 'out'));
  for (const path of paths) {
    await mkdir(join(mount, path.endsWith('/') ? path : dirname(path)), { recursive: true });
    if (!path.endsWith('/')) await writeFile(join(mount, path), '');
  }
  await placeScriptHere('pack', directory, new Map([[0, renderExcludeScript(lines)]]));
  const out = join(directory, 'out');
  await execute('/bin/sh', [join(directory, 'pack/run.sh'), '0:1'], { cwd: out });
  expect(await readFile(join(out, 'report'), 'utf8')).toContain('"result":"packed"');
  expect((await readdir(out)).sort()).toEqual(['0.tar.zst', 'report']);
  const unpacked = join(directory, 'unpacked');
  await mkdir(unpacked);
  await execute('tar', ['-x', '--zstd', '-f', join(out, '0.tar.zst'), '-C', unpacked]);
  const files = await readdir(unpacked, { recursive: true, withFileTypes: true });
  const found = files.map((file) => {
    const path = join(file.parentPath, file.name).slice(unpacked.length + 1);
    return file.isDirectory() ? `${path}/` : path;
  });
  await rm(directory, { recursive: true });
  return found.sort();
}

describe('what is left', () => {
  const tree = [
    ...['a.log', 'b.txt', 'sub/a.log', 'sub/deep/c.log', 'sub/deep/d.txt', 'tmp/x', 'tmp/keep/y'],
    ...['x-log', 'empty/'],
  ];
  test.each<[string, string[], string[]]>([
    [
      'at the root only',
      ['*.log', 'sub/deep', 'tmp/keep'],
      ['b.txt', 'empty/', 'sub/', 'sub/a.log', 'tmp/', 'tmp/x', 'x-log'],
    ],
    ['a directory', ['sub', '/tmp/', 'empty'], ['a.log', 'b.txt', 'x-log']],
    [
      'at any depth',
      ['**/*.log', 'tmp', 'empty'],
      ['b.txt', 'sub/', 'sub/deep/', 'sub/deep/d.txt', 'x-log'],
    ],
    [
      'all but',
      ['*', '!tmp/keep', '!**/d.txt'],
      ['sub/', 'sub/deep/', 'sub/deep/d.txt', 'tmp/', 'tmp/keep/', 'tmp/keep/y'],
    ],
    [
      'the content only',
      ['sub/**', 'tmp/*', '!tmp/x', 'empty'],
      ['a.log', 'b.txt', 'sub/', 'tmp/', 'tmp/x', 'x-log'],
    ],
    ['the last one counts', ['!b.txt', '*', '!*.log', 'a.*'], []],
    ['all', ['**'], []],
  ])('%s', async (_, lines, expected) => {
    expect(await pack(tree, lines)).toEqual(expected);
  });
});

test('a link that is left out is not followed', async () => {
  const directory = await mkdtemp(join(root, 'link-'));
  await symlink('/etc', join(directory, 'link'));
  const { stdout } = await execute('sh', [
    '-c',
    'cd "$1"; find . -depth -print0 | LC_ALL=C sed -z -n -E -f "$2" | tr "\\0" "\\n"',
    'sh',
    directory,
    await written(directory, ['link/passwd', 'link']),
  ]);
  expect(stdout).toBe('./link\nEND\n');
});

async function written(directory: string, lines: readonly string[]): Promise<string> {
  const file = join(directory, '..', 'script');
  await writeFile(file, renderExcludeScript(lines));
  return file;
}

test.each([
  [['a^'], ['a^'], ['b', 'x']],
  [['a^*'], [], ['a^', 'b', 'x']],
  [['a^/*'], [], ['a^/', 'a^/a', 'b', 'x']],
  [['^b*'], ['b'], ['a^', 'x']],
  [['**/^b*', '*^x'], ['b', 'x'], ['a^']],
  [['a\\^*'], ['a^'], ['b', 'x']],
])(
  'the sign for the beginning of a line means in %j what it means to BuildKit',
  async (lines, out, left) => {
    const isIn = left.includes('a^/');
    const paths = [isIn ? 'a^/a' : 'a^', 'b', 'x'];
    const patterns = parseIgnored(lines);
    for (const path of paths) expect(isIgnored(patterns, path)).toBe(out.includes(path));
    expect(await pack(paths, lines)).toEqual(left);
  },
);

test.each(['[', '[a', 'a[]b]', '[-a]', '[z-a]', 'a\\', '!', ' ', '[a-]', '[\\'])(
  'the pattern %j is refused, as by BuildKit',
  (pattern) => {
    expect(() => renderExcludeScript([pattern])).toThrow(PatternError);
  },
);

const names = [
  ...['a', 'b', 'ab', '.x', 'a.log', 'b.log', 'ü', 'äb', '日本', 'a b', 'trail ', '-dash', '+(x)'],
  ...[
    '[1]',
    'x*',
    's?r',
    'new\nline',
    'I',
    'E',
    'END',
    'tab\t',
    'back\\s',
    'a^',
    '{b}',
    '$',
    'a|b',
  ],
  ...["quo'te", '`x`', '<a>', 'a,b', 'cr\r', '#', '!b', '~', '%', '&'],
];
const someName = fc.constantFrom(...names);
const somePath = fc
  .tuple(fc.array(someName, { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([parts, isDirectory]) => `${parts.join('/')}${isDirectory ? '/' : ''}`);
const escaped = someName.map((name) => name.replace(/[*?[\]\\]/g, '\\$&').replaceAll('\n', '?'));
const someSegment = fc.oneof(
  escaped,
  fc.constantFrom(
    ...[
      '*',
      '**',
      '?',
      '??',
      'a*',
      '*.log',
      '*b',
      '[a-c]',
      '[^a]',
      '[à-ü]*',
      '[^ü]',
      '[\\^a]',
      'a?',
    ],
    ...[
      '**b',
      'b**',
      '***',
      '[!-~]*',
      '[^!-~]*',
      '.',
      '..',
      '*\\?*',
      '[0-9日-月]*',
      '?b',
      '[^a-z]*',
      '^a*',
      '*^a',
    ],
  ),
);
const somePattern = fc
  .tuple(
    fc.constantFrom('', '', '!', '! '),
    fc.constantFrom('', '', '/', './'),
    fc.array(someSegment, { minLength: 1, maxLength: 4 }),
    fc.constantFrom('', '', '/', '/**', '/.'),
  )
  .map(([exception, start, parts, end]) => `${exception}${start}${parts.join('/')}${end}`);

/** All files and directories, with those above them. */
function withParents(paths: readonly string[]): string[] {
  const all = paths.flatMap((path) => {
    const parts = path.replace(/\/$/, '').split('/');
    const parents = parts.slice(0, -1).map((_, index) => `${parts.slice(0, index + 1).join('/')}/`);
    return [...parents, path];
  });
  return [...new Set(all)];
}

/** No path is both a file and a directory. */
function withoutClashes(paths: readonly string[]): string[] {
  const all = withParents(paths);
  const directories = new Set(all.filter((path) => path.endsWith('/')));
  return paths.filter((path) => !directories.has(`${path}/`));
}

test('what is packed of any tree is what BuildKit leaves of it, by any patterns', async () => {
  const trees = fc.array(somePath, { minLength: 1, maxLength: 12 }).map(withoutClashes);
  await fc.assert(
    fc.asyncProperty(
      trees,
      fc.array(somePattern, { minLength: 1, maxLength: 5 }),
      async (paths, lines) => {
        fc.pre(paths.length > 0);
        const patterns = parseIgnored(lines);
        const all = withParents(paths);
        const isLeft = (path: string) => !isIgnored(patterns, path.replace(/\/$/, ''));
        const left = withParents(all.filter(isLeft));
        expect(await pack(paths, lines)).toEqual(left.sort());
      },
    ),
    { numRuns: Number(process.env.EXCLUDE_ROUNDS ?? 150) },
  );
});
