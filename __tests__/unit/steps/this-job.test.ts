import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { openConsole } from '../../../src/console/console.js';
import { readSurroundings, type Surroundings } from '../../../src/lib/surroundings.js';
import { type InjectState, readStates, writeState } from '../../../src/steps/handover.js';
import { finishState, jobVariable, recallJob } from '../../../src/steps/this-job.js';

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
  const builder = {
    name: '',
    driver: '',
    nodes: 1,
    node: '',
    platforms: [],
    buildkit: '',
    endpoint: '',
  };
  const tools = { names: [], tarVersion: '', directories: [], obstacle: undefined };
  const filled = { mounts: [mount], builder, filledAt: 1, tools };
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
