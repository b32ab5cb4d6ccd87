import { createHash } from 'node:crypto';
import type { StageText } from '../dockerfile/stages.js';
import { type CacheMount, identityOf, renderOwnership } from '../mounts/cache-mount.js';

/** The base image of the scratch build's RUNs. */
export type ScratchBase =
  | {
      /** An empty image, into which directories of the build context are mounted. */
      readonly kind: 'runner';
      /** Their names in `tools` of the build context, and at the container's root. */
      readonly directories: readonly string[];
    }
  | { readonly kind: 'image'; readonly image: string };

/** One mount, with the script's argument for it. */
export interface ScratchMount {
  readonly index: number;
  readonly mount: CacheMount;
  readonly argument: string;
  /** The script of sed that finds what is not packed; undefined: all is packed. */
  readonly exclude?: string | undefined;
  /** Whether the script gets the cache mount for the snapshot, at `/snapshots/INDEX`. */
  readonly withSnapshot?: boolean;
  /** Whether the script gets the plan for a connection to the step, at `/plans/INDEX`. */
  readonly withPlan?: boolean;
}

export interface ScratchDockerfile {
  readonly text: string;
  readonly buildArgs: Readonly<Record<string, string>>;
}

/**
 * Every RUN takes some time to start and adds a layer, and the classic image store allows only 125
 * layers. If there are more mounts than this, one RUN has several mounts.
 */
const maximumRuns = 16;

/** The name of the build context with the programs, the scripts and the archives. */
export const filesContext = 'buildkit-cache-mounts';

/**
 * Inject keeps a mount's snapshot in a cache mount of our own, and leaves nothing in the user's
 * mount. The id of our mount is this prefix and a digest of the identity of the user's mount.
 */
export const snapshotMountPrefix = `${filesContext}-snapshot-`;

/** The id of the build secret that holds the plan of a mount. */
export function planSecret(index: number): string {
  return `${filesContext}-plan-${index}`;
}

// No stage of the user's Dockerfile may have a name like this.
const workStage = `${filesContext}-work`;

// Nobody else uses this name, so it identifies our own parts of the build cache.
const scriptsDirectory = `/${filesContext}`;

/**
 * Matches BuildKit's descriptions of what a scratch build leaves in the build cache: the output of
 * its RUNs, and the copy of its files. It does not match the cache mounts. The syntax is that of
 * containerd's filters, which allows no white space.
 */
export const buildCachePattern = `^(mount./.from.exec./bin/sh.${scriptsDirectory}/|local.source.for.${filesContext}$)`;

/** The directory in the build's output with all files that the scripts have written. */
export const outputDirectory = 'out';

/**
 * Renders the Dockerfile of a scratch build. It has one RUN for each mount, which runs
 * `scripts/run.sh ARGUMENT` of the build context. The mount is at `/mounts/INDEX`, and the archives
 * of the build context are at `/archives`. The content that a mount was created with is at
 * `/seeds/INDEX`.
 *
 * - A RUN with one mount holds only one lock that other builds may want, because the snapshot's
 *   mount is ours alone. It holds the lock no longer than it must. So two builds cannot wait for
 *   each other. (If there are many mounts, see {@link maximumRuns}.)
 * - The mode is `sharing=locked`. Only this mode never copies a mount that is in use, and never
 *   shows a mount that is half written.
 * - Ids, sources and images are build arguments, because the value of an ARG is taken unchanged.
 *   The text of a flag passes through a lexer, a CSV reader and a shell-like expansion.
 *
 * @param options `nonce` is a value never used before, because BuildKit does not repeat a RUN that
 *   it has already run, and `--no-cache` would empty the mounts
 */
export function renderScratchDockerfile(
  base: ScratchBase,
  mounts: readonly ScratchMount[],
  options: {
    readonly nonce: string;
    readonly withArchives: boolean;
    /** The stages that mounts start from; they are built with their own context, the main one. */
    readonly seedStages: StageText | undefined;
  },
): ScratchDockerfile {
  const buildArgs: Record<string, string> = {};
  const lines = options.seedStages ? [options.seedStages.head] : [];
  const declare = (name: string, value: string) => {
    const argument = `CACHE_MOUNT_${name}`;
    buildArgs[argument] = value;
    lines.push(`ARG ${argument}`);
    return argument;
  };
  const namespace = mounts[0]?.mount.namespace;
  if (namespace !== undefined) {
    // One build has one namespace for all its mounts. BuildKit reads it without an ARG.
    buildArgs.BUILDKIT_CACHE_MOUNT_NS = namespace;
  }
  const images = [...new Set(mounts.flatMap(({ mount }) => mount.from ?? []))];
  const stageOf = (image: string) => `${filesContext}-from-${images.indexOf(image)}`;
  for (const [index, image] of images.entries()) {
    declare(`FROM_${index}`, image);
  }
  if (base.kind === 'image') {
    declare('UTILITY_IMAGE', base.image);
  }
  for (const [index, image] of images.entries()) {
    lines.push(`FROM $CACHE_MOUNT_FROM_${index} AS ${stageOf(image)}`);
  }
  lines.push(
    ...(options.seedStages ? [options.seedStages.stages] : []),
    `FROM ${base.kind === 'image' ? '$CACHE_MOUNT_UTILITY_IMAGE' : 'scratch'} AS ${workStage}`,
  );
  if (base.kind === 'image') {
    lines.push('USER 0:0');
  }
  lines.push(`WORKDIR /${outputDirectory}`);
  declare('NONCE', options.nonce);
  const shared = [
    ...(base.kind === 'runner'
      ? base.directories.map(
          (name) => `type=bind,from=${filesContext},source=tools/${name},target=/${name}`,
        )
      : []),
    `type=bind,from=${filesContext},source=scripts,target=${scriptsDirectory}`,
    ...(options.withArchives
      ? [`type=bind,from=${filesContext},source=archives,target=/archives`]
      : []),
  ];
  const perRun = Math.ceil(mounts.length / maximumRuns);
  for (let first = 0; first < mounts.length; first += perRun) {
    const group = mounts.slice(first, first + perRun);
    const flags = group.flatMap(({ index, mount, withSnapshot, withPlan }) => {
      const { id, from, stage, source, ownership } = mount;
      const origin = from === undefined ? stage?.name : stageOf(from);
      const start = [
        ...(origin === undefined ? [] : [`from=${origin}`]),
        ...(source === undefined ? [] : [`source=$${declare(`SOURCE_${index}`, source)}`]),
      ];
      const cache = [
        `type=cache,target=/mounts/${index},sharing=locked`,
        `id=$${declare(`ID_${index}`, id)}`,
        ...start,
        ...(ownership === undefined ? [] : renderOwnership(ownership)),
      ];
      // If the mount has an owner, BuildKit does not start it from the content of the image, but
      // from a new directory in it.
      const isSeeded = origin !== undefined && ownership === undefined;
      const seed = [`type=bind,target=/seeds/${index}`, ...start];
      const snapshot = `type=cache,target=/snapshots/${index},sharing=locked,id=${snapshotMountPrefix}${digest(mount)}`;
      return [
        ...(withPlan ? [`type=secret,id=${planSecret(index)},target=/plans/${index}`] : []),
        ...(withSnapshot ? [snapshot] : []),
        cache.join(','),
        ...(isSeeded ? [seed.join(',')] : []),
      ];
    });
    const command = [
      '/bin/sh',
      `${scriptsDirectory}/run.sh`,
      ...group.map(({ argument }) => argument),
    ];
    lines.push(
      `RUN ${[...shared, ...flags].map((flag) => `--mount=${flag}`).join(' ')} ${JSON.stringify(command)}`,
    );
  }
  if (base.kind === 'image') {
    // Without this, the output would be the whole image. The runner's programs are only mounted.
    lines.push('FROM scratch', `COPY --from=${workStage} /${outputDirectory} /${outputDirectory}`);
  }
  return { text: `${lines.join('\n')}\n`, buildArgs };
}

function digest(mount: CacheMount): string {
  return createHash('sha256').update(identityOf(mount)).digest('hex').slice(0, 32);
}
