/** When changes are not enough, or what they build on is gone. */
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { listFiles } from '../support/engine.js';
import { useScenario } from '../support/scenario.js';
import { changes, fill, type Run, run, stateOf } from '../support/successive-runs.js';

const scenario = useScenario();

describe('all of a mount is saved', () => {
  test('where it was made anew since inject', async () => {
    await run(scenario, 'k-0', fill);
    await scenario.builder.empty();
    const job = await scenario.newJob();
    await job.runAction('inject', { 'cache-mounts': 'm', key: 'k-1', 'restore-keys': 'k-' });
    const script = `echo new >/c/new${listFiles}`;
    const listing = await scenario.builder.run({ id: 'm' }, script, ['--no-cache']);
    expect((await job.runAction('extract', {})).log).toMatch(/^packed {2}/m);
    scenario.service.remove('k-0');
    await scenario.expectWhole('k-1', listing);
  });

  test('where another was not: of that one, what has changed', async () => {
    const mounts = { 'cache-mounts': 'm\nn' };
    const fillBoth = () =>
      Promise.all(['m', 'n'].map((id) => scenario.builder.run({ id }, `${fill}${listFiles}`)));
    await fillBoth();
    await scenario.save('m\nn', 'k-0');
    await scenario.builder.empty();
    const job = await scenario.newJob();
    await job.runAction('inject', { ...mounts, key: 'k-1', 'restore-keys': 'k-' });
    const same = await scenario.builder.run({ id: 'm' }, `${changes[0]}${listFiles}`);
    const remade = await scenario.builder.run({ id: 'n' }, `echo new >/c/new${listFiles}`, [
      '--no-cache',
    ]);
    const extract = await job.runAction('extract', {});
    expect(extract.log).toMatch(/^changes packed \(1 of at most 10\) +m /m);
    expect(extract.log).toMatch(/^packed +n /m);
    expect(extract.annotations).toEqual([
      { level: 'notice', message: expect.stringMatching(/^The cache mount n is not the one/) },
    ]);
    await scenario.injectAnew({ ...mounts, key: 'k-1' });
    expect(await scenario.builder.run({ id: 'm' }, listFiles)).toBe(same);
    expect(await scenario.builder.run({ id: 'n' }, listFiles)).toBe(remade);
  });

  test.each([
    [
      'too much of it has changed',
      fill,
      'dd if=/dev/urandom of=/c/large bs=1M count=4 2>/dev/null',
    ],
    [
      'there is no snapshot of it that is of use',
      `${fill}; setfattr -n user.a -v b /c/1`,
      changes[0] ?? '',
    ],
  ])('where %s', async (why, before, change) => {
    await run(scenario, 'k-0', before);
    const last = await run(scenario, 'k-1', change);
    expect(last.extract.log).toMatch(
      new RegExp(`^The cache mount m is saved in full: ${why}\\.$`, 'm'),
    );
    scenario.service.remove('k-0');
    await scenario.expectWhole('k-1', last.listing);
  });

  test('after as many saves of changes as are asked for, and where none are', async () => {
    const limits = { 'incremental-count': '1' };
    await run(scenario, 'k-0', fill);
    expect(stateOf(await run(scenario, 'k-1', changes[0] ?? '', limits))).toBe('changes packed');
    // That nothing has changed does not count.
    expect(stateOf(await run(scenario, 'k-same', 'true', limits))).toBe('unchanged');
    const last = await run(scenario, 'k-2', changes[1] ?? '', limits);
    expect(stateOf(last)).toBe('packed');
    expect(last.extract.log).toMatch(
      /^The cache mount m is saved in full: .* saved 1 time in a row\.$/m,
    );
    for (const key of ['k-0', 'k-1', 'k-same']) scenario.service.remove(key);
    await scenario.expectWhole('k-2', last.listing);
    expect(stateOf(await run(scenario, 'k-3', 'echo 1 >/c/x', { incremental: 'false' }))).toBe(
      'packed',
    );
  });
});

test('an entry that builds on one that is gone is a miss, and the next one is saved in full', async () => {
  await run(scenario, 'k-0', fill);
  await run(scenario, 'k-1', changes[0] ?? '');
  scenario.service.remove('k-0');
  const next = await run(scenario, 'k-2', `${fill}; echo 2 >/c/two`);
  expect(next.inject).toMatchObject({
    exitCode: 0,
    outputs: { 'cache-hit': 'false', 'cache-matched-key': 'k-1' },
    annotations: [
      {
        level: 'warning',
        message: expect.stringMatching(
          /^The saved entry k-1 cannot be used: it builds on the entry k-0, which could not be restored/,
        ),
      },
    ],
  });
  expect(stateOf(next)).toBe('packed');
  await scenario.expectWhole('k-2', next.listing);
});

test('under the exact key, the warning says how to have it saved anew', async () => {
  await run(scenario, 'k-0', fill);
  await run(scenario, 'k-1', changes[0] ?? '');
  scenario.service.remove('k-0');
  await scenario.builder.empty();
  const job = await scenario.newJob();
  expect(await job.runAction('inject', { 'cache-mounts': 'm', key: 'k-1' })).toMatchObject({
    exitCode: 0,
    outputs: { 'cache-hit': 'false' },
    annotations: [
      {
        level: 'warning',
        message: expect.stringMatching(/builds on the entry k-0, .* gh cache delete 'k-1'$/),
      },
    ],
  });
  await scenario.builder.run({ id: 'm' }, fill);
  expect((await job.runAction('extract', {})).outputs).toMatchObject({ saved: 'false' });
  scenario.service.remove('k-1');
  const { listing } = await run(scenario, 'k-1', fill);
  await scenario.expectWhole('k-1', listing);
});

test('another entry with the key of one that it builds on is not taken for that', async () => {
  await run(scenario, 'k-0', fill);
  await run(scenario, 'k-1', changes[0] ?? '');
  scenario.service.remove('k-0');
  await run(scenario, 'k-0', fill);
  expect(await scenario.injectAnew({ 'cache-mounts': 'm', key: 'k-1' })).toMatchObject({
    exitCode: 0,
    outputs: { 'cache-hit': 'false' },
    annotations: [
      { level: 'warning', message: expect.stringMatching(/^The cache mount m was left out: /) },
    ],
  });
  expect(await scenario.builder.run({ id: 'm' }, 'ls -A /c >/out/result')).toBe('');
});

test('on a branch, changes bring along what could not be found under their key', async () => {
  await run(scenario, 'k-1', fill);
  scenario.service.enterBranch('topic');
  for (const [index, change] of changes.entries()) {
    const key = `k-1${index}`;
    const changed = await run(scenario, key, change);
    expect(stateOf(changed)).toBe('changes packed');
    await scenario.expectWhole(key, changed.listing);
  }
});

test('a directory keeps what changes build on', async () => {
  const directory = join(scenario.directory, 'store');
  await run(scenario, 'k-0', fill, { directory });
  let last: Run | undefined;
  for (const [index, change] of changes.entries()) {
    last = await run(scenario, `k-${index + 1}`, change, { directory });
    expect(stateOf(last)).toBe('changes packed');
  }
  await scenario.injectAnew({ 'cache-mounts': 'm', directory });
  expect(await scenario.builder.run({ id: 'm' }, listFiles)).toBe(last?.listing);
});
