import { join } from 'node:path';
import * as core from '@actions/core';
import { type Filling, findDamage, readManifest, selectArchives } from './archive.js';
import { describeMount, identityOf } from './cache-mount.js';
import { InputError, messageOf } from './errors.js';
import { formatBytes } from './format.js';
import { readInjectInputs } from './inputs.js';
import { logMounts, logRows, logStage, logText, type MountRow } from './log.js';
import type { Manifest } from './manifest.js';
import { listMounts } from './mount-list.js';
import type { MountReport } from './report.js';
import { type InjectState, type RestoredMount, writeState } from './state.js';
import { runStep, withinTime } from './step.js';
import { restore, storedDirectoryName } from './store.js';
import { type InjectRequest, unpack } from './unpack.js';

interface Injection {
  /** How many mounts were filled. */
  readonly filled: number;
  /** All of the entry that was named could be used. */
  readonly complete: boolean;
}

await runStep(async (makeWorkDirectory) => {
  const inputs = readInjectInputs();
  core.setOutput('cache-hit', 'false');
  core.setOutput('cache-primary-key', inputs.key);
  const list = await listMounts(inputs.mountInputs);
  logMounts(list);
  let filled = 0;
  try {
    const workDirectory = await makeWorkDirectory();
    filled = await withinTime(inputs.timeout, () => inject({ ...inputs, ...list }, workDirectory));
  } catch (error) {
    if (error instanceof InputError || !inputs.failOnCacheMiss) throw error;
    core.warning(messageOf(error));
  }
  if (inputs.failOnCacheMiss && filled === 0) {
    throw new InputError('No cache mount was filled, and fail-on-cache-miss is set.');
  }
});

/** Restores the saved mounts into the builder; tells how many were filled. */
async function inject(request: InjectRequest, workDirectory: string): Promise<number> {
  if (request.mounts.length === 0) return 0;
  await writeState(stateOf(request));
  const entry = join(workDirectory, storedDirectoryName);
  const { key, isRestored } = await logStage('Restore from the cache', () =>
    restore(entry, request.key, request.restoreKeys),
  );
  if (key === undefined) {
    logText(`Nothing was found for the key ${request.key}: the build starts cold.`);
    return 0;
  }
  core.setOutput('cache-matched-key', key);
  if (!isRestored) {
    throw new Error(
      `The saved entry ${key} could not be restored (the log says why): the build starts cold.${remedy(request, key)}`,
    );
  }
  logText(
    key === request.key
      ? `Found the entry ${key}.`
      : `Found the entry ${key}, whose key begins with a restore key or with the key; nothing is saved for just the key ${request.key} yet.`,
  );
  const manifest = await readManifest(entry).catch((error: unknown) => {
    throw new Error(
      `The saved entry ${key} cannot be used: ${messageOf(error)}.${remedy(request, key)}`,
    );
  });
  const { filled, complete } = await fill(request, { entry, key, manifest }, workDirectory);
  core.setOutput('cache-hit', String(complete && key === request.key));
  return filled;
}

/** What to do about a damaged entry: no later extract can save its key again. */
function remedy(request: InjectRequest, key: string): string {
  return key === request.key
    ? ` A saved key is never changed: if the entry is damaged, delete it, and the next run saves it anew: gh cache delete '${key.replaceAll("'", "'\\''")}'`
    : '';
}

/** Unpacks what is whole of a restored entry into its mounts, and prints what became of each. */
async function fill(
  request: InjectRequest,
  restored: { readonly entry: string; readonly key: string; readonly manifest: Manifest },
  workDirectory: string,
): Promise<Injection> {
  const { entry, key, manifest } = restored;
  const { fillings, unsaved, unnamed } = selectArchives(request.mounts, manifest);
  if (unnamed.length > 0) {
    logText(`Saved, but not named any more: ${unnamed.map(describeMount).join(', ')}`);
  }
  const damage = await Promise.all(fillings.map(({ archive }) => findDamage(entry, archive)));
  const whole = fillings.filter((_, index) => damage[index] === undefined);
  const damaged = fillings.filter((_, index) => damage[index] !== undefined);
  for (const [index, { mount }] of fillings.entries()) {
    if (damage[index] === undefined) continue;
    core.warning(
      `The cache mount ${describeMount(mount)} was left out: ${damage[index]}.${remedy(request, key)}`,
    );
  }
  const mounts = listRestored(manifest, damaged);
  await writeState({ ...stateOf(request), restored: { key, mounts } });
  const { reports, recordsOf } = await unpack(request, whole, entry, workDirectory);
  await writeState({
    ...stateOf(request),
    restored: { key, mounts: mounts.map((each) => ({ ...each, records: recordsOf(each.mount) })) },
  });
  logRows([
    ...damaged.map(({ mount }) => ({ mount, state: 'left out' })),
    ...whole.map((filling) => rowOf(filling, reports.get(filling.index))),
    ...unsaved.map((mount) => ({ mount, state: 'not saved yet' })),
  ]);
  const count = (result: MountReport['result']) =>
    [...reports.values()].filter((report) => report.result === result).length;
  return {
    filled: count('unpacked'),
    complete: fillings.length > 0 && count('unpacked') + count('warm') === fillings.length,
  };
}

function listRestored(manifest: Manifest, damaged: readonly Filling[]): RestoredMount[] {
  const unusable = new Set(damaged.map(({ mount }) => identityOf(mount)));
  return manifest.mounts.flatMap(({ mount, archive }) =>
    archive === undefined || unusable.has(identityOf(mount)) ? [] : { mount, archive },
  );
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
    case 'full':
      core.warning(
        `The cache mount ${name} was left out: it needs ${formatBytes(archive.bytes)}, and the builder's disk has ${formatBytes(report.available)} free.`,
      );
      return { mount, state: 'left out' };
    default:
      core.warning(
        `The cache mount ${name} was left empty: unpacking failed. The log above says why; often the builder's disk is full.`,
      );
      return { mount, state: 'left empty' };
  }
}

function stateOf(request: InjectRequest): InjectState {
  const { key, mounts, builder, utilityImage, seedStages, mountInputs } = request;
  const platform = mountInputs.platforms?.[0];
  return { key, mounts, builder, utilityImage, seedStages, platform };
}
