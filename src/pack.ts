import { type BuilderRecord, compareRecords, isNewer, isOlder } from './builder-records.js';
import { type Builder, inspectBuilder } from './buildx.js';
import { type CacheMount, identityOf } from './cache-mount.js';
import { packScript } from './container-scripts.js';
import { messageOf } from './errors.js';
import type { ExtractRequest } from './extract-request.js';
import { print, warn } from './host.js';
import { findAllowance } from './incremental.js';
import type { ExtractInputs } from './inputs.js';
import { listRecords } from './list-records.js';
import { logBuilder, logStage } from './log.js';
import type { MountList } from './mount-list.js';
import { killDescendants } from './processes.js';
import type { MountReport } from './report.js';
import { removeTraces, resultDirectory, runScratchBuild, toolsDirectory } from './scratch-build.js';
import type { FilledMounts } from './state.js';
import { chooseToolkit, gatherRunnerTools, type RunnerTools } from './toolkit.js';

/** What extract has to do, and with which mounts. */
export type PackRequest = ExtractRequest &
  Pick<MountList, 'mounts' | 'seedStages'> &
  Pick<ExtractInputs, 'compressionLevel' | 'incremental'>;

export interface Packed {
  /** By the mount's index; a mount that the script has not come to has none. */
  readonly reports: ReadonlyMap<number, MountReport>;
  /** Where the archives are. */
  readonly directory: string;
  /** Whether the builder had the mount at all. */
  isKnown(mount: CacheMount): boolean;
  /** Whether the mount is another one than inject has filled. */
  isRemade(mount: CacheMount): boolean;
  /** Why all of it was packed, where that was decided before. */
  whyInFull(mount: CacheMount): string | undefined;
  /** Until the builder has no copy of the archives any more; never fails. */
  readonly tidied: Promise<void>;
}

/** The records of a builder's cache mounts, or why there are none. */
type Listing = readonly BuilderRecord[] | string;

/**
 * Packs the mounts out of the builder, those that it has: our own build would make the others.
 *
 * @throws Error where nothing was packed
 */
export async function pack(request: PackRequest, workDirectory: string): Promise<Packed> {
  const listing = listRecords(request.builder, request.mounts).catch(messageOf);
  const gathering = gatherRunnerTools(toolsDirectory(workDirectory));
  const filled = findFilled(request);
  const ahead = filled
    ? await packAhead(request, filled.builder, await gathering, listing, workDirectory)
    : new Map<number, MountReport>();
  const isDone = request.mounts.every((_, index) => ahead.has(index));
  const [builder, tools, records] = await Promise.all([
    filled && isDone ? filled.builder : inspectBuilder(request.builder, request.platform),
    gathering,
    listing,
  ]);
  const { known, remade, same, warnings, information } = compareMounts(request, records, builder);
  for (const warning of warnings) warn(warning);
  for (const line of information) print(line);
  const rest = request.mounts.filter(
    (mount, index) => known.has(identityOf(mount)) && !ahead.has(index),
  );
  if (ahead.size > 0 && rest.length > 0) {
    print('What inject has not filled is packed once more, all of it.');
  }
  const reports =
    rest.length > 0
      ? await packMounts(request, builder, tools, rest, same, workDirectory)
      : new Map<number, MountReport>();
  return {
    reports: new Map([...ahead, ...reports]),
    directory: resultDirectory(workDirectory),
    isKnown: (mount) => known.has(identityOf(mount)),
    isRemade: (mount) => remade.has(identityOf(mount)),
    whyInFull: (mount) => findAllowance(request, mount, same.has(identityOf(mount))).whyInFull,
    tidied: known.size > 0 ? removeTraces(request.builder) : Promise.resolve(),
  };
}

/** What inject has filled, where that is all of the mounts, on the builder that is asked for. */
function findFilled({ mounts, builder, platform, state }: PackRequest): FilledMounts | undefined {
  const filled = state?.restored?.filled;
  const identities = new Set(filled?.mounts.map(identityOf));
  const isAll = mounts.every((mount) => identities.has(identityOf(mount)));
  return isAll && builder === state?.builder && platform === state?.platform ? filled : undefined;
}

/**
 * Packs the mounts as those that inject has filled, before it is known whether they are: to ask a builder
 * takes about as long as to pack what little has changed.
 *
 * @returns reports of those that are, by the mounts' indexes
 * @throws Error where nothing was packed
 */
async function packAhead(
  request: PackRequest,
  builder: Builder,
  tools: RunnerTools,
  listing: Promise<Listing>,
  workDirectory: string,
): Promise<ReadonlyMap<number, MountReport>> {
  const { mounts } = request;
  const all = new Set(mounts.map(identityOf));
  const packing = packMounts(request, builder, tools, mounts, all, workDirectory);
  packing.catch(() => undefined); // it is thrown where it is needed
  const { same } = compareMounts(request, await listing, builder);
  // Where Docker does not answer, a build would not end.
  if (same.size === 0) killDescendants();
  const isAll = mounts.every((mount) => same.has(identityOf(mount)));
  const reports = await packing.catch((error: unknown) => {
    if (isAll) throw error;
    return new Map<number, MountReport>();
  });
  const isSame = (mount: CacheMount | undefined) => mount && same.has(identityOf(mount));
  return new Map([...reports].filter(([index]) => isSame(mounts[index])));
}

/**
 * @param some of the mounts that are asked for
 * @param same identities of those that inject has filled: what has changed in them may do
 * @returns reports by the mounts' indexes
 */
async function packMounts(
  request: PackRequest,
  builder: Builder,
  tools: RunnerTools,
  some: readonly CacheMount[],
  same: ReadonlySet<string>,
  workDirectory: string,
): Promise<ReadonlyMap<number, MountReport>> {
  const { utilityImage, seedStages, compressionLevel } = request;
  const toolkit = chooseToolkit(tools, builder.platforms, utilityImage, {
    anyOf: ['zstd', 'gzip'],
  });
  logBuilder(builder, toolkit);
  const { reports } = await logStage('Pack out of the builder', () =>
    runScratchBuild({
      workDirectory,
      builder: request.builder,
      toolkit,
      script: packScript,
      mounts: some.map((mount) => {
        const index = request.mounts.indexOf(mount);
        const { changes } = findAllowance(request, mount, same.has(identityOf(mount)));
        const limits = changes ? [changes.bytes, changes.token] : [];
        const argument = [index, compressionLevel, ...limits].join(':');
        return { index, mount, argument, withSnapshot: changes !== undefined };
      }),
      withArchives: false,
      seedStages,
    }),
  );
  return reports;
}

/** What a look at the builder before our own build shows; mounts by their identities. */
interface Comparison {
  readonly known: ReadonlySet<string>;
  readonly remade: ReadonlySet<string>;
  /** Those that inject has filled, and no others of the same id. */
  readonly same: ReadonlySet<string>;
  readonly warnings: readonly string[];
  readonly information: readonly string[];
}

/** Where the builder cannot tell, all of the mounts count as known. */
function compareMounts(
  { mounts, state }: PackRequest,
  records: Listing,
  builder: Builder,
): Comparison {
  if (typeof records === 'string') {
    const why = `The cache mounts of the builder cannot be listed (${records}): not checked.`;
    const none = { remade: new Set<string>(), same: new Set<string>() };
    return { known: new Set(mounts.map(identityOf)), ...none, warnings: [], information: [why] };
  }
  const { known, ...remarks } = compareRecords(mounts, records, builder.name);
  const filled = state?.restored?.filled;
  const identities = (isMeant: typeof isNewer) =>
    filled?.mounts.filter((mount) => isMeant(mount, records, filled.time)).map(identityOf);
  return {
    known: new Set(known.map(identityOf)),
    remade: new Set(identities(isNewer)),
    same: new Set(identities(isOlder)),
    ...remarks,
  };
}
