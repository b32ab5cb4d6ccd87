import { afterEach, describe, expect, test } from '@jest/globals';
import { formatPlatform, parsePlatform, runnerPlatform } from '../../../src/mounts/platform.js';

// What is expected here is what BuildKit gave for TARGETPLATFORM.

describe('a platform is read as BuildKit reads it', () => {
  test.each([
    ['linux/amd64', 'linux/amd64'],
    ['linux/amd64/v1', 'linux/amd64'],
    ['linux/amd64/v2', 'linux/amd64/v2'],
    ['linux/arm64', 'linux/arm64'],
    ['linux/arm64/v8', 'linux/arm64'],
    ['linux/arm64/V8', 'linux/arm64'],
    ['linux/arm64/v9', 'linux/arm64/v9'],
    ['linux/arm', 'linux/arm/v7'],
    ['linux/arm/v5', 'linux/arm/v5'],
    ['linux/arm/v6', 'linux/arm/v6'],
    ['linux/arm/v7', 'linux/arm/v7'],
    ['linux/armhf', 'linux/arm/v7'],
    ['linux/armel', 'linux/arm/v6'],
    ['linux/386', 'linux/386'],
    ['linux/i386', 'linux/386'],
    ['linux/x86_64', 'linux/amd64'],
    ['linux/x86-64', 'linux/amd64'],
    ['linux/AArch64', 'linux/arm64'],
    ['Linux/AMD64', 'linux/amd64'],
    ['linux/riscv64', 'linux/riscv64'],
    ['linux/ppc64le', 'linux/ppc64le'],
    ['windows/amd64', 'windows/amd64'],
    ['darwin/arm64', 'darwin/arm64'],
    ['macos/arm64', 'darwin/arm64'],
    ['freebsd/amd64', 'freebsd/amd64'],
    ['amd64', 'linux/amd64'],
    ['arm64', 'linux/arm64'],
    ['aarch64', 'linux/arm64'],
    ['arm', 'linux/arm/v7'],
    ['armhf', 'linux/arm/v7'],
    ['armel', 'linux/arm/v6'],
    ['386', 'linux/386'],
    ['s390x', 'linux/s390x'],
  ])('%s', (text, expected) => {
    expect(formatPlatform(parsePlatform(text))).toBe(expected);
    expect(parsePlatform(expected)).toEqual(parsePlatform(text));
  });

  test.each([
    ['linux/arm64/8', 'linux/arm64'],
    ['linux/arm/5', 'linux/arm/v5'],
    ['linux/arm/6', 'linux/arm/v6'],
    ['linux/arm/7', 'linux/arm/v7'],
    ['linux/arm/8', 'linux/arm/v8'],
    ['linux/armhf/v6', 'linux/arm/v7'],
    ['linux/i386/x', 'linux/386'],
    ['linux', runnerPlatform().replace(/^\w+/, 'linux')],
    ['windows', runnerPlatform().replace(/^\w+/, 'windows')],
    ['local', runnerPlatform()],
  ])('%s', (text, expected) => {
    expect(formatPlatform(parsePlatform(text))).toBe(expected);
  });

  test('in its parts', () => {
    expect(parsePlatform('linux/arm')).toEqual({ os: 'linux', architecture: 'arm', variant: 'v7' });
    expect(parsePlatform('windows/amd64/v1')).toEqual({
      os: 'windows',
      architecture: 'amd64',
      variant: '',
    });
  });
});

describe('the runner’s platform', () => {
  const { platform, arch } = process;

  afterEach(() => {
    pretend(platform, arch);
  });

  function pretend(os: string, architecture: string): void {
    Object.defineProperty(process, 'platform', { value: os });
    Object.defineProperty(process, 'arch', { value: architecture });
  }

  test.each([
    ['linux', 'x64', 'linux/amd64'],
    ['linux', 'arm64', 'linux/arm64'],
    ['linux', 'ia32', 'linux/386'],
    ['linux', 'riscv64', 'linux/riscv64'],
    ['linux', 's390x', 'linux/s390x'],
    ['darwin', 'arm64', 'darwin/arm64'],
    ['win32', 'x64', 'windows/amd64'],
  ])('%s on %s is %s', (os, architecture, expected) => {
    pretend(os, architecture);
    expect(runnerPlatform()).toBe(expected);
  });
});
