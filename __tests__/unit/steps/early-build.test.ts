import { expect, test } from '@jest/globals';
import { readSurroundings } from '../../../src/lib/surroundings.js';
import { findFilledBuilder } from '../../../src/steps/early-build.js';
import type { PackRequest } from '../../../src/steps/extract-request.js';

const mount = { id: 'go' };
const builder = {
  name: 'found',
  driver: 'docker-container',
  nodes: 2,
  node: 'found1',
  platforms: [],
  buildkit: '',
  endpoint: '',
};
const tools = { names: [], tarVersion: '', directories: [] };
const state = {
  key: 'k',
  mounts: [mount],
  restoreKeys: [],
  builder: 'named',
  foundBuilder: 'found',
  platform: 'linux/arm64',
  restored: {
    key: 'k-1',
    mounts: [],
    filled: { mounts: [mount], builder, filledAt: 100, tools },
  },
};
const request: PackRequest = {
  surroundings: readSurroundings(),
  key: 'k',
  mounts: [mount],
  builder: 'named',
  utilityImage: undefined,
  storeLocation: undefined,
  platform: 'linux/arm64',
  seedStages: undefined,
  others: [],
  hint: undefined,
  leftOut: [],
  ofGaps: [],
  compressionLevel: 3,
  incremental: { count: 3, share: 0.5 },
  stream: true,
  deadline: 0,
  exclude: [],
  maxSize: undefined,
  keepsImages: false,
  state,
};

test.each<[name: string, changes: Partial<PackRequest>, isFound: boolean]>([
  ['the builder is named as for inject', {}, true],
  ['it has the name that inject has found', { builder: 'found' }, true],
  ['another is named', { builder: 'other' }, false],
  ['none is named', { builder: undefined }, false],
  // It may be another node.
  ['another platform is asked for', { platform: 'linux/amd64' }, false],
  ['no platform is asked for', { platform: undefined }, false],
  ['a mount was not filled', { mounts: [mount, { id: 'npm' }] }, false],
  ['inject has left nothing', { state: undefined }, false],
])('whether the builder is known from inject, if %s', (_, changes, isFound) => {
  expect(findFilledBuilder({ ...request, ...changes })).toEqual(isFound ? builder : undefined);
});
