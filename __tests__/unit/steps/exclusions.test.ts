import { describe, expect, test } from '@jest/globals';
import { parseExclude } from '../../../src/inputs/exclude.js';
import { InputError } from '../../../src/lib/errors.js';
import { exclusionOf, tellOfUnknown } from '../../../src/steps/exclusions.js';

test('a line is a pattern for all mounts, or for those with an id', () => {
  const lines = ['# a comment', '*.log', 'go: tmp/**', '/root/.npm: !_cacache', 'a:b', 'c:\\ d'];
  expect(parseExclude(lines)).toEqual([
    { pattern: '*.log' },
    { id: 'go', pattern: 'tmp/**' },
    { id: '/root/.npm', pattern: '!_cacache' },
    { pattern: 'a:b' },
    { pattern: 'c:\\ d' },
  ]);
});

test.each(['[', 'go: [z-a]', '!', 'go: !'])('%j is a wrong input', (line) => {
  expect(() => parseExclude([line])).toThrow(InputError);
  expect(() => parseExclude([line])).toThrow(/^Input exclude: .*\.dockerignore/);
});

describe('what is excluded of a mount', () => {
  const rules = parseExclude(['*.log', 'go: tmp', '!b.log']);
  const hashOf = (lines: string[], id: string) => exclusionOf(parseExclude(lines), { id })?.hash;

  test('is by its own lines and those for all, in their order', () => {
    expect(exclusionOf(rules, { id: 'go' })?.hash).toBe(hashOf(['*.log', 'tmp', '!b.log'], 'x'));
    expect(exclusionOf(rules, { id: 'npm' })?.hash).toBe(hashOf(['*.log', '!b.log'], 'x'));
    expect(hashOf(['a', 'b'], 'x')).not.toBe(hashOf(['b', 'a'], 'x'));
    expect(exclusionOf(rules, { id: 'go' })?.script).toContain('tmp');
    expect(exclusionOf(rules, { id: 'npm' })?.script).not.toContain('tmp');
  });

  test('is nothing without a line', () => {
    expect(exclusionOf([], { id: 'go' })).toBeUndefined();
    expect(exclusionOf(parseExclude(['go: tmp']), { id: 'npm' })).toBeUndefined();
  });

  test('a mount that is not there is told once', () => {
    const named = parseExclude(['go: a', 'go: b', 'gone: c', 'gone: d']);
    expect(tellOfUnknown(named, [{ id: 'go' }, { id: 'npm' }])).toEqual([
      'The input exclude names the cache mount "gone", and there is none with this id: go, npm.',
    ]);
    expect(tellOfUnknown(rules, [{ id: 'go' }])).toEqual([]);
  });
});
