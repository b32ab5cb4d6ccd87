import { describe, expect, test } from '@jest/globals';
import type { MountInputs } from '../../../src/discovery/mount-list.js';
import type { ExtractInputs } from '../../../src/inputs/read-inputs.js';
import { InputError } from '../../../src/lib/errors.js';
import { resolveRequest } from '../../../src/steps/extract-request.js';
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
  directory: undefined,
  platform: undefined,
  state: undefined,
};
const takenFromFirst = {
  key: 'first',
  mounts,
  builder: 'b1',
  utilityImage: 'u1',
  directory: undefined,
  platform: 'linux/arm64',
  state: first,
};

function resolve(inputs: Partial<ExtractInputs>, states: InjectState[]) {
  const none = {
    key: undefined,
    builder: undefined,
    utilityImage: undefined,
    directory: undefined,
  };
  const incremental = { count: 10, share: 0.5 };
  const common = { compressionLevel: 3, incremental, stream: true, timeout: 30, summary: true };
  return resolveRequest({ mountInputs: noMountInputs, ...none, ...common, ...inputs }, states);
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
          directory: undefined,
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
  )('%s', (_, inputs, states, request) => {
    expect(resolve(inputs, states)).toEqual(request);
  });

  const several = 'This job has several injects (first, second): give the input key';
  test.each<[name: string, inputs: Partial<ExtractInputs>, states: InjectState[], message: string]>(
    [
      ['everything', {}, [], 'Input key is required, as no inject has run'],
      ['the key', { mountInputs: own }, [], 'Input key is required, as no inject has run'],
      ['everything, after two injects', {}, [first, second], several],
      ['the key, after two injects', { mountInputs: own }, [first, second], several],
      ['the mounts, after two injects of other keys', { key: 'k' }, [first, second], several],
    ],
  )('cannot be %s', (_, inputs, states, message) => {
    expect(() => resolve(inputs, states)).toThrow(InputError);
    expect(() => resolve(inputs, states)).toThrow(message);
  });

  test.each<[name: string, given: Partial<MountInputs>]>([
    ['cache-mounts', { cacheMounts: '\n# comment\n  go\n' }],
    ['context', { context: 'app' }],
    ['file', { files: ['app/Dockerfile'] }],
    ['target', { target: 'build' }],
    ['build-args', { buildArgs: new Map([['A', '']]) }],
    ['platforms', { platforms: ['linux/amd64'] }],
  ])('are not the mounts, as soon as it has the input %s', (_, given) => {
    const mountInputs = { ...noMountInputs, ...given };
    expect(resolve({ mountInputs }, [first]).mounts).toBeUndefined();
  });

  test.each(['', '\n', '# go', '  \n\t# go\n'])(
    'are the mounts where cache-mounts names none: %j',
    (cacheMounts) => {
      const mountInputs = { ...noMountInputs, cacheMounts };
      expect(resolve({ mountInputs }, [first]).mounts).toEqual(mounts);
    },
  );
});
