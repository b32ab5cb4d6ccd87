/** What is missing around a step: an engine, its answers, the cache service, the time to end. */
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { expectNothingLeft, warned } from '../support/expectations.js';
import { leftovers, pathWith, pathWithout, useScenario } from '../support/scenario.js';

const scenario = useScenario();
const inputs = { 'cache-mounts': 'm', key: 'k' };
const fill = 'echo 1 >/c/file';

describe('without an engine that answers', () => {
  test.each([
    [
      'no docker at all',
      async () => ({ PATH: await pathWithout(scenario.directory, 'docker') }),
      /Docker is not installed/,
    ],
    [
      'no buildx',
      async () => ({
        PATH: await pathWith(
          scenario.directory,
          'docker',
          'echo "docker: unknown command: docker buildx" >&2; exit 1',
        ),
      }),
      /unknown command: docker buildx\. Put docker\/setup-buildx-action before/,
    ],
    [
      'an engine that is down',
      // (A docker-container builder has its engine's address of its own.)
      async () => ({ DOCKER_HOST: `unix://${scenario.directory}/none.sock`, BUILDX_BUILDER: '' }),
      /Docker does not answer/,
    ],
  ])('%s: both steps warn, and the build goes on', async (_, environment, words) => {
    await scenario.builder.run({ id: 'm' }, fill);
    await scenario.save('m', 'k');
    const env = await environment();
    const job = await scenario.newJob();
    const injected = await job.runAction('inject', inputs, { env });
    expect(injected).toMatchObject({ ...warned(words), outputs: { 'cache-hit': 'false' } });
    const extracted = await job.runAction('extract', { ...inputs, key: 'other' }, { env });
    expect(extracted).toMatchObject({ ...warned(words), outputs: { saved: 'false' } });
    // Whatever its key, extract belongs to the only inject of the job.
    expect(await leftovers(job)).toEqual([]);
    const strict = { ...inputs, 'fail-on-cache-miss': 'true' };
    expect((await job.runAction('inject', strict, { env })).exitCode).toBe(1);
  });

  test('an engine that accepts and never answers does not hang the job', async () => {
    const socket = join(scenario.directory, 'silent.sock');
    const server = createServer().listen(socket);
    const env = { DOCKER_HOST: `unix://${socket}`, BUILDX_BUILDER: '' };
    const result = await scenario.runAction('extract', inputs, { env });
    server.close();
    expect(result).toMatchObject(warned(/Docker does not answer/));
  });
});

test('a builder that is gone at extract is a warning with the remedy', async () => {
  const job = await scenario.newJob();
  const result = await job.runAction('extract', { ...inputs, builder: 'gone' });
  expect(result).toMatchObject(warned(/no builder "gone"/));
});

test('a utility image that cannot be had is a warning', async () => {
  await scenario.builder.run({ id: 'm' }, fill);
  const env = { PATH: await pathWithout(scenario.directory, 'grep') };
  const withImage = { ...inputs, 'utility-image': 'localhost:1/no/such:image' };
  const result = await scenario.runAction('extract', withImage, { env });
  expect(result).toMatchObject(warned(/docker buildx build failed: .*localhost:1/));
  expect(result.log).toMatch(/^That was Docker \d+\S*, buildx \d+\S*\.$/m);
});

test('without a cache service both steps warn, and the build goes on', async () => {
  await scenario.builder.run({ id: 'm' }, fill);
  const job = await scenario.newJob({
    env: { ACTIONS_RESULTS_URL: '', ACTIONS_RUNTIME_TOKEN: '' },
  });
  const injected = await job.runAction('inject', inputs);
  expect(injected).toMatchObject({ exitCode: 0, outputs: { 'cache-hit': 'false' } });
  const extracted = await job.runAction('extract', {});
  expect(extracted).toMatchObject({ exitCode: 0, outputs: { saved: 'false' } });
  expect(extracted.annotations.map(({ level }) => level)).not.toContain('error');
  expect(await leftovers(job)).toEqual([]);
});

describe('a cancelled job', () => {
  test.each([
    ['extract', 'SIGINT', 130, /Pack out of the builder/],
    ['extract', 'SIGTERM', 143, /Save to the cache/],
    ['inject', 'SIGINT', 130, /Unpack into the builder/],
    ['inject', 'SIGTERM', 143, /Restore from the cache/],
  ] as const)('in %s (%s) leaves no file and no process', async (action, signal, code, log) => {
    await scenario.builder.run(
      { id: 'm' },
      'dd if=/dev/urandom of=/c/big bs=1M count=200 2>/dev/null',
    );
    if (action === 'inject') await scenario.save('m', 'k');
    await scenario.builder.run({ id: 'other' }, fill);
    const job = await scenario.newJob();
    const mounts = action === 'inject' ? 'm' : 'm\nother';
    const result = await job.runAction(
      action,
      { 'cache-mounts': mounts, key: 'k' },
      { signalAfter: { log, ms: 50, signal } },
    );
    expect(result).toMatchObject({ exitCode: code });
    await expectNothingLeft(job);
    // The next run finds nothing in its way.
    if (action === 'extract') await scenario.save(mounts, 'k');
    else expect((await scenario.injectAnew(inputs)).outputs['cache-hit']).toBe('true');
  });
});
