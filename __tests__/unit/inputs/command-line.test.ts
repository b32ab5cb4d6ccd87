import { expect, test } from '@jest/globals';
import { readCommandLine, speakOfOptions, usage } from '../../../src/inputs/command-line.js';
import { extractInputs, injectInputs } from '../../../src/inputs/input-definitions.js';

test('options become inputs, and those of lists have a value a line', () => {
  const args = ['--directory', 'd', '--cache-mounts', 'a', '--cache-mounts=id=b,uid=1', '--key=k'];
  expect(readCommandLine(['inject', ...args])).toEqual({
    command: 'inject',
    inputs: new Map([
      ['cache-mounts', 'a\nid=b,uid=1'],
      ['key', 'k'],
      ['directory', 'd'],
    ]),
  });
  expect(readCommandLine(['extract', '--directory=d'])).toEqual({
    command: 'extract',
    inputs: new Map([['directory', 'd']]),
  });
});

test.each([[['--help']], [['inject', '--help']], [['-h']], [['help']]])(
  '%j is a question',
  (args) => {
    expect(readCommandLine(args)).toBe('help');
  },
);

test.each([
  [[], 'the command is inject or extract, not ""'],
  [['restore'], 'the command is inject or extract, not "restore"'],
  [['inject'], '--directory or --registry is required'],
  [['inject', '--directory='], '--directory or --registry is required'],
  [['inject', '--directory=d', '--no-such=1'], "Unknown option '--no-such'"],
  [['extract', '--directory=d', '--restore-keys=x'], "Unknown option '--restore-keys'"],
  [['inject', '--directory=d', '--key'], "Option '--key <value>' argument missing"],
  [['inject', '--directory=d', '--key=a', '--key=b'], '--key is given several times'],
  [['inject', '--directory=d', 'more'], "Unexpected argument 'more'"],
  [['inject', '--directory=d', '--summary=true'], "Unknown option '--summary'"],
])('%j is refused', (args, message) => {
  expect(() => readCommandLine(args)).toThrow(message);
});

test('the help tells of each option, and its default', () => {
  for (const definition of [...injectInputs, ...extractInputs]) {
    const { name, description, default: standard, isForGitHub } = definition;
    if (isForGitHub) {
      expect(usage).not.toContain(`--${name}\n`);
      continue;
    }
    expect(usage).toContain(`  --${name}\n      ${description}`);
    if (standard !== '') expect(usage).toContain(`default: ${standard}`);
  }
});

test.each([
  [
    'Input key: it is long; or the input key-prefix.',
    'Option --key: it is long; or the option --key-prefix.',
  ],
  ['Stopped after 1 minute (input timeout).', 'Stopped after 1 minute (option --timeout).'],
  ['in the inputs file or context, or so', 'in the options --file or --context, or so'],
  ['no input summary, nor input fileset', 'no input summary, nor input fileset'],
])('%s is said of options', (message, said) => {
  expect(speakOfOptions(message)).toBe(said);
});
