import type { Builder } from '../builder/buildx.js';
import {
  type ScratchBuildOptions,
  type ScratchBuildResult,
  startScratchBuild,
} from '../builder/scratch-build.js';
import { identityOf } from '../mounts/cache-mount.js';
import type { PackRequest } from './extract-request.js';
import { expectMounts, type FoundMount } from './found-mounts.js';

/**
 * A build that is started before the builder has listed its mounts. It waits for that list, which
 * most often shows just the mounts that inject has left.
 */
export interface EarlyBuild {
  /**
   * @returns the build to run; undefined if it was started for other mounts: then it is cancelled
   */
  confirm(mounts: readonly FoundMount[]): ConfirmedBuild | undefined;
}

export interface ConfirmedBuild {
  run(): Promise<ScratchBuildResult>;
  /**
   * If all mounts are as inject has left them, it is inject's builder. To ask again would take
   * time.
   */
  readonly builder: Builder;
}

/** The builder on which inject has filled all of the mounts, if that is the one asked for. */
export function findFilledBuilder(request: PackRequest): Builder | undefined {
  const { mounts, builder, platform, state } = request;
  const filled = state?.restored?.filled;
  const identities = new Set(filled?.mounts.map(identityOf));
  const isAll = mounts.every((mount) => identities.has(identityOf(mount)));
  const isBuilder = builder === filled?.builder.name || builder === state?.builder;
  const isAskedFor = isBuilder && platform === state?.platform;
  return isAll && isAskedFor ? filled?.builder : undefined;
}

/**
 * Starts the build for the case that the builder has all mounts as inject has left them.
 *
 * @param builder the one on which inject has filled the mounts
 * @param plan gives the options of the build
 */
export async function startEarlyBuild(
  request: PackRequest,
  builder: Builder,
  plan: (builder: Builder, mounts: readonly FoundMount[]) => ScratchBuildOptions,
): Promise<EarlyBuild> {
  const { run, cancel } = await startScratchBuild(plan(builder, expectMounts(request)));
  return {
    confirm: (mounts) => {
      if (mounts.every(({ age }) => age === 'as inject left it')) return { builder, run };
      cancel();
      return undefined;
    },
  };
}
