/** Trouble with the cache service: every row is a warning, loses nothing, and heals by itself. */
import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { answer, type Faults, startFaultyService } from '../support/faulty-service.js';
import { lastingProcessesWith } from '../support/processes.js';
import type { Job, StepResult } from '../support/runner.js';
import { leftovers, useScenario } from '../support/scenario.js';

const scenario = useScenario();
const mounts = 'm\nn';
const closings: (() => void)[] = [];
let version: string;
let blob: Buffer;

beforeAll(async () => {
  await scenario.builder.empty();
  await scenario.builder.run({ id: 'm' }, 'echo 1 >/c/file');
  // More than fits into the buffers on its way, so that it can be cut.
  await scenario.builder.run({ id: 'n' }, 'dd if=/dev/urandom of=/c/big bs=1M count=2 2>/dev/null');
  await scenario.save(mounts, 'k-1');
  version = scenario.service.entries()[0]?.version ?? '';
  blob = await scenario.service.readBlob('k-1');
  scenario.service.reset();
});
beforeEach(async () => {
  await scenario.service.add({ key: 'k-1', version }, blob);
});
afterEach(() => {
  for (const close of closings.splice(0)) close();
});

interface Row {
  readonly env?: Readonly<Record<string, string>>;
  readonly faults?: Faults;
  readonly inputs?: Readonly<Record<string, string>>;
  /** Of all warnings together. */
  readonly warnings?: RegExp;
  readonly log?: RegExp;
}

async function environment({ env, faults }: Row): Promise<Readonly<Record<string, string>>> {
  if (!faults) return env ?? {};
  const faulty = await startFaultyService(scenario.service, faults);
  closings.push(faulty.close);
  return { ...faulty.env, ...env };
}

/** Warnings are the worst that the step has to say, and they are those of the row. */
function expectWarnings(name: string, { warnings, log }: Row, result: StepResult): void {
  const said = result.annotations.map(({ message }) => message).join('\n');
  const levels = new Set(result.annotations.map(({ level }) => level));
  expect([name, result.exitCode, [...levels]]).toEqual([name, 0, warnings ? ['warning'] : []]);
  expect(`${name}: ${said}`).toMatch(warnings ?? /: $/);
  if (log) expect(`${name}: ${result.log}`).toMatch(log);
}

async function contents(): Promise<string> {
  return scenario.builder.run({ id: 'm' }, 'cat /c/file >/out/result');
}

const refuse =
  (status: number, message: string, methods: RegExp = /./, headers = {}) =>
  (method: string, response: ServerResponse): boolean =>
    methods.test(method) && answer(response, status, message, headers);

const cut = (_: string, response: ServerResponse): true => {
  response.destroy();
  return true;
};

/** Neither answers nor hangs up. */
const silence =
  (methods: RegExp) =>
  (method: string): boolean =>
    methods.test(method);

const slow = async (): Promise<false> => {
  await delay(2000);
  return false;
};

const send =
  (change: (data: Buffer) => Buffer, length?: (data: Buffer) => number) =>
  (data: Buffer, response: ServerResponse): void => {
    response.writeHead(200, { 'content-length': length?.(data) ?? change(data).length });
    response.write(change(data), () => {
      // Behind what has been sent, so that this arrives.
      if (length) setTimeout(() => response.destroy(), 100);
      else response.end();
    });
  };

const half = (data: Buffer): Buffer => data.subarray(0, data.length / 2);
/** The client tries again after some seconds. */
const cutOnce = (then: (data: Buffer) => Buffer | 'refuse'): NonNullable<Faults['upload']> => {
  let isFirst = true;
  return (data) => {
    if (!isFirst) return then(data);
    isFirst = false;
    return 'cut';
  };
};

const lookUp = /^GetCacheEntryDownloadURL$/;
const reserve = /^CreateCacheEntry$/;
const nobody = { ACTIONS_RESULTS_URL: 'http://127.0.0.1:1/' };
const damaged = /k-1 could not be restored \(the log says why\).*gh cache delete 'k-1'/;

const injectRows: Record<string, Row> = {
  'nobody listens': { env: nobody, warnings: /ECONNREFUSED/ },
  'hung up on': { faults: { call: cut }, warnings: /Failed to restore: / },
  'status 401': { faults: { call: refuse(401, 'invalid token') }, warnings: /401.*invalid token/ },
  'status 403': {
    faults: { call: refuse(403, 'cache read denied: no scopes') },
    warnings: /cache read denied/,
  },
  'status 404': { faults: { call: refuse(404, 'no such route') }, warnings: /404/ },
  'status 429': {
    faults: { call: refuse(429, 'too many', /./, { 'retry-after': '7' }) },
    warnings: /rate limit will reset in 7 seconds[\s\S]*Rate limited/,
  },
  'status 500': {
    faults: { call: refuse(500, 'internal') },
    warnings: /after 5 attempts: .*500/,
    log: /^The cache service has taken 1\d seconds so far\.\n[\s\S]*^The cache service has taken 2\d seconds so far\.$/m,
  },
  'no answer': {
    faults: { call: silence(lookUp) },
    inputs: { timeout: '0.4' },
    warnings: /Stopped after 0\.4 minutes \(input timeout\) in the stage "Look up the key"/,
  },
  'no runtime token': { env: { ACTIONS_RUNTIME_TOKEN: '' }, warnings: /ACTIONS_RUNTIME_TOKEN/ },
  'the cache mode write-only': {
    env: { ACTIONS_CACHE_MODE: 'write-only' },
    log: /'write-only' does not permit reads/,
  },
  'a download that is cut': {
    faults: { download: send(half, (data) => data.length) },
    warnings: damaged,
  },
  'a download that is short': { faults: { download: send(half) }, warnings: damaged },
  'a download that is long': {
    faults: { download: send((data) => Buffer.concat([data, data.subarray(0, 999)])) },
    warnings: damaged,
  },
  'a download that hangs': {
    faults: { download: (data, response) => void response.writeHead(200).write(half(data)) },
    warnings: damaged,
  },
  'a blob that is gone': {
    faults: { download: (_, response) => void answer(response, 404, 'BlobNotFound') },
    warnings: damaged,
  },
};

describe('inject', () => {
  test('goes on cold whatever the service does, and the next one is warm', async () => {
    const job = await scenario.newJob();
    await Promise.all(
      Object.entries(injectRows).map(async ([name, row]) => {
        const result = await job.runAction(
          'inject',
          { 'cache-mounts': mounts, key: 'k-1', ...row.inputs },
          { env: await environment(row) },
        );
        expectWarnings(name, row, result);
        expect([name, result.outputs['cache-hit']]).toEqual([name, 'false']);
      }),
    );
    expect(await leftovers(job)).toEqual(['buildkit-cache-mounts-state']);
    expect(await lastingProcessesWith(job.runnerTemp)).toEqual([]);
    expect(scenario.service.savedKeys()).toEqual(['k-1']);
    expect(await scenario.service.readBlob('k-1')).toEqual(blob);

    const next = await job.runAction('inject', { 'cache-mounts': mounts, key: 'k-1' });
    expect(next).toMatchObject({ exitCode: 0, outputs: { 'cache-hit': 'true' }, annotations: [] });
    expect(next.log).toMatch(/^restored +n /m);
    expect(await contents()).toBe('1\n');
    await job.runAction('extract', {});
    expect(await leftovers(job)).toEqual([]);
  });

  test('waits for a service that is slow', async () => {
    const env = await environment({ faults: { call: slow } });
    const inputs = { 'cache-mounts': mounts, key: 'k-1' };
    const result = await scenario.runAction('inject', inputs, { env });
    expect(result).toMatchObject({ outputs: { 'cache-hit': 'true' }, annotations: [] });
    expect(await contents()).toBe('1\n');
  });

  test.each([
    ['k'.repeat(513), /513 characters, the cache service takes 512\. Hash the longer parts/],
    ['a,b', /holds a comma/],
  ])('refuses a key that the service does not take', async (key, words) => {
    const job = await scenario.newJob();
    for (const action of ['inject', 'extract'] as const) {
      const result = await job.runAction(action, { 'cache-mounts': mounts, key });
      expect(result).toMatchObject({
        exitCode: 1,
        annotations: [{ level: 'error', message: expect.stringMatching(words) }],
      });
    }
    expect(await leftovers(job)).toEqual([]);
    expect(scenario.service.requests).toEqual([]);
    const next = await job.runAction('inject', { 'cache-mounts': mounts, key: 'k-1' });
    expect(next.outputs['cache-hit']).toBe('true');
  });
});

const untaken = /Nothing was saved: the cache service did not take it \(the log says why\)/;

const extractRows: Record<string, Row> = {
  'no answer on saving': {
    faults: { call: silence(reserve) },
    inputs: { timeout: '0.6' },
    warnings: /Stopped after 0\.6 minutes \(input timeout\) in the stage "Save to the cache"/,
  },
  'nobody listens': { env: nobody, warnings: untaken },
  'hung up on': { faults: { call: cut }, warnings: untaken },
  'status 401': { faults: { call: refuse(401, 'invalid token') }, warnings: untaken },
  'status 403 on saving, as for a fork': {
    faults: { call: refuse(403, 'cache write denied: read-only token', reserve) },
    warnings: untaken,
  },
  'status 404': { faults: { call: refuse(404, 'no such route') }, warnings: untaken },
  'status 429': { faults: { call: refuse(429, 'too many') }, warnings: untaken },
  'no answer to the look-up': {
    faults: { call: silence(lookUp) },
    inputs: { timeout: '0.4' },
    warnings: /Stopped after 0\.4 minutes \(input timeout\) in the stage "Look up the key"/,
  },
  'no runtime token': {
    env: { ACTIONS_RUNTIME_TOKEN: '' },
    warnings: /the cache could not be saved: .*ACTIONS_RUNTIME_TOKEN/,
  },
  'the cache mode read': { env: { ACTIONS_CACHE_MODE: 'read' }, warnings: untaken },
  'an upload that is cut, and then refused': {
    faults: { upload: cutOnce(() => 'refuse') },
    warnings: untaken,
  },
  'an upload that is short': {
    faults: { upload: half },
    warnings: /bytes declared, \d+ uploaded[\s\S]*did not take it/,
  },
};

describe('extract', () => {
  async function fill(): Promise<void> {
    await scenario.builder.run({ id: 'm' }, 'echo 2 >/c/file');
    await scenario.builder.run({ id: 'n' }, 'echo 2 >/c/file');
  }

  /** The next job, on an emptied builder, goes on from there. */
  async function expectNext(key: string, content: string): Promise<void> {
    const next = await scenario.injectAnew({ 'cache-mounts': mounts, key, 'restore-keys': 'k-' });
    expect(next.outputs).toMatchObject({ 'cache-hit': 'true', 'cache-matched-key': key });
    expect(await contents()).toBe(content);
  }

  test('saves nothing whatever the service does, and the next one saves', async () => {
    await fill();
    const job = await scenario.newJob();
    // The first has the builder for itself, so that it comes to saving in its time.
    let start = (): void => undefined;
    const started = new Promise<void>((resolve) => {
      start = resolve;
    });
    const onLog = (line: string): void => {
      if (line.includes('Save to the cache')) start();
    };
    await Promise.all(
      Object.entries(extractRows).map(async ([name, row], index) => {
        if (index > 0) await started;
        const result = await job.runAction(
          'extract',
          { 'cache-mounts': mounts, key: `k-2-${index}`, ...row.inputs },
          { env: await environment(row), onLog },
        );
        start();
        expectWarnings(name, row, result);
        const { saved, reason = '' } = result.outputs;
        expect([name, saved, row.warnings?.test(`Nothing was saved: ${reason}.`)]).toEqual([
          name,
          'false',
          // That it was short, the client alone says.
          name !== 'an upload that is short',
        ]);
      }),
    );
    expect(await leftovers(job)).toEqual([]);
    expect(await lastingProcessesWith(job.runnerTemp)).toEqual([]);
    expect(scenario.service.savedKeys()).toEqual(['k-1']);
    expect(await scenario.service.readBlob('k-1')).toEqual(blob);

    expect(await job.runAction('extract', { 'cache-mounts': mounts, key: 'k-3' })).toMatchObject({
      outputs: { saved: 'true' },
      annotations: [],
    });
    await expectNext('k-3', '2\n');
  });

  test('removes what inject has left, too, if its time ends while the service does not answer', async () => {
    const job = await scenario.newJob();
    const hit = await job.runAction('inject', {
      'cache-mounts': mounts,
      key: 'k-2',
      'restore-keys': 'k-',
    });
    expect(hit.outputs['cache-matched-key']).toBe('k-1');
    expect(await leftovers(job)).toEqual(['buildkit-cache-mounts-state']);
    const env = await environment({ faults: { call: silence(lookUp) } });
    const result = await job.runAction('extract', { timeout: '0.2' }, { env });
    const warnings = /Stopped after 0\.2 minutes \(input timeout\) in the stage "Look up the key"/;
    expectWarnings('no answer', { warnings }, result);
    expect(await leftovers(job)).toEqual([]);
  });

  test('waits for a service that is slow, and whose connection is cut once', async () => {
    await fill();
    const upload = cutOnce((data) => data);
    const env = await environment({ faults: { call: slow, upload } });
    const inputs = { 'cache-mounts': mounts, key: 'k-2' };
    const result = await scenario.runAction('extract', inputs, { env });
    expect(result).toMatchObject({ outputs: { saved: 'true' }, annotations: [] });
    await expectNext('k-2', '2\n');
  });

  test('leaves a key alone that another job has taken in between', async () => {
    await fill();
    const call = async (method: string): Promise<false> => {
      if (reserve.test(method)) await scenario.service.add({ key: 'k-2', version }, blob);
      return false;
    };
    const env = await environment({ faults: { call } });
    const inputs = { 'cache-mounts': mounts, key: 'k-2' };
    const result = await scenario.runAction('extract', inputs, { env });
    expectWarnings('taken', { warnings: /another job has saved this key in the meantime/ }, result);
    expect(result.outputs.saved).toBe('false');
    await expectNext('k-2', '1\n');
  });
});

/** A job whose build comes out of the layer cache in part fills only some of the mounts. */
async function injectAndBuildSome(row: Row): Promise<{ job: Job; injected: StepResult }> {
  const job = await scenario.newJob();
  const inputs = { 'cache-mounts': mounts, key: 'k-2', 'restore-keys': 'k-' };
  const injected = await job.runAction('inject', inputs, { env: await environment(row) });
  await scenario.builder.run({ id: 'm' }, 'echo 2 >/c/file');
  return { job, injected };
}

test.each([
  ['the look-up', { call: refuse(429, 'too many') }],
  ['the download', { download: send(half) }],
])('where %s has failed, extract saves again what the build has not filled', async (_, faults) => {
  const { job, injected } = await injectAndBuildSome({ faults });
  expect(injected).toMatchObject({ exitCode: 0, outputs: { 'cache-hit': 'false' } });
  const remark = 'The cache mount n is absent, and inject could not restore k-1';
  const extracted = await job.runAction('extract', {});
  expect(extracted).toMatchObject({
    exitCode: 0,
    outputs: { saved: 'true', reason: expect.stringContaining(remark) },
  });
  expect(extracted.annotations.at(-1)).toEqual({
    level: 'warning',
    message: expect.stringContaining(remark),
  });
  expect(await leftovers(job)).toEqual([]);
  expect(scenario.service.savedKeys()).toEqual(['k-1', 'k-2']);
  expect(await scenario.service.readBlob('k-1')).toEqual(blob);

  const next = await scenario.injectAnew({ 'cache-mounts': mounts, key: 'k-2' });
  expect(next.outputs['cache-hit']).toBe('true');
  expect(next.log).toMatch(/^restored +m [\s\S]*^restored +n /m);
  expect(await contents()).toBe('2\n');
});
