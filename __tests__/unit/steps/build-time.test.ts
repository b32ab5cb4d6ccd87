import { describe, expect, test } from '@jest/globals';
import type { BuildRecord } from '../../../src/builder/build-history.js';
import { coldBuildOf } from '../../../src/steps/balance.js';
import {
  type Balance,
  type BuildTime,
  nextCold,
  selectBuilds,
  tellBalance,
  timeOf,
} from '../../../src/steps/build-time.js';

const gap = { from: 100_000, to: 200_000 };

function build(startedAt: number, endedAt: number | undefined, status = 'Completed'): BuildRecord {
  return { ref: `b/b0/${startedAt}`, name: 'x', status, startedAt, endedAt, cachedSteps: 0 };
}

describe('the builds between inject and extract', () => {
  test.each<[string, BuildRecord[], number[]]>([
    ['one', [build(110_000, 150_000)], [110_000]],
    ['several', [build(110_000, 150_000), build(120_000, 160_000)], [110_000, 120_000]],
    ['of which others are no part', [build(1, 2), build(110_000, 120_000)], [110_000]],
    ['one that had begun before', [build(99_000, 150_000)], []],
    ['one that ended too late', [build(110_000, 200_001)], []],
    ['one that still runs', [build(110_000, undefined, 'Running')], []],
    ['one of which has failed', [build(110_000, 150_000), build(151_000, 152_000, 'Error')], []],
    ['of which one had failed before', [build(1, 2, 'Error'), build(110_000, 120_000)], [110_000]],
  ])('%s', (_, builds, expected) => {
    expect(selectBuilds(builds, gap).map(({ startedAt }) => startedAt)).toEqual(expected);
  });

  test('none without a history', () => {
    expect(selectBuilds(undefined, gap)).toEqual([]);
  });

  test('take the whole span', () => {
    const builds = [build(120_000, 160_000), build(110_000, 130_500), build(161_000, 168_500)];
    expect(timeOf(builds, gap, false)).toEqual({ kind: 'build', seconds: 58.5, isCached: false });
    expect(timeOf([], gap, false)).toEqual({ kind: 'gap', seconds: 100 });
    expect(timeOf([], { from: gap.to, to: gap.from }, false)).toEqual({ kind: 'unknown' });
  });
});

const measured: BuildTime = { kind: 'build', seconds: 58.4, isCached: false };
const cached: BuildTime = { ...measured, isCached: true };
const unclear: BuildTime = { ...measured, isCached: undefined };
const between: BuildTime = { kind: 'gap', seconds: 63 };
const lastCold = { seconds: 252, date: '2026-11-20', build: 'hash' };

describe('the line on what the cache brings', () => {
  const took = 'Restoring and saving took 9.2 s.';
  const warm = { time: measured, isCold: false, lastCold, isRestored: true, isSaved: true };
  test.each<[string, Partial<Balance>, string]>([
    ['all', {}, `The build took 58 s; without the cache (2026-11-20) 4 min 12 s. ${took}`],
    ['no cold build', { lastCold: undefined }, `The build took 58 s. ${took}`],
    [
      'nothing restored, but no cold build either',
      { isRestored: false },
      'The build took 58 s. Saving took 9.2 s.',
    ],
    [
      'nothing saved',
      { isSaved: false },
      'The build took 58 s; without the cache (2026-11-20) 4 min 12 s. Restoring took 9.2 s.',
    ],
    ['nothing of both', { isRestored: false, isSaved: false }, 'The build took 58 s.'],
    [
      'a cold build',
      { isCold: true, isRestored: false },
      'The build took 58 s, without the cache. Saving took 9.2 s.',
    ],
    [
      'layer cache',
      { time: cached },
      `The build took 58 s; the layer cache spared it a RUN with a cache mount. ${took}`,
    ],
    ['layer cache not known', { time: unclear }, `The build took 58 s. ${took}`],
    [
      'no history, and a clock that was set back',
      { time: { kind: 'unknown' } },
      `How long the build took is not known, because the clock was set back. ${took}`,
    ],
    ['no history', { time: between }, `Between inject and extract there were 1 min 3 s. ${took}`],
  ])('%s', (_, differences, line) => {
    expect(tellBalance({ ...warm, stepSeconds: 9.2, ...differences })).toBe(line);
  });
});

describe('the cold build that the next entry tells of', () => {
  const own = { seconds: 58.4, date: '2026-11-27', build: 'other' };
  test.each<[string, Partial<Balance>, unknown]>([
    ['this one', { isCold: true }, own],
    ['the last one, after a warm build', {}, lastCold],
    ['none', { lastCold: undefined }, undefined],
    ['the last one, if the layer cache has answered', { isCold: true, time: cached }, lastCold],
    ['the last one, if that is not known', { isCold: true, time: unclear }, lastCold],
    ['the last one, without a history', { isCold: true, time: between }, lastCold],
  ])('%s', (_, differences, expected) => {
    const facts = { time: measured, isCold: false, lastCold, ...differences };
    expect(nextCold(facts, '2026-11-27', 'other')).toEqual(expected);
  });
});

test('the cold build of an entry is that of the same mounts, and of the same build', () => {
  const [a, b, c] = [{ id: 'a' }, { id: 'b' }, { id: 'b', namespace: 'n' }];
  const manifest = { mounts: [{ mount: a }, { mount: b }], coldBuild: lastCold };
  expect(coldBuildOf(manifest, [b, a], 'hash')).toEqual(lastCold);
  expect(coldBuildOf(manifest, [b, a], 'another')).toBeUndefined();
  expect(coldBuildOf(manifest, [a], 'hash')).toBeUndefined();
  expect(coldBuildOf(manifest, [a, c], 'hash')).toBeUndefined();
  expect(coldBuildOf({ mounts: manifest.mounts }, [a, b], 'hash')).toBeUndefined();
});
