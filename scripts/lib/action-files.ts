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

/** The single step has all inputs, so that its block of YAML describes each of them once. */
function renderDocument(): string {
  return [
    '# Inputs and outputs',
    '',
    '`npm run build` writes this file from `src/inputs/input-definitions.ts`.',
    '',
    'No input is required, and an empty one counts as not given. The single step has all inputs. Here they are',
    'with their defaults:',
    '',
    '```yaml',
    '- uses: OWNER/REPO@v1',
    '  with:',
    ...singleInputs.flatMap(({ name, description, default: standard }) => [
      ...wrap(description, 100).map((line) => `    # ${line}`),
      `    ${name}: ${standard === '' ? "''" : standard}`,
    ]),
    '```',
    '',
    '## Which action has which input',
    '',
    'On the [command line](other-ci.md), inject and extract have their inputs as options. `--directory` or `--registry`',
    'is required.',
    'If an option is a list, give it once for each value.',
    '',
    ...table(['input', 'inject', 'extract', 'command line'], singleInputs.map(renderUse)),
    '',
    '## Defaults of extract',
    '',
    'Extract takes what is not given from the inject before it:',
    '',
    ...table(
      ['input', 'of extract'],
      extractInputs.filter((input) => !singleInputs.includes(input)).map(describe),
    ),
    '',
    '## Outputs',
    '',
    'The single step has those of inject. On the command line, they go to standard output, one `NAME=VALUE` per line.',
    '',
    ...table(['output of inject', ''], injectOutputs.map(describe)),
    '',
    ...table(['output of extract', ''], extractOutputs.map(describe)),
    '',
  ].join('\n');
}

/** Says which actions have an input. */
function renderUse({ name, isList, isForGitHub }: InputDefinition): string[] {
  const has = (inputs: readonly InputDefinition[]) => inputs.some((input) => input.name === name);
  const option = isList ? 'a list' : 'yes';
  return [
    `\`${name}\``,
    has(injectInputs) ? 'yes' : '',
    has(extractInputs) ? 'yes' : '',
    isForGitHub ? '' : option,
  ];
}

function describe({ name, description }: InputDefinition | OutputDefinition): string[] {
  return [`\`${name}\``, asCell(description)];
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) =>
    `| ${cells.join(' | ')} |`.replaceAll(/ {2}(?=\|)/g, ' ');
  return [line(header), `|${'---|'.repeat(header.length)}`, ...rows.map(line)];
}

/** Text in which nothing is Markdown. */
function asCell(text: string): string {
  return text.replace(/[|<>*_`[\]\\]/g, (char) => `\\${char}`);
}

/** The words of a text, in lines of at most so many characters if its words allow it. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const longer = `${lines.at(-1) ?? ''} ${word}`;
    if (lines.length === 0 || longer.length > width) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines;
}
