import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import {
  extractInputs,
  type InputDefinition,
  injectInputs,
  singleInputs,
} from '../../../src/inputs/input-definitions.js';
import { readExtractInputs, readInjectInputs } from '../../../src/inputs/read-inputs.js';

interface ActionFile {
  name: unknown;
  description: unknown;
  inputs: Record<string, { description: unknown; required: unknown; default?: unknown }>;
  outputs: Record<string, { description: unknown }>;
  runs: { using: string; main: string };
}

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const actions = {
  inject: { file: readAction('inject'), readInputs: readInjectInputs },
  extract: { file: readAction('extract'), readInputs: readExtractInputs },
};

/** Declared, so that workflows that pass them keep running, and never read. */
const unread = ['github-token'];

function readAction(name: string): ActionFile {
  return parse(readFileSync(join(root, name, 'action.yml'), 'utf8'));
}

function readSource(name: string): string {
  return readFileSync(join(root, 'src', name), 'utf8');
}

const environment = process.env;

afterEach(() => {
  process.env = environment;
});

/** Gives an action its inputs as the runner does, defaults included, and records which it reads. */
function provideInputs(file: ActionFile, values: Record<string, string>): Set<string> {
  const variables = Object.entries(file.inputs).map(([name, input]) => [
    `INPUT_${name.toUpperCase()}`,
    values[name] ?? input.default ?? '',
  ]);
  const read = new Set<string>();
  process.env = new Proxy(Object.fromEntries(variables), {
    get(target, variable: string) {
      if (variable.startsWith('INPUT_')) read.add(variable.slice('INPUT_'.length).toLowerCase());
      return target[variable];
    },
  });
  return read;
}

describe.each(['inject', 'extract'] as const)('%s/action.yml', (name) => {
  const { file, readInputs } = actions[name];

  test('declares just the inputs that the code reads', () => {
    const read = provideInputs(file, { key: 'k' });
    readInputs();
    expect(Object.keys(file.inputs).sort()).toEqual([...read, ...unread].sort());
  });

  test('requires just the inputs that the code cannot do without', () => {
    const given: Record<string, string> = { key: 'k' };
    for (const [input, { required, default: standard }] of Object.entries(file.inputs)) {
      provideInputs(file, { ...given, [input]: String(standard ?? '') });
      if (required) expect(readInputs).toThrow(`Input ${input}`);
      else expect(readInputs).not.toThrow();
      expect([input, typeof required, standard === undefined]).toEqual([
        input,
        'boolean',
        required,
      ]);
    }
  });

  test('declares just the outputs that the code sets', () => {
    const set = [...readSource(`steps/${name}.ts`).matchAll(/setOutput\(\s*'([^']+)'/g)];
    expect(Object.keys(file.outputs).sort()).toEqual(
      [...new Set(set.map(([, output]) => output))].sort(),
    );
  });

  test('describes the action, each input and each output', () => {
    const all = [file, ...Object.values(file.inputs), ...Object.values(file.outputs)];
    for (const { description } of all) {
      expect(description).toEqual(expect.stringMatching(/\S/));
    }
  });

  test('has strings for defaults', () => {
    for (const input of Object.values(file.inputs)) {
      if (input.default !== undefined) expect(typeof input.default).toBe('string');
    }
  });

  test('runs a bundle that is there, on Node 20', () => {
    expect(file.runs.using).toBe('node20');
    expect(existsSync(join(root, name, file.runs.main))).toBe(true);
  });
});

test('the defaults of inject mean what their descriptions say', () => {
  provideInputs(actions.inject.file, { key: 'k' });
  expect(readInjectInputs()).toMatchObject({
    restoreKeys: [],
    builder: undefined,
    utilityImage: undefined,
    failOnCacheMiss: false,
    mountInputs: { context: undefined, files: [], target: undefined, platforms: undefined },
  });
});

test('nothing is required', () => {
  for (const { file } of [...Object.values(actions), { file: readAction('.') }]) {
    expect(Object.keys(file.inputs).filter((name) => file.inputs[name]?.required)).toEqual([]);
  }
});

test('the action files and the command line have the inputs that are defined', () => {
  const declared = (file: ActionFile) =>
    Object.entries(file.inputs).map(([name, { description, default: standard }]) => ({
      name,
      description,
      standard,
    }));
  const defined = (definitions: readonly InputDefinition[]) =>
    definitions.map(({ name, description, standard }) => ({ name, description, standard }));
  expect(declared(actions.inject.file)).toEqual(defined(injectInputs));
  expect(declared(actions.extract.file)).toEqual(defined(extractInputs));
  const byName = (definitions: readonly { name: string }[]) =>
    definitions.toSorted((one, other) => one.name.localeCompare(other.name));
  const single = [...injectInputs, ...singleInputs];
  expect(byName(declared(readAction('.')))).toEqual(byName(defined(single)));
});

test('the single step injects in its main and extracts in its post step', () => {
  const { outputs, runs } = readAction('.');
  expect(outputs).toEqual(actions.inject.file.outputs);
  expect(runs).toEqual({
    using: 'node20',
    main: 'dist/single/index.js',
    post: 'dist/single/index.js',
    'post-if': "success() || (failure() && env.BUILDKIT_CACHE_MOUNTS_SAVE_ALWAYS == 'true')",
  });
  expect(readSource('single-step.ts')).toContain("'BUILDKIT_CACHE_MOUNTS_SAVE_ALWAYS'");
});

test('the inputs that say which mounts there are mean the same to both', () => {
  const names = ['context', 'file', 'target', 'build-args', 'platforms'];
  const declared = Object.values(actions).map(({ file }) => names.map((name) => file.inputs[name]));
  expect(declared[0]).toEqual(declared[1]);
  const given = {
    'cache-mounts': 'go',
    key: 'k',
    context: 'app',
    file: 'a\nb',
    target: 'build',
    'build-args': 'A=1',
    platforms: 'linux/arm64',
  };
  const read = Object.values(actions).map(({ file, readInputs }) => {
    provideInputs(file, given);
    return readInputs().mountInputs;
  });
  expect(read[0]).toEqual({
    cacheMounts: 'go',
    context: 'app',
    files: ['a', 'b'],
    target: 'build',
    buildArgs: new Map([['A', '1']]),
    platforms: ['linux/arm64'],
  });
  expect(read[1]).toEqual(read[0]);
});

test('outputs are set by their names, and only in the files of the two actions', () => {
  const names = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' });
  for (const name of names.filter((each) => each.endsWith('.ts'))) {
    if (name === 'console/console.ts') continue;
    const calls = readSource(name).match(/\bsetOutput\(/g) ?? [];
    const readable = readSource(name).match(/\bsetOutput\(\s*'/g) ?? [];
    expect([name, calls.length]).toEqual([name, readable.length]);
    if (calls.length > 0) expect(['steps/inject.ts', 'steps/extract.ts']).toContain(name);
  }
});
