import { createServer, type Server } from 'node:http';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type EntryJob, startEntryJob } from '../support/entry.js';

let job: EntryJob;
let silent: Server;
let env: Record<string, string>;

beforeEach(async () => {
  job = await startEntryJob();
  silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const address = silent.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  env = {
    ACTIONS_CACHE_SERVICE_V2: 'true',
    ACTIONS_RESULTS_URL: `http://127.0.0.1:${port}/`,
    ACTIONS_RUNTIME_TOKEN: 'token',
    GITHUB_SERVER_URL: 'https://github.com',
  };
});

afterEach(async () => {
  silent.closeAllConnections();
  silent.close();
  await job.dispose();
});

test('what inject has left goes also if the time ends while the cache service does not answer', async () => {
  const limit = 'in the stage "Look up the key"';
  const inputs = { 'cache-mounts': 'm', key: 'k', timeout: '0.02' };
  const injected = await job.runOnGitHub('inject.ts', { inputs, env });
  expect(injected.stdout).toContain(limit);
  expect(await job.leftovers()).toEqual(['buildkit-cache-mounts-state']);

  const extracted = await job.runOnGitHub('extract.ts', { inputs: { timeout: '0.05' }, env });
  expect(extracted.stdout).toContain(limit);
  expect(extracted.stdout.match(/::warning/g)).toHaveLength(1);
  expect(await job.leftovers()).toEqual([]);
});

test.each([
  ['GitHub Enterprise Server', 'https://ghe.example.com'],
  ['act', 'https://github.com'],
])(
  'without a cache service, as on %s, each step warns once and does nothing',
  async (_, server) => {
    const nowhere = { GITHUB_SERVER_URL: server };
    const inputs = { 'cache-mounts': 'm', key: 'k' };
    const injected = await job.runOnGitHub('inject.ts', { inputs, env: nowhere });
    const extracted = await job.runOnGitHub('extract.ts', { env: nowhere });
    for (const { code, stdout } of [injected, extracted]) {
      expect(code).toBe(0);
      expect(stdout.match(/^::warning.*$/gm)).toEqual([
        expect.stringMatching(
          /there is no GitHub Actions cache here .* the input directory names\.$/,
        ),
      ]);
      // Nor is docker asked for anything, which is not there.
      expect(stdout).not.toContain('docker');
    }
    const outputs = await job.readFile('GITHUB_OUTPUT');
    expect(outputs).toMatch(/^saved<<.*\nfalse$/m);
    expect(outputs).toMatch(/^reason<<.*\nthere is no GitHub Actions cache here/m);
    expect(await job.leftovers()).toEqual([]);
  },
  60_000,
);
