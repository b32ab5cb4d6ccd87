import { join } from 'node:path';
import * as core from '@actions/core';
import {
  type Filling,
  findDamage,
  placeArchive,
  readManifest,
  type Selection,
  selectArchives,
} from './archive.js';
import { type Builder, inspectBuilder, NoSuchBuilderError } from './buildx.js';
import { describeMount } from './cache-mount.js';
import { unpackScript } from './container-scripts.js';
import { InputError, messageOf } from './errors.js';
import { type InjectInputs, readInjectInputs } from './inputs.js';
import { logBuilder, logMounts, logRows, type MountRow } from './log.js';
import { archiveFileName } from './manifest.js';
import { listMounts, type MountList } from './mount-list.js';
import type { MountReport } from './report.js';
import { archivesDirectory, runScratchBuild } from './scratch-build.js';
import { type InjectState, writeState } from './state.js';
import { runStep } from './step.js';
import { restore, storedDirectoryName } from './store.js';
import { chooseToolkit } from './toolkit.js';

type InjectRequest = InjectInputs & Pick<MountList, 'mounts' | 'seedStages'>;

interface Injection {
  /** How many mounts were filled. */
  readonly filled: number;
  /** All of the entry that was named could be used. */
  readonly complete: boolean;
}

await runStep(async (workDirectory) => {
  const inputs = readInjectInputs();
  core.setOutput('cache-hit', 'false');
  core.setOutput('cache-primary-key', inputs.key);
  const list = await listMounts(inputs.mountInputs);
  logMounts(list);
  let filled = 0;
  try {
    filled = await inject({ ...inputs, ...list }, workDirectory);
  } catch (error) {
    if (error instanceof InputError || !inputs.failOnCacheMiss) throw error;
    core.warning(messageOf(error));
  }
  if (inputs.failOnCacheMiss && filled === 0) {
    throw new InputError('No cache mount was filled, and fail-on-cache-miss is set.');
  }
});

/** Restores the saved mounts into the builder; tells how many were filled. */
async function inject(inputs: InjectRequest, workDirectory: string): Promise<number> {
  if (inputs.mounts.length === 0) return 0;
  await writeState(stateOf(inputs));
  const entry = join(workDirectory, storedDirectoryName);
  const matchedKey = await core.group('Restore from the cache', () =>
    restore(entry, inputs.key, inputs.restoreKeys),
  );
  if (matchedKey === undefined) {
    core.info(`Nothing is saved for the key ${inputs.key}: the build starts cold.`);
    return 0;
  }
  core.setOutput('cache-matched-key', matchedKey);
  core.info(
    matchedKey === inputs.key
      ? `Found the entry ${matchedKey}.`
      : `Found the entry ${matchedKey}, whose key begins with a restore key or with the key; nothing is saved for just the key ${inputs.key} yet.`,
  );
  const selection = await select(inputs, entry, matchedKey);
  const { filled, complete } = await fill(inputs, selection, entry, workDirectory);
  core.setOutput('cache-hit', String(complete && matchedKey === inputs.key));
  return filled;
}

/** Decides what of a restored entry goes where, and says what does not. */
async function select(inputs: InjectRequest, entry: string, key: string): Promise<Selection> {
  const manifest = await readManifest(entry).catch((error: unknown) => {
    throw new Error(`The saved entry ${key} cannot be used: ${messageOf(error)}.`);
  });
  const mounts = manifest.mounts.flatMap(({ mount, archive }) => (archive ? mount : []));
  await writeState({ ...stateOf(inputs), restored: { key, mounts } });
  const selection = selectArchives(inputs.mounts, manifest);
  if (selection.unnamed.length > 0) {
    core.info(`Saved, but not named any more: ${selection.unnamed.map(describeMount).join(', ')}`);
  }
  return selection;
}

/** Unpacks the archives into their mounts and prints what became of each mount. */
async function fill(
  inputs: InjectRequest,
  { fillings, unsaved }: Selection,
  entry: string,
  workDirectory: string,
): Promise<Injection> {
  const damage = await Promise.all(fillings.map(({ archive }) => findDamage(entry, archive)));
  const whole = fillings.filter((_, index) => damage[index] === undefined);
  const rows: MountRow[] = [];
  for (const [index, { mount }] of fillings.entries()) {
    const problem = damage[index];
    if (problem !== undefined) {
      core.warning(`The cache mount ${describeMount(mount)} was left out: ${problem}.`);
      rows.push({ mount, state: 'left out' });
    }
  }
  const reports =
    whole.length > 0
      ? await unpack(inputs, whole, entry, workDirectory)
      : new Map<number, MountReport>();
  rows.push(...whole.map((filling) => rowOf(filling, reports.get(filling.index))));
  rows.push(...unsaved.map((mount) => ({ mount, state: 'not saved yet' })));
  logRows(rows);
  const count = (result: MountReport['result']) =>
    [...reports.values()].filter((report) => report.result === result).length;
  return {
    filled: count('unpacked'),
    complete: fillings.length > 0 && count('unpacked') + count('warm') === fillings.length,
  };
}

async function unpack(
  inputs: InjectRequest,
  fillings: readonly Filling[],
  entry: string,
  workDirectory: string,
): Promise<ReadonlyMap<number, MountReport>> {
  const builder = await inspectNamedBuilder(inputs);
  const toolkit = await chooseToolkit(builder.platforms, inputs.utilityImage, {
    allOf: [...new Set(fillings.map(({ archive }) => archive.compression))],
  });
  logBuilder(builder, toolkit);
  for (const filling of fillings) {
    await placeArchive(entry, filling, archivesDirectory(workDirectory));
  }
  const { reports } = await core.group('Unpack into the builder', () =>
    runScratchBuild({
      workDirectory,
      builder,
      toolkit,
      script: unpackScript,
      mounts: fillings.map(({ index, mount, archive }) => ({
        index,
        mount,
        argument: archiveFileName(index, archive.compression),
      })),
      withArchives: true,
      seedStages: inputs.seedStages,
    }),
  );
  return reports;
}

async function inspectNamedBuilder({ builder, mountInputs }: InjectInputs): Promise<Builder> {
  try {
    return await inspectBuilder(builder, mountInputs.platforms?.[0]);
  } catch (error) {
    if (!(error instanceof NoSuchBuilderError)) throw error;
    throw new InputError(
      `Input builder: ${error.message} Put docker/setup-buildx-action before this step and pass its output "name".`,
    );
  }
}

function rowOf({ mount, archive }: Filling, report: MountReport | undefined): MountRow {
  const name = describeMount(mount);
  switch (report?.result) {
    case 'unpacked':
      return { mount, state: 'restored', archive, seconds: report.seconds };
    case 'warm':
      return { mount, state: 'already warm, left as it is' };
    case 'unusable':
      core.warning(`The cache mount ${name} was left out: there is no ${report.missing}.`);
      return { mount, state: 'left out' };
    default:
      core.warning(
        `The cache mount ${name} was left empty: unpacking failed. The log above says why; often the builder's disk is full.`,
      );
      return { mount, state: 'left empty' };
  }
}

function stateOf(inputs: InjectRequest): InjectState {
  const { key, mounts, builder, utilityImage, seedStages, mountInputs } = inputs;
  const platform = mountInputs.platforms?.[0];
  return { key, mounts, builder, utilityImage, seedStages, platform };
}
