import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { InputError } from '../../src/errors.js';
import { readExtractInputs, readInjectInputs } from '../../src/inputs.js';

type Inputs = Record<string, string>;

const environment = process.env;

beforeEach(() => {
  process.env = {};
});

afterEach(() => {
  process.env = environment;
});

/** Hands inputs over as the runner does. */
function give(inputs: Inputs): void {
  for (const [name, value] of Object.entries(inputs)) {
    process.env[`INPUT_${name.toUpperCase()}`] = value;
  }
}

const least: Inputs = { 'cache-mounts': 'go', key: 'k', 'fail-on-cache-miss': 'false' };

describe('inject', () => {
  test('reads the least that it needs', () => {
    give(least);
    expect(readInjectInputs()).toEqual({
      mounts: [{ id: 'go' }],
      key: 'k',
      restoreKeys: [],
      builder: undefined,
      utilityImage: undefined,
      failOnCacheMiss: false,
      notices: [],
    });
  });

  test('reads all', () => {
    give({
      'cache-mounts': '\ngo\n# comment\nid=npm,uid=1000\n',
      key: ' k-1 ',
      'restore-keys': ' k- \n\nx-\n',
      builder: ' b ',
      'utility-image': ' debian:12 ',
      'fail-on-cache-miss': 'true',
    });
    expect(readInjectInputs()).toEqual({
      mounts: [{ id: 'go' }, { id: 'npm', ownership: { uid: 1000, gid: 0, mode: 0o755 } }],
      key: 'k-1',
      restoreKeys: ['k-', 'x-'],
      builder: 'b',
      utilityImage: 'debian:12',
      failOnCacheMiss: true,
      notices: [],
    });
  });

  test.each([
    ['true', true],
    ['True', true],
    ['TRUE', true],
    ['false', false],
    ['FALSE', false],
  ])('reads %s as a boolean', (text, value) => {
    give({ ...least, 'fail-on-cache-miss': text });
    expect(readInjectInputs().failOnCacheMiss).toBe(value);
  });

  test('takes keys of the greatest length, and the greatest number of them', () => {
    const restoreKeys = Array.from({ length: 9 }, (_, index) => `${index}`.padEnd(512, 'x'));
    give({ ...least, key: 'k'.repeat(512), 'restore-keys': restoreKeys.join('\n') });
    expect(readInjectInputs().restoreKeys).toEqual(restoreKeys);
  });

  test('skips a blank line between restore keys', () => {
    give({ ...least, 'restore-keys': 'a-\n  \nb-' });
    expect(readInjectInputs().restoreKeys).toEqual(['a-', 'b-']);
  });

  test.each<[name: string, wrong: Inputs, message: string]>([
    ['no mount', { 'cache-mounts': '' }, 'Input cache-mounts: no mount is named.'],
    ['only a comment', { 'cache-mounts': '# go' }, 'Input cache-mounts: no mount is named.'],
    ['a wrong line', { 'cache-mounts': 'go\nid=$X' }, 'Input cache-mounts: line 2 (id=$X): '],
    ['a line after blank ones', { 'cache-mounts': '\n\nro' }, 'Input cache-mounts: line 3 (ro): '],
    ['no key', { key: '' }, 'Input key is required'],
    ['a blank key', { key: '  ' }, 'Input key is required'],
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
    expect(readInjectInputs).toThrow(InputError);
    expect(readInjectInputs).toThrow(message);
  });
});

describe('extract', () => {
  test('may leave everything out', () => {
    expect(readExtractInputs()).toEqual({
      mounts: undefined,
      key: undefined,
      builder: undefined,
      utilityImage: undefined,
      notices: [],
    });
  });

  test('reads all', () => {
    give({ 'cache-mounts': 'go', key: ' k ', builder: 'b', 'utility-image': 'debian:12' });
    expect(readExtractInputs()).toEqual({
      mounts: [{ id: 'go' }],
      key: 'k',
      builder: 'b',
      utilityImage: 'debian:12',
      notices: [],
    });
  });

  test.each<[name: string, wrong: Inputs, message: string]>([
    ['a wrong line', { 'cache-mounts': 'id=a,uid=x' }, 'Input cache-mounts: line 1 (id=a,uid=x): '],
    ['a comma in the key', { key: 'a,b' }, 'Input key: "a,b" holds a comma'],
    ['a long key', { key: 'k'.repeat(513) }, 'has 513 characters'],
  ])('refuses %s', (_, wrong, message) => {
    give(wrong);
    expect(readExtractInputs).toThrow(InputError);
    expect(readExtractInputs).toThrow(message);
  });
});

test.each([readInjectInputs, readExtractInputs])('%p names the input in a notice', (read) => {
  give({ ...least, 'cache-mounts': 'go\nid=go' });
  expect(read().notices).toEqual([
    'Input cache-mounts: line 2 names the same cache mount as line 1: go',
  ]);
});
