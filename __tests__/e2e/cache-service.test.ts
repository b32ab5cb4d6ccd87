import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type CacheRequest,
  type CacheService,
  startCacheService,
} from '../support/cache-service.js';
import { type Job, type RunOptions, startJob } from '../support/runner.js';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));

const RESTORE = `
  import { restoreCache } from '@actions/cache';
  import { getBooleanInput, getInput, getMultilineInput, setOutput } from '@actions/core';
  const options = { lookupOnly: getBooleanInput('lookup-only') };
  const restoreKeys = getMultilineInput('restore-keys');
  const paths = getMultilineInput('paths');
  const matched = await restoreCache(paths, getInput('key'), restoreKeys, options);
  setOutput('matched-key', matched ?? '');
`;

const SAVE = `
  import { saveCache } from '@actions/cache';
  import { getInput, getMultilineInput, setOutput } from '@actions/core';
  setOutput('id', await saveCache(getMultilineInput('paths'), getInput('key')));
`;

const RESTORE_INPUTS = ['key:', 'restore-keys:', 'lookup-only: {default: false}'];
const cleanUps: (() => Promise<unknown>)[] = [];

async function cleanUp(): Promise<void> {
  for (const action of cleanUps.splice(0).reverse()) await action();
}

async function makeDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'cache-service-test-'));
  cleanUps.push(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function writeAction(root: string, name: string, script: string, inputs: string[]) {
  const directory = join(root, name);
  const inputLines = inputs.map((input) => `  ${input}`).join('\n');
  const manifest = `inputs:\n${inputLines}\nruns:\n  using: node20\n  main: main.mjs\n`;
  await mkdir(directory);
  await writeFile(join(directory, 'action.yml'), manifest);
  await writeFile(join(directory, 'main.mjs'), script);
}

/** `inject` restores and `extract` saves, with the real client and nothing else. */
async function writeCacheActions(): Promise<string> {
  const root = await makeDirectory();
  await symlink(join(PROJECT, 'node_modules'), join(root, 'node_modules'));
  const paths = 'paths: {default: files}';
  await writeAction(root, 'inject', RESTORE, [...RESTORE_INPUTS, paths]);
  await writeAction(root, 'extract', SAVE, ['key:', paths]);
  return root;
}

describe('the cache service, with the real client', () => {
  let actions: string;
  let service: CacheService;
  let intercept: ((request: CacheRequest, response: ServerResponse) => boolean) | undefined;
  let jobs: Job[] = [];

  beforeAll(async () => {
    actions = await writeCacheActions();
    service = await startCacheService({
      intercept: (request, response) => intercept?.(request, response) ?? false,
    });
  });

  afterEach(async () => {
    for (const job of jobs) await job.dispose();
    jobs = [];
    intercept = undefined;
    service.reset();
    service.requests.length = 0;
  });

  afterAll(async () => {
    await service.close();
    await cleanUp();
  });

  async function newJob(): Promise<Job> {
    const job = await startJob({ service, actions });
    jobs.push(job);
    return job;
  }

  async function save(key: string, content: string | Buffer, inputs: Record<string, string> = {}) {
    const job = await newJob();
    await mkdir(join(job.workspace, 'files'));
    await writeFile(join(job.workspace, 'files', 'content'), content);
    return job.runAction('extract', { key, ...inputs });
  }

  async function restore(key: string, inputs: Record<string, string> = {}) {
    const job = await newJob();
    const result = await job.runAction('inject', { key, ...inputs });
    const file = join(job.workspace, 'files', 'content');
    const content = await readFile(file).catch(() => undefined);
    return { ...result, matchedKey: result.outputs['matched-key'], content };
  }

  test('misses where there is nothing', async () => {
    const { matchedKey, exitCode, annotations } = await restore('k');

    expect({ matchedKey, exitCode, annotations }).toEqual({
      matchedKey: '',
      exitCode: 0,
      annotations: [],
    });
  });

  test('restores in another job what one has saved', async () => {
    const saved = await save('k', 'hello');
    const { matchedKey, content, log } = await restore('k');

    expect(Number(saved.outputs.id)).toBeGreaterThan(0);
    expect(matchedKey).toBe('k');
    expect(content?.toString()).toBe('hello');
    expect(log).toContain('Cache hit for: k');
    const blob = await service.readBlob('k');
    expect(service.entries()).toMatchObject([{ key: 'k', size: blob.length, finalized: true }]);
    expect(service.requests.map(({ method, status }) => [method, status])).toEqual([
      ['CreateCacheEntry', 200],
      ['FinalizeCacheEntryUpload', 200],
      ['GetCacheEntryDownloadURL', 200],
    ]);
  });

  test('takes the newest entry of a prefix, and restore keys in their order', async () => {
    await save('a-1', 'a-1');
    await save('b-2', 'b-2');
    await save('b-1', 'b-1');
    await save('c-1', 'c-1');

    const byRestoreKey = await restore('d', { 'restore-keys': 'b-\na-' });

    expect(byRestoreKey.matchedKey).toBe('b-1');
    expect(byRestoreKey.content?.toString()).toBe('b-1');
    expect(byRestoreKey.log).toContain('Cache hit for restore-key: b-1');
    expect((await restore('d', { 'restore-keys': 'x\na-' })).matchedKey).toBe('a-1');
  });

  test('takes the key itself as a prefix, but an exact match first', async () => {
    await save('k', 'older');
    await save('k-2', 'newer');

    expect((await restore('k')).matchedKey).toBe('k');
    service.remove('k');
    expect((await restore('k', { 'restore-keys': 'other' })).matchedKey).toBe('k-2');
  });

  test('refuses a second save of a key', async () => {
    await save('k', 'first');
    const { outputs, log, exitCode, annotations } = await save('k', 'second');

    expect(outputs.id).toBe('-1');
    expect(log).toContain('another job may be creating this cache');
    expect({ exitCode, annotations }).toEqual({ exitCode: 0, annotations: [] });
    expect(service.requests.at(-1)).toMatchObject({ method: 'CreateCacheEntry', status: 409 });
    expect((await restore('k')).content?.toString()).toBe('first');
  });

  test('keeps entries of one key but other paths apart', async () => {
    await save('k', 'content');
    await save('k', 'content', { paths: 'files/content' });

    expect(service.keys()).toEqual(['k', 'k']);
    expect((await restore('k', { paths: 'files\nmore' })).matchedKey).toBe('');
  });

  test('lets the client look up without a download', async () => {
    await save('k', 'content');
    const { matchedKey, content } = await restore('k', { 'lookup-only': 'true' });

    expect({ matchedKey, content }).toEqual({ matchedKey: 'k', content: undefined });
  });

  test('carries 20 MB unchanged', async () => {
    const random = randomBytes(20_000_000);
    await save('k', random);
    const { content } = await restore('k');

    expect(content?.equals(random)).toBe(true);
  });

  test('serves a blob that has been damaged', async () => {
    await save('k', 'content');
    await service.writeBlob('k', Buffer.from('no archive'));
    const { matchedKey, annotations } = await restore('k');

    expect(matchedKey).toBe('');
    expect(annotations).toMatchObject([
      { level: 'warning', message: expect.stringContaining('Failed to restore') },
    ]);
  });

  test('lets an interceptor answer in its place', async () => {
    await save('k', 'content');
    intercept = ({ method }, response) => {
      if (method !== 'GetCacheEntryDownloadURL') return false;
      response.writeHead(403).end(JSON.stringify({ code: 'permission_denied', msg: 'closed' }));
      return true;
    };
    const { matchedKey, annotations } = await restore('k');

    expect(matchedKey).toBe('');
    expect(annotations).toMatchObject([
      { level: 'warning', message: expect.stringContaining('closed') },
    ]);
    expect(service.requests.at(-1)?.status).toBe(403);
  });
});

test('the cache service leaves nothing behind when its process is killed', async () => {
  const directory = await makeDirectory();
  const script = join(directory, 'start.mts');
  const support = join(PROJECT, '__tests__', 'support', 'cache-service.ts');
  const temp = join(directory, 'tmp');
  await mkdir(temp);
  await writeFile(
    script,
    `import { startCacheService } from ${JSON.stringify(support)};
    const { url, env } = await startCacheService();
    const method = 'twirp/github.actions.results.api.v1.CacheService/CreateCacheEntry';
    const headers = { authorization: 'Bearer ' + env.ACTIONS_RUNTIME_TOKEN };
    const body = JSON.stringify({ key: 'k', version: 'v' });
    const response = await fetch(url + method, { method: 'POST', headers, body });
    console.log((await response.json()).signed_upload_url);`,
  );
  const args = ['--import', import.meta.resolve('tsx'), script];
  const child = spawn(process.execPath, args, {
    cwd: PROJECT,
    env: { ...process.env, TMPDIR: temp },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [uploadUrl] = await once(child.stdout, 'data');
  const isUp = () =>
    fetch(String(uploadUrl)).then(
      () => true,
      () => false,
    );
  const dataDirectories = async () =>
    (await readdir(temp)).filter((name) => name.startsWith('cache-service-'));

  expect(await isUp()).toBe(true);
  expect(await dataDirectories()).toHaveLength(1);
  child.kill('SIGKILL');
  while (await isUp()) await delay(20);
  expect(await dataDirectories()).toEqual([]);
  await cleanUp();
});

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('the runner', () => {
  afterEach(cleanUp);

  async function jobFor(script: string, inputs: string[] = ['unused:']): Promise<Job> {
    const actions = await makeDirectory();
    await writeAction(actions, 'inject', script, inputs);
    const job = await startJob({ actions, env: { FROM_JOB: 'job' } });
    cleanUps.push(() => job.dispose());
    return job;
  }

  async function run(script: string, options: RunOptions = {}) {
    const job = await jobFor(script);
    return job.runAction('inject', {}, options);
  }

  test('collects what a step leaves', async () => {
    const lines: string[] = [];
    const result = await run(
      `import { appendFileSync } from 'node:fs';
      const { GITHUB_OUTPUT, GITHUB_ENV, GITHUB_STEP_SUMMARY } = process.env;
      appendFileSync(GITHUB_OUTPUT, 'plain=a=b<<c\\nblock<<END\\none\\n\\ntwo=2\\nEND\\nempty<<END\\nEND\\n');
      appendFileSync(GITHUB_ENV, 'NAME<<END\\nvalue\\nEND\\n');
      appendFileSync(GITHUB_STEP_SUMMARY, '# Title\\n');
      process.stdout.write('::warning file=a.ts,line=1::100%25%0Asure\\n::err');
      process.stderr.write('noise\\n');
      process.stdout.write('or::bad\\n::stop-commands::token\\n');
      process.stdout.write('::error::not one\\n::token::\\n::notice::fine');
      process.exitCode = 3;`,
      { onLog: (text) => lines.push(text) },
    );

    expect(result).toMatchObject({
      exitCode: 3,
      signal: null,
      outputs: { plain: 'a=b<<c', block: 'one\n\ntwo=2', empty: '' },
      env: { NAME: 'value' },
      summary: '# Title\n',
      annotations: [
        { level: 'warning', message: '100%\nsure' },
        { level: 'error', message: 'bad' },
        { level: 'notice', message: 'fine' },
      ],
    });
    expect(result.log).toContain('noise\n');
    expect(lines.join('')).toBe(result.log);
  });

  test('gives a step its inputs and a clean environment', async () => {
    const job = await jobFor('console.log(JSON.stringify([process.cwd(), process.env]));', [
      'with-dash:',
      'with space: {default: 007}',
      'flag: {description: x, default: false}',
    ]);
    process.env.STRAY = 'x';
    const options = { env: { FROM_STEP: 'step' } };
    const { log } = await job.runAction('inject', { 'with-dash': '${{ x }}' }, options);
    delete process.env.STRAY;

    const [cwd, env] = JSON.parse(log);
    expect(cwd).toBe(job.workspace);
    expect(env).toMatchObject({
      'INPUT_WITH-DASH': '${{ x }}',
      INPUT_WITH_SPACE: '007',
      INPUT_FLAG: 'false',
      FROM_JOB: 'job',
      FROM_STEP: 'step',
      GITHUB_WORKSPACE: job.workspace,
      RUNNER_TEMP: job.runnerTemp,
    });
    expect(env).not.toHaveProperty('STRAY');
    await expect(job.runAction('inject', { stray: 'x' })).rejects.toThrow('no input named stray');
  });

  test('carries GITHUB_ENV and GITHUB_PATH over to the next step', async () => {
    const job = await jobFor(`
      import { appendFileSync } from 'node:fs';
      console.log(process.env.NAME, process.env.PATH.split(':')[0]);
      appendFileSync(process.env.GITHUB_ENV, 'NAME=value\\n');
      appendFileSync(process.env.GITHUB_PATH, '/added\\n');`);

    await job.runAction('inject', {});
    expect((await job.runAction('inject', {})).log).toBe('value /added\n');
  });

  test('cancels a step', async () => {
    const script = `
      process.on('SIGINT', () => { console.log('cancelled'); process.exit(7); });
      setInterval(() => {}, 1000);
      console.log('ready');`;

    const handled = await run(script, { signalAfter: { log: /ready/ } });
    expect(handled).toMatchObject({ exitCode: 7, signal: null, log: 'ready\ncancelled\n' });
    const killed = await run(script, { signalAfter: { log: /ready/, signal: 'SIGKILL' } });
    expect(killed).toMatchObject({ exitCode: 137, signal: 'SIGKILL' });
  });

  test('ends a step that hangs, and what it has started', async () => {
    // In which a busy machine, too, has started it.
    const silenceMs = 10_000;
    const step = run(
      `import { spawn } from 'node:child_process';
      const { pid } = spawn('sleep', ['600'], { stdio: 'inherit' });
      console.log('started', pid);`,
      { silenceMs },
    );

    const error: unknown = await step.catch((reason: unknown) => reason);
    expect(String(error)).toMatch(/more than 10000 ms[\s\S]*started \d+/);
    const pid = Number(/started (\d+)/.exec(String(error))?.[1]);
    // a killed orphan stays visible until init has reaped it
    while (isRunning(pid)) await delay(20);
  });
});
