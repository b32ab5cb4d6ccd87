import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { githubCache } from '../../../../src/entry/stores/github-cache.js';
import { storedDirectoryName } from '../../../../src/entry/stores/store.js';
import { runProgram } from '../../../../src/lib/child-process.js';
import { readSurroundings } from '../../../../src/lib/surroundings.js';

const names = ['GITHUB_WORKSPACE', 'RUNNER_TEMP', 'TAR_OPTIONS'];
const environment = process.env;
const cwd = process.cwd();
let parent: string;
let closeServer: () => void;

beforeEach(async () => {
  parent = await realpath(await mkdtemp(join(tmpdir(), 'github-cache-')));
});

afterEach(async () => {
  closeServer();
  process.env = environment;
  process.chdir(cwd);
  await rm(parent, { recursive: true });
});

/** A cache service, and the answer to its first request, once that has come. */
async function startService(): Promise<{ readonly asked: Promise<ServerResponse> }> {
  let tell = (_: ServerResponse): void => undefined;
  const asked = new Promise<ServerResponse>((resolve) => {
    tell = resolve;
  });
  const server = createServer((_, response) => tell(response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closeServer = () => {
    server.closeAllConnections();
    server.close();
  };
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  process.env = {
    ...environment,
    ACTIONS_CACHE_SERVICE_V2: 'true',
    ACTIONS_RESULTS_URL: `http://127.0.0.1:${port}/`,
    ACTIONS_RUNTIME_TOKEN: 'token',
    GITHUB_SERVER_URL: 'https://github.com',
    GITHUB_WORKSPACE: '/workspace',
    TAR_OPTIONS: '--own',
  };
  delete process.env.RUNNER_TEMP;
  return { asked };
}

const surroundings = () => [process.cwd(), ...names.map((name) => process.env[name])];

test('the client has surroundings of its own, which are put back when the call settles', async () => {
  const { asked } = await startService();
  const entry = join(parent, storedDirectoryName);
  const found = githubCache(new AbortController().signal).restore(entry, ['k']);
  const response = await asked;
  expect(surroundings()).toEqual([
    parent,
    parent,
    parent,
    expect.stringContaining('--skip-old-files'),
  ]);
  response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":false}');
  expect(await found).toEqual([undefined]);
  expect(surroundings()).toEqual([cwd, '/workspace', undefined, '--own']);
  expect(Object.keys(process.env)).not.toContain('RUNNER_TEMP');
});

test('they are put back also if the step does not wait any more, and nothing follows', async () => {
  const { asked } = await startService();
  const ended = new AbortController();
  const entry = join(parent, storedDirectoryName);
  const store = githubCache(ended.signal);
  let hasSettled = false;
  const settle = (): void => {
    hasSettled = true;
  };
  store.restore(entry, ['k']).then(settle, settle);
  const response = await asked;
  ended.abort();
  const putBack = [cwd, '/workspace', undefined];
  expect(surroundings().slice(0, 3)).toEqual(putBack);
  // The client may still come to unpack something: its tar must then refuse.
  const { TAR_OPTIONS = '' } = process.env;
  await expect(
    runProgram(
      { ...readSurroundings(), env: { PATH: process.env.PATH ?? '', TAR_OPTIONS } },
      'tar',
      ['--version'],
    ),
  ).resolves.toMatchObject({ exitCode: 64 });

  response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":false}');
  store.restore(entry, ['k']).then(settle, settle);
  store.isSaved('k').then(settle, settle);
  expect(surroundings().slice(0, 3)).toEqual(putBack);
  await new Promise((resolve) => response.once('close', resolve));
  for (let turn = 0; turn < 100; turn++) await setImmediate();
  expect(hasSettled).toBe(false);
  expect(surroundings()).toEqual([...putBack, TAR_OPTIONS]);
});
