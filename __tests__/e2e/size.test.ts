/** What keeps a cache small: files that are not saved, and mounts that are begun anew. */
import { describe, expect, test } from '@jest/globals';
import { listFiles } from '../support/engine.js';
import type { StepResult } from '../support/runner.js';
import { useScenario } from '../support/scenario.js';

const scenario = useScenario();

type Inputs = Readonly<Record<string, string>>;

/** A run of CI on an emptied builder. */
async function run(key: string, script: string, inputs: Inputs = {}, own: Inputs = {}) {
  await scenario.builder.empty();
  const job = await scenario.newJob();
  const given = { 'cache-mounts': 'm', key, 'restore-keys': 'k-', ...inputs };
  const inject = await job.runAction('inject', given);
  const listing = await scenario.builder.run({ id: 'm' }, `${script}\n${listFiles}`);
  const extract = await job.runAction('extract', own);
  return { inject, extract, listing };
}

/** The files of the mount on the builder. */
async function filesOf(): Promise<string[]> {
  const script = 'cd /c; find . ! -name . >/out/result';
  return (await scenario.builder.run({ id: 'm' }, script)).split('\n').filter(Boolean).sort();
}

async function restoredBy(key: string): Promise<string[]> {
  await scenario.injectAnew({ 'cache-mounts': 'm', key });
  return filesOf();
}

function stateOf({ log }: StepResult): string | undefined {
  return /^(packed|changes packed|unchanged|restored|begun anew)(?: \(.*?\))? {2}/m.exec(log)?.[1];
}

describe('exclude', () => {
  const fill = `mkdir -p /c/sub/deep /c/tmp; cd /c
    for f in a.log kept.txt sub/b.log sub/deep/important.log tmp/x; do echo $f >$f; done
    dd if=/dev/urandom of=large bs=1M count=2 2>/dev/null; touch -d 2001-02-03 sub tmp .`;
  const exclude = '**/*.log\n!**/important.log\nm: tmp\nother: large';
  const left = ['./kept.txt', './large', './sub', './sub/deep', './sub/deep/important.log'];

  test('leaves files out of a full save and of changes, and does not count them as changed', async () => {
    const first = await run('k-1', fill, { exclude });
    expect(first.extract).toMatchObject({ exitCode: 0, outputs: { saved: 'true' } });
    expect(first.inject.annotations).toEqual([
      { level: 'warning', message: expect.stringContaining('"other", and there is none') },
    ]);
    expect(await restoredBy('k-1')).toEqual(left);

    const own = 'm: tmp\n**/*.log\n!**/important.log';
    const second = await run('k-2', 'cd /c; mkdir tmp; echo >tmp/new; echo >x.log', {
      exclude: own,
    });
    // The order of the patterns is another one.
    expect(second.extract.log).toContain('saved in full: other files of it are excluded now.');
    expect(stateOf(second.extract)).toBe('packed');

    const noise = 'cd /c; mkdir tmp; echo >tmp/new; echo >x.log; rm -f sub/b.log; echo >sub/c.log';
    const third = await run('k-3', noise, { exclude: own });
    expect(stateOf(third.extract)).toBe('unchanged');
    expect(third.extract.outputs['saved-bytes']).toBe('0');

    const fourth = await run('k-4', `${noise}; echo more >>kept.txt; echo >new.txt`, {
      exclude: own,
    });
    expect(stateOf(fourth.extract)).toBe('changes packed');
    expect(await restoredBy('k-4')).toEqual([...left, './new.txt'].sort());

    // What was excluded, and is so no more, is saved; and the other way round.
    const fifth = await run('k-5', noise, { exclude: '*.txt' });
    expect(stateOf(fifth.extract)).toBe('packed');
    expect(await restoredBy('k-5')).toEqual(
      [
        ...left.filter((path) => !path.endsWith('.txt')),
        './sub/c.log',
        './tmp',
        './tmp/new',
        './x.log',
      ].sort(),
    );
  });

  test('of extract itself comes before that of inject, and the builder keeps all', async () => {
    const { extract, listing } = await run('k-1', fill, { exclude: '*' }, { exclude: 'large' });
    expect(extract.outputs.saved).toBe('true');
    expect(await scenario.builder.run({ id: 'm' }, listFiles)).toBe(listing);
    const restored = await restoredBy('k-1');
    expect(restored).toContain('./a.log');
    expect(restored).not.toContain('./large');
  });

  test('a wrong pattern fails the step at once', async () => {
    const job = await scenario.newJob();
    const result = await job.runAction('inject', { 'cache-mounts': 'm', key: 'k', exclude: '[' });
    expect(result).toMatchObject({
      exitCode: 1,
      annotations: [{ level: 'error', message: expect.stringMatching(/^Input exclude: "\["/) }],
    });
  });
});

describe('max-size', () => {
  const of = (megabytes: number) =>
    `dd if=/dev/urandom of=/c/data bs=1M count=${megabytes} 2>/dev/null; echo >/c/of-${megabytes}`;

  test('a mount that is too large is saved, and the next inject begins it anew', async () => {
    const limit = { 'max-size': '3MB' };
    const first = await run('k-1', of(4), limit);
    expect(first.extract).toMatchObject({ outputs: { saved: 'true' } });
    expect(first.extract.annotations).toEqual([
      { level: 'notice', message: expect.stringMatching(/4\.2 MB, .* max-size \(3\.0 MB\)/) },
    ]);

    // By whatever key it is found, and without an error.
    const exact = await scenario.injectAnew({
      ...{ 'cache-mounts': 'm', key: 'k-1', 'fail-on-cache-miss': 'true' },
    });
    expect(exact).toMatchObject({
      exitCode: 0,
      outputs: { 'cache-hit': 'false', 'cache-matched-key': 'k-1', 'restored-count': '0' },
      annotations: [{ level: 'notice', message: expect.stringContaining('begun anew') }],
    });
    expect(await filesOf()).toEqual([]);

    const second = await run('k-2', of(1), limit);
    expect(stateOf(second.inject)).toBe('begun anew');
    expect(second.extract).toMatchObject({ outputs: { saved: 'true' }, annotations: [] });
    expect(stateOf(second.extract)).toBe('packed');
    expect(second.extract.log).toContain('saved in full: inject has begun it anew.');
    expect(second.extract.log).toMatch(/has 1\.1 MB; it had 4\.2 MB 1 save ago\.$/m);
    // It was cold, and so its time is the one without the cache.
    expect(second.extract.log).toMatch(/^The build took [\d.]+ s, without the cache\./m);
    expect(await restoredBy('k-2')).toEqual(['./data', './of-1']);
  });

  test('after an exact hit, nothing is saved twice', async () => {
    await run('k-1', of(4), { 'max-size': '3MB' });
    const again = await run('k-1', of(1), { 'max-size': '3MB' });
    expect(again.inject.annotations).toEqual([
      { level: 'notice', message: expect.stringContaining('as soon as the key is another one') },
    ]);
    expect(again.extract).toMatchObject({
      exitCode: 0,
      outputs: { saved: 'false', reason: 'the key is saved already' },
      annotations: [],
    });
    expect(scenario.service.entries()).toHaveLength(1);
  });

  test('what was saved is kept if the build leaves nothing in the mount', async () => {
    await run('k-1', of(4), { 'max-size': '3MB' });
    await scenario.builder.empty();
    const job = await scenario.newJob();
    const inputs = { 'cache-mounts': 'm\nother', key: 'k-2', 'restore-keys': 'k-' };
    await job.runAction('inject', { ...inputs, incremental: 'false' });
    await scenario.builder.run({ id: 'other' }, 'echo 1 >/c/file');
    const extracted = await job.runAction('extract', { incremental: 'false' });
    expect(extracted).toMatchObject({ outputs: { saved: 'true' } });
    expect(extracted.log).toMatch(/^absent, kept as restored +m .*4\.2 MB/m);
    const next = await scenario.injectAnew({ ...inputs, key: 'k-3' });
    expect(stateOf(next)).toBe('restored'); // of the other mount
    expect(next.log).toMatch(/^begun anew +m$/m);
  });

  test('changes that could make it too large are saved in full, which shows its size', async () => {
    const limit = { 'max-size': '3MB', 'incremental-share': '100' };
    const { 'incremental-share': share, ...given } = limit;
    await run('k-1', of(2), given);
    const rest = { 'incremental-share': share };
    const second = await run(
      'k-2',
      'dd if=/dev/urandom of=/c/data bs=1M count=1 conv=notrunc 2>/dev/null',
      given,
      rest,
    );
    // The changed file is 2 MB, and with the one before it, that would be 4 MB.
    expect(stateOf(second.extract)).toBe('packed');
    expect(second.extract.annotations).toEqual([]);
    expect(second.extract.log).toContain('saved in full: too much of it has changed.');
  });
});
