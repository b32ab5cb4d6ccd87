/** What `npm run build` writes from the definitions of inputs and outputs. */
import { stringify } from 'yaml';
import {
  extractInputs,
  extractOutputs,
  type InputDefinition,
  injectInputs,
  injectOutputs,
  type OutputDefinition,
  saveAlwaysVariable,
  singleInputs,
} from '../../src/inputs/input-definitions.js';

interface Action {
  /** Its action file, from the root of the repository. */
  readonly file: string;
  readonly name: string;
  readonly description: string;
  readonly icon: string;
  readonly inputs: readonly InputDefinition[];
  readonly outputs: readonly OutputDefinition[];
  readonly runs: Readonly<Record<string, string>>;
  /** How the document calls it. */
  readonly title: string;
}

const inject: Action = {
  file: 'inject/action.yml',
  name: 'Inject BuildKit cache mounts',
  description:
    'Restores saved cache mounts (RUN --mount=type=cache) and puts them into the builder, before the build',
  icon: 'log-in',
  inputs: injectInputs,
  outputs: injectOutputs,
  runs: { using: 'node20', main: '../dist/inject/index.js' },
  title: 'inject',
};

const extract: Action = {
  file: 'extract/action.yml',
  name: 'Extract BuildKit cache mounts',
  description:
    'Takes cache mounts (RUN --mount=type=cache) out of the builder and saves them, after the build',
  icon: 'log-out',
  inputs: extractInputs,
  outputs: extractOutputs,
  runs: { using: 'node20', main: '../dist/extract/index.js' },
  title: 'extract',
};

const single: Action = {
  file: 'action.yml',
  name: 'BuildKit cache mounts',
  description:
    'Restores saved cache mounts (RUN --mount=type=cache) before the build, and saves them at the end of the job',
  icon: 'repeat',
  inputs: singleInputs,
  // A post step has no outputs that another step could read.
  outputs: injectOutputs,
  runs: {
    using: 'node20',
    main: 'dist/single/index.js',
    post: 'dist/single/index.js',
    'post-if': `success() || (failure() && env.${saveAlwaysVariable} == 'true')`,
  },
  title: 'The single step',
};

/** The texts of the files, by their paths from the root of the repository. */
export function renderActionFiles(): Map<string, string> {
  const actions = [single, inject, extract];
  return new Map([
    ...actions.map((action) => [action.file, renderActionFile(action)] as const),
    ['docs/inputs.md', renderDocument()],
  ]);
}

function renderActionFile({ name, description, icon, inputs, outputs, runs }: Action): string {
  return [
    `name: ${scalar(name)}`,
    `description: ${scalar(description)}`,
    'author: The buildkit-cache-mounts authors',
    'branding:',
    `  icon: ${icon}`,
    '  color: blue',
    'inputs:',
    ...inputs.flatMap((input) => [
      `  ${input.name}:`,
      '    description: >-',
      `      ${input.description}`,
      '    required: false',
      `    default: ${JSON.stringify(input.default)}`,
    ]),
    'outputs:',
    ...outputs.flatMap((output) => [
      `  ${output.name}:`,
      `    description: ${scalar(output.description)}`,
    ]),
    'runs:',
    ...Object.entries(runs).map(([key, value]) => `  ${key}: ${scalar(value)}`),
    '',
  ].join('\n');
}

/** In quotes only if it needs them, on one line. */
function scalar(text: string): string {
  return stringify(text, { lineWidth: 0 }).trim();
}

function renderDocument(): string {
  return [
    '# Inputs and outputs',
    '',
    '`npm run build` writes this file from `src/inputs/input-definitions.ts`. No input is required.',
    '',
    ...[inject, extract, single].flatMap(({ title, inputs, outputs }) => [
      `## ${title}`,
      '',
      ...renderInputs('input', inputs),
      '',
      ...table(
        ['output', ''],
        outputs.map(({ name, description }) => [`\`${name}\``, asCell(description)]),
      ),
      '',
    ]),
    '## The command line',
    '',
    'The options are the inputs, but for those that are of no use outside of GitHub; only `--directory` is',
    'required. Outputs go to standard output, one `NAME=VALUE` a line. See [other CI systems](other-ci.md).',
    '',
    ...[inject, extract].flatMap(({ title, inputs }) => [
      `### ${title}`,
      '',
      ...renderInputs(
        'option',
        inputs.filter(({ isForGitHub }) => !isForGitHub),
      ),
      '',
    ]),
  ]
    .join('\n')
    .replace(/\n+$/, '\n');
}

function renderInputs(kind: 'input' | 'option', inputs: readonly InputDefinition[]): string[] {
  const rows = inputs.map(({ name, description, default: standard, isList }) => {
    const isRepeated = kind === 'option' && isList;
    return [
      `\`${kind === 'option' ? '--' : ''}${name}\``,
      standard === '' ? '' : `\`${standard}\``,
      asCell(description) + (isRepeated ? ' (may be given several times)' : ''),
    ];
  });
  return table([kind, 'default', ''], rows);
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`.replaceAll('|  |', '| |');
  return [line(header), `|${'---|'.repeat(header.length)}`, ...rows.map(line)];
}

/** Text in which nothing is Markdown. */
function asCell(text: string): string {
  return text.replace(/[|<>*_`[\]\\]/g, (char) => `\\${char}`);
}
