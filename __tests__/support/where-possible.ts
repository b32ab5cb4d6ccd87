import { describe } from '@jest/globals';
import { hasOwnBuildkit } from './own-buildkit.js';

/** A describe for tests that need something of the machine; where that is missing, it says so. */
export function describeWhere(isPossible: boolean, need: string): typeof describe.skip {
  if (isPossible) return describe;
  sayNotRun(`tests that need ${need}`);
  return describe.skip;
}

/** A describe for tests that start a BuildKit. */
export function describeWithOwnBuildkit(): typeof describe.skip {
  return describeWhere(hasOwnBuildkit, 'BuildKits of their own: root, and buildkitd in BUILDKITD');
}

/** Where whoever has started the tests sees it. */
export function sayNotRun(what: string): void {
  process.stderr.write(`\n!! NOT RUN: ${what}\n`);
}
