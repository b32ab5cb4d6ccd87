import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { renderActionFiles } from '../../../scripts/lib/action-files.js';
import { type GetInput, limitTo } from '../../../src/inputs/get-input.js';
import {
  extractInputs,
  extractOutputs,
  type InputDefinition,
  injectInputs,
  injectOutputs,
  inputsReadBy,
  saveAlwaysVariable,
  singleInputs,
} from '../../../src/inputs/input-definitions.js';
import {
  readExtractInputs,
  readInjectInputs,
  readSaveAlways,
} from '../../../src/inputs/read-inputs.js';
import { readSurroundings } from '../../../src/lib/surroundings.js';
import { noMountInputs } from '../../support/no-mount-inputs.js';

interface ActionFile {
  name: unknown;
  description: unknown;
  inputs: Record<string, { description: unknown; required: unknown; default?: unknown }>;
  outputs: Record<string, { description: unknown }>;
  runs: { using: string; main: string };
}

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const actions = {
  inject: { file: readAction('inject'), readInputs: readInjectInputs, outputs: injectOutputs },
  extract: { file: readAction('extract'), readInputs: readExtractInputs, outputs: extractOutputs },
};
const surroundings = readSurroundings();

/** Declared, so that workflows that pass them keep running, and never read. */
const unread = ['github-token'];

function readAction(name: string): ActionFile {
  return parse(readFileSync(join(root, name, 'action.yml'), 'utf8'));
}

function readSource(name: string): string {
  return readFileSync(join(root, 'src', name), 'utf8');
}

interface Provided {
  readonly getInput: GetInput;
  readonly read: ReadonlySet<string>;
}

/** Gives an action its inputs as the runner does, defaults included, and records which it reads. */
function provideInputs(file: ActionFile, values: Record<string, string>): Provided {
  const read = new Set<string>();
  const getInput = (name: string) => {
    read.add(name);
    return values[name] ?? String(file.inputs[name]?.default ?? '');
  };
  return { getInput, read };
}

test.each([...renderActionFiles()])('%s is what the definitions give', (path, text) => {
  // Written by npm run build.
  expect(readFileSync(join(root, path), 'utf8')).toBe(text);
});

describe.each(['inject', 'extract'] as const)('%s/action.yml', (name) => {
  const { file, readInputs, outputs } = actions[name];

  test('declares just the inputs that the code reads', () => {
    const { getInput, read } = provideInputs(file, { key: 'k' });
    readInputs(getInput, surroundings);
    expect(Object.keys(file.inputs).sort()).toEqual([...read, ...unread].sort());
  });

  test('requires just the inputs that the code cannot do without', () => {
    const given: Record<string, string> = { key: 'k' };
    for (const [input, { required, default: standard }] of Object.entries(file.inputs)) {
      const { getInput } = provideInputs(file, { ...given, [input]: String(standard ?? '') });
      const read = () => readInputs(getInput, surroundings);
      if (required) expect(read).toThrow(`Input ${input}`);
      else expect(read).not.toThrow();
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
    expect(
      Object.entries(file.outputs).map(([output, { description }]) => [output, description]),
    ).toEqual(outputs.map(({ name: output, description }) => [output, description]));
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
  const { getInput } = provideInputs(actions.inject.file, { key: 'k' });
  expect(readInjectInputs(getInput, surroundings)).toMatchObject({
    restoreKeys: [],
    builder: undefined,
    utilityImage: undefined,
    failOnCacheMiss: false,
    mountInputs: { context: undefined, files: [], targets: [], platforms: undefined },
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
    definitions.map(({ name, description, default: standard }) => ({
      name,
      description,
      standard,
    }));
  expect(declared(actions.inject.file)).toEqual(defined(injectInputs));
  expect(declared(actions.extract.file)).toEqual(defined(extractInputs));
  expect(declared(readAction('.'))).toEqual(defined(singleInputs));
});

/** Inputs as only one reader has them, each with a value of its own. */
const values: Record<string, string> = {
  'compression-level': '4',
  incremental: 'true',
  'incremental-count': '5',
  'incremental-share': '60',
  timeout: '7',
  summary: 'false',
  save: 'false',
  stream: 'false',
};

test('the single step has the inputs of inject, and all that it reads itself', () => {
  const names = (definitions: readonly InputDefinition[]) => definitions.map(({ name }) => name);
  const declared = names(singleInputs);
  expect(declared).toEqual(expect.arrayContaining(names(injectInputs)));
  expect(new Set(declared).size).toBe(declared.length);
  const { getInput, read } = provideInputs(readAction('.'), { key: 'k' });
  readInjectInputs(getInput, surroundings);
  readSaveAlways(getInput);
  readExtractInputs(limitTo(inputsReadBy('post'), getInput), surroundings);
  expect([...declared].sort()).toEqual([...read, ...unread].sort());
});

test('its post step reads what inject does not hand over', () => {
  expect(
    inputsReadBy('post')
      .map(({ name }) => name)
      .sort(),
  ).toEqual(Object.keys(values).sort());
  const others = { key: 'k', context: 'app', builder: 'b', directory: 'd', 'utility-image': 'i' };
  const { getInput } = provideInputs(readAction('.'), { ...others, ...values });
  expect(readExtractInputs(limitTo(inputsReadBy('post'), getInput), surroundings)).toEqual({
    mountInputs: noMountInputs,
    key: undefined,
    builder: undefined,
    utilityImage: undefined,
    directory: undefined,
    save: false,
    compressionLevel: 4,
    incremental: { count: 5, share: 0.6 },
    exclude: [],
    maxSize: undefined,
    stream: false,
    timeout: 7,
    summary: false,
  });
});

test('each input that extract alone reads is also for the post step', () => {
  const isOfInject = new Set(inputsReadBy('inject').map(({ name }) => name));
  for (const { name, readBy } of inputsReadBy('extract')) {
    if (!isOfInject.has(name)) expect([name, readBy]).toEqual([name, ['extract', 'post']]);
  }
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
  expect(saveAlwaysVariable).toBe('BUILDKIT_CACHE_MOUNTS_SAVE_ALWAYS');
  expect(readSource('single-step.ts')).toContain('exportVariable(saveAlwaysVariable,');
});

test('the inputs that say which mounts there are mean the same to both', () => {
  const names = [
    ...['context', 'file', 'target', 'build-args', 'platforms', 'build-contexts'],
    ...['bake-files', 'bake-targets', 'bake-set', 'bake-vars'],
  ];
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
    'build-contexts': 'base=docker-image://alpine',
    'bake-files': 'docker-bake.hcl, compose.yml',
    'bake-targets': 'api\nweb',
    'bake-set': '*.args.A=1,2',
    'bake-vars': 'V=1',
  };
  const read = Object.values(actions).map(({ file, readInputs }) => {
    const { getInput } = provideInputs(file, given);
    return readInputs(getInput, surroundings).mountInputs;
  });
  expect(read[0]).toEqual({
    cacheMounts: 'go',
    context: 'app',
    files: ['a', 'b'],
    targets: ['build'],
    buildArgs: new Map([['A', '1']]),
    platforms: ['linux/arm64'],
    buildContexts: new Map([['base', 'docker-image://alpine']]),
    bake: {
      files: ['docker-bake.hcl', 'compose.yml'],
      targets: ['api', 'web'],
      set: ['*.args.A=1,2'],
      vars: ['V=1'],
    },
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
