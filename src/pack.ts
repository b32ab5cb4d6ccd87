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
  /** Why all of it was packed, where what has changed could have been; undefined: it could not. */
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
  // All three look at what is there, and none at what another finds.
  const [builder, tools, records] = await Promise.all([
    inspectBuilder(request.builder, request.platform),
    gatherRunnerTools(toolsDirectory(workDirectory)),
    listRecords(request.builder, request.mounts).catch(messageOf),
  ]);
  const { known, remade, same } = compareMounts(request, records, builder);
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
  const { reports, directory } = await logStage('Pack out of the builder', () =>
    runScratchBuild({
      workDirectory,
      builder,
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
  return { ...about, reports, directory, tidied: removeTraces(builder) };
}

/** Identities of mounts, as a look at the builder before our own build shows them. */
interface Comparison {
  readonly known: ReadonlySet<string>;
  readonly remade: ReadonlySet<string>;
  /** Those that inject has filled, and no others of the same id. */
  readonly same: ReadonlySet<string>;
}

/**
 * Says what is odd about the mounts. Where the builder cannot tell, all count as known.
 *
 * @param records of the builder, or why there are none
 */
function compareMounts(
  { mounts, state }: PackRequest,
  records: readonly BuilderRecord[] | string,
  builder: Builder,
): Comparison {
  if (typeof records === 'string') {
    print(`The cache mounts of the builder cannot be listed (${records}): not checked.`);
    return { known: new Set(mounts.map(identityOf)), remade: new Set(), same: new Set() };
  }
  const { known, warnings, information } = compareRecords(mounts, records, builder.name);
  for (const warning of warnings) warn(warning);
  for (const line of information) print(line);
  const { mounts: restored = [], filledAt } = state?.restored ?? {};
  const identities = (isMeant: typeof isNewer) =>
    restored
      .filter(({ mount }) => filledAt !== undefined && isMeant(mount, records, filledAt))
      .map(({ mount }) => identityOf(mount));
  return {
    known: new Set(known.map(identityOf)),
    remade: new Set(identities(isNewer)),
    same: new Set(identities(isOlder)),
  };
}
