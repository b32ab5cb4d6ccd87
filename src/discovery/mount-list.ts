import type { OtherMount } from '../builder/records.js';
import { withPlainOrigin } from '../dockerfile/declared-mounts.js';
import { cleanPath } from '../dockerfile/mount-options.js';
import type { SeedStages } from '../dockerfile/stages.js';
import { InputError, messageOf } from '../lib/errors.js';
import { type CacheMount, describeMount, identityOf } from '../mounts/cache-mount.js';
import type { BakeSources, BuildPlan } from './build-plan.js';
import {
  type Declared,
  discoverBuilds,
  distinct,
  distinctTexts,
  type LookUpImages,
  namespaceArgument,
} from './discover-builds.js';
import { type Gaps, noGaps } from './find-gaps.js';
import { type MountInputs, namesMounts } from './mount-inputs.js';
import { type PathOfId, parseCacheMounts } from './named-mounts.js';

/** The mounts to work on, and what is to be said of them. */
export interface MountList extends Gaps {
  readonly mounts: readonly CacheMount[];
  /** The mounts that a generated key names: those that are found if no image is looked up. */
  readonly keyedMounts: readonly CacheMount[];
  readonly seedStages: SeedStages | undefined;
  /** Mounts that the same Dockerfiles declare, and that the builds which are meant do not use. */
  readonly others: readonly OtherMount[];
  /** The first of the platforms that are built for; undefined: the runner's own. */
  readonly platform: string | undefined;
  /** The bake definition whose builds they are of. */
  readonly bake: BakeSources | undefined;
  /** What may be the matter if the builder has other mounts. */
  readonly hint: string | undefined;
  readonly notices: readonly string[];
  readonly warnings: readonly string[];
}

type ListedMounts = Omit<MountList, 'platform' | 'bake' | 'hint'>;

/**
 * Decides which mounts are meant: those that `cache-mounts` names, or else those that the builds
 * declare.
 *
 * @param lookUp looks up base images, if a mount that is not named needs that
 * @throws InputError if an input is wrong, or there is neither a list nor a Dockerfile
 */
export async function listMounts(
  inputs: MountInputs,
  plan: BuildPlan,
  lookUp?: LookUpImages,
): Promise<MountList> {
  const isNamed = namesMounts(inputs);
  const discovery = await discoverBuilds(plan, isNamed, isNamed ? undefined : lookUp);
  const list = isNamed ? nameMounts(inputs, discovery) : takeDiscovered(inputs, plan, discovery);
  return {
    ...list,
    platform: plan.platforms?.[0],
    bake: plan.bake,
    hint: plan.hint,
    notices: [...plan.notices, ...list.notices],
    warnings: [...plan.warnings, ...list.warnings],
  };
}

function takeDiscovered(
  { files }: MountInputs,
  { builds }: BuildPlan,
  { mounts, keyedMounts, problems, others, seedStages, leftOut, ofGaps, gaps }: Declared,
): ListedMounts {
  const dockerfiles = files.length > 0 ? files.join(', ') : 'the Dockerfile';
  const where = builds[0]?.bakeTarget === undefined ? dockerfiles : 'the bake definition';
  const isEmpty = mounts.length === 0 && leftOut.length === 0 && builds.length > 0;
  const warnings = isEmpty ? [`No cache mount was found in ${where}: there is nothing to do.`] : [];
  return {
    ...{ mounts, keyedMounts, seedStages, others, leftOut, ofGaps, gaps },
    ...{ notices: [], warnings: [...problems, ...warnings] },
  };
}

function nameMounts({ cacheMounts, buildArgs }: MountInputs, discovery: Declared): ListedMounts {
  const namespace = buildArgs.get(namespaceArgument) ?? discovery.namespaces[0];
  const ways = discovery.args.length > 0 ? discovery.args : [new Map<string, string>()];
  const parsed = ways.map((args) => {
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
  const { seedStages, others } = discovery;
  const warnings = parsed.flatMap(({ paths }) =>
    paths.flatMap((each) => warnOfPath(each, discovery)),
  );
  return {
    ...noGaps,
    mounts: distinct(mounts),
    keyedMounts: distinct(mounts),
    seedStages,
    others,
    notices: distinctTexts(notices),
    warnings: distinctTexts(warnings),
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
