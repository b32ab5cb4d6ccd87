import { homedir, tmpdir } from 'node:os';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { readSurroundings } from '../../../src/lib/surroundings.js';

const environment = process.env;

beforeEach(() => {
  process.env = {};
});

afterEach(() => {
  process.env = environment;
});

test('on a runner of GitHub', () => {
  const env = {
    GITHUB_ACTIONS: 'true',
    GITHUB_JOB: 'build',
    GITHUB_RUN_ATTEMPT: '2',
    GITHUB_RUN_ID: '7',
    GITHUB_SHA: 'c0ffee',
    GITHUB_STEP_SUMMARY: '/summary',
    GITHUB_WORKSPACE: '/workspace',
    RUNNER_ARCH: 'X64',
    RUNNER_OS: 'Linux',
    RUNNER_TEMP: '/temp',
  };
  Object.assign(process.env, env);
  expect(readSurroundings()).toEqual({
    cwd: process.cwd(),
    env,
    isOnGitHub: true,
    workspace: '/workspace',
    temporaryRoot: '/temp',
    systemTemporary: tmpdir(),
    home: homedir(),
    summaryFile: '/summary',
    run: { os: 'Linux', architecture: 'X64', commit: 'c0ffee', attempt: '2' },
    job: '7/2/build',
  });
});

test.each([undefined, ''])('elsewhere, where the variables are %j', (value) => {
  if (value !== undefined) {
    for (const name of [
      'WORKSPACE',
      'SHA',
      'RUN_ATTEMPT',
      'RUN_ID',
      'JOB',
      'STEP_SUMMARY',
      'ACTIONS',
    ]) {
      process.env[`GITHUB_${name}`] = value;
    }
    for (const name of ['TEMP', 'OS', 'ARCH']) process.env[`RUNNER_${name}`] = value;
  }
  expect(readSurroundings()).toMatchObject({
    isOnGitHub: false,
    workspace: process.cwd(),
    temporaryRoot: tmpdir(),
    summaryFile: undefined,
    run: { os: process.platform, architecture: process.arch, commit: 'none', attempt: '1' },
    job: undefined,
  });
});

test.each(['CI_COMMIT_SHA', 'GIT_COMMIT'])('the commit may be told by %s', (name) => {
  process.env[name] = 'c0ffee';
  expect(readSurroundings().run.commit).toBe('c0ffee');
  process.env.GITHUB_SHA = 'b0b';
  expect(readSurroundings().run.commit).toBe('b0b');
});

test('they stay as they were read', () => {
  process.env.NAME = 'before';
  const surroundings = readSurroundings();
  process.env.NAME = 'after';
  expect(surroundings.env.NAME).toBe('before');
});
