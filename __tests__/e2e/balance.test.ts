/** What the cache brings and costs, as each run tells it. */
import { which } from '@actions/io';
import { expect, test } from '@jest/globals';
import type { RunOptions, StepResult } from '../support/runner.js';
import { pathWith, useScenario } from '../support/scenario.js';

const scenario = useScenario();

const today = () => new Date().toISOString().slice(0, 10);

/** A run of CI on an emptied builder. */
async function run(
  key: string,
  script: string,
  { mounts = 'm', options = {} }: { mounts?: string; options?: RunOptions } = {},
): Promise<StepResult> {
  await scenario.builder.empty();
  const job = await scenario.newJob();
  const inputs = { 'cache-mounts': mounts, key, 'restore-keys': 'k-' };
  await job.runAction('inject', inputs, options);
  await scenario.builder.run({ id: 'm' }, script);
  return job.runAction('extract', {}, options);
}

/** The line in the log, which is in the summary, too. */
function lineOf({ log, summary }: StepResult): string | undefined {
  const line = /^(The build took|Between inject and extract) .*$/m.exec(log)?.[0];
  // The time of the step goes on from the one to the other.
  if (line !== undefined) expect(summary).toContain(`<p>${line.split(' took ')[0]} `);
  return line;
}

test('a cold build is told of until there is another', async () => {
  const cold = await run('k-1', 'echo 1 >/c/file; sleep 2');
  const seconds = cold.outputs['build-seconds'] ?? '';
  expect(Number(seconds)).toBeGreaterThanOrEqual(2);
  expect(lineOf(cold)).toMatch(
    new RegExp(`^The build took ${seconds} s, without the cache\\. Saving took [\\d.]+ s\\.$`),
  );

  const told = `without the cache \\(${today()}\\) ${seconds} s\\.`;
  for (const key of ['k-2', 'k-3']) {
    const warm = await run(key, 'echo 2 >>/c/file');
    expect(Number(warm.outputs['build-seconds'])).toBeGreaterThan(0);
    expect(lineOf(warm)).toMatch(
      new RegExp(`^The build took [\\d.]+ s; ${told} Restoring and saving took [\\d.]+ s\\.$`),
    );
  }
  // After an exact hit, nothing is saved.
  const exact = await run('k-3', 'echo 3 >>/c/file');
  expect(lineOf(exact)).toMatch(
    new RegExp(`^The build took [\\d.]+ s; ${told} Restoring took [\\d.]+ s\\.$`),
  );
  // With another mount, it is another build.
  const other = await run('k-4', 'echo 4 >>/c/file', { mounts: 'm\nother' });
  expect(lineOf(other)).toMatch(/^The build took [\d.]+ s\. Restoring and saving took [\d.]+ s\.$/);
});

test('a build that found its mounts on the builder is not cold', async () => {
  await scenario.builder.empty();
  await scenario.builder.run({ id: 'm' }, 'echo 1 >/c/file');
  const job = await scenario.newJob();
  await job.runAction('inject', { 'cache-mounts': 'm', key: 'k-1' });
  await scenario.builder.run({ id: 'm' }, 'echo 2 >/c/file');
  const extracted = await job.runAction('extract', {});
  expect(lineOf(extracted)).toMatch(/^The build took [\d.]+ s\. Saving took [\d.]+ s\.$/);
});

test('without a history, no gain is claimed', async () => {
  await run('k-1', 'echo 1 >/c/file');
  const docker = await which('docker', true);
  const script = `case "$2" in history) exit 1 ;; esac; exec ${docker} "$@"`;
  const PATH = await pathWith(scenario.directory, 'docker', script);
  const extracted = await run('k-2', 'echo 2 >/c/file', { options: { env: { PATH } } });
  expect(extracted).toMatchObject({ outputs: { saved: 'true' }, annotations: [] });
  expect(extracted.outputs).not.toHaveProperty('build-seconds');
  expect(lineOf(extracted)).toMatch(
    /^Between inject and extract there were [\d.]+ s\. Restoring and saving took [\d.]+ s\.$/,
  );
});

test('an extract without an inject tells nothing', async () => {
  await scenario.builder.run({ id: 'm' }, 'echo 1 >/c/file');
  expect(lineOf(await scenario.save('m', 'k'))).toBeUndefined();
});

test('the summary tells what a first run is like, and all that a failure is annotated with', async () => {
  await scenario.builder.empty();
  const job = await scenario.newJob();
  const miss = await job.runAction('inject', { 'cache-mounts': 'go-build', key: 'k' });
  expect(miss.summary).toContain('<code>go-build</code></td><td>not saved yet</td>');
  expect(miss.summary).toContain('<li>A first run is always like this');
  expect(miss.summary).toMatch(/Time: look-up [\d.]+ s, the whole step [\d.]+ s</);

  await scenario.builder.run({ id: 'go_build' }, 'echo 1 >/c/file');
  const failed = await job.runAction('extract', {});
  expect(failed.outputs).toMatchObject({ saved: 'false', 'saved-bytes': '0' });
  expect(failed.annotations).toHaveLength(2);
  expect(failed.summary).toContain('did you mean &quot;go_build&quot;? It has go_build.');
  expect(failed.summary).toContain('Nothing was saved: no mount holds any file; check that');
});
