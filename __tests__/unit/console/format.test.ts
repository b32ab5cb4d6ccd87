import { expect, test } from '@jest/globals';
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatSeconds,
  formatTable,
  plural,
} from '../../../src/console/format.js';

test.each([
  [0, '0 bytes'],
  [999, '999 bytes'],
  [1000, '1.0 kB'],
  [1234, '1.2 kB'],
  [99_949, '99.9 kB'],
  [99_950, '100 kB'],
  [999_499, '999 kB'],
  [999_500, '1.0 MB'],
  [186_400_000, '186 MB'],
  [999_500_000, '1.0 GB'],
  [2_500_000_000_000, '2.5 TB'],
  [12_345_000_000_000_000, '12345 TB'],
])('%d bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test.each([
  [0, '0'],
  [999, '999'],
  [1234, '1,234'],
  [1_234_567, '1,234,567'],
  [0.0005, '0.0005'],
  [1234.5678, '1,234.5678'],
])('the count %s is written %s', (count, text) => {
  expect(formatCount(count)).toBe(text);
});

test.each([
  [0.04, '0.0 s'],
  [9.94, '9.9 s'],
  [9.96, '10 s'],
  [58.4, '58 s'],
  [59.6, '1 min 0 s'],
  [252, '4 min 12 s'],
  [3599.4, '59 min 59 s'],
  [3600, '1 h 0 min'],
  [3930, '1 h 6 min'],
  [7190, '2 h 0 min'],
])('a duration of %d seconds is %s', (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});

test.each([
  [0, '0 files'],
  [1, '1 file'],
  [2, '2 files'],
  [9443, '9,443 files'],
])('%d takes its plural', (count, text) => {
  expect(plural(count, 'file')).toBe(text);
});

test.each([
  [0, '0.0 s'],
  [0.26, '0.3 s'],
  [123.45, '123.5 s'],
])('%d seconds are %s', (seconds, text) => {
  expect(formatSeconds(seconds)).toBe(text);
});

test.each<[name: string, rows: string[][], lines: string[]]>([
  ['no rows', [], []],
  ['a single row', [['a', 'b']], ['a  b']],
  [
    'columns as wide as their widest cell',
    [
      ['a', 'bbb', 'c'],
      ['aa', 'b', 'ccc'],
    ],
    ['a   bbb  c', 'aa  b    ccc'],
  ],
  [
    'rows of different length, and empty cells at the end',
    [['a'], ['bb', 'c', '', '']],
    ['a', 'bb  c'],
  ],
  [
    'empty cells between',
    [
      ['a', '', 'c'],
      ['a', 'b', 'c'],
    ],
    ['a     c', 'a  b  c'],
  ],
])('a table of %s', (_, rows, lines) => {
  expect(formatTable(rows)).toEqual(lines);
});
