import { describe, expect, test } from '@jest/globals';
import type { Archive, SavedMount } from '../../../src/entry/manifest.js';
import { judgeSize, roomForChanges, tellOfNewBeginning } from '../../../src/steps/mount-size.js';

const MB = 1_000_000;

function archive(megabytes: number): Archive {
  const file = `${'0'.repeat(32)}.tar.zst`;
  const size = { files: 1, bytes: megabytes * MB, compressedBytes: 1 };
  return { file, compression: 'zstd', ...size, sha256: '0'.repeat(64) };
}

/** A mount with an archive of all of it and some deltas, in megabytes. */
function mount([full, ...deltas]: readonly number[], sizes: readonly number[] = []): SavedMount {
  if (full === undefined) return { mount: { id: 'go' } };
  const megabytes = sizes.map((each) => each * MB);
  return {
    mount: { id: 'go' },
    archive: archive(full),
    ...(deltas.length > 0 && { deltas: deltas.map(archive) }),
    ...(sizes.length > 0 && { sizes: megabytes }),
  };
}

type Row = [
  name: string,
  now: readonly number[],
  before: SavedMount | undefined,
  maxSize: number | undefined,
  sizes: readonly number[],
  exceeds: boolean,
  messages: readonly string[],
];

const eleven = [400, 410, 420, 430, 440, 450, 460, 470, 480, 490, 500];

describe('the size of a mount that is saved', () => {
  test.each<Row>([
    ['at first', [400], undefined, undefined, [400], false, []],
    ['at first, and too large', [400], undefined, 399, [400], true, ['notice more than max-size']],
    ['just as large as it may be', [400], undefined, 400, [400], false, []],
    ['the same', [400], mount([400], [400]), undefined, [400, 400], false, []],
    [
      'a little more',
      [420],
      mount([400], [400]),
      undefined,
      [400, 420],
      false,
      ['log has 420 MB; it had 400 MB 1 save ago'],
    ],
    [
      'with changes',
      [400, 15, 5],
      mount([400, 15], [400, 415]),
      undefined,
      [400, 415, 420],
      false,
      ['log has 420 MB; it had 400 MB 2 saves ago'],
    ],
    [
      'after many saves',
      [1200],
      mount([1100], eleven),
      undefined,
      [...eleven.slice(1), 1200],
      false,
      ['log has 1.2 GB; it had 410 MB 10 saves ago'],
    ],
    [
      'doubled',
      [800],
      mount([400], [400]),
      undefined,
      [400, 800],
      false,
      ['log has 800 MB', 'warning doubled since .* has 800 MB, and had 400 MB.* max-size'],
    ],
    [
      'doubled with changes',
      [400, 400],
      mount([400], [400]),
      undefined,
      [400, 800],
      false,
      ['log has 800 MB', 'warning doubled'],
    ],
    ['almost doubled', [799], mount([400], [400]), undefined, [400, 799], false, ['log has 799']],
    ['doubled, with a limit', [800], mount([400], [400]), 900, [400, 800], false, ['log has 800']],
    ['doubled, but small', [99], mount([10], [10]), undefined, [10, 99], false, ['log has 99']],
    [
      'doubled, and too large',
      [800],
      mount([400], [400]),
      700,
      [400, 800],
      true,
      ['log has 800 MB', 'notice 800 MB, which is more than max-size \\(700 MB\\).*begins it anew'],
    ],
    ['by an entry that knows no sizes', [420], mount([400]), undefined, [420], false, []],
  ])('%s', (_, now, before, maxSize, sizes, exceeds, messages) => {
    const limit = maxSize && maxSize * MB;
    const judged = judgeSize(mount(now), before, limit);
    expect(judged.sizes.map((each) => each / MB)).toEqual(sizes);
    expect(judged.exceeds).toBe(exceeds ? limit : undefined);
    const told = judged.messages.map(({ level, text }) => `${level} ${text}`);
    expect(told).toEqual(
      messages.map((each) =>
        expect.stringMatching(new RegExp(`^${each.replace(' ', ' The cache mount go .*')}`)),
      ),
    );
  });
});

test.each<[string, readonly number[], number | undefined, number | undefined]>([
  ['without a limit', [400], undefined, Number.POSITIVE_INFINITY],
  ['up to the limit', [400, 20], 500, 80],
  ['none', [400, 100], 500, 0],
  ['none if all of it is too large', [600], 500, 0],
  ['unclear if all parts together are too large', [400, 101], 500, undefined],
])('the room for changes is %s', (_, sizes, maxSize, expected) => {
  const room = roomForChanges(mount(sizes), maxSize && maxSize * MB);
  expect(room === undefined || !Number.isFinite(room) ? room : room / MB).toBe(expected);
});

test('what is said of a mount that is begun anew', () => {
  const saved = { ...mount([2300]), exceeds: 2000 * MB };
  const start =
    'The cache mount go is begun anew, because it had 2.3 GB when it was saved, which is more than max-size (2.0 GB). The build fills it with what it uses, and that is saved in full';
  expect(tellOfNewBeginning(saved, true)).toBe(`${start}.`);
  expect(tellOfNewBeginning(saved, false)).toMatch(/ as soon as the key is another one: /);
});
