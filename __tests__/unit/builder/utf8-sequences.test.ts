import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { utf8Sequences } from '../../../src/builder/utf8-sequences.js';

test('the bytes of a few characters', () => {
  expect(utf8Sequences(0x61, 0x7a)).toEqual([[[0x61, 0x7a]]]);
  // à to ü
  expect(utf8Sequences(0xe0, 0xfc)).toEqual([
    [
      [0xc3, 0xc3],
      [0xa0, 0xbc],
    ],
  ]);
  expect(utf8Sequences(0x7f, 0x80)).toHaveLength(2);
});

test('a character fits one of the sequences exactly if it is in the range', () => {
  const edges = [0, 1, 0x7f, 0x80, 0x7ff, 0x800, 0xfff, 0x1000, 0xd7ff, 0xe000, 0xffff];
  const point = fc
    .oneof(
      fc.constantFrom(...edges, 0x10000, 0x3ffff, 0x10ffff),
      fc.integer({ max: 0x10ffff, min: 0 }),
    )
    .filter((each) => each < 0xd800 || each > 0xdfff);
  fc.assert(
    fc.property(point, point, fc.array(point, { minLength: 20, maxLength: 20 }), (a, b, others) => {
      const [first, last] = [Math.min(a, b), Math.max(a, b)];
      const sequences = utf8Sequences(first, last);
      const isNear = (each: number) =>
        each >= 0 && each <= 0x10ffff && (each < 0xd800 || each > 0xdfff);
      for (const each of [...others, first - 1, first, last, last + 1].filter(isNear)) {
        const bytes = [...Buffer.from(String.fromCodePoint(each))];
        const fits = sequences.some(
          (ranges) =>
            ranges.length === bytes.length &&
            ranges.every(([low, high], index) => {
              const byte = bytes[index] ?? -1;
              return byte >= low && byte <= high;
            }),
        );
        expect([each, fits]).toEqual([each, each >= first && each <= last]);
      }
    }),
    { numRuns: 1000 },
  );
});
