import { mkdir, readdir, utimes } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
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
});

test('nothing of it is for the runner, even on one', async () => {
  const args = ['inject', '--directory=d', '--cache-mounts=m'];
  const result = await job.runOnGitHub('cli.ts', { args });
  expect(result).toMatchObject({ code: 0, stdout: expect.stringContaining('cache-hit=false\n') });
  expect(result.stdout + result.stderr).not.toContain('::');
  expect(await job.leftovers()).toEqual([]);
  for (const name of ['GITHUB_OUTPUT', 'GITHUB_STEP_SUMMARY']) {
    expect(await job.readFile(name)).toBe('');
  }
});

test('each output is printed once', async () => {
  const args = ['inject', '--directory=d', '--cache-mounts=m', '--key=k'];
  const injected = await job.run('cli.ts', { args });
  expect(injected.stdout).toBe(
    'cache-hit=false\nrestored-count=0\nrestored-bytes=0\ncache-primary-key=k\n',
  );
  const extracted = await job.run('cli.ts', { args: ['extract', '--directory=d'] });
  expect(extracted.stdout).toMatch(/^saved=false\nsaved-bytes=0\nreason=.*\n$/);
});

test('a generated key is new in each run if a registry keeps the archives', async () => {
  const keyOf = async (place: string, env = {}) => {
    const args = ['inject', place, '--cache-mounts=m'];
    const { stdout } = await job.run('cli.ts', { args, env });
    return /^cache-primary-key=(.*)$/m.exec(stdout)?.[1];
  };
  const registry = '--registry=127.0.0.1:1/app:mounts';
  expect(await keyOf(registry)).toMatch(/-none-\w+$/);
  expect(await keyOf(registry)).not.toBe(await keyOf(registry));
  expect(await keyOf('--directory=d')).toMatch(/-none-1$/);
  const commit = { CI_COMMIT_SHA: 'a'.repeat(40) };
  expect(await keyOf(registry, commit)).toMatch(/-a{12}-1$/);
});

const temporaryNames = async () =>
  (await readdir(job.directory)).filter((name) => name.startsWith('buildkit-cache-mounts'));

test('what inject leaves goes with extract, or if that never comes after a day', async () => {
  const options = ['--cache-mounts=m'];
  await job.run('cli.ts', { args: ['inject', '--directory=a', ...options] });
  const [left = '', ...others] = await temporaryNames();
  expect(others).toEqual([]);
  const dayAgo = new Date(Date.now() - 25 * 60 * 60 * 1000);
  await utimes(join(job.directory, left), dayAgo, dayAgo);
  const otherUsers = join(job.directory, `buildkit-cache-mounts-${userInfo().uid + 1}-0`);
  await mkdir(otherUsers);
  await utimes(otherUsers, dayAgo, dayAgo);
  await job.run('cli.ts', { args: ['inject', '--directory=b', ...options] });
  expect(await temporaryNames()).toHaveLength(2);
  expect(await temporaryNames()).not.toContain(left);
  await job.run('cli.ts', { args: ['extract', '--directory=b'] });
  expect(await temporaryNames()).toEqual([`buildkit-cache-mounts-${userInfo().uid + 1}-0`]);
});

test('the messages speak of options', async () => {
  const none = await job.run('cli.ts', { args: ['inject', '--directory=d'] });
  expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining('no Dockerfile') });
  expect(none.stderr).toContain('say where it is in the options --file or --context');
  expect(none.stderr).toContain('the option --cache-mounts');
  expect(none.stderr).not.toMatch(/actions\/checkout|input/);
  const args = ['inject', '--directory=d', '--timeout=no'];
  expect((await job.run('cli.ts', { args })).stderr).toContain(
    'error: Option --timeout: "no" is no',
  );
});

test('an option that is empty is as if it had not been given', async () => {
  await job.run('cli.ts', { args: ['inject', '--directory=d', '--cache-mounts=m'] });
  expect(await temporaryNames()).toHaveLength(1);
  await job.run('cli.ts', { args: ['extract', '--directory=d', '--registry='] });
  expect(await temporaryNames()).toEqual([]);
});
