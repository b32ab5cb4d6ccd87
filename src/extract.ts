import { join } from 'node:path';
import * as core from '@actions/core';
import { storeArchive, writeManifest } from './archive.js';
import { inspectBuilder } from './buildx.js';
import { type CacheMount, describeMount, identityOf } from './cache-mount.js';
import { packScript } from './container-scripts.js';
import { messageOf } from './errors.js';
import { type ExtractRequest, resolveRequest } from './extract-request.js';
import { formatBytes } from './format.js';
import { readExtractInputs } from './inputs.js';
import { logBuilder, logMounts, logRows, type MountRow } from './log.js';
import type { SavedMount } from './manifest.js';
import type { MountReport } from './report.js';
import { runScratchBuild, type ScratchBuildResult } from './scratch-build.js';
import { readStates, removeState } from './state.js';
import { runStep } from './step.js';
import { isSaved, type SaveResult, save, storedDirectoryName } from './store.js';
import { chooseToolkit } from './toolkit.js';

const failedState = 'failed';

await runStep(async (workDirectory) => {
  core.setOutput('saved', 'false');
  const inputs = readExtractInputs();
  const request = resolveRequest(inputs, await readStates());
  for (const notice of inputs.notices) {
    core.notice(notice);
  }
  try {
    const result = await extract(request, workDirectory);
    core.setOutput('saved', String(result.saved));
    if (!result.saved) core.setOutput('reason', result.why);
  } catch (error) {
    core.setOutput('reason', messageOf(error));
    throw error;
  } finally {
    if (request.state) await removeState(request.state);
  }
});

/** Takes the mounts out of the builder and saves them. */
async function extract(request: ExtractRequest, workDirectory: string): Promise<SaveResult> {
  const { key, mounts } = request;
  const entry = join(workDirectory, storedDirectoryName);
  logMounts(mounts);
  if (await core.group('Look up the key', () => isSaved(entry, key))) {
    return skip(request);
  }
  const packed = await pack(request, workDirectory);
  const { saved, rows } = await collect(mounts, packed, entry);
  logRows(rows);
  if (rows.some(({ state }) => state === failedState)) {
    return refuse('a mount could not be packed, and an entry without it would hide it for good');
  }
  const archives = saved.flatMap(({ archive }) => archive ?? []);
  if (archives.length === 0) {
    return refuse(
      'no mount holds any file; check that the build ran, on this builder, and that the mounts are named as in the Dockerfile',
    );
  }
  await writeManifest(entry, saved);
  const result = await core.group('Save to the cache', () => save(entry, key));
  if (!result.saved) {
    return refuse(result.why);
  }
  const total = archives.reduce((sum, { compressedBytes }) => sum + compressedBytes, 0);
  core.info(`Saved ${formatBytes(total)} under the key ${key}.`);
  return result;
}

function skip({ key, mounts, state }: ExtractRequest): SaveResult {
  core.info(`The key ${key} is saved already, nothing to do.`);
  if (state?.restored?.key === key) {
    const held = new Set(state.restored.mounts.map(identityOf));
    const lacking = mounts.filter((mount) => !held.has(identityOf(mount)));
    if (lacking.length > 0) {
      core.warning(
        `The saved entry ${key} lacks ${lacking.map(describeMount).join(', ')}, and a saved key is never changed. Use a key that changes with the Dockerfile: add \${{ hashFiles('Dockerfile') }} to it.`,
      );
    }
  }
  return { saved: false, why: 'the key is saved already' };
}

function refuse(why: string): SaveResult {
  core.warning(`Nothing was saved: ${why}.`);
  return { saved: false, why };
}

async function pack(request: ExtractRequest, workDirectory: string): Promise<ScratchBuildResult> {
  const builder = await inspectBuilder(request.builder);
  const toolkit = await chooseToolkit(builder.platforms, request.utilityImage, {
    anyOf: ['zstd', 'gzip'],
  });
  logBuilder(builder, toolkit);
  return core.group('Pack out of the builder', () =>
    runScratchBuild({
      workDirectory,
      builder,
      toolkit,
      script: packScript,
      mounts: request.mounts.map((mount, index) => ({ index, mount, argument: String(index) })),
      withArchives: false,
    }),
  );
}

/** Gathers the archives into an entry. */
async function collect(
  mounts: readonly CacheMount[],
  { reports, directory }: ScratchBuildResult,
  entry: string,
): Promise<{ saved: SavedMount[]; rows: MountRow[] }> {
  const saved: SavedMount[] = [];
  const rows: MountRow[] = [];
  for (const [index, mount] of mounts.entries()) {
    const report = reports.get(index);
    if (report?.result === 'packed') {
      const archive = await storeArchive(directory, index, report, entry);
      saved.push({ mount, archive });
      rows.push({ mount, state: 'packed', archive, seconds: report.seconds });
    } else if (report?.result === 'empty') {
      saved.push({ mount });
      rows.push({ mount, state: 'empty' });
    } else {
      core.warning(`The cache mount ${describeMount(mount)} could not be packed${why(report)}.`);
      rows.push({ mount, state: failedState });
    }
  }
  return { saved, rows };
}

function why(report: MountReport | undefined): string {
  return report?.result === 'unusable'
    ? `: there is no ${report.missing}`
    : ' (the log above says why)';
}
