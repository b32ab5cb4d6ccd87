/** Cache mounts that are kept in a registry: the builder itself pushes and pulls them. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { builderKind, listFiles, useRunnersNetwork } from '../support/engine.js';
import { type Registry, startStrictRegistry } from '../support/registry.js';
import { leftovers, useScenario } from '../support/scenario.js';
import { describeWhere } from '../support/where-possible.js';

const scenario = useScenario();

let registry: Registry;
let removeBuilder: () => Promise<void>;
beforeAll(async () => {
  [registry, removeBuilder] = await Promise.all([startStrictRegistry(), useRunnersNetwork()]);
});
afterAll(async () => {
  await removeBuilder();
  await registry.close();
});

const reference = (name: string) => `127.0.0.1:${registry.port}/${name}`;

const whereItCanPush = describeWhere(
  builderKind() !== 'classic',
  'an archive in a registry: the classic image store cannot push it',
);

whereItCanPush('a mount', () => {
  test('is saved in a registry, and comes back from there', async () => {
    const place = { registry: reference('app:mounts-main') };
    const first = await scenario.newJob();
    const miss = await first.runAction('inject', { 'cache-mounts': 'm', key: 'k-1', ...place });
    console.log(miss.log);
    expect(miss).toMatchObject({ exitCode: 0, outputs: { 'cache-hit': 'false' }, annotations: [] });
    const listing = await scenario.builder.run({ id: 'm' }, `echo 1 >/c/file${listFiles}`);
    const saved = await first.runAction('extract', {});
    console.log(saved.log);
    expect(saved).toMatchObject({ exitCode: 0, outputs: { saved: 'true' }, annotations: [] });
    expect(await leftovers(first)).toEqual([]);
    await scenario.builder.empty();
    const second = await scenario.newJob();
    const hit = await second.runAction('inject', { 'cache-mounts': 'm', key: 'k-1', ...place });
    console.log(hit.log);
    expect(hit).toMatchObject({ exitCode: 0, outputs: { 'cache-hit': 'true' }, annotations: [] });
    expect(await scenario.builder.run({ id: 'm' }, listFiles)).toBe(listing);
  });
});
