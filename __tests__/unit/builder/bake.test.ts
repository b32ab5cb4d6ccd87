import { describe, expect, test } from '@jest/globals';
import {
  OldBuildxError,
  parseBake,
  parseEmptyVariables,
  parseUnset,
} from '../../../src/builder/bake.js';

const print = (target: Record<string, unknown>) => JSON.stringify({ group: {}, target });

/** As buildx 0.29 prints it where nothing else is given. */
const plain = { context: '.', dockerfile: 'Dockerfile' };

const nothing = {
  ...plain,
  name: 'a',
  inline: undefined,
  args: new Map(),
  target: undefined,
  platforms: [],
  contexts: new Map(),
};

describe('what bake --print answers', () => {
  test.each<[name: string, printed: Record<string, unknown>, expected: Record<string, unknown>]>([
    ['a target with nothing else', {}, {}],
    ['what has no part in the mounts', { tags: ['x'], secret: [{ id: 'n' }], output: [] }, {}],
    ['a context', { context: 'app' }, { context: 'app' }],
    ['a remote context', { context: 'https://x/y.git' }, { context: 'https://x/y.git' }],
    ['a Dockerfile', { dockerfile: 'cwd://x/D' }, { dockerfile: 'cwd://x/D' }],
    [
      'an inline one, whose variables are escaped',
      { 'dockerfile-inline': 'FROM $A\nRUN $${B} %%{C} $$${D} $$E' },
      { inline: 'FROM $A\nRUN ${B} %{C} $${D} $$E' },
    ],
    [
      'arguments, escaped ones and one that is null',
      { args: { A: '1', B: null, C: '', D: '$${X}' } },
      {
        args: new Map([
          ['A', '1'],
          ['C', ''],
          ['D', '${X}'],
        ]),
      },
    ],
    ['a stage', { target: 'web' }, { target: 'web' }],
    ['a stage that is empty', { target: '' }, { target: undefined }],
    ['platforms', { platforms: ['linux/arm64', 'local'] }, { platforms: ['linux/arm64', 'local'] }],
    [
      'contexts',
      { contexts: { base: 'target:b', i: 'docker-image://x' } },
      {
        contexts: new Map([
          ['base', 'target:b'],
          ['i', 'docker-image://x'],
        ]),
      },
    ],
  ])('%s', (_, printed, expected) => {
    expect(parseBake(print({ a: { ...plain, ...printed } }))).toEqual([
      { ...nothing, ...expected },
    ]);
  });

  test('has all targets, in its order', () => {
    const targets = parseBake(print({ b: plain, a: { ...plain, target: 'x' } }));
    expect(targets.map(({ name, target }) => [name, target])).toEqual([
      ['b', undefined],
      ['a', 'x'],
    ]);
  });

  test.each<[name: string, text: string, message: string]>([
    ['no targets', '{}', 'no targets'],
    ['no context', print({ a: { dockerfile: 'D' } }), 'the field context of the target a'],
    ['no Dockerfile', print({ a: { context: '.' } }), 'the field dockerfile of the target a'],
  ])('an older buildx that tells %s is named', (_, text, message) => {
    expect(() => parseBake(text)).toThrow(OldBuildxError);
    expect(() => parseBake(text)).toThrow(message);
  });

  test.each<[name: string, text: string]>([
    ['no JSON', 'ERROR: no'],
    ['targets that are a list', print([] as unknown as Record<string, unknown>)],
    ['a target that is text', print({ a: 'b' })],
    ['platforms that are text', print({ a: { ...plain, platforms: 'linux/amd64' } })],
    ['arguments that are a list', print({ a: { ...plain, args: ['A=1'] } })],
  ])('%s is an error', (_, text) => {
    expect(() => parseBake(text)).toThrow();
  });
});

describe('variables without a value', () => {
  test.each<[stderr: string, names: string[]]>([
    ['#1 [internal] load local bake definitions\n#1 DONE 0.0s', []],
    [
      'WARNING: The "APP" variable is not set. Defaulting to a blank string.\nWARNING: The "M" variable is not set. Defaulting to a blank string.\nWARNING: The "APP" variable is not set. Defaulting to a blank string.',
      ['APP', 'M'],
    ],
    [
      'time="2026-01-01T00:00:00Z" level=warning msg="The \\"APP\\" variable is not set. Defaulting to a blank string."',
      ['APP'],
    ],
  ])('of Compose files are those that buildx warns of: %j', (stderr, names) => {
    expect(parseUnset(stderr)).toEqual(names);
  });

  test('of bake files are those that can be text, and are none', () => {
    const listed = [
      { name: 'SET', value: 'x' },
      { name: 'EMPTY', value: '' },
      { name: 'NULL' },
      { name: 'NUMBER', type: 'number' },
      { name: 'TEXT', type: 'string' },
    ];
    expect(parseEmptyVariables(JSON.stringify(listed))).toEqual(['EMPTY', 'NULL', 'TEXT']);
    expect(parseEmptyVariables('null')).toEqual([]);
    expect(() => parseEmptyVariables('NAME VALUE')).toThrow();
  });
});
