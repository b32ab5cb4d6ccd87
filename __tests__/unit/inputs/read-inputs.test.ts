import { beforeEach, describe, expect, test } from '@jest/globals';
import type { GetInput } from '../../../src/inputs/get-input.js';
import { readExtractInputs, readInjectInputs } from '../../../src/inputs/read-inputs.js';
import { InputError } from '../../../src/lib/errors.js';
import { readSurroundings } from '../../../src/lib/surroundings.js';
import { noMountInputs } from '../../support/no-mount-inputs.js';

type Inputs = Record<string, string>;

let given: Inputs;
let env: Inputs;

beforeEach(() => {
  given = {};
  env = {};
});

/** Hands inputs over, beside those that were before. */
function give(inputs: Inputs): void {
  given = { ...given, ...inputs };
}

const surroundings = () => ({ ...readSurroundings(), workspace: '/workspace', env });
const getInput: GetInput = (name) => given[name] ?? '';
const readInject = () => readInjectInputs(getInput, surroundings());
const readExtract = () => readExtractInputs(getInput, surroundings());

const least: Inputs = { key: 'k', 'fail-on-cache-miss': 'false' };

describe.each([
  ['inject', readInject],
  ['extract', readExtract],
] as const)('the store of %s', (_, read) => {
  test('is a registry, with one reference or more', () => {
    give({ ...least, registry: '\n r/app:12/merge \nr/app:main\n' });
    expect(read().storeLocation).toEqual({ registry: ['r/app:12-merge', 'r/app:main'] });
  });

  test('is no registry if that has only blank lines', () => {
    give({ ...least, registry: '\n  \n', directory: 'd' });
    expect(read().storeLocation).toEqual({ directory: '/workspace/d' });
  });

  test('is one of the two', () => {
    give({ ...least, registry: 'r/app:main', directory: 'd' });
    expect(read).toThrow(InputError);
    expect(read).toThrow('leave out either it or the input directory');
  });
});

describe('inject', () => {
  test('reads the least that it needs', () => {
    give(least);
    expect(readInject()).toEqual({
      mountInputs: noMountInputs,
      key: 'k',
      keyPrefix: 'buildkit-cache-mounts',
      restoreKeys: [],
      builder: undefined,
      utilityImage: undefined,
      failOnCacheMiss: false,
      incremental: true,
      stream: true,
      exclude: [],
      maxSize: undefined,
      storeLocation: undefined,
      timeout: 30,
      summary: true,
    });
  });

  test('reads all', () => {
    give({
      'cache-mounts': '\ngo\n# comment\nid=npm,uid=1000\n',
      context: ' app ',
      file: ' app/Dockerfile \n\nother\n',
      target: ' build ',
      'build-args': 'A=1\n',
      platforms: 'linux/amd64',
      key: ' k-1 ',
      'restore-keys': ' k- \n\nx-\n',
      builder: ' b ',
      'utility-image': ' debian:12 ',
      'fail-on-cache-miss': 'true',
      timeout: ' 0.5 ',
      stream: 'false',
      directory: '/d/../d/e',
      exclude: ' *.log \n\n# none\ngo: !tmp',
      'max-size': ' 2 GB ',
      summary: 'False',
    });
    expect(readInject()).toEqual({
      mountInputs: {
        ...noMountInputs,
        cacheMounts: '\ngo\n# comment\nid=npm,uid=1000\n',
        context: 'app',
        files: ['app/Dockerfile', 'other'],
        targets: ['build'],
        buildArgs: new Map([['A', '1']]),
        platforms: ['linux/amd64'],
      },
      key: 'k-1',
      keyPrefix: 'buildkit-cache-mounts',
      restoreKeys: ['k-', 'x-'],
      builder: 'b',
      utilityImage: 'debian:12',
      failOnCacheMiss: true,
      incremental: true,
      stream: false,
      exclude: [{ pattern: '*.log' }, { id: 'go', pattern: '!tmp' }],
      maxSize: 2e9,
      storeLocation: { directory: '/d/e' },
      timeout: 0.5,
      summary: false,
    });
  });

  test.each([
    ['true', true],
    ['True', true],
    ['TRUE', true],
    ['false', false],
    ['FALSE', false],
    ['', false],
    [' ', false],
  ])('reads %s as a boolean', (text, value) => {
    give({ ...least, 'fail-on-cache-miss': text });
    expect(readInject().failOnCacheMiss).toBe(value);
  });

  test('takes keys of the greatest length, and the greatest number of them', () => {
    const restoreKeys = Array.from({ length: 9 }, (_, index) => `${index}`.padEnd(512, 'x'));
    give({ ...least, key: 'k'.repeat(512), 'restore-keys': restoreKeys.join('\n') });
    expect(readInject().restoreKeys).toEqual(restoreKeys);
  });

  test('skips a blank line between restore keys', () => {
    give({ ...least, 'restore-keys': 'a-\n  \nb-' });
    expect(readInject().restoreKeys).toEqual(['a-', 'b-']);
  });

  test.each<[name: string, wrong: Inputs, message: string]>([
    [
      'a prefix beside a key',
      { 'key-prefix': 'p' },
      'Input key-prefix: it is the prefix of the generated key',
    ],
    [
      'a prefix that leaves no room for the rest of the key',
      { key: '', 'key-prefix': 'p'.repeat(401) },
      `Input key-prefix: "${'p'.repeat(40)}…" has 401 characters, the cache service takes 400.`,
    ],
    ['a comma in a prefix', { key: '', 'key-prefix': 'a,b' }, 'Input key-prefix: "a,b" holds'],
    ['a comma in the key', { key: 'a,b' }, 'Input key: "a,b" holds a comma'],
    ['a line break in the key', { key: 'a\nb' }, 'Input key: "a\nb" holds a comma or a line break'],
    [
      'a long key',
      { key: 'k'.repeat(513) },
      `Input key: "${'k'.repeat(40)}…" has 513 characters, the cache service takes 512.`,
    ],
    ['a comma in a restore key', { 'restore-keys': 'a\nb,c' }, 'Input restore-keys: "b,c" holds'],
    ['a long restore key', { 'restore-keys': 'k'.repeat(513) }, 'Input restore-keys: "kkk'],
    [
      'many restore keys',
      { 'restore-keys': 'k\n'.repeat(10) },
      'Input restore-keys: 10 keys are too many, the cache service takes 9.',
    ],
    [
      'no boolean',
      { 'fail-on-cache-miss': 'yes' },
      'Input fail-on-cache-miss: "yes" is neither true nor false.',
    ],
  ])('refuses %s', (_, wrong, message) => {
    give({ ...least, ...wrong });
    expect(readInject).toThrow(InputError);
    expect(readInject).toThrow(message);
  });
});

test('without a key there is room for fewer restore keys', () => {
  give({ ...least, key: ' ', 'restore-keys': 'a\nb\nc\nd\ne' });
  expect(readInject().key).toBeUndefined();
  give({ ...least, key: '', 'restore-keys': 'a\nb\nc\nd\ne\nf' });
  expect(readInject).toThrow('6 keys are too many, the cache service takes 5');
});

describe('extract', () => {
  test('may be told to save all of each mount', () => {
    give({ incremental: 'false' });
    expect(readExtract().incremental.count).toBe(0);
  });

  test('counts a directory from the workspace', () => {
    give({ directory: 'kept/../d' });
    expect(readExtract().storeLocation).toEqual({ directory: '/workspace/d' });
  });

  test('may leave everything out', () => {
    expect(readExtract()).toEqual({
      mountInputs: noMountInputs,
      key: undefined,
      builder: undefined,
      utilityImage: undefined,
      save: true,
      compressionLevel: 3,
      incremental: { count: 10, share: 0.5 },
      stream: true,
      exclude: [],
      maxSize: undefined,
      storeLocation: undefined,
      timeout: 30,
      summary: true,
    });
  });

  test('reads all', () => {
    give({
      'cache-mounts': 'go',
      context: 'app',
      file: 'app/Dockerfile',
      target: 'build',
      'build-args': 'A=1',
      platforms: 'linux/amd64',
      key: ' k ',
      builder: 'b',
      'utility-image': 'debian:12',
      save: 'False',
      timeout: '1440',
      'compression-level': '19',
      'incremental-count': '99',
      'incremental-share': '1',
      stream: 'false',
      exclude: 'x',
      'max-size': '500kB',
    });
    expect(readExtract()).toEqual({
      mountInputs: {
        ...noMountInputs,
        cacheMounts: 'go',
        context: 'app',
        files: ['app/Dockerfile'],
        targets: ['build'],
        buildArgs: new Map([['A', '1']]),
        platforms: ['linux/amd64'],
      },
      key: 'k',
      builder: 'b',
      utilityImage: 'debian:12',
      save: false,
      compressionLevel: 19,
      incremental: { count: 99, share: 0.01 },
      stream: false,
      exclude: [{ pattern: 'x' }],
      maxSize: 5e5,
      storeLocation: undefined,
      timeout: 1440,
      summary: true,
    });
  });

  test.each<[name: string, wrong: Inputs, message: string]>([
    ['a comma in the key', { key: 'a,b' }, 'Input key: "a,b" holds a comma'],
    ['a long key', { key: 'k'.repeat(513) }, 'has 513 characters'],
    ['a wrong pattern', { exclude: 'a\n[b' }, 'Input exclude: "[b" ends with'],
    ['no size', { 'max-size': 'big' }, 'Input max-size: "big" is no size, such as 2GB'],
    ['another word', { save: 'never' }, 'Input save: "never" is neither true nor false.'],
    ...['0', '20', '-3', '1.5', 'fast'].map((level): [string, Inputs, string] => [
      `the level ${level}`,
      { key: 'k', 'compression-level': level },
      `Input compression-level: "${level}" is no whole number from 1 to 19.`,
    ]),
    ...['0', '100', '1.5'].map((count): [string, Inputs, string] => [
      `the count ${count}`,
      { key: 'k', 'incremental-count': count },
      `Input incremental-count: "${count}" is no whole number from 1 to 99.`,
    ]),
    ...['0', '1001', '50%'].map((share): [string, Inputs, string] => [
      `the share ${share}`,
      { key: 'k', 'incremental-share': share },
      `Input incremental-share: "${share}" is no whole number from 1 to 1000.`,
    ]),
    ...['0', '-1', '1441', '1e3', 'ten', '1.'].map((timeout): [string, Inputs, string] => [
      `the timeout ${timeout}`,
      { key: 'k', timeout },
      `Input timeout: "${timeout}" is no number of minutes above 0, up to 1440`,
    ]),
  ])('refuses %s', (_, wrong, message) => {
    give(wrong);
    expect(readExtract).toThrow(InputError);
    expect(readExtract).toThrow(message);
  });
});

describe.each([readInject, readExtract])('%p', (read) => {
  test.each<[name: string, text: string, buildArgs: Record<string, string>]>([
    ['nothing', '', {}],
    ['blank lines', '\n \n', {}],
    ['one', 'A=1', { A: '1' }],
    ['several', ' A=1 \n\n B=2\n', { A: '1', B: '2' }],
    ['an equals sign in the value', 'A=b=c', { A: 'b=c' }],
    ['spaces and commas in the value', 'A=b, c', { A: 'b, c' }],
    ['quotes in the value', 'A="b" c', { A: '"b" c' }],
    ['an empty value', 'A=', { A: '' }],
    ['CSV quotes', '"A=say ""b"", c"', { A: 'say "b", c' }],
    ['a quote that is none of CSV', '"A"=b', { '"A"': 'b' }],
    ['a variable of the environment', 'FROM_OUTSIDE', { FROM_OUTSIDE: 'outer' }],
    ['a variable that is not there', 'A=1\nNOT_THERE', { A: '1' }],
    ['one twice: the last counts', 'A=1\nA=2', { A: '2' }],
    ['comments, which are none', '#A=1', { '#A': '1' }],
  ])('build-args: %s', (_, text, buildArgs) => {
    env.FROM_OUTSIDE = 'outer';
    give({ ...least, 'build-args': text });
    expect(read().mountInputs.buildArgs).toEqual(new Map(Object.entries(buildArgs)));
  });

  test.each<[text: string, platforms: string[] | undefined]>([
    ['', undefined],
    [' , \n', undefined],
    ['linux/amd64', ['linux/amd64']],
    ['linux/amd64,linux/arm64', ['linux/amd64', 'linux/arm64']],
    [' linux/amd64 ,\n linux/arm64\n\n', ['linux/amd64', 'linux/arm64']],
    ['linux/arm64/v8,LINUX/x86_64,linux/arm', ['linux/arm64', 'linux/amd64', 'linux/arm/v7']],
  ])('platforms: %j', (text, platforms) => {
    give({ ...least, platforms: text });
    expect(read().mountInputs.platforms).toEqual(platforms);
  });

  test('cache-mounts is not trimmed, as its lines are numbered in messages', () => {
    give({ ...least, 'cache-mounts': '\n\n  go \n' });
    expect(read().mountInputs.cacheMounts).toBe('\n\n  go \n');
  });
});
