/**
 * A builder on another machine, and the mounts in a registry: what goes over the link between the runner
 * and the builder, which is the only way from one to the other, is counted.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { docker, listFiles, prepareBuilder, type TestBuilder } from '../support/engine.js';
import { type Link, startLink } from '../support/link.js';
import { type OwnBuildkit, startOwnBuildkit } from '../support/own-buildkit.js';
import { type StrictRegistry, startStrictRegistry } from '../support/registry.js';
import type { StepResult } from '../support/runner.js';
import { type Jobs, useScenario } from '../support/scenario.js';
import { describeWithOwnBuildkit } from '../support/where-possible.js';

const scenario = useScenario();
const withOwnBuildkit = describeWithOwnBuildkit();
const name = 'behind-a-link';

withOwnBuildkit('a remote builder', () => {
  let buildkit: OwnBuildkit;
  let link: Link;
  let builder: TestBuilder;
  let jobs: Jobs;
  let registry: StrictRegistry;

  beforeAll(async () => {
    [buildkit, registry] = await Promise.all([startOwnBuildkit(), startStrictRegistry()]);
    link = await startLink(buildkit.socket);
    await docker(['buildx', 'create', '--name', name, '--driver', 'remote', link.endpoint]);
    const env = { BUILDX_BUILDER: name };
    builder = await prepareBuilder(env);
    jobs = scenario.on({ env, builder });
  });
  afterAll(async () => {
    await docker(['buildx', 'rm', name]);
    await link.close();
    await Promise.all([buildkit.dispose(), registry.close(), builder.dispose()]);
  });
  beforeEach(() => builder.empty());
  afterEach(() => {
    registry.calls.length = 0;
  });

  const inputsOf = (tag: string, key: string) => ({
    ...{ 'cache-mounts': 'm', registry: `127.0.0.1:${registry.port}/app:${tag}`, key },
  });

  /** What has crossed the link, and what else the runner has had to do with the registry. */
  async function counted(step: () => Promise<StepResult>) {
    const before = link.bytes();
    const calls = registry.calls.length;
    const result = await step();
    const own = registry.calls.slice(calls).filter(({ isOfRunner }) => isOfRunner);
    const bytes = own.reduce((sum, call) => sum + call.bytes, link.bytes() - before);
    return { result, bytes };
  }

  /** Saves what the script makes, and restores it. @returns the bytes of both steps on the runner */
  async function carry(
    inputs: Readonly<Record<string, string>>,
    script: string,
  ): Promise<Record<'extract' | 'inject', number>> {
    const listing = await builder.run({ id: 'm' }, `${script}${listFiles}`);
    const extract = await counted(() => jobs.runAction('extract', inputs));
    expect(extract.result).toMatchObject({ outputs: { saved: 'true' }, annotations: [] });
    await builder.empty();
    const inject = await counted(() => jobs.runAction('inject', inputs));
    expect(inject.result).toMatchObject({ outputs: { 'cache-hit': 'true' }, annotations: [] });
    expect(await builder.run({ id: 'm' }, listFiles)).toBe(listing);
    return { extract: extract.bytes, inject: inject.bytes };
  }

  test('pushes and pulls the archives itself: they do not come to the runner', async () => {
    // A small mount costs what the runner's own programs have, which are sent once to a builder.
    const small = await carry(inputsOf('small', 'k'), 'echo 1 >/c/file');
    const size = 300;
    const script = `dd if=/dev/urandom of=/c/big bs=1M count=${size} 2>/dev/null`;
    const large = await carry(inputsOf('large', 'k'), script);
    await builder.empty();
    const byService = await carry({ 'cache-mounts': 'm', key: 'k' }, script);
    for (const step of ['extract', 'inject'] as const) {
      expect(large[step] - small[step]).toBeLessThan(1_000_000);
      expect(small[step]).toBeLessThan(16_000_000);
      expect(large[step]).toBeLessThan(byService[step] / 5);
    }
    const pushed = registry.calls.filter(
      ({ method, isOfRunner }) => method !== 'GET' && !isOfRunner,
    );
    expect(pushed.reduce((sum, { bytes }) => sum + bytes, 0)).toBeGreaterThan(size << 20);
  });

  test('saves only what has changed, in run after run', async () => {
    let listing = await builder.run(
      { id: 'm' },
      `dd if=/dev/urandom of=/c/own bs=1k count=900 2>/dev/null${listFiles}`,
    );
    const first = await jobs.runAction('extract', inputsOf('runs', 'k-0'));
    expect(first).toMatchObject({ outputs: { saved: 'true' }, annotations: [] });
    for (const run of [1, 2]) {
      await builder.empty();
      const job = await jobs.newJob();
      const hit = await job.runAction('inject', inputsOf('runs', `k-${run}`));
      expect(hit).toMatchObject({
        outputs: { 'cache-matched-key': `k-${run - 1}` },
        annotations: [],
      });
      expect(await builder.run({ id: 'm' }, listFiles)).toBe(listing);
      listing = await builder.run({ id: 'm' }, `echo ${run} >/c/${run}${listFiles}`);
      const extracted = await job.runAction('extract', {});
      expect(extracted).toMatchObject({ outputs: { saved: 'true' }, annotations: [] });
      expect(extracted.log).toContain(`changes packed (${run} of at most 10)`);
    }
    await jobs.injectAnew(inputsOf('runs', 'k-2'));
    expect(await builder.run({ id: 'm' }, listFiles)).toBe(listing);
  });
});
