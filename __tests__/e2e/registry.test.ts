/** Cache mounts that are kept in a registry: the builder itself pushes and pulls them. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { which } from '@actions/io';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  builderKind,
  docker,
  listFiles,
  listImages,
  useRunnersNetwork,
} from '../support/engine.js';
import { warned } from '../support/expectations.js';
import { useRemoteBuilder } from '../support/own-buildkit.js';
import { type Registry, startStrictRegistry } from '../support/registry.js';
import { leftovers, pathWith, useScenario } from '../support/scenario.js';
import { changes, fill, run, stateOf } from '../support/successive-runs.js';
import { describeWhere, describeWithOwnBuildkit } from '../support/where-possible.js';

const scenario = useScenario();

let registry: Registry;
let tests = 0;
beforeAll(async () => {
  registry = await startStrictRegistry();
});
afterAll(() => registry.close());
beforeEach(() => {
  tests++;
});

/** Each test has a repository of its own. */
const reference = (tag: string, repository = 'app') =>
  `127.0.0.1:${registry.port}/${repository}-${tests}:${tag}`;

/** What a reference names, as the registry gives it. */
async function readIndex(name: string) {
  const [, host, repository, tag] = /^([^/]*)\/(.*):(.*)$/.exec(name) ?? [];
  const accept = 'application/vnd.oci.image.index.v1+json';
  const answer = await fetch(`http://${host}/v2/${repository}/manifests/${tag}`, {
    headers: { accept },
  });
  expect(answer.headers.get('content-type')).toBe(accept);
  const { manifests } = (await answer.json()) as { manifests: { digest: string }[] };
  return manifests.map(({ digest }) => digest);
}

const kind = builderKind();
const withPush = describeWhere(kind !== 'classic', 'an image store other than the classic one');
const withClassic = kind === 'classic' ? describe : describe.skip;
// Remote builders are the same, whatever the tests of other files run on.
const withRemote = kind === 'container' ? describeWithOwnBuildkit() : describe.skip;

const noMore = { annotations: [], exitCode: 0 };
const saved = { ...noMore, outputs: { saved: 'true' } };

function testsOn(use: () => Promise<() => Promise<void>>): void {
  let removeBuilder: () => Promise<void>;
  beforeAll(async () => {
    removeBuilder = await use();
  });
  afterAll(() => removeBuilder());

  test('is saved, and comes back; what is saved already is not saved again', async () => {
    const inputs = { 'cache-mounts': 'm', key: 'k-1', registry: reference('main') };
    const first = await scenario.newJob();
    const miss = await first.runAction('inject', inputs);
    expect(miss).toMatchObject({ ...noMore, outputs: { 'cache-hit': 'false' } });
    expect(miss.log).toContain(`Nothing is saved in ${inputs.registry}.`);
    const listing = await scenario.builder.run({ id: 'm' }, `echo 1 >/c/file${listFiles}`);
    const extract = await first.runAction('extract', {});
    expect(extract).toMatchObject(saved);
    // Our own builds do not count.
    expect(extract.log).toMatch(/^The build took [\d.]+ s, without the cache\./m);
    expect(await leftovers(first)).toEqual([]);

    const second = await scenario.newJob();
    await scenario.builder.empty();
    const hit = await second.runAction('inject', inputs);
    expect(hit).toMatchObject({
      ...noMore,
      outputs: { 'cache-hit': 'true', 'cache-matched-key': 'k-1', 'restored-count': '1' },
    });
    expect(await scenario.builder.run({ id: 'm' }, listFiles)).toBe(listing);
    const again = await second.runAction('extract', {});
    expect(again).toMatchObject({ ...noMore, outputs: { saved: 'false' } });
    expect(again.log).toContain('The key k-1 is saved already, nothing to do.');
  });

  test('leaves no copy of the archives on the builder, and no image on the engine', async () => {
    const list = async () => {
      const listed = await docker(['buildx', 'du', '--format=json']);
      const records = listed.split('\n').filter((line) => line.startsWith('{'));
      return records.map((line) => String(JSON.parse(line).Description));
    };
    const images = await listImages();
    const inputs = { 'cache-mounts': 'm', registry: reference('main') };
    for (const key of ['k-1', 'k-2']) {
      const job = await scenario.newJob();
      await scenario.builder.empty();
      await job.runAction('inject', { ...inputs, key });
      await scenario.builder.run({ id: 'm' }, `echo ${key} >>/c/file`);
      const before = await list();
      expect(await job.runAction('extract', {})).toMatchObject(saved);
      const small =
        /^local source for (context|dockerfile)$|^\[buildkit-cache-mounts-work 1.*WORKDIR/;
      const left = (await list()).filter((each) => !before.includes(each));
      expect(left.filter((each) => !small.test(each))).toEqual([]);
      expect((await list()).filter((each) => each.startsWith('pulled from'))).toEqual([]);
    }
    expect(await listImages()).toEqual(images);
  });

  test.each(['app', 'other'])(
    'is read from a second reference, of the repository %s',
    async (name) => {
      const main = reference('main', name);
      await scenario.builder.run({ id: 'm' }, 'echo main >/c/file');
      await scenario.builder.run({ id: 'n' }, 'echo n >/c/file');
      const inputs = { 'cache-mounts': 'm\nn', key: 'k-1', registry: main };
      expect(await scenario.runAction('extract', inputs)).toMatchObject(saved);

      const own = reference('feature');
      const job = await scenario.newJob();
      await scenario.builder.empty();
      const hit = await job.runAction('inject', {
        ...inputs,
        key: 'k-2',
        registry: `${own}\n${main}`,
      });
      expect(hit).toMatchObject({
        ...noMore,
        outputs: { 'cache-hit': 'false', 'cache-matched-key': 'k-1' },
      });
      expect(hit.log).toContain(
        'Restored from k-1 (what the registry holds); this run will save as k-2',
      );
      await scenario.builder.run({ id: 'm' }, 'echo more >>/c/file');
      // Extract takes both references from inject, and saves to the first.
      const extract = await job.runAction('extract', {});
      expect(extract).toMatchObject(saved);
      expect(extract.log).toMatch(/^unchanged +n /m);

      const third = await scenario.injectAnew({ ...inputs, key: 'k-2', registry: own });
      expect(third).toMatchObject({ ...noMore, outputs: { 'cache-hit': 'true' } });
      const read = (id: string) => scenario.builder.run({ id }, 'cat /c/file >/out/result');
      expect([await read('m'), await read('n')]).toEqual(['main\nmore\n', 'n\n']);
    },
  );

  test('is saved as what has changed, up to the limit; the tag names just what is needed', async () => {
    const inputs = { registry: reference('main'), 'incremental-count': '2' };
    const expectWhole = async (key: string, listing: string) => {
      const { registry: name } = inputs;
      const hit = await scenario.injectAnew({ 'cache-mounts': 'm', key, registry: name });
      expect(hit).toMatchObject({ ...noMore, outputs: { 'cache-hit': 'true' } });
      expect(await scenario.builder.run({ id: 'm' }, listFiles)).toBe(listing);
    };
    expect(stateOf(await run(scenario, 'k-0', fill, inputs))).toBe('packed');
    const [full] = await readIndex(inputs.registry);
    const digests = [full];
    for (const [index, change] of changes.slice(0, 2).entries()) {
      const key = `k-${index + 1}`;
      const changed = await run(scenario, key, change, inputs);
      expect(changed.extract.annotations).toEqual([]);
      expect(stateOf(changed)).toBe('changes packed');
      const words = `\\(incremental, ${index + 1} of at most 2\\)`;
      expect(changed.extract.log).toMatch(
        new RegExp(`^Saved [\\d.]+ kB of [\\d.]+ MB ${words} under the key ${key}\\.$`, 'm'),
      );
      const now = await readIndex(inputs.registry);
      expect(now.slice(0, -1)).toEqual(digests);
      digests.push(now.at(-1));
      await expectWhole(key, changed.listing);
    }
    const same = await run(scenario, 'k-same', 'cat /c/1/1 >/dev/null', inputs);
    expect(stateOf(same)).toBe('unchanged');
    expect(same.extract.log).toMatch(
      /^Nothing changed: .* stay as saved, now under the key k-same/m,
    );
    expect(await readIndex(inputs.registry)).toEqual(digests);
    const anew = await run(scenario, 'k-full', changes[2] ?? '', inputs);
    expect(stateOf(anew)).toBe('packed');
    const last = await readIndex(inputs.registry);
    expect(last).toHaveLength(1);
    expect(digests).not.toContain(last[0]);
    await expectWhole('k-full', anew.listing);
  });

  test('is kept as it was saved if it is found empty, with incremental off too', async () => {
    await scenario.builder.run({ id: 'm' }, 'echo kept >/c/file');
    await scenario.builder.run({ id: 'n' }, 'echo old >/c/file');
    const inputs = { 'cache-mounts': 'm\nn', registry: reference('main') };
    await scenario.runAction('extract', { ...inputs, key: 'k-1' });
    const [kept] = await readIndex(inputs.registry);
    const job = await scenario.newJob();
    await scenario.builder.empty();
    await job.runAction('inject', { ...inputs, key: 'k-2', incremental: 'false' });
    await scenario.builder.run({ id: 'm' }, 'rm /c/file');
    await scenario.builder.run({ id: 'n' }, 'echo new >/c/file');
    const extract = await job.runAction('extract', { incremental: 'false' });
    expect(extract).toMatchObject({ exitCode: 0, outputs: { saved: 'true' } });
    expect(extract.annotations).toEqual([
      { level: 'warning', message: expect.stringContaining('what inject has restored is kept') },
    ]);
    expect(await readIndex(inputs.registry)).toEqual([kept, expect.any(String)]);
    await scenario.injectAnew({ ...inputs, key: 'k-2' });
    const read = (id: string) => scenario.builder.run({ id }, 'cat /c/file >/out/result');
    expect([await read('m'), await read('n')]).toEqual(['kept\n', 'new\n']);
  });

  test('comes back with its owner, its mode, and the image that it starts from', async () => {
    const context = join(scenario.directory, 'image');
    await mkdir(join(context, 'seed'), { recursive: true });
    await writeFile(join(context, 'seed', 'removed'), 'from the image');
    await writeFile(join(context, 'Dockerfile'), 'FROM scratch\nCOPY seed /seed\n');
    const seed = reference('1', 'seed');
    const push = ['--provenance=false', '--push', `--tag=${seed}`];
    await docker(['buildx', 'build', ...push, context]);
    const options = ['', 'uid=1000,gid=7,mode=0700', `from=${seed},source=/seed`];
    for (const [index, each] of options.entries()) {
      const change = `rm -f /c/removed; echo ${index} >/c/file`;
      await scenario.builder.run({ id: 'm', options: each }, change);
    }
    const lines = options.map((each) => (each === '' ? 'm' : `id=m,${each}`)).join('\n');
    const inputs = { 'cache-mounts': lines, key: 'k', registry: reference('main') };
    expect(await scenario.runAction('extract', inputs)).toMatchObject(saved);
    const hit = await scenario.injectAnew(inputs);
    expect(hit).toMatchObject({ ...noMore, outputs: { 'cache-hit': 'true' } });
    for (const [index, each] of options.entries()) {
      const list = 'cd /c; { ls -A; cat file; } >/out/result';
      const seen = await scenario.builder.run({ id: 'm', options: each }, list);
      expect([each, seen]).toEqual([each, `file\n${index}\n`]);
    }
  });

  test('is one of twenty', async () => {
    const ids = Array.from({ length: 20 }, (_, index) => `m${index}`);
    const [id, ...others] = ids;
    const write = `for d in ${others.join(' ')}; do echo $d >/all/$d/file; done; echo ${id} >/c/file`;
    await scenario.builder.run({ id: 'm0', others }, write);
    const inputs = { 'cache-mounts': ids.join('\n'), key: 'k', registry: reference('main') };
    expect(await scenario.runAction('extract', inputs)).toMatchObject(saved);
    expect(await readIndex(inputs.registry)).toHaveLength(20);
    const hit = await scenario.injectAnew(inputs);
    expect(hit).toMatchObject({ ...noMore, outputs: { 'restored-count': '20' } });
    const read = 'cat /c/file /all/*/file >/out/result';
    const seen = await scenario.builder.run({ id: 'm0', others }, read);
    expect(seen.trim().split('\n').sort()).toEqual([...ids].sort());
  });

  test('is not packed a second time if the builder has dropped what it has packed', async () => {
    const program = await which('docker', true);
    const drop = `case " $* " in *' bake '*) ${program} buildx prune --all --force >&2 ;; esac`;
    const path = await pathWith(scenario.directory, 'docker', `${drop}\nexec ${program} "$@"`);
    await scenario.builder.run({ id: 'm' }, 'echo 1 >/c/file');
    const inputs = { 'cache-mounts': 'm', key: 'k', registry: reference('main') };
    const job = await scenario.newJob({ env: { PATH: path } });
    expect(await job.runAction('extract', inputs)).toMatchObject({
      outputs: { saved: 'false' },
      ...warned(/^Nothing was saved: .*: the builder has not kept what it has packed\.$/),
    });
    const miss = await scenario.injectAnew(inputs);
    expect(miss.log).toContain(`Nothing is saved in ${inputs.registry}.`);
  });

  test('works with the single step', async () => {
    const inputs = { 'cache-mounts': 'm', key: 'k', registry: reference('main') };
    const job = await scenario.newJob();
    const main = await job.runAction('.', inputs);
    expect(main).toMatchObject(noMore);
    await scenario.builder.run({ id: 'm' }, 'echo single >/c/file');
    const post = await job.runAction('.', inputs, { post: main });
    expect(post).toMatchObject(noMore);
    expect(post.log).toContain('under the key k.');
    await scenario.injectAnew(inputs);
    expect(await scenario.builder.run({ id: 'm' }, 'cat /c/file >/out/result')).toBe('single\n');
  });
}

withPush('a mount that is kept in a registry', () => testsOn(useRunnersNetwork));
withRemote('a mount of a remote builder that is kept in a registry', () =>
  testsOn(useRemoteBuilder),
);

withClassic('the classic image store', () => {
  test('is refused by inject at once, with the remedy; extract saves nothing', async () => {
    const inputs = { 'cache-mounts': 'm', key: 'k', registry: reference('main') };
    const words = /classic image store, .* docker\/setup-buildx-action .*containerd image store/;
    expect(await scenario.runAction('inject', inputs)).toMatchObject({
      exitCode: 1,
      annotations: [{ level: 'error', message: expect.stringMatching(words) }],
    });
    await scenario.builder.run({ id: 'm' }, 'echo 1 >/c/file');
    expect(await scenario.runAction('extract', inputs)).toMatchObject({
      exitCode: 0,
      outputs: { saved: 'false' },
      annotations: [{ level: 'warning', message: expect.stringMatching(words) }],
    });
  });
});
