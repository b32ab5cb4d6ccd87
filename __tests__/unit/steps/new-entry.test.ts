import { expect, test } from '@jest/globals';
import { tellOfSockets } from '../../../src/steps/new-entry.js';

const mount = { id: 'go' };
const contents = { compression: 'zstd', files: 1, bytes: 10, seconds: 1 } as const;

test('sockets that were left out are told of', () => {
  const tell = (sockets: number | undefined) =>
    tellOfSockets({ mount, report: { result: 'packed', ...contents, sockets } });
  expect(tell(1)).toBe('Left out of the cache mount go: 1 socket, as an archive holds none.');
  expect(tell(2)).toContain(': 2 sockets, ');
  expect(tell(undefined)).toBeUndefined();
  expect(tellOfSockets({ mount, report: undefined })).toBeUndefined();
});
