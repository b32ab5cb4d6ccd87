import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  countOfMadeKeys,
  hashFiles,
  hashMounts,
  hashNames,
  type Keys,
  makeDefaultKey,
  resolveKeys,
} from '../../../src/inputs/generated-key.js';
import { keyedBuildOf } from '../../../src/inputs/keyed-build.js';
import { readSurroundings } from '../../../src/lib/surroundings.js';
import type { CacheMount } from '../../../src/mounts/cache-mount.js';
import { noMountInputs } from '../../support/no-mount-inputs.js';

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

const hashed = () => hashFiles([join(workspace, 'Dockerfile')], [workspace], workspace);
const hash = async () => (await hashed()).hash;

test('a key falls back by dropping its parts from the right', () => {
  const commit = '0123456789abcdef0123456789abcdef01234567';
  const run = { prefix: 'p', os: 'Linux', architecture: 'X64', commit, attempt: '2' };
  const of: string[] = [];
  const hashes = {
    build: { hash: 'b', of },
    mounts: { hash: 'm', of },
    files: { hash: 'f', of },
  };
  const made = makeDefaultKey(run, hashes);
  expect(made).toEqual({
    key: 'p-Linux-X64-b-m-f-0123456789ab-2',
    restoreKeys: [
      'p-Linux-X64-b-m-f-0123456789ab-',
      'p-Linux-X64-b-m-f-',
      'p-Linux-X64-b-m-',
      'p-Linux-X64-b-',
    ],
  });
  expect([made.key, ...made.restoreKeys]).toHaveLength(countOfMadeKeys);
});

/** The key of a build of the workspace, of which some is told. */
async function keysOf(
  inputs: Partial<typeof noMountInputs> = {},
  mounts: readonly CacheMount[] = [{ id: 'a' }],
): Promise<Keys> {
  const run = { os: 'Linux', architecture: 'X64', commit: 'c'.repeat(40), attempt: '1' };
  return resolveKeys(
    { key: undefined, keyPrefix: 'p', restoreKeys: ['mine-'] },
    keyedBuildOf({ ...noMountInputs, ...inputs }, workspace),
    { keyedMounts: mounts, gaps: [] },
    { ...readSurroundings(), workspace, run },
  );
}

/** The restore keys, by their place, that find an entry. */
function finders({ restoreKeys }: Keys, entry: Keys): number[] {
  return restoreKeys.flatMap((start, place) => (entry.key.startsWith(start) ? place : []));
}

test('a key that was given stays, and nothing is hashed', async () => {
  const given = { key: 'k', keyPrefix: 'p', restoreKeys: ['r-'] };
  const build = keyedBuildOf(noMountInputs, workspace);
  expect(
    await resolveKeys(given, build, { keyedMounts: [], gaps: [] }, readSurroundings()),
  ).toEqual({
    key: 'k',
    restoreKeys: ['r-'],
    hashes: undefined,
  });
});

test('what was given to fall back to comes last', async () => {
  expect((await keysOf()).restoreKeys.slice(4)).toEqual(['mine-']);
});

test.each<[what: string, change: () => unknown, inputs: object, mounts: string[], found: number[]]>(
  [
    ['nothing', () => undefined, {}, ['a'], [0, 1, 2, 3]],
    ['a lock file', () => write('app/go.sum', 'two'), {}, ['a'], [2, 3]],
    ['the text of the Dockerfile', () => write('Dockerfile', 'FROM other'), {}, ['a'], [2, 3]],
    ['a mount that is added', () => write('Dockerfile', 'FROM other'), {}, ['a', 'b'], [3]],
    [
      'a build argument',
      () => undefined,
      { buildArgs: new Map([['A', '1']]) },
      ['a'],
      [0, 1, 2, 3],
    ],
    ['the context', () => undefined, { context: 'app' }, ['a'], []],
    ['the Dockerfile', () => undefined, { files: ['other/Dockerfile'] }, ['a'], []],
    ['the target', () => undefined, { targets: ['test'] }, ['a'], []],
    ['the platforms', () => undefined, { platforms: ['linux/riscv64'] }, ['a'], []],
  ],
)('with another state of %s, an entry is found as far as it is of use', async (...row) => {
  const [, change, inputs, ids, found] = row;
  const before = await keysOf();
  await change();
  const after = await keysOf(
    inputs,
    ids.map((id) => ({ id })),
  );
  expect(finders(after, before)).toEqual(found);
});

test('no two of three targets on two platforms share an entry', async () => {
  const jobs = ['api', 'web', 'cli'].flatMap((target) =>
    ['linux/amd64', 'linux/arm64'].map((platform) => ({
      targets: [target],
      platforms: [platform],
    })),
  );
  const keys = await Promise.all(jobs.map((job) => keysOf(job)));
  for (const [index, each] of keys.entries()) {
    const found = keys.flatMap((other, place) => (finders(each, other).length > 0 ? place : []));
    expect(found).toEqual([index]);
  }
});

test('entries with a key of the older form, which may be of any build, are not found', async () => {
  const { restoreKeys } = await keysOf();
  const older = `p-Linux-X64-${await hash()}-${'c'.repeat(40)}-1`;
  expect(restoreKeys.filter((start) => older.startsWith(start))).toEqual([]);
});

test('mounts are hashed in any order, by all that tells them apart', () => {
  const a = { id: 'a' };
  const b = { id: 'b', from: 'image' };
  const hashOf = (...keyedMounts: CacheMount[]) => hashMounts({ keyedMounts, gaps: [] });
  const both = hashOf(a, b);
  expect(both.of).toEqual(['a', 'b (from=image)']);
  expect(hashOf(b, a).hash).toBe(both.hash);
  const others: CacheMount[][] = [[], [a], [a, { id: 'b' }], [a, { id: 'b', from: 'other' }]];
  const hashes = [both, ...others.map((each) => hashOf(...each))].map((each) => each.hash);
  expect(new Set(hashes).size).toBe(hashes.length);
});

test('a gap is hashed by what the Dockerfile says of it', () => {
  const gap = { image: 'golang', id: '$GOPATH/pkg/mod' };
  const keyedMounts = [{ id: 'a' }];
  const hashed = hashMounts({ keyedMounts, gaps: [gap] });
  expect(hashed.of).toEqual(['a', '$GOPATH/pkg/mod']);
  const others = [[], [{ ...gap, image: 'rust' }], [{ ...gap, id: '$GOPATH/pkg' }]];
  for (const gaps of others) expect(hashMounts({ keyedMounts, gaps }).hash).not.toBe(hashed.hash);
});

test('names are hashed in any order, and one without values is as if it was not there', () => {
  const names = hashNames({ target: ['t'], context: ['.'] });
  expect(names.of).toEqual(['context .', 'target t']);
  expect(hashNames({ context: ['.'], bake: [], target: ['t'] })).toEqual(names);
  expect(hashNames({ context: ['.'], target: ['t', 'u'] }).hash).not.toBe(names.hash);
  expect(hashNames({ context: ['.'], target: ['t, u'] }).hash).not.toBe(
    hashNames({ context: ['.'], target: ['t', 'u'] }).hash,
  );
});

test('it is told which files were hashed: those that are there', async () => {
  const files = [join(workspace, 'Dockerfile'), join(workspace, 'none')];
  const { of } = await hashFiles(files, [workspace, join(workspace, 'app')], workspace);
  expect(of).toEqual(['Dockerfile', 'app/go.sum']);
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
  const elsewhere = await hashFiles([join(other, 'Dockerfile')], [other], other);
  expect(elsewhere.hash).toBe(before);
  await rm(other, { recursive: true });
  await rm(join(workspace, 'app'), { recursive: true });
  await write('app2/go.sum', 'one');
  expect(await hash()).not.toBe(before);
});

test('without any file there is a hash, too', async () => {
  const none = join(workspace, 'none');
  expect(await hashFiles([none], [none], workspace)).toEqual({
    hash: expect.stringMatching(/^[0-9a-f]{16}$/),
    of: [],
  });
});

test('the hash changes with a text that is no file, in no order', async () => {
  const of = async (...texts: string[]) => (await hashFiles([], [], workspace, texts)).hash;
  expect(await of('FROM b', 'FROM a')).toBe(await of('FROM a', 'FROM b'));
  const hashes = [await of(), await of('FROM a'), await of('FROM a', 'FROM b'), await of('FROM c')];
  expect(new Set(hashes).size).toBe(hashes.length);
});
