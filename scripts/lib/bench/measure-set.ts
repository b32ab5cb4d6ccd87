/** All that is measured of one data set. */
import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { copyIn, copyOut, measurePlainStore } from './copy-method.js';
import type { DataSet } from './data-sets.js';
import { measureFloor } from './floor.js';
import { packTree } from './mount.js';
import type { Phase } from './phases.js';
import { measureResources, type Resources } from './resources.js';
import { medianItem, Samples } from './statistics.js';
import {
  type ActionName,
  checkStep,
  inNewJob,
  type MeasuredStep,
  measureStep,
  withCacheService,
} from './step.js';
import type { Bench, Subject } from './subject.js';
import { listTree, type TreeFacts, writeTree } from './tree.js';

export type Measure =
  | 'floorPack'
  | 'floorUnpack'
  | 'extract'
  | 'extractStore'
  | 'inject'
  | 'injectStore'
  | 'filesExtract'
  | 'filesExtractStore'
  | 'filesInject'
  | 'filesInjectStore'
  | 'otherExtract'
  | 'otherExtractStore'
  | 'otherInject'
  | 'otherInjectStore'
  | 'copyExtract'
  | 'copyInject'
  | 'plainSave'
  | 'plainRestore';

export interface SetResult {
  readonly name: string;
  readonly description: string;
  readonly compared: boolean;
  readonly files: number;
  readonly bytes: number;
  readonly floorArchiveBytes: number;
  readonly seconds: Samples<Measure>;
  /** Of the run whose whole time is the median, so that they add up. */
  readonly phases: Readonly<Record<ActionName, Partial<Record<Phase, number>>>>;
  readonly resources: Resources;
  /** What the other method does not restore as it was. */
  readonly copyLoses: 'nothing' | 'attributes' | 'contents' | undefined;
}

const mountId = 'bench';

export async function measureSet(bench: Bench, set: DataSet): Promise<SetResult> {
  const directory = join(bench.workDirectory, set.name);
  await mkdir(directory);
  try {
    bench.say(`${set.name}: making ${set.description}`);
    const tree = join(directory, 'tree');
    await writeTree(tree, set);
    const packed = await packTree(tree, join(directory, 'packed'));
    const facts = await listTree(tree);
    // A service for each set: what it stores is on the disk until it closes.
    return await withCacheService((service) =>
      measure(bench, { set, tree, packed, facts, service }, directory),
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
    await bench.mounts.emptyBuilder();
  }
}

async function measure(bench: Bench, subject: Subject, directory: string): Promise<SetResult> {
  const { set, facts } = subject;
  const seconds = new Samples<Measure>();
  const extracts: MeasuredStep[] = [];
  const injects: MeasuredStep[] = [];
  let floorArchiveBytes = 0;
  let copyLoses: SetResult['copyLoses'];
  for (let index = 0; index < bench.runs; index++) {
    const verify = index === 0;
    const floor = await measureFloor(subject.tree, directory);
    floorArchiveBytes = floor.archiveBytes;
    seconds.add('floorPack', floor.packSeconds);
    seconds.add('floorUnpack', floor.unpackSeconds);

    const ours = await measureSteps(bench, subject, { verify });
    extracts.push(ours.extract);
    injects.push(ours.inject);
    seconds.add('extract', ours.extract.seconds);
    seconds.add('extractStore', ours.extract.storeSeconds);
    seconds.add('inject', ours.inject.seconds);
    seconds.add('injectStore', ours.inject.storeSeconds);
    if (bench.other !== undefined) await measureOther(bench, subject, bench.other, seconds);

    if (set.compared) {
      const copy = await measureCopies(bench, subject, directory, verify);
      seconds.add('copyExtract', copy.outSeconds + copy.saveSeconds);
      seconds.add('copyInject', copy.inSeconds + copy.restoreSeconds);
      seconds.add('plainSave', copy.saveSeconds);
      seconds.add('plainRestore', copy.restoreSeconds);
      copyLoses ??= copy.loses;
    }
    bench.say(
      `${set.name}: run ${index + 1} of ${bench.runs}: extract ${ours.extract.seconds.toFixed(1)} s, inject ${ours.inject.seconds.toFixed(1)} s`,
    );
  }
  bench.say(`${set.name}: once more, watched`);
  const { name, description, compared } = set;
  return {
    ...{ name, description, compared },
    files: facts.files,
    bytes: facts.bytes,
    floorArchiveBytes,
    seconds,
    phases: { extract: phasesOf(extracts), inject: phasesOf(injects) },
    resources: await measureResources(bench, subject, directory),
    copyLoses,
  };
}

/** The same by another version, and by ours with files in place of the stream. */
async function measureOther(
  bench: Bench,
  subject: Subject,
  actions: string,
  seconds: Samples<Measure>,
): Promise<void> {
  const others = { other: { actions }, files: { inputs: { stream: 'false' } } };
  for (const whose of ['other', 'files'] as const) {
    const { extract, inject } = await measureSteps(bench, subject, others[whose]);
    seconds.add(`${whose}Extract`, extract.seconds);
    seconds.add(`${whose}ExtractStore`, extract.storeSeconds);
    seconds.add(`${whose}Inject`, inject.seconds);
    seconds.add(`${whose}InjectStore`, inject.storeSeconds);
  }
}

interface StepOptions {
  /** Whether what is restored is compared with what was saved. */
  readonly verify?: boolean;
  readonly actions?: string;
  readonly inputs?: Readonly<Record<string, string>>;
}

async function measureSteps(
  bench: Bench,
  { service, packed, facts }: Subject,
  { verify, actions, inputs: more }: StepOptions,
): Promise<Record<ActionName, MeasuredStep>> {
  const { mounts } = bench;
  const inputs = { 'cache-mounts': mountId, key: randomUUID(), ...more };
  const step = (name: ActionName) =>
    inNewJob(service, (job) => measureStep(job, name, inputs), actions);
  await mounts.emptyBuilder();
  await mounts.fill(mountId, packed);
  const extract = await step('extract');
  checkStep(extract.result, { saved: 'true' });
  await mounts.emptyBuilder();
  const inject = await step('inject');
  checkStep(inject.result, { 'cache-hit': 'true' });
  if (verify) {
    const restored = await mounts.list(mountId);
    if (restored.attributes !== facts.attributes || restored.contents !== facts.contents) {
      throw new Error('The restored mount is not what was saved.');
    }
  }
  return { extract, inject };
}

async function measureCopies(
  { mounts }: Bench,
  { service, packed, facts }: Subject,
  directory: string,
  verify: boolean,
): Promise<{
  outSeconds: number;
  saveSeconds: number;
  inSeconds: number;
  restoreSeconds: number;
  loses: SetResult['copyLoses'];
}> {
  const key = randomUUID();
  const tree = join(directory, 'copied');
  await mounts.emptyBuilder();
  await mounts.fill(mountId, packed);
  await mkdir(tree);
  try {
    const out = await copyOut(mounts, mountId, tree);
    const saveSeconds = await measurePlainStore(service, 'save', tree, key);
    await rm(tree, { recursive: true });
    await mounts.emptyBuilder();
    const restoreSeconds = await measurePlainStore(service, 'restore', tree, key);
    const into = await copyIn(mounts, mountId, tree);
    const restored = verify ? await mounts.list(mountId) : undefined;
    if (restored && (restored.files !== facts.files || restored.bytes < facts.bytes)) {
      throw new Error('The other method has lost files: it is not what it is meant to be.');
    }
    return {
      outSeconds: out.seconds,
      saveSeconds,
      inSeconds: into.seconds,
      restoreSeconds,
      loses: restored && differenceOf(restored, facts),
    };
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
}

function differenceOf(restored: TreeFacts, original: TreeFacts): SetResult['copyLoses'] {
  if (restored.contents !== original.contents) return 'contents';
  return restored.attributes === original.attributes ? 'nothing' : 'attributes';
}

function phasesOf(steps: readonly MeasuredStep[]): Partial<Record<Phase, number>> {
  return Object.fromEntries(medianItem(steps, ({ seconds }) => seconds).phases);
}
