import { expect, test } from '@jest/globals';
import { lacksMountIds, lacksNamedContexts } from '../../../src/builder/versions.js';

test.each([
  ['v0.8.2+eeb7b65', true, true],
  ['v0.8+unknown', true, true],
  ['v0.9.3', true, true],
  ['v0.10.6', false, true],
  ['v0.11.7+d3e6c1360f6e', false, true],
  ['v0.12.0', false, false],
  ['v0.12.5', false, false],
  ['0.25.1', false, false],
  ['v1.0.0', false, false],
  ['461836ba0', false, false],
  ['v0.0.0+unknown', false, false],
  ['unknown', false, false],
])('BuildKit %s lacks named contexts: %s; the ids of mounts: %s', (version, contexts, ids) => {
  expect(lacksNamedContexts(version)).toBe(contexts);
  expect(lacksMountIds(version)).toBe(ids);
});
