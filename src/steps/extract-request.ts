import { areGiven } from '../discovery/mount-list.js';
import type { SeedStages } from '../dockerfile/stages.js';
import type { StoreLocation } from '../entry/stores/open-store.js';
import type { ExtractInputs, IncrementalLimits } from '../inputs/read-inputs.js';
import { InputError } from '../lib/errors.js';
import type { Surroundings } from '../lib/surroundings.js';
import type { CacheMount } from '../mounts/cache-mount.js';
import type { InjectState } from './handover.js';

/** What extract has to do, whether its inputs say so or an inject of the same job. */
export interface ExtractRequest {
  readonly key: string;
  /** Undefined: those that extract's own inputs say. */
  readonly mounts: readonly CacheMount[] | undefined;
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

/** What the inject of the same key has left, or else the only one. */
export function findState(
  { key }: ExtractInputs,
  states: readonly InjectState[],
): InjectState | undefined {
  return states.find((state) => state.key === key) ?? (states.length === 1 ? states[0] : undefined);
}

/**
 * Fills in what extract's inputs leave out from the inject of the same key, or else from the only
 * one.
 *
 * @throws InputError where that leaves the key open, or which inject is meant
 */
export function resolveRequest(
  inputs: ExtractInputs,
  states: readonly InjectState[],
): ExtractRequest {
  const isComplete = areGiven(inputs.mountInputs) && inputs.key !== undefined;
  const state = findState(inputs, states);
  if (state === undefined && !isComplete && states.length > 1) {
    throw new InputError(
      `This job has several injects (${states.map((each) => each.key).join(', ')}): give the input key of the one that this extract belongs to.`,
    );
  }
  const key = inputs.key ?? state?.key;
  if (key === undefined) {
    throw new InputError('Input key is required, as no inject has run before in this job.');
  }
  return {
    key,
    mounts: areGiven(inputs.mountInputs) ? undefined : state?.mounts,
    builder: inputs.builder ?? state?.builder,
    utilityImage: inputs.utilityImage ?? state?.utilityImage,
    storeLocation: inputs.storeLocation ?? state?.storeLocation,
    platform: inputs.mountInputs.platforms?.[0] ?? state?.platform,
    state,
  };
}
