import { describe, expect, test } from '@jest/globals';
import { isMadeBy, parseAge, parseMadeMounts } from '../../../src/builder/made-mounts.js';

const seconds = 1000;
const hours = 3600 * seconds;

test.each<[text: string | undefined, age: number | undefined]>([
  ['Less than a second ago', 0],
  ['1 second ago', 1 * seconds],
  ['46 seconds ago', 46 * seconds],
  ['About a minute ago', 60 * seconds],
  ['59 minutes ago', 59 * 60 * seconds],
  ['About an hour ago', hours],
  ['2 hours ago', 1.5 * hours],
  ['3 days ago', 72 * hours],
  ['2 weeks ago', 14 * 24 * hours],
  ['', undefined],
  ['never', undefined],
  [undefined, undefined],
])('%j is at least %s milliseconds ago', (text, age) => {
  expect(parseAge(text)).toBe(age);
});

const created = '2026-01-17 18:29:20.5 +0000 UTC';
const createdAt = Date.parse('2026-01-17T18:29:20.5Z');

type Render = (description: string, lastUsed?: string, parents?: readonly string[]) => string;

describe.each<[form: string, render: Render]>([
  [
    'JSON',
    (Description, LastUsedAt, Parents) =>
      `${JSON.stringify({ ID: 'x', Parents, CreatedAt: created, Description, LastUsedAt })}\n`,
  ],
  [
    'text',
    (description, lastUsed, parents = []) =>
      `ID:\t\tx\n${parents.length > 0 ? `Parents:\n${parents.map((id) => ` -\t${id}\n`).join('')}` : ''}Created at:\t${created}\nDescription:\t${description}\nUsage count:\t1\n${lastUsed ? `Last used:\t${lastUsed}\n` : ''}Type:\t\texec.cachemount\n\n`,
  ],
])('records as %s', (_, render) => {
  test('tell the command, and when the mount was made or last used', () => {
    const text = [
      render('cached mount /go/pkg/mod from exec /bin/sh -c go mod download', '3 seconds ago'),
      render('cached mount /c from exec /bin/sh -c go build with id "/of \\"it\\""'),
      render('cached mount /owned from exec /bin/sh -c a', '1 second ago', ['y', 'z']),
      render('cached mount /snapshots/0 from exec x with id "/buildkit-cache-mounts-snapshot-0f"'),
      render('cached mount /c from exec /bin/sh -c a\nb with id "n/two lines"', '2 hours ago'),
    ].join('');
    const now = createdAt + 10 * hours;
    expect(parseMadeMounts(text, now)).toEqual([
      {
        id: '/go/pkg/mod',
        command: '/bin/sh -c go mod download',
        usedAt: now - 3 * seconds,
      },
      { id: '/of "it"', command: '/bin/sh -c go build', usedAt: createdAt },
      { id: 'n/two lines', command: '/bin/sh -c a\nb', usedAt: now - 1.5 * hours },
    ]);
  });
});

test.each<[command: string, run: string, expected: boolean]>([
  ['/bin/sh -c go mod download', 'go mod download', true],
  ['/bin/bash -o pipefail -c go mod download', 'go mod download', true],
  ['/bin/bash -euxo pipefail -c go build', 'go build', true],
  ['/bin/sh -exc go build', 'go build', true],
  ['cmd /S /C go build', 'go build', true],
  ['go mod download', 'go mod download', true],
  ['/bin/sh -c go  build \\\n  ./...', 'go build \\ ./...', true],
  ['/bin/sh -c cd x && go mod download', 'go mod download', false],
  ['/bin/sh -c go mod download && go build', 'go mod download', false],
  ['/bin/sh -c xgo build', 'go build', false],
  ['/bin/sh -c ', '', false],
])('%j was made by the RUN %j: %s', (command, run, expected) => {
  expect(isMadeBy({ id: '/a', command, usedAt: 0 }, run)).toBe(expected);
});
