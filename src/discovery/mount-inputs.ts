import type { BakeInputs } from '../builder/bake.js';

/**
 * The inputs that say which mounts there are; those of docker/build-push-action and of
 * docker/bake-action mean the same.
 */
export interface MountInputs {
  /** As it was given; empty: the mounts of the Dockerfiles. */
  readonly cacheMounts: string;
  /** Where bake is meant, the directory that it runs in. */
  readonly context: string | undefined;
  readonly files: readonly string[];
  /** Empty: the last stage. */
  readonly targets: readonly string[];
  readonly buildArgs: ReadonlyMap<string, string>;
  /** Undefined: the runner's own. */
  readonly platforms: readonly string[] | undefined;
  /** Named build contexts: a path or an address by name. */
  readonly buildContexts: ReadonlyMap<string, string>;
  readonly bake: BakeInputs;
}

/** Whether any of the inputs says something. */
export function areGiven(inputs: MountInputs): boolean {
  return inputs.context !== undefined || namesMounts(inputs) || isBuildGiven(inputs);
}

/** Whether the mounts are listed. */
export function namesMounts({ cacheMounts }: MountInputs): boolean {
  return cacheMounts.split('\n').some((line) => /^\s*[^#\s]/.test(line));
}

/** Whether anything says how it is built, and so, whether by a Dockerfile or by bake. */
export function isBuildGiven(inputs: MountInputs): boolean {
  return isBakeGiven(inputs) || inputsForDockerfiles(inputs).length > 0;
}

/** Whether any of the inputs of bake is given, which switches it on. */
export function isBakeGiven({ bake }: MountInputs): boolean {
  return [bake.files, bake.targets, bake.set, bake.vars].some((list) => list.length > 0);
}

/** The inputs, by their names, that are given and that only a build of a Dockerfile has. */
export function inputsForDockerfiles(inputs: MountInputs): string[] {
  const { files, targets, buildArgs, platforms, buildContexts } = inputs;
  const given: [name: string, isGiven: boolean][] = [
    ['file', files.length > 0],
    ['target', targets.length > 0],
    ['build-args', buildArgs.size > 0],
    ['platforms', platforms !== undefined],
    ['build-contexts', buildContexts.size > 0],
  ];
  return given.flatMap(([name, isGiven]) => (isGiven ? name : []));
}
