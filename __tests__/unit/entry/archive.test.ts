import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  findDamage,
  nameArchive,
  readManifest,
  selectArchives,
  storeArchive,
  writeManifest,
} from '../../../src/entry/archive.js';
import type { Archive } from '../../../src/entry/manifest.js';
import type { CacheMount } from '../../../src/mounts/cache-mount.js';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'archive-'));
});

afterEach(() => rm(directory, { recursive: true }));

const content = 'what was packed';
const archive: Archive = {
  file: '00000000000000000000000000000000.tar.zst',
  compression: 'zstd',
  files: 1,
  bytes: 10240,
  compressedBytes: content.length,
  sha256: createHash('sha256').update(content).digest('hex'),
};

describe('selectArchives', () => {
  const go: CacheMount = { id: 'go' };
  const npm: CacheMount = { id: 'npm' };
  const ownership = { uid: 0, gid: 0, mode: 0o755 };
  const second: Archive = { ...archive, file: '00000000000000000000000000000001.tar.zst' };

  test('finds each mount’s archive by identity, in the order of the list', () => {
    const saved = [
      { mount: go, archive, deltas: [second] },
      { mount: npm, archive: second },
    ];
    expect(selectArchives([npm, go], { mounts: saved })).toEqual({
      toUnpack: [
        { index: 0, mount: npm, archives: [second], isPartial: false },
        { index: 1, mount: go, archives: [archive, second], isPartial: false },
      ],
      tooLarge: [],
      unsaved: [],
      unnamed: [],
    });
  });

  test('tells what is new, what was empty, and what is no longer named', () => {
    const saved = [
      { mount: go, archive },
      { mount: npm },
      { mount: { id: 'old' }, archive: second },
    ];
    expect(selectArchives([{ id: 'new' }, go, npm], { mounts: saved })).toEqual({
      toUnpack: [{ index: 1, mount: go, archives: [archive], isPartial: false }],
      tooLarge: [],
      unsaved: [{ id: 'new' }, npm],
      unnamed: [{ id: 'old' }],
    });
  });

  test.each<[one: CacheMount, other: CacheMount]>([
    [go, { ...go, ownership }],
    [
      { ...go, ownership },
      { ...go, ownership: { ...ownership, uid: 1 } },
    ],
    [go, { ...go, from: 'alpine' }],
    [
      { ...go, from: 'alpine' },
      { ...go, from: 'alpine', source: '/x' },
    ],
    [go, { id: 'go/' }],
  ])('never puts the archive of %j into %j', (one, other) => {
    expect(selectArchives([other], { mounts: [{ mount: one, archive }] })).toEqual({
      toUnpack: [],
      tooLarge: [],
      unsaved: [other],
      unnamed: [one],
    });
  });
});

describe('findDamage', () => {
  test.each<[name: string, file: string | undefined, damage: string | undefined]>([
    ['none', content, undefined],
    ['a missing file', undefined, 'its archive is missing'],
    ['an empty file', '', 'its archive has 0 bytes instead of 15'],
    ['a shorter file', content.slice(1), 'its archive has 14 bytes instead of 15'],
    ['a longer file', `${content}!`, 'its archive has 16 bytes instead of 15'],
    ['other content', content.replace('w', 'W'), 'its archive is damaged (checksum)'],
  ])('%s', async (_, file, damage) => {
    if (file !== undefined) await writeFile(join(directory, archive.file), file);
    expect(await findDamage(directory, archive)).toBe(damage);
  });
});

test('an archive that stays in the builder has no checksum, and no file is taken for it', async () => {
  const { sha256: _, file: __, compressedBytes, ...unmeasured } = archive;
  const contents = { ...unmeasured, compressedBytes };
  const named = nameArchive(contents);
  expect(named).toEqual({ ...contents, file: expect.any(String), sha256: 'none' });
  expect(() => nameArchive(unmeasured)).toThrow('does not say');
  await writeManifest(directory, { mounts: [{ mount: { id: 'go' }, archive: named }] });
  expect((await readManifest(directory)).mounts[0]?.archive).toEqual(named);
  await writeFile(join(directory, named.file), content);
  expect(await findDamage(directory, named)).toBe('its archive is damaged (checksum)');
});

test('an archive goes from the build into an entry', async () => {
  const path = (name: string) => join(directory, name);
  await mkdir(path('built'));
  await writeFile(path('built/00000000000000000000000000000003.tar.gz'), content);

  const facts = { compression: 'gzip', files: 1, bytes: 10240 } as const;
  const stored = await storeArchive(
    path('built/00000000000000000000000000000003.tar.gz'),
    facts,
    path('entry'),
  );
  const file = expect.stringMatching(/^[0-9a-f]{32}\.tar\.gz$/);
  expect(stored).toEqual({ ...archive, file, compression: 'gzip' });
  const mounts = [
    { mount: { id: 'go' }, archive: { ...archive, entryKey: 'k' }, deltas: [stored] },
    { mount: { id: 'empty' } },
  ];
  const coldBuild = { seconds: 252.4, date: '2026-11-20', build: 'b' };
  await writeManifest(path('entry'), { mounts, coldBuild });

  expect(await readManifest(path('entry'))).toEqual({ mounts, coldBuild });
  expect(await findDamage(path('entry'), stored)).toBeUndefined();
  expect(await readdir(path('built'))).toEqual([]);
});

test('an entry without a manifest cannot be read', async () => {
  await expect(readManifest(directory)).rejects.toThrow('ENOENT');
});
