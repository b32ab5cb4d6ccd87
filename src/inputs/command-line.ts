import { parseArgs } from 'node:util';
import { InputError, messageOf } from '../lib/errors.js';
import { extractInputs, type InputDefinition, injectInputs } from './input-definitions.js';

export interface CommandLine {
  readonly command: 'inject' | 'extract';
  /** Values by the names of the inputs; a list has one value per line. */
  readonly inputs: ReadonlyMap<string, string>;
}

const definitions = {
  inject: injectInputs.filter(({ isForGitHub }) => !isForGitHub),
  extract: extractInputs.filter(({ isForGitHub }) => !isForGitHub),
};

/** The text that `--help` prints. */
export const usage = `Carries BuildKit cache mounts (RUN --mount=type=cache) from one CI run to the next.

  node dist/cli/index.js inject  --directory DIR [OPTION]...   before the build
  node dist/cli/index.js extract --directory DIR [OPTION]...   after it

The saved mounts are kept in DIR; bring it from one run to the next. With --registry REF in place of
--directory DIR, they are kept in a registry. The log goes to standard error. The
outputs (cache-hit, saved, reason, …) go to standard output, one NAME=VALUE per line.
Exit code: 0, also if there is trouble with the cache; 1 if the value of an option is wrong, or if nothing was
restored with --fail-on-cache-miss=true; 2 if an option is wrong.

Options of inject:
${definitions.inject.map(describe).join('\n')}

Options of extract:
${definitions.extract.map(describe).join('\n')}
`;

function describe({ name, description, default: standard, isList }: InputDefinition): string {
  const notes = [isList ? 'may be given several times' : '', standard && `default: ${standard}`];
  const note = notes.filter((each) => each !== '').join('; ');
  return `  --${name}\n      ${description}${note ? ` (${note})` : ''}`;
}

/** @throws InputError that says what is wrong with the options */
export function readCommandLine(args: readonly string[]): CommandLine | 'help' {
  const [command, ...rest] = args;
  if (args.includes('--help') || args.includes('-h') || command === 'help') return 'help';
  if (command !== 'inject' && command !== 'extract') {
    throw new InputError(`the command is inject or extract, not "${command ?? ''}"; see --help`);
  }
  const options = Object.fromEntries(
    definitions[command].map(({ name }) => [name, { type: 'string', multiple: true } as const]),
  );
  const inputs = new Map<string, string>();
  try {
    const { values } = parseArgs({ args: rest, options, strict: true });
    for (const { name, isList } of definitions[command]) {
      const given = values[name] ?? [];
      if (given.length > 1 && !isList) throw new Error(`--${name} is given several times`);
      if (given.length > 0) inputs.set(name, given.join('\n'));
    }
  } catch (error) {
    throw new InputError(messageOf(error));
  }
  if (!inputs.get('directory') && !inputs.get('registry')) {
    throw new InputError('--directory or --registry is required; see --help');
  }
  return { command, inputs };
}

const optionNames = [...definitions.inject, ...definitions.extract].map(({ name }) => name);
const namesPattern = [...new Set(optionNames)].join('|');

/** Rewords a message about the actions and their inputs for the command line. */
export function speakOfOptions(message: string): string {
  const option = (_: string, first: string, name: string) =>
    `${first === 'I' ? 'Option' : 'option'} --${name}`;
  const options = (_: string, one: string, two: string) => `options --${one} or --${two}`;
  return message
    .replace(new RegExp(`\\binputs (${namesPattern}) or (${namesPattern})\\b`, 'g'), options)
    .replace(new RegExp(`\\b(I|i)nput (${namesPattern})(?![\\w-])`, 'g'), option)
    .replaceAll('Put actions/checkout before this step', 'Run this where the sources are')
    .replaceAll(
      ' Put docker/setup-buildx-action before this step and pass its output "name".',
      ' Create it before (docker buildx create), or leave out the option.',
    )
    .replaceAll('fail-on-cache-miss is set', '--fail-on-cache-miss is given');
}
