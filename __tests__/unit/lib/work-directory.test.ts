import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  createWorkDirectory,
  linkFile,
  removeOlderThanADay,
  removeWorkDirectory,
} from '../../../src/lib/work-directory.js';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'work-directory-'));
});

const path = (name: string) => join(directory, name);

afterEach(() => rm(directory, { recursive: true }));

test('the directory of a step is there before anything else can happen', () => {
  const made = createWorkDirectory({
    temporaryRoot: path('not there yet'),
    systemTemporary: path('made'),
  });
  expect(dirname(made)).toBe(path('made'));
  expect(existsSync(made)).toBe(true);
});

test('the directory of a step goes, though files are still made in it', async () => {
  // As soon as one of four directories begins to go, the next one is there.
  const lines = `
mkdir -p ready/{0..3}/{1..60} && touch ready/{0..3}/{1..60}/{1..20}
mkdir made && mv ready/0 made && touch begun
for next in {1..3}; do
  until set -- made/$((next - 1))/*; [ $# -lt 60 ]; do :; done
  mv --no-target-directory ready/$next made/$next || exit
done`;
  const writer = spawn('bash', ['-c', lines], { cwd: directory, stdio: 'ignore' });
  const ended = once(writer, 'exit');
  while (!existsSync(path('begun')) && writer.exitCode === null) await setTimeout(1);
  expect(existsSync(path('begun'))).toBe(true);
  removeWorkDirectory(path('made'));
  expect(existsSync(path('made'))).toBe(false);
  await ended;
});

test('a file that is linked takes the room of one', async () => {
  await writeFile(path('a'), 'content');
  await linkFile(path('a'), path('deep/b'));
  expect((await stat(path('deep/b'))).ino).toBe((await stat(path('a'))).ino);
});

test('what has the name is replaced, and its other names keep what they had', async () => {
  await writeFile(path('new'), 'new');
  await writeFile(path('old'), 'old');
  await linkFile(path('old'), path('name'));
  await linkFile(path('new'), path('name'));
  expect(await readFile(path('name'), 'utf8')).toBe('new');
  expect(await readFile(path('old'), 'utf8')).toBe('old');
});

test('what cannot be linked is copied', async () => {
  const source = join('/dev/shm', `work-directory-${process.pid}`);
  await writeFile(source, 'content');
  try {
    expect((await stat('/dev/shm')).dev).not.toBe((await stat(directory)).dev);
    await linkFile(source, path('deep/b'));
    expect(await readFile(source, 'utf8')).toBe('content');
    expect(await readFile(path('deep/b'), 'utf8')).toBe('content');
  } finally {
    await rm(source);
  }
});

test('what is older than a day goes, if it is meant', async () => {
  const old = new Date(Date.now() - 25 * 60 * 60 * 1000);
  for (const name of ['old', 'other-old', 'new']) await mkdir(path(name));
  await writeFile(path('old/file'), '');
  for (const name of ['old', 'other-old']) await utimes(path(name), old, old);
  await removeOlderThanADay(directory, (name) => !name.startsWith('other'));
  expect((await readdir(directory)).sort()).toEqual(['new', 'other-old']);
  await removeOlderThanADay(path('nothing'));
});
