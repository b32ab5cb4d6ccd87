/** What tests expect of steps in trouble. */
import { expect } from '@jest/globals';
import { lastingProcessesWith } from './processes.js';
import type { Job } from './runner.js';
import { leftovers } from './scenario.js';

/** A step that could not do its work says so in one warning with these words, and fails nothing. */
export function warned(words: RegExp) {
  return {
    exitCode: 0,
    annotations: [{ level: 'warning', message: expect.stringMatching(words) }],
  };
}

/** Steps that were ended leave no process, and no file but what inject keeps for extract. */
export async function expectNothingLeft(job: Job): Promise<void> {
  expect((await leftovers(job)).filter((name) => !name.endsWith('-state'))).toEqual([]);
  expect(await lastingProcessesWith(job.runnerTemp)).toEqual([]);
}
