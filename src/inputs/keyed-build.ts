import { relative } from 'node:path';
import type { BakeSources } from '../discovery/build-plan.js';
import { locateFiles, remoteContext } from '../discovery/builds.js';
import type { MountInputs } from '../discovery/mount-inputs.js';
import { runnerPlatform } from '../mounts/platform.js';

/** A build, as far as a generated key depends on it. */
export interface KeyedBuild {
  /**
   * The names that tell the build from the others of a repository and stay the same from commit to
   * commit, each under its kind. Build arguments are not among them, because they often name the
   * commit or the time, and then no later run would find anything.
   */
  readonly names: Readonly<Record<string, readonly string[]>>;
  /** Absolute paths of the files that say how it is built. */
  readonly files: readonly string[];
  /** Absolute paths of the directories whose lock files say what goes into it. */
  readonly contexts: readonly string[];
  /** Texts that say how it is built, and are no files. */
  readonly texts?: readonly string[];
}

/**
 * The build that the inputs name. Paths in its names count from the workspace, because the
 * workspace differs between runners. Paths and platforms that the inputs leave out are named as if
 * they had been given.
 *
 * @param workspace relative paths count from here
 * @param bake the bake definition, if it is one that is built
 */
export function keyedBuildOf(
  inputs: MountInputs,
  workspace: string,
  bake?: BakeSources,
): KeyedBuild {
  if (bake !== undefined) return keyedBuildOfBake(inputs, workspace, bake);
  const { files, targets, platforms = [runnerPlatform()] } = inputs;
  const ways = {
    target: [...new Set(targets.map((target) => target.toLowerCase()))].sort(),
    platform: [...new Set(platforms)].sort(),
  };
  const remote = remoteContext(inputs);
  if (remote !== undefined) {
    const names = { context: [withoutCommit(remote)], file: [...files].sort(), ...ways };
    return { names, files: [], contexts: [] };
  }
  const located = locateFiles(inputs, workspace);
  const nameOf = (path: string) => relative(workspace, path) || '.';
  const names = {
    context: [nameOf(located.context)],
    file: [...new Set(located.files.map(nameOf))].sort(),
    ...ways,
  };
  return { names, files: located.files, contexts: [located.context] };
}

/**
 * Of settings and variables, only what they make of the platforms: as build arguments, the others often
 * name the commit or the time. The runner's own platform alone is left out, because the key has it
 * already.
 */
function keyedBuildOfBake(
  { bake: { targets } }: MountInputs,
  workspace: string,
  { directory, definitions, dockerfiles, texts, contexts, platforms }: BakeSources,
): KeyedBuild {
  const nameOf = (path: string) => relative(workspace, path) || '.';
  const names = {
    context: [nameOf(directory)],
    bake: [...new Set(definitions.map(nameOf))].sort(),
    target: [...new Set(targets)].sort(),
    platform: platforms.every((each) => each === runnerPlatform()) ? [] : [...platforms].sort(),
  };
  return { names, files: [...definitions, ...dockerfiles], contexts, texts };
}

/**
 * The address of a repository without the user, and without the commit or branch, because these may
 * differ in each run.
 */
function withoutCommit(address: string): string {
  const [repository = '', fragment = ''] = address.split('#');
  const directory = fragment.split(':')[1];
  const plain = repository.replace(/\?.*$/, '').replace(/^([a-z+]+:\/\/)[^/@]*@/i, '$1');
  return directory ? `${plain}#:${directory}` : plain;
}
