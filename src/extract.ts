import { join } from 'node:path';
import * as core from '@actions/core';
import { storeArchive, writeManifest } from './archive.js';
import { compareRecords, parseRecords } from './builder-records.js';
import { type Builder, inspectBuilder, listCacheMounts } from './buildx.js';
import { type CacheMount, describeMount, identityOf } from './cache-mount.js';
import { packScript } from './container-scripts.js';
import { messageOf } from './errors.js';
import { type ExtractRequest, resolveRequest } from './extract-request.js';
import { formatBytes } from './format.js';
import { readExtractInputs } from './inputs.js';
import { logBuilder, logMounts, logRows, type MountRow } from './log.js';
import type { SavedMount } from './manifest.js';
import { listMounts, type MountList } from './mount-list.js';
import type { MountReport } from './report.js';
import { runScratchBuild, type ScratchBuildResult } from './scratch-build.js';
import { type InjectState, readStates, removeState } from './state.js';
import { runStep } from './step.js';
import { isSaved, type SaveResult, save, storedDirectoryName } from './store.js';
import { chooseToolkit } from './toolkit.js';

const failedState = 'failed';

await runStep(async (workDirectory) => {
  core.setOutput('saved', 'false');
  let state: InjectState | undefined;
  try {
    const inputs = readExtractInputs();
    const request = resolveRequest(inputs, await readStates());
    state = request.state;
    const list = request.mounts
      ? { mounts: request.mounts, seedStages: request.state?.seedStages, notices: [], warnings: [] }
      : await listMounts(inputs.mountInputs);
    logMounts(list);
    const result = await extract({ ...request, ...list }, workDirectory);
    core.setOutput('saved', String(result.saved));
    if (!result.saved) core.setOutput('reason', result.why);
  } catch (error) {
    core.setOutput('reason', messageOf(error));
    throw error;
  } finally {
    if (state) await removeState(state);
  }
});

type Request = ExtractRequest & Pick<MountList, 'mounts' | 'seedStages'>;

interface Packed extends ScratchBuildResult {
  /** The mounts that were there to pack. */
  readonly mounts: readonly CacheMount[];
}

/** Takes the mounts out of the builder and saves them. */
async function extract(request: Request, workDirectory: string): Promise<SaveResult> {
  const { key, mounts } = request;
  const entry = join(workDirectory, storedDirectoryName);
  if (mounts.length === 0) return { saved: false, why: 'there are no cache mounts' };
  if (await core.group('Look up the key', () => isSaved(entry, key))) {
    return skip(request);
  }
  const packed = await pack(request, workDirectory);
  const { saved, rows } = await collect(packed, entry);
  logRows(rows);
  if (rows.some(({ state }) => state === failedState)) {
    return refuse('a mount could not be packed, and an entry without it would hide it for good');
  }
  const lost = findLost(request, saved);
  if (lost.length > 0) {
    return refuse(
      `${lost.map(describeMount).join(', ')} was restored and is empty or gone now, and an entry without it would hide what is saved. The builder has dropped it (no-cache, low disk), or the build has emptied it; then use another key prefix`,
    );
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

/** The mounts that inject had filled and that hold nothing any more. */
function findLost({ mounts, state }: Request, saved: readonly SavedMount[]): CacheMount[] {
  const held = new Set(saved.flatMap(({ mount, archive }) => (archive ? identityOf(mount) : [])));
  const restored = new Set(state?.restored?.mounts.map(identityOf));
  return mounts.filter((mount) => {
    const identity = identityOf(mount);
    return restored.has(identity) && !held.has(identity);
  });
}

function skip({ key, mounts, state }: Request): SaveResult {
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

async function pack(request: Request, workDirectory: string): Promise<Packed> {
  const builder = await inspectBuilder(request.builder, request.platform);
  const mounts = await knownMounts(request.mounts, builder);
  if (mounts.length === 0) return { mounts, reports: new Map(), directory: workDirectory };
  const toolkit = await chooseToolkit(builder.platforms, request.utilityImage, {
    anyOf: ['zstd', 'gzip'],
  });
  logBuilder(builder, toolkit);
  const result = await core.group('Pack out of the builder', () =>
    runScratchBuild({
      workDirectory,
      builder,
      toolkit,
      script: packScript,
      mounts: mounts.map((mount, index) => ({ index, mount, argument: String(index) })),
      withArchives: false,
      seedStages: request.seedStages,
    }),
  );
  return { mounts, ...result };
}

/**
 * Leaves out the mounts that the builder does not have (our own build would make them, empty), and
 * says what is odd about the others.
 */
async function knownMounts(
  mounts: readonly CacheMount[],
  builder: Builder,
): Promise<readonly CacheMount[]> {
  try {
    const records = parseRecords(await listCacheMounts(builder));
    const { known, warnings, information } = compareRecords(mounts, records, builder.name);
    for (const warning of warnings) core.warning(warning);
    for (const line of information) core.info(line);
    return known;
  } catch (error) {
    core.info(
      `The cache mounts of the builder cannot be listed (${messageOf(error)}): not checked.`,
    );
    return mounts;
  }
}

/** Gathers the archives into an entry. */
async function collect(
  { mounts, reports, directory }: Packed,
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
