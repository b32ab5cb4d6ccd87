/** What the steps take where there is next to nothing to carry. */
import { randomUUID } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './command.js';
import { packTree } from './mount.js';
import { Samples } from './statistics.js';
import { type ActionName, checkStep, inNewJob, measureStep, withCacheService } from './step.js';
import type { Bench } from './subject.js';
import { timed } from './timed.js';

export const fixedMeasures = {
  node: 'node, with nothing to do',
  bundle: 'inject with a wrong input: node and the bundle',
  missInject: 'inject, nothing saved',
  missInjectService: "… of this, the cache service's answers",
  tinyExtract: 'extract of one small file',
  tinyExtractStore: '… of this, the store',
  hitExtract: 'extract, the key is saved already',
  hitExtractService: "… of this, the cache service's answers",
  tinyInject: 'inject of one small file',
  tinyInjectStore: '… of this, the store',
  emptyExtract: 'extract of an empty mount (saves nothing)',
} as const;

export type FixedMeasure = keyof typeof fixedMeasures;

export async function measureFixed(bench: Bench): Promise<Samples<FixedMeasure>> {
  const { mounts } = bench;
  const directory = join(bench.workDirectory, 'tiny');
  const tree = join(directory, 'tree');
  const nothing = join(directory, 'nothing');
  await mkdir(tree, { recursive: true });
  await mkdir(nothing);
  await writeFile(join(tree, 'file'), 'one small file\n');
  const tiny = await packTree(tree, join(directory, 'packed-tree'));
  const empty = await packTree(nothing, join(directory, 'packed-nothing'));
  const samples = new Samples<FixedMeasure>();
  try {
    await withCacheService(async (service, takeAnswerSeconds) => {
      for (let index = 0; index < bench.runs; index++) {
        const inputs = { 'cache-mounts': 'tiny', key: randomUUID() };
        const step = (action: ActionName, more: Readonly<Record<string, string>> = {}) =>
          inNewJob(service, (job) => measureStep(job, action, { ...inputs, ...more }));

        samples.add('node', (await timed(() => run(process.execPath, ['-e', '0']))).seconds);
        samples.add('bundle', (await step('inject', { stream: 'perhaps' })).seconds);
        await mounts.emptyBuilder();
        takeAnswerSeconds();
        samples.add('missInject', (await step('inject')).seconds);
        samples.add('missInjectService', takeAnswerSeconds());
        await mounts.fill('tiny', tiny);
        const extract = await step('extract');
        checkStep(extract.result, { saved: 'true' });
        samples.add('tinyExtract', extract.seconds);
        samples.add('tinyExtractStore', extract.storeSeconds);
        takeAnswerSeconds();
        const hit = await step('extract');
        checkStep(hit.result, { saved: 'false', reason: 'the key is saved already' });
        samples.add('hitExtract', hit.seconds);
        samples.add('hitExtractService', takeAnswerSeconds());
        await mounts.emptyBuilder();
        const inject = await step('inject');
        checkStep(inject.result, { 'cache-hit': 'true' });
        samples.add('tinyInject', inject.seconds);
        samples.add('tinyInjectStore', inject.storeSeconds);
        await mounts.fill('empty', empty);
        const none = await step('extract', { 'cache-mounts': 'empty', key: randomUUID() });
        samples.add('emptyExtract', none.seconds);
        bench.say(`fixed costs: run ${index + 1} of ${bench.runs}`);
      }
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  return samples;
}
