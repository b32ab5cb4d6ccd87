import { expect, test } from '@jest/globals';
import type { CacheMount } from '../../../src/mounts/cache-mount.js';
import { fitsTemplate } from '../../../src/mounts/gap.js';

/** Whether a mount can be the one of a gap; both are plain but for `more`. */
function fits(id: string, pattern: string, more: Partial<CacheMount> = {}): boolean {
  const template = { id: pattern };
  const gap = { image: 'golang', id: pattern };
  return fitsTemplate({ id, ...more }, { gap, template, command: '', message: '' });
}

test.each<[id: string, pattern: string, fits: boolean]>([
  ['/go/pkg/mod', '$GOPATH/pkg/mod', true],
  ['/go/pkg/mod', '${GOPATH}/pkg/mod', true],
  ['/go/pkg/mod', '${GOPATH:-${HOME}/go}/pkg/mod', true],
  ['/pkg/mod', '$GOPATH/pkg/mod', true],
  ['/go/pkg/mod2', '$GOPATH/pkg/mod', false],
  ['/go/pkg', '$GOPATH/pkg/mod', false],
  ['go-1-linux', 'go-$V-$OS', true],
  ['go-linux', 'go-$V-$OS', false],
  ['xgo-1-linux', 'go-$V-$OS', false],
  ['anything', '$A', true],
  ['a-b', 'a-$A', true],
  ['a', 'a', true],
  ['ab', 'a', false],
  ['aXa', 'a${A}a', true],
  ['a', 'a${A}a', false],
])('the id %j fits %j: %s', (id, pattern, expected) => {
  expect(fits(id, pattern)).toBe(expected);
});

test.each<[what: string, more: Partial<CacheMount>]>([
  ['namespace', { namespace: 'n' }],
  ['image', { from: 'alpine' }],
  ['owner', { ownership: { uid: 1, gid: 0, mode: 0o755 } }],
])('a mount with another %s does not fit', (_, more) => {
  expect(fits('/go/pkg', '$GOPATH/pkg', more)).toBe(false);
});

test('a mount that starts from a stage is none, as the stage would have to be built', () => {
  const stage = { name: 's', digest: 'd' };
  const template = { id: '$A', stage };
  const gap = { image: 'golang', id: '$A' };
  expect(fitsTemplate({ id: 'a', stage }, { gap, template, command: '', message: '' })).toBe(false);
});
