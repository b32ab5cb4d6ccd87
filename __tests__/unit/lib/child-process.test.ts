import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect, test } from '@jest/globals';
import { runProgram, startProgram } from '../../../src/lib/child-process.js';
import { readSurroundings } from '../../../src/lib/surroundings.js';

const surroundings = {
  ...readSurroundings(),
  cwd: '/',
  env: { PATH: process.env.PATH ?? '', NAME: 'value' },
};

/** Long enough not to end by itself; short enough that what is left of it does not hold up the tests. */
const never = ['-c', 'exec sleep 5'];

test('a program runs in the surroundings that it is given', async () => {
  const script = 'pwd; echo "$NAME,$HOME" >&2; exit 3';
  expect(await runProgram(surroundings, 'sh', ['-c', script])).toEqual({
    exitCode: 3,
    stdout: '/\n',
    stderr: 'value,\n',
  });
  const started = startProgram(surroundings, 'sh', ['-c', 'pwd; env'], {
    cwd: '/tmp',
    env: { NAME: undefined, OTHER: 'x' },
  });
  const said = await text(started.stdout);
  expect(said).toMatch(/^\/tmp\n/);
  expect(said).toMatch(/^OTHER=x$/m);
  expect(said).not.toContain('NAME=');
});

test('one that is not there is an error', async () => {
  await expect(runProgram(surroundings, 'no-such-program', [])).rejects.toThrow('no-such-program');
});

test('one that takes too long is not waited for', async () => {
  await expect(runProgram(surroundings, 'sh', never, { timeout: 100 })).rejects.toThrow(
    'no answer within 0.1 seconds',
  );
  const started = startProgram(surroundings, 'sh', never, { timeout: 100 });
  expect(await once(started, 'exit')).toEqual([null, 'SIGTERM']);
});

test('one that is not wanted any more is not waited for', async () => {
  const reason = new Error('not wanted');
  const before = runProgram(surroundings, 'sh', never, { signal: AbortSignal.abort(reason) });
  await expect(before).rejects.toBe(reason);
  const controller = new AbortController();
  const meanwhile = runProgram(surroundings, 'sh', never, { signal: controller.signal });
  const started = startProgram(surroundings, 'sh', never, { signal: controller.signal });
  const failure = once(started, 'error');
  controller.abort(reason);
  await expect(meanwhile).rejects.toBe(reason);
  expect(await failure).toEqual([expect.objectContaining({ name: 'AbortError' })]);
});
