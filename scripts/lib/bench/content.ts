/** What the files of the data sets hold: the same bytes for the same seed, on every machine. */
import { createCipheriv } from 'node:crypto';
import { createRandom, type Random } from '../../../__tests__/support/random.js';

export type ContentKind = 'noise' | 'object' | 'text';

/** Gives the next bytes of a file's content. */
export type ContentSource = (kind: ContentKind, length: number) => Buffer;

/** How noise, which no compressor can shrink, and known phrases take turns. */
interface Mixture {
  readonly phrases: Buffer;
  readonly noise: number;
  readonly phrase: { readonly from: number; readonly to: number };
}

const words = (
  'const let return function import export default from if else for while this new await async ' +
  'undefined null true false typeof module exports require prototype length value key index name ' +
  'options callback error result data type string number object array map filter reduce'
).split(' ');

export function createContentSource(seed: number): ContentSource {
  const random = createRandom(seed);
  const noise = createNoise(seed);
  // With these, zstd -3 makes about 4:1 of both, as it does of object files and of JavaScript.
  const mixtures = {
    object: { phrases: noise(32_768), noise: 11, phrase: { from: 16, to: 96 } },
    text: { phrases: textPhrases(random, 65_536), noise: 6, phrase: { from: 12, to: 72 } },
  } satisfies Record<string, Mixture>;
  return (kind, length) => {
    switch (kind) {
      case 'noise':
        return noise(length);
      case 'object':
        return mix(noise(length), mixtures.object, random);
      case 'text':
        return mix(letters(noise(length)), mixtures.text, random);
    }
  };
}

/** A generator in JavaScript would take longer than the benchmark itself. */
function createNoise(seed: number): (length: number) => Buffer {
  const key = Buffer.alloc(32);
  key.writeUInt32LE(seed);
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  return (length) => cipher.update(Buffer.alloc(length));
}

function letters(noise: Buffer): Buffer {
  return Buffer.from(noise.toString('base64')).subarray(0, noise.length);
}

function textPhrases(random: Random, length: number): Buffer {
  let text = '';
  while (text.length < length) {
    text += random.pick(words) + random.pick([' ', ' ', '.', '(', ');\n', ' = ', ', ']);
  }
  return Buffer.from(text).subarray(0, length);
}

/** Overwrites parts of the noise with phrases. */
function mix(content: Buffer, { phrases, noise, phrase }: Mixture, random: Random): Buffer {
  const longest = phrases.length - phrase.to;
  for (let at = noise; at < content.length; at += noise) {
    // One draw for both: this loop turns millions of times.
    const draw = random.below(longest * 64);
    const start = draw >>> 6;
    const length = phrase.from + (((phrase.to - phrase.from) * (draw & 63)) >>> 6);
    phrases.copy(content, at, start, start + length);
    at += length;
  }
  return content;
}
