/*
 * Does the same as github.com/containerd/platforms v1.0.0-rc.4 (Parse, Normalize, Format). BuildKit
 * v0.32.2 uses that package to make the ARGs of a platform
 * (frontend/dockerfile/dockerfile2llb/platform.go).
 */

/** A platform as Docker names it, such as `linux/amd64` or `linux/arm/v7`. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  /** Empty if there is only one variant. */
  readonly variant: string;
}

const architectureOf: Readonly<Record<string, string>> = {
  x64: 'amd64',
  x86_64: 'amd64',
  'x86-64': 'amd64',
  aarch64: 'arm64',
  ia32: '386',
  i386: '386',
  armhf: 'arm',
  armel: 'arm',
};

export function runnerPlatform(): string {
  const os = process.platform === 'win32' ? 'windows' : process.platform;
  return `${os}/${architectureOf[process.arch] ?? process.arch}`;
}

/** Reads a platform with the aliases and defaults of containerd, because BuildKit uses these. */
export function parsePlatform(text: string): Platform {
  const [first = '', second, third = ''] = text.toLowerCase().split('/');
  const [runnerOs = '', runnerArchitecture = ''] = runnerPlatform().split('/');
  if (second === undefined && ['local', 'default'].includes(first)) {
    return parsePlatform(runnerPlatform());
  }
  if (second === undefined && ['linux', 'windows', 'darwin', 'macos'].includes(first)) {
    return parsePlatform(`${first}/${runnerArchitecture}`);
  }
  const [os, name] = second === undefined ? [runnerOs, first] : [first, second];
  const architecture = architectureOf[name] ?? name;
  return {
    os: os === 'macos' ? 'darwin' : os,
    architecture,
    variant: normalizeVariant(name, architecture, third),
  };
}

function normalizeVariant(name: string, architecture: string, given: string): string {
  const variant = given.replace(/^(?=\d)/, 'v');
  switch (architecture) {
    case 'arm64':
      return variant === 'v8' ? '' : variant;
    case 'amd64':
      return variant === 'v1' ? '' : variant;
    case '386':
      return '';
    case 'arm':
      if (name === 'armhf') return 'v7';
      return name === 'armel' ? 'v6' : variant || 'v7';
    default:
      return variant;
  }
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === '' ? [] : [variant])].join('/');
}
