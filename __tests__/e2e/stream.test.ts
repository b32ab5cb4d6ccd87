/**
 * Archives go straight between a builder on this machine and a step. The log says which way they
 * took, and why. Whichever way that is, the mounts come back as they were.
 */
import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  builderKind,
  prepareBuilder,
  type TestBuilder,
  useRunnersNetwork,
} from '../support/engine.js';
import { type Jobs, pathWith, pathWithout, useScenario } from '../support/scenario.js';

const scenario = useScenario();
const isStraight = builderKind() === 'container';
const describeStraight = isStraight ? describe : describe.skip;
const testOther = isStraight ? test.skip : test;
const fill = 'for i in 1 2 3; do dd if=/dev/urandom of=/c/$i bs=1M count=2; done 2>/dev/null';
const digests = 'cd /c; sha256sum * >/out/result';

/** A round trip with a delta: two entries are saved, and the second is restored. */
async function roundTrip(
  inputs: Record<string, string>,
  env: Record<string, string> = {},
  jobs: Jobs = scenario,
  builder = scenario.builder,
) {
  const logs: string[] = [];
  const step = async (action: 'inject' | 'extract', key: string, expected: object) => {
    const restoreKeys = action === 'inject' ? { 'restore-keys': 'k-' } : {};
    const all = { 'cache-mounts': 'm', ...restoreKeys, key, ...inputs };
    const result = await job.runAction(action, all, { env });
    expect(result).toMatchObject({ exitCode: 0, annotations: [], outputs: expected });
    logs.push(result.log);
  };
  await builder.run({ id: 'm' }, fill);
  let job = await jobs.newJob();
  await step('extract', 'k-1', { saved: 'true' });
  await builder.empty();
  job = await jobs.newJob();
  await step('inject', 'k-2', { 'cache-hit': 'false' });
  await builder.run({ id: 'm' }, 'echo more >/c/more');
  const before = await builder.run({ id: 'm' }, digests);
  await step('extract', 'k-2', { saved: 'true' });
  await builder.empty();
  job = await jobs.newJob();
  await step('inject', 'k-2', { 'cache-hit': 'true' });
  expect(await builder.run({ id: 'm' }, digests)).toBe(before);
  return logs;
}

const straight = [
  '1 archive came straight from the builder.',
  'The archives of 1 mount went straight to the builder.',
  '1 archive came straight from the builder.',
  'The archives of 1 mount went straight to the builder.',
];

/** How often a step has removed what it and inject have left on the builder. */
function countPrunes(log: string | undefined): number | undefined {
  return log?.match(/^::debug::docker buildx prune /gm)?.length;
}

test('with stream: false, they go through buildx, and the copies that inject leaves are removed', async () => {
  const logs = await roundTrip({ stream: 'false' });
  expect(countPrunes(logs[2])).toBe(2);
  const told = 'The archives go through buildx: the input stream is false.';
  expect(logs).toEqual(logs.map(() => expect.stringContaining(told)));
  for (const log of logs) expect(log).not.toContain('straight');
});

/** The programs that inject has copied for the builder, and leaves for extract. */
async function injectedTools(inputs: Record<string, string>): Promise<string[]> {
  await scenario.builder.run({ id: 'm' }, fill);
  const all = { 'cache-mounts': 'm', key: 'k', ...inputs };
  await (await scenario.newJob()).runAction('extract', all);
  await scenario.builder.empty();
  const job = await scenario.newJob();
  await job.runAction('inject', all);
  const files = await readdir(job.runnerTemp, { recursive: true });
  return files.filter((file) => file.includes('/tools/bin/')).map((file) => basename(file));
}

test('what it takes to go straight is copied only if something may', async () => {
  const [off, on] = [await injectedTools({ stream: 'false' }), await injectedTools({})];
  expect(off).toContain('tar');
  expect(off).not.toContain('bash');
  expect(on.includes('bash')).toBe(isStraight);
});

testOther('with the driver docker, they go through buildx', async () => {
  const logs = await roundTrip({});
  const told = 'The archives go through buildx: the driver of the builder is docker.';
  expect(logs).toEqual(logs.map(() => expect.stringContaining(told)));
});

describeStraight('with the driver docker-container', () => {
  test('stream: false of inject counts for its extract', async () => {
    const job = await scenario.newJob();
    const inputs = { 'cache-mounts': 'm', key: 'k' };
    await job.runAction('inject', { ...inputs, stream: 'false' });
    await scenario.builder.run({ id: 'm' }, fill);
    const { outputs, log } = await job.runAction('extract', inputs);
    expect(outputs).toMatchObject({ saved: 'true' });
    expect(log).toContain('The archives go through buildx: the input stream of inject is false.');
  });

  test('archives and deltas go straight', async () => {
    const logs = await roundTrip({});
    expect(logs).toEqual(straight.map((text) => expect.stringContaining(text)));
    for (const log of logs) expect(log).not.toContain('through buildx');
    // Inject leaves no copies of archives, and its programs are not sent again.
    const [alone, , afterInject] = logs;
    expect(countPrunes(afterInject)).toBe(1);
    const programs = /transferring buildkit-cache-mounts: [\d.]+MB/;
    expect(alone).toMatch(programs);
    expect(afterInject).not.toMatch(programs);
  });

  test('without bash, they go through buildx, and extract does not try again', async () => {
    const PATH = await pathWithout(scenario.directory, 'bash');
    const logs = await roundTrip({}, { PATH });
    const [first, second, third, fourth] = logs;
    const why =
      'go through buildx: bash, sha256sum, or GNU head, tee or timeout is missing in the builder';
    for (const log of [first, second, fourth]) expect(log).toContain(why);
    expect(third).toContain('through buildx: inject could not send them straight either');
  });

  test('if a builder has no network to give, the build runs once more, and extract does not try', async () => {
    const PATH = await pathWith(
      scenario.directory,
      'docker',
      `
    case "$*" in
      *' build '*--network=none*) ;;
      *' build '*) cat >/dev/null; echo 'ERROR: no network to give' >&2; exit 1 ;;
    esac
    PATH=\${PATH#*:}; exec docker "$@"`,
    );
    const logs = await roundTrip({}, { PATH });
    const again =
      'The build is run once more, without a network: docker buildx build failed: no network';
    const [first, second, third, fourth] = logs;
    for (const log of [first, second, fourth]) expect(log).toContain(again);
    expect(third).toContain('through buildx: inject could not send them straight either');
    for (const log of logs) expect(log).not.toContain('straight from');
  });

  describe('on a builder in the network of the runner', () => {
    let disposeBuilder: () => Promise<void>;
    let builder: TestBuilder;
    beforeAll(async () => {
      disposeBuilder = await useRunnersNetwork();
      builder = await prepareBuilder();
    });
    afterAll(async () => {
      await builder.dispose();
      await disposeBuilder();
    });

    test('archives go straight over the loopback', async () => {
      const { BUILDX_BUILDER = '' } = process.env;
      const env = BUILDX_BUILDER === '' ? {} : { BUILDX_BUILDER };
      const logs = await roundTrip({}, {}, scenario.on({ env, builder }), builder);
      expect(logs).toEqual(straight.map((text) => expect.stringContaining(text)));
    });
  });
});
