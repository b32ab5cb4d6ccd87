import { mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  planFile,
  startStraight,
  writeEmptyPlans,
} from '../../../../src/builder/stream/straight-build.js';

let work: string;

beforeEach(async () => {
  work = await mkdtemp(join(tmpdir(), 'straight-build-'));
});

afterEach(() => rm(work, { recursive: true }));

const text = (index: number) => readFile(join(work, planFile(index)), 'utf8');

test('the plans can be read by nobody else, and tell of the listener', async () => {
  await writeEmptyPlans(work, [0]);
  const straight = await startStraight(work, ['127.0.0.1'], [0], 'packed', Date.now() + 60_000);
  expect((await stat(join(work, planFile(0)))).mode & 0o777).toBe(0o600);
  expect(await text(0)).toMatch(/^endpoint 127\.0\.0\.1 \d+$/m);
  await straight.close();
});

test('a plan leaves time to put the mounts in order, before the step gives up', async () => {
  await writeEmptyPlans(work, [0]);
  const before = Date.now();
  const straight = await startStraight(work, ['127.0.0.1'], [0], 'packed', before + 1_000_000);
  const [, until] = /^until (\d+)$/m.exec(await text(0)) ?? [];
  const allowed = Number(until) * 1000 - before;
  expect(allowed).toBeGreaterThanOrEqual(899_000);
  expect(allowed).toBeLessThan(1_000_000);
  await straight.close();
});

test('if a plan cannot be written, nothing is listened at, and no plan tells of it', async () => {
  await writeEmptyPlans(work, [0]);
  await mkdir(join(work, planFile(1)));
  const before = process.getActiveResourcesInfo().filter((each) => each === 'TCPServerWrap').length;
  await expect(startStraight(work, ['127.0.0.1'], [0, 1], 'packed', Date.now())).rejects.toThrow(
    'EISDIR',
  );
  const after = process.getActiveResourcesInfo().filter((each) => each === 'TCPServerWrap').length;
  expect(after).toBe(before);
  expect(await text(0)).toBe('');
  expect(await readdir(join(work, 'received'))).toEqual([]);
});
