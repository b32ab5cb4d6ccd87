import { expect, test } from '@jest/globals';
import { execute } from '../../support/silence.js';

test('a command that says nothing for too long is killed, and named', async () => {
  const command = ['-c', 'echo started; exec sleep 600'];
  await expect(execute('sh', command, {}, 300)).rejects.toThrow(
    'Killed, as it said nothing for 300 ms: sh -c echo started; exec sleep 600',
  );
});

test('one that says something now and then may take longer', async () => {
  const script = 'for i in 1 2 3 4 5 6 7 8 9 10 11; do echo $i; sleep 0.2; done; echo done >&2';
  const { stdout, stderr } = await execute('sh', ['-c', script], {}, 2000);
  expect(stdout).toMatch(/^1\n[\s\S]*11\n$/);
  expect(stderr).toBe('done\n');
});

test('one that fails fails as it did', async () => {
  const failure = execute('sh', ['-c', 'echo why >&2; exit 7'], {});
  await expect(failure).rejects.toMatchObject({ code: 7, stderr: 'why\n' });
});
