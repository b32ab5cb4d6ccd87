import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  type Archive,
  type Manifest,
  parseManifest,
  parseMount,
  renderManifest,
} from '../../../src/entry/manifest.js';

const archive: Archive = {
  file: '00000000000000000000000000000000.tar.zst',
  compression: 'zstd',
  files: 3,
  bytes: 10240,
  compressedBytes: 345,
  sha256: '0123456789abcdef'.repeat(4),
};
const mount = { id: 'go' };
const fullMount = {
  id: 'a,"b"\n$ü',
  namespace: 'n/s',
  from: 'alpine:3',
  source: '/x y',
  ownership: { uid: 1000, gid: 0, mode: 0o755 },
};

test.each<[name: string, manifest: Manifest]>([
  ['no mounts', { mounts: [] }],
  ['an empty mount', { mounts: [{ mount }] }],
  [
    'mounts of every kind',
    {
      mounts: [
        { mount, archive, gap: { image: 'golang', id: '$GO' } },
        {
          gap: { image: 'golang', id: fullMount.id, onBuild: true },
          mount: fullMount,
          archive: {
            ...archive,
            file: '00000000000000000000000000000012.tar.gz',
            compression: 'gzip',
          },
        },
        {
          mount: { id: 'y', stage: { name: 'seed', digest: 'abc' }, source: '/x' },
          archive: { ...archive, file: '00000000000000000000000000000003.tar.zst' },
        },
        {
          mount: { id: 'z' },
          archive: {
            ...archive,
            file: '00000000000000000000000000000004.tar.zst',
            files: 0,
            bytes: 0,
            compressedBytes: 0,
          },
        },
        {
          mount: { id: 'changed' },
          archive: {
            ...archive,
            file: '00000000000000000000000000000005.tar.zst',
            entryKey: 'base',
          },
          deltas: [
            {
              ...archive,
              file: '000000000000000000000000000001ef.tar.gz',
              compression: 'gzip',
              entryKey: 'other',
            },
            { ...archive, file: '000000000000000000000000000000f5.tar.zst' },
          ],
        },
      ],
    },
  ],
  [
    'what else is known of a mount, and of the build',
    {
      mounts: [{ mount, archive, exclude: '0123456789abcdef', sizes: [1, 2, 3], exceeds: 2 }],
      coldBuild: { seconds: 252.4, date: '2026-11-20', build: '0123456789abcdef' },
    },
  ],
])('a manifest of %s comes back', (_, manifest) => {
  expect(parseManifest(renderManifest(manifest))).toEqual(manifest);
});

test('the format is as other versions read it', () => {
  const stage = { name: 'seed', digest: 'abc' };
  const delta = { ...archive, file: '00000000000000000000000000000005.tar.zst' };
  const mounts = [
    { mount: fullMount, archive: { ...archive, entryKey: 'base' }, deltas: [delta] },
    { mount: { id: 'y', stage } },
  ];
  expect(JSON.parse(renderManifest({ key: 'k', mounts }))).toEqual({
    format: 1,
    key: 'k',
    mounts: [
      {
        mount: {
          id: 'a,"b"\n$ü',
          namespace: 'n/s',
          from: 'alpine:3',
          source: '/x y',
          ownership: { uid: 1000, gid: 0, mode: 493 },
        },
        archive: {
          file: '00000000000000000000000000000000.tar.zst',
          entry: 'base',
          compression: 'zstd',
          files: 3,
          bytes: 10240,
          compressedBytes: 345,
          sha256: '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',
        },
        deltas: [delta],
      },
      { mount: { id: 'y', stage: { name: 'seed', digest: 'abc' } } },
    ],
  });
});

test('a field that is not known is dropped', () => {
  const text = JSON.stringify({
    format: 1,
    more: 1,
    mounts: [{ more: 2, mount: { ...mount, more: 3 }, archive: { ...archive, more: 4 } }],
  });
  expect(parseManifest(text)).toEqual({ mounts: [{ mount, archive }] });
});

test.each([
  ['exclude', { mounts: [{ mount, archive, exclude: 1 }] }],
  ['sizes', { mounts: [{ mount, archive, sizes: 1 }] }],
  ['sizes[]', { mounts: [{ mount, archive, sizes: [-1] }] }],
  ['exceeds', { mounts: [{ mount, archive, exceeds: '2GB' }] }],
  ['date', { mounts: [], coldBuild: { seconds: 1, date: '20.11.2026', build: 'b' } }],
  ['seconds', { mounts: [], coldBuild: { seconds: -1, date: '2026-11-20', build: 'b' } }],
])('a manifest with another form of %s is refused', (field, manifest) => {
  expect(() => parseManifest(JSON.stringify({ format: 1, ...manifest }))).toThrow(`"${field}"`);
});

test('a manifest whose mounts share an archive is refused', () => {
  const mounts = [
    { mount, archive },
    { mount: fullMount, archive },
  ];
  expect(() => parseManifest(renderManifest({ mounts }))).toThrow('two of its mounts');
});

test('a manifest with a mount twice is refused', () => {
  const second = { ...archive, file: '00000000000000000000000000000001.tar.zst' };
  const mounts = [
    { mount, archive },
    { mount, archive: second },
  ];
  expect(() => parseManifest(renderManifest({ mounts }))).toThrow('two of its mounts are the same');
});

test.each([
  [{ deltas: [archive] }, 'deltas'],
  [{ archive, deltas: null }, 'deltas'],
  [{ archive, deltas: [null] }, 'archive'],
  [{ archive, deltas: Array.from({ length: 100 }, () => archive) }, 'deltas'],
  [{ archive: { ...archive, entry: '' } }, 'entry'],
  [{ archive: { ...archive, entry: 1 } }, 'entry'],
  [{ archive: { ...archive, file: '0.1.tar.zst' } }, 'file'],
])('a manifest that says %j of a mount is refused', (saved, field) => {
  const text = JSON.stringify({ format: 1, mounts: [{ mount, ...saved }] });
  expect(() => parseManifest(text)).toThrow(`its field "${field}" is not valid`);
});

describe('a manifest is refused', () => {
  test.each([
    ['', 'Unexpected end of JSON input'],
    ['{', 'JSON'],
    ['null', 'its field "manifest" is not valid: null'],
    ['[]', 'its field "manifest" is not valid: []'],
    ['"x"', 'its field "manifest" is not valid: "x"'],
    ['{}', 'its format is undefined, and this version reads format 1'],
    ['{"format":2,"mounts":[]}', 'its format is 2, and this version reads format 1'],
    ['{"format":"1","mounts":[]}', 'its format is "1", and'],
    ['{"format":1}', 'its field "mounts" is not valid: undefined'],
    ['{"format":1,"mounts":{}}', 'its field "mounts" is not valid: {}'],
    ['{"format":1,"mounts":[null]}', 'its field "mounts[]" is not valid: null'],
    ['{"format":1,"mounts":[{}]}', 'its field "mount" is not valid: undefined'],
  ])('that reads %s', (text, message) => {
    expect(() => parseManifest(text)).toThrow(message);
  });

  test.each<[field: string, value: unknown]>([
    ['id', undefined],
    ['id', ''],
    ['id', 1],
    ['namespace', null],
    ['namespace', ''],
    ['namespace', 1],
    ['from', null],
    ['from', ''],
    ['stage', null],
    ['stage', 'seed'],
    ['source', ['/x']],
    ['source', ''],
    ['ownership', null],
    ['ownership', [0, 0, 0]],
  ])('whose mount has the %s %j', (field, value) => {
    const text = manifestText({ mount: { ...fullMount, [field]: value } });
    expect(() => parseManifest(text)).toThrow(messageOn(field, value));
  });

  test.each<[field: string, value: unknown]>([
    ['name', undefined],
    ['name', ''],
    ['digest', undefined],
    ['digest', 1],
  ])('whose stage has the %s %j', (field, value) => {
    const stage = { name: 'seed', digest: 'abc', [field]: value };
    expect(() => parseManifest(manifestText({ mount: { id: 'a', stage } }))).toThrow(
      messageOn(field, value),
    );
  });

  test.each(
    ['uid', 'gid', 'mode'].flatMap((field) =>
      [undefined, null, -1, 0.5, 2 ** 53, '0'].map((value) => [field, value] as const),
    ),
  )('whose ownership has the %s %j', (field, value) => {
    const ownership = { ...fullMount.ownership, [field]: value };
    const text = manifestText({ mount: { id: 'a', ownership } });
    expect(() => parseManifest(text)).toThrow(messageOn(field, value));
  });

  test.each<[field: string, value: unknown]>([
    ['archive', null],
    ['archive', '00000000000000000000000000000000.tar.zst'],
    ['file', undefined],
    ['file', ''],
    ['file', 0],
    ['file', '../00000000000000000000000000000000.tar.zst'],
    ['file', '/00000000000000000000000000000000.tar.zst'],
    ['file', './00000000000000000000000000000000.tar.zst'],
    ['file', '0/00000000000000000000000000000000.tar.zst'],
    ['file', '00000000000000000000000000000000.tar.zst/..'],
    ['file', '..'],
    ['file', 'manifest.json'],
    ['file', '0.tar.xz'],
    ['file', '00000000000000000000000000000000.tar.zst\n'],
    ['file', '\n0.tar.zst'],
    ['file', '-00000000000000000000000000000001.tar.gz'],
    ['file', '٣.tar.gz'],
    ['file', 'A.tar.gz'],
    ['file', `${'0'.repeat(33)}.tar.gz`],
    ['compression', undefined],
    ['compression', 'xz'],
    ['compression', 'ZSTD'],
    ['files', undefined],
    ['files', -1],
    ['files', 1.5],
    ['files', '3'],
    ['bytes', undefined],
    ['bytes', null],
    ['compressedBytes', undefined],
    ['compressedBytes', 2 ** 53],
    ['sha256', undefined],
    ['sha256', 'abc'],
    ['sha256', archive.sha256.toUpperCase()],
    ['sha256', `${archive.sha256}\n`],
  ])('whose archive has the %s %j', (field, value) => {
    const saved = field === 'archive' ? value : { ...archive, [field]: value };
    const text = manifestText({ mount, archive: saved });
    expect(() => parseManifest(text)).toThrow(messageOn(field, value));
  });
});

function manifestText(saved: unknown): string {
  return JSON.stringify({ format: 1, mounts: [saved] });
}

function messageOn(field: string, value: unknown): string {
  return `its field "${field}" is not valid: ${JSON.stringify(value)}`;
}

/** Now and then anything in place of what is expected. */
function perhaps(expected: unknown): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 20, arbitrary: fc.constant(expected) }, fc.jsonValue());
}

function perhapsRecord(fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 20, arbitrary: fc.record(fields) }, fc.jsonValue());
}

const anyMount = perhapsRecord({
  id: perhaps('a'),
  namespace: perhaps('n'),
  stage: perhapsRecord({ name: perhaps('s'), digest: perhaps('d') }),
  from: perhaps('alpine'),
  source: perhaps('/x'),
  ownership: perhapsRecord({ uid: perhaps(1), gid: perhaps(0), mode: perhaps(493) }),
});
const anyManifest = perhapsRecord({
  format: perhaps(1),
  mounts: fc.array(
    perhapsRecord({
      mount: anyMount,
      archive: perhapsRecord({
        ...Object.fromEntries(Object.entries(archive).map(([key, value]) => [key, perhaps(value)])),
        file: fc.oneof(
          perhaps('00000000000000000000000000000001.tar.gz'),
          fc.stringMatching(/[0-9a-f]{32}\.tar\.(zst|gz)/),
        ),
      }),
    }),
    { maxLength: 3 },
  ),
});

test('any JSON gives a valid manifest or an error', () => {
  let valid = 0;
  fc.assert(
    fc.property(fc.oneof(anyManifest, fc.jsonValue()), (value) => {
      let manifest: Manifest;
      try {
        manifest = parseManifest(JSON.stringify(value));
      } catch (error) {
        expect(String(error)).toMatch(/^Error: (its (field|format)|two of its mounts) /);
        return;
      }
      valid++;
      expect(parseManifest(renderManifest(manifest))).toEqual(manifest);
      for (const saved of manifest.mounts) {
        expect(saved.archive?.file ?? '00000000000000000000000000000000.tar.gz').toMatch(
          /^[0-9a-f]{32}\.tar\.(zst|gz)$/,
        );
      }
    }),
    { numRuns: 500 },
  );
  expect(valid).toBeGreaterThan(20);
});

test('a refusal shows only the beginning of a large value, and nothing of a very deep one', () => {
  const large = JSON.stringify(['x'.repeat(1000)]);
  expect(() => parseManifest(large)).toThrow(
    `its field "manifest" is not valid: ["${'x'.repeat(198)}…`,
  );
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  expect(() => parseManifest(deep)).toThrow(
    'its field "manifest" is not valid: it is nested too deeply',
  );
});

test('a mount is read by itself, too', () => {
  expect(parseMount(fullMount)).toEqual(fullMount);
  expect(() => parseMount('go')).toThrow('its field "mount" is not valid: "go"');
});
