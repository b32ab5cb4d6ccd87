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
import type { MountReport } from './report.js';
import {
  removeTraces,
  runScratchBuild,
  type ScratchBuildResult,
  toolsDirectory,
} from './scratch-build.js';
import { chooseToolkit, gatherRunnerTools } from './toolkit.js';

/** What extract has to do, and with which mounts. */
export type PackRequest = ExtractRequest &
  Pick<MountList, 'mounts' | 'seedStages'> &
  Pick<ExtractInputs, 'compressionLevel' | 'incremental'>;

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
  const filledOn = findFilledBuilder(request);
  const inspect = () => inspectBuilder(request.builder, request.platform);
  // All three look at what is there, and none at what another finds.
  const [tools, records, inspected] = await Promise.all([
    gatherRunnerTools(toolsDirectory(workDirectory)),
    listRecords(request.builder, request.mounts).catch(messageOf),
    filledOn ? undefined : inspect(),
  ]);
  const same = listFilled(request, records, isOlder);
  // Where all of that is there still, it is the same builder, and to ask again takes time.
  const isSame = request.mounts.every((mount) => same.has(identityOf(mount)));
  const builder = inspected ?? (filledOn && isSame ? filledOn : await inspect());
  const known = listKnown(request, records, builder);
  const remade = listFilled(request, records, isNewer);
  const allowances = new Map(
    request.mounts.map((mount) => {
      const identity = identityOf(mount);
      return [identity, findAllowance(request, mount, same.has(identity))];
    }),
  );
  const about = {
    whyInFull: (mount: CacheMount) => allowances.get(identityOf(mount))?.whyInFull,
    isKnown: (mount: CacheMount) => known.has(identityOf(mount)),
    isRemade: (mount: CacheMount) => remade.has(identityOf(mount)),
  };
  if (known.size === 0) {
    const nothing = { reports: new Map(), directory: workDirectory };
    return { ...about, ...nothing, tidied: Promise.resolve() };
  }
  const toolkit = chooseToolkit(tools, builder.platforms, request.utilityImage, {
    anyOf: ['zstd', 'gzip'],
  });
  logBuilder(builder, toolkit);
  // To remove what inject has left takes the builder as long as its archives are large: beside the build.
  const tidiedBefore = request.state?.restored ? removeTraces(request.builder) : undefined;
  const { reports, directory } = await logStage('Pack out of the builder', () =>
    runScratchBuild({
      workDirectory,
      builder: request.builder,
      toolkit,
      script: packScript,
      mounts: request.mounts
        .map((mount, index) => {
          const changes = allowances.get(identityOf(mount))?.changes;
          const limits = changes ? [changes.bytes, changes.token] : [];
          const argument = [index, request.compressionLevel, ...limits].join(':');
          return { index, mount, argument, withSnapshot: changes !== undefined };
        })
        .filter(({ mount }) => about.isKnown(mount)),
      withArchives: false,
      seedStages: request.seedStages,
    }),
  );
  // Without an archive, what this build leaves is just the programs that it has run.
  const isTidy = tidiedBefore && ![...reports.values()].some(hasArchive);
  const tidied = isTidy ? tidiedBefore : removeTraces(request.builder);
  return { ...about, reports, directory, tidied };
}

function hasArchive({ result }: MountReport): boolean {
  return result === 'packed' || result === 'changed';
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
