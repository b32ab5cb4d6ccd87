import { expect, test } from '@jest/globals';
import { parseLdd } from '../../../src/builder/runner-programs.js';

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
