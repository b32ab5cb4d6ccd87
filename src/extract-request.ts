import type { CacheMount } from './cache-mount.js';
import { InputError } from './errors.js';
import type { ExtractInputs } from './inputs.js';
import type { InjectState } from './state.js';

/** What extract has to do, whether its inputs say so or an inject of the same job. */
export interface ExtractRequest {
  readonly key: string;
  readonly mounts: readonly CacheMount[];
  readonly builder: string | undefined;
  readonly utilityImage: string | undefined;
  /** What the inject that this extract belongs to has left. */
  readonly state: InjectState | undefined;
}

/**
 * Fills in what extract's inputs leave out from the inject of the same key, or else from the only
 * one.
 *
 * @throws InputError where that leaves the mounts or the key open
 */
export function resolveRequest(
  inputs: ExtractInputs,
  states: readonly InjectState[],
): ExtractRequest {
  const complete = inputs.mounts !== undefined && inputs.key !== undefined;
  const only = states.length === 1 && !complete ? states[0] : undefined;
  const state = states.find(({ key }) => key === inputs.key) ?? only;
  const key = inputs.key ?? state?.key;
  const mounts = inputs.mounts ?? state?.mounts;
  if (key === undefined || mounts === undefined) {
    const missing = key === undefined ? 'key' : 'cache-mounts';
    throw new InputError(
      states.length > 1
        ? `This job has several injects (${states.map((each) => each.key).join(', ')}): give the input key of the one that this extract belongs to.`
        : `Input ${missing} is required, as no inject has run before in this job.`,
    );
  }
  return {
    key,
    mounts,
    builder: inputs.builder ?? state?.builder,
    utilityImage: inputs.utilityImage ?? state?.utilityImage,
    state,
  };
}
