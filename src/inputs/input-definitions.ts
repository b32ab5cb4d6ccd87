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
  'The cache mounts, one a line: an id, a target that stands for the id, or options as in the Dockerfile (id=go,target=/root/.cache,uid=1000). Lines that begin with # are skipped.';

const imageText =
  "Image with sh, GNU tar, and zstd or gzip, which is used only where the runner's own programs cannot run in the builder (a builder of another platform);";

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
      'The key under which the mounts are saved, as in actions/cache; by default one is generated from what tells the build from others (context, file, target, platforms), its mounts, the Dockerfile, the lock files and the commit, with restore keys to match',
    default: '',
    readBy: ['inject'],
  },
  {
    name: 'key',
    description:
      'The key to save the mounts under; by default that of the inject that ran earlier in the job',
    default: '',
    readBy: ['extract'],
  },
  {
    name: 'key-prefix',
    description: `Prefix of the generated key, for builds that it does not tell apart, as they differ in build-args or cache-mounts alone; by default ${defaultKeyPrefix}; not together with key`,
    default: '',
    readBy: ['inject'],
  },
  {
    name: 'restore-keys',
    description:
      'Keys to look for where nothing is saved under the key itself, one a line; each matches what begins with it, the newest first',
    default: '',
    readBy: ['inject'],
    isList: true,
  },
  {
    name: 'builder',
    description: 'Name of the builder; by default the one that docker buildx itself would use',
    default: '',
    readBy: ['inject'],
  },
  {
    name: 'builder',
    description:
      'Name of the builder; by default that of the inject that ran earlier in the job, or else the one that docker buildx itself would use',
    default: '',
    readBy: ['extract'],
  },
  {
    name: 'context',
    description:
      'The build context, as in docker/build-push-action, where the Dockerfile is looked for; by default the workspace',
    default: '',
    readBy: ['inject', 'extract'],
  },
  {
    name: 'file',
    description:
      'Path of the Dockerfile, as in docker/build-push-action; several one a line; by default the Dockerfile of the context',
    default: '',
    readBy: ['inject', 'extract'],
    isList: true,
  },
  {
    name: 'target',
    description: 'The stage that is built, as in docker/build-push-action; by default the last one',
    default: '',
    readBy: ['inject', 'extract'],
  },
  {
    name: 'build-args',
    description:
      'The build arguments, KEY=VALUE one a line, as in docker/build-push-action; the ids of mounts may depend on them',
    default: '',
    readBy: ['inject', 'extract'],
    isList: true,
  },
  {
    name: 'platforms',
    description:
      "The platforms that are built for, as in docker/build-push-action; the ids of mounts may depend on them; by default the runner's own",
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
      'Whether extract saves only what has changed in a mount since inject has filled it, where that is little; else always all of it',
    default: 'true',
    readBy: ['inject', 'extract', 'post'],
  },
  {
    name: 'fail-on-cache-miss',
    description: 'Fail the step when no mount was filled, whatever the reason',
    default: 'false',
    readBy: ['inject'],
  },
  {
    name: 'save',
    description:
      'Whether to save the mounts; false: they were restored only, and nothing is packed or saved',
    default: 'true',
    readBy: ['extract', 'post'],
  },
  {
    name: 'save-always',
    description: 'Whether to save also when the job has failed; never when it was cancelled',
    default: 'false',
    readBy: ['single'],
    isForGitHub: true,
  },
  {
    name: 'compression-level',
    description: 'Level of zstd to compress with, 1 to 19 (where there is only gzip: at most 9)',
    default: '3',
    readBy: ['extract', 'post'],
  },
  {
    name: 'incremental-count',
    description:
      'How many times in a row only the changes of a mount are saved, before all of it is again; 1 to 99',
    default: '10',
    readBy: ['extract', 'post'],
  },
  {
    name: 'incremental-share',
    description:
      'How large these changes may become together, in percent of what the mount held, before all of it is saved again; 1 to 1000',
    default: '50',
    readBy: ['extract', 'post'],
  },
  {
    name: 'directory',
    description:
      'Path of a directory to keep the archives in instead of the GitHub Actions cache; you bring it from one run to the next. It holds what was saved last, whatever the key',
    default: '',
    readBy: ['inject', 'extract'],
  },
  {
    name: 'timeout',
    description: 'Minutes after which the step gives up, with a warning; the build goes on',
    default: '30',
    readBy: ['inject', 'extract', 'post'],
  },
  {
    name: 'summary',
    description: 'Whether to show what was done on the page of the job',
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
      'true only if the entry that was found has exactly the key, and all that is in it and named could be used; else false',
  },
  { name: 'cache-primary-key', description: 'The key, as it was given or generated' },
  {
    name: 'cache-matched-key',
    description: 'The key of the entry that was found; empty where there was none',
  },
];

export const extractOutputs: readonly OutputDefinition[] = [
  { name: 'saved', description: 'Whether the mounts were saved under the key, true or false' },
  {
    name: 'reason',
    description:
      'Why they were not saved, or what was left out or kept as it was saved before; empty where nothing is to be said',
  },
];
