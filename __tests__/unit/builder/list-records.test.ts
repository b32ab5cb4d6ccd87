import { expect, test } from '@jest/globals';
import { whyUnlisted } from '../../../src/builder/list-records.js';

const builder = {
  name: 'b',
  driver: 'remote',
  nodes: 1,
  node: 'b0',
  platforms: ['linux/amd64'],
  buildkit: 'v0.12.0',
  endpoint: 'default',
};

test.each([
  ['of one node tells', {}, undefined, undefined],
  ['of one of two nodes tells', { nodes: 2 }, '/configuration', undefined],
  [
    'of two nodes together does not',
    { nodes: 2 },
    undefined,
    'it has 2 nodes, whose mounts are listed as one',
  ],
  [
    'of an older BuildKit does not',
    { buildkit: 'v0.11.6' },
    undefined,
    'BuildKit v0.11.6 does not tell their ids, as 0.12 and later do',
  ],
])('a list %s', (_, changes, configuration, why) => {
  expect(whyUnlisted({ ...builder, ...changes }, { name: 'b', configuration })).toBe(why);
});
