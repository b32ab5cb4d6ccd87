/** What a registry that keeps the archives does on the way, and what else its tags may hold. */
import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { which } from '@actions/io';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  docker,
  listFiles,
  prepareBuilder,
  type TestBuilder,
  useRunnersNetwork,
} from '../support/engine.js';
import { lastingProcessesWith } from '../support/processes.js';
import { type StrictRegistry, startStrictRegistry } from '../support/registry.js';
import {
  type IndexText,
  manifestIn,
  readTag,
  withAnnotations,
  withManifest,
  withPiece,
  writeTag,
} from '../support/registry-entry.js';
import {
  isPush,
  type RegistryCall,
  type RegistryFaults,
  readOnly,
  refuse,
  startRegistryProxy,
} from '../support/registry-proxy.js';
import type { StepResult } from '../support/runner.js';
import { leftovers, pathWith, useScenario } from '../support/scenario.js';

const scenario = useScenario();
const mounts = 'm\nn';
let registry: StrictRegistry;
let removeBuilder: () => Promise<void>;
const closings: (() => void | Promise<void>)[] = [];

/** The same content by another way. */
const at = (port: number, tag: string) => `127.0.0.1:${port}/app:${tag}`;
const ref = (tag: string) => at(registry.port, tag);
/** What the first tag held when all of it was saved. */
let saved: string;

beforeAll(async () => {
  [registry, removeBuilder] = await Promise.all([startStrictRegistry(), useRunnersNetwork()]);
  await scenario.builder.empty();
  await fill('1');
  await scenario.builder.run({ id: 'n' }, bigFile);
  await save('saved', 'k-1');
  saved = (await readTag(ref('saved'))) ?? '';
});
afterAll(async () => {
  await removeBuilder();
  await registry.close();
});
beforeEach(() => writeTag(ref('saved'), saved));
afterEach(async () => {
  registry.setFaults();
  for (const close of closings.splice(0)) await close();
});

const bigFile = 'dd if=/dev/urandom of=/c/big bs=1M count=2 2>/dev/null';
const fill = (content: string, builder = scenario.builder) =>
  builder.run({ id: 'm' }, `echo ${content} >/c/file`);
const contents = () => scenario.builder.run({ id: 'm' }, 'cat /c/file >/out/result');

async function save(tag: string, key: string): Promise<void> {
  const inputs = { 'cache-mounts': mounts, registry: ref(tag), key };
  const result = await scenario.runAction('extract', inputs);
  expect(result).toMatchObject({ exitCode: 0, outputs: { saved: 'true' }, annotations: [] });
}

/** The next job, on an emptied builder. */
async function expectWhole(tag: string, key: string, content: string): Promise<void> {
  const inputs = { 'cache-mounts': mounts, registry: ref(tag), key };
  const hit = await scenario.injectAnew(inputs);
  expect(hit).toMatchObject({ outputs: { 'cache-hit': 'true' }, annotations: [] });
  expect(hit.log).toMatch(/^restored +m [\s\S]*^restored +n /m);
  expect(await contents()).toBe(content);
}

interface Row {
  readonly faults?: RegistryFaults;
  /** In place of the port of the faulty registry. */
  readonly port?: number;
  readonly inputs?: Readonly<Record<string, string>>;
  /** Of all warnings together; by default there is none. */
  readonly warnings?: RegExp;
}

async function portOf({ faults, port }: Row): Promise<number> {
  if (port !== undefined) return port;
  const proxy = await startRegistryProxy(registry.port);
  closings.push(proxy.close);
  proxy.setFaults(faults);
  return proxy.port;
}

/** Warnings are the worst that the step has to say, and they are those of the row. */
function expectWarnings(name: string, { warnings }: Row, result: StepResult): void {
  const said = result.annotations.map(({ message }) => message).join('\n');
  const levels = new Set(result.annotations.map(({ level }) => level));
  expect([name, result.exitCode, [...levels]]).toEqual([name, 0, warnings ? ['warning'] : []]);
  expect(`${name}: ${said}`).toMatch(warnings ?? /: $/);
}

type Call = NonNullable<RegistryFaults['call']>;
type Choice = (call: RegistryCall) => boolean;

const all: Choice = () => true;
const isManifestByDigest: Choice = ({ path }) => path.includes('/manifests/sha256:');
/** Not the index, which is also read by its digest. (BuildKit asks for a manifest among the blobs, too.) */
const isOfImage: Choice = ({ path }) =>
  (JSON.parse(saved) as IndexText).manifests.some(({ digest }) => path.endsWith(digest));
/** What is written last. */
const isTag: Choice = (call) =>
  call.method === 'PUT' && call.kind === 'manifest' && !isManifestByDigest(call);

const refused =
  (status: number, code: string, which: Choice = all, headers = {}): Call =>
  (call, response) =>
    which(call) && refuse(response, status, code, code.toLowerCase(), headers);
const basic = { 'www-authenticate': 'Basic realm="registry"' };
/** Only when the whole request has come: until then the client may fail in writing it, with other words. */
const hungUpOn =
  (which: Choice = all): Call =>
  async (call, response: ServerResponse) => {
    if (!which(call)) return false;
    await finished(response.req.resume());
    response.destroy();
    return true;
  };

/** More than what is no archive has, and less than the larger archive has. */
const some = 100_000;

/** Cuts a body whenever the client goes on, and lets nothing more through from the second time on. */
function cutAgain(which: Choice): NonNullable<RegistryFaults['cutAfter']> {
  let passed = some;
  return (call) => {
    if (!which(call)) return undefined;
    const now = passed;
    passed = 0;
    return now;
  };
}

function cutOnce(which: Choice): NonNullable<RegistryFaults['cutAfter']> {
  let isCut = false;
  return (call) => {
    if (isCut || !which(call)) return undefined;
    isCut = true;
    return some;
  };
}

const remedy = 'docker\\/login-action.*packages: write';
const fromHere = 'asked from this machine';

/** They end with the look-up. */
const lookUpRows: Record<string, Row> = {
  'nobody listens': { port: 1, warnings: new RegExp(`cannot be read: .*refused.*${fromHere}`) },
  'hung up on': {
    faults: { call: hungUpOn() },
    warnings: new RegExp(`cannot be read: .*EOF.*${fromHere}`),
  },
  'status 401': {
    faults: { call: refused(401, 'UNAUTHORIZED', all, basic) },
    warnings: new RegExp(`cannot be read: the registry denies it .*${remedy}`),
  },
  'status 403': {
    faults: { call: refused(403, 'DENIED') },
    warnings: new RegExp(`cannot be read: the registry denies it .*${remedy}`),
  },
  'status 429': {
    faults: { call: refused(429, 'TOOMANYREQUESTS') },
    warnings: /cannot be read: .*429/,
  },
  'status 500': {
    faults: { call: refused(500, 'UNKNOWN') },
    warnings: /cannot be read: .*500/,
  },
  'no answer': {
    faults: { call: () => true },
    inputs: { timeout: '0.3' },
    warnings: /Stopped after 0\.3 minutes \(input timeout\) in the stage "Look up the key"/,
  },
};

/** They end in the builder, which must have nothing of the archives yet. */
const pullRows: Record<string, Row> = {
  'an image that is gone': {
    faults: { call: refused(404, 'MANIFEST_UNKNOWN', isOfImage) },
    warnings: /m was left out: an image .* is gone[\s\S]*n was left out/,
  },
  'an archive that is gone': {
    faults: { call: refused(404, 'BLOB_UNKNOWN', ({ kind }) => kind === 'blob') },
    warnings: /not found/,
  },
  'an archive that is denied': {
    faults: { call: refused(403, 'DENIED', ({ kind }) => kind === 'blob') },
    warnings: /denied|403/i,
  },
  'an archive that is cut again and again': {
    faults: { cutAfter: cutAgain(({ kind }) => kind === 'blob') },
    warnings: /build failed/,
  },
};

describe('inject', () => {
  test('goes on cold whatever the registry does, and the next one is warm', async () => {
    await scenario.builder.empty();
    const job = await scenario.newJob();
    const expectCold = async (name: string, row: Row): Promise<void> => {
      const reference = at(await portOf(row), 'saved');
      const result = await job.runAction('inject', {
        ...{ 'cache-mounts': mounts, registry: reference, key: randomUUID() },
        ...row.inputs,
      });
      expectWarnings(name, row, result);
      const { 'cache-hit': hit, 'restored-count': count } = result.outputs;
      expect([name, hit, count]).toEqual([name, 'false', '0']);
    };
    const rows = Object.entries(lookUpRows);
    await Promise.all(rows.map(([name, row]) => expectCold(name, row)));
    for (const [name, row] of Object.entries(pullRows)) {
      await scenario.builder.empty();
      await expectCold(name, row);
    }
    expect(await leftovers(job)).toEqual(['buildkit-cache-mounts-state']);
    expect(await lastingProcessesWith(job.runnerTemp)).toEqual([]);
    expect(await readTag(ref('saved'))).toBe(saved);

    const inputs = { 'cache-mounts': mounts, registry: ref('saved'), key: 'k-1' };
    const next = await job.runAction('inject', inputs);
    expect(next).toMatchObject({ exitCode: 0, outputs: { 'cache-hit': 'true' }, annotations: [] });
    expect(await contents()).toBe('1\n');
  });

  test('fetches an archive anew that is cut once, and waits for a registry that is slow', async () => {
    registry.setFaults({
      call: async () => {
        await delay(500);
        return false;
      },
      cutAfter: cutOnce(({ kind, method }) => kind === 'blob' && method === 'GET'),
    });
    await expectWhole('saved', 'k-1', '1\n');
  });

  test('reads the next line if the first has nothing, or is denied', async () => {
    const denied = at(await portOf({ faults: { call: refused(403, 'DENIED') } }), 'saved');
    const inputs = { 'cache-mounts': mounts, key: 'k-2' };
    for (const [first, count] of [
      [ref('none'), 0],
      [denied, 1],
    ] as const) {
      const registries = `${first}\n\n${ref('saved')}`;
      const hit = await scenario.injectAnew({ ...inputs, registry: registries });
      expect(hit).toMatchObject({ exitCode: 0, outputs: { 'cache-matched-key': 'k-1' } });
      expect(hit.annotations).toHaveLength(count);
      expect(await contents()).toBe('1\n');
    }
  });
});

/** Each begins behind the look-up, when the mounts are packed. */
const lateRows: Record<string, Row> = {
  'pushing is denied': {
    faults: { call: refused(403, 'DENIED', isPush) },
    warnings: new RegExp(
      `Nothing was saved: .*cannot be written: the registry denies it .*${remedy}`,
    ),
  },
  'status 500 to pushes': {
    faults: { call: refused(500, 'UNKNOWN', isPush) },
    warnings: /Nothing was saved: .*cannot be written: .*failed to push/,
  },
  'an archive that is cut again and again': {
    faults: { cutAfter: cutAgain(isPush) },
    warnings: /Nothing was saved: .*cannot be written: /,
  },
  'status 500 to the tag': {
    faults: { call: refused(500, 'UNKNOWN', isTag) },
    warnings: /Nothing was saved: .*cannot be written: .*unknown/,
  },
  'hung up on at the tag': {
    faults: { call: hungUpOn(isTag) },
    warnings: /Nothing was saved: .*cannot be written: .*EOF/,
  },
};

describe('extract', () => {
  async function fillBoth(content: string): Promise<void> {
    await scenario.builder.empty();
    await fill(content);
    await scenario.builder.run({ id: 'n' }, bigFile);
  }

  async function expectNothingSaved(name: string, row: Row): Promise<void> {
    const job = await scenario.newJob();
    const result = await job.runAction('extract', {
      ...{ 'cache-mounts': mounts, registry: at(await portOf(row), 'saved'), key: 'k-2' },
      ...row.inputs,
    });
    expectWarnings(name, row, result);
    expect([name, result.outputs.saved, result.outputs.reason !== '']).toEqual([
      name,
      'false',
      true,
    ]);
    expect(await leftovers(job)).toEqual([]);
    expect(await readTag(ref('saved'))).toBe(saved);
  }

  test('saves nothing whatever the registry does, and the next one saves', async () => {
    await fillBoth('2');
    await Promise.all(
      Object.entries(lookUpRows).map(([name, row]) => expectNothingSaved(name, row)),
    );
    for (const [name, row] of Object.entries(lateRows)) await expectNothingSaved(name, row);
    await save('late', 'k-2');
    await expectWhole('late', 'k-2', '2\n');
    await expectWhole('saved', 'k-1', '1\n');
  });

  test('saves nothing in a registry that is full, and the old entry stays', async () => {
    const full = await startStrictRegistry('8m');
    closings.push(full.close);
    const inputs = { 'cache-mounts': mounts, registry: at(full.port, 'saved') };
    await fillBoth('1');
    const first = await scenario.runAction('extract', { ...inputs, key: 'k-1' });
    expect(first).toMatchObject({ outputs: { saved: 'true' }, annotations: [] });
    const before = await readTag(at(full.port, 'saved'));
    await scenario.builder.run(
      { id: 'm' },
      'dd if=/dev/urandom of=/c/big bs=1M count=12 2>/dev/null',
    );
    const second = await scenario.runAction('extract', { ...inputs, key: 'k-2' });
    expectWarnings(
      'full',
      { warnings: /Nothing was saved: .*cannot be written: .*failed to push/ },
      second,
    );
    expect(second.outputs.saved).toBe('false');
    expect(await readTag(at(full.port, 'saved'))).toBe(before);
    const hit = await scenario.injectAnew({ ...inputs, key: 'k-1' });
    expect(hit).toMatchObject({ outputs: { 'cache-hit': 'true' }, annotations: [] });
  });

  test('saves an archive whose push is cut once', async () => {
    await fillBoth('3');
    registry.setFaults({
      cutAfter: cutOnce(({ method }) => method === 'PATCH' || method === 'PUT'),
    });
    await save('cut', 'k-3');
    registry.setFaults();
    await expectWhole('cut', 'k-3', '3\n');
  });

  test('saves nothing if what was packed has left the build cache', async () => {
    await fillBoth('4');
    // Between the build that packs and the one that pushes.
    const real = await which('docker', true);
    const forget = `${real} buildx prune --all --force --filter=type=regular >&2`;
    const script = `case "$*" in *'buildx bake'*) ${forget} ;; esac; exec ${real} "$@"`;
    const env = { PATH: await pathWith(scenario.directory, 'docker', script) };
    const inputs = { 'cache-mounts': mounts, registry: ref('saved'), key: 'k-4' };
    const result = await scenario.runAction('extract', inputs, { env });
    expectWarnings(
      'pruned',
      { warnings: /Nothing was saved: .*the builder has not kept what it has packed/ },
      result,
    );
    expect(result.outputs.saved).toBe('false');
    expect(await readTag(ref('saved'))).toBe(saved);
    await save('pruned', 'k-4');
    await expectWhole('pruned', 'k-4', '4\n');
  });
});

test('a job that may pull and not push restores, and says that it saves nothing', async () => {
  const proxy = await startRegistryProxy(registry.port);
  closings.push(proxy.close);
  proxy.setFaults({ call: readOnly(proxy.port) });
  await scenario.builder.empty();
  const job = await scenario.newJob();
  const inputs = { 'cache-mounts': mounts, registry: at(proxy.port, 'saved'), key: 'k-2' };
  const hit = await job.runAction('inject', inputs);
  expect(hit).toMatchObject({ outputs: { 'cache-matched-key': 'k-1' }, annotations: [] });
  expect(await contents()).toBe('1\n');
  await fill('2');
  const extracted = await job.runAction('extract', {});
  const warnings = new RegExp(
    `Nothing was saved: .*cannot be written: the registry denies it .*${remedy}.*fork`,
  );
  expectWarnings('read-only', { warnings }, extracted);
  expect(extracted.outputs.saved).toBe('false');
  expect(await leftovers(job)).toEqual([]);
  expect(await readTag(ref('saved'))).toBe(saved);
});

describe('a registry that has trouble at inject alone', () => {
  test('does not lose what only it has', async () => {
    await writeTag(ref('trouble'), saved);
    await scenario.builder.empty();
    const job = await scenario.newJob();
    registry.setFaults({ call: refused(500, 'UNKNOWN') });
    const inputs = { 'cache-mounts': mounts, registry: ref('trouble'), key: 'k-2' };
    const cold = await job.runAction('inject', inputs);
    expectWarnings('trouble', { warnings: /cannot be read/ }, cold);
    registry.setFaults();
    // A build that comes out of the layer cache in part fills only one of them.
    await fill('2');
    const extracted = await job.runAction('extract', {});
    expect(extracted).toMatchObject({
      exitCode: 0,
      outputs: { saved: 'true', reason: expect.stringContaining('The cache mount n is absent') },
    });
    await expectWhole('trouble', 'k-2', '2\n');
  });
});

describe('images of an entry that something has removed', () => {
  test('are a cold build, after which all is saved in full', async () => {
    const own = await startStrictRegistry();
    closings.push(own.close);
    const registryInput = at(own.port, 'mounts');
    const inputs = { 'cache-mounts': mounts, registry: registryInput };
    await scenario.builder.empty();
    await fill('1');
    await scenario.builder.run({ id: 'n' }, bigFile);
    const first = await scenario.runAction('extract', { ...inputs, key: 'k-1' });
    expect(first).toMatchObject({ outputs: { saved: 'true' }, annotations: [] });
    await own.removeUntagged();

    await scenario.builder.empty();
    const job = await scenario.newJob();
    const cold = await job.runAction('inject', { ...inputs, key: 'k-2' });
    expectWarnings('gone', { warnings: /m was left out: an image .* is gone/ }, cold);
    expect(cold.outputs).toMatchObject({ 'cache-hit': 'false', 'restored-count': '0' });
    await fill('2');
    await scenario.builder.run({ id: 'n' }, bigFile);
    const extracted = await job.runAction('extract', {});
    expect(extracted).toMatchObject({ exitCode: 0, outputs: { saved: 'true' } });
    expect(extracted.log).toMatch(/^packed +m [\s\S]*^packed +n /m);
    const hit = await scenario.injectAnew({ ...inputs, key: 'k-2' });
    expect(hit).toMatchObject({ outputs: { 'cache-hit': 'true' }, annotations: [] });
    expect(await contents()).toBe('2\n');
  });
});

const loud = 'x\n::error::injected\n##[error]injected';

/** What is wrong with the index, and the words for it. */
const damagedRows: Record<string, [RegExp, (index: IndexText) => IndexText]> = {
  'a manifest with another letter': [
    /checksum/,
    (index) => {
      const name = 'buildkit-cache-mounts.manifest.0';
      const text = index.annotations[name] ?? '';
      const other = text[20] === 'A' ? 'B' : 'A';
      return withAnnotations(index, { [name]: `${text.slice(0, 20)}${other}${text.slice(21)}` });
    },
  ],
  'no manifest': [
    /checksum/,
    (index) => withAnnotations(index, { 'buildkit-cache-mounts.manifest.0': undefined }),
  ],
  'no checksum': [
    /checksum/,
    (index) => withAnnotations(index, { 'buildkit-cache-mounts.manifest.sha256': undefined }),
  ],
  'a newer format of the index': [
    /its format is "2"/,
    (index) => withAnnotations(index, { 'buildkit-cache-mounts.format': '2' }),
  ],
  'a hostile format': [
    /its format is "x/,
    (index) => withAnnotations(index, { 'buildkit-cache-mounts.format': loud }),
  ],
  'no gzip': [/cannot be used/, (index) => withPiece(index, '$(id)')],
  'no JSON': [/JSON/, (index) => withManifest(index, loud)],
  'a manifest that unpacks to too much': [
    /cannot be used/,
    (index) => withManifest(index, Buffer.alloc(100 << 20, ' ')),
  ],
  'a newer format of the manifest': [
    /its format is 2/,
    (index) => withManifest(index, manifestIn(index).replace('"format": 1', '"format": 2')),
  ],
  'an image that the index does not name': [
    /is not among those of the index/,
    (index) => withManifest(index, manifestIn(index).replace(/sha256:[0-9a-f]/, 'sha256:x')),
  ],
  'an image elsewhere': [
    /is not among those of the index/,
    (index) =>
      withManifest(
        index,
        manifestIn(index).replace(/sha256:[0-9a-f]{64}/, 'evil.example/x:latest'),
      ),
  ],
};

describe('an entry that cannot be used', () => {
  test('is a cold build whatever is wrong with it, and the next extract replaces it', async () => {
    const index = JSON.parse(saved);
    await scenario.builder.empty();
    const job = await scenario.newJob();
    const rows = Object.entries(damagedRows).map(
      ([name, row], number) => [name, `damaged-${number}`, ...row] as const,
    );
    await Promise.all(
      rows.map(async ([name, tag, warnings, change]) => {
        await writeTag(ref(tag), change(index));
        const inputs = { 'cache-mounts': mounts, registry: ref(tag), key: tag };
        const result = await job.runAction('inject', inputs);
        expectWarnings(name, { warnings }, result);
        expect([name, result.outputs['restored-count']]).toEqual([name, '0']);
        expect(result.log).not.toMatch(/^(::error|##\[error)/m);
      }),
    );
    const [first] = rows;
    await fill('5');
    await scenario.builder.run({ id: 'n' }, bigFile);
    const inputs = { 'cache-mounts': mounts, registry: ref(first?.[1] ?? ''), key: 'k-5' };
    const extracted = await scenario.runAction('extract', inputs);
    expect(extracted).toMatchObject({ exitCode: 0, outputs: { saved: 'true' } });
    await expectWhole(first?.[1] ?? '', 'k-5', '5\n');
  });
});

describe('a tag that is none of ours', () => {
  test.each([
    ['an image', ['--provenance=false']],
    ['an index', ['--provenance=true']],
    ['a layer cache', []],
  ] as const)('is left as it is: %s', async (what, options) => {
    const tag = what.replaceAll(' ', '-');
    const context = join(scenario.directory, 'context');
    await mkdir(context);
    await writeFile(join(context, 'file'), 'of the image');
    await writeFile(join(context, 'Dockerfile'), 'FROM scratch\nCOPY file /\n');
    const output =
      what === 'a layer cache'
        ? [`--cache-to=type=registry,ref=${ref(tag)},mode=max`, '--output=type=cacheonly']
        : ['--push', `--tag=${ref(tag)}`, ...options];
    await docker(['buildx', 'build', ...output, context]);
    const before = await readTag(ref(tag));
    const job = await scenario.newJob();
    const inputs = { 'cache-mounts': mounts, registry: ref(tag), key: 'k' };
    const warnings = /is an image, and no saved cache mounts: it stays as it is.*another tag/;
    expectWarnings('inject', { warnings }, await job.runAction('inject', inputs));
    await fill('6');
    const extracted = await job.runAction('extract', {});
    expectWarnings('extract', { warnings }, extracted);
    expect(extracted.outputs.saved).toBe('false');
    expect(await readTag(ref(tag))).toBe(before);
  });
});

describe('two jobs at once', () => {
  let other: TestBuilder;
  const env = { BUILDX_BUILDER: `second-${randomUUID()}` };

  beforeAll(async () => {
    const create = ['buildx', 'create', `--name=${env.BUILDX_BUILDER}`, '--bootstrap'];
    await docker([...create, '--driver=docker-container', '--driver-opt=network=host']);
    other = await prepareBuilder(env);
  });
  afterAll(async () => {
    await other.dispose();
    await docker(['buildx', 'rm', '--force', env.BUILDX_BUILDER]);
  });

  test('that push to one tag leave the entry of one of them, whole', async () => {
    const listings: string[] = [];
    for (const [index, builder] of [scenario.builder, other].entries()) {
      await builder.empty();
      listings.push(await builder.run({ id: 'm' }, `echo ${index} >/c/file${listFiles}`));
    }
    // Both have pushed their archives before one of them writes the tag.
    let waiting = 0;
    let release = (): void => undefined;
    const areBoth = new Promise<void>((resolve) => {
      release = resolve;
    });
    registry.setFaults({
      call: async (call) => {
        if (!isTag(call)) return false;
        if (++waiting === 2) release();
        await areBoth;
        return false;
      },
    });
    const inputs = { 'cache-mounts': 'm', registry: ref('race') };
    const results = await Promise.all(
      [scenario, scenario.on({ env, builder: other })].map((jobs, index) =>
        jobs.runAction('extract', { ...inputs, key: `k-${index}` }),
      ),
    );
    for (const result of results) {
      expect(result).toMatchObject({ exitCode: 0, outputs: { saved: 'true' }, annotations: [] });
    }
    registry.setFaults();
    const hit = await scenario.injectAnew({ ...inputs, key: 'k-0' });
    expect(hit).toMatchObject({ outputs: { 'restored-count': '1' }, annotations: [] });
    const winner = hit.outputs['cache-matched-key'] === 'k-0' ? 0 : 1;
    expect(await scenario.builder.run({ id: 'm' }, listFiles)).toBe(listings[winner]);
  });
});
