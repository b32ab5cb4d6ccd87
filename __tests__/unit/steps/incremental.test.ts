import { expect, test } from '@jest/globals';
import type { Archive, SavedMount } from '../../../src/entry/manifest.js';
import type { FilledMounts, InjectState } from '../../../src/steps/handover.js';
import { describeNothingNew, describeSize, findAllowance } from '../../../src/steps/incremental.js';
import { someBuilder } from '../../support/some-builder.js';

const mount = { id: 'go' };
const full: Archive = {
  file: '00000000000000000000000000000000.tar.zst',
  compression: 'zstd',
  files: 1,
  bytes: 1000,
  compressedBytes: 300,
  sha256: '0'.repeat(64),
};

/** The state of a job whose inject has filled the mount, from deltas of these sizes. */
function stateWith(sizes: readonly number[], others: Partial<FilledMounts> = {}): InjectState {
  const deltas = sizes.map((bytes) => ({ ...full, bytes }));
  const mounts = [
    { mount: { id: 'other' }, archive: full },
    { mount, archive: full, deltas },
  ];
  return {
    key: 'k',
    mounts: [mount],
    restoreKeys: [],
    restored: { key: 'k-1', mounts, filled: { ...filled, ...others } },
  };
}

const tools = { names: [], tarVersion: '', directories: [] };
const filled = { mounts: [mount], builder: someBuilder, filledAt: 1, snapshotId: 'token', tools };

const limits = { count: 3, share: 0.5 };

test.each<[name: string, state: InjectState | undefined, count: number, allowance: unknown]>([
  ['after a full save', stateWith([]), 3, [500, undefined]],
  ['after some changes', stateWith([100, 50]), 3, [350, undefined]],
  [
    'after as many saves as may be',
    stateWith([1, 1, 1]),
    3,
    [0, 'its changes were saved 3 times in a row'],
  ],
  ['after changes as large as may be', stateWith([200, 300]), 3, [0, undefined]],
  ['after larger ones', stateWith([200, 301]), 3, [0, undefined]],
  ['where none may be saved', stateWith([]), 0, [undefined, undefined]],
  [
    'without a snapshot',
    stateWith([], { snapshotId: undefined }),
    3,
    [undefined, 'inject has taken no snapshot of it'],
  ],
  [
    'of a mount that was restored but not filled',
    stateWith([], { mounts: [] }),
    3,
    [undefined, 'inject has not filled it'],
  ],
  [
    'of a mount to which inject has added',
    stateWith([], { mounts: [], added: [mount] }),
    3,
    [undefined, 'it also holds what other builds of this job have left there'],
  ],
  [
    'of a mount that was not restored',
    { ...stateWith([]), restored: { key: 'k-1', mounts: [], filled } },
    3,
    [undefined, undefined],
  ],
  [
    'where nothing was restored',
    { ...stateWith([]), restored: undefined },
    3,
    [undefined, undefined],
  ],
  ['without an inject', undefined, 3, [undefined, undefined]],
])('changes %s', (_, state, count, allowance) => {
  const found = findAllowance(
    { state, incremental: { ...limits, count }, maxSize: undefined },
    mount,
    true,
  );
  if (found.changes) expect(found.changes.snapshotId).toBe('token');
  const { changes, whyInFull } = found;
  expect([changes?.bytes, whyInFull]).toEqual(allowance);
});

test('changes of what may be another mount are not saved', () => {
  expect(
    findAllowance({ state: stateWith([]), incremental: limits, maxSize: undefined }, mount, false),
  ).toEqual({
    whyInFull: 'the builder does not tell that it is the one that inject has filled',
  });
});

test.each<
  [
    name: string,
    saved: Partial<SavedMount>,
    exclude: string | undefined,
    maxSize: number | undefined,
    allowance: unknown,
  ]
>([
  ['the same files are excluded', { exclude: 'a' }, 'a', undefined, [500, undefined]],
  [
    'other files were excluded',
    { exclude: 'a' },
    'b',
    undefined,
    [undefined, 'other files of it are excluded now'],
  ],
  ['nothing was excluded', {}, 'b', undefined, [undefined, 'other files of it are excluded now']],
  [
    'nothing is excluded any more',
    { exclude: 'a' },
    undefined,
    undefined,
    [undefined, 'other files of it are excluded now'],
  ],
  ['there is room for changes', {}, undefined, 1600, [500, undefined]],
  ['there is room for few changes', {}, undefined, 1300, [300, undefined]],
  ['it is too large', {}, undefined, 900, [0, undefined]],
  [
    'it may be too large',
    { deltas: [full] },
    undefined,
    1900,
    [undefined, 'it may have more than max-size'],
  ],
  ['it was begun anew', { exceeds: 900 }, undefined, 900, [undefined, 'inject has begun it anew']],
])('changes if %s', (_, saved, exclude, maxSize, allowance) => {
  const restored = { key: 'k-1', mounts: [{ mount, archive: full, ...saved }], filled };
  const facts = { state: { ...stateWith([]), restored }, incremental: limits, maxSize };
  const { changes, whyInFull } = findAllowance(facts, mount, true, exclude);
  expect([changes?.bytes, whyInFull]).toEqual(allowance);
});

const base = { ...full, entryKey: 'k-0', compressedBytes: 186e6 };
const delta = { ...full, compressedBytes: 5.9e6 };
test.each<[name: string, saved: SavedMount[], size: string]>([
  ['in full', [{ mount, archive: delta }, { mount }], '5.9 MB'],
  [
    'changes',
    [{ mount, archive: base, deltas: [{ ...base, compressedBytes: 1e6 }, delta] }, { mount }],
    '5.9 MB of 193 MB (incremental, 2 of at most 3)',
  ],
  [
    'changes of one and all of another',
    [
      { mount, archive: delta },
      { mount, archive: base, deltas: [delta] },
    ],
    '11.8 MB of 198 MB (incremental, 1 of at most 3)',
  ],
  ['nothing new', [{ mount, archive: base }], '0 bytes of 186 MB (incremental)'],
])('an entry of %s says so', (_, saved, size) => {
  expect(describeSize(saved, limits)).toBe(size);
});

test('of an entry without anything new, what stays is said', () => {
  const other = { ...full, entryKey: 'k-1' };
  expect(describeNothingNew([{ mount, archive: other, deltas: [other] }, { mount }])).toBe(
    'Nothing changed: 600 bytes stay as saved',
  );
  expect(describeNothingNew([{ mount, archive: other, deltas: [full] }])).toBeUndefined();
  expect(describeNothingNew([{ mount }])).toBeUndefined();
});
