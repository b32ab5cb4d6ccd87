/** What it costs to carry a mount from run to run of which each changes a little. */
import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CacheService } from '../../../__tests__/support/cache-service.js';
import type { DataSet } from './data-sets.js';
import { packTree } from './mount.js';
import { Samples } from './statistics.js';
import { checkStep, inNewJob, type MeasuredStep, measureStep, withCacheService } from './step.js';
import type { Bench } from './subject.js';
import { writeTree } from './tree.js';

export const incrementalMeasures = {
  fullExtract: 'extract, everything',
  fullInject: 'inject, everything, incremental: false',
  snapshotInject: 'inject, everything',
  changedExtract: 'extract, 1% of the files changed',
  changedInject: 'inject of that, with what it builds on',
  unchangedExtract: 'extract, nothing changed',
  chainInject: 'inject after nine saves of changes',
} as const;

export type IncrementalMeasure = keyof typeof incrementalMeasures;

export interface IncrementalResult {
  readonly seconds: Samples<IncrementalMeasure>;
  /** Sizes of the entries that the service has got. */
  readonly bytes: {
    readonly full: number;
    readonly changed: number;
    readonly unchanged: number;
    /** Together, of ten runs of which each changes 1% of the files. */
    readonly tenRuns: number;
  };
}

const mountId = 'bench';
const successiveRuns = 10;
const keyPrefix = 'k-';

export async function measureIncremental(bench: Bench, set: DataSet): Promise<IncrementalResult> {
  const directory = join(bench.workDirectory, 'incremental');
  await mkdir(directory);
  bench.say(`incremental: making ${set.description}`);
  try {
    const tree = join(directory, 'tree');
    await writeTree(tree, set);
    const packed = await packTree(tree, join(directory, 'packed'));
    const seconds = new Samples<IncrementalMeasure>();
    let bytes = { full: 0, changed: 0, unchanged: 0 };
    for (let index = 0; index < bench.runs; index++) {
      bytes = await withCacheService(async (service) => {
        const { save, runAgain, restore } = stepsOn(bench, service);
        await bench.mounts.emptyBuilder();
        await bench.mounts.fill(mountId, packed);
        seconds.add('fullExtract', (await save('k-0')).seconds);
        seconds.add('fullInject', (await restore('k-0', { incremental: 'false' })).seconds);
        const changed = await runAgain('k-1', changeOf(1));
        seconds.add('snapshotInject', changed.inject.seconds);
        seconds.add('changedExtract', changed.extract.seconds);
        const unchanged = await runAgain('k-2', 'true');
        seconds.add('changedInject', unchanged.inject.seconds);
        seconds.add('unchangedExtract', unchanged.extract.seconds);
        bench.say(`incremental: run ${index + 1} of ${bench.runs}`);
        const { sizeOf } = service;
        return { full: sizeOf('k-0'), changed: sizeOf('k-1'), unchanged: sizeOf('k-2') };
      });
    }
    bench.say(`incremental: ${successiveRuns} runs one after another`);
    const tenRuns = await withCacheService(async (service) => {
      const { save, runAgain, restore } = stepsOn(bench, service);
      await bench.mounts.emptyBuilder();
      await bench.mounts.fill(mountId, packed);
      await save('k-0');
      for (let run = 1; run < successiveRuns; run++) await runAgain(`k-${run}`, changeOf(run));
      for (let index = 0; index < bench.runs; index++) {
        seconds.add('chainInject', (await restore(`k-${successiveRuns - 1}`, {})).seconds);
      }
      const entries = service.entries().filter(({ key }) => key.startsWith(keyPrefix));
      return entries.reduce((sum, { size }) => sum + size, 0);
    });
    return { seconds, bytes: { ...bytes, tenRuns } };
  } finally {
    await rm(directory, { recursive: true, force: true });
    await bench.mounts.emptyBuilder();
  }
}

/** The runs of a repository, whose entries are in one service. */
function stepsOn({ mounts }: Bench, service: CacheService) {
  const inputs = { 'cache-mounts': mountId, 'restore-keys': keyPrefix };

  async function save(key: string): Promise<MeasuredStep> {
    const given = { 'cache-mounts': mountId, key };
    const extract = await inNewJob(service, (job) => measureStep(job, 'extract', given));
    checkStep(extract.result, { saved: 'true' });
    return extract;
  }

  /**
   * A virtual machine gives memory that it does not use back to its host, and has to wait when it wants
   * some again: an inject right behind another can take twice as long. So each comes behind an extract.
   */
  async function emptyBuilder(): Promise<void> {
    await save(`spare-${randomUUID()}`);
    await mounts.emptyBuilder();
  }

  /** On an emptied builder: inject of the newest entry, a build that changes the mount, extract. */
  async function runAgain(
    key: string,
    change: string,
  ): Promise<Record<'inject' | 'extract', MeasuredStep>> {
    await emptyBuilder();
    return inNewJob(service, async (job) => {
      const inject = await measureStep(job, 'inject', { ...inputs, key });
      checkStep(inject.result, { 'cache-hit': 'false' });
      await mounts.change(mountId, change);
      const extract = await measureStep(job, 'extract', {});
      checkStep(extract.result, { saved: 'true' });
      return { inject, extract };
    });
  }

  /** On an emptied builder, of the entry with just this key. */
  async function restore(
    key: string,
    others: Readonly<Record<string, string>>,
  ): Promise<MeasuredStep> {
    await emptyBuilder();
    const given = { ...inputs, key, ...others };
    const inject = await inNewJob(service, (job) => measureStep(job, 'inject', given));
    checkStep(inject.result, { 'cache-hit': 'true' });
    return inject;
  }

  return { save, runAgain, restore };
}

/** Gives each hundredth file the content of its neighbour, and each run other ones. */
function changeOf(run: number): string {
  return `cd /c; find . -type f | sort | {
    index=0
    while read -r file; do
      index=$((index + 1))
      [ $((index % 100)) != ${run + 1} ] || cat "$neighbour" >"$file"
      neighbour=$file
    done
  }`;
}
