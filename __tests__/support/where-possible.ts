import { describe } from '@jest/globals';

/** A describe for tests that need something of the machine; where that is missing, it says so. */
export function describeWhere(isPossible: boolean, need: string): typeof describe.skip {
  if (isPossible) return describe;
  process.stderr.write(`\n!! NOT RUN: tests that need ${need}\n`);
  return describe.skip;
}
