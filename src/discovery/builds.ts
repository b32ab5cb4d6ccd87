import { readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { InputError, messageOf } from '../lib/errors.js';
import type { Surroundings } from '../lib/surroundings.js';
import { runnerPlatform } from '../mounts/platform.js';
import { findDefinitions, localContext, readBakeBuilds } from './bake-builds.js';
import type { Build, BuildPlan, DockerfileText } from './build-plan.js';
import {
  inputsForDockerfiles,
  isBakeGiven,
  isBuildGiven,
  type MountInputs,
  namesMounts,
} from './mount-inputs.js';

/**
 * Finds out which builds are meant: those of Dockerfiles, or those of a bake definition.
 *
 * @throws InputError if an input is wrong; not if a Dockerfile is missing
 */
export async function findBuilds(
  inputs: MountInputs,
  surroundings: Surroundings,
): Promise<BuildPlan> {
  const { workspace } = surroundings;
  const remote = remoteContext(inputs);
  if (remote !== undefined && namesMounts(inputs)) {
    return planWithoutContext(inputs, remote, workspace);
  }
  const { context, files } = locateFiles(inputs, workspace);
  const place = { ...surroundings, cwd: context };
  if (isBakeGiven(inputs)) {
    const others = inputsForDockerfiles(inputs);
    if (others.length > 0) {
      throw new InputError(
        `Input ${others[0]}: the bake definition says it, and bake-set can change it (*.platform=…, *.args.NAME=…, target.dockerfile=…). Leave it out, or, for a build without bake, leave out bake-files, bake-targets, bake-set and bake-vars.`,
      );
    }
    return readBakeBuilds(inputs.bake, place);
  }
  const texts = await Promise.all(files.map(readDockerfile));
  const definitions = await findDefinitions(context);
  const where = relative(workspace, context) || 'the workspace';
  const names = definitions.map((name) => relative(workspace, join(context, name)));
  const isOpen = definitions.length > 0 && !isBuildGiven(inputs);
  if (isOpen && texts.every(({ text }) => text === undefined)) {
    const plan = await readBakeBuilds(inputs.bake, place);
    const notice = `There is no Dockerfile in ${where}, and there is ${names.join(' and ')}: the mounts are those of its targets, as docker buildx bake builds them.`;
    return { ...plan, notices: [notice, ...plan.notices] };
  }
  const contexts = new Map(
    [...inputs.buildContexts].map(([name, value]) => [name, localContext(value, workspace)]),
  );
  const builds = texts.flatMap((dockerfile) =>
    (inputs.targets.length > 0 ? inputs.targets : [undefined]).map(
      (target): Build => ({
        file: relative(workspace, dockerfile.path ?? ''),
        dockerfile,
        context,
        target,
        buildArgs: inputs.buildArgs,
        platforms: inputs.platforms ?? [runnerPlatform()],
        contexts,
        bakeTarget: undefined,
        rival: names.at(-1),
      }),
    ),
  );
  const isMeant = definitions.length > 0 && !namesMounts(inputs);
  const hint = `There is ${names.join(' and ')}, too: if the build is by bake or Compose, name ${names.length > 1 ? 'what is built' : 'it'} in inject's input bake-files.`;
  return {
    workspace,
    builds,
    platforms: inputs.platforms,
    bake: undefined,
    notices: isOpen && isMeant ? [`The mounts are those of ${builds[0]?.file}. ${hint}`] : [],
    warnings: [],
    hint: isMeant ? hint : undefined,
    missing: undefined,
  };
}

function planWithoutContext(inputs: MountInputs, remote: string, workspace: string): BuildPlan {
  const notice = `Input context: ${remote} is no directory here, so that no Dockerfile is read: the mounts are just those of cache-mounts.`;
  return {
    ...{ workspace, builds: [], platforms: inputs.platforms, bake: undefined },
    ...{ notices: [notice], warnings: [], hint: undefined, missing: undefined },
  };
}

async function readDockerfile(path: string): Promise<DockerfileText> {
  try {
    return { path, text: await readFile(path, 'utf8') };
  } catch (error) {
    return { path, text: undefined, trouble: messageOf(error) };
  }
}

/** The context, if it is the address of a repository and not a directory. */
export function remoteContext({ context = '.' }: MountInputs): string | undefined {
  return /^[a-z+]+:\/\/|^git@/i.test(context) ? context : undefined;
}

/**
 * The paths of the build context and of the Dockerfiles. Relative ones count from the workspace, but
 * the Dockerfile of a Git context from that context, because buildx leaves it to BuildKit.
 */
export function locateFiles(
  inputs: MountInputs,
  workspace: string,
): { readonly context: string; readonly files: readonly string[] } {
  const { context, files } = inputs;
  // What docker/build-push-action calls its Git context is what was checked out.
  const ofGit = /^\{\{\s*defaultContext\s*\}\}:?/;
  const local = context?.replace(ofGit, './') ?? '.';
  if (remoteContext(inputs) !== undefined) {
    throw new InputError(
      `Input context: ${local} is no directory here; give the path at which it is checked out.`,
    );
  }
  const root = resolve(workspace, local);
  const base = ofGit.test(context ?? '') ? root : workspace;
  const paths = files.map((file) => resolve(base, file));
  return { context: root, files: paths.length > 0 ? paths : [join(root, 'Dockerfile')] };
}
