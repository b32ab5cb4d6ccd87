import { describe } from '@jest/globals';

/** A describe for tests that need something of the machine; where that is missing, it says so. */
export function describeWhere(isPossible: boolean, need: string): typeof describe.skip {
  if (isPossible) return describe;
  sayNotRun(`tests that need ${need}`);
  return describe.skip;
}

/** Where whoever has started the tests sees it. */
export function sayNotRun(what: string): void {
  process.stderr.write(`\n!! NOT RUN: ${what}\n`);
}
