import { type Builder, inspectBuilder } from '../builder/buildx.js';
import { listRecords } from '../builder/list-records.js';
import type { MountReport } from '../builder/mount-report.js';
import { type BuilderRecord, compareRecords, isNewer, isOlder } from '../builder/records.js';
import { chooseToolkit, gatherRunnerTools, type RunnerTools } from '../builder/runner-programs.js';
import {
  removeTraces,
  runScratchBuild,
  type ScratchBuildOptions,
  type ScratchBuildResult,
  startScratchBuild,
  toolsDirectory,
} from '../builder/scratch-build.js';
import type { ScratchMount } from '../builder/scratch-dockerfile.js';
import { whyNotStraight } from '../builder/stream/reach.js';
import { print, warn } from '../console/console.js';
import { logStage } from '../console/log.js';
import type { MountList } from '../discovery/mount-list.js';
import type { ExtractInputs } from '../inputs/read-inputs.js';
import { messageOf } from '../lib/errors.js';
import { type CacheMount, identityOf } from '../mounts/cache-mount.js';
import { type Allowance, findAllowance } from './changes.js';
import type { ExtractRequest } from './extract-request.js';
import { type InjectState, takeTools } from './handover.js';
import { logBuilder } from './result-table.js';

/** What extract has to do, and with which mounts. */
export type PackRequest = ExtractRequest &
  Pick<MountList, 'mounts' | 'seedStages'> &
  Pick<ExtractInputs, 'compressionLevel' | 'incremental' | 'stream'>;

export interface Packed extends Pick<ScratchBuildResult, 'reports' | 'directory'> {
  /** Whether the builder had the mount at all. */
  isKnown(mount: CacheMount): boolean;
  /** Whether the mount is another one than inject has filled. */
  isRemade(mount: CacheMount): boolean;
  /** Why all of it was packed, where that was decided before. */
  whyInFull(mount: CacheMount): string | undefined;
  /** Until the builder has no copy of the archives any more; never fails. */
  readonly tidied: Promise<void>;
}

/**
 * Packs the mounts out of the builder, those that it has: our own build would make the others.
 *
 * @throws Error where nothing was packed
 */
export async function pack(request: PackRequest, workDirectory: string): Promise<Packed> {
  const { mounts, builder: name, state } = request;
  const all = new Set(mounts.map(identityOf));
  const filledOn = findFilledBuilder(request);
  const inspect = () => inspectBuilder(name, request.platform);
  // None of these looks at what another finds.
  const listing = listRecords(name, mounts).catch(messageOf);
  const [tools, inspected] = await Promise.all([
    gatherTools(state, toolsDirectory(workDirectory)),
    filledOn ? undefined : inspect(),
  ]);
  const plan = (builder: Builder, known: Set<string>, same: Set<string>): ScratchBuildOptions => ({
    workDirectory,
    builder: name,
    toolkit: chooseToolkit(tools, builder.platforms, request.utilityImage, {
      anyOf: ['zstd', 'gzip'],
    }),
    script: 'pack',
    mounts: listToPack(request, known, same),
    withArchives: false,
    seedStages: request.seedStages,
    straight: request.stream && whyNotStraight(builder, process.env.DOCKER_HOST) === undefined,
  });
  // Most often the builder tells that all is as inject has left it: the build can be waiting for that.
  const waiting = filledOn && (await startScratchBuild(plan(filledOn, all, all)));
  const records = await listing;
  const same = listFilled(request, records, isOlder);
  // Where all of that is there still, it is the same builder, and to ask again takes time.
  const isSame = filledOn !== undefined && [...all].every((identity) => same.has(identity));
  if (!isSame) waiting?.cancel();
  const builder = inspected ?? (isSame ? filledOn : await inspect());
  const known = listKnown(request, records, builder);
  const remade = listFilled(request, records, isNewer);
  const about = {
    whyInFull: (mount: CacheMount) => allow(request, mount, same).whyInFull,
    isKnown: (mount: CacheMount) => known.has(identityOf(mount)),
    isRemade: (mount: CacheMount) => remade.has(identityOf(mount)),
  };
  if (known.size === 0) {
    const nothing = { reports: new Map(), directory: workDirectory };
    return { ...about, ...nothing, tidied: Promise.resolve() };
  }
  const options = plan(builder, known, same);
  logBuilder(builder, options.toolkit);
  // To remove what inject has left takes the builder as long as its archives are large: beside the build.
  const tidiedBefore = state?.restored ? removeTraces(name) : undefined;
  const { reports, directory } = await logStage('Pack out of the builder', () =>
    waiting && isSame ? waiting.run() : runScratchBuild(options),
  );
  // Without an archive, what this build leaves is just the programs that it has run.
  const isTidy = tidiedBefore && ![...reports.values()].some(hasArchive);
  const tidied = isTidy ? tidiedBefore : removeTraces(name);
  return { ...about, reports, directory, tidied };
}

/** The mounts that the builder has, and what the script is told of them. */
function listToPack(
  request: PackRequest,
  known: ReadonlySet<string>,
  same: ReadonlySet<string>,
): ScratchMount[] {
  return request.mounts
    .map((mount, index) => {
      const { changes } = allow(request, mount, same);
      const limits = changes ? [changes.bytes, changes.token] : [];
      const argument = [index, request.compressionLevel, ...limits].join(':');
      return { index, mount, argument, withSnapshot: changes !== undefined };
    })
    .filter(({ mount }) => known.has(identityOf(mount)));
}

function allow(request: PackRequest, mount: CacheMount, same: ReadonlySet<string>): Allowance {
  return findAllowance(request, mount, same.has(identityOf(mount)));
}

function hasArchive({ result }: MountReport): boolean {
  return result === 'packed' || result === 'changed';
}

/** The programs that inject has copied, or else copies of the runner's. */
async function gatherTools(
  state: InjectState | undefined,
  directory: string,
): Promise<RunnerTools> {
  const tools = state?.restored?.filled?.tools;
  const isThere = state && tools && (await takeTools(state.key, directory));
  return isThere ? tools : gatherRunnerTools(directory);
}

/** The builder on which inject has filled all of the mounts, where that is the one asked for. */
function findFilledBuilder({ mounts, builder, platform, state }: PackRequest): Builder | undefined {
  const filled = state?.restored?.filled;
  const identities = new Set(filled?.mounts.map(identityOf));
  const isAll = mounts.every((mount) => identities.has(identityOf(mount)));
  const isAskedFor = builder === state?.builder && platform === state?.platform;
  return isAll && isAskedFor ? filled?.builder : undefined;
}

/** The records of a builder's cache mounts, or why there are none. */
type Records = readonly BuilderRecord[] | string;

/**
 * Says what is odd about the mounts. Where the builder cannot tell, all count as known.
 *
 * @returns identities of those that the builder has
 */
function listKnown({ mounts }: PackRequest, records: Records, builder: Builder): Set<string> {
  if (typeof records === 'string') {
    print(`The cache mounts of the builder cannot be listed (${records}): not checked.`);
    return new Set(mounts.map(identityOf));
  }
  const { known, warnings, information } = compareRecords(mounts, records, builder.name);
  for (const warning of warnings) warn(warning);
  for (const line of information) print(line);
  return new Set(known.map(identityOf));
}

/** @returns identities of the mounts that inject has filled, and that were made before or after that */
function listFilled(
  { state }: PackRequest,
  records: Records,
  isMeant: typeof isNewer,
): Set<string> {
  const filled = state?.restored?.filled;
  if (filled === undefined || typeof records === 'string') return new Set();
  const mounts = filled.mounts.filter((mount) => isMeant(mount, records, filled.time));
  return new Set(mounts.map(identityOf));
}
