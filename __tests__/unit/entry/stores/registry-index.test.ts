import { randomBytes } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import type { Manifest } from '../../../../src/entry/manifest.js';
import {
  mapHolders,
  parseImageName,
  parseIndex,
  renderAnnotations,
} from '../../../../src/entry/stores/registry-index.js';

const hex = (bytes: number) => randomBytes(bytes).toString('hex');

function archive(digest?: string) {
  return {
    file: `${hex(16)}.tar.zst`,
    ...(digest === undefined ? {} : { entryKey: digest }),
    ...{ compression: 'zstd' as const, files: 3, bytes: 4096, compressedBytes: 100 },
    sha256: hex(32),
  };
}

function makeManifest(mounts: number, deltas: number): Manifest {
  const make = () => archive(`sha256:${hex(32)}`);
  return {
    key: 'k-1',
    mounts: Array.from({ length: mounts }, (_, index) => ({
      mount: { id: `m${index}`, ownership: { uid: 1000, gid: 0, mode: 0o755 } },
      archive: make(),
      ...(deltas > 0 && { deltas: Array.from({ length: deltas }, make) }),
    })),
  };
}

const imagesOf = ({ mounts }: Manifest) =>
  mounts.flatMap(({ archive: full, deltas = [] }) =>
    full ? [full, ...deltas].map(({ entryKey }) => ({ digest: entryKey })) : [],
  );

/** An index as `imagetools create` makes it. */
const indexOf = (manifest: Manifest, changes: Record<string, string> = {}) => ({
  schemaVersion: 2,
  manifests: imagesOf(manifest),
  annotations: { ...renderAnnotations(manifest), ...changes },
});

describe('the index of an entry', () => {
  test.each([
    [1, 0],
    [2, 3],
    [20, 99],
  ])('brings back a manifest of %i mounts with %i deltas each', (mounts, deltas) => {
    const manifest = makeManifest(mounts, deltas);
    expect(parseIndex(JSON.stringify(indexOf(manifest)))).toEqual(manifest);
  });

  test('no annotation is longer than an argument of a program can be', () => {
    const annotations = renderAnnotations(makeManifest(20, 99));
    expect(Object.keys(annotations).length).toBeGreaterThan(4);
    for (const [name, value] of Object.entries(annotations)) {
      expect(value).toMatch(/^[\w-]+$/);
      expect(`--annotation=index:${name}=${value}`.length).toBeLessThan(128 * 1024);
    }
  });

  test.each([
    ['an image', { schemaVersion: 2, config: {}, layers: [] }],
    ['an index of images', { schemaVersion: 2, manifests: [{ digest: 'sha256:0' }] }],
    ['other annotations', { manifests: [], annotations: { 'org.example': 'x' } }],
  ])('is not %s', (_, other) => {
    expect(parseIndex(JSON.stringify(other))).toBeUndefined();
  });

  test.each(['', 'text', '[]', '"x"', 'null'])('is not %j', (text) => {
    expect(parseIndex(text)).toBeUndefined();
  });

  const manifest = makeManifest(2, 1);
  test.each([
    [
      'another format',
      indexOf(manifest, { 'buildkit-cache-mounts.format': '2' }),
      /its format is "2"/,
    ],
    [
      'other text',
      indexOf(manifest, { 'buildkit-cache-mounts.manifest.0': 'H4sI' }),
      /damaged \(checksum\)/,
    ],
    [
      'a piece more',
      indexOf(manifest, { 'buildkit-cache-mounts.manifest.1': 'x' }),
      /damaged \(checksum\)/,
    ],
    [
      'no images',
      { ...indexOf(manifest), manifests: [] },
      /the image "sha256:[0-9a-f]+" is not among those of the index/,
    ],
    ['no list of images', { ...indexOf(manifest), manifests: undefined }, /"manifests"/],
    [
      'an archive without an image',
      indexOf({ mounts: [{ mount: { id: 'm' }, archive: archive() }] }),
      /the image "" is not among/,
    ],
    [
      'an archive that names no digest',
      indexOf({ mounts: [{ mount: { id: 'm' }, archive: archive('../x') }] }),
      /the image "..\/x" is not among/,
    ],
  ])('with %s is damaged', (_, index, message) => {
    expect(() => parseIndex(JSON.stringify(index))).toThrow(message);
  });
});

test('what holds an archive is named anew, that of deltas too', () => {
  const manifest = makeManifest(1, 1);
  const holders: (string | undefined)[] = [];
  const mapped = mapHolders(manifest, (holder, { mount }) => {
    holders.push(holder);
    return `of ${mount.id}`;
  });
  expect(holders).toEqual(imagesOf(manifest).map(({ digest }) => digest));
  expect(imagesOf(mapped)).toEqual([{ digest: 'of m0' }, { digest: 'of m0' }]);
  const empty = { mounts: [{ mount: { id: 'm' } }] };
  expect(mapHolders(empty, () => 'x')).toEqual(empty);
});

test('only the name of an image with a digest is one', () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  const image = { repository: 'localhost:5000/app', digest };
  expect(parseImageName(`localhost:5000/app@${digest}`)).toEqual(image);
  for (const name of [
    undefined,
    '',
    digest,
    'k-1',
    `a@b@${digest}`,
    `@${digest}`,
    'app@sha256:1',
  ]) {
    expect(parseImageName(name)).toBeUndefined();
  }
});
