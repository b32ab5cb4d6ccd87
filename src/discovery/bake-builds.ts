import { access, readFile } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve } from 'node:path';
import {
  type BakeDefinition,
  type BakeInputs,
  type BakeTarget,
  listEmptyVariables,
  OldBuildxError,
  readBakeDefinition,
} from '../builder/bake.js';
import { InputError, messageOf } from '../lib/errors.js';
import type { Surroundings } from '../lib/surroundings.js';
import { formatPlatform, parsePlatform, runnerPlatform } from '../mounts/platform.js';
import type {
  BakeSources,
  Build,
  BuildPlan,
  DockerfileText,
  MissingVariables,
} from './build-plan.js';

/** What buildx looks for if no file is named, in its order (defaultFilenames in its bake.go). */
const defaultNames = [
  ...['compose.yaml', 'compose.yml', 'docker-compose.yml', 'docker-compose.yaml'],
  ...['docker-bake.json', 'docker-bake.hcl'],
  ...['docker-bake.override.json', 'docker-bake.override.hcl'],
];

/** The definitions in a directory that docker buildx bake would take by itself, by their names. */
export async function findDefinitions(directory: string): Promise<string[]> {
  const found = await Promise.all(
    defaultNames.map(async (name) => {
      const text = await readFile(join(directory, name), 'utf8').catch(() => undefined);
      // Most Compose files say what is run, and build nothing.
      const builds =
        text !== undefined && (!/ya?ml$/.test(name) || /^[^#\n]*\bbuild["']?:/m.test(text));
      return builds ? [name] : [];
    }),
  );
  return found.flat();
}

/**
 * Asks buildx for the builds of a bake definition, which runs in the working directory of `place`. What cannot be read is a warning: the build may
 * go well all the same.
 *
 * @throws InputError if an input is wrong
 */
export async function readBakeBuilds(inputs: BakeInputs, place: Surroundings): Promise<BuildPlan> {
  const { workspace, cwd: directory } = place;
  await checkFiles(inputs, directory);
  const names =
    inputs.files.length > 0 ? inputs.files.map(localPath) : await findDefinitions(directory);
  const sources: BakeSources = {
    directory,
    // docker/metadata-action's is outside, and another one in each run.
    definitions: names.map((name) => resolve(directory, name)).filter(isBelow(workspace)),
    dockerfiles: [],
    texts: [],
    contexts: [directory],
    platforms: [],
  };
  const nothing: BuildPlan = {
    workspace,
    builds: [],
    platforms: undefined,
    bake: sources,
    notices: [],
    warnings: [],
    hint: undefined,
    missing: undefined,
  };
  let definition: BakeDefinition;
  let empty: readonly string[];
  try {
    [definition, empty] = await Promise.all([
      readBakeDefinition(inputs, place),
      listEmptyVariables(inputs, place),
    ]);
  } catch (error) {
    return { ...nothing, warnings: [explain(error, inputs)] };
  }
  const { builds, problems } = await makeBuilds(definition, place);
  const unset = [...new Set([...definition.unset, ...empty])].filter((name) => !place.env[name]);
  return {
    ...nothing,
    builds,
    platforms: builds.some(isForRunner) ? undefined : builds[0]?.platforms,
    bake: {
      ...sources,
      dockerfiles: builds.flatMap(({ dockerfile }) => dockerfile.path ?? []),
      texts: builds.flatMap(({ dockerfile: { path, text } }) => (path === undefined ? text : [])),
      contexts: [...new Set([directory, ...builds.map(({ context }) => context)])],
      platforms: [...new Set(builds.flatMap(({ platforms }) => platforms))],
    },
    warnings: problems,
    missing: unset.length > 0 ? await markVariables(unset, inputs, place) : undefined,
  };
}

function isForRunner({ platforms }: Build): boolean {
  return platforms.includes(runnerPlatform());
}

function isBelow(directory: string): (path: string) => boolean {
  return (path) => !relative(directory, path).startsWith('..');
}

/** `cwd://` tells a file of the working directory from one of a repository that bake is given. */
function localPath(path: string): string {
  return path.replace(/^cwd:\/\//, '');
}

/** Whether buildx takes it for an address (IsRemoteURL in its urlutil). */
function isRemote(path: string): boolean {
  return /^(?:https?|git|ssh):\/\/|^git@|^github\.com\//i.test(path);
}

async function checkFiles({ files, targets }: BakeInputs, directory: string): Promise<void> {
  const [remote] = [...files, ...targets].filter(isRemote);
  if (remote !== undefined) {
    const input = files.includes(remote) ? 'bake-files' : 'bake-targets';
    throw new InputError(
      `Input ${input}: ${remote} is a remote definition, which is not read. Put actions/checkout before this step, and give the path of the file as it is checked out.`,
    );
  }
  for (const file of files) {
    const path = resolve(directory, localPath(file));
    await access(path).catch(() => {
      throw new InputError(
        `Input bake-files: there is no file ${path}. Put actions/checkout before this step; relative paths count from the input context, or else from the workspace.`,
      );
    });
  }
}

/** @throws InputError if it is the inputs that are wrong */
function explain(error: unknown, { targets }: BakeInputs): string {
  const why = messageOf(error);
  const remedy = 'or list the mounts in cache-mounts';
  if (error instanceof OldBuildxError) {
    return `The bake definition cannot be read, as docker buildx is too old: ${why}. Update it (docker/setup-buildx-action before this step), ${remedy}.`;
  }
  const unknown = /failed to find target (\S+)|could not find any target matching "?([^"\s]+)/.exec(
    why,
  );
  const name = unknown?.[1] ?? unknown?.[2];
  if (name !== undefined && targets.includes(name)) {
    throw new InputError(`Input bake-targets: the bake definition has no target ${name}.`);
  }
  return `The bake definition cannot be read: docker buildx bake --print says "${why}". Variables that the build step has by env: are needed by this step, too; give them, ${remedy}.`;
}

async function makeBuilds(
  { targets }: BakeDefinition,
  place: Surroundings,
): Promise<{ readonly builds: readonly Build[]; readonly problems: readonly string[] }> {
  const made = await Promise.all(targets.map((target) => makeBuild(target, place)));
  return {
    builds: made.flatMap((each) => (typeof each === 'string' ? [] : each)),
    problems: made.flatMap((each) => (typeof each === 'string' ? each : [])),
  };
}

/** @returns the build, or why its Dockerfile cannot be read */
async function makeBuild(
  target: BakeTarget,
  { workspace, cwd: directory }: Surroundings,
): Promise<Build | string> {
  const { name, inline, platforms } = target;
  const context = localPath(target.context);
  const path = dockerfilePath(target);
  if (inline === undefined && (path === undefined || isRemote(path))) {
    return `The mounts of the bake target ${name} are not found: its Dockerfile is not here, but in ${path === undefined ? context : path}. Build it from what is checked out, or list its mounts in cache-mounts.`;
  }
  const absolute = resolve(directory, path ?? '');
  let dockerfile: DockerfileText;
  if (inline !== undefined) {
    dockerfile = { path: undefined, text: inline };
  } else {
    dockerfile = await readFile(absolute, 'utf8').then(
      (text) => ({ path: absolute, text }),
      (error: unknown) => ({ path: absolute, text: undefined, trouble: messageOf(error) }),
    );
  }
  return {
    file: inline === undefined ? relative(workspace, absolute) : `the Dockerfile of ${name}`,
    dockerfile,
    context: isRemote(context) ? directory : resolve(directory, context),
    target: target.target,
    buildArgs: target.args,
    platforms:
      platforms.length > 0
        ? platforms.map((platform) => formatPlatform(parsePlatform(platform)))
        : [runnerPlatform()],
    contexts: new Map(
      [...target.contexts].map(([key, value]) => [key, localContext(value, directory)]),
    ),
    bakeTarget: name,
  };
}

/** From the directory that bake runs in; undefined if it is in a remote context (toBuildOpt). */
function dockerfilePath({ context, dockerfile }: BakeTarget): string | undefined {
  if (dockerfile.startsWith('cwd://')) return localPath(dockerfile);
  if (isAbsolute(dockerfile) || isRemote(dockerfile)) return dockerfile;
  return isRemote(context) ? undefined : join(localPath(context), dockerfile);
}

/** The path of a named context, or its address as it is. */
export function localContext(value: string, directory: string): string {
  const isAddress = /^(?:target|docker-image|oci-layout):/.test(value) || isRemote(value);
  return isAddress ? value : resolve(directory, localPath(value));
}

/**
 * Reads the definition again, with a mark for each variable that has no value: if the mounts are then
 * others, the variable is needed.
 */
async function markVariables(
  names: readonly string[],
  inputs: BakeInputs,
  place: Surroundings,
): Promise<MissingVariables | undefined> {
  const markOf = (index: number) => `unset-variable-${index}-end`;
  const values = Object.fromEntries(names.map((name, index) => [name, markOf(index)]));
  try {
    const definition = await readBakeDefinition(inputs, {
      ...place,
      env: { ...place.env, ...values },
    });
    const { builds } = await makeBuilds(definition, place);
    return { builds, nameOfMark: new Map(names.map((name, index) => [markOf(index), name])) };
  } catch {
    // A variable may have to be of a certain form.
    return undefined;
  }
}
