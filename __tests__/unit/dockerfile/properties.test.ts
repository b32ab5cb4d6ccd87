import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseInspect } from '../../../src/builder/buildx.js';
import { parseReports } from '../../../src/builder/mount-report.js';
import { compareRecords, parseRecords } from '../../../src/builder/records.js';
import {
  renderScratchDockerfile,
  type ScratchBase,
} from '../../../src/builder/scratch-dockerfile.js';
import { parseCacheMounts } from '../../../src/discovery/named-mounts.js';
import { parseCsvRecord } from '../../../src/dockerfile/csv.js';
import { discoverMounts } from '../../../src/dockerfile/declared-mounts.js';
import { expandWord } from '../../../src/dockerfile/expand-variables.js';
import { splitFlags } from '../../../src/dockerfile/flags.js';
import { cut, parseOptions } from '../../../src/dockerfile/mount-options.js';
import { parseDockerfile } from '../../../src/dockerfile/parser.js';
import { type Manifest, parseManifest, renderManifest } from '../../../src/entry/manifest.js';
import { type CacheMount, describeMount } from '../../../src/mounts/cache-mount.js';
import { inCsvQuotes } from '../../support/csv.js';

/*
 * What holds for all texts that come from outside: workflows, Dockerfiles, caches, builders. Where a
 * property fails, fast-check prints the seed and the path of the example, and both can be given to
 * fc.assert to have it again.
 */

/** Any string of JavaScript: with halves of surrogate pairs, and NUL. */
const anyString = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc
    .array(fc.integer({ min: 0, max: 0xffff }))
    .map((units) => units.map((unit) => String.fromCharCode(unit)).join('')),
);
const anyName = anyString.filter((name) => name !== '');

/** Texts of the pieces that a format gives a meaning to, now and then with one that it does not. */
function textOf(...pieces: string[]): fc.Arbitrary<string> {
  const piece = fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...pieces) },
    { weight: 1, arbitrary: anyString },
  );
  return fc.oneof(
    anyString,
    fc.array(piece, { maxLength: 30 }).map((all) => all.join('')),
  );
}

/** Long texts, of which each part is repeated: in these a careless regular expression never ends. */
function longTextOf(...pieces: string[]): fc.Arbitrary<string> {
  const few = fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 3 });
  const part = fc
    .tuple(few, fc.constantFrom(1, 20, 2000))
    .map(([all, times]) => all.join('').repeat(times));
  return fc
    .array(part, { minLength: 1, maxLength: 4 })
    .map((parts) => parts.map((each) => each.slice(0, 5000 / parts.length)).join(''));
}

/** Microseconds of the processor's time that nothing takes. */
const patience = 3_000_000;

// JSON.parse has an error of its own.
const anyRefusal = /^(Error|SyntaxError): \S/;

/** The result, or undefined where it is refused: with an Error that was meant, in good time. */
function attempt<Result>(read: () => Result, refusal = anyRefusal): Result | undefined {
  const start = process.cpuUsage();
  let result: Result | undefined;
  let error: unknown;
  try {
    result = read();
  } catch (thrown) {
    error = thrown;
  }
  const { user, system } = process.cpuUsage(start);
  expect(user + system).toBeLessThan(patience);
  if (error !== undefined) {
    expect(error).toBeInstanceOf(Error);
    expect(String(error)).toMatch(refusal);
    expect(String(error)).not.toMatch(/call stack|string length/);
  }
  return result;
}

const shellPieces = [
  ...['$', '${', '{', '}', ':', '-', '+', '?', '#', '%', '/', '*', '\\', '`', '"', "'", ' '],
  ...['a', 'A', '$A', '${A#', '${A%%', '${A//', '${B:-', '_', '1', 'é', '\n', '\r', '\u2028', '\0'],
];
const optionPieces = [
  ...['id=', 'target=/c', 'type=cache', 'uid=', 'gid=1', 'mode=0', 'from=a', 'source=/x', 'ro'],
  ...['sharing=', '--mount=', 'RUN --mount=', ',', '=', '"', '""', '#', '\n', '\r\n'],
  ...['__proto__', 'constructor=', '../', '4294967296', ...shellPieces],
];
const dockerfilePieces = [
  ...[
    'FROM a',
    'FROM scratch AS b',
    'FROM b',
    'ARG A=',
    'ARG ',
    'ENV A',
    'ENV A=',
    'COPY --from=b',
  ],
  ...[
    'RUN ',
    'RUN <<E',
    '<<-"E"',
    'E',
    'ONBUILD ',
    '--mount=type=cache,',
    '--mount=',
    '# escape=`',
  ],
  ...['#', '# a = ', '\\\n', '`\n', '\n', '\n', '\n', '\r\n', '\t', '[', '{"', '--', '\uFEFF'],
  ...optionPieces,
];

const variables = new Map([
  ['A', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/\r\na.b'],
  ['B', ''],
]);
const lookup = (name: string) => variables.get(name);

describe('the input cache-mounts', () => {
  test.each([
    ['any text', textOf(...optionPieces)],
    ['a long text', longTextOf(...optionPieces)],
  ])('%s gives mounts with an id, or an Error that names the lines', (_, texts) => {
    fc.assert(
      fc.property(texts, (text) => {
        const parsed = attempt(() => parseCacheMounts(text, lookup), /^Error: line \d+ \(/);
        expect(parsed?.mounts.map(({ id }) => id) ?? []).not.toContain('');
      }),
      { numRuns: 300 },
    );
  });

  test('any options have string values under known names, or are refused', () => {
    const names = 'type id target sharing from source uid gid mode'.split(' ');
    fc.assert(
      fc.property(
        fc.array(textOf(...optionPieces)),
        fc.constantFrom<'refused' | 'last wins'>('refused', 'last wins'),
        (fields, duplicates) => {
          const expand = (value: string) => expandWord(value, lookup);
          const options = attempt(() => parseOptions(fields, expand, duplicates)) ?? {};
          for (const [name, value] of Object.entries(options)) {
            expect(names).toContain(name);
            expect(typeof value).toBe('string');
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  const anyId = anyName.filter((id) => !id.includes('\n'));

  test('any id comes back from quotes', () => {
    fc.assert(
      fc.property(anyId, (id) => {
        const [key] = cut(id);
        fc.pre(!optionPieces.some((piece) => cut(piece)[0] === key.toLowerCase()));
        fc.pre(!/^(dst|destination|src|ro|rw|readonly|readwrite|type|uid|mode)$/i.test(key));
        expect(parseCacheMounts(inCsvQuotes(id)).mounts).toEqual([{ id }]);
      }),
      { numRuns: 300 },
    );
  });

  test('any id comes back from an option in quotes, whatever it reads as', () => {
    fc.assert(
      fc.property(fc.oneof(anyId, fc.constantFrom('id=x', 'ro', '#', '--mount=')), (id) => {
        const value = `"${id.replace(/["$\\]/g, '\\$&')}"`;
        expect(parseCacheMounts(inCsvQuotes(`id=${value}`), lookup).mounts).toEqual([{ id }]);
      }),
      { numRuns: 300 },
    );
  });
});

const anyOwnership = fc.record({
  uid: fc.integer({ min: 0, max: 0xffffffff }),
  gid: fc.integer({ min: 0, max: 0xffffffff }),
  mode: fc.integer({ min: 0, max: 0o777 }),
});
const anyMount: fc.Arbitrary<CacheMount> = fc.record(
  {
    id: anyName,
    namespace: anyName,
    from: anyName,
    stage: fc.record({ name: anyName, digest: anyName }),
    source: anyName,
    ownership: anyOwnership,
  },
  { requiredKeys: ['id'] },
);
const anyManifest: fc.Arbitrary<Manifest> = fc.record({
  mounts: fc.uniqueArray(
    fc.record(
      {
        mount: anyMount,
        archive: fc.record({
          file: fc.stringMatching(/^[0-9a-f]{32}\.tar\.(zst|gz)$/),
          compression: fc.constantFrom<'zstd' | 'gzip'>('zstd', 'gzip'),
          files: fc.maxSafeNat(),
          bytes: fc.maxSafeNat(),
          compressedBytes: fc.maxSafeNat(),
          sha256: fc.stringMatching(/^[0-9a-f]{64}$/),
        }),
      },
      { requiredKeys: ['mount'] },
    ),
    // No two with one archive; of those without one there may be several.
    { maxLength: 4, selector: ({ archive }) => archive?.file ?? Symbol() },
  ),
});
const anyJson = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom<fc.JsonValue>(
    -0,
    -1,
    1e300,
    '',
    {},
    [],
    '../00000000000000000000000000000000.tar.gz',
    '/00000000000000000000000000000000.tar.gz',
  ),
  fc.constantFrom(
    '00000000000000000000000000000000.tar.gz\n',
    '\n0.tar.gz',
    '00000000000000000000000000000000.tar.gz\0',
    '00000000000000000000000000000000.tar.gz/../x',
    '٣.tar.gz',
    'g.tar.gz',
  ),
);

interface Place {
  /** The keys on the way to it. */
  readonly way: readonly string[];
  readonly value: unknown;
}

function placesIn(value: unknown, way: readonly string[] = []): Place[] {
  const inside = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  return [{ way, value }, ...inside.flatMap(([key, each]) => placesIn(each, [...way, key]))];
}

/** The JSON text of a value with another one in some place, or without what is there. */
function replaceIn(value: unknown, way: readonly string[], by: string | undefined): string {
  const [key, ...further] = way;
  if (key === undefined || typeof value !== 'object' || value === null) return by ?? 'null';
  if (Array.isArray(value)) {
    return `[${value.map((each, index) => (String(index) === key ? replaceIn(each, further, by) : JSON.stringify(each))).join()}]`;
  }
  const members = Object.entries(value).flatMap(([name, each]) => {
    if (name !== key) return `${JSON.stringify(name)}:${JSON.stringify(each)}`;
    if (further.length === 0 && by === undefined) return [];
    return `${JSON.stringify(name)}:${replaceIn(each, further, by)}`;
  });
  return `{${members.join()}}`;
}

describe('a manifest', () => {
  const check = (text: string) => {
    const manifest = attempt(() => parseManifest(text));
    for (const { mount, archive } of manifest?.mounts ?? []) {
      expect(mount.id).toMatch(/[\s\S]/);
      expect(archive?.file ?? '00000000000000000000000000000000.tar.gz').toMatch(
        /^[0-9a-f]{32}\.tar\.(zst|gz)$/,
      );
      for (const each of [mount, archive ?? {}]) {
        expect(Object.getPrototypeOf(each)).toBe(Object.prototype);
      }
    }
    return manifest;
  };

  test('comes back as it was rendered', () => {
    fc.assert(
      fc.property(anyManifest, (manifest) => {
        expect(check(renderManifest(manifest))).toEqual(manifest);
      }),
      { numRuns: 200 },
    );
  });

  test('with any value in any place is refused, or has no file that we do not name so', () => {
    let read = 0;
    fc.assert(
      fc.property(anyManifest, fc.nat(), fc.option(anyJson), (manifest, place, value) => {
        const whole: unknown = JSON.parse(renderManifest(manifest));
        const places = placesIn(whole);
        const text = value === null ? undefined : JSON.stringify(value);
        if (check(replaceIn(whole, places[place % places.length]?.way ?? [], text))) read++;
      }),
      { numRuns: 500 },
    );
    expect(read).toBeGreaterThan(20);
  });

  test('is not read from the names of what every object has', () => {
    const key = fc.constantFrom('__proto__', 'constructor', 'toString', 'hasOwnProperty', 'then');
    fc.assert(
      fc.property(anyManifest, fc.nat(), key, (manifest, place, name) => {
        const whole: unknown = JSON.parse(renderManifest(manifest));
        const objects = placesIn(whole).filter(({ value }) => /^\{/.test(JSON.stringify(value)));
        const { way, value } = objects[place % objects.length] ?? { way: [], value: {} };
        const hidden = `{"${name}":{"id":"x","file":"../x","format":1,"source":"/x"},`;
        const text = replaceIn(
          whole,
          way,
          JSON.stringify(value).replace('{', () => hidden),
        );
        expect(check(text)).toEqual(manifest);
      }),
      { numRuns: 200 },
    );
    const nothing = '{"__proto__":{"format":1,"mounts":[]}}';
    expect(() => parseManifest(nothing)).toThrow('its format is undefined');
    expect({}).not.toHaveProperty('mounts');
  });

  test('of any text or JSON is refused or read', () => {
    const texts = fc.oneof(
      textOf(
        '{',
        '}',
        '[',
        ']',
        '"format":1',
        '"mounts":',
        ',',
        '1',
        'null',
        '{"mount":{"id":"a"}}',
      ),
      longTextOf('{"a":', '[', ']', '}', '{', '"', '\\', '0', ',', 'null', ' '),
      anyJson.map((value) => JSON.stringify(value)),
    );
    fc.assert(
      fc.property(texts, (text) => {
        check(text);
      }),
      { numRuns: 300 },
    );
  });

  test.each([1000, 5000, 100_000])('nested %d levels deep is refused shortly', (levels) => {
    const value = `${'['.repeat(levels)}${']'.repeat(levels)}`;
    for (const text of [value, `{"format":${value}}`, `{"format":1,"mounts":[${value}]}`]) {
      expect(check(text)).toBeUndefined();
      expect(() => parseManifest(text)).toThrow(/^its .{1,300}$/);
    }
  });
});

/** Go's strconv.Quote, for strings that are valid in Go: any but those with half surrogate pairs. */
function quoteGo(text: string): string {
  const named = new Map<string, string>([
    ...([
      ['"', '\\"'],
      ['\\', '\\\\'],
      ['\x07', '\\a'],
      ['\b', '\\b'],
    ] as const),
    ...([
      ['\f', '\\f'],
      ['\n', '\\n'],
      ['\r', '\\r'],
      ['\t', '\\t'],
      ['\v', '\\v'],
    ] as const),
  ]);
  const chars = [...text].map((char) => {
    const code = char.codePointAt(0) ?? 0;
    const hex = (digits: number) => code.toString(16).padStart(digits, '0');
    if (named.has(char)) return named.get(char);
    if (/[ \p{L}\p{M}\p{N}\p{P}\p{S}]/u.test(char)) return char;
    if (code < 0x80) return `\\x${hex(2)}`;
    return code < 0x10000 ? `\\u${hex(4)}` : `\\U${hex(8)}`;
  });
  return `"${chars.join('')}"`;
}

test.each([
  ['a"b\\c', '"a\\"b\\\\c"'],
  ['\x07\b\f\n\r\t\v\0\x1b\x7f', '"\\a\\b\\f\\n\\r\\t\\v\\x00\\x1b\\x7f"'],
  ['ü日😀 \u0301', '"ü日😀 \u0301"'],
  ['\x85\xa0\xad\u2028\ufeff\u{e0001}', '"\\u0085\\u00a0\\u00ad\\u2028\\ufeff\\U000e0001"'],
])('the quotes of Go, here: %j', (text, quoted) => {
  expect(quoteGo(text)).toBe(quoted);
});

describe('the records of a builder', () => {
  const anyGoString = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: 'binary-ascii' }),
    fc
      .array(fc.constantFrom('"', '\\', ' with id "', '\n', 'x', '\\x41', 'U0001f600', '/'))
      .map((pieces) => pieces.join('')),
  );

  test('any id is read, whatever the target and the command are', () => {
    // The beginning of the next line of a record cannot be told from such a line of a command.
    const inText = anyGoString.filter((text) => !/[\t\r]|Usage count:/.test(text));
    fc.assert(
      fc.property(anyGoString, inText, inText, (id, target, command) => {
        const description = `cached mount ${target} from exec ${command} with id ${quoteGo(id)}`;
        const line = JSON.stringify({ ID: 'x', Description: description });
        expect(parseRecords(`${line}\n${line}\n`)).toMatchObject([{ id }, { id }]);
        const text = `ID:\t\tx\nDescription:\t${description}\nUsage count:\t1\nType:\tx\n\n`;
        expect(parseRecords(`${text}${text}`)).toMatchObject([{ id }, { id }]);
      }),
      { numRuns: 500 },
    );
  });

  const pieces = [
    ...[
      'Description:',
      '\t',
      'cached mount /c',
      ' from exec ',
      ' with id "',
      '"',
      '\\',
      '\\x',
      '0a',
    ],
    ...[
      '\\u',
      '\\U',
      'ffff',
      '0000',
      '/',
      '\n',
      'Usage count:\t1',
      '{"ID":"x","Description":"',
      '"}',
      '{',
      ' ',
    ],
  ];
  test.each([
    ['any text', textOf(...pieces)],
    ['a long text', longTextOf(...pieces)],
    ['any JSON', anyJson.map((value) => JSON.stringify(value))],
    ['any description', anyJson.map((value) => JSON.stringify({ ID: 'x', Description: value }))],
  ])('%s gives records or an Error', (_, texts) => {
    fc.assert(
      fc.property(texts, (text) => {
        for (const { id } of attempt(() => parseRecords(text)) ?? []) {
          expect(typeof id).toBe('string');
        }
      }),
      { numRuns: 300 },
    );
  });

  test('a comparison warns of just the mounts that are not there, and suggests only what is there', () => {
    const someId = fc.oneof(
      anyName,
      fc.constantFrom('a', 'go', 'go-build', 'go_build', '/c', '𐐨𐐨'),
    );
    const mounts = fc.array(
      fc.record({ id: someId, namespace: fc.constantFrom('n', 'm/') }, { requiredKeys: ['id'] }),
      { maxLength: 5 },
    );
    const recordOf = ({ namespace = '', id }: CacheMount) => `${namespace}/${id}`;
    fc.assert(
      fc.property(mounts, mounts, fc.array(anyName), (asked, held, others) => {
        const ids = [...held.map(recordOf), ...others];
        const { warnings, information } = compareRecords(
          asked,
          ids.map((id) => ({ createdAt: 0, id })),
          'b',
        );
        const absent = asked.filter((mount) => !ids.includes(recordOf(mount)));
        const missing = warnings.filter((warning) => warning.startsWith('There is no cache mount'));
        expect(missing).toHaveLength(absent.length);
        for (const [index, mount] of absent.entries()) {
          const start = `There is no cache mount "${describeMount(mount)}" on the builder b`;
          expect(missing[index]?.startsWith(start)).toBe(true);
        }
        const askedFor = asked.map(recordOf);
        const unasked = new Set(ids.filter((id) => !askedFor.includes(id)));
        for (const warning of missing) {
          const [, near] = /; did you mean "([\s\S]*?)"\? It has /.exec(warning) ?? [];
          if (near !== undefined) expect([...unasked].join('\n')).toContain(near);
        }
        const manifold = new Set(askedFor.filter((id) => countOf(ids, id) > countOf(askedFor, id)));
        expect(warnings).toHaveLength(missing.length + manifold.size);
        expect(information).toHaveLength(unasked.size > 0 ? 1 : 0);
      }),
      { numRuns: 300 },
    );
  });
});

function countOf(all: readonly string[], one: string): number {
  return all.filter((each) => each === one).length;
}

describe('the scratch Dockerfile', () => {
  const anyText = fc.oneof(
    anyName,
    fc.constantFrom('$(x)', '`x`', '\nRUN x', '"],', ' --mount=x', '\\', '${A}', 'a,b', '\0', '#'),
  );
  const anyStage = fc.record({
    // No other name passes BuildKit's own check of a Dockerfile.
    name: fc.stringMatching(/^[a-z][a-z0-9-_.]{0,5}$/),
    digest: anyText,
  });
  const anyStart = fc.record(
    { source: anyText, ownership: anyOwnership, from: anyText, stage: anyStage },
    { requiredKeys: [] },
  );
  const anyMounts = fc
    .tuple(
      fc.array(fc.record({ id: anyText, start: anyStart }), { minLength: 1, maxLength: 40 }),
      fc.option(anyText, { nil: undefined }),
    )
    .map(([mounts, namespace]) =>
      mounts.map(({ id, start: { stage, ...start } }, index) => ({
        index,
        argument: `${index}`,
        mount: {
          id,
          ...(namespace === undefined ? {} : { namespace }),
          ...start,
          ...(stage && start.from === undefined ? { stage } : {}),
        },
      })),
    );
  const anyBase = fc.oneof<fc.Arbitrary<ScratchBase>[]>(
    fc.constant({ kind: 'runner', directories: ['bin', 'lib64'] }),
    fc.record({ kind: fc.constant('image'), image: anyText }),
  );
  const mount = /--mount=type=(bind|cache),[a-zA-Z0-9_$.,/=-]+ /;
  const lines = [
    /ARG CACHE_MOUNT_(NONCE|UTILITY_IMAGE|(FROM|ID|SOURCE)_\d+)/,
    /FROM \$CACHE_MOUNT_FROM_(\d+) AS buildkit-cache-mounts-from-\1/,
    /FROM buildkit-cache-mounts AS buildkit-cache-mounts-files/,
    /FROM (scratch|\$CACHE_MOUNT_UTILITY_IMAGE) AS buildkit-cache-mounts-work/,
    /FROM scratch/,
    /USER 0:0/,
    /WORKDIR \/out/,
    /COPY --from=buildkit-cache-mounts-work \/out \/out/,
    new RegExp(`RUN (${mount.source})+\\["/bin/sh","/buildkit-cache-mounts/run.sh"(,"\\d+")+\\]`),
  ];
  const line = new RegExp(
    `^(${lines.map(({ source }) => source.replace('\\1', '\\d+')).join('|')})$`,
  );

  test('holds nothing of what a mount is named by: that is in the build arguments', () => {
    fc.assert(
      fc.property(
        anyBase,
        anyMounts,
        anyText,
        fc.boolean(),
        (base, mounts, nonce, withArchives) => {
          const { text, buildArgs } = renderScratchDockerfile(base, mounts, {
            nonce,
            withArchives,
            seedStages: undefined,
          });
          const images = [...new Set(mounts.flatMap(({ mount: { from } }) => from ?? []))];
          const harmless = mounts.map(({ mount: { id: _, ...mount }, ...each }) => ({
            ...each,
            mount: {
              ...mount,
              id: 'a',
              ...('namespace' in mount ? { namespace: 'n' } : {}),
              ...(mount.from === undefined ? {} : { from: `image-${images.indexOf(mount.from)}` }),
              ...(mount.source === undefined ? {} : { source: '/x' }),
            },
          }));
          const harmlessBase: ScratchBase =
            base.kind === 'image' ? { kind: 'image', image: 'i' } : base;
          const plain = renderScratchDockerfile(harmlessBase, harmless, {
            nonce: 'x',
            withArchives,
            seedStages: undefined,
          });
          expect(text).toBe(plain.text);
          for (const each of text.slice(0, -1).split('\n')) expect(each).toMatch(line);
          const namespace = mounts[0]?.mount.namespace;
          expect(new Map(Object.entries(buildArgs))).toEqual(
            new Map([
              ['CACHE_MOUNT_NONCE', nonce],
              ...(namespace === undefined ? [] : [['BUILDKIT_CACHE_MOUNT_NS', namespace] as const]),
              ...(base.kind === 'image'
                ? [['CACHE_MOUNT_UTILITY_IMAGE', base.image] as const]
                : []),
              ...images.map((image, index) => [`CACHE_MOUNT_FROM_${index}`, image] as const),
              ...mounts.map(({ index, mount: { id } }) => [`CACHE_MOUNT_ID_${index}`, id] as const),
              ...mounts.flatMap(({ index, mount: { source } }) =>
                source === undefined ? [] : [[`CACHE_MOUNT_SOURCE_${index}`, source] as const],
              ),
            ]),
          );
        },
      ),
      { numRuns: 200 },
    );
  });

  test('declares every argument that it uses before it does', () => {
    fc.assert(
      fc.property(anyBase, anyMounts, (base, mounts) => {
        const options = { nonce: 'x', withArchives: true, seedStages: undefined };
        const { text, buildArgs } = renderScratchDockerfile(base, mounts, options);
        const declared = new Set<string>();
        for (const [, argument = '', used = ''] of text.matchAll(/^ARG (\w+)|\$(\w+)/gm)) {
          if (argument) declared.add(argument);
          else expect(declared).toContain(used);
        }
        const given = Object.keys(buildArgs).filter((name) => name !== 'BUILDKIT_CACHE_MOUNT_NS');
        expect(new Set(given)).toEqual(declared);
      }),
      { numRuns: 100 },
    );
  });
});

describe('a Dockerfile and its parts', () => {
  const texts: [string, fc.Arbitrary<string>, number][] = [
    ['any text', textOf(...dockerfilePieces), 500],
    ['a long text', longTextOf(...dockerfilePieces), 150],
  ];

  test.each(texts)('%s is split into instructions', (_, text, numRuns) => {
    fc.assert(
      fc.property(text, (all) => {
        const dockerfile = attempt(() => parseDockerfile(all));
        for (const { keyword, line } of dockerfile?.instructions ?? []) {
          // BuildKit ends it at these alone; any other white space belongs to it.
          expect(keyword).toMatch(/^[^\t\v\f\r ]*$/);
          expect(line).toBeGreaterThan(0);
        }
        expect(dockerfile).toBeDefined();
      }),
      { numRuns },
    );
  });

  test.each(texts)('%s is split into flags', (_, text, numRuns) => {
    fc.assert(
      fc.property(text, fc.constantFrom('\\', '`'), (all, escapeToken) => {
        const { flags } = attempt(() => splitFlags(all, escapeToken)) ?? {};
        for (const flag of flags ?? [undefined]) expect(typeof flag).toBe('string');
      }),
      { numRuns },
    );
  });

  test.each(texts)('%s is a CSV record or refused', (_, text, numRuns) => {
    fc.assert(
      fc.property(text, (all) => {
        const fields = attempt(() => parseCsvRecord(all));
        if (!fields) return;
        expect(parseCsvRecord(fields.map(inCsvQuotes).join())).toEqual(fields);
        if (!all.includes('"')) expect(fields).toEqual(all.split(','));
      }),
      { numRuns },
    );
  });

  test.each([
    ['any text', textOf(...shellPieces), 500],
    ['a long text', longTextOf(...shellPieces), 300],
  ])('%s is expanded or refused', (_, text, numRuns) => {
    const values = fc.oneof(anyString, longTextOf('a', 'b', 'ab', '/', '\n', '.'));
    fc.assert(
      fc.property(text, values, fc.constantFrom('\\', '`'), (word, value, escapeToken) => {
        const find = (name: string) => (name.startsWith('a') ? value : undefined);
        const expanded = attempt(() => expandWord(word, find, escapeToken));
        expect(['string', 'undefined']).toContain(typeof expanded);
      }),
      { numRuns },
    );
  });

  test('a long pattern is looked for in a long value in good time', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('#', '##', '%', '%%', '/', '//'),
        longTextOf('a', '*', '*a', '?', '*?b', 'ab*'),
        longTextOf('a', 'b', 'ab', '\n'),
        (operator, pattern, value) => {
          const replacement = operator.startsWith('/') ? '/x' : '';
          // As many as a name or a version may well have.
          const word = `\${v${operator}${pattern.slice(0, 500)}${replacement}}`;
          const expanded = attempt(() => expandWord(word, () => value.slice(0, 1000)));
          expect(typeof expanded).toBe('string');
        },
      ),
      { numRuns: 300 },
    );
  });

  test.each(texts)('%s has mounts and problems, or no such target', (_, text, numRuns) => {
    const given = fc.record({
      target: fc.constantFrom(undefined, undefined, 'b', '0', '__proto__'),
      buildArgs: fc.constantFrom(new Map(), variables),
      platforms: fc.constantFrom(['linux/amd64'], ['linux/arm/v7', '']),
    });
    const beginning = fc.constantFrom(
      ...['', 'FROM a\n', 'FROM scratch\nARG A=1\nRUN --mount=type=cache,target=/x x\n'],
      ...[
        'FROM a\nRUN --mount=type=cache,target=/c,',
        'FROM a\nARG B\nRUN --mount=type=cache,id="$A',
      ],
      // What has mounts by any target: most of the rest is refused, and a mount with it.
      'FROM a AS b\nRUN --mount=type=cache,target=/x --mount=type=cache,id=y,target=/y x\n',
      'FROM a AS b\nARG A=1\nRUN --mount=type=cache,id=$A,target=/x x\nFROM b\n',
    );
    let mounts = 0;
    fc.assert(
      fc.property(beginning, text, given, (start, rest, options) => {
        const found = attempt(
          () => discoverMounts(`${start}${rest}`, { file: 'Dockerfile', ...options }),
          /^InputError: Input target: /,
        );
        for (const { id } of found?.mounts ?? []) expect(id).not.toBe('');
        mounts += found?.mounts.length ?? 0;
        for (const problem of found?.problems ?? []) {
          expect(problem).toMatch(/^Dockerfile:\d+: [\s\S]/);
          expect(problem).not.toMatch(/call stack|Cannot read|is not a function/);
        }
      }),
      { numRuns },
    );
    expect(mounts).toBeGreaterThan(numRuns / 20);
  });
});

describe('what a builder tells', () => {
  const line = fc.record(
    {
      mount: fc.oneof(fc.nat(5), anyJson),
      started: fc.oneof(fc.double(), anyJson),
      ended: fc.oneof(fc.double(), anyJson),
      result: fc.oneof(
        fc.constantFrom('packed', 'unpacked', 'empty', 'warm', 'failed', 'unusable'),
        anyJson,
      ),
      compression: fc.oneof(fc.constantFrom('zstd', 'gzip'), anyJson),
      files: fc.oneof(fc.nat(), anyJson),
      bytes: fc.oneof(fc.nat(), anyJson),
      missing: fc.oneof(fc.constant('tar'), anyJson),
    },
    { requiredKeys: ['mount', 'started', 'ended', 'result'] },
  );

  test.each([
    ['any text', textOf('{"mount":0', '}', ',', '"result":"warm"', '"started":1', '\n', '[', '"')],
    ['a long text', longTextOf('{"mount":', '{', '[', ']', '}', '\n', '"', '\\', '1', ' ')],
    ['lines', fc.array(line).map((all) => all.map((each) => JSON.stringify(each)).join('\n'))],
  ])('%s of a report are read or refused', (_, texts) => {
    fc.assert(
      fc.property(texts, (text) => {
        for (const [index, report] of attempt(() => parseReports(text)) ?? []) {
          expect(index).toBeGreaterThanOrEqual(0);
          expect(report.seconds).not.toBeNaN();
          expect(report.result).toMatch(/^(packed|unpacked|empty|warm|failed|unusable)$/);
        }
      }),
      { numRuns: 500 },
    );
  });

  const pieces = [
    ...[
      'Name:',
      'Nodes:',
      'Driver:',
      'Error:',
      'Platforms:',
      'BuildKit version:',
      '\n',
      '\n',
      '\r',
    ],
    ...[' ', '\t', 'linux/amd64', '*', ',', 'x', ':', '\u2028', 'Labels:\n '],
  ];
  test.each([
    ['any text', textOf(...pieces)],
    ['a long text', longTextOf(...pieces)],
  ])('%s of an inspection is read', (_, texts) => {
    fc.assert(
      fc.property(texts, (text) => {
        const inspected = attempt(() => parseInspect(text));
        expect(typeof inspected?.name).toBe('string');
        expect(typeof inspected?.driver).toBe('string');
        for (const { platforms, buildkit } of inspected?.nodes ?? []) {
          expect(platforms).not.toContain('');
          expect(buildkit).not.toBe('');
        }
      }),
      { numRuns: 500 },
    );
  });
});
