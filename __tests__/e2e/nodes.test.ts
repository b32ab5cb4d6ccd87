/**
 * Builders of two nodes, each with cache mounts of its own: one has told buildx that it is arm64, which is as
 * good as true to buildx.
 */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { docker, listFiles, prepareBuilder, type TestBuilder } from '../support/engine.js';
import { warned } from '../support/expectations.js';
import { type OwnBuildkit, startOwnBuildkit } from '../support/own-buildkit.js';
import { type Jobs, useScenario } from '../support/scenario.js';
import { describeWithOwnBuildkit } from '../support/where-possible.js';

const scenario = useScenario();
const withOwnBuildkit = describeWithOwnBuildkit();

const arm = ['--platform=linux/arm64'] as const;
const amd = ['--platform=linux/amd64'] as const;
const name = 'two-nodes';
/** So much that what a build adds is little. */
const large = 'dd if=/dev/urandom of=/c/own bs=1k count=300 2>/dev/null';
const listNames = 'cd /c; find . -type f >/out/result';

withOwnBuildkit.each([
  ['arm64, then amd64', [arm, amd]],
  ['amd64, then arm64', [amd, arm]],
] as const)('a builder with the nodes %s', (_, [first, second]) => {
  let nodes: OwnBuildkit[];
  let builder: TestBuilder;
  let jobs: Jobs;

  beforeEach(async () => {
    nodes = [];
    for (const _ of [first, second]) nodes.push(await startOwnBuildkit());
    const [one, other] = nodes.map(({ endpoint }) => endpoint);
    const create = ['buildx', 'create', '--name', name, '--driver', 'remote'];
    await docker([...create, ...first, one ?? '']);
    await docker([...create, '--append', ...second, other ?? '']);
    const env = { BUILDX_BUILDER: name };
    builder = await prepareBuilder(env);
    jobs = scenario.on({ env, builder });
  });
  afterEach(async () => {
    try {
      await docker(['buildx', 'rm', name]);
      await builder.dispose();
    } finally {
      // While one of them runs, the tests do not end.
      await Promise.all(nodes.map((node) => node.dispose()));
    }
  });

  test.each([
    ['no platform', '', [], second, 'two-nodes0'],
    ['the platform of the first', platformOf(first), first, second, 'two-nodes0'],
    ['the platform of the second', platformOf(second), second, first, 'two-nodes1'],
  ] as const)(
    'for a build for %s, the mounts are those of its node',
    async (_, platforms, own, other, node) => {
      const inputs = { 'cache-mounts': 'm', platforms, key: 'k-1', 'restore-keys': 'k-' };
      const { key, ...rest } = inputs;
      const inputsOfExtract = { 'cache-mounts': 'm', platforms, key };
      const before = await builder.run({ id: 'm' }, `${large}${listFiles}`, own);
      await builder.run({ id: 'm' }, 'echo 2 >/c/other', other);
      const isNode = [{ level: 'warning', message: expect.stringContaining(`used (${node})`) }];
      expect(await jobs.runAction('extract', inputsOfExtract)).toMatchObject({
        outputs: { saved: 'true' },
        annotations: isNode,
      });

      await builder.empty();
      await builder.run({ id: 'm' }, 'echo 3 >/c/other', other);
      const job = await jobs.newJob();
      const hit = await job.runAction('inject', { ...rest, key: 'k-2' });
      expect(hit).toMatchObject({
        outputs: { 'cache-matched-key': 'k-1' },
        annotations: isNode,
      });
      expect(hit.log).toMatch(/^restored +m /m);
      expect(await builder.run({ id: 'm' }, listFiles, own)).toBe(before);
      expect(await builder.run({ id: 'm' }, listNames, other)).toBe('./other\n');

      // Both nodes have the mount, and that of the other was made before inject.
      const after = await builder.run({ id: 'm' }, `echo 4 >/c/more${listFiles}`, own);
      const saved = await job.runAction('extract', {});
      expect(saved).toMatchObject({ outputs: { saved: 'true' }, annotations: isNode });
      expect(saved.log).toMatch(/^changes packed .* m /m);
      await jobs.injectAnew({ ...inputsOfExtract, key: 'k-2' });
      expect(await builder.run({ id: 'm' }, listFiles, own)).toBe(after);
      expect(await builder.run({ id: 'm' }, listNames, other)).toBe('');
    },
    180_000,
  );

  test('a mount that only the other node has is absent', async () => {
    await builder.run({ id: 'm' }, 'echo 1 >/c/file', second);
    const inputs = { 'cache-mounts': 'm', platforms: platformOf(first), key: 'k' };
    const result = await jobs.runAction('extract', inputs);
    expect(result).toMatchObject({ exitCode: 0, outputs: { saved: 'false' } });
    expect(result.log).toMatch(/^absent +m/m);
  });

  test('a node that does not answer is no obstacle on the other', async () => {
    const inputs = { 'cache-mounts': 'm', platforms: platformOf(first), key: 'k' };
    const before = await builder.run({ id: 'm' }, `echo 1 >/c/file${listFiles}`, first);
    await nodes[1]?.dispose();
    expect(await jobs.runAction('extract', inputs)).toMatchObject({ outputs: { saved: 'true' } });
    // Nobody can empty it while one of its nodes does not answer.
    await builder.run({ id: 'm' }, 'rm /c/file', first);
    const hit = await jobs.runAction('inject', inputs);
    expect(hit).toMatchObject({ outputs: { 'cache-hit': 'true' } });
    expect(await builder.run({ id: 'm' }, listFiles, first)).toBe(before);
  });

  test('a node that does not answer is named if the build would go there', async () => {
    await builder.run({ id: 'm' }, 'echo 1 >/c/file', second);
    await nodes[0]?.dispose();
    const inputs = { 'cache-mounts': 'm', key: 'k' };
    expect(await jobs.runAction('extract', inputs)).toMatchObject({
      ...warned(/Docker does not answer for .*, of whose nodes buildx builds on two-nodes0: /),
      outputs: { saved: 'false' },
    });
  });
});

function platformOf([option]: readonly [string]): string {
  return option.replace('--platform=', '');
}
