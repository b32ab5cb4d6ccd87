/*
 * Mirrors github.com/containerd/platforms v1.0.0-rc.4 (Parse, Normalize, Format), with which
 * frontend/dockerfile/dockerfile2llb/platform.go of BuildKit v0.32.2 makes the ARGs of a platform.
 */

/** A platform as Docker names it: `linux/amd64`, `linux/arm/v7`. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  /** Empty if there is but one. */
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

/** The runner's platform. */
export function runnerPlatform(): string {
  const os = process.platform === 'win32' ? 'windows' : process.platform;
  return `${os}/${architectureOf[process.arch] ?? process.arch}`;
}

/** Reads a platform as containerd does, which BuildKit uses: with its aliases and defaults. */
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
