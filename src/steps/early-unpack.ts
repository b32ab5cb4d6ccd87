import type { BuilderAddress } from '../builder/builder-address.js';
import type { Builder } from '../builder/buildx.js';
import { chooseToolkit, type RunnerTools } from '../builder/runner-programs.js';
import {
  runScratchBuild,
  type ScratchBuildOptions,
  type ScratchBuildResult,
  startScratchBuild,
} from '../builder/scratch-build.js';
import { whyNotWith } from '../builder/stream/reach.js';
import type { SeedStages } from '../dockerfile/stages.js';
import type { Surroundings } from '../lib/surroundings.js';
import type { CacheMount } from '../mounts/cache-mount.js';
import { findObstacle } from './send-archives.js';

/**
 * Inject's build, started while the entry is fetched. It waits for the manifest, which most often has
 * all of the mounts.
 */
export interface EarlyUnpack {
  /** Runs the build; another one, if it was started for other mounts or another way. */
  run(options: ScratchBuildOptions): Promise<ScratchBuildResult>;
  /** To be called in any case; does nothing if the build was run. */
  cancel(): void;
}

/** What of inject's task the build depends on. */
export interface EarlyUnpackRequest {
  readonly surroundings: Surroundings;
  readonly mounts: readonly CacheMount[];
  readonly utilityImage: string | undefined;
  readonly seedStages: SeedStages | undefined;
  readonly stream: boolean;
  readonly deadline: number;
}

/**
 * Starts the build for the case that all mounts are to be unpacked.
 *
 * @returns undefined if it is known already that it will be another
 */
export async function startEarlyUnpack(
  request: EarlyUnpackRequest,
  builder: Builder,
  address: BuilderAddress,
  tools: RunnerTools,
  workDirectory: string,
): Promise<EarlyUnpack | undefined> {
  const { surroundings, utilityImage, seedStages, deadline } = request;
  const planned = request.mounts.map((mount, index) => ({ index, mount, argument: '' }));
  if (planned.length === 0) return undefined;
  const options = {
    ...{ surroundings, workDirectory, builder: address, seedStages, deadline },
    // Which compressions there are, the manifest tells.
    toolkit: chooseToolkit(tools, builder.platforms, utilityImage, { allOf: [] }),
    ...{ script: 'unpack' as const, mounts: planned, withArchives: true },
  };
  const obstacle = whyNotWith(request, builder) ?? (await findObstacle(options));
  const straight = obstacle === undefined ? new Map() : undefined;
  const waiting = await startScratchBuild({ ...options, straight });
  const isForThese = (final: ScratchBuildOptions) =>
    final.toolkit.platform === options.toolkit.platform &&
    (final.straight === undefined) === (straight === undefined) &&
    final.mounts.length === planned.length &&
    // A mount that only the entry has told comes behind these.
    final.mounts.every(({ index }) => index < planned.length);
  let isRun = false;
  const cancel = () => {
    if (!isRun) waiting.cancel();
  };
  return {
    run: async (final) => {
      if (isForThese(final)) {
        isRun = true;
        return waiting.run(final);
      }
      cancel();
      return runScratchBuild(final);
    },
    cancel,
  };
}
