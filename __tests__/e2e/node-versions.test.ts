import { describe, expect, test } from '@jest/globals';
import { useScenario } from '../support/scenario.js';

const scenario = useScenario();

// Runners start `node20` actions on Node 24 today; scripts/test has it in NODE24.
const nodes = {
  'this Node': process.execPath,
  'Node 24': process.env.NODE24 ?? 'NODE24 is not set',
};

describe.each(Object.entries(nodes))('on %s', (_, node) => {
  test('the bundles carry a mount from job to job, without a word from Node', async () => {
    const first = await scenario.newJob();
    const inputs = { 'cache-mounts': 'm', key: 'k' };
    const miss = await first.runAction('inject', inputs, { node });
    await scenario.builder.run({ id: 'm' }, 'echo kept >/c/file');
    const saved = await first.runAction('extract', {}, { node });
    expect(saved.outputs.saved).toBe('true');

    await scenario.builder.empty();
    // White space in RUNNER_TEMP is more than the cache client takes.
    const second = await scenario.newJob({ name: 'a runner with spaces, ünd mehr' });
    const hit = await second.runAction('inject', inputs, { node });
    expect(hit).toMatchObject({ exitCode: 0, outputs: { 'cache-hit': 'true' }, annotations: [] });
    expect(await scenario.builder.run({ id: 'm' }, 'cat /c/file >/out/result')).toBe('kept\n');
    for (const { log } of [miss, saved, hit]) {
      expect(log).not.toMatch(/\(node:\d+\)|Warning:/);
    }
  });
});
