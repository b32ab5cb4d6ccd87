import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { realNames, realSets } from '../../../scripts/lib/bench/data-sets.js';
import { readOptions } from '../../../scripts/lib/bench/options.js';
import { splitPhases } from '../../../scripts/lib/bench/phases.js';
import { median, medianItem } from '../../../scripts/lib/bench/statistics.js';
import { readTransfers } from '../../../scripts/lib/bench/transfers.js';
import { writeTree } from '../../../scripts/lib/bench/tree.js';

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

describe('caches that real tools have made', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bench-'));
  });

  afterEach(() => rm(directory, { recursive: true }));

  test('have the names by which they are made', async () => {
    const script = await readFile('scripts/lib/real-caches.sh', 'utf8');
    const [, names = ''] = /^real_caches=\(([^)]*)\)$/m.exec(script) ?? [];
    expect(names.split(/\s+/).sort()).toEqual([...realNames].sort());
    for (const name of realNames) expect(script).toContain(`\nreal_cache__${name}() {\n`);
  });

  test('are measured if they are there, and as copies', async () => {
    expect(await realSets(join(directory, 'missing'))).toEqual([]);
    await mkdir(join(directory, 'npm-cache'));
    await mkdir(join(directory, 'npm-cache.unfinished'));
    await writeFile(join(directory, 'npm-cache/file'), 'content');
    const [set, ...others] = await realSets(directory);
    expect(others).toEqual([]);
    if (set === undefined) throw new Error('no set');
    await writeTree(join(directory, 'tree'), set);
    expect(await readFile(join(directory, 'tree/file'), 'utf8')).toBe('content');
  });
});

test('what is measured on a second builder has files of its own', () => {
  process.env.BENCH_SUFFIX = '-classic';
  const { json, markdown } = readOptions(['--json', '/a/b.c.json', '--markdown', '/a/b']);
  delete process.env.BENCH_SUFFIX;
  expect([json, markdown]).toEqual(['/a/b.c-classic.json', '/a/b-classic']);
  expect(readOptions(['--json', '/a/b.json']).json).toBe('/a/b.json');
});

test('with a link, only the registry is measured', () => {
  expect(readOptions(['--link', '2.5', '--set', 'apt'])).toMatchObject({
    link: 2.5,
    sets: ['registry'],
  });
  expect(readOptions(['--set', 'apt'])).toMatchObject({ link: undefined, sets: ['apt'] });
  expect(() => readOptions(['--link', '0'])).toThrow('--link takes a number above 0');
});

test('medians', () => {
  expect(median([5, 1, 3])).toBe(3);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(medianItem(['aaa', 'a', 'aa', 'aaaa'], ({ length }) => length)).toBe('aa');
});
