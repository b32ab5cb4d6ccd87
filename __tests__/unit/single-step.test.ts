import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type EntryJob, startEntryJob } from '../support/entry.js';

let job: EntryJob;

beforeEach(async () => {
  job = await startEntryJob();
});

afterEach(() => job.dispose());

const isPost = { STATE_isPost: 'true', STATE_key: 'k' };

describe('the post step', () => {
  test.each([
    ['incremental-count', '100', 'Input incremental-count: "100" is no whole number from 1 to 99.'],
    ['incremental-share', '0', 'Input incremental-share: "0" is no whole number from 1 to 1000.'],
  ])(
    'reads %s for itself',
    async (name, value, message) => {
      const result = await job.runOnGitHub('single-step.ts', {
        inputs: { [name]: value },
        env: isPost,
      });
      expect(result).toMatchObject({ code: 1, stdout: expect.stringContaining(message) });
    },
    60_000,
  );
});
