import { expect, test } from '@jest/globals';
import { describeRestored, describeTimes } from '../../../src/steps/figures.js';

test.each([
  [[], 'the whole step 12 s'],
  [
    [
      { title: 'Look up the key', seconds: 0.21 },
      { title: 'Restore from the cache', seconds: 1.5 },
      { title: 'Restore what it builds on: a, b', seconds: 0.5 },
      { title: 'Unpack into the builder', seconds: 8.12 },
    ],
    'look-up 0.2 s, fetch 2.0 s, unpack 8.1 s, the whole step 12 s',
  ],
  [
    [
      { title: 'Look up the key', seconds: 0.2 },
      { title: 'Pack out of the builder', seconds: 100 },
      { title: 'Look for an entry that inject could not restore', seconds: 0.2 },
      { title: 'Restore it from the cache', seconds: 1 },
      { title: 'Save to the cache', seconds: 3 },
    ],
    'look-up 0.4 s, pack 1 min 40 s, fetch 1.0 s, save 3.0 s, the whole step 12 s',
  ],
] as const)('the times of %j', (stages, text) => {
  expect(describeTimes(stages, 12.3)).toBe(text);
});

test('what was restored has both sizes', () => {
  const size = { files: 1, bytes: 1_500_000_000, compressedBytes: 337_000_000 };
  expect(describeRestored(size)).toBe('337 MB, 1.5 GB unpacked');
});
