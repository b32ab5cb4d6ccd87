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
  /** The archives that the builder itself pulls. */
  readonly pulled?: readonly PulledArchive[];
}

/** An archive in an image, which has it as the file `/archive`. */
export interface PulledArchive {
  /** The name of the image, with its digest. */
  readonly image: string;
  /** The name of the file in `/archives`. */
  readonly file: string;
}

export interface ScratchDockerfile {
  readonly text: string;
  readonly buildArgs: Readonly<Record<string, string>>;
  /** The images of archives, as named contexts. */
  readonly namedContexts: Readonly<Record<string, string>>;
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

/**
 * The id of the build secret that permits to pack, if the archives stay in the builder. A secret is no
 * part of what BuildKit knows a RUN by. So a build without it can take what the RUN has left, but
 * cannot run it again, which could pack something else.
 */
export const permitSecret = `${filesContext}-permit`;

/** The file of an image that holds an archive. */
const archiveFile = 'archive';

// No stage of the user's Dockerfile may have a name like this.
const workStage = `${filesContext}-work`;

/**
 * All of the build context with our files. BuildKit sends each part that a RUN mounts by itself, and
 * mixes up what it has of them. It sends a stage as one, and of that only what is new: an extract has
 * the same programs as the inject before it.
 */
const filesStage = `${filesContext}-files`;

// Nobody else uses this name, so it identifies our own parts of the build cache.
const scriptsDirectory = `/${filesContext}`;

/**
 * Matches BuildKit's descriptions of what a scratch build leaves in the build cache: the output of
 * its RUNs, what is copied out of it, and the copy of its files. It does not match the cache mounts. The
 * syntax is that of containerd's filters, which allows no white space.
 */
export const buildCachePattern = `^(mount./.from.exec./bin/sh.${scriptsDirectory}/|.*COPY.--from=${workStage}.|local.source.for.${filesContext}$)`;

/** Matches also what BuildKit has pulled of images. @param digests those of the images */
export function buildCachePatternWith(digests: readonly string[]): string {
  const images = digests.map((digest) => `|^pulled.from.[^@]*@${digest}`);
  return `${buildCachePattern}${images.join('')}`;
}

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
    /** Whether the archives stay in the builder: the output is just the report. */
    readonly stays?: boolean | undefined;
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
  const contexts = nameImages(mounts);
  lines.push(
    ...(options.seedStages ? [options.seedStages.stages] : []),
    `FROM ${filesContext} AS ${filesStage}`,
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
          (name) => `type=bind,from=${filesStage},source=tools/${name},target=/${name}`,
        )
      : []),
    `type=bind,from=${filesStage},source=scripts,target=${scriptsDirectory}`,
    ...(options.withArchives
      ? [`type=bind,from=${filesStage},source=archives,target=/archives`]
      : []),
    ...(options.stays ? [`type=secret,id=${permitSecret},target=/permit,required=true`] : []),
  ];
  const perRun = Math.ceil(mounts.length / maximumRuns);
  for (let first = 0; first < mounts.length; first += perRun) {
    const group = mounts.slice(first, first + perRun);
    const flags = group.flatMap(({ index, mount, withSnapshot, withPlan, pulled = [] }) => {
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
        ...pulled.map(
          ({ image, file }) =>
            `type=bind,from=${contexts.get(image)},source=${archiveFile},target=/archives/${file}`,
        ),
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
  if (base.kind === 'image' || options.stays) {
    // Without this, the output would be the whole image. The runner's programs are only mounted.
    const out = options.stays ? `/${outputDirectory}/report` : `/${outputDirectory}`;
    lines.push('FROM scratch', `COPY --from=${workStage} ${out} ${out}`);
  }
  const namedContexts = [...contexts].map(([image, name]) => [name, `docker-image://${image}`]);
  const text = `${lines.join('\n')}\n`;
  return { text, buildArgs, namedContexts: Object.fromEntries(namedContexts) };
}

/** A name for each image of an archive. */
function nameImages(mounts: readonly ScratchMount[]): ReadonlyMap<string, string> {
  const images = new Set(mounts.flatMap(({ pulled = [] }) => pulled.map(({ image }) => image)));
  return new Map([...images].map((image, index) => [image, `${filesContext}-archive-${index}`]));
}

/**
 * The Dockerfile of a build in which archives have stayed, with a stage for each archive that is to be
 * put out. All before these stages is the same, so that no RUN has to run again.
 *
 * @param files the names of the archives in the build's output
 */
export function renderPutOutDockerfile(text: string, files: readonly string[]): string {
  const stages = files.flatMap((file, index) => [
    `FROM scratch AS ${putOutTarget(index)}`,
    `COPY --from=${workStage} /${outputDirectory}/${file} /${archiveFile}`,
  ]);
  return `${text}${stages.join('\n')}\n`;
}

/** The target that puts out an archive. @param index the archive's place */
export function putOutTarget(index: number): string {
  return `${filesContext}-archive-${index}`;
}

function digest(mount: CacheMount): string {
  return createHash('sha256').update(identityOf(mount)).digest('hex').slice(0, 32);
}
