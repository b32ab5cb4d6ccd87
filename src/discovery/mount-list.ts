import { readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { type Discovery, discoverMounts, withPlainOrigin } from '../dockerfile/declared-mounts.js';
import { cleanPath } from '../dockerfile/mount-options.js';
import type { SeedStages } from '../dockerfile/stages.js';
import { InputError, messageOf } from '../lib/errors.js';
import { type CacheMount, describeMount, identityOf } from '../mounts/cache-mount.js';
import { runnerPlatform } from '../mounts/platform.js';
import { findBuildFiles } from './build-files.js';
import { type PathOfId, parseCacheMounts } from './named-mounts.js';

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
 * @throws InputError if an input is wrong, or if there is neither a list nor a Dockerfile
 */
export async function listMounts(inputs: MountInputs, workspace: string): Promise<MountList> {
  const isNamed = namesMounts(inputs);
  const remote = remoteContext(inputs);
  if (isNamed && remote !== undefined) {
    const notice = `Input context: ${remote} is no directory here, so that no Dockerfile is read: the mounts are just those of cache-mounts.`;
    const list = nameMounts(inputs, nothingDeclared(inputs));
    return { ...list, notices: [notice, ...list.notices] };
  }
  const discovery = await readDockerfiles(inputs, workspace, isNamed);
  return isNamed ? nameMounts(inputs, discovery) : takeDiscovered(inputs, discovery);
}

/** The context, if it is the address of a repository and not a directory. */
export function remoteContext({ context = '.' }: MountInputs): string | undefined {
  return /^[a-z+]+:\/\/|^git@/i.test(context) ? context : undefined;
}

function nothingDeclared({ platforms = [runnerPlatform()] }: MountInputs): Declared {
  return {
    mounts: [],
    problems: [],
    args: platforms.map(() => new Map()),
    idOfTarget: new Map(),
    plainStages: new Map(),
    seedStages: undefined,
  };
}

/** The paths of the build context and of the Dockerfiles; relative ones count from the workspace. */
export function locateFiles(
  inputs: MountInputs,
  workspace: string,
): {
  readonly context: string;
  readonly files: readonly string[];
} {
  const { context, files } = inputs;
  // What docker/build-push-action calls its Git context is what was checked out.
  const local = context?.replace(/^\{\{\s*defaultContext\s*\}\}:?/, './') ?? '.';
  if (remoteContext(inputs) !== undefined) {
    throw new InputError(
      `Input context: ${local} is no directory here; give the path at which it is checked out.`,
    );
  }
  const root = resolve(workspace, local);
  const paths = files.map((file) => resolve(workspace, file));
  return { context: root, files: paths.length > 0 ? paths : [join(root, 'Dockerfile')] };
}

interface Declared
  extends Pick<Discovery, 'mounts' | 'problems' | 'args' | 'idOfTarget' | 'plainStages'> {
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
    const text = await readFile(path, 'utf8').catch(async (error: unknown) => {
      if (optional) return undefined;
      const there = await findBuildFiles(workspace);
      throw new InputError(
        `There is no Dockerfile to read the cache mounts from: ${messageOf(error)}. Put actions/checkout before this step, say where it is in the inputs file or context, or name the mounts in the input cache-mounts.${there.length > 0 ? ` In the workspace there are: ${there.join(', ')}.` : ''}`,
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
    idOfTarget: new Map(found.flatMap(({ idOfTarget }) => [...idOfTarget])),
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
  const warnings = parsed.flatMap(({ paths }) =>
    paths.flatMap((each) => warnOfPath(each, discovery)),
  );
  return {
    mounts: distinct(mounts),
    seedStages,
    notices: [...new Set(notices)],
    warnings: [...new Set(warnings)],
  };
}

/** A second field that looks like another mount is not taken, which the user may not expect. */
function warnOfPath({ id, path, line }: PathOfId, { mounts, idOfTarget }: Declared): string[] {
  const other = path.trim();
  const isDeclared = mounts.some((mount) => mount.id === other);
  const declaredId = isDeclared ? other : idOfTarget.get(cleanPath(other));
  const isAnother = declaredId !== undefined && declaredId !== id;
  if (other === '' || (other === path && !isAnother)) return [];
  return [
    `Input cache-mounts: line ${line} names ${id} alone, as there is one mount a line: if ${other} is a mount too, put it on a line of its own.`,
  ];
}

/** What the Dockerfile declares in the very words of the list, if `from` is one of its stages. */
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
 * What the Dockerfile declares under a bare id, if that is not just the bare mount: its options
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
