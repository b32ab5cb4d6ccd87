import { createHash } from 'node:crypto';
import { renderExcludeScript } from '../builder/exclude-script.js';
import type { ExcludeRule } from '../inputs/exclude.js';
import { type CacheMount, describeMount } from '../mounts/cache-mount.js';

/** What is not saved of a mount. */
export interface Exclusion {
  /** The script of sed that finds it. */
  readonly script: string;
  /** Equal for the same patterns in the same order. */
  readonly hash: string;
}

/** @returns undefined if all of the mount is saved */
export function exclusionOf(
  rules: readonly ExcludeRule[],
  mount: CacheMount,
): Exclusion | undefined {
  const patterns = rules
    .filter(({ id }) => id === undefined || id === mount.id)
    .map(({ pattern }) => pattern);
  if (patterns.length === 0) return undefined;
  const hash = createHash('sha256').update(JSON.stringify(patterns)).digest('hex').slice(0, 16);
  return { script: renderExcludeScript(patterns), hash };
}

/** A warning for each mount that a rule names and that is not there. */
export function tellOfUnknown(
  rules: readonly ExcludeRule[],
  mounts: readonly CacheMount[],
): string[] {
  const known = new Set(mounts.map(({ id }) => id));
  const named = new Set(rules.flatMap(({ id }) => id ?? []));
  const list = mounts.map(describeMount).join(', ') || 'none';
  return [...named]
    .filter((id) => !known.has(id))
    .map(
      (id) =>
        `The input exclude names the cache mount "${id}", and there is none with this id: ${list}.`,
    );
}
