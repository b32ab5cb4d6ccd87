import { readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { type Discovery, discoverMounts, withPlainOrigin } from '../dockerfile/declared-mounts.js';
import type { SeedStages } from '../dockerfile/stages.js';
import { InputError, messageOf } from '../lib/errors.js';
import { type CacheMount, describeMount, identityOf } from '../mounts/cache-mount.js';
import { runnerPlatform } from '../mounts/platform.js';
import { parseCacheMounts } from './named-mounts.js';

/** The inputs that say which mounts there are; those of docker/build-push-action mean the same. */
export interface MountInputs {
  /** As it was given; empty: the mounts of the Dockerfiles. */
  readonly cacheMounts: string;
  readonly context: string | undefined;
  readonly files: readonly string[];
  readonly target: string | undefined;
  readonly buildArgs: ReadonlyMap<string, string>;
  /** Undefined: the runner's own. */
  readonly platforms: readonly string[] | undefined;
}

/** The mounts to work on, and what is to be said of them. */
export interface MountList {
  readonly mounts: readonly CacheMount[];
  readonly seedStages: SeedStages | undefined;
  readonly notices: readonly string[];
  readonly warnings: readonly string[];
}

/** Whether any of the inputs says something. */
export function areGiven(inputs: MountInputs): boolean {
  const { context, files, target, buildArgs, platforms } = inputs;
  const isAnyGiven = [context, target, platforms].some((each) => each !== undefined);
  return isAnyGiven || namesMounts(inputs) || files.length > 0 || buildArgs.size > 0;
}

function namesMounts({ cacheMounts }: MountInputs): boolean {
  return cacheMounts.split('\n').some((line) => /^\s*[^#\s]/.test(line));
}

/**
 * Decides which mounts are meant: those that `cache-mounts` names, or else those that the
 * Dockerfiles declare.
 *
 * @param workspace what relative paths count from
 * @throws InputError where an input is wrong, or there is neither a list nor a Dockerfile
 */
export async function listMounts(inputs: MountInputs, workspace: string): Promise<MountList> {
  const isNamed = namesMounts(inputs);
  const discovery = await readDockerfiles(inputs, workspace, isNamed);
  return isNamed ? nameMounts(inputs, discovery) : takeDiscovered(inputs, discovery);
}

/** The paths of the build context and of the Dockerfiles; relative ones count from the workspace. */
export function locateFiles(
  { context, files }: MountInputs,
  workspace: string,
): {
  readonly context: string;
  readonly files: readonly string[];
} {
  // What docker/build-push-action calls its Git context is what was checked out.
  const local = context?.replace(/^\{\{\s*defaultContext\s*\}\}:?/, './') ?? '.';
  if (/^[a-z+]+:\/\/|^git@/i.test(local)) {
    throw new InputError(
      `Input context: ${local} is no directory here; give the path at which it is checked out.`,
    );
  }
  const root = resolve(workspace, local);
  const paths = files.map((file) => resolve(workspace, file));
  return { context: root, files: paths.length > 0 ? paths : [join(root, 'Dockerfile')] };
}

interface Declared extends Pick<Discovery, 'mounts' | 'problems' | 'args' | 'plainStages'> {
  readonly seedStages: SeedStages | undefined;
}

/** @param optional the mounts are named, so that a Dockerfile that is not there is no error */
async function readDockerfiles(
  inputs: MountInputs,
  workspace: string,
  optional: boolean,
): Promise<Declared> {
  const { target, buildArgs } = inputs;
  const platforms = inputs.platforms ?? [runnerPlatform()];
  const { context, files } = locateFiles(inputs, workspace);
  const found: Discovery[] = [];
  let seedStages: SeedStages | undefined;
  for (const path of files) {
    const file = relative(workspace, path);
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      if (optional) return undefined;
      throw new InputError(
        `There is no Dockerfile to read the cache mounts from: ${messageOf(error)}. Put actions/checkout before this step, say where it is in the inputs file or context, or name the mounts in the input cache-mounts.`,
      );
    });
    if (text === undefined) continue;
    const discovery = discoverMounts(text, { file, target, buildArgs, platforms });
    if (discovery.stages && files.length > 1) {
      found.push(withoutStages(discovery, file));
      continue;
    }
    found.push(discovery);
    if (discovery.stages) {
      const ignore = await readFile(`${path}.dockerignore`, 'utf8').catch(() => '');
      seedStages = {
        ...discovery.stages,
        context,
        buildArgs: Object.fromEntries(buildArgs),
        ignore,
      };
    }
  }
  return {
    mounts: distinct(found.flatMap(({ mounts }) => mounts)),
    problems: found.flatMap(({ problems }) => problems),
    args: platforms.map(
      (_, index) => new Map(found.flatMap(({ args }) => [...(args[index] ?? [])])),
    ),
    plainStages: new Map(found.flatMap(({ plainStages }) => [...plainStages])),
    seedStages,
  };
}

/** Stages of several Dockerfiles cannot stand in one. */
function withoutStages(discovery: Discovery, file: string): Discovery {
  const problems = discovery.mounts.flatMap(({ id, stage }) =>
    stage
      ? `${file}: the mount ${id} is left out: it starts from the stage ${stage.name}, which is supported for a single Dockerfile only`
      : [],
  );
  return {
    ...discovery,
    mounts: discovery.mounts.filter(({ stage }) => stage === undefined),
    problems: [...discovery.problems, ...problems],
  };
}

function takeDiscovered(
  { files }: MountInputs,
  { mounts, problems, seedStages }: Declared,
): MountList {
  const where = files.length > 0 ? files.join(', ') : 'the Dockerfile';
  const warnings =
    mounts.length === 0 ? [`No cache mount was found in ${where}: there is nothing to do.`] : [];
  return { mounts, seedStages, notices: [], warnings: [...problems, ...warnings] };
}

function nameMounts({ cacheMounts, buildArgs }: MountInputs, discovery: Declared): MountList {
  const namespace = buildArgs.get('BUILDKIT_CACHE_MOUNT_NS');
  const parsed = discovery.args.map((args) => {
    try {
      return parseCacheMounts(cacheMounts, (name) => buildArgs.get(name) ?? args.get(name));
    } catch (error) {
      throw new InputError(`Input cache-mounts: ${messageOf(error)}`);
    }
  });
  const notices = parsed.flatMap((each) =>
    each.notices.map((notice) => `Input cache-mounts: ${notice}`),
  );
  const mounts = distinct(parsed.flatMap((each) => each.mounts)).flatMap((named) => {
    const inNamespace = namespace ? { ...named, namespace } : named;
    const fromStage = findFromStage(inNamespace, discovery.mounts);
    if (fromStage) return fromStage;
    const mount = withPlainOrigin(inNamespace, discovery.plainStages);
    const declared = findDeclared(mount, discovery.mounts);
    if (declared.length === 0) return mount;
    notices.push(
      `Input cache-mounts: ${named.id} is taken as the Dockerfile declares it: ${declared.map(describeMount).join(' and ')}.`,
    );
    return declared;
  });
  const { seedStages } = discovery;
  return { mounts: distinct(mounts), seedStages, notices: [...new Set(notices)], warnings: [] };
}

/** What the Dockerfile declares in the very words of the list, where `from` is one of its stages. */
function findFromStage(
  { from, ...others }: CacheMount,
  declared: readonly CacheMount[],
): CacheMount | undefined {
  return declared.find(({ stage, ...each }) => {
    const isNamed = stage !== undefined && stage.name === from?.toLowerCase();
    return isNamed && identityOf(each) === identityOf(others);
  });
}

/**
 * What the Dockerfile declares under a bare id, where that is not just the bare mount: its options
 * make it another mount, and the bare one would be empty.
 */
function findDeclared(mount: CacheMount, declared: readonly CacheMount[]): CacheMount[] {
  const isBare = !mount.from && !mount.source && !mount.ownership;
  const sameId = isBare ? declared.filter(({ id }) => id === mount.id) : [];
  const isJustBare = sameId.every((each) => identityOf(each) === identityOf(mount));
  return isJustBare ? [] : sameId;
}

function distinct(mounts: readonly CacheMount[]): CacheMount[] {
  return [...new Map(mounts.map((mount) => [identityOf(mount), mount])).values()];
}
