import { describe, expect, test } from '@jest/globals';
import { splitPhases } from '../../../scripts/lib/bench/phases.js';
import { median, medianItem } from '../../../scripts/lib/bench/statistics.js';
import { readTransfers } from '../../../scripts/lib/bench/transfers.js';

describe('splitPhases', () => {
  const lines = [
    [1, '::group::Cache mounts (1)'],
    [1, '::endgroup::'],
    [1, '::group::Look up the key'],
    [2, '::endgroup::'],
    [4, '::group::Builder'],
    [4, '::endgroup::'],
    [4, '::group::Pack out of the builder'],
    [5, '::debug::docker buildx build --builder=default'],
    [7, '#0 building with "default" instance using docker driver'],
    [8, '#1 [context files] load from client'],
    [10, '#1 transferring files: 3.26MB done'],
    [10, '#2 [work 2/2] RUN --mount=type=cache,target=/mounts/0'],
    [15, '#2 4.9 tar: a word'],
    [16, '#2 DONE 6.0s'],
    [18, '#3 exporting to client directory'],
    [20, '#3 copying files 4.20MB done'],
    [20.5, '::endgroup::'],
    [22, 'packed  m  1 file'],
    [22, '::group::Save to the cache'],
    [25, '::debug::File Size: 4200000'],
    [29, '::endgroup::'],
  ] as const;
  const split = splitPhases(
    lines.map(([seconds, text]) => ({ seconds, text })),
    30,
  );

  test('gives each phase its time', () => {
    expect(Object.fromEntries(split)).toEqual({
      start: 1,
      'look up the key': 1,
      'ask the builder': 2,
      'prepare the build': 1,
      'build: rest': 2.5,
      'build: send': 3,
      'build: run': 6,
      'build: receive': 4,
      digest: 1.5,
      'save: pack': 3,
      'save: upload': 4,
      end: 1,
    });
  });

  test('adds up to the whole', () => {
    expect([...split.values()].reduce((sum, seconds) => sum + seconds, 0)).toBeCloseTo(30);
  });
});

test('a build that is started early only waits, until it is run', () => {
  const lines = [
    [1, '::group::Restore from the cache'],
    [2, '::debug::docker buildx build --builder=default'],
    [4, '::endgroup::'],
    [5, '::group::Unpack into the builder'],
    [7, '#0 building with "default" instance using docker driver'],
    [8, '#1 [context files] load from client'],
    [9, '::endgroup::'],
  ] as const;
  const split = splitPhases(
    lines.map(([seconds, text]) => ({ seconds, text })),
    10,
  );
  expect(Object.fromEntries(split)).toEqual({
    start: 1,
    'restore: download': 3,
    'check the archives': 1,
    'prepare the build': 2,
    'build: send': 1,
    'build: rest': 1,
    end: 1,
  });
});

test('readTransfers takes the last amount of each transfer', () => {
  const log = [
    '#1 transferring dockerfile: 624B done',
    '#5 transferring files: 1.50MB',
    '#5 transferring files: 3.26MB 0.0s done',
    '#6 transferring files: 446B done',
    '#10 0.1 transferring nonsense: 7GB',
    '#11 copying files 12.5kB',
    '#11 copying files 4.20MB 0.1s done',
  ].join('\n');
  expect(readTransfers(log)).toEqual({ toBuilder: 3_261_070, fromBuilder: 4_200_000 });
});

test('medians', () => {
  expect(median([5, 1, 3])).toBe(3);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(medianItem(['aaa', 'a', 'aa', 'aaaa'], ({ length }) => length)).toBe('aa');
});
