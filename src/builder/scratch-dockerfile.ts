import { createHash } from 'node:crypto';
import type { StageText } from '../dockerfile/stages.js';
import { type CacheMount, identityOf, renderOwnership } from '../mounts/cache-mount.js';

/** What the RUNs of the scratch Dockerfile run in. */
export type ScratchBase =
  | {
      /** An empty image, into which directories of the build context are mounted. */
      readonly kind: 'runner';
      /** Their names in `tools` of the build context, and at the container's root. */
      readonly directories: readonly string[];
    }
  | { readonly kind: 'image'; readonly image: string };

/** One mount, and what the script is told of it. */
export interface ScratchMount {
  readonly index: number;
  readonly mount: CacheMount;
  readonly argument: string;
  /** Whether the script is to have what inject notes of the mount, at `/snapshots/INDEX`. */
  readonly withSnapshot?: boolean;
  /** Whether it is to have the plan for a straight connection to the step, at `/plans/INDEX`. */
  readonly withPlan?: boolean;
}

export interface ScratchDockerfile {
  readonly text: string;
  readonly buildArgs: Readonly<Record<string, string>>;
}

/**
 * Every RUN takes some time to start and adds a layer, of which the classic image store takes 125;
 * with more mounts than this a RUN has several of them.
 */
const maximumRuns = 16;

/** The name of the build context with the programs, the scripts and the archives. */
export const filesContext = 'buildkit-cache-mounts';

/**
 * What inject notes of a mount is in a cache mount of our own: nothing stays in the user's. Its id is
 * this, and a digest of the mount's identity.
 */
export const snapshotIdPrefix = `${filesContext}-snapshot-`;

/** The id of the build secret that holds the plan of a mount. */
export function planSecret(index: number): string {
  return `${filesContext}-plan-${index}`;
}

// The stages of the user's Dockerfile may have any name but such.
const workStage = `${filesContext}-work`;

// A name that nobody else has: by it our own build cache is known.
const scriptsDirectory = `/${filesContext}`;

/**
 * Matches the descriptions that BuildKit gives to what a scratch build leaves in the build cache, but
 * for the cache mounts: what its RUNs have written, and the copy of its files. In the syntax of
 * containerd's filters, which has no room for white space.
 */
export const buildCachePattern = `^(mount./.from.exec./bin/sh.${scriptsDirectory}/|local.source.for.${filesContext}$)`;

/** Directory, in what the build puts out, with all that the scripts have written. */
export const outputDirectory = 'out';

/**
 * Renders the Dockerfile of a scratch build: one RUN for each mount, which runs
 * `scripts/run.sh ARGUMENT` of the build context, with the mount at `/mounts/INDEX` and the archives
 * of the build context at `/archives`. What a mount was created with is at `/seeds/INDEX`.
 *
 * - A RUN with one mount holds one lock that others may want (the snapshot is ours alone), for as long
 *   as it must, and cannot wait for another build that waits for it. (Where there are many mounts, see
 *   {@link maximumRuns}.)
 * - `sharing=locked`, the only mode that neither forks a mount that is in use nor sees it half
 *   written.
 * - Ids, sources and images are build arguments: an ARG's value is taken as it is, whereas a
 *   flag's text passes a lexer, a CSV reader and a shell-like expansion.
 *
 * @param nonce a value never used before: BuildKit does not run again what it has already run, and
 *   `--no-cache` would wipe the mounts
 */
export function renderScratchDockerfile(
  base: ScratchBase,
  mounts: readonly ScratchMount[],
  options: {
    readonly nonce: string;
    readonly withArchives: boolean;
    /** Stages that mounts start from; they are built with their own context, the main one. */
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
    // A build has one for all its mounts; no ARG is needed for it.
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
      const options = [
        `type=cache,target=/mounts/${index},sharing=locked`,
        `id=$${declare(`ID_${index}`, id)}`,
        ...start,
        ...(ownership === undefined ? [] : renderOwnership(ownership)),
      ];
      // Given an owner, BuildKit starts the mount from a new directory in the image.
      const isSeeded = origin !== undefined && ownership === undefined;
      const seed = [`type=bind,target=/seeds/${index}`, ...start];
      const snapshot = `type=cache,target=/snapshots/${index},sharing=locked,id=${snapshotIdPrefix}${digest(mount)}`;
      return [
        ...(withPlan ? [`type=secret,id=${planSecret(index)},target=/plans/${index}`] : []),
        ...(withSnapshot ? [snapshot] : []),
        options.join(','),
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
    // Without this the whole image would be put out; the runner's tools are only mounted.
    lines.push('FROM scratch', `COPY --from=${workStage} /${outputDirectory} /${outputDirectory}`);
  }
  return { text: `${lines.join('\n')}\n`, buildArgs };
}

function digest(mount: CacheMount): string {
  return createHash('sha256').update(identityOf(mount)).digest('hex').slice(0, 32);
}
