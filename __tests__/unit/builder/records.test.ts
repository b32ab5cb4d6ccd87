import { describe, expect, test } from '@jest/globals';
import {
  compareRecords,
  isNewer,
  isOlder,
  type OtherMount,
  parseBuildCache,
  parseRecords,
  parseStandIns,
} from '../../../src/builder/records.js';
import type { CacheMount } from '../../../src/mounts/cache-mount.js';

/** A record as `docker buildx du --format json` prints it. */
function jsonLine(description: string): string {
  return `${JSON.stringify({
    CreatedAt: '2026-01-17 18:29:20.123456789 +0000 UTC',
    Description: description,
    ID: 'kqv4j0mqm2uqzqk8bq3v3z6vd',
    InUse: false,
    LastUsedAt: '2 minutes ago',
    Mutable: true,
    Parents: null,
    Reclaimable: true,
    Shared: false,
    Size: '12.29kB',
    Type: 'exec.cachemount',
    UsageCount: 1,
  })}\n`;
}

/** The same as `--verbose` prints it. */
function verbose(description: string): string {
  return `ID:		kqv4j0mqm2uqzqk8bq3v3z6vd
Created at:	2026-01-17 18:29:20.123456789 +0000 UTC
Mutable:	true
Reclaimable:	true
Shared:		false
Size:		12.29kB
Description:	${description}
Usage count:	1
Last used:	2 minutes ago
Type:		exec.cachemount

`;
}

describe.each([
  ['JSON', jsonLine],
  ['text', verbose],
])('%s', (_, render) => {
  test.each<[id: string, description: string]>([
    ['/go', 'cached mount /root/.cache from exec /bin/sh -c go build with id "/go"'],
    ['n/s/go', 'cached mount /root/.cache from exec /bin/sh -c go build with id "n/s/go"'],
    ['//root/.npm', 'cached mount /root/.npm from exec /bin/sh -c npm ci with id "//root/.npm"'],
    // The id is left out where it equals the target.
    ['/c', 'cached mount /c from exec /bin/sh -c go build'],
    ['/a b', 'cached mount /a b from exec /bin/sh -c curl from exec /x'],
    ['/a "b" \\ $c', 'cached mount /c from exec x with id "/a \\"b\\" \\\\ $c"'],
    ['/\x07\b\f\n\r\t\v', 'cached mount /c from exec x with id "/\\a\\b\\f\\n\\r\\t\\v"'],
    ['/\0\x7f\u00ad\ufeff', 'cached mount /c from exec x with id "/\\x00\\x7f\\u00ad\\ufeff"'],
    ['/ü日😀', 'cached mount /c from exec x with id "/ü日😀"'],
    ['/\u{e0001}\u{10ffff}', 'cached mount /c from exec x with id "/\\U000e0001\\U0010ffff"'],
    // What the command says is not the id.
    ['/go', 'cached mount /c from exec echo with id "x" with id "/go"'],
    ['/go', 'cached mount /c from exec echo with id "x with id "/go"'],
    ['/x with id "y"', 'cached mount /c from exec x with id "/x with id \\"y\\""'],
    // A heredoc is printed as it is.
    ['/go', 'cached mount /c from exec /bin/sh -c set -e\n{ go build; }\n with id "/go"'],
    ['/go', 'cached mount /c from exec /bin/sh -c x\nID: y\nUsage count: z\n with id "/go"'],
    ['/go', 'cached mount /c from exec x\nDescription: cached mount /y from exec z with id "/go"'],
    ['/c', 'cached mount /c from exec /bin/sh -c set -e\ngo build\n'],
  ])('the id %j', (id, description) => {
    expect(parseRecords(render(description))).toMatchObject([{ id }]);
    const other = render('cached mount /x from exec y with id "/other"');
    expect(parseRecords(`${other}${render(description)}${other}`)).toMatchObject([
      { id: '/other' },
      { id },
      { id: '/other' },
    ]);
  });

  test.each(['local source for context', 'cached mount /c', 'x'])(
    'a record of another form is refused: %s',
    (description) => {
      expect(() => parseRecords(render(description))).toThrow(
        `a record cannot be read: ${description}`,
      );
    },
  );
});

test.each(['', '\n', 'Reclaimable:\t0B\nTotal:\t\t0B\n'])('no records: %j', (text) => {
  expect(parseRecords(text)).toEqual([]);
});

test('what follows the records is passed over', () => {
  const record = 'cached mount /c from exec x with id "/go"';
  const total = 'Reclaimable:\t12.29kB\nTotal:\t\t12.29kB\n';
  expect(parseRecords(`${verbose(record)}${total}`)).toMatchObject([{ id: '/go' }]);
  expect(parseRecords(`${jsonLine(record)}${total}`)).toMatchObject([{ id: '/go' }]);
});

test('a record without a count, or with other line breaks', () => {
  const line = 'Description:\tcached mount /c from exec x with id "/go"\n';
  expect(parseRecords(`${line}Type:\texec.cachemount\n`)).toMatchObject([{ id: '/go' }]);
  expect(
    parseRecords(verbose('cached mount /c from exec x').replaceAll('\n', '\r\n')),
  ).toMatchObject([{ id: '/c' }]);
});

test.each([jsonLine, verbose])('when each record was made', (render) => {
  const text = render('cached mount /c from exec x\nCreated at: no\n with id "/go"');
  const created = /2026-01-17.18:29:20.123456789(Z| \+0000 UTC)/;
  const others = ['2027-02-28 23:00:00 -0130 XYZ', '2027-02-28T23:00:00.5+01:30', '', 'never'];
  const texts = [text, ...others.map((time) => text.replace(created, time))];
  expect(parseRecords(texts.join(''))).toEqual(
    [
      Date.UTC(2026, 0, 17, 18, 29, 20, 123),
      Date.UTC(2027, 2, 1, 0, 30),
      Date.UTC(2027, 1, 28, 21, 30, 0, 500),
      undefined,
      undefined,
    ].map((createdAt) => ({ createdAt, id: '/go' })),
  );
});

test('a record of any type stands in for a cache mount that its description names', () => {
  const standIn = jsonLine('cached mount /c from exec x with id "/go"').replace(
    'exec.cachemount',
    'regular',
  );
  const other = jsonLine('mount / from exec /bin/sh -c echo cached mount');
  expect(parseStandIns(`${other}${standIn}`)).toEqual([{ createdAt: undefined, id: '/go' }]);
});

test.each<[boolean, times: readonly (number | undefined)[]]>([
  [true, [11]],
  [true, [11, 12]],
  [false, [10]],
  [false, [9, 11]],
  // Where it cannot be told
  [false, [undefined]],
  [false, [11, undefined]],
  [false, []],
])('newer than 10 is %s for records of the times %j', (expected, times) => {
  const records = times.map((createdAt) => ({ createdAt, id: '/go' }));
  const others = [9, 11].map((createdAt) => ({ createdAt, id: '/npm' }));
  expect(isNewer({ id: 'go' }, [...records, ...others], 10)).toBe(expected);
});

test.each<[boolean, times: readonly (number | undefined)[]]>([
  [true, [10]],
  [true, [9, 10]],
  [false, [11]],
  [false, [9, 11]],
  [false, [undefined]],
  [false, [9, undefined]],
  [false, []],
])('older than 10 is %s for records of the times %j', (expected, times) => {
  const records = times.map((createdAt) => ({ createdAt, id: '/go' }));
  const others = [9, 11].map((createdAt) => ({ createdAt, id: '/npm' }));
  expect(isOlder({ id: 'go' }, [...records, ...others], 10)).toBe(expected);
});

test.each([jsonLine, verbose])(
  'what stands in for a mount is found among all records',
  (render) => {
    const others = `${render('local source for context')}${render('mount / from exec /bin/sh')}`;
    const standIn = render('cached mount /c from exec x with id "/go"');
    expect(parseStandIns(`${others}${standIn}${others}`)).toEqual([
      { createdAt: undefined, id: '/go' },
    ]);
  },
);

test.each([jsonLine, verbose])('what a record is known by, whatever its type', (render) => {
  const id = 'kqv4j0mqm2uqzqk8bq3v3z6vd';
  const descriptions = ['local source for context', 'mount / from exec x\nID: y\n', 'x'];
  expect(parseBuildCache(descriptions.map(render).join(''))).toEqual(
    descriptions.map((description) => ({
      id,
      createdAt: '2026-01-17 18:29:20.123456789 +0000 UTC',
      description,
      lastUsed: '2 minutes ago',
    })),
  );
});

test.each([jsonLine, verbose])('the mounts of our own are left out', (render) => {
  const ours = render(
    'cached mount /snapshots/0 from exec x with id "/buildkit-cache-mounts-snapshot-0f"',
  );
  const theirs = render('cached mount /c from exec x with id "/buildkit-cache-mounts-snapshot"');
  expect(parseRecords(`${ours}${theirs}`)).toMatchObject([
    { id: '/buildkit-cache-mounts-snapshot' },
  ]);
});

test('a JSON record without a description is none', () => {
  expect(parseRecords('{"ID":"x"}\n')).toEqual([]);
});

test.each([
  ['{', 'JSON'],
  ['{"Description":null}', 'its field "Description" is not valid: null'],
  ['{"Description":{"toString":1}}', 'its field "Description" is not valid: {"toString":1}'],
])('%s is refused', (text, message) => {
  expect(() => parseRecords(text)).toThrow(message);
});

test('a code point that there is none of is not taken for one', () => {
  const description = 'cached mount /c from exec x with id "/\\Uffffffff"';
  expect(parseRecords(verbose(description))).toMatchObject([{ id: '/Uffffffff' }]);
});

describe('a comparison', () => {
  /** What it says if each of the mounts is there. */
  const nothingToSay = { warnings: [], information: [] };
  const compare = (mounts: readonly CacheMount[], ids: readonly string[]) =>
    compareRecords(
      mounts,
      ids.map((id) => ({ createdAt: 0, id })),
      'b',
    );

  test('all that is asked for is there, and nothing else', () => {
    const mounts = [{ id: 'go' }, { id: '/root/.npm' }, { id: 'go', namespace: 'n' }];
    expect(compare(mounts, ['n/go', '//root/.npm', '/go'])).toEqual(nothingToSay);
  });

  test('nothing at all', () => {
    expect(compare([], [])).toEqual(nothingToSay);
  });

  test('other records are listed', () => {
    expect(compare([{ id: 'go' }], ['/npm', '/go', '//c', 'n/go'])).toEqual({
      warnings: [],
      information: ['Not asked for, but on the builder: /c, n/go, npm'],
    });
  });

  describe('what another stage declares', () => {
    const other = (id: string, stage: string, input: OtherMount['input'] = 'target') => ({
      ...{ mount: { id }, stage, file: 'Dockerfile', input },
    });
    const compareBeside = (ids: readonly string[], others: OtherMount[], hint?: string) =>
      compareRecords(
        [{ id: 'go' }],
        ids.map((id) => ({ createdAt: 0, id })),
        'b',
        { others, hint },
      );

    test('is a warning for each stage, and no plain line', () => {
      const others = [other('x', 'test'), other('y', 'test'), other('z', 'lint', 'bake-targets')];
      const { warnings, information } = compareBeside(['/go', '/x', '/y', '/z', '/npm'], others);
      expect(warnings).toEqual([
        'The builder b has x, y, which the stage test of Dockerfile declares, and which was not asked for: it is not saved. If that stage is built, too, name all stages that are built in the input target, one per line.',
        expect.stringMatching(/has z, .*stage lint.*all bake targets .* in the input bake-targets/),
      ]);
      expect(information).toEqual(['Not asked for, but on the builder: npm']);
    });

    test('is nothing if the builder does not have it', () => {
      const { warnings, information } = compareBeside(['/go'], [other('x', 'test')]);
      expect([...warnings, ...information]).toEqual([]);
    });

    test('what may be the matter is told once, and only beside a warning', () => {
      const others = [other('x', 'test'), other('y', 'lint')];
      const { warnings } = compareBeside(['/go', '/x', '/y'], others, 'HINT');
      expect(warnings.map((warning) => warning.endsWith(' HINT'))).toEqual([true, false]);
      expect(compareBeside(['/npm'], [], 'HINT').warnings[0]).toMatch(
        /no cache mount "go".* HINT$/,
      );
      expect(compareBeside(['/go'], [], 'HINT').warnings).toEqual([]);
    });
  });

  test('an empty builder', () => {
    expect(compare([{ id: 'go', from: 'golang' }], [])).toEqual({
      warnings: [
        'There is no cache mount "go (from=golang)" on the builder b. It has none at all: did the build run on this builder?',
      ],
      information: [],
    });
  });

  test.each([
    ['go_build', 'go-build', 'go-build'],
    ['Go-Build', 'go-build', 'go-build'],
    ['gobiuld', 'go-build', 'go-build'],
    ['root/.cache', '/root/.cache', '/root/.cache'],
    ['cargo-registry', 'cargo-registries', 'cargo-registries'],
    ['ünïcode', 'Unïcode', 'Unïcode'],
    // Each of these letters is two UTF-16 code units.
    ['𐐨𐐩𐐪𐐫-x', '𐐨𐐩𐐪𐐫/x', '𐐨𐐩𐐪𐐫/x'],
  ])('%s is near to %s', (id, held, suggestion) => {
    const { warnings } = compare([{ id }], [`/${held}`, '/something-else']);
    expect(warnings).toEqual([
      `There is no cache mount "${id}" on the builder b; did you mean "${suggestion}"? It has ${[held, 'something-else'].sort().join(', ')}.`,
    ]);
  });

  test('the nearest is suggested, and none that is asked for itself', () => {
    const mounts = [{ id: 'cache-1' }, { id: 'cache-2' }];
    const { warnings } = compare(mounts, ['/cache-1', '/cache-10', '/cache-22-x']);
    expect(warnings).toEqual([
      'There is no cache mount "cache-2" on the builder b; did you mean "cache-10"? It has cache-1, cache-10, cache-22-x.',
    ]);
  });

  test('nothing is suggested that is not similar', () => {
    expect(compare([{ id: 'go-build' }], ['/npm']).warnings).toEqual([
      'There is no cache mount "go-build" on the builder b. It has npm.',
    ]);
  });

  test('the namespace is part of the record', () => {
    const { warnings } = compare([{ id: 'go', namespace: 'n' }], ['/go']);
    expect(warnings).toEqual([
      'There is no cache mount "go (namespace=n)" on the builder b; did you mean "go"? It has go.',
    ]);
  });

  test('forks of a mount', () => {
    expect(compare([{ id: 'go' }], ['/go', '/go', '/go'])).toEqual({
      warnings: [
        'The builder b has 3 cache mounts with the id "go", and one is asked for: it is also mounted with other options (uid, gid, mode, from), or builds that ran at the same time have made copies of it.',
      ],
      information: [],
    });
  });

  test('several mounts of one id', () => {
    const mounts = [{ id: 'go' }, { id: 'go', ownership: { uid: 1, gid: 0, mode: 0o755 } }];
    expect(compare(mounts, ['/go', '/go'])).toEqual(nothingToSay);
    expect(compare(mounts, ['/go', '/go', '/go']).warnings).toEqual([
      expect.stringContaining('has 3 cache mounts with the id "go", and 2 are asked for: '),
    ]);
  });
});
