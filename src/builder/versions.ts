/** What older versions of BuildKit cannot do. */

/** The oldest one that was tried with all that this project does (docs/how-it-works.md). */
export const oldestTried = '0.12';

/**
 * Whether a BuildKit leaves the ids of cache mounts out of its list: solver/llbsolver/mounts/mount.go tells
 * them from 0.12.0 on.
 *
 * @param version as `docker buildx inspect` prints it; what is no version is taken to be a new one
 */
export function lacksMountIds(version: string): boolean {
  return isBefore(version, 12);
}

/**
 * Whether a BuildKit knows no named build contexts, which our builds need: its Dockerfile frontend
 * (frontend/dockerfile/builder/caps.go) has them from 0.10.0 on, Docker Engine from 23.0 on.
 */
export function lacksNamedContexts(version: string): boolean {
  return isBefore(version, 10);
}

function isBefore(version: string, minor: number): boolean {
  const [, major, own] = /^v?(\d+)\.(\d+)/.exec(version) ?? [];
  // Debian's engine does not know its own: v0.0.0+unknown.
  return major === '0' && Number(own) > 0 && Number(own) < minor;
}
