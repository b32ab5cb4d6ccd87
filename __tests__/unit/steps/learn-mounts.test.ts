import { describe, expect, test } from '@jest/globals';
import type { MadeMount } from '../../../src/builder/made-mounts.js';
import type { CacheMount } from '../../../src/mounts/cache-mount.js';
import type { Gap, LeftOutMount, MountOfGap } from '../../../src/mounts/gap.js';
import { adoptMounts, findMade, stillLeftOut } from '../../../src/steps/learn-mounts.js';

function leftOutMount(
  id: string,
  more: Partial<CacheMount> = {},
  command = 'go build',
): LeftOutMount {
  const gap = { image: 'golang', id };
  return { gap, template: { id, ...more }, command, message: `${id} of ${command}` };
}

function made(id: string, command = 'go build', usedAt = 10): MadeMount {
  return { id: `/${id}`, command: `/bin/sh -c ${command}`, usedAt };
}

const mod = leftOutMount('$GOPATH/pkg/mod');
const cache = leftOutMount('$GOPATH/cache');

describe('a mount that the build has made', () => {
  const find = (
    leftOut: readonly LeftOutMount[],
    records: readonly MadeMount[],
    known: readonly CacheMount[] = [],
    ofGaps: readonly MountOfGap[] = [],
  ) => {
    const { found, unclear } = findMade(leftOut, records, { known, ofGaps }, 10);
    return {
      found: found.map(({ mount, gap }) => [gap.id, mount.id]),
      unclear: unclear.map(({ leftOut: { gap }, ids }) => [gap.id, ...ids]),
    };
  };
  const foundAs = (...found: string[][]) => ({ found, unclear: [] });

  test.each<[name: string, records: readonly MadeMount[], found: string[][]]>([
    ['by the RUN', [made('/go/pkg/mod')], [['$GOPATH/pkg/mod', '/go/pkg/mod']]],
    ['by an earlier RUN', [made('/go/pkg/mod', 'go')], [['$GOPATH/pkg/mod', '/go/pkg/mod']]],
    [
      'by the RUN, and another by another',
      [made('/go/pkg/mod'), made('/x/pkg/mod', 'go vet')],
      [['$GOPATH/pkg/mod', '/go/pkg/mod']],
    ],
    ['before the build', [made('/go/pkg/mod', 'go build', 9)], []],
    ['under another id', [made('/go/pkg')], []],
    ['in another namespace', [{ ...made(''), id: 'n//go/pkg/mod' }], []],
    [
      'and is not the only one of the RUN',
      [made('/go/cache'), made('/go/pkg/mod'), made('/root/.cache')],
      [['$GOPATH/pkg/mod', '/go/pkg/mod']],
    ],
    [
      'and has several records',
      [made('/go/pkg/mod'), made('/go/pkg/mod')],
      [['$GOPATH/pkg/mod', '/go/pkg/mod']],
    ],
  ])('%s', (_, records, found) => {
    expect(find([mod], records)).toEqual(foundAs(...found));
  });

  test('is told from the others of its RUN', () => {
    const records = [made('/go/pkg/mod'), made('/go/cache')];
    expect(find([mod, cache], records)).toEqual(
      foundAs(['$GOPATH/pkg/mod', '/go/pkg/mod'], ['$GOPATH/cache', '/go/cache']),
    );
  });

  test('is none that is known', () => {
    const records = [made('/go/pkg/mod'), made('/x/pkg/mod')];
    const known = [{ id: '/go/pkg/mod' }];
    expect(find([mod], records, known)).toEqual(foundAs(['$GOPATH/pkg/mod', '/x/pkg/mod']));
  });

  test('is none that another gap, of which more is known, has taken', () => {
    const any = leftOutMount('$GOPATH');
    const records = [made('/go'), made('/go/pkg/mod')];
    expect(find([any, mod], records)).toEqual(
      foundAs(['$GOPATH/pkg/mod', '/go/pkg/mod'], ['$GOPATH', '/go']),
    );
  });

  test('is not clear if several fit', () => {
    const records = [made('/go/pkg/mod'), made('/x/pkg/mod')];
    expect(find([mod], records)).toEqual({
      found: [],
      unclear: [['$GOPATH/pkg/mod', '/go/pkg/mod', '/x/pkg/mod']],
    });
  });

  test('by another RUN is not found if the entry has told of one', () => {
    const known = [{ id: '/go/pkg/mod' }];
    const ofGaps = known.map((mount) => ({ mount, gap: mod.gap }));
    expect(find([mod], [made('/x/pkg/mod', 'go vet')], known, ofGaps)).toEqual(foundAs());
    expect(find([mod], [made('/x/pkg/mod')], known, ofGaps)).toEqual(
      foundAs(['$GOPATH/pkg/mod', '/x/pkg/mod']),
    );
  });

  test('by another RUN is not found if little is known of the id', () => {
    const any = leftOutMount('c-$X');
    expect(find([any], [made('c-1', 'go vet')])).toEqual(foundAs());
    expect(find([any], [made('c-1')])).toEqual(foundAs(['c-$X', 'c-1']));
  });

  test('is found by any of the RUNs that have it', () => {
    const vet = leftOutMount('$GOPATH/pkg/mod', {}, 'go vet');
    expect(find([mod, vet], [made('/go/pkg/mod', 'go vet')])).toEqual(
      foundAs(['$GOPATH/pkg/mod', '/go/pkg/mod']),
    );
  });

  test.each<[what: string, more: Partial<CacheMount>]>([
    ['an owner', { ownership: { uid: 0, gid: 0, mode: 0o755 } }],
    ['an image to start from', { from: 'alpine' }],
  ])('is not looked for if it has %s, as a record does not tell that', (_, more) => {
    const leftOut = leftOutMount('$GOPATH/pkg/mod', more);
    expect(find([leftOut], [made('/go/pkg/mod')])).toEqual(foundAs());
  });

  test('has the namespace of the build', () => {
    const leftOut = leftOutMount('$GOPATH/pkg/mod', { namespace: 'n' });
    const records = [{ ...made(''), id: 'n//go/pkg/mod' }, made('/go/pkg/mod')];
    expect(findMade([leftOut], records, { known: [], ofGaps: [] }, 10).found).toEqual([
      { gap: leftOut.gap, mount: { id: '/go/pkg/mod', namespace: 'n' } },
    ]);
  });
});

describe('an entry tells of a mount', () => {
  const adopt = (
    mount: CacheMount,
    gap: Gap | undefined,
    leftOut: readonly LeftOutMount[] = [mod],
    known: readonly CacheMount[] = [],
  ) =>
    adoptMounts(leftOut, known, { mounts: [gap === undefined ? { mount } : { mount, gap }] }).map(
      (each) => each.mount.id,
    );
  const { gap } = mod;
  const onBuild: Gap = { image: 'golang', id: '/x', onBuild: true };

  test.each<[name: string, adopted: readonly string[], ids: readonly string[]]>([
    ['that is of the same gap', adopt({ id: '/go/pkg/mod' }, gap), ['/go/pkg/mod']],
    ['that is of none', adopt({ id: '/go/pkg/mod' }, undefined), []],
    ['of another image', adopt({ id: '/go/pkg/mod' }, { ...gap, image: 'rust' }), []],
    ['of another gap', adopt({ id: '/go/cache' }, cache.gap), []],
    ['that cannot be the one', adopt({ id: '/etc' }, gap), []],
    ['with other options', adopt({ id: '/go/pkg/mod', from: 'alpine' }, gap), []],
    ['that is known', adopt({ id: '/go/pkg/mod' }, gap, [mod], [{ id: '/go/pkg/mod' }]), []],
    ['while nothing is left out', adopt({ id: '/go/pkg/mod' }, gap, []), []],
    ['of ONBUILD', adopt({ id: '/x' }, onBuild), ['/x']],
    ['of ONBUILD of another image', adopt({ id: '/x' }, { ...onBuild, image: 'rust' }), []],
    ['of ONBUILD that is not plain', adopt({ id: '/x', from: 'alpine' }, onBuild), []],
    ['of ONBUILD in another namespace', adopt({ id: '/x', namespace: 'n' }, onBuild), []],
    ['of ONBUILD while nothing is left out', adopt({ id: '/x' }, onBuild, []), []],
  ])('%s', (_, adopted, ids) => {
    expect(adopted).toEqual(ids);
  });
});

test('what is still left out is told once', () => {
  const found = [{ gap: mod.gap, mount: { id: '/go/pkg/mod' } }];
  expect(stillLeftOut([mod, cache, { ...cache }], found)).toEqual([cache]);
});
