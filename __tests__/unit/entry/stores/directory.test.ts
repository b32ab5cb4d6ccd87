import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { readManifest } from '../../../../src/entry/archive.js';
import { type Compression, renderManifest } from '../../../../src/entry/manifest.js';
import {
  findInDirectory,
  restoreFromDirectory,
  saveToDirectory,
} from '../../../../src/entry/stores/directory.js';

let root: string;
let directory: string;
let archives: number;

beforeEach(async () => {
  archives = 0;
  root = await mkdtemp(join(tmpdir(), 'directory-store-'));
  directory = join(root, 'store', 'deep');
});

afterEach(() => rm(root, { recursive: true }));

const coldBuild = { seconds: 1, date: '2026-11-20', build: 'b' };

/** An entry as extract leaves it: two mounts with an archive, one without; no two have the same name. */
async function makeEntry(content: string, compression: Compression = 'zstd'): Promise<string> {
  const entry = await mkdtemp(join(root, 'entry-'));
  const extension = compression === 'zstd' ? 'tar.zst' : 'tar.gz';
  const facts = { compression, files: 1, bytes: 1, compressedBytes: 1, sha256: '0'.repeat(64) };
  const nameNext = () => `${String(archives++).padStart(32, '0')}.${extension}`;
  const [first, second] = [nameNext(), nameNext()];
  await writeFile(join(entry, first), `${content}0`);
  await writeFile(join(entry, second), `${content}2`);
  const manifest = {
    coldBuild,
    mounts: [
      { mount: { id: 'a' }, archive: { ...facts, file: first } },
      { mount: { id: 'b' } },
      { mount: { id: 'c' }, archive: { ...facts, file: second } },
    ],
  };
  await writeFile(join(entry, 'manifest.json'), renderManifest(manifest));
  return entry;
}

/** What comes back, by the id of the mount. */
async function restored(): Promise<Record<string, string>> {
  const entry = join(root, 'restored');
  await restoreFromDirectory(directory, entry);
  const { mounts } = await readManifest(entry);
  const contents = mounts.map(async ({ mount, archive }) => [
    mount.id,
    archive ? await readFile(join(entry, archive.file), 'utf8').catch(() => 'missing') : 'absent',
  ]);
  const result = Object.fromEntries(await Promise.all(contents));
  await rm(entry, { recursive: true });
  return result;
}

test('a directory that is not there, or empty, holds nothing', async () => {
  expect(await findInDirectory(directory)).toBeUndefined();
  await mkdir(directory, { recursive: true });
  expect(await findInDirectory(directory)).toBeUndefined();
});

test('a directory holds what was saved last, whole, and nothing else of ours', async () => {
  expect(await saveToDirectory(directory, await makeEntry('one'), 'k-1')).toEqual({ saved: true });
  expect(await findInDirectory(directory)).toBe('k-1');
  expect(await restored()).toEqual({ a: 'one0', b: 'absent', c: 'one2' });
  await writeFile(join(directory, 'README'), 'not ours');

  await saveToDirectory(directory, await makeEntry('two', 'gzip'), 'k-2');
  expect(await findInDirectory(directory)).toBe('k-2');
  expect(await restored()).toEqual({ a: 'two0', b: 'absent', c: 'two2' });
  expect((await readdir(directory)).sort()).toEqual([
    '00000000000000000000000000000002.tar.gz',
    '00000000000000000000000000000003.tar.gz',
    'README',
    'manifest.json',
  ]);
});

test('a save that was killed leaves what was there, and is cleared by the next', async () => {
  await saveToDirectory(directory, await makeEntry('one'), 'k-1');
  await writeFile(join(directory, '00000000000000000000000000000099.tar.zst'), 'half');
  await writeFile(join(directory, 'manifest.json.new'), '{');
  expect(await restored()).toEqual({ a: 'one0', b: 'absent', c: 'one2' });
  await saveToDirectory(directory, await makeEntry('two'), 'k-2');
  expect(await restored()).toEqual({ a: 'two0', b: 'absent', c: 'two2' });
  expect(await readdir(directory)).toHaveLength(3);
});

test('an archive that is missing is no reason to leave the others', async () => {
  await saveToDirectory(directory, await makeEntry('one'), 'k-1');
  await rm(join(directory, `${'0'.repeat(32)}.tar.zst`));
  expect(await restored()).toEqual({ a: 'missing', b: 'absent', c: 'one2' });
});

test('what is damaged is found, but cannot be restored', async () => {
  await saveToDirectory(directory, await makeEntry('one'), 'k-1');
  await writeFile(join(directory, 'manifest.json'), '{');
  expect(await findInDirectory(directory)).toBe('unknown');
  await expect(restoreFromDirectory(directory, join(root, 'entry'))).rejects.toThrow(
    /^\/.*\/manifest\.json cannot be used, and the next extract replaces it: .*JSON/,
  );
});
