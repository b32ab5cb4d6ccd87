import { expect, test } from '@jest/globals';
import { parseByteSize } from '../../../src/inputs/byte-size.js';

test.each([
  ['2GB', 2_000_000_000],
  ['2 GB', 2_000_000_000],
  ['1.5gb', 1_500_000_000],
  ['500MB', 500_000_000],
  ['500M', 500_000_000],
  ['64kB', 64_000],
  ['1TB', 1_000_000_000_000],
  ['1GiB', 1_073_741_824],
  [' 3 MiB ', 3_145_728],
  ['123', 123],
  ['7B', 7],
])('%j', (text, bytes) => {
  expect(parseByteSize(text)).toBe(bytes);
});

test.each([
  '',
  'GB',
  '0',
  '0GB',
  '-1GB',
  '2 G B',
  '2GBs',
  '1e3',
  '1,5GB',
  'none',
  '.5GB',
  '99999999TB',
])('%j is no size', (text) => {
  expect(parseByteSize(text)).toBeUndefined();
});
