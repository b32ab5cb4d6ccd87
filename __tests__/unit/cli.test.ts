import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type EntryJob, startEntryJob } from '../support/entry.js';

let job: EntryJob;

beforeEach(async () => {
  job = await startEntryJob();
});

afterEach(() => job.dispose());

test('extract does not go on to inject, whether or not the process ends below', async () => {
  const args = ['extract', '--directory=d', '--cache-mounts=m'];
  const result = await job.run('cli.ts', { args, before: 'process.exit = () => undefined' });
  expect(result.stdout).toContain('saved=false\n');
  expect(result.stdout).not.toContain('cache-hit=');
}, 60_000);

test('nothing of it is for the runner, even on one', async () => {
  const args = ['inject', '--directory=d', '--cache-mounts=m'];
  const result = await job.runOnGitHub('cli.ts', { args });
  expect(result).toMatchObject({ code: 0, stdout: expect.stringContaining('cache-hit=false\n') });
  expect(result.stdout + result.stderr).not.toContain('::');
  expect(await job.leftovers()).toEqual([]);
  for (const name of ['GITHUB_OUTPUT', 'GITHUB_STEP_SUMMARY']) {
    expect(await job.readFile(name)).toBe('');
  }
}, 60_000);
