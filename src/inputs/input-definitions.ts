/**
 * The inputs and outputs of the three actions, and the options of the command line, which are the
 * inputs of inject and extract. `npm run build` writes the action files and docs/inputs.md from
 * them.
 */

/** An input of an action, and an option of the command line. */
export interface InputDefinition {
  readonly name: string;
  readonly description: string;
  /** The value if the input is not given, or is empty. */
  readonly default: string;
  /** Who reads it; if nobody does, it is only accepted. */
  readonly readBy: readonly Reader[];
  /**
   * It has several values, one per line; on the command line, the option is given several times.
   */
  readonly isList?: true;
  /** It is of no use outside of GitHub. */
  readonly isForGitHub?: true;
}

/**
 * Inject and extract are also the main and the post step of the single step. Its main step reads
 * what `inject` and `single` read. Its post step reads only what `post` reads: it has all else from
 * inject, as extract without inputs does.
 */
export type Reader = 'inject' | 'extract' | 'single' | 'post';

export interface OutputDefinition {
  readonly name: string;
  readonly description: string;
}

/** The beginning of a generated key if the input key-prefix is not given. */
export const defaultKeyPrefix = 'buildkit-cache-mounts';

/** The environment variable by which the single step hands save-always to its own `post-if`. */
export const saveAlwaysVariable = 'BUILDKIT_CACHE_MOUNTS_SAVE_ALWAYS';

const mountsText =
  'The cache mounts, one per line: an id, or the target of a mount without an id, or options as in the Dockerfile (id=go,target=/root/.cache,uid=1000). Lines that begin with # are skipped.';

const imageText =
  "An image with sh, GNU tar, and zstd or gzip. It is used only if the runner's own programs cannot run in the builder, such as on another platform;";

/**
 * In the order of the action files. If inject and extract describe an input in other words, it
 * stands twice.
 */
const definitions: readonly InputDefinition[] = [
  {
    name: 'cache-mounts',
    description: `${mountsText} By default those that the Dockerfile declares.`,
    default: '',
    readBy: ['inject'],
    isList: true,
  },
  {
    name: 'cache-mounts',
    description: `${mountsText} By default those of the inject that ran earlier in the job, or else those that the Dockerfile declares.`,
    default: '',
    readBy: ['extract'],
    isList: true,
  },
  {
    name: 'key',
    description:
      'The key under which the mounts are saved, as in actions/cache. By default one is generated, with restore keys to match. It is made of the names of the build (context, file, target, platforms), its mounts, the Dockerfile, the lock files and the commit',
    default: '',
    readBy: ['inject'],
  },
  {
    name: 'key',
    description:
      'The key to save the mounts under; by default the key of the inject that ran earlier in the job',
    default: '',
    readBy: ['extract'],
  },
  {
    name: 'key-prefix',
    description: `The prefix of the generated key. Builds that differ only in values, such as build-args, bake-vars or cache-mounts, need different ones, because the key does not tell them apart. By default ${defaultKeyPrefix}; not together with key`,
    default: '',
    readBy: ['inject'],
  },
  {
    name: 'restore-keys',
    description:
      'Keys to look for if nothing is saved under the key itself, one per line; each matches all keys that begin with it, the newest first. At most 9, or 5 beside a generated key',
    default: '',
    readBy: ['inject'],
    isList: true,
  },
  {
    name: 'builder',
    description: 'The name of the builder; by default the one that docker buildx itself would use',
    default: '',
    readBy: ['inject'],
  },
  {
    name: 'builder',
    description:
      'The name of the builder; by default that of the inject that ran earlier in the job, or else the one that docker buildx itself would use',
    default: '',
    readBy: ['extract'],
  },
  {
    name: 'context',
    description:
      'The build context, as in docker/build-push-action, which has the Dockerfile; by default the workspace',
    default: '',
    readBy: ['inject', 'extract'],
  },
  {
    name: 'file',
    description:
      'The path of the Dockerfile, as in docker/build-push-action, or several, one per line; by default the Dockerfile of the context',
    default: '',
    readBy: ['inject', 'extract'],
    isList: true,
  },
  {
    name: 'target',
    description:
      'The stage that is built, as in docker/build-push-action, or several, one per line; by default the last one',
    default: '',
    readBy: ['inject', 'extract'],
    isList: true,
  },
  {
    name: 'build-args',
    description:
      'The build arguments, as in docker/build-push-action, one KEY=VALUE per line; the ids of mounts may depend on them',
    default: '',
    readBy: ['inject', 'extract'],
    isList: true,
  },
  {
    name: 'platforms',
    description:
      "The platforms to build for, as in docker/build-push-action; the ids of mounts may depend on them; by default the runner's own",
    default: '',
    readBy: ['inject', 'extract'],
    isList: true,
  },
  {
    name: 'build-contexts',
    description:
      'Named build contexts, one NAME=VALUE per line, as in docker/build-push-action; stages may start from them',
    default: '',
    readBy: ['inject', 'extract'],
    isList: true,
  },
  {
    name: 'bake-files',
    description:
      'Bake or Compose files, as the files of docker/bake-action, one per line; with this or another bake input the mounts are those of all bake targets that are built, and context is the directory that bake runs in',
    default: '',
    readBy: ['inject', 'extract'],
    isList: true,
  },
  {
    name: 'bake-targets',
    description:
      'Bake targets, as the targets of docker/bake-action, one per line; by default those of the group default',
    default: '',
    readBy: ['inject', 'extract'],
    isList: true,
  },
  {
    name: 'bake-set',
    description:
      'Values to override, as the set of docker/bake-action, one per line, such as *.platform=linux/arm64 (by itself, YAML wants it in quotes)',
    default: '',
    readBy: ['inject', 'extract'],
    isList: true,
  },
  {
    name: 'bake-vars',
    description:
      'Bake variables, one NAME=VALUE per line, as the vars of docker/bake-action; needs buildx 0.31',
    default: '',
    readBy: ['inject', 'extract'],
    isList: true,
  },
  {
    name: 'utility-image',
    description: `${imageText} none by default`,
    default: '',
    readBy: ['inject'],
  },
  {
    name: 'utility-image',
    description: `${imageText} by default that of the inject that ran earlier in the job`,
    default: '',
    readBy: ['extract'],
  },
  {
    name: 'incremental',
    description:
      'Whether extract saves only what has changed in a mount since inject filled it, if that is little; false: it always saves all of the mount',
    default: 'true',
    readBy: ['inject', 'extract', 'post'],
  },
  {
    name: 'fail-on-cache-miss',
    description:
      'Whether the step fails if no mount was filled, whatever the reason: nothing was saved, or there was trouble, or all mounts held files already',
    default: 'false',
    readBy: ['inject'],
  },
  {
    name: 'save',
    description:
      'Whether to save the mounts; false: nothing is packed or saved, so that the run only restores',
    default: 'true',
    readBy: ['extract', 'post'],
  },
  {
    name: 'save-always',
    description: 'Whether to save also if the job has failed; a job that was cancelled never saves',
    default: 'false',
    readBy: ['single'],
    isForGitHub: true,
  },
  {
    name: 'compression-level',
    description: 'The level of compression with zstd, 1 to 19 (if there is only gzip: at most 9)',
    default: '3',
    readBy: ['extract', 'post'],
  },
  {
    name: 'incremental-count',
    description:
      'How many times in a row only the changes of a mount are saved, before all of it is saved again; 1 to 99',
    default: '10',
    readBy: ['extract', 'post'],
  },
  {
    name: 'incremental-share',
    description:
      'How large these changes may become together before all of the mount is saved again, in percent of its content at the last full save; 1 to 1000',
    default: '50',
    readBy: ['extract', 'post'],
  },
  {
    name: 'stream',
    description:
      "Whether archives may go straight between the builder and this machine, over Docker's bridge or the loopback, if that is possible; if not, they go through buildx. What is false for inject is so for its extract, too",
    default: 'true',
    readBy: ['inject', 'extract', 'post'],
  },
  {
    name: 'exclude',
    description:
      'What is not saved, as in .dockerignore, one pattern per line, relative to the root of a mount; ID: PATTERN for one mount only. By default all is saved',
    default: '',
    readBy: ['inject'],
    isList: true,
  },
  {
    name: 'exclude',
    description:
      'What is not saved, as in .dockerignore, one pattern per line, relative to the root of a mount; ID: PATTERN for one mount only. By default as for the inject that ran earlier in the job',
    default: '',
    readBy: ['extract'],
    isList: true,
  },
  {
    name: 'max-size',
    description:
      'How large a mount may be when it is saved, before compression, such as 2GB. A larger one is saved, but the next inject does not restore it, so that the next build fills it anew. By default there is no limit',
    default: '',
    readBy: ['inject'],
  },
  {
    name: 'max-size',
    description:
      'How large a mount may be when it is saved, before compression, such as 2GB. A larger one is saved, but the next inject does not restore it, so that the next build fills it anew. By default as for the inject that ran earlier in the job',
    default: '',
    readBy: ['extract'],
  },
  {
    name: 'directory',
    description:
      'The path of a directory that keeps the archives in place of the GitHub Actions cache; you bring it from one run to the next. It holds what was saved last, whatever the key',
    default: '',
    readBy: ['inject', 'extract'],
  },
  {
    name: 'registry',
    description:
      'An image reference with a tag, such as ghcr.io/octo-org/app:mounts-main, that keeps the archives in place of the GitHub Actions cache; log in to its registry before. The builder pushes and pulls them itself. It holds what was saved last, whatever the key. Several, one per line: extract saves to the first, and inject reads the next ones if it has nothing. Not together with directory',
    default: '',
    readBy: ['inject'],
    isList: true,
  },
  {
    name: 'registry',
    description:
      'An image reference with a tag, such as ghcr.io/octo-org/app:mounts-main, that keeps the archives in place of the GitHub Actions cache; of several, one per line, the first. By default as for the inject that ran earlier in the job. Not together with directory',
    default: '',
    readBy: ['extract'],
    isList: true,
  },
  {
    name: 'timeout',
    description: 'Minutes after which the step gives up, with a warning; the build goes on',
    default: '30',
    readBy: ['inject', 'extract', 'post'],
  },
  {
    name: 'summary',
    description: 'Whether to show what was done on the summary page of the run',
    default: 'true',
    readBy: ['inject', 'extract', 'post'],
    isForGitHub: true,
  },
  {
    name: 'github-token',
    description: 'Accepted so that workflows that pass it keep running; not used',
    default: '',
    readBy: [],
    isForGitHub: true,
  },
];

const unread = definitions.filter(({ readBy }) => readBy.length === 0);

export function inputsReadBy(reader: Reader): readonly InputDefinition[] {
  return definitions.filter(({ readBy }) => readBy.includes(reader));
}

export const injectInputs: readonly InputDefinition[] = [...inputsReadBy('inject'), ...unread];

export const extractInputs: readonly InputDefinition[] = [...inputsReadBy('extract'), ...unread];

/** The inputs of inject come first. */
export const singleInputs: readonly InputDefinition[] = [
  ...inputsReadBy('inject'),
  ...definitions.filter(
    ({ readBy }) =>
      !readBy.includes('inject') && (readBy.includes('single') || readBy.includes('post')),
  ),
  ...unread,
];

export const injectOutputs: readonly OutputDefinition[] = [
  {
    name: 'cache-hit',
    description:
      'true if the entry that was found has exactly the key, and all of its archives for the listed mounts could be used; else false',
  },
  { name: 'cache-primary-key', description: 'The key, as it was given or generated' },
  {
    name: 'cache-matched-key',
    description: 'The key of the entry that was found; empty if there was none',
  },
  { name: 'restored-count', description: 'How many mounts were restored' },
  { name: 'restored-bytes', description: 'The size of what was restored, compressed, in bytes' },
];

export const extractOutputs: readonly OutputDefinition[] = [
  { name: 'saved', description: 'Whether the mounts were saved under the key, true or false' },
  {
    name: 'saved-bytes',
    description: 'The size of what this run has added to the cache, compressed, in bytes',
  },
  {
    name: 'total-bytes',
    description:
      'The size of all that the entry stands for, compressed, in bytes; empty if there is no entry',
  },
  {
    name: 'build-seconds',
    description:
      "How long the build between inject and extract took, from the builder's history; empty if that does not tell",
  },
  {
    name: 'reason',
    description:
      'Why the mounts were not saved, or which were left out or kept as they were saved before; empty if all went well',
  },
];
