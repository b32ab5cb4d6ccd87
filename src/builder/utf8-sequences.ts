/** Of bytes, or of code points. */
export type Range = readonly [first: number, last: number];

/** The code points with one byte, with two, with three and with four. */
const lengths: readonly Range[] = [
  [0, 0x7f],
  [0x80, 0x7ff],
  [0x800, 0xffff],
  [0x10000, 0x10ffff],
];

/**
 * The bytes of all characters from one code point to another, as sequences of ranges of bytes: a
 * character is among them exactly if its bytes fit one of the sequences.
 */
export function utf8Sequences(first: number, last: number): readonly (readonly Range[])[] {
  return lengths.flatMap(([low, high], index) => {
    const [from, to] = [Math.max(first, low), Math.min(last, high)];
    return from > to ? [] : split(from, to, index);
  });
}

/** @param tail how many bytes follow the first; each holds six bits */
function split(first: number, last: number, tail: number): (readonly Range[])[] {
  for (let bytes = 1; bytes <= tail; bytes++) {
    const mask = 64 ** bytes - 1;
    // If the bytes in front differ, the last bytes must have all values.
    if (Math.floor(first / (mask + 1)) === Math.floor(last / (mask + 1))) continue;
    if ((first & mask) !== 0) {
      const end = first - (first & mask) + mask;
      return [...split(first, end, tail), ...split(end + 1, last, tail)];
    }
    if ((last & mask) !== mask) {
      const start = last - (last & mask);
      return [...split(first, start - 1, tail), ...split(start, last, tail)];
    }
  }
  const [low, high] = [encode(first), encode(last)];
  return [low.map((byte, index) => [byte, high[index] ?? byte])];
}

function encode(codePoint: number): number[] {
  // A surrogate is no character, but it can be the end of a range.
  if (codePoint >= 0x800 && codePoint <= 0xffff) {
    return [0xe0 | (codePoint >> 12), 0x80 | ((codePoint >> 6) & 0x3f), 0x80 | (codePoint & 0x3f)];
  }
  return [...Buffer.from(String.fromCodePoint(codePoint))];
}
