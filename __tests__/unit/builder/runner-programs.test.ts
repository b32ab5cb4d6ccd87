import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  excludePrograms,
  optionalPrograms,
  streamPrograms,
} from '../../../src/builder/in-builder/scripts.js';
import {
  addRunnerTools,
  gatherRunnerTools,
  parseLdd,
} from '../../../src/builder/runner-programs.js';
import { readSurroundings } from '../../../src/lib/surroundings.js';

const surroundings = readSurroundings();

const glibc = `/usr/bin/tar:
	linux-vdso.so.1 (0x00007f11e9c45000)
	libacl.so.1 => /lib/x86_64-linux-gnu/libacl.so.1 (0x00007f11e9ba6000)
	libselinux.so.1 => /lib/x86_64-linux-gnu/libselinux.so.1 (0x00007f11e9b78000)
	libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f11e9996000)
	/lib64/ld-linux-x86-64.so.2 (0x00007f11e9c47000)
/usr/bin/zstd:
	linux-vdso.so.1 (0x00007f8da99a6000)
	libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f8da983e000)
	libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f8da9607000)
	/lib64/ld-linux-x86-64.so.2 (0x00007f8da99a8000)
`;

const musl = `/usr/bin/tar:
	/lib/ld-musl-x86_64.so.1 (0x7f6f3c5d9000)
	libacl.so.1 => /usr/lib/libacl.so.1 (0x7f6f3c53e000)
	libc.musl-x86_64.so.1 => /lib/ld-musl-x86_64.so.1 (0x7f6f3c5d9000)
`;

const statics = `/usr/bin/tar:
	not a dynamic executable
/usr/bin/busybox:
	statically linked
`;

test.each<[name: string, text: string, paths: string[]]>([
  [
    'glibc',
    glibc,
    [
      '/lib/x86_64-linux-gnu/libacl.so.1',
      '/lib/x86_64-linux-gnu/libc.so.6',
      '/lib/x86_64-linux-gnu/libselinux.so.1',
      '/lib/x86_64-linux-gnu/libz.so.1',
      '/lib64/ld-linux-x86-64.so.2',
    ],
  ],
  ['musl', musl, ['/lib/ld-musl-x86_64.so.1', '/usr/lib/libacl.so.1']],
  ['static programs', statics, []],
  [
    'a static program among others',
    statics + musl,
    ['/lib/ld-musl-x86_64.so.1', '/usr/lib/libacl.so.1'],
  ],
  [
    'one program, which ldd does not name',
    '\tlibc.so.6 => /lib/libc.so.6 (0xb7d4a000)\n\tlinux-gate.so.1 (0xb7f21000)\n',
    ['/lib/libc.so.6'],
  ],
  ['nothing', '', []],
])('the libraries are found in what ldd prints of %s', (_, text, paths) => {
  expect(parseLdd(text)).toEqual(paths);
});

test('a library that is missing is named', () => {
  const text = glibc.replace(/libacl\.so\.1 => .*/, 'libacl.so.1 => not found');
  expect(() => parseLdd(text)).toThrow(
    "a shared library of the runner's programs is missing: libacl.so.1 => not found",
  );
});

test('a loader is found under both of its names', () => {
  const text = '\t/lib64/ld-linux-x86-64.so.2 => /usr/lib64/ld-linux-x86-64.so.2 (0x00007f1)\n';
  expect(parseLdd(text)).toEqual([
    '/lib64/ld-linux-x86-64.so.2',
    '/usr/lib64/ld-linux-x86-64.so.2',
  ]);
});

describe("copies of the runner's programs", () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tools-'));
  });

  afterEach(() => rm(directory, { recursive: true }));

  const gather = () => gatherRunnerTools(surroundings, directory);
  const there = () => readdir(join(directory, 'bin'));

  test('what only some builds need is not brought to others', async () => {
    const { names } = await gather();
    expect(names).toEqual(expect.arrayContaining(['tar', ...optionalPrograms]));
    const needed: readonly string[] = optionalPrograms;
    const all: readonly string[] = [...streamPrograms, ...excludePrograms];
    const further = all.filter((each) => !needed.includes(each));
    expect(further).toEqual(expect.arrayContaining(['bash', 'tee', 'find']));
    expect([...names, ...(await there())].filter((name) => further.includes(name))).toEqual([]);
  });

  test('it can be added, once, and runs', async () => {
    const before = await gather();
    const add = (tools: typeof before) =>
      addRunnerTools(surroundings, tools, directory, [...streamPrograms, 'no-such-program']);
    const after = await add(before);
    expect(after).toEqual({
      ...before,
      names: expect.arrayContaining([...before.names, ...streamPrograms]),
      directories: expect.arrayContaining([...before.directories]),
    });
    expect(await there()).toEqual(expect.arrayContaining(['tar', ...streamPrograms]));
    expect(await add(after)).toEqual({ ...after, names: after.names });
    expect(new Set(after.names).size).toBe(after.names.length);
  });

  test('if there are no copies, none are added', async () => {
    const none = { names: [], tarVersion: '', directories: [] };
    expect(await addRunnerTools(surroundings, none, directory, streamPrograms)).toBe(none);
    expect(await readdir(directory)).toEqual([]);
  });
});
