import { describe, expect, test } from '@jest/globals';
import { InputError } from '../../src/errors.js';
import { resolveRequest } from '../../src/extract-request.js';
import type { ExtractInputs } from '../../src/inputs.js';
import type { InjectState } from '../../src/state.js';

const mounts = [{ id: 'go' }];
const own = [{ id: 'own' }];
const first: InjectState = { key: 'first', mounts, builder: 'b1', utilityImage: 'u1' };
const second: InjectState = { key: 'second', mounts: [{ id: 'npm' }], builder: 'b2' };

function resolve(inputs: Partial<ExtractInputs>, states: InjectState[]) {
  const none = { mounts: undefined, key: undefined, builder: undefined, utilityImage: undefined };
  return resolveRequest({ ...none, notices: [], ...inputs }, states);
}

describe('what extract leaves out', () => {
  test.each<[name: string, inputs: Partial<ExtractInputs>, states: InjectState[], request: object]>(
    [
      [
        'is not needed without an inject',
        { key: 'k', mounts: own },
        [],
        { key: 'k', mounts: own, builder: undefined, utilityImage: undefined, state: undefined },
      ],
      [
        'is taken from the only inject',
        {},
        [first],
        { key: 'first', mounts, builder: 'b1', utilityImage: 'u1', state: first },
      ],
      [
        'is taken from the only inject, whatever its key',
        { key: 'k' },
        [first],
        { key: 'k', mounts, builder: 'b1', utilityImage: 'u1', state: first },
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
          state: second,
        },
      ],
      [
        'may be the key alone',
        { mounts: own },
        [first],
        { key: 'first', mounts: own, builder: 'b1', utilityImage: 'u1', state: first },
      ],
      [
        'may be the builder alone',
        { key: 'first', mounts: own },
        [first, second],
        { key: 'first', mounts: own, builder: 'b1', utilityImage: 'u1', state: first },
      ],
      [
        'is little: what it names wins',
        { key: 'first', mounts: own, builder: 'b', utilityImage: 'u' },
        [first],
        { key: 'first', mounts: own, builder: 'b', utilityImage: 'u', state: first },
      ],
      [
        'is not taken from one of several injects of other keys',
        { key: 'k', mounts: own },
        [first, second],
        { key: 'k', mounts: own, builder: undefined, utilityImage: undefined, state: undefined },
      ],
    ],
  )('%s', (_, inputs, states, request) => {
    expect(resolve(inputs, states)).toEqual(request);
  });

  const several = 'This job has several injects (first, second): give the input key';
  test.each<[name: string, inputs: Partial<ExtractInputs>, states: InjectState[], message: string]>(
    [
      ['everything', {}, [], 'Input key is required, as no inject has run'],
      ['the key', { mounts: own }, [], 'Input key is required, as no inject has run'],
      ['the mounts', { key: 'k' }, [], 'Input cache-mounts is required, as no inject has run'],
      ['everything, after two injects', {}, [first, second], several],
      ['the key, after two injects', { mounts: own }, [first, second], several],
      ['the mounts, after two injects of other keys', { key: 'k' }, [first, second], several],
    ],
  )('cannot be %s', (_, inputs, states, message) => {
    expect(() => resolve(inputs, states)).toThrow(InputError);
    expect(() => resolve(inputs, states)).toThrow(message);
  });
});
