import { describe, expect, test } from '@jest/globals';
import type { MountInputs } from '../../../src/discovery/mount-inputs.js';
import type { StoreLocation } from '../../../src/entry/stores/open-store.js';
import type { ExtractInputs } from '../../../src/inputs/read-inputs.js';
import {
  type ExtractRequest,
  findCandidates,
  resolveRequest,
} from '../../../src/steps/extract-request.js';
import type { InjectState } from '../../../src/steps/handover.js';
import { noMountInputs } from '../../support/no-mount-inputs.js';

const mounts = [{ id: 'go' }];

const own: MountInputs = { ...noMountInputs, cacheMounts: 'own' };
const first: InjectState = {
  key: 'first',
  mounts,
  builder: 'b1',
  utilityImage: 'u1',
  platform: 'linux/arm64',
  restoreKeys: [],
};
const second: InjectState = {
  key: 'second',
  mounts: [{ id: 'npm' }],
  builder: 'b2',
  restoreKeys: [],
};

/** The request of the key `k` alone. */
const nothingTaken = {
  key: 'k',
  mounts: undefined,
  builder: undefined,
  utilityImage: undefined,
  storeLocation: undefined,
  platform: undefined,
  state: undefined,
};
const takenFromFirst = {
  key: 'first',
  mounts,
  builder: 'b1',
  utilityImage: 'u1',
  storeLocation: undefined,
  platform: 'linux/arm64',
  state: first,
};

/** The inputs, with what a caller leaves out. */
function complete(inputs: Partial<ExtractInputs>): ExtractInputs {
  const none = {
    key: undefined,
    builder: undefined,
    utilityImage: undefined,
    storeLocation: undefined,
    exclude: [],
    maxSize: undefined,
  };
  const incremental = { count: 10, share: 0.5 };
  const common = {
    save: true,
    compressionLevel: 3,
    incremental,
    stream: true,
    timeout: 30,
    summary: true,
  };
  return { mountInputs: noMountInputs, ...none, ...common, ...inputs };
}

async function resolve(
  inputs: Partial<ExtractInputs>,
  states: InjectState[],
): Promise<ExtractRequest> {
  const all = complete(inputs);
  const [state, ...others] = findCandidates(all, states);
  expect(others).toEqual([]);
  return resolveRequest(all, state, async () => 'made');
}

describe('what extract leaves out', () => {
  test.each<[name: string, inputs: Partial<ExtractInputs>, states: InjectState[], request: object]>(
    [
      ['is not needed without an inject', { key: 'k', mountInputs: own }, [], nothingTaken],
      ['is taken from the only inject', {}, [first], takenFromFirst],
      [
        'is taken from the only inject, whatever its key',
        { key: 'k' },
        [first],
        { ...takenFromFirst, key: 'k' },
      ],
      [
        'is taken from the inject of its key',
        { key: 'second' },
        [first, second],
        {
          key: 'second',
          mounts: second.mounts,
          builder: 'b2',
          utilityImage: undefined,
          storeLocation: undefined,
          platform: undefined,
          state: second,
        },
      ],
      [
        'may be the key alone',
        { mountInputs: own },
        [first],
        { ...takenFromFirst, mounts: undefined },
      ],
      [
        'may be the builder alone',
        { key: 'first', mountInputs: own },
        [first, second],
        { ...takenFromFirst, mounts: undefined },
      ],
      [
        'is little: what it names wins',
        { key: 'first', mountInputs: own, builder: 'b', utilityImage: 'u' },
        [first],
        { ...takenFromFirst, mounts: undefined, builder: 'b', utilityImage: 'u' },
      ],
      [
        'may be the mounts alone: without an inject they are those of the Dockerfile',
        { key: 'k' },
        [],
        nothingTaken,
      ],
      [
        'is little: the platform that it names wins',
        {
          key: 'first',
          mountInputs: { ...noMountInputs, platforms: ['linux/386', 'linux/arm64'] },
        },
        [first],
        { ...takenFromFirst, mounts: undefined, platform: 'linux/386' },
      ],
      [
        'is not taken from one of several injects of other keys',
        { key: 'k', mountInputs: own },
        [first, second],
        nothingTaken,
      ],
    ],
  )('%s', async (_, inputs, states, request) => {
    expect(await resolve(inputs, states)).toEqual(request);
  });

  test.each<[name: string, inputs: Partial<ExtractInputs>]>([
    ['everything', {}],
    ['the key', { mountInputs: own }],
    ["the mounts, with a key that is no inject's", { key: 'k' }],
  ])('does not tell two injects apart: %s', (_, inputs) => {
    expect(findCandidates(complete(inputs), [first, second])).toEqual([first, second]);
  });

  test('is that of the last inject, if all have the same directory, which holds one entry', () => {
    const storeLocation = { directory: '/d' };
    const [one, two] = [first, second].map((each) => ({ ...each, storeLocation }));
    if (!one || !two) throw new Error('there are two');
    expect(findCandidates(complete({}), [one, two])).toEqual([two]);
    expect(
      findCandidates(complete({}), [one, { ...two, storeLocation: { directory: '/e' } }]),
    ).toHaveLength(2);
    expect(findCandidates(complete({}), [first, two])).toHaveLength(2);
  });

  test('is that of the last inject, if all save to one tag of a registry', () => {
    const withRegistry = (state: InjectState, ...registry: [string, ...string[]]) => ({
      ...state,
      storeLocation: { registry },
    });
    const one = withRegistry(first, 'r/app:a', 'r/app:b');
    const two = withRegistry(second, 'r/app:a');
    expect(findCandidates(complete({}), [one, two])).toEqual([two]);
    expect(findCandidates(complete({}), [one, withRegistry(second, 'r/app:b')])).toHaveLength(2);
  });

  const registry: StoreLocation = { registry: ['r/app:a'] };
  test.each<[from: StoreLocation | undefined, to: StoreLocation | undefined, isKept: boolean]>([
    [registry, undefined, true],
    [registry, { registry: ['r/app:b'] }, true],
    [{ directory: '/d' }, undefined, true],
    [undefined, { directory: '/d' }, true],
    [registry, { directory: '/d' }, false],
    [{ directory: '/d' }, registry, false],
    [undefined, registry, false],
  ])(
    'of inject from %j, and saved to %j: what was restored can be built on: %j',
    async (from, to, isKept) => {
      const state = { ...first, storeLocation: from, restored: { key: 'k', mounts: [] } };
      const request = await resolve({ storeLocation: to }, [state]);
      expect(request.storeLocation).toEqual(to ?? from);
      expect(request.state?.restored).toEqual(isKept ? state.restored : undefined);
    },
  );

  test.each<[name: string, inputs: Partial<ExtractInputs>]>([
    ['everything', {}],
    ['the key', { mountInputs: own }],
  ])('is a key that is made, if no inject has run: %s', async (_, inputs) => {
    expect(await resolve(inputs, [])).toMatchObject({ key: 'made', state: undefined });
  });

  test.each<[name: string, given: Partial<MountInputs>]>([
    ['cache-mounts', { cacheMounts: '\n# comment\n  go\n' }],
    ['context', { context: 'app' }],
    ['file', { files: ['app/Dockerfile'] }],
    ['target', { targets: ['build'] }],
    ['build-contexts', { buildContexts: new Map([['base', 'dir']]) }],
    ['bake-files', { bake: { ...noMountInputs.bake, files: ['docker-bake.hcl'] } }],
    ['bake-vars', { bake: { ...noMountInputs.bake, vars: ['A=1'] } }],
    ['build-args', { buildArgs: new Map([['A', '']]) }],
    ['platforms', { platforms: ['linux/amd64'] }],
  ])('are not the mounts, as soon as it has the input %s', async (_, given) => {
    const mountInputs = { ...noMountInputs, ...given };
    expect((await resolve({ mountInputs }, [first])).mounts).toBeUndefined();
  });

  test.each(['', '\n', '# go', '  \n\t# go\n'])(
    'are the mounts where cache-mounts names none: %j',
    async (cacheMounts) => {
      const mountInputs = { ...noMountInputs, cacheMounts };
      expect((await resolve({ mountInputs }, [first])).mounts).toEqual(mounts);
    },
  );
});

describe('the builder', () => {
  const found: InjectState = { ...second, builder: undefined, foundBuilder: 'found' };
  test.each<[name: string, inputs: Partial<ExtractInputs>, state: InjectState, builder: unknown]>([
    ['is the one that inject has found if nobody has named one', {}, found, 'found'],
    ['is the one that inject was given', {}, { ...found, builder: 'b2' }, 'b2'],
    ['is the one that extract is given', { builder: 'b' }, found, 'b'],
    [
      'is left to buildx if inject has found none',
      {},
      { ...second, builder: undefined },
      undefined,
    ],
  ])('%s', async (_, inputs, state, builder) => {
    expect((await resolve(inputs, [state])).builder).toBe(builder);
  });
});
