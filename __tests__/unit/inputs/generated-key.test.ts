import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { hashFiles, makeDefaultKey } from '../../../src/inputs/generated-key.js';

let workspace: string;

beforeEach(async () => {
  workspace = await mkdtemp(join(tmpdir(), 'default-key-'));
  await write('Dockerfile', 'FROM scratch');
  await write('app/go.sum', 'one');
});

afterEach(() => rm(workspace, { recursive: true }));

async function write(path: string, text: string): Promise<void> {
  const file = join(workspace, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

const hash = () => hashFiles([join(workspace, 'Dockerfile')], workspace, workspace);

test('a key falls back by dropping its parts from the right', () => {
  const run = { prefix: 'p', os: 'Linux', architecture: 'X64', commit: 'c0ffee', attempt: '2' };
  expect(makeDefaultKey(run, 'abc')).toEqual({
    key: 'p-Linux-X64-abc-c0ffee-2',
    restoreKeys: ['p-Linux-X64-abc-c0ffee-', 'p-Linux-X64-abc-', 'p-Linux-X64-'],
  });
});

test.each([
  ['the Dockerfile', 'Dockerfile', 'FROM other'],
  ['a lock file', 'app/go.sum', 'two'],
  ['a lock file that is new', 'deep/er/package-lock.json', '{}'],
])('the hash changes with %s', async (_, path, text) => {
  const before = await hash();
  expect(before).toMatch(/^[0-9a-f]{16}$/);
  await write(path, text);
  expect(await hash()).not.toBe(before);
});

test.each(['main.go', 'node_modules/x/package-lock.json', '.git/go.sum', 'vendor/go.sum'])(
  'the hash does not change with %s',
  async (path) => {
    const before = await hash();
    await write(path, 'text');
    await symlink('/etc', join(workspace, 'link'));
    expect(await hash()).toBe(before);
  },
);

test('the hash changes with the place of a file, not with that of the workspace', async () => {
  const before = await hash();
  const other = await mkdtemp(join(tmpdir(), 'default-key-'));
  await mkdir(join(other, 'app'));
  await writeFile(join(other, 'Dockerfile'), 'FROM scratch');
  await writeFile(join(other, 'app', 'go.sum'), 'one');
  expect(await hashFiles([join(other, 'Dockerfile')], other, other)).toBe(before);
  await rm(other, { recursive: true });
  await rm(join(workspace, 'app'), { recursive: true });
  await write('app2/go.sum', 'one');
  expect(await hash()).not.toBe(before);
});

test('without any file there is a hash, too', async () => {
  expect(await hashFiles([join(workspace, 'none')], join(workspace, 'none'), workspace)).toMatch(
    /^[0-9a-f]{16}$/,
  );
});
