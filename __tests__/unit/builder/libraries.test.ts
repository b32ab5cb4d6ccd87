import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  excludePrograms,
  optionalPrograms,
  requiredPrograms,
  streamPrograms,
} from '../../../src/builder/in-builder/scripts.js';
import { findLibraries, findLoader, parseLdd } from '../../../src/builder/libraries.js';
import { findPrograms } from '../../../src/builder/runner-programs.js';
import { runProgram } from '../../../src/lib/child-process.js';
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

const { PATH: path } = process.env;
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'libraries-'));
});

afterEach(async () => {
  process.env.PATH = path;
  await rm(directory, { recursive: true });
});

/** Puts a shell script in the place of a program. */
async function replaceProgram(name: string, script: string): Promise<void> {
  await writeFile(join(directory, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  process.env.PATH = `${directory}:${path}`;
}

describe('the libraries of the programs of this machine', () => {
  const names = [
    ...['zstd', 'gzip', 'node'],
    ...[...requiredPrograms, ...optionalPrograms, ...streamPrograms, ...excludePrograms],
  ];
  let programs: string[];
  let byLdd: string[];

  beforeEach(async () => {
    programs = (await findPrograms([...new Set(names)])).map(({ path }) => path);
    byLdd = parseLdd((await runProgram(surroundings, 'ldd', programs)).stdout);
  });

  test('are told by the loader as by ldd', async () => {
    // Of the other programs it is not asked.
    const { stdout } = await runProgram(surroundings, 'which', ['ldd']);
    await replaceProgram('ldd', `[ $# -eq 1 ] && exec ${stdout.trim()} "$@"`);
    expect(await findLibraries(surroundings, programs)).toEqual(byLdd);
    expect(byLdd.length).toBeGreaterThan(2);
  });

  test('are told by ldd if the loaders do not tell', async () => {
    await replaceProgram('sh', 'exit 1');
    expect(await findLibraries(surroundings, programs)).toEqual(byLdd);
  });

  test('are found one by one', async () => {
    const found = await Promise.all(programs.map((each) => findLibraries(surroundings, [each])));
    expect([...new Set(found.flat())].sort()).toEqual(byLdd);
  });
});

test('scripts and static programs among others have no libraries', async () => {
  const script = join(directory, 'script');
  await writeFile(script, '#!/bin/sh\ntrue\n', { mode: 0o755 });
  const [sh] = await findPrograms(['sh']);
  const path = sh?.path ?? '';
  const expected = await findLibraries(surroundings, [path]);
  expect(expected.length).toBeGreaterThan(1);
  expect(await findLibraries(surroundings, [script, path])).toEqual(expected);
  expect(await findLibraries(surroundings, [path, script])).toEqual(expected);
  expect(await findLibraries(surroundings, [script])).toEqual([]);
});

test.each([
  ['glibc', glibc, '/lib64/ld-linux-x86-64.so.2'],
  ['musl', musl, '/lib/ld-musl-x86_64.so.1'],
  ['static programs', statics, undefined],
  [
    'a loader under two names',
    '\t/lib64/ld-linux.so.2 => /nix/store/a/lib64/ld-linux.so.2 (0x00007f1)\n',
    '/lib64/ld-linux.so.2',
  ],
])('the loader is found in what ldd prints of %s', (_, text, loader) => {
  expect(findLoader(text)).toBe(loader);
});
