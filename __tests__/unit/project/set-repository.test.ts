import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');

/** A repository of its own, with a file of each kind that the script meets. */
let directory: string;

const files: Readonly<Record<string, string>> = {
  'package.json': '{\n  "name": "x",\n  "repository": "github:OWNER/REPO",\n  "private": true\n}\n',
  'README.md': [
    ...['# x', '', 'What it is.', '', 'In the examples, `OWNER/REPO` stands for this repository.'],
    ...['', '- uses: OWNER/REPO/inject@v1', '- uses: OWNER/REPO@v1', ''],
  ].join('\n'),
  'docs/other.md': 'git clone https://github.com/OWNER/REPO.git # OWNER/REPO\n',
  '.github/ISSUE_TEMPLATE/config.yml': 'url: https://github.com/OWNER/REPO/security\n',
  'docs/none.md': 'Nothing.\n',
  'dist/index.js': '// OWNER/REPO\n',
  '__tests__/x.test.ts': '// OWNER/REPO\n',
};

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'repository-'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
  mkdirSync(join(directory, 'scripts'));
  cpSync(join(root, 'scripts/set-repository'), join(directory, 'scripts/set-repository'));
  execFileSync('git', ['init', '--quiet'], { cwd: directory });
  execFileSync('git', ['add', '.'], { cwd: directory });
  writeFileSync(join(directory, 'notes.txt'), 'OWNER/REPO, and git does not track it\n');
});

afterEach(() => rmSync(directory, { recursive: true }));

function setRepository(...args: string[]) {
  const script = join(directory, 'scripts/set-repository');
  // It finds the repository by itself, wherever it is started.
  const { status, stdout, stderr } = spawnSync(script, args, { cwd: tmpdir(), encoding: 'utf8' });
  return { status, stdout, stderr };
}

function readAll(): Record<string, string> {
  const names = [...Object.keys(files), 'notes.txt', 'scripts/set-repository'];
  return Object.fromEntries(
    names.map((name) => [name, readFileSync(join(directory, name), 'utf8')]),
  );
}

test('names the repository in all files that users see, and in package.json', () => {
  const before = readAll();
  expect(setRepository('octo-org/cache.mounts_1')).toMatchObject({ status: 0, stderr: '' });
  expect(readAll()).toEqual({
    ...before,
    'package.json':
      '{\n  "name": "x",\n  "repository": "github:octo-org/cache.mounts_1",\n  "private": true\n}\n',
    'README.md': [
      ...['# x', '', 'What it is.', ''],
      ...['- uses: octo-org/cache.mounts_1/inject@v1', '- uses: octo-org/cache.mounts_1@v1', ''],
    ].join('\n'),
    'docs/other.md':
      'git clone https://github.com/octo-org/cache.mounts_1.git # octo-org/cache.mounts_1\n',
    '.github/ISSUE_TEMPLATE/config.yml':
      'url: https://github.com/octo-org/cache.mounts_1/security\n',
  });
});

test('changes nothing when it is run again', () => {
  setRepository('octo-org/cache-mounts');
  const before = readAll();
  expect(setRepository('octo-org/cache-mounts')).toMatchObject({
    status: 0,
    stdout: 'All files name octo-org/cache-mounts already.\n',
  });
  expect(readAll()).toEqual(before);
});

test('names it in a document that was added since', () => {
  setRepository('octo-org/cache-mounts');
  writeFileSync(join(directory, 'docs/none.md'), '- uses: OWNER/REPO@v1\n');
  expect(setRepository('octo-org/cache-mounts').status).toBe(0);
  expect(readAll()['docs/none.md']).toBe('- uses: octo-org/cache-mounts@v1\n');
});

test('does not mix two names', () => {
  setRepository('octo-org/cache-mounts');
  const before = readAll();
  expect(setRepository('octo-org/other')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('name the repository octo-org/cache-mounts already'),
  });
  expect(readAll()).toEqual(before);
});

test('the check names each line that is left, until there is none', () => {
  const { status, stderr } = setRepository('--check');
  expect(status).toBe(1);
  expect(stderr.split('\n')).toEqual([
    expect.stringMatching(/^\.github\/ISSUE_TEMPLATE\/config\.yml:1:/),
    expect.stringMatching(/^README\.md:5:/),
    expect.stringMatching(/^README\.md:7:/),
    expect.stringMatching(/^README\.md:8:/),
    expect.stringMatching(/^docs\/other\.md:1:/),
    expect.stringMatching(/^package\.json:3:/),
    expect.stringContaining('Run scripts/set-repository'),
    '',
  ]);
  setRepository('octo-org/cache-mounts');
  expect(setRepository('--check')).toEqual({ status: 0, stdout: '', stderr: '' });
});

test.each([
  ...[
    '',
    'name',
    'a/b/c',
    'OWNER/REPO',
    'https://github.com/a/b',
    'a/b.git',
    'a/..',
    '-a/b',
    'a-/b',
  ],
  ...['a b/c', 'a/b c', 'a|b/c', 'a/&', 'a/b\nc', '--help', `${'a'.repeat(40)}/b`],
])('takes no name such as %j', (name) => {
  const before = readAll();
  const { status, stderr } = setRepository(name);
  expect([status, stderr]).toEqual([2, expect.stringContaining('usage: ')]);
  expect(readAll()).toEqual(before);
});

test('takes one argument', () => {
  expect(setRepository().status).toBe(2);
  expect(setRepository('a/b', 'c/d').status).toBe(2);
});

test('this repository has its name in package.json and the README, or the placeholder in both', () => {
  const { repository } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  expect(repository).toMatch(/^github:[\w.-]+\/[\w.-]+$/);
  const name = repository.slice('github:'.length);
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  expect(readme).toContain(`- uses: ${name}/inject@v1\n`);
  // The script takes this very line away.
  const sentence = '\n\nIn the examples, `OWNER/REPO` stands for this repository.\n\n';
  expect(readme.includes(sentence)).toBe(name === 'OWNER/REPO');
});
