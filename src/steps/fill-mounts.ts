import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { addressBuilder, type BuilderAddress } from '../builder/builder-address.js';
import { type Builder, inspectBuilder, NoSuchBuilderError } from '../builder/buildx.js';
import { streamPrograms } from '../builder/in-builder/scripts.js';
import type { MountReport } from '../builder/mount-report.js';
import type { OtherMount } from '../builder/records.js';
import { accessRegistries } from '../builder/registry-access.js';
import {
  addRunnerTools,
  chooseToolkit,
  gatherRunnerTools,
  type RunnerTools,
} from '../builder/runner-programs.js';
import { toolsDirectory } from '../builder/scratch-build.js';
import type { ScratchMount } from '../builder/scratch-dockerfile.js';
import { whyNotWith } from '../builder/stream/reach.js';
import { logStage } from '../console/log.js';
import type { SeedStages } from '../dockerfile/stages.js';
import type { ArchivesForMount } from '../entry/archive.js';
import { type Compression, totalOf } from '../entry/manifest.js';
import type { OpenEntry } from '../entry/open-entry.js';
import type { StoreLocation } from '../entry/stores/open-store.js';
import type { Store } from '../entry/stores/store.js';
import type { KeyHashes } from '../inputs/generated-key.js';
import { InputError } from '../lib/errors.js';
import type { Surroundings } from '../lib/surroundings.js';
import { moveFile } from '../lib/work-directory.js';
import type { CacheMount } from '../mounts/cache-mount.js';
import type { LeftOutMount, MountOfGap } from '../mounts/gap.js';
import { type EarlyUnpack, startEarlyUnpack } from './early-unpack.js';
import { type FilledMounts, keepTools, keptArchives } from './handover.js';
import { listPulled, type PulledBuildResult, pullAndUnpack } from './pull-archives.js';
import { logBuilder, type MountOutcome } from './result-table.js';
import { sendAndUnpack, type UnpackBuildResult } from './send-archives.js';
import { findOwn, type ThisJob } from './this-job.js';

/** The task of inject when its mounts are known. */
export interface InjectRequest {
  readonly surroundings: Surroundings;
  readonly job: ThisJob;
  readonly key: string;
  readonly restoreKeys: readonly string[];
  /** Undefined: the key was given. */
  readonly hashes: KeyHashes | undefined;
  readonly mounts: readonly CacheMount[];
  /** The stages that some of the mounts start from. */
  readonly seedStages: SeedStages | undefined;
  /** Mounts of stages that were not asked for. */
  readonly others: readonly OtherMount[];
  /** What may be the matter if the builder has other mounts. */
  readonly hint: string | undefined;
  /** The mounts that could not be found. */
  readonly leftOut: readonly LeftOutMount[];
  /** Those of the mounts of which only a base image tells the id. */
  readonly ofGaps: readonly MountOfGap[];
  /** When the mounts were listed, in milliseconds since the epoch. */
  readonly listedAt: number;
  readonly builder: string | undefined;
  /** The first of the platforms that are built for, if it was given. */
  readonly platform: string | undefined;
  readonly utilityImage: string | undefined;
  /** Whether to prepare for an extract that saves deltas. */
  readonly incremental: boolean;
  /** Whether archives may go straight to the builder. */
  readonly stream: boolean;
  /** When the step gives up, in milliseconds since the epoch. */
  readonly deadline: number;
  readonly storeLocation: StoreLocation | undefined;
  /** The store at that location. */
  readonly store: Store;
}

export interface UnpackResult {
  /** By the mount's index. */
  readonly reports: ReadonlyMap<number, MountReport>;
  readonly filled?: FilledMounts;
  /** The mounts of which an image is gone from the registry. */
  readonly gone: readonly MountOutcome[];
}

type AnyBuildResult = UnpackBuildResult & Partial<PulledBuildResult>;

/** All that can be prepared before it is known what there is to unpack. */
export interface ReadyBuilder {
  readonly builder: Builder;
  readonly address: BuilderAddress;
  readonly tools: RunnerTools;
  /** Undefined: the build cannot be started yet. To be cancelled, whether it was run or not. */
  readonly early: EarlyUnpack | undefined;
}

/** @throws InputError if the builder that is named does not exist; Error if there is none */
export async function prepare(
  request: InjectRequest,
  workDirectory: string,
): Promise<ReadyBuilder> {
  const { surroundings } = request;
  const directory = toolsDirectory(workDirectory);
  const [builder, tools] = await Promise.all([
    inspectNamedBuilder(request),
    gatherRunnerTools(surroundings, directory),
  ]);
  const { keepsImages } = request.store;
  const isStreamed = !keepsImages && whyNotWith(request, builder) === undefined;
  const further = isStreamed ? streamPrograms : [];
  const all = await addRunnerTools(surroundings, tools, directory, further);
  const configuration = join(workDirectory, 'buildx');
  const address = await addressBuilder(request.builder, builder, surroundings, configuration);
  // What is wrong, the build that is started later tells. Which images it needs, the entry tells.
  const early = keepsImages
    ? undefined
    : await startEarlyUnpack(request, builder, address, all, workDirectory).catch(() => undefined);
  return { builder, address, tools: all, early };
}

/**
 * Unpacks archives of an entry into their mounts. However that ends, the archives are then in the
 * directory in which extract looks for them. It saves them again for a mount that it finds empty.
 *
 * @throws Error if nothing was unpacked, and the errors of {@link prepare}
 */
export async function unpack(
  request: InjectRequest,
  toUnpack: readonly ArchivesForMount[],
  ready: Promise<ReadyBuilder>,
  entry: OpenEntry,
  workDirectory: string,
): Promise<UnpackResult> {
  if (toUnpack.length === 0) return { reports: new Map(), gone: [] };
  const { surroundings, builder: asked, deadline } = request;
  const isPulled = entry.directory === undefined;
  await keepArchives(request, toUnpack, entry);
  // Extract saves nothing under a key that is saved already.
  const isFinal = request.store.isLasting && entry.key === request.key;
  const snapshotId = request.incremental && !isFinal ? randomUUID() : undefined;
  const { builder, address, tools, early } = await ready;
  const allOf = listCompressions(toUnpack);
  const toolkit = chooseToolkit(tools, builder.platforms, request.utilityImage, { allOf });
  logBuilder(builder, toolkit);
  const own = await findOwn(request, builder, address, toUnpack);
  const options = {
    ...{ surroundings, workDirectory, builder: address, toolkit, script: 'unpack' as const },
    mounts: toUnpack.map((each) => ({
      ...scratchMountOf(each, snapshotId, own.has(each.index)),
      ...(isPulled && { pulled: listPulled(each) }),
    })),
    withArchives: !isPulled,
    seedStages: request.seedStages,
    deadline,
  };
  const built = await logStage('Unpack into the builder', (): Promise<AnyBuildResult> => {
    if (isPulled) return pullAndUnpack(options, toUnpack, accessRegistries(surroundings, asked));
    const kept = keptArchives(surroundings, request.key);
    return sendAndUnpack(options, toUnpack, kept, whyNotWith(request, builder), early?.run);
  });
  await keepTools(surroundings, request.key, toolsDirectory(workDirectory));
  const filled = { ...listFilled(toUnpack, built), builder, snapshotId, tools };
  return { reports: built.reports, filled, gone: built.gone ?? [] };
}

function listCompressions(toUnpack: readonly ArchivesForMount[]): readonly Compression[] {
  return [...new Set(toUnpack.flatMap(({ archives }) => archives.map((each) => each.compression)))];
}

function listFilled(
  toUnpack: readonly ArchivesForMount[],
  { reports, endedAt, isUnreachable }: UnpackBuildResult,
): Pick<FilledMounts, 'mounts' | 'added' | 'filledAt' | 'isUnreachable'> {
  const mountsThatAre = (result: MountReport['result']) =>
    toUnpack.filter((each) => reports.get(each.index)?.result === result).map(({ mount }) => mount);
  const [mounts, added] = [mountsThatAre('unpacked'), mountsThatAre('added')];
  return { mounts, added, filledAt: endedAt, isUnreachable };
}

/** Puts the archives into the directory in which extract looks for them. */
async function keepArchives(
  { surroundings, key }: InjectRequest,
  toUnpack: readonly ArchivesForMount[],
  { directory }: OpenEntry,
): Promise<void> {
  if (directory === undefined) return;
  for (const { file } of toUnpack.flatMap(({ archives }) => archives)) {
    await moveFile(join(directory, file), join(keptArchives(surroundings, key), file));
  }
}

/**
 * A mount, with the argument that the script gets for it.
 *
 * @param isOwn whether all that it holds is of this job
 */
function scratchMountOf(
  { index, mount, archives, isPartial }: ArchivesForMount,
  snapshotId: string | undefined,
  isOwn: boolean,
): ScratchMount {
  const { bytes } = totalOf(archives);
  const marks = [snapshotId ?? '', isOwn ? 'add' : '', isPartial ? 'partial' : ''];
  const argument = [index, bytes, ...marks].join(':').replace(/:+$/, '');
  return { index, mount, argument, withSnapshot: snapshotId !== undefined };
}

async function inspectNamedBuilder(request: InjectRequest): Promise<Builder> {
  try {
    return await inspectBuilder(request.surroundings, request.builder, request.platform);
  } catch (error) {
    if (!(error instanceof NoSuchBuilderError)) throw error;
    throw new InputError(
      `Input builder: ${error.message} Put docker/setup-buildx-action before this step and pass its output "name".`,
    );
  }
}
