import { expect, test } from '@jest/globals';
import { type MountReport, parseReports } from '../../../src/builder/mount-report.js';

/** A line as the scripts write it. */
function line(fields: string): string {
  return `{"mount":0,"started":10.5,"ended":12.75,${fields}}\n`;
}

const packed = '"result":"packed","compression":"zstd","files":3,"bytes":10240';

test.each<[fields: string, report: object]>([
  [packed, { result: 'packed', compression: 'zstd', files: 3, bytes: 10240 }],
  [
    packed.replace('zstd', 'gzip'),
    { result: 'packed', compression: 'gzip', files: 3, bytes: 10240 },
  ],
  [
    `${packed},"obstacle":"size"`,
    { result: 'packed', compression: 'zstd', files: 3, bytes: 10240, obstacle: 'size' },
  ],
  [
    packed.replace('packed', 'changed'),
    { result: 'changed', compression: 'zstd', files: 3, bytes: 10240 },
  ],
  [
    `${packed},"sockets":2`,
    { result: 'packed', compression: 'zstd', files: 3, bytes: 10240, sockets: 2 },
  ],
  [
    `${packed},"sha256":"${'0'.repeat(64)}"`,
    { result: 'packed', compression: 'zstd', files: 3, bytes: 10240, sha256: '0'.repeat(64) },
  ],
  [
    `${packed.replace('packed', 'changed')},"detour":"unreachable"`,
    { result: 'changed', compression: 'zstd', files: 3, bytes: 10240, detour: 'unreachable' },
  ],
  ['"result":"detour","detour":"cut"', { result: 'detour', detour: 'cut' }],
  ['"result":"unpacked"', { result: 'unpacked' }],
  ['"result":"unchanged"', { result: 'unchanged' }],
  ['"result":"empty"', { result: 'empty' }],
  ['"result":"warm"', { result: 'warm' }],
  ['"result":"added"', { result: 'added' }],
  ['"result":"unadded"', { result: 'unadded' }],
  ['"result":"failed"', { result: 'failed' }],
  ['"result":"unusable","missing":"GNU tar"', { result: 'unusable', missing: 'GNU tar' }],
])('%s is read', (fields, report) => {
  expect(parseReports(line(fields))).toEqual(new Map([[0, { ...report, seconds: 2.25 }]]));
});

test('the reports of several mounts are found by their index', () => {
  const text = ['{"mount":2,"result":"warm","started":1,"ended":1}', '', line('"result":"empty"')];
  expect(parseReports(text.join('\n'))).toEqual(
    new Map<number, MountReport>([
      [2, { result: 'warm', seconds: 0 }],
      [0, { result: 'empty', seconds: 2.25 }],
    ]),
  );
});

test('an empty report has none', () => {
  expect(parseReports('')).toEqual(new Map());
});

test.each([
  ['warm', 'JSON'],
  [
    `{"mount":0,"started":1,"ended":2,${packed},"obstacle":"moon"}`,
    'its field "obstacle" is not valid: "moon"',
  ],
  [
    `{"mount":0,"started":1,"ended":2,${packed},"detour":"moon"}`,
    'its field "detour" is not valid: "moon"',
  ],
  ['{"mount":0,"started":1,"ended":2,"result":"detour"}', 'its field "detour" is'],
  [
    `{"mount":0,"started":1,"ended":2,${packed},"sha256":"0"}`,
    'its field "sha256" is not valid: "0"',
  ],
  ['null', 'its field "report" is not valid: null'],
  ['[]', 'its field "report" is not valid: []'],
  ['{"result":"warm","started":1,"ended":2}', 'its field "mount" is not valid: undefined'],
  ['{"mount":-1,"result":"warm","started":1,"ended":2}', 'its field "mount" is not valid: -1'],
  ['{"mount":0,"result":"warm","ended":2}', 'its field "started" is not valid: undefined'],
  ['{"mount":0,"result":"warm","started":1,"ended":"2"}', 'its field "ended" is not valid: "2"'],
  ['{"mount":0,"result":"warm","started":1,"ended":1e999}', 'its field "ended" is not valid'],
  [line('"result":"other"'), 'its field "result" is not valid: "other"'],
  [line('"more":1'), 'its field "result" is not valid: undefined'],
  [line('"result":"unusable"'), 'its field "missing" is not valid: undefined'],
  [line(packed.replace('zstd', 'xz')), 'its field "compression" is not valid: "xz"'],
  [line(packed.replace('3', '-3')), 'its field "files" is not valid: -3'],
  [line(packed.replace('10240', '""')), 'its field "bytes" is not valid: ""'],
  [line(packed) + line(packed).slice(0, 20), 'JSON'],
])('%s is refused', (text, message) => {
  expect(() => parseReports(text)).toThrow(message);
});
