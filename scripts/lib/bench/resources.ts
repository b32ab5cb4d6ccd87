/** What a step takes beside time. Watching disturbs, so none of these runs is timed. */
import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { CacheService } from '../../../__tests__/support/cache-service.js';
import { copyIn, copyOut, measurePlainStore } from './copy-method.js';
import { peakMemoryEnv, readPeakMemory } from './node-memory.js';
import { type ActionName, checkStep, inNewJob, measureStep } from './step.js';
import type { Bench, Subject } from './subject.js';
import { readTransfers, type Transfers } from './transfers.js';
import { type DiskUse, watchDisk } from './watch.js';

export interface StepResources {
  /** Of our node process; its children, such as docker and zstd, have theirs. */
  readonly nodePeakBytes?: number;
  readonly transfers: Transfers;
  /** Of the runner's directories of the job. */
  readonly runnerDisk: DiskUse;
  /** Unknown where the engine is not ours. */
  readonly builderDisk: DiskUse | undefined;
}

export type Resources = Readonly<
  Partial<Record<ActionName | 'copyExtract' | 'copyInject', StepResources>>
>;

const mountId = 'watched';

export async function measureResources(
  bench: Bench,
  subject: Subject,
  directory: string,
): Promise<Resources> {
  const { mounts } = bench;
  await mounts.emptyBuilder();
  await mounts.fill(mountId, subject.packed);
  const key = randomUUID();
  const extract = await watchStep(subject.service, 'extract', key, directory);
  await mounts.emptyBuilder();
  const inject = await watchStep(subject.service, 'inject', key, directory);
  return subject.set.compared
    ? { extract, inject, ...(await watchCopies(bench, subject.service, directory)) }
    : { extract, inject };
}

async function watchStep(
  service: CacheService,
  action: ActionName,
  key: string,
  directory: string,
): Promise<StepResources> {
  const memoryFile = join(directory, 'peak-memory');
  return inNewJob(service, async (job) => {
    const { result, ...disks } = await watchBoth(dirname(job.runnerTemp), () =>
      measureStep(job, action, { 'cache-mounts': mountId, key }, peakMemoryEnv(memoryFile)),
    );
    checkStep(result.result, action === 'inject' ? { 'cache-hit': 'true' } : { saved: 'true' });
    return {
      nodePeakBytes: await readPeakMemory(memoryFile),
      transfers: readTransfers(result.result.log),
      ...disks,
    };
  });
}

/** The mount is there, as our inject has just filled it. */
async function watchCopies(
  { mounts }: Bench,
  service: CacheService,
  directory: string,
): Promise<Resources> {
  const runner = join(directory, 'copied');
  const tree = join(runner, 'tree');
  const key = randomUUID();
  await mkdir(tree, { recursive: true });
  try {
    const extract = await watchBoth(runner, async () => {
      const { transfers } = await copyOut(mounts, mountId, tree);
      await measurePlainStore(service, 'save', tree, key);
      return transfers;
    });
    await rm(tree, { recursive: true });
    await mounts.emptyBuilder();
    const inject = await watchBoth(runner, async () => {
      await measurePlainStore(service, 'restore', tree, key);
      return (await copyIn(mounts, mountId, tree)).transfers;
    });
    const resourcesOf = ({ result, ...disks }: typeof extract): StepResources => ({
      transfers: result,
      ...disks,
    });
    return { copyExtract: resourcesOf(extract), copyInject: resourcesOf(inject) };
  } finally {
    await rm(runner, { recursive: true, force: true });
  }
}

async function watchBoth<T>(
  runner: string,
  task: () => Promise<T>,
): Promise<{ result: T; runnerDisk: DiskUse; builderDisk: DiskUse | undefined }> {
  const engine = process.env.ENGINE_DIR;
  const directories = [runner, ...(engine === undefined ? [] : [join(engine, 'data')])];
  const { result, use } = await watchDisk(directories, task);
  const [runnerDisk = { peakBytes: 0, restBytes: 0 }, builderDisk] = use;
  return { result, runnerDisk, builderDisk };
}
