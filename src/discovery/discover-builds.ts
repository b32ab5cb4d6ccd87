import { readFile } from 'node:fs/promises';
import type { OtherMount } from '../builder/records.js';
import { type BaseImage, imageKey, type KnownImages } from '../dockerfile/base-image.js';
import {
  type Discovery,
  type DiscoveryOptions,
  discoverMounts,
} from '../dockerfile/declared-mounts.js';
import type { BuildResult, NamedContext } from '../dockerfile/named-contexts.js';
import { parseDockerfile } from '../dockerfile/parser.js';
import { type SeedStages, stageNames } from '../dockerfile/stages.js';
import { InputError } from '../lib/errors.js';
import { type CacheMount, describeMount, identityOf } from '../mounts/cache-mount.js';
import { findBuildFiles } from './build-files.js';
import type { Build, BuildPlan, MissingVariables } from './build-plan.js';
import { findGaps, type Gaps } from './find-gaps.js';

/** Looks up base images. */
export type LookUpImages = (images: readonly BaseImage[]) => Promise<KnownImages>;

/** What the builds declare together. */
export interface Declared extends Gaps, Pick<Discovery, 'idOfTarget' | 'plainStages'> {
  readonly mounts: readonly CacheMount[];
  readonly problems: readonly string[];
  readonly others: readonly OtherMount[];
  /** The ways to read a line of the list, one for each build and platform. */
  readonly args: readonly ReadonlyMap<string, string>[];
  /** The namespaces that builds have for their mounts. */
  readonly namespaces: readonly (string | undefined)[];
  readonly seedStages: SeedStages | undefined;
  /** The mounts that are found if no image is looked up. */
  readonly keyedMounts: readonly CacheMount[];
}

interface Found {
  readonly build: Build;
  readonly discovery: Discovery;
}

/**
 * Finds the mounts of all builds of a plan.
 *
 * @param optional the mounts are named, so that a Dockerfile that is not there is no error
 * @param lookUp is called only if a mount needs a variable that a base image may set
 * @throws InputError if there is no Dockerfile, or no stage of the name that is to be built
 */
export async function discoverBuilds(
  plan: BuildPlan,
  optional: boolean,
  lookUp?: LookUpImages,
): Promise<Declared> {
  const { builds } = plan;
  const { found: plain, missing } = findAll(builds, new Map());
  if (missing[0] !== undefined && !optional && (plain.length === 0 || !builds[0]?.bakeTarget)) {
    const there = await findBuildFiles(plan.workspace);
    const remedy = there.length > 0 ? ` In the workspace there are: ${there.join(', ')}.` : '';
    throw new InputError(`${missing[0]}${remedy}`);
  }
  const { found, images } = await lookUpWanted(builds, plain, lookUp);
  const { kept, seedStages, mounts, dropped } = await unite(found);
  const gaps = findGaps(
    found.flatMap(({ build, discovery: full }) => {
      const same = plain.find((each) => each.build === build);
      return same ? [{ plain: same.discovery, full }] : [];
    }),
  );
  const ofGaps = new Set(gaps.leftOut.map(({ message }) => message));
  const args = found.flatMap(({ discovery }) => discovery.args);
  return {
    ...gaps,
    mounts,
    keyedMounts: images.size === 0 ? mounts : (await unite(plain)).mounts,
    problems: distinctTexts([
      ...(optional ? [] : missing),
      ...kept.flatMap(({ discovery }) => discovery.problems).filter((each) => !ofGaps.has(each)),
      ...dropped,
      ...(plan.missing ? findMissingVariables(plan.missing, found, images) : []),
    ]),
    others: findOthers(found, images),
    // A variable that one build does not have may be another's.
    args: args.map((each) => new Map([...args.flatMap((other) => [...other]), ...each])),
    idOfTarget: new Map(found.flatMap(({ discovery }) => [...discovery.idOfTarget])),
    plainStages: new Map(found.flatMap(({ discovery }) => [...discovery.plainStages])),
    namespaces: [...new Set(found.map(({ build }) => build.buildArgs.get(namespaceArgument)))],
    seedStages,
  };
}

/** Reads all Dockerfiles; those that are not there are named. */
function findAll(
  builds: readonly Build[],
  images: KnownImages,
): { readonly found: readonly Found[]; readonly missing: readonly string[] } {
  const discover = discoverer(builds, images);
  const missing: string[] = [];
  const found = builds.flatMap((build): Found[] => {
    const discovery = discover(build);
    if (discovery !== undefined) return [{ build, discovery }];
    missing.push(explainMissing(build));
    return [];
  });
  return { found, missing };
}

/** Looks up the images that are needed, until none is: ONBUILD of one may need another. */
async function lookUpWanted(
  builds: readonly Build[],
  plain: readonly Found[],
  lookUp: LookUpImages | undefined,
): Promise<{ readonly found: readonly Found[]; readonly images: KnownImages }> {
  let found = plain;
  let images: KnownImages = new Map();
  for (;;) {
    const all = found.flatMap(({ discovery }) => discovery.wanted);
    const wanted = new Map(all.map((image) => [imageKey(image), image]));
    const unasked = [...wanted].flatMap(([key, image]) => (images.has(key) ? [] : image));
    if (unasked.length === 0 || lookUp === undefined) return { found, images };
    images = new Map([...images, ...(await lookUp(unasked))]);
    found = findAll(builds, images).found;
  }
}

/** The mounts of all builds, as far as one scratch build can have them. */
async function unite(found: readonly Found[]): Promise<{
  readonly kept: readonly Found[];
  readonly seedStages: SeedStages | undefined;
  readonly mounts: readonly CacheMount[];
  readonly dropped: readonly string[];
}> {
  const { kept, seedStages } = await keepSeeds(found);
  const { same, dropped } = keepNamespace(
    distinct(kept.flatMap(({ discovery }) => discovery.mounts)),
  );
  return { kept, seedStages, mounts: same, dropped };
}

export const namespaceArgument = 'BUILDKIT_CACHE_MOUNT_NS';

/** Discovers the mounts of builds, each once, and those first that it starts from. */
function discoverer(
  builds: readonly Build[],
  images: KnownImages,
): (build: Build, target?: string) => Discovery | undefined {
  const known = new Map<Build, Discovery | undefined>();
  const contextsOf = ({ contexts }: Build) =>
    new Map([...contexts].map(([name, value]) => [name, readContext(value)]));
  const readContext = (value: string): NamedContext => {
    const image = /^docker-image:\/\/(.*)$/.exec(value)?.[1];
    if (image !== undefined)
      return image === 'scratch' ? { kind: 'directory' } : { kind: 'image', image };
    if (value.startsWith('oci-layout:')) return { kind: 'image', image: value };
    if (!value.startsWith('target:')) return { kind: 'directory' };
    const name = value.slice('target:'.length);
    const build = builds.find(({ bakeTarget }) => bakeTarget === name);
    const unknown: BuildResult = {
      ...{ env: new Map(), instructions: [] },
      image: { name: `of the bake target ${name}` },
    };
    const results = (build && discover(build))?.results ?? new Map([['', unknown]]);
    return { kind: 'build', name, results };
  };
  const discover = (build: Build, target = build.target): Discovery | undefined => {
    const { dockerfile } = build;
    if (dockerfile.text === undefined) return undefined;
    const options: DiscoveryOptions = {
      file: build.file,
      target,
      buildArgs: build.buildArgs,
      platforms: build.platforms,
      contexts: contextsOf(build),
      images,
      ...messagesOf(build),
    };
    return discoverMounts(dockerfile.text, options);
  };
  return (build, target) => {
    if (target !== undefined) return discover(build, target);
    if (!known.has(build)) known.set(build, discover(build));
    return known.get(build);
  };
}

function messagesOf({ bakeTarget, rival }: Build): Partial<DiscoveryOptions> {
  if (bakeTarget === undefined) {
    return rival === undefined
      ? {}
      : { argQuestion: `is it missing in build-args, or is ${rival} built (input bake-files)?` };
  }
  return {
    targetOrigin: `The bake target ${bakeTarget}`,
    argQuestion: `is it missing in the args of the bake target ${bakeTarget}, or a variable that only the build step has by env:?`,
  };
}

function explainMissing({ dockerfile, bakeTarget }: Build): string {
  const trouble = 'trouble' in dockerfile ? dockerfile.trouble : '';
  return bakeTarget === undefined
    ? `There is no Dockerfile to read the cache mounts from: ${trouble}. Put actions/checkout before this step, say where it is in the inputs file or context, or name the mounts in the input cache-mounts.`
    : `There is no Dockerfile to read the cache mounts of the bake target ${bakeTarget} from: ${trouble}. Put actions/checkout before this step, or name the mounts in the input cache-mounts.`;
}

/** Stages of several builds cannot stand in one, unless they are the same stages. */
async function keepSeeds(
  found: readonly Found[],
): Promise<{ readonly kept: readonly Found[]; readonly seedStages: SeedStages | undefined }> {
  const isOnly = new Set(found.map(({ build }) => sourceOf(build))).size === 1;
  let seedStages: SeedStages | undefined;
  const kept: Found[] = [];
  for (const each of found) {
    const own = await seedsOf(each);
    if (own === undefined || (isOnly && (seedStages === undefined || isSame(own, seedStages)))) {
      seedStages = own ?? seedStages;
      kept.push(each);
    } else {
      kept.push(withoutStages(each));
    }
  }
  return { kept, seedStages };
}

function isSame(one: SeedStages, other: SeedStages): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** The Dockerfile, and in which directory it is built. */
function sourceOf({ file, context }: Build): string {
  return JSON.stringify([file, context]);
}

async function seedsOf({ build, discovery }: Found): Promise<SeedStages | undefined> {
  if (discovery.stages === undefined) return undefined;
  const { dockerfile, context, buildArgs, contexts } = build;
  const ignore =
    dockerfile.path === undefined
      ? ''
      : await readFile(`${dockerfile.path}.dockerignore`, 'utf8').catch(() => '');
  const outside = [...contexts].filter(([, value]) => !value.startsWith('target:'));
  return {
    ...discovery.stages,
    context,
    buildArgs: Object.fromEntries(buildArgs),
    ignore,
    namedContexts: Object.fromEntries(outside),
  };
}

function withoutStages({ build, discovery }: Found): Found {
  const problems = discovery.mounts.flatMap(({ id, stage }) =>
    stage
      ? `${build.file}: the mount ${id} is left out: it starts from the stage ${stage.name}, which is supported for a single Dockerfile only`
      : [],
  );
  return {
    build,
    discovery: {
      ...discovery,
      mounts: discovery.mounts.filter(({ stage }) => stage === undefined),
      problems: [...discovery.problems, ...problems],
    },
  };
}

/** A build, and so ours too, has one namespace for all its mounts. */
function keepNamespace(mounts: readonly CacheMount[]): {
  readonly same: readonly CacheMount[];
  readonly dropped: readonly string[];
} {
  const isSame = ({ namespace }: CacheMount) => namespace === mounts[0]?.namespace;
  return {
    same: mounts.filter(isSame),
    dropped: mounts
      .filter((mount) => !isSame(mount))
      .map(
        (mount) =>
          `The mount ${describeMount(mount)} is left out: it has another namespace (${namespaceArgument}) than ${mounts[0] && describeMount(mounts[0])}; give each namespace a step of its own.`,
      ),
  };
}

/** Looks into the stages that no build needs. */
function findOthers(found: readonly Found[], images: KnownImages): OtherMount[] {
  const asked = new Set(found.flatMap(({ discovery }) => discovery.mounts.map(identityOf)));
  const others = new Map<string, OtherMount>();
  for (const { build } of found) {
    const { text } = build.dockerfile;
    for (const stage of text === undefined ? [] : stageNames(parseDockerfile(text))) {
      const discovery = discoverer([], images)({ ...build, contexts: new Map() }, stage);
      for (const mount of discovery?.mounts ?? []) {
        const identity = identityOf(mount);
        if (asked.has(identity) || others.has(identity)) continue;
        const input = build.bakeTarget === undefined ? 'target' : 'bake-targets';
        others.set(identity, { mount, stage, file: build.file, input });
      }
    }
  }
  return [...others.values()];
}

/** The variables without a value that decide about mounts. */
function findMissingVariables(
  { builds, nameOfMark }: MissingVariables,
  found: readonly Found[],
  images: KnownImages,
): string[] {
  const discover = discoverer(builds, images);
  return found.flatMap(({ build }) => {
    const marked = builds.find(({ bakeTarget }) => bakeTarget === build.bakeTarget);
    if (marked === undefined) return [];
    const { file, context, target, platforms } = marked;
    let mounts: readonly CacheMount[] = [];
    try {
      mounts = discover(marked)?.mounts ?? [];
    } catch {
      // The stage is not there, of which the name is marked.
    }
    const text = JSON.stringify([file, context, target, platforms, mounts.map(identityOf)]);
    const names = [...nameOfMark].flatMap(([mark, name]) => (text.includes(mark) ? name : []));
    return names.map(
      (name) =>
        `The mounts of the bake target ${build.bakeTarget} depend on the variable ${name}, which has no value in this step: if the build step has it by env:, give it to this step, too (best by env: of the job).`,
    );
  });
}

export function distinct(mounts: readonly CacheMount[]): CacheMount[] {
  return [...new Map(mounts.map((mount) => [identityOf(mount), mount])).values()];
}

export function distinctTexts(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}
