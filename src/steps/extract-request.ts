import type { OtherMount } from '../builder/records.js';
import { areGiven } from '../discovery/mount-inputs.js';
import type { SeedStages } from '../dockerfile/stages.js';
import { isSamePlace, type StoreLocation } from '../entry/stores/open-store.js';
import type { ExcludeRule } from '../inputs/exclude.js';
import type { ExtractInputs, IncrementalLimits } from '../inputs/read-inputs.js';
import type { Surroundings } from '../lib/surroundings.js';
import type { CacheMount } from '../mounts/cache-mount.js';
import type { LeftOutMount, MountOfGap } from '../mounts/gap.js';
import type { InjectState } from './handover.js';

/** The task of extract, from its own inputs and from an inject of the same job. */
export interface ExtractRequest {
  readonly key: string;
  /** Undefined: extract's own inputs say which. */
  readonly mounts: readonly CacheMount[] | undefined;
  /** Undefined: the builder that buildx itself would use. */
  readonly builder: string | undefined;
  readonly utilityImage: string | undefined;
  readonly storeLocation: StoreLocation | undefined;
  /** The first of the platforms that are built for, if it is known. */
  readonly platform: string | undefined;
  /** The state of the inject that this extract belongs to. */
  readonly state: InjectState | undefined;
}

/** The task of extract when its mounts are known. */
export interface PackRequest extends ExtractRequest {
  readonly surroundings: Surroundings;
  readonly mounts: readonly CacheMount[];
  /** The stages that some of the mounts start from. */
  readonly seedStages: SeedStages | undefined;
  /** Mounts of stages that were not asked for. */
  readonly others: readonly OtherMount[];
  /** What may be the matter if the builder has other mounts. */
  readonly hint: string | undefined;
  /** The mounts that inject could not find. */
  readonly leftOut: readonly LeftOutMount[];
  /** Those of the mounts of which only a base image tells the id. */
  readonly ofGaps: readonly MountOfGap[];
  readonly compressionLevel: number;
  readonly incremental: IncrementalLimits;
  /** Whether archives may come straight from the builder. */
  readonly stream: boolean;
  /** When the step gives up, in milliseconds since the epoch. */
  readonly deadline: number;
  /** What is not saved. */
  readonly exclude: readonly ExcludeRule[];
  /** In bytes before compression; undefined: there is no limit. */
  readonly maxSize: number | undefined;
  /** Whether the builder itself pushes the archives: none comes to the runner. */
  readonly keepsImages: boolean;
}

/**
 * Finds the injects that an extract may belong to: the one with the same key, or else the only one.
 * The result has several if extract needs one of them and does not say which.
 *
 * @param states in the order in which they were written
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
  const place = first?.storeLocation;
  const isOneEntry =
    place !== undefined &&
    states.every(({ storeLocation: each }) => each !== undefined && isSamePlace(each, place));
  // A directory, or a tag, holds only the entry that was saved last. So the last inject counts.
  return isOneEntry && last ? [last] : states;
}

/**
 * Takes from an inject what extract's inputs leave out.
 *
 * @param state the state of the inject that extract belongs to
 * @param makeKey makes a key if neither of them has one
 */
export async function resolveRequest(
  inputs: ExtractInputs,
  state: InjectState | undefined,
  makeKey: () => Promise<string>,
): Promise<ExtractRequest> {
  const storeLocation = inputs.storeLocation ?? state?.storeLocation;
  return {
    key: inputs.key ?? state?.key ?? (await makeKey()),
    mounts: areGiven(inputs.mountInputs) ? undefined : state?.mounts,
    // Without a name, buildx would take another builder if inject's builder is gone.
    builder: inputs.builder ?? state?.builder ?? state?.foundBuilder,
    utilityImage: inputs.utilityImage ?? state?.utilityImage,
    storeLocation,
    platform: inputs.mountInputs.platforms?.[0] ?? state?.platform,
    state: state && forStore(storeLocation, state),
  };
}

/** Leaves out what inject has restored if a new entry cannot build on it, because it is elsewhere. */
function forStore(location: StoreLocation | undefined, state: InjectState): InjectState {
  const isRegistry = (each: StoreLocation | undefined) => each !== undefined && 'registry' in each;
  if (isRegistry(location) === isRegistry(state.storeLocation)) return state;
  return { ...state, restored: undefined };
}
