import type { Builder } from '../../src/builder/buildx.js';

/** A builder of which only the name matters. */
export const someBuilder: Builder = {
  name: 'b',
  driver: 'docker',
  nodes: 1,
  node: 'b0',
  platforms: [],
  buildkit: '',
  endpoint: '',
};
