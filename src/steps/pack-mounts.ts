import { join } from 'node:path';
import { addressBuilder, type BuilderAddress } from '../builder/builder-address.js';
import { type Builder, inspectBuilder, NoSuchBuilderError } from '../builder/buildx.js';
import { excludePrograms, packedFileName, streamPrograms } from '../builder/in-builder/scripts.js';
import { listRecords, whyUnlisted } from '../builder/list-records.js';
import type { MountReport } from '../builder/mount-report.js';
import { putOut } from '../builder/put-out.js';
import { whyNotPushing } from '../builder/registry-access.js';
import {
  addRunnerTools,
  chooseToolkit,
  gatherRunnerTools,
  type RunnerTools,
} from '../builder/runner-programs.js';
import {
  removeTraces,
  runScratchBuild,
  type ScratchBuildOptions,
  toolsDirectory,
} from '../builder/scratch-build.js';
import type { ScratchMount } from '../builder/scratch-dockerfile.js';
import { whyNotWith } from '../builder/stream/reach.js';
import { tellDetour } from '../builder/stream/straight-build.js';
import { logStage } from '../console/log.js';
import { archivesOf } from '../entry/manifest.js';
import { parseImageName } from '../entry/stores/registry-index.js';
import type { PushArchives } from '../entry/stores/store.js';
import { messageOf } from '../lib/errors.js';
import { type CacheMount, describeMount, identityOf } from '../mounts/cache-mount.js';
import { type ConfirmedBuild, findFilledBuilder, startEarlyBuild } from './early-build.js';
import type { PackRequest } from './extract-request.js';
import { type FoundMount, findMounts, type Records, tellOfRecords } from './found-mounts.js';
import { takeTools } from './handover.js';
import { logBuilder } from './result-table.js';

export interface PackResult {
  readonly mounts: readonly PackedMount[];
  /** What the builder has said of its cache mounts before the build. */
  readonly records: Records;
  /** Holds the files that the build has put out; undefined: the archives are in the builder. */
  readonly directory: string | undefined;
  /** Pushes archives that are in the builder; undefined: there are none. */
  readonly push?: PushArchives;
  /**
   * Sees to it that the builder has no copy of the archives any more, when they are saved. Never
   * fails.
   */
  tidy(): Promise<void>;
}

/** A mount, with the build's report on it. */
export interface PackedMount extends FoundMount {
  /** Undefined if the build has not come to it. */
  readonly report: MountReport | undefined;
}

/**
 * Packs the mounts that the builder has. The others are left out, because our own build would make
 * them.
 *
 * @throws Error if nothing was packed
 */
export async function pack(request: PackRequest, workDirectory: string): Promise<PackResult> {
  const { surroundings, builder: name, state } = request;
  const filledOn = findFilledBuilder(request);
  // These run at once, because none needs the result of another.
  const listing = filledOn && filledOn.nodes > 1 ? undefined : listAt(request, { name });
  const directory = toolsDirectory(workDirectory);
  const [gathered, first] = await Promise.all([
    gatherTools(request, directory),
    filledOn ?? inspectAsked(request),
  ]);
  const further = listFurther(request, first);
  const tools = await addRunnerTools(surroundings, gathered, directory, further);
  const address = await addressBuilder(name, first, surroundings, join(workDirectory, 'buildx'));
  const plan = (builder: Builder, mounts: readonly FoundMount[]) =>
    planBuild(request, workDirectory, tools, builder, address, mounts);
  const early = filledOn && (await startEarlyBuild(request, filledOn, plan));
  const isNode = address.configuration !== undefined;
  const unlisted = whyUnlisted(first, address);
  const records = unlisted ?? (await (isNode || !listing ? listAt(request, address) : listing));
  const mounts = findMounts(request, records);
  const confirmed = early?.confirm(mounts);
  const builder = confirmed || !filledOn ? first : await inspectAsked(request);
  tellOfRecords(request, records, builder.name);
  if (!mounts.some(({ exists }) => exists)) {
    const packed = mounts.map((mount) => ({ ...mount, report: undefined }));
    return { mounts: packed, records, directory: workDirectory, tidy: async () => undefined };
  }
  const options = plan(builder, mounts);
  logBuilder(builder, options.toolkit);
  if (request.keepsImages) {
    return { ...(await packToStay(options, mounts, confirmed, request, builder)), records };
  }
  const obstacle = whyNot(request, builder);
  if (obstacle !== undefined) tellDetour(obstacle);
  // What went straight is in no copy, and inject's programs are of use to this build.
  const hasTraces = state?.restored !== undefined && obstacle !== undefined;
  const built = await build(options, mounts, confirmed, hasTraces);
  return { ...built, records };
}

async function listAt(
  { surroundings, mounts }: PackRequest,
  address: BuilderAddress,
): Promise<Records> {
  return listRecords(surroundings, address, mounts).catch(messageOf);
}

/** @throws Error, with the remedy, if there is no such builder */
async function inspectAsked(request: PackRequest): Promise<Builder> {
  const { surroundings, builder, platform, state } = request;
  try {
    const found = await inspectBuilder(surroundings, builder, platform);
    const obstacle = request.keepsImages && (await whyNotPushing(surroundings, found));
    if (obstacle) throw new Error(`Nothing was saved: ${obstacle}`);
    return found;
  } catch (error) {
    if (!(error instanceof NoSuchBuilderError) || builder !== state?.foundBuilder) throw error;
    throw new Error(
      `${messageOf(error)} It was there when inject ran, and is gone. Put this step before the one that removes it, and inject, or the single step, behind docker/setup-buildx-action: post steps run in reverse order.`,
    );
  }
}

/** @param hasTraces whether inject has left copies of archives on the builder */
async function build(
  options: ScratchBuildOptions,
  mounts: readonly FoundMount[],
  confirmed: ConfirmedBuild | undefined,
  hasTraces: boolean,
): Promise<Omit<PackResult, 'records'>> {
  const { surroundings, builder } = options;
  // The larger they are, the longer it takes to remove them. So this runs beside the build.
  const tidiedBefore = hasTraces ? removeTraces(surroundings, builder) : undefined;
  const { reports, directory } = await logStage('Pack out of the builder', () =>
    confirmed ? confirmed.run() : runScratchBuild(options),
  );
  const packed = mounts.map((mount) => ({ ...mount, report: reports.get(mount.index) }));
  // If this build puts out no archive, it leaves just the programs that it has run.
  const isTidy = tidiedBefore && !packed.some(hasArchive);
  const tidied = isTidy ? tidiedBefore : removeTraces(surroundings, builder);
  return { mounts: packed, directory, tidy: () => tidied };
}

/** Packs archives that stay in the builder, which can push them until its traces are removed. */
async function packToStay(
  options: ScratchBuildOptions,
  mounts: readonly FoundMount[],
  confirmed: ConfirmedBuild | undefined,
  { state }: PackRequest,
  { driver }: Builder,
): Promise<Omit<PackResult, 'records'>> {
  const { surroundings, builder } = options;
  const { reports, repeatable } = await logStage('Pack out of the builder', () =>
    confirmed ? confirmed.run() : runScratchBuild(options),
  );
  const packed = mounts.map((mount) => ({ ...mount, report: reports.get(mount.index) }));
  const pulled = (state?.restored?.mounts ?? []).flatMap(archivesOf);
  const digests = pulled.flatMap(({ entryKey }) => parseImageName(entryKey)?.digest ?? []);
  let tidied: Promise<void> | undefined;
  const tidy = () => {
    tidied ??= removeTraces(surroundings, builder, digests);
    return tidied;
  };
  const push: PushArchives = async (reference, wanted) => {
    if (!repeatable) throw new Error('the builder has packed nothing');
    const files = wanted.map((mount) => nameOfPacked(packed, mount));
    const pushed = await putOut(repeatable, { reference, byDigest: driver !== 'docker' }, files);
    // While the index is written, which is all that is missing.
    void tidy();
    return pushed;
  };
  return { mounts: packed, directory: undefined, push, tidy };
}

/** The name of a mount's archive in the output of the build. */
function nameOfPacked(packed: readonly PackedMount[], mount: CacheMount): string {
  const identity = identityOf(mount);
  const { index, report } = packed.find((each) => identityOf(each.mount) === identity) ?? {};
  if (index === undefined || (report?.result !== 'packed' && report?.result !== 'changed')) {
    throw new Error(`the cache mount ${describeMount(mount)} was not packed`);
  }
  return packedFileName(index, report.compression);
}

function hasArchive({ report }: PackedMount): boolean {
  return report?.result === 'packed' || report?.result === 'changed';
}

/** The reason why no archive can come straight from the builder, as far as it is known. */
function whyNot(request: PackRequest, builder: Builder): string | undefined {
  const isUnreachable = request.state?.restored?.filled?.isUnreachable;
  return (
    (request.keepsImages ? 'the builder itself pushes them' : undefined) ??
    whyNotWith(request, builder) ??
    (request.state?.isStreamOff ? 'the input stream of inject is false' : undefined) ??
    (isUnreachable ? 'inject could not send them straight either' : undefined)
  );
}

function planBuild(
  request: PackRequest,
  workDirectory: string,
  tools: RunnerTools,
  builder: Builder,
  address: BuilderAddress,
  mounts: readonly FoundMount[],
): ScratchBuildOptions {
  const { surroundings, utilityImage, compressionLevel, seedStages, deadline } = request;
  return {
    surroundings,
    workDirectory,
    builder: address,
    toolkit: chooseToolkit(tools, builder.platforms, utilityImage, { anyOf: ['zstd', 'gzip'] }),
    script: 'pack',
    mounts: mounts.flatMap((mount) =>
      mount.exists ? scratchMountOf(mount, compressionLevel) : [],
    ),
    withArchives: false,
    seedStages,
    stays: request.keepsImages,
    deadline,
    straight: whyNot(request, builder) === undefined ? 'packed' : undefined,
  };
}

/** A mount, with the argument that the script gets for it. */
function scratchMountOf(
  { index, mount, allowance, exclusion }: FoundMount,
  compressionLevel: number,
): ScratchMount {
  const { changes } = allowance;
  const limits = changes ? [changes.bytes, changes.snapshotId] : [];
  const argument = [index, compressionLevel, ...limits].join(':');
  const exclude = exclusion?.script;
  return { index, mount, argument, exclude, withSnapshot: changes !== undefined };
}

/** The programs that only some builds need. */
function listFurther(request: PackRequest, builder: Builder): string[] {
  return [
    ...(request.exclude.length > 0 ? excludePrograms : []),
    ...(whyNot(request, builder) === undefined ? streamPrograms : []),
  ];
}

/** The programs that inject has copied, or else copies of the runner's. */
async function gatherTools(
  { surroundings, state }: PackRequest,
  directory: string,
): Promise<RunnerTools> {
  const tools = state?.restored?.filled?.tools;
  const isThere = state && tools && (await takeTools(surroundings, state.key, directory));
  return isThere ? tools : gatherRunnerTools(surroundings, directory);
}
