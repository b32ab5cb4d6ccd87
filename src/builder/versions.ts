/** The oldest BuildKit that was tried with all features of this project (docs/how-it-works.md). */
export const oldestTried = '0.12';

/**
 * Whether a BuildKit leaves the ids of cache mounts out of its list. It lists them from 0.12.0 on
 * (solver/llbsolver/mounts/mount.go).
 *
 * @param version as `docker buildx inspect` prints it; any other text counts as a new version
 */
export function lacksMountIds(version: string): boolean {
  return isBefore(version, 12);
}

/**
 * Whether a BuildKit knows no named build contexts, which our builds need. Its Dockerfile frontend
 * (frontend/dockerfile/builder/caps.go) has them from 0.10.0 on, and Docker Engine from 23.0 on.
 */
export function lacksNamedContexts(version: string): boolean {
  return isBefore(version, 10);
}

function isBefore(version: string, minor: number): boolean {
  const [, major, own] = /^v?(\d+)\.(\d+)/.exec(version) ?? [];
  // Debian's engine does not know its own version and says v0.0.0+unknown.
  return major === '0' && Number(own) > 0 && Number(own) < minor;
}
