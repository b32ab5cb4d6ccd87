/** An input of an action, and an option of the command line. */
export interface InputDefinition {
  readonly name: string;
  readonly description: string;
  readonly standard: string;
  /** Several values, one a line; on the command line, one an option. */
  readonly isList?: true;
  /** Of no use outside of GitHub. */
  readonly isForGitHub?: true;
}

const mountInputs: readonly InputDefinition[] = [
  {
    name: 'context',
    description:
      'The build context, as in docker/build-push-action, where the Dockerfile is looked for; by default the workspace',
    standard: '',
  },
  {
    name: 'file',
    description:
      'Path of the Dockerfile, as in docker/build-push-action; several one a line; by default the Dockerfile of the context',
    standard: '',
    isList: true,
  },
  {
    name: 'target',
    description: 'The stage that is built, as in docker/build-push-action; by default the last one',
    standard: '',
  },
  {
    name: 'build-args',
    description:
      'The build arguments, KEY=VALUE one a line, as in docker/build-push-action; the ids of mounts may depend on them',
    standard: '',
    isList: true,
  },
  {
    name: 'platforms',
    description:
      "The platforms that are built for, as in docker/build-push-action; the ids of mounts may depend on them; by default the runner's own",
    standard: '',
    isList: true,
  },
];

const commonInputs: readonly InputDefinition[] = [
  {
    name: 'directory',
    description:
      'Path of a directory to keep the archives in instead of the GitHub Actions cache; you bring it from one run to the next. It holds what was saved last, whatever the key',
    standard: '',
  },
  {
    name: 'timeout',
    description: 'Minutes after which the step gives up, with a warning; the build goes on',
    standard: '30',
  },
  {
    name: 'summary',
    description: 'Whether to show what was done on the page of the job',
    standard: 'true',
    isForGitHub: true,
  },
  {
    name: 'github-token',
    description: 'Accepted so that workflows that pass it keep running; not used',
    standard: '',
    isForGitHub: true,
  },
];

const mountsText =
  'The cache mounts, one a line: an id, a target that stands for the id, or options as in the Dockerfile (id=go,target=/root/.cache,uid=1000). Lines that begin with # are skipped.';

const imageText =
  "Image with sh, GNU tar, and zstd or gzip, which is used only where the runner's own programs cannot run in the builder (a builder of another platform);";

const incrementalInput: InputDefinition = {
  name: 'incremental',
  description:
    'Whether extract saves only what has changed in a mount since inject has filled it, where that is little; else always all of it',
  standard: 'true',
};

export const injectInputs: readonly InputDefinition[] = [
  {
    name: 'cache-mounts',
    description: `${mountsText} By default those that the Dockerfile declares.`,
    standard: '',
    isList: true,
  },
  {
    name: 'key',
    description:
      'The key under which the mounts are saved, as in actions/cache; by default one is generated from the Dockerfile, the lock files and the commit, with restore keys to match',
    standard: '',
  },
  {
    name: 'key-prefix',
    description:
      'Prefix of the generated key, which tells several images of a repository apart; by default buildkit-cache-mounts; not together with key',
    standard: '',
  },
  {
    name: 'restore-keys',
    description:
      'Keys to look for where nothing is saved under the key itself, one a line; each matches what begins with it, the newest first',
    standard: '',
    isList: true,
  },
  {
    name: 'builder',
    description: 'Name of the builder; by default the one that docker buildx itself would use',
    standard: '',
  },
  ...mountInputs,
  { name: 'utility-image', description: `${imageText} none by default`, standard: '' },
  incrementalInput,
  {
    name: 'fail-on-cache-miss',
    description: 'Fail the step when no mount was filled, whatever the reason',
    standard: 'false',
  },
  ...commonInputs,
];

const savingInputs: readonly InputDefinition[] = [
  {
    name: 'compression-level',
    description: 'Level of zstd to compress with, 1 to 19 (where there is only gzip: at most 9)',
    standard: '3',
  },
  {
    name: 'incremental-count',
    description:
      'How many times in a row only the changes of a mount are saved, before all of it is again; 1 to 99',
    standard: '10',
  },
  {
    name: 'incremental-share',
    description:
      'How large these changes may become together, in percent of what the mount held, before all of it is saved again; 1 to 1000',
    standard: '50',
  },
  {
    name: 'stream',
    description:
      "Whether archives may go straight from the builder to this machine, over Docker's bridge or the loopback, where that is possible; else always through buildx",
    standard: 'true',
  },
];

export const extractInputs: readonly InputDefinition[] = [
  {
    name: 'cache-mounts',
    description: `${mountsText} By default those of the inject that ran earlier in the job, or else those that the Dockerfile declares.`,
    standard: '',
    isList: true,
  },
  {
    name: 'key',
    description:
      'The key to save the mounts under; by default that of the inject that ran earlier in the job',
    standard: '',
  },
  {
    name: 'builder',
    description:
      'Name of the builder; by default that of the inject that ran earlier in the job, or else the one that docker buildx itself would use',
    standard: '',
  },
  ...mountInputs,
  {
    name: 'utility-image',
    description: `${imageText} by default that of the inject that ran earlier in the job`,
    standard: '',
  },
  incrementalInput,
  ...savingInputs,
  ...commonInputs,
];

/** The single step has all of inject's, and these. */
export const singleInputs: readonly InputDefinition[] = [
  {
    name: 'save-always',
    description: 'Whether to save also when the job has failed; never when it was cancelled',
    standard: 'false',
  },
  ...savingInputs,
];
