/** Several images are built in one job, and their builds use one mount. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import type { Job } from '../support/runner.js';
import { changeEntry, changeManifest, factsOf } from '../support/saved-entry.js';
import { useScenario } from '../support/scenario.js';
import { execute } from '../support/silence.js';

const scenario = useScenario();
const root = resolve(fileURLToPath(import.meta.url), '../../..');
const runs = process.env.RUN_ROUNDS === undefined ? 3 : 10;

/** Names of its own, and some that all images write, all below one directory. */
const names = (image: string, run: number) => [
  `http/${image}${run}`,
  `http/${image}/${run}`,
  `http/shared/${image}${run}`,
];

/** The build of an image: says what the mount has held, and leaves files in it. */
async function build(image: string, run: number): Promise<string[]> {
  const files = names(image, run).map((name) => `/c/${name}`);
  const script = `cd /c; find . ! -type d | sort >/out/result
    mkdir -p /c/http/${image} /c/http/shared
    for file in ${files.join(' ')}; do echo ${image} ${run} >$file; done
    echo ${image} ${run} >/c/http/last; [ -e /c/http/first ] || echo ${image} ${run} >/c/http/first`;
  const result = await scenario.builder.run({ id: 'm' }, script);
  return result.split('\n').map((line) => line.replace('./', ''));
}

async function newJob(run: number): Promise<Job> {
  const job = await scenario.newJob({ env: { GITHUB_SHA: String(100 + run).padEnd(40, '0') } });
  for (const image of ['a', 'b', 'c']) {
    await mkdir(join(job.workspace, image));
    const mount = 'RUN --mount=type=cache,id=m,target=/c make';
    await writeFile(join(job.workspace, image, 'Dockerfile'), `FROM scratch\n${mount} ${image}\n`);
  }
  return job;
}

const added = /^added to what this job's builds have left there +m +\d+ files? /m;
const inFull =
  'The cache mount m is saved in full: it also holds what other builds of this job have left there.';

test(`each of three images is warm from the second run on, and in ${runs} runs nothing is lost`, async () => {
  const images = ['a', 'b', 'c'];
  let held: string[] = [];
  for (let run = 1; run <= runs; run++) {
    await scenario.builder.empty();
    const job = await newJob(run);
    for (const image of images) {
      const injected = await job.runAction('inject', { context: image });
      expect(injected).toMatchObject({ exitCode: 0, annotations: [] });
      expect({ run, image, added: added.test(injected.log) }).toEqual({
        ...{ run, image },
        added: run > 1 && image !== 'a',
      });
      held = await build(image, run);
      const own = Array.from({ length: run - 1 }, (_, index) => names(image, index + 1)).flat();
      expect({ run, image, held }).toEqual({
        ...{ run, image },
        held: expect.arrayContaining(own),
      });
      const extracted = await job.runAction('extract', {});
      expect(extracted).toMatchObject({ outputs: { saved: 'true' }, annotations: [] });
      expect(extracted.log.includes(inFull)).toBe(run > 1 && image !== 'a');
    }
  }
  const all = images.flatMap((image) =>
    Array.from({ length: runs }, (_, index) => names(image, index + 1)).flat(),
  );
  // What the last build has left is not in what it has found.
  const expected = all.filter((name) => !names('c', runs).includes(name));
  expect(held).toEqual(expect.arrayContaining(expected));
  // The last entry has it all.
  const key = scenario.service.keys().at(-1) ?? '';
  await scenario.injectAnew({ 'cache-mounts': 'm', key });
  const saved = await build('c', runs);
  expect(saved.filter((name) => all.includes(name)).sort()).toEqual(all.sort());
});

test('what cannot be unpacked is not added, and all that was there stays', async () => {
  await build('b', 1);
  await scenario.save('m', 'b');
  const version = scenario.service.entries()[0]?.version ?? '';
  const damaged = await changeEntry(await scenario.service.readBlob('b'), async (directory) => {
    const data = Buffer.from('garbage');
    const archive = factsOf(data, 0);
    await writeFile(join(directory, String(archive.file)), data);
    await changeManifest(directory, ({ mounts }) => {
      if (mounts[0]) mounts[0].archive = archive;
    });
  });
  scenario.service.remove('b');
  await scenario.service.add({ key: 'b-1', version }, damaged);
  await scenario.builder.empty();
  const job = await scenario.newJob();
  await job.runAction('inject', { 'cache-mounts': 'm', key: 'a' });
  await build('a', 1);
  const injected = await job.runAction('inject', {
    ...{ 'cache-mounts': 'm', key: 'b-2', 'restore-keys': 'b-' },
  });
  expect(injected).toMatchObject({ exitCode: 0, outputs: { 'cache-hit': 'false' } });
  expect(injected.annotations).toEqual([
    {
      level: 'warning',
      message: expect.stringMatching(
        /^To the cache mount m, which holds what this job's builds have left there, what is saved was not added.*The log says why/,
      ),
    },
  ]);
  expect(injected.log).toMatch(/^not added +m$/m);
  const held = await build('b', 2);
  expect(held.filter((name) => name !== '').sort()).toEqual(
    [...names('a', 1), 'http/first', 'http/last'].sort(),
  );
});

test('the injects of both images come before their builds: the second one adds', async () => {
  for (const key of ['a-1', 'b-1']) {
    await scenario.builder.empty();
    await build(key.charAt(0), 1);
    await scenario.save('m', key);
  }
  await scenario.builder.empty();
  const job = await scenario.newJob();
  const inject = (image: string) =>
    job.runAction('inject', {
      'cache-mounts': 'm',
      key: `${image}-2`,
      'restore-keys': `${image}-`,
    });
  expect((await inject('a')).log).toMatch(/^restored +m /m);
  const second = await inject('b');
  expect(second).toMatchObject({ exitCode: 0, annotations: [] });
  expect(second.log).toMatch(added);
  expect(second.summary).toContain('1 of 1 cache mount restored');
  const both = [...names('a', 1), ...names('b', 1)];
  expect(await build('a', 2)).toEqual(expect.arrayContaining(both));
  expect(await build('b', 2)).toEqual(expect.arrayContaining(both));
  for (const key of ['a-2', 'b-2']) {
    expect((await job.runAction('extract', { key })).outputs.saved).toBe('true');
  }
  // What the first one saves on top of its last entry has what the second one has added.
  const all = [...both, ...names('a', 2), ...names('b', 2)];
  for (const key of ['a-2', 'b-2']) {
    await scenario.injectAnew({ 'cache-mounts': 'm', key });
    expect({ key, held: await build('c', 1) }).toEqual({ key, held: expect.arrayContaining(all) });
  }
});

test('a builder that outlives jobs keeps what it has', async () => {
  for (const key of ['a-1', 'b-1']) {
    await scenario.builder.empty();
    await build(key.charAt(0), 1);
    await scenario.save('m', key);
  }
  await scenario.builder.empty();
  await build('c', 1);
  const job = await scenario.newJob();
  for (const image of ['a', 'b']) {
    const inputs = { 'cache-mounts': 'm', key: `${image}-2`, 'restore-keys': `${image}-` };
    const injected = await job.runAction('inject', inputs);
    expect(injected.log).toMatch(/^already warm, left as it is +m$/m);
    expect(await build(image, 2)).not.toContain(names(image, 1)[0]);
    await job.runAction('extract', {});
  }
});

test('on the command line, a variable tells when the job began', async () => {
  const began = Date.now() / 1000;
  const cli = (...args: string[]) =>
    execute(process.execPath, [join(root, 'dist/cli/index.js'), ...args], {
      cwd: scenario.directory,
      env: { ...process.env, TMPDIR: scenario.directory, BUILDKIT_CACHE_MOUNTS_JOB: String(began) },
    });
  const held: string[][] = [];
  for (let run = 1; run <= 2; run++) {
    await scenario.builder.empty();
    for (const image of ['a', 'b']) {
      const injected = await cli('inject', '--cache-mounts=m', `--directory=${image}`);
      expect(added.test(injected.stderr)).toBe(run === 2 && image === 'b');
      held.push(await build(image, run));
      await cli('extract', `--directory=${image}`);
    }
  }
  expect(held.at(-1)).toEqual(expect.arrayContaining([...names('a', 2), ...names('b', 1)]));
});
