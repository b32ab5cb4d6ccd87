import { describe, expect, test } from '@jest/globals';
import { type BuilderNode, pickNode } from '../../../src/builder/nodes.js';

/** `linux/amd64* linux/386`: what was declared has an asterisk. */
function node(name: string, platforms: string): BuilderNode {
  const words = platforms.split(' ').filter((word) => word !== '');
  const declared = words.filter((word) => word.endsWith('*'));
  const plain = (word: string) => word.replace('*', '');
  return {
    name,
    status: 'running',
    platforms: words.map(plain),
    declared: declared.map(plain),
    buildkit: 'v0.32.0',
    endpoint: '',
    error: undefined,
  };
}

const amd64 = 'linux/amd64 linux/amd64/v2 linux/amd64/v3 linux/386';
const native = 'linux/arm64* linux/arm/v7 linux/arm/v6';
const emulating = `linux/arm64* linux/arm/v7 ${amd64}`;

describe('without a platform', () => {
  test.each([
    ['of two', [amd64, native]],
    ['of two in the other order', [native, amd64]],
    ['even if it does not answer', ['', amd64]],
  ])('it is the first node %s', (_, platforms) => {
    expect(
      pickNode(
        platforms.map((each, index) => node(`b${index}`, each)),
        undefined,
      )?.name,
    ).toBe('b0');
  });

  test('there is none if the builder has none', () => {
    expect(pickNode([], undefined)).toBeUndefined();
    expect(pickNode([], 'linux/amd64')).toBeUndefined();
  });
});

test.each<[wanted: string, nodes: string[], picked: string]>([
  // Only one node has it.
  ['linux/amd64', [amd64, native], 'b0'],
  ['linux/arm64', [amd64, native], 'b1'],
  ['linux/arm64', [native, amd64], 'b0'],
  ['linux/amd64', [native, amd64], 'b1'],
  // Both have it: the first, unless it was declared for the other.
  ['linux/amd64', [emulating, amd64], 'b0'],
  ['linux/amd64', [emulating, `linux/amd64* ${amd64}`], 'b1'],
  ['linux/amd64', [`linux/amd64* ${amd64}`, emulating], 'b0'],
  // As platforms are written.
  ['linux/arm64/v8', [amd64, native], 'b1'],
  ['arm64', [amd64, native], 'b1'],
  ['linux/x86_64', [native, amd64], 'b1'],
  ['linux/arm', [amd64, native], 'b1'],
  // What a platform runs beside itself counts only if no node was declared for just that.
  ['linux/386', ['linux/arm64', 'linux/amd64*'], 'b1'],
  ['linux/386', ['linux/amd64*', 'linux/386*'], 'b1'],
  ['linux/386', ['linux/amd64*', 'linux/386'], 'b1'],
  ['linux/arm/v6', ['linux/amd64', 'linux/arm64'], 'b1'],
  ['linux/arm/v6', ['linux/arm64', 'linux/arm/v7'], 'b1'],
  ['linux/arm/v7', ['linux/arm/v6', 'linux/arm/v7'], 'b1'],
  ['linux/amd64/v2', ['linux/amd64', 'linux/amd64/v3'], 'b1'],
  ['linux/amd64', ['linux/amd64/v3', 'linux/amd64'], 'b1'],
  // Nobody has it.
  ['linux/riscv64', [amd64, native], 'b0'],
  ['linux/arm64', ['linux/amd64', 'linux/arm/v7'], 'b0'],
])('a build for %s on nodes %j goes to %s', (wanted, nodes, picked) => {
  expect(
    pickNode(
      nodes.map((each, index) => node(`b${index}`, each)),
      wanted,
    )?.name,
  ).toBe(picked);
});
