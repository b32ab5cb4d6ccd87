/** The generated key: which of the entries of a repository's builds a build begins with. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { runnerPlatform } from '../../src/mounts/platform.js';
import type { Job, StepResult } from '../support/runner.js';
import { useScenario } from '../support/scenario.js';

const scenario = useScenario();

/** Says what the mount has held, and puts something into it. */
const build = 'ls -A /c >/out/result; echo 1 >/c/$1';
const filling = (name: string) => build.replace('$1', name);

type Files = Readonly<Record<string, string>>;

/** A job of a commit, on an emptied builder, with a repository of these files. */
async function newJob(commit: string, files: Files): Promise<Job> {
  await scenario.builder.empty();
  const job = await scenario.newJob({ env: { GITHUB_SHA: commit.padEnd(40, '0') } });
  for (const [path, text] of Object.entries(files)) {
    const file = join(job.workspace, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  return job;
}

const dockerfile = (...ids: string[]) =>
  `FROM scratch\n${ids.map((id) => `RUN --mount=type=cache,id=${id},target=/${id} make\n`).join('')}`;

async function extract(job: Job): Promise<void> {
  const extracted = await job.runAction('extract', {});
  expect(extracted).toMatchObject({ outputs: { saved: 'true' }, annotations: [] });
}

const matchedKey = ({ outputs }: StepResult) => outputs['cache-matched-key'] ?? 'none';

test('two images, a job each: the change of a lock file leaves its image warm', async () => {
  const files = {
    'a/Dockerfile': dockerfile('a-deps'),
    'a/go.sum': 'v1',
    'b/Dockerfile': dockerfile('b-deps'),
    'b/go.sum': 'v1',
  };
  const run = async (commit: string, image: string, changes: Files) => {
    const job = await newJob(commit, { ...files, ...changes });
    const injected = await job.runAction('inject', { context: image });
    const held = await scenario.builder.run({ id: `${image}-deps` }, filling(image));
    await extract(job);
    return { injected, held };
  };
  const cold = await run('1', 'a', {});
  expect(cold.held).toBe('');
  expect(matchedKey((await run('1', 'b', {})).injected)).toBe('none');
  const [keyOfA = '', keyOfB = ''] = scenario.service.keys();

  const changes = { 'a/go.sum': 'v2' };
  const a = await run('2', 'a', changes);
  expect(a.held).toBe('a\n');
  expect(matchedKey(a.injected)).toBe(keyOfA);
  const b = await run('2', 'b', changes);
  expect(b.held).toBe('b\n');
  expect(matchedKey(b.injected)).toBe(keyOfB);

  // The miss says what was looked for, and what the key is made of.
  const [, told = ''] = cold.injected.log.split('::group::What was looked for\n');
  const lines = told.slice(0, told.indexOf('::endgroup::')).split('\n');
  const parts = keyOfA.split('-');
  const [build, mounts, hashed] = parts.slice(-5);
  expect(lines.map((line) => line.split(/ {2,}/))).toEqual([
    ['key', keyOfA],
    ...[1, 2, 3, 4].map((dropped) => ['beginning with', `${parts.slice(0, -dropped).join('-')}-`]),
    ['The hashes in the generated key:'],
    ['build', build, 'context a'],
    ['', 'file a/Dockerfile'],
    ['', `platform ${runnerPlatform()}`],
    ['mounts', mounts, 'a-deps'],
    ['files', hashed, 'a/Dockerfile'],
    ['', 'a/go.sum'],
    [''],
  ]);
  expect(parts.at(-2)).toBe('100000000000');
});

test('a mount that is added to the Dockerfile leaves the others warm', async () => {
  const first = await newJob('1', { Dockerfile: dockerfile('m') });
  await first.runAction('inject', {});
  await scenario.builder.run({ id: 'm' }, filling('file'));
  await extract(first);
  const second = await newJob('2', { Dockerfile: dockerfile('m', 'added') });
  const injected = await second.runAction('inject', {});
  expect(injected).toMatchObject({ exitCode: 0, annotations: [] });
  expect(matchedKey(injected)).toBe(scenario.service.keys()[0]);
  expect(await scenario.builder.run({ id: 'm' }, filling('file'))).toBe('file\n');
});

describe('each job of a matrix is warm in the second run', () => {
  // Both are built by the programs of the one machine.
  const platforms = [runnerPlatform(), process.arch === 'x64' ? 'linux/386' : 'linux/arm/v7'];
  const stage = (target: string) =>
    `FROM scratch AS ${target}\nRUN --mount=type=cache,id=deps,target=/deps make ${target}\n`;
  const bakeFile = 'target "api" {\n  target = "api"\n}\n';

  test.each<
    [
      of: string,
      targets: readonly string[],
      inputsOf: (target: string, platform: string) => Readonly<Record<string, string>>,
    ]
  >([
    [
      'three targets and two platforms',
      ['api', 'web', 'cli'],
      (target, platform) => ({ target, platforms: platform }),
    ],
    [
      'a bake target and two platforms',
      ['api'],
      (target, platform) => ({
        'bake-files': 'docker-bake.hcl',
        'bake-targets': target,
        'bake-set': `*.platform=${platform}`,
      }),
    ],
  ])('of %s', async (_, targets, inputsOf) => {
    const files = { Dockerfile: targets.map(stage).join(''), 'docker-bake.hcl': bakeFile };
    const jobs = targets.flatMap((target) => platforms.map((platform) => ({ target, platform })));
    const run = async (commit: string) => {
      const held: Record<string, string> = {};
      for (const { target, platform } of jobs) {
        const job = await newJob(commit, { ...files, 'go.sum': commit });
        await job.runAction('inject', inputsOf(target, platform));
        const name = `${target}-${platform.replaceAll('/', '-')}`;
        const options = ['--platform', platform];
        held[name] = await scenario.builder.run({ id: 'deps' }, filling(name), options);
        await extract(job);
      }
      return held;
    };
    const first = await run('1');
    const names = Object.keys(first);
    expect(names).toHaveLength(jobs.length);
    expect(first).toEqual(Object.fromEntries(names.map((name) => [name, ''])));
    expect(await run('2')).toEqual(Object.fromEntries(names.map((name) => [name, `${name}\n`])));
  });
});

describe('two builds that share a key', () => {
  const inject = async (commit: string, inputs: Files) => {
    const job = await newJob(commit, {});
    return { job, injected: await job.runAction('inject', inputs) };
  };

  test.each<[kind: string, inputs: Files, remedy: string]>([
    ['generated', {}, 'Give each a key-prefix of its own.'],
    [
      'given',
      { key: 'k-2', 'restore-keys': 'k' },
      'Give each a key, and restore keys, of its own.',
    ],
  ])('are told of an entry with none of the mounts: the key is %s', async (_, inputs, remedy) => {
    const first = await inject('1', { 'cache-mounts': 'other', ...inputs });
    await scenario.builder.run({ id: 'other' }, filling('file'));
    await extract(first.job);
    const [key = ''] = scenario.service.keys();
    const { injected } = await inject('2', { 'cache-mounts': 'm', ...inputs });
    expect(injected).toMatchObject({
      exitCode: 0,
      annotations: [
        {
          level: 'notice',
          message: `The entry ${key} has none of the cache mounts of this build; it has other. If another build has saved it: ${remedy}`,
        },
      ],
    });
  });

  test('are told of key-prefix where the generated key is saved already', async () => {
    const inputs = { 'cache-mounts': 'm\nn' };
    const first = await inject('1', inputs);
    await scenario.builder.run({ id: 'm' }, filling('file'));
    await first.job.runAction('extract', {});
    const [key = ''] = scenario.service.keys();
    const { job } = await inject('1', inputs);
    const skipped = await job.runAction('extract', {});
    expect(skipped.log).toContain(
      'is saved already, nothing to do. Builds that differ only in build-args need a key-prefix each.',
    );
    expect(skipped.annotations).toEqual([
      {
        level: 'warning',
        message: `The saved entry ${key} lacks n, and a saved key is never changed. If another build has saved it, give each a key-prefix of its own.`,
      },
    ]);
  });
});
