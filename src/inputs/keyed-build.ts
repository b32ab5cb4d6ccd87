import { relative } from 'node:path';
import { locateFiles, type MountInputs, remoteContext } from '../discovery/mount-list.js';
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
}

/**
 * The build that the inputs name. Paths in its names count from the workspace, because the
 * workspace differs between runners. Paths and platforms that the inputs leave out are named as if
 * they had been given.
 *
 * @param workspace relative paths count from here
 */
export function keyedBuildOf(inputs: MountInputs, workspace: string): KeyedBuild {
  const { files, target = '', platforms = [runnerPlatform()] } = inputs;
  const ways = {
    target: target === '' ? [] : [target.toLowerCase()],
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
 * The address of a repository without the user, and without the commit or branch, because these may
 * differ in each run.
 */
function withoutCommit(address: string): string {
  const [repository = '', fragment = ''] = address.split('#');
  const directory = fragment.split(':')[1];
  const plain = repository.replace(/\?.*$/, '').replace(/^([a-z+]+:\/\/)[^/@]*@/i, '$1');
  return directory ? `${plain}#:${directory}` : plain;
}
