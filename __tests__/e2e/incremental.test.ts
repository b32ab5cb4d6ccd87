/** Of a mount that inject has filled, extract saves what has changed since. */
import { expect, test } from '@jest/globals';
import { listFiles } from '../support/engine.js';
import { useScenario } from '../support/scenario.js';
import { changes, fill, run, stateOf } from '../support/successive-runs.js';

const scenario = useScenario();

test('what has changed is all that is saved, and comes back with what it builds on', async () => {
  expect(stateOf(await run(scenario, 'k-0', fill))).toBe('packed');
  for (const [index, change] of changes.entries()) {
    const key = `k-${index + 1}`;
    const changed = await run(scenario, key, change);
    expect(changed.extract.annotations).toEqual([]);
    expect(stateOf(changed)).toBe('changes packed');
    const words = `\\(incremental, ${index + 1} of at most 10\\)`;
    expect(changed.extract.log).toMatch(
      new RegExp(`^Saved [\\d.]+ kB of [\\d.]+ MB ${words} under the key ${key}\\.$`, 'm'),
    );
    expect(changed.extract.summary).toMatch(
      new RegExp(`saved, [\\d.]+ kB of [\\d.]+ MB ${words}<`),
    );
    expect(scenario.service.sizeOf(key)).toBeLessThan(scenario.service.sizeOf('k-0') * 0.2);
    await scenario.expectWhole(key, changed.listing);
  }
});

test('where nothing has changed, next to nothing is saved', async () => {
  const { listing } = await run(scenario, 'k-0', fill);
  const second = await run(scenario, 'k-1', 'cat /c/1/1 >/dev/null');
  expect(stateOf(second)).toBe('unchanged');
  expect(scenario.service.sizeOf('k-1')).toBeLessThan(2000);
  await scenario.expectWhole('k-1', listing);
});

test('so it is for a mount with an owner, which starts from a directory of an image', async () => {
  const mount = { id: 'm', options: 'target=/c,uid=1000,mode=0700' };
  const line = 'id=m,uid=1000,mode=0700';
  await run(scenario, 'k-0', fill, {}, { mount, line });
  const second = await run(scenario, 'k-1', changes[0] ?? '', {}, { mount, line });
  expect(stateOf(second)).toBe('changes packed');
  await scenario.injectAnew({ 'cache-mounts': line, key: 'k-1' });
  expect(await scenario.builder.run(mount, listFiles)).toBe(second.listing);
});
