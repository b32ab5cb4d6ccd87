import { expect, test } from '@jest/globals';
import type { BuilderRecord } from '../../../src/builder/records.js';
import { readSurroundings } from '../../../src/lib/surroundings.js';
import type { PackRequest } from '../../../src/steps/extract-request.js';
import { expectMounts, findMounts, type Records } from '../../../src/steps/found-mounts.js';
import { someBuilder } from '../../support/some-builder.js';

const mount = { id: 'go' };
const archive = {
  file: `${'0'.repeat(32)}.tar.zst`,
  compression: 'zstd',
  files: 1,
  bytes: 1000,
  compressedBytes: 300,
  sha256: '0'.repeat(64),
} as const;
const tools = { names: [], tarVersion: '', directories: [] };
const filled = { mounts: [mount], builder: someBuilder, filledAt: 100, snapshotId: 'token', tools };

/** Extract of a job whose inject has restored both mounts, and filled one. */
const request: PackRequest = {
  surroundings: readSurroundings(),
  key: 'k',
  mounts: [{ id: 'other' }, mount],
  builder: undefined,
  utilityImage: undefined,
  storeLocation: undefined,
  platform: undefined,
  seedStages: undefined,
  others: [],
  hint: undefined,
  leftOut: [],
  ofGaps: [],
  compressionLevel: 3,
  incremental: { count: 3, share: 0.5 },
  stream: true,
  deadline: 0,
  exclude: [],
  maxSize: undefined,
  keepsImages: false,
  state: {
    key: 'k',
    mounts: [{ id: 'other' }, mount],
    restoreKeys: [],
    restored: {
      key: 'k-1',
      mounts: [
        { mount: { id: 'other' }, archive },
        { mount, archive },
      ],
      filled,
    },
  },
};

const record = (id: string, createdAt: number | undefined): BuilderRecord => ({ id, createdAt });

test.each<[name: string, records: Records, exists: boolean, age: string]>([
  ['it was there when inject had filled it', [record('/go', 100)], true, 'as inject left it'],
  ['it was made after that', [record('/go', 101)], true, 'made since'],
  ['one of two was made after that', [record('/go', 99), record('/go', 101)], true, 'unknown'],
  ['it is not told when it was made', [record('/go', undefined)], true, 'unknown'],
  ['only others are there', [record('/other', 99)], false, 'unknown'],
  ['nothing is there', [], false, 'unknown'],
  ['the builder cannot list them', 'no answer', true, 'unknown'],
])('what is found of a mount that inject has filled, if %s', (_, records, exists, age) => {
  const found = findMounts(request, records)[1];
  expect(found).toMatchObject({ index: 1, mount, exists, age });
  const changes = age === 'as inject left it' ? { bytes: 500, snapshotId: 'token' } : undefined;
  expect(found?.allowance.changes).toEqual(changes);
});

test('of what inject has not filled, the age is unknown', () => {
  const found = findMounts(request, [record('/other', 99)])[0];
  expect(found).toMatchObject({ exists: true, age: 'unknown' });
  expect(found?.allowance.whyInFull).toBe('inject has not filled it');
});

test('what is expected is what is found if nothing has happened', () => {
  const alone = { ...request, mounts: [mount] };
  expect(expectMounts(alone)).toEqual(findMounts(alone, [record('/go', 50)]));
});
