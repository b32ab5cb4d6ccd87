import { areGiven } from '../discovery/mount-list.js';
import type { SeedStages } from '../dockerfile/stages.js';
import type { StoreLocation } from '../entry/stores/open-store.js';
import type { ExtractInputs, IncrementalLimits } from '../inputs/read-inputs.js';
import type { Surroundings } from '../lib/surroundings.js';
import type { CacheMount } from '../mounts/cache-mount.js';
import type { InjectState } from './handover.js';

/** What extract has to do, whether its inputs say so or an inject of the same job. */
export interface ExtractRequest {
  readonly key: string;
  /** Undefined: those that extract's own inputs say. */
  readonly mounts: readonly CacheMount[] | undefined;
  /** Undefined: the builder that buildx itself would use. */
  readonly builder: string | undefined;
  readonly utilityImage: string | undefined;
  readonly storeLocation: StoreLocation | undefined;
  /** The first of the platforms that are built for, where it is known. */
  readonly platform: string | undefined;
  /** What the inject that this extract belongs to has left. */
  readonly state: InjectState | undefined;
}

/** What extract has to do, with the mounts as they are known then. */
export interface PackRequest extends ExtractRequest {
  readonly surroundings: Surroundings;
  readonly mounts: readonly CacheMount[];
  /** The stages that some of them start from. */
  readonly seedStages: SeedStages | undefined;
  readonly compressionLevel: number;
  readonly incremental: IncrementalLimits;
}

/**
 * Finds the injects that an extract may belong to: that of the same key, or else the only one. They are
 * several if extract needs one of them and does not say which.
 *
 * @param states the last one that was written comes last
 */
export function findCandidates(
  { key, mountInputs }: ExtractInputs,
  states: readonly InjectState[],
): readonly InjectState[] {
  const same = states.find((state) => state.key === key);
  if (same) return [same];
  if (states.length > 1 && key !== undefined && areGiven(mountInputs)) return [];
  const [first] = states;
  const last = states.at(-1);
  const directory = first?.storeLocation?.directory;
  const isOneEntry =
    directory !== undefined &&
    states.every(({ storeLocation }) => storeLocation?.directory === directory);
  // A directory holds what was saved last, so it is the last inject that counts.
  return isOneEntry && last ? [last] : states;
}

/**
 * Fills in what extract's inputs leave out from an inject.
 *
 * @param state what the inject has left that extract belongs to
 * @param makeKey makes a key if neither says one
 */
export async function resolveRequest(
  inputs: ExtractInputs,
  state: InjectState | undefined,
  makeKey: () => Promise<string>,
): Promise<ExtractRequest> {
  return {
    key: inputs.key ?? state?.key ?? (await makeKey()),
    mounts: areGiven(inputs.mountInputs) ? undefined : state?.mounts,
    // Without a name, buildx would take another one if inject's is gone.
    builder: inputs.builder ?? state?.builder ?? state?.foundBuilder,
    utilityImage: inputs.utilityImage ?? state?.utilityImage,
    storeLocation: inputs.storeLocation ?? state?.storeLocation,
    platform: inputs.mountInputs.platforms?.[0] ?? state?.platform,
    state,
  };
}
