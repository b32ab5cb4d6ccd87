import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { openConsole } from '../../../src/console/console.js';
import { readSurroundings, type Surroundings } from '../../../src/lib/surroundings.js';
import { type InjectState, readStates, writeState } from '../../../src/steps/handover.js';
import {
  findOwn,
  finishState,
  isOwn,
  jobVariable,
  recallJob,
} from '../../../src/steps/this-job.js';
import { someBuilder } from '../../support/some-builder.js';

const now = 2_000_000;
let surroundings: Surroundings;

beforeEach(async () => {
  jest.spyOn(Date, 'now').mockReturnValue(now);
  const temporaryRoot = await mkdtemp(join(tmpdir(), 'this-job-'));
  surroundings = { ...readSurroundings(), isOnGitHub: false, job: '1/1/build', temporaryRoot };
  openConsole(surroundings);
});
afterEach(async () => {
  jest.restoreAllMocks();
  await rm(surroundings.temporaryRoot, { recursive: true });
});

const of = (job: string | undefined, variable?: string): Surroundings => ({
  ...surroundings,
  job,
  env: variable === undefined ? {} : { [jobVariable]: variable },
});
const state = (jobBegan: number | undefined): InjectState => ({
  ...{ key: 'k', job: '1/1/build', jobBegan, mounts: [], restoreKeys: [] },
});

const tools = { names: [], tarVersion: '', directories: [], obstacle: undefined };
const first = { began: now, filled: undefined };

test.each<
  [
    name: string,
    job: string | undefined,
    variable: string | undefined,
    states: InjectState[],
    told: unknown,
  ]
>([
  ['nothing', 'j', undefined, [], first],
  ['a state', 'j', undefined, [state(7)], { began: 7, filled: new Set() }],
  ['two states', 'j', undefined, [state(9), state(8)], { began: 8, filled: new Set() }],
  ['the variable', 'j', '1.5 abc def', [], { began: 1500, filled: new Set(['abc', 'def']) }],
  ['both', 'j', '1.5 abc', [state(2000)], { began: 1500, filled: new Set(['abc']) }],
  ['a variable of something else', 'j', 'yes', [], first],
  ['an empty variable', 'j', '', [], first],
  // It may be of an earlier job.
  ['a state off GitHub', undefined, undefined, [state(7)], first],
  [
    'the variable off GitHub',
    undefined,
    '1700000000',
    [state(7)],
    { began: 1.7e12, filled: new Set() },
  ],
])('of the job, this tells: %s', (_, job, variable, states, told) => {
  expect(recallJob(of(job, variable), states)).toEqual(told);
});

test('what an extract leaves tells a later inject which mounts were filled', async () => {
  const mount = { id: 'm' };
  const filled = { mounts: [mount], builder: someBuilder, filledAt: 1, tools };
  const filling = { ...state(1234), restored: { key: 'k', mounts: [], filled } };
  const byState = recallJob(surroundings, [filling]);
  expect(byState).toEqual({ began: 1234, filled: expect.objectContaining({ size: 1 }) });
  await writeState(surroundings, filling);
  const commands: string[] = [];
  jest.spyOn(process.stdout, 'write').mockImplementation((text) => commands.push(String(text)) > 0);
  openConsole({ ...surroundings, isOnGitHub: true });
  const before = process.env;
  // Without a file for it, the variable goes to standard output.
  process.env = { ...before, GITHUB_ENV: '' };
  try {
    await finishState(of('1/1/build', '5 abc'), filling);
  } finally {
    process.env = before;
  }
  const value = /^::set-env name=BUILDKIT_CACHE_MOUNTS_JOB::(.*)$/m.exec(commands.join(''))?.[1];
  expect(value).toBe(`1.234 abc ${[...(byState.filled ?? [])].join(' ')}`);
  expect(await readStates(surroundings)).toEqual([]);
  expect(recallJob(of('1/1/build', value), [])).toEqual({
    began: 1234,
    filled: new Set(['abc', ...(byState.filled ?? [])]),
  });
});

describe('of the mounts that hold files, those of this job are found', () => {
  const began = Date.UTC(2026, 0, 1);
  const filled = { mounts: [{ id: 'filled' }], builder: someBuilder, filledAt: 1, tools };
  const job = () => {
    const restored = { key: 'k', mounts: [], filled };
    return recallJob(surroundings, [{ ...state(began), restored }]);
  };
  const records = [
    ...[began - 1, began + 1].map((createdAt) => ({ id: '/twice', createdAt })),
    { id: '/made', createdAt: began + 1 },
    { id: '/old', createdAt: began - 1 },
    { id: '/filled', createdAt: began - 1 },
    { id: '/unknown', createdAt: undefined },
  ];

  test.each([
    ['made', true],
    ['old', false],
    ['filled', true],
    ['unknown', false],
    ['absent', false],
    ['twice', false],
  ])('%s: %p', (id, expected) => {
    expect(isOwn(job(), { id }, records)).toBe(expected);
    expect(isOwn({ began: 0, filled: undefined }, { id }, records)).toBe(false);
  });

  test('by what inject has filled alone, if the builder does not list them', async () => {
    const told: string[] = [];
    jest.spyOn(process.stderr, 'write').mockImplementation((text) => told.push(String(text)) > 0);
    const mounts = ['made', 'filled'].map((id, index) => ({ index, mount: { id } }));
    const request = { job: job(), surroundings };
    expect(await findOwn(request, { ...someBuilder, nodes: 2 }, { name: 'b' }, mounts)).toEqual(
      new Set([1]),
    );
    expect(told.join('')).toBe(
      'The cache mounts of the builder cannot be listed (it has 2 nodes, whose mounts are listed as one). So it is not known whether files in made are of this job, and they are left alone.\n',
    );
  });
});
