/** What may be wrong with the runner that the actions are on, and how they may be ended. */
import { execFileSync } from 'node:child_process';
import { chmod, chown, cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { which } from '@actions/io';
import { describe, expect, test } from '@jest/globals';
import { type CacheService, startCacheService } from '../support/cache-service.js';
import { docker, listFiles } from '../support/engine.js';
import { expectNothingLeft, warned } from '../support/expectations.js';
import { type Holder, holdMount } from '../support/hold.js';
import { describeWithOwnEngine, startOwnEngine } from '../support/own-engine.js';
import { lastingProcessesWith, processesWith } from '../support/processes.js';
import type { Job } from '../support/runner.js';
import { leftovers, pathWith, pathWithout, useScenario } from '../support/scenario.js';
import { describeWhere } from '../support/where-possible.js';

const scenario = useScenario();
const asRoot = describeWhere(process.getuid?.() === 0, 'root, to mount file systems');
const withOwnEngine = describeWithOwnEngine();

/** Of what cannot be compressed. */
const fillWith = (megabytes: number) =>
  `dd if=/dev/urandom of=/c/big bs=1M count=${megabytes} 2>/dev/null; echo 1 >/c/file`;

asRoot('RUNNER_TEMP', () => {
  async function onTmpfs(options: string, use: (directory: string) => Promise<void>) {
    const directory = join(scenario.directory, 'tmpfs');
    await mkdir(directory);
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', directory]);
    try {
      await use(directory);
    } finally {
      execFileSync('umount', [directory]);
    }
  }

  test.each([
    ['before the entry is there', 'size=2m', 0, /The saved entry k-1 could not be restored/],
    // Room for the entry as it comes and unpacked, but not for some more programs beside it: these
    // are made ready at the same time, and must come last here.
    ['after that', 'size=7500k', 8, /ENOSPC/],
  ])('that fills up in inject, %s, is a warning', async (_, options, delay, words) => {
    const ldd = `sleep ${delay}; exec ${await which('ldd', true)} "$@"`;
    const PATH = await pathWith(scenario.directory, 'ldd', ldd);
    const before = await scenario.builder.run({ id: 'm' }, `${fillWith(3)}${listFiles}`);
    await scenario.save('m', 'k-1');
    await scenario.builder.empty();
    await onTmpfs(options, async (RUNNER_TEMP) => {
      const job = await scenario.newJob({ env: { RUNNER_TEMP, PATH } });
      const inputs = { 'cache-mounts': 'm', key: 'k-2', 'restore-keys': 'k-' };
      const injected = await job.runAction('inject', inputs);
      expect(injected).toMatchObject({
        exitCode: 0,
        outputs: { 'cache-hit': 'false', 'cache-matched-key': 'k-1' },
      });
      expect(injected.annotations.at(-1)).toMatchObject({
        level: 'warning',
        message: expect.stringMatching(words),
      });
      expect(await readdir(RUNNER_TEMP)).toEqual(['buildkit-cache-mounts-state']);
      expect(await scenario.builder.run({ id: 'm' }, 'ls -A /c >/out/result')).toBe('');
      const strict = { ...inputs, 'fail-on-cache-miss': 'true' };
      expect((await job.runAction('inject', strict)).exitCode).toBe(1);
      // Nor has extract the room that it needs.
      expect(await job.runAction('extract', {})).toMatchObject({
        exitCode: 0,
        outputs: { saved: 'false' },
      });
      expect(await readdir(RUNNER_TEMP)).toEqual([]);
    });
    expect(scenario.service.keys()).toEqual(['k-1']);
    await scenario.expectWhole('k-1', before);
  });

  test.each([
    ['the programs for the builder', 'size=2m', /ENOSPC/],
    [
      'what the builder puts out',
      'size=16m',
      /docker buildx build failed: .* The runner's disk that holds \S+ is full/,
    ],
    ['the upload', 'size=36m', /could not be saved|did not take it/],
  ])('that fills up in extract, with %s, costs only the new entry', async (_, options, words) => {
    const saved = await scenario.builder.run({ id: 'm' }, `echo 0 >/c/file${listFiles}`);
    await scenario.save('m', 'k-1');
    const before = await scenario.builder.run({ id: 'm' }, `${fillWith(20)}${listFiles}`);
    await onTmpfs(options, async (RUNNER_TEMP) => {
      const job = await scenario.newJob({ env: { RUNNER_TEMP } });
      const result = await job.runAction('extract', { 'cache-mounts': 'm', key: 'k-2' });
      expect(result).toMatchObject({
        exitCode: 0,
        outputs: { saved: 'false', reason: expect.stringMatching(words) },
      });
      expect(result.annotations.at(-1)).toMatchObject({ level: 'warning' });
      expect(await readdir(RUNNER_TEMP)).toEqual([]);
    });
    await scenario.save('m', 'k-3');
    await scenario.expectWhole('k-3', before);
    await scenario.expectWhole('k-1', saved);
  });

  test('that is read-only is a warning, and wrong inputs still fail the step', async () => {
    const before = await scenario.builder.run({ id: 'm' }, `echo 1 >/c/file${listFiles}`);
    await scenario.save('m', 'k');
    await onTmpfs('size=1m,ro', async (RUNNER_TEMP) => {
      const job = await scenario.newJob({ env: { RUNNER_TEMP } });
      const inputs = { 'cache-mounts': 'm', key: 'k' };
      expect(await job.runAction('inject', inputs)).toMatchObject({
        ...warned(/read-only file system/),
        outputs: { 'cache-hit': 'false', 'cache-primary-key': 'k' },
      });
      expect(await job.runAction('extract', { ...inputs, key: 'other' })).toMatchObject({
        ...warned(/read-only file system/),
        outputs: { saved: 'false', reason: expect.stringContaining('read-only') },
      });
      const strict = { ...inputs, 'fail-on-cache-miss': 'true' };
      expect((await job.runAction('inject', strict)).exitCode).toBe(1);
      const wrong = { ...inputs, timeout: 'soon' };
      for (const action of ['inject', 'extract'] as const) {
        expect(await job.runAction(action, wrong)).toMatchObject({
          exitCode: 1,
          annotations: [{ level: 'error', message: expect.stringContaining('Input timeout') }],
        });
      }
    });
    expect(scenario.service.keys()).toEqual(['k']);
    await scenario.expectWhole('k', before);
  });
});

describe('directories', () => {
  test.each([
    ['a missing RUNNER_TEMP', 'gone', undefined],
    ['a missing TMPDIR', undefined, 'gone'],
    ['a TMPDIR with spaces', undefined, 'with spaces'],
    ['spaces in both', 'with spaces', 'with spaces'],
  ])('work: %s', async (_, runnerTemp, temporary) => {
    const path = (name: string) => join(scenario.directory, name);
    await mkdir(path('with spaces'));
    const env = {
      ...(runnerTemp === undefined ? {} : { RUNNER_TEMP: path(runnerTemp) }),
      ...(temporary === undefined ? {} : { TMPDIR: path(temporary) }),
    };
    const ours = async () =>
      (await readdir(tmpdir())).filter((name) => name.startsWith('buildkit-cache-mounts-'));
    const stood = await ours();
    const job = await scenario.newJob({ env });
    const inputs = { 'cache-mounts': 'm', key: 'k' };
    expect(await job.runAction('inject', inputs)).toMatchObject({ exitCode: 0, annotations: [] });
    const before = await scenario.builder.run({ id: 'm' }, `echo 1 >/c/file${listFiles}`);
    expect(await job.runAction('extract', {})).toMatchObject({
      exitCode: 0,
      outputs: { saved: 'true' },
      annotations: [],
    });
    const hit = await scenario.injectAnew(inputs, { env });
    expect(hit).toMatchObject({ outputs: { 'cache-hit': 'true' }, annotations: [] });
    expect(await scenario.builder.run({ id: 'm' }, listFiles)).toBe(before);
    expect(await leftovers(job)).toEqual([]);
    expect(await readdir(path('with spaces'))).toEqual(
      runnerTemp === 'with spaces' ? ['buildkit-cache-mounts-state'] : [],
    );
    expect(await ours()).toEqual(stood);
  });

  test('work: a workspace with spaces and letters of any kind, and a stage in it', async () => {
    const dockerfile = [
      'FROM scratch AS seed',
      'COPY ["sée d", "/seed"]',
      'FROM scratch',
      'COPY tools /',
      'ARG NONCE',
      `RUN --mount=type=cache,id=m,target=/c --mount=type=cache,id=s,from=seed,source=/seed,target=/s ["/bin/sh", "-c", "cat /c/file /s/own; echo built >>/c/file; echo built >>/s/own"]`,
    ];
    async function newJob(): Promise<Job> {
      const job = await scenario.newJob({ name: 'a jöb 日本 of "mine"' });
      await scenario.builder.copyTools(join(job.workspace, 'tools'));
      await mkdir(join(job.workspace, 'sée d'));
      await writeFile(join(job.workspace, 'sée d', 'file'), 'seeded');
      await writeFile(join(job.workspace, 'Dockerfile'), `${dockerfile.join('\n')}\n`);
      return job;
    }
    const build = (job: Job) =>
      docker([
        ...['buildx', 'build', '--provenance=false', '--network=none'],
        ...['--build-arg', `NONCE=${job.workspace}`, job.workspace],
      ]);
    const first = await newJob();
    const inputs = { key: 'k' };
    expect(await first.runAction('inject', inputs)).toMatchObject({ exitCode: 0, annotations: [] });
    await build(first);
    expect(await first.runAction('extract', {})).toMatchObject({
      outputs: { saved: 'true' },
      annotations: [],
    });
    expect((await leftovers(first)).sort()).toEqual(['Dockerfile', 'sée d', 'tools']);
    await scenario.builder.empty();
    const second = await newJob();
    const hit = await second.runAction('inject', inputs);
    expect(hit).toMatchObject({ outputs: { 'cache-hit': 'true' }, annotations: [] });
    expect(hit.log.match(/^restored +/gm)).toHaveLength(2);
    await build(second);
    const seen = await scenario.builder.run({ id: 'm' }, 'cat /c/file >/out/result');
    expect(seen).toBe('built\nbuilt\n');
  });
});

describe('programs', () => {
  test('no zstd: gzip takes its place', async () => {
    const before = await scenario.builder.run({ id: 'm' }, `echo 1 >/c/file${listFiles}`);
    const PATH = await pathWithout(scenario.directory, 'zstd', 'unzstd', 'zstdmt');
    const inputs = { 'cache-mounts': 'm', key: 'k' };
    const job = await scenario.newJob({ env: { PATH } });
    const saved = await job.runAction('extract', inputs);
    expect(saved).toMatchObject({ exitCode: 0, outputs: { saved: 'true' }, annotations: [] });
    expect(saved.log).toMatch(/^programs +.*gzip/m);
    await scenario.builder.empty();
    const hit = await job.runAction('inject', inputs);
    expect(hit).toMatchObject({ outputs: { 'cache-hit': 'true' }, annotations: [] });
    expect(await scenario.builder.run({ id: 'm' }, listFiles)).toBe(before);
  });

  test('no tar: both steps warn, and the entry is left alone', async () => {
    const before = await scenario.builder.run({ id: 'm' }, `echo 1 >/c/file${listFiles}`);
    await scenario.save('m', 'k-1');
    const PATH = await pathWithout(scenario.directory, 'tar');
    const job = await scenario.newJob({ env: { PATH } });
    const inputs = { 'cache-mounts': 'm', key: 'k-2', 'restore-keys': 'k-' };
    const injected = await job.runAction('inject', inputs);
    expect(injected).toMatchObject({ exitCode: 0, outputs: { 'cache-hit': 'false' } });
    expect(injected.annotations.at(-1)).toMatchObject({
      level: 'warning',
      message: expect.stringMatching(/The saved entry k-1 could not be restored/),
    });
    expect(await job.runAction('extract', {})).toMatchObject({
      ...warned(/the runner has no tar.*utility-image/),
      outputs: { saved: 'false' },
    });
    expect(await leftovers(job)).toEqual([]);
    expect(scenario.service.keys()).toEqual(['k-1']);
    await scenario.expectWhole('k-1', before);
  });

  test('docker fails before it is told what to build: its reason is shown', async () => {
    const before = await scenario.builder.run({ id: 'm' }, `echo 1 >/c/file${listFiles}`);
    await scenario.save('m', 'k-1');
    await scenario.builder.empty();
    const job = await scenario.newJob();
    const inputs = { 'cache-mounts': 'm', key: 'k-2', 'restore-keys': 'k-' };
    await job.runAction('inject', inputs);
    const docker = await which('docker', true);
    const script = `[ "$2" != build ] || { echo "ERROR: no way" >&2; exit 1; }; exec ${docker} "$@"`;
    const PATH = await pathWith(scenario.directory, 'docker', script);
    const result = await job.runAction('extract', {}, { env: { PATH } });
    expect(result).toMatchObject({
      ...warned(/docker buildx build failed: no way$/),
      outputs: { saved: 'false' },
    });
    expect(result.log).toMatch(/^ERROR: no way$/m);
    await scenario.expectWhole('k-1', before);
  });

  test('docker leaves one behind that holds its output open: nothing waits for that', async () => {
    const docker = await which('docker', true);
    const script = `[ "$2" != build ] || sleep 300 &\nexec ${docker} "$@"`;
    const PATH = await pathWith(scenario.directory, 'docker', script);
    const before = await scenario.builder.run({ id: 'm' }, `echo 1 >/c/file${listFiles}`);
    const job = await scenario.newJob({ env: { PATH } });
    const inputs = { 'cache-mounts': 'm', key: 'k' };
    expect(await job.runAction('extract', inputs)).toMatchObject({
      exitCode: 0,
      outputs: { saved: 'true' },
      annotations: [],
    });
    expect((await processesWith(job.runnerTemp)).join()).toContain('sleep 300');
    await job.dispose();
    await scenario.expectWhole('k', before);
  });
});

withOwnEngine('an ordinary user', () => {
  test('who may use the engine runs both steps, and owns all that they leave', async () => {
    const user = 65533;
    const engine = await startOwnEngine();
    const home = await mkdtemp(join(tmpdir(), 'user-'));
    try {
      const { DOCKER_HOST = '', DOCKER_CONFIG = '' } = engine.env;
      const socket = DOCKER_HOST.replace('unix://', '');
      await chmod(dirname(socket), 0o711);
      await chown(socket, 0, user);
      await chmod(socket, 0o660);
      const config = join(home, 'docker');
      await cp(DOCKER_CONFIG, config, { recursive: true, verbatimSymlinks: true });
      // In the place of node: what belongs to the user, and then node as the user.
      const node = join(home, 'node');
      const become = `setpriv --reuid=${user} --regid=${user} --clear-groups`;
      const lines = [
        // (sh would drop the variables with a hyphen in their names.)
        '#!/usr/bin/env bash',
        `chown -R ${user}:${user} "$(dirname "$RUNNER_TEMP")" && exec ${become} "${process.execPath}" "$@"`,
      ];
      await writeFile(node, `${lines.join('\n')}\n`, { mode: 0o755 });
      execFileSync('chown', ['-R', `${user}:${user}`, home]);
      const job = await scenario.newJob({
        env: { ...engine.env, DOCKER_CONFIG: config, BUILDX_CONFIG: join(config, 'buildx') },
      });
      const ofRoot = () =>
        execFileSync('find', [dirname(job.runnerTemp), '-uid', '0'], { encoding: 'utf8' });
      const options = { node, env: { HOME: home } };
      const inputs = { 'cache-mounts': 'm', key: 'k' };
      const missed = await job.runAction('inject', inputs, options);
      expect(missed).toMatchObject({ exitCode: 0, annotations: [] });
      // Files that the user could not even read on the runner.
      const write = 'echo 1 >/c/file; chmod 600 /c/file; chown 1:2 /c/file';
      const before = await engine.builder.run({ id: 'm' }, `${write}${listFiles}`);
      expect(await job.runAction('extract', {}, options)).toMatchObject({
        exitCode: 0,
        outputs: { saved: 'true' },
        annotations: [],
      });
      expect(ofRoot()).toBe('');
      expect(await leftovers(job)).toEqual([]);
      await engine.builder.empty();
      const hit = await job.runAction('inject', inputs, options);
      expect(hit).toMatchObject({ outputs: { 'cache-hit': 'true' }, annotations: [] });
      expect(await engine.builder.run({ id: 'm' }, listFiles)).toBe(before);
      expect(ofRoot()).toBe('');
      // An engine that this user may not use is trouble like any other.
      await chown(socket, 0, 0);
      expect(await job.runAction('extract', { ...inputs, key: 'k-2' }, options)).toMatchObject(
        warned(/Docker does not answer.*this user may use it/),
      );
    } finally {
      await engine.dispose();
      await rm(home, { recursive: true });
    }
  });
});

describe('SIGTERM', () => {
  const run = /RUN .*run\.sh/;
  const files = 100;
  const fill = `cd /c; i=0; while [ $i -lt ${files - 1} ]; do echo $i >$i; i=$((i+1)); done
    dd if=/dev/urandom of=/c/big bs=1M count=10 2>/dev/null`;

  /** Neither on the runner nor in the builder. */
  async function expectNothingLeftAnywhere(job: Job): Promise<void> {
    await expectNothingLeft(job);
    expect(await lastingProcessesWith('/buildkit-cache-mounts/run.sh')).toEqual([]);
  }

  test('at any point of inject leaves a mount empty or whole', async () => {
    const before = await scenario.builder.run({ id: 'm' }, `${fill}${listFiles}`);
    await scenario.save('m', 'k');
    await scenario.builder.empty();
    const points: [RegExp | undefined, number][] = [
      [undefined, 20],
      [undefined, 200],
      [/Restore from the cache/, 0],
      [/Restore from the cache/, 40],
      [/Found the entry/, 0],
      [/Unpack into the builder/, 0],
      [run, 0],
      [run, 60],
      [run, 200],
      [/exporting/, 0],
    ];
    const inputs = { 'cache-mounts': 'm', key: 'k' };
    let stopped = 0;
    for (const [log, ms] of points) {
      const job = await scenario.newJob();
      const signalAfter = { ...(log ? { log } : {}), ms, signal: 'SIGTERM' as const };
      const { exitCode } = await job.runAction('inject', inputs, { signalAfter });
      expect([0, 143]).toContain(exitCode);
      stopped += exitCode === 143 ? 1 : 0;
      await expectNothingLeftAnywhere(job);
      // What counts is beside the reserved directory, which the next step removes or finishes; what
      // it finishes may be half in place. A whole mount is emptied for the next point.
      const seen = await scenario.builder.run(
        { id: 'm', options: 'sharing=locked' },
        `cd /c; count=0; for file in *; do [ ! -f $file ] || count=$((count+1)); done
        if [ -e .buildkit-cache-mounts.complete ]; then echo finishing; else echo $count; fi >/out/result
        [ $count != ${files} ] || rm -f -- *`,
      );
      expect(['0\n', `${files}\n`, 'finishing\n']).toContain(seen);
    }
    // Else this would say little.
    expect(stopped).toBeGreaterThanOrEqual(7);
    const job = await scenario.newJob();
    expect((await job.runAction('inject', inputs)).outputs['cache-hit']).toBe('true');
    expect(await scenario.builder.run({ id: 'm' }, listFiles)).toBe(before);
  });

  test('at any point of extract saves the mount whole or not at all', async () => {
    const before = await scenario.builder.run({ id: 'm' }, `${fill}${listFiles}`);
    await scenario.save('m', 'k');
    const points: [RegExp | undefined, number][] = [
      [undefined, 20],
      [undefined, 200],
      [/Look up the key/, 0],
      [/Pack out of the builder/, 0],
      [run, 0],
      [run, 60],
      [run, 200],
      [/exporting/, 0],
      [/Save to the cache/, 0],
      [/Save to the cache/, 100],
    ];
    let stopped = 0;
    for (const [index, [log, ms]] of points.entries()) {
      const job = await scenario.newJob();
      const signalAfter = { ...(log ? { log } : {}), ms, signal: 'SIGTERM' as const };
      const inputs = { 'cache-mounts': 'm', key: `stopped-${index}` };
      const { exitCode } = await job.runAction('extract', inputs, { signalAfter });
      expect([0, 143]).toContain(exitCode);
      stopped += exitCode === 143 ? 1 : 0;
      await expectNothingLeftAnywhere(job);
    }
    expect(stopped).toBeGreaterThanOrEqual(7);
    expect(await scenario.builder.run({ id: 'm' }, listFiles)).toBe(before);
    await scenario.save('m', 'next');
    for (const key of scenario.service.savedKeys()) await scenario.expectWhole(key, before);
    // (The first that was saved, and the last, if no other.)
    expect(scenario.service.keys()).toEqual(expect.arrayContaining(['k', 'next']));
  });
});

test('a clock that goes backwards changes nothing', async () => {
  // Every look at it is a second before the one before.
  const backwards = `
    const now = Date.now;
    let looks = 0;
    Date.now = () => now() - 1000 * ++looks;
    globalThis.Date = new Proxy(Date, {
      construct: (target, given, newTarget) =>
        Reflect.construct(target, given.length > 0 ? given : [target.now()], newTarget),
    });
    process.on('exit', () => console.log('looks at the clock: ' + looks));
  `;
  const preload = `data:text/javascript,${encodeURIComponent(backwards)}`;
  const env = { NODE_OPTIONS: `--import ${preload}` };
  const job = await scenario.newJob({ env });
  const inputs = { 'cache-mounts': 'm', key: 'k' };
  const missed = await job.runAction('inject', inputs);
  expect(missed).toMatchObject({ exitCode: 0, annotations: [] });
  const before = await scenario.builder.run({ id: 'm' }, `echo 1 >/c/file${listFiles}`);
  const saved = await job.runAction('extract', {});
  expect(saved).toMatchObject({ exitCode: 0, outputs: { saved: 'true' }, annotations: [] });
  expect(await leftovers(job)).toEqual([]);
  const hit = await scenario.injectAnew(inputs, { env });
  expect(hit).toMatchObject({ outputs: { 'cache-hit': 'true' }, annotations: [] });
  expect(await scenario.builder.run({ id: 'm' }, listFiles)).toBe(before);
  expect(saved.log).toMatch(/looks at the clock: [1-9]/);
  for (const { log } of [saved, hit]) expect(log).not.toMatch(/-\d+(\.\d+)? ?s(econds)?\b/);
});

test('a timeout ends each stage that hangs, and the next run is healthy', async () => {
  // In no more time than the longest of them takes.
  const service: CacheService = await startCacheService({
    intercept: async ({ method, body }) =>
      (method === 'GetCacheEntryDownloadURL' && body.key === 'slow-restore') ||
      (method === 'CreateCacheEntry' && body.key === 'slow-save'),
  });
  const newJob = () => scenario.newJob({ service });
  const listings = new Map<string, string>();
  const holders: Holder[] = [];
  try {
    for (const id of ['restore', 'unpack', 'pack', 'save']) {
      listings.set(id, await scenario.builder.run({ id }, `echo ${id} >/c/file${listFiles}`));
    }
    const all = { 'cache-mounts': 'restore\nunpack\npack\nsave', key: 'k' };
    expect((await (await newJob()).runAction('extract', all)).outputs.saved).toBe('true');
    await scenario.builder.run({ id: 'restore' }, 'rm /c/file');
    await scenario.builder.run({ id: 'unpack' }, 'rm /c/file');
    for (const id of ['unpack', 'pack']) holders.push(await holdMount(scenario.builder, id));

    const timeout = '0.5';
    await Promise.all(
      (
        [
          ['inject', 'restore', 'slow-restore', 'Look up the key'],
          ['inject', 'unpack', 'k', 'Unpack into the builder'],
          ['extract', 'pack', 'slow-pack', 'Pack out of the builder'],
          ['extract', 'save', 'slow-save', 'Save to the cache'],
        ] as const
      ).map(async ([action, id, key, stage]) => {
        const job = await newJob();
        const result = await job.runAction(action, { 'cache-mounts': id, key, timeout });
        const words = `Stopped after 0.5 minutes (input timeout) in the stage "${stage}".`;
        expect(result).toMatchObject({
          exitCode: 0,
          outputs:
            action === 'inject' ? { 'cache-hit': 'false' } : { saved: 'false', reason: words },
          annotations: [{ level: 'warning', message: words }],
        });
        await expectNothingLeft(job);
      }),
    );
    expect(service.savedKeys()).toEqual(['k']);
    for (const holder of holders.splice(0)) await holder.release();
    expect(await lastingProcessesWith('/buildkit-cache-mounts/run.sh')).toEqual([]);

    expect(await scenario.builder.run({ id: 'unpack' }, 'ls -A /c >/out/result')).toBe('held\n');
    await scenario.builder.run({ id: 'unpack' }, 'rm /c/held');
    await scenario.builder.run({ id: 'pack' }, 'rm /c/held');
    const hit = await (await newJob()).runAction('inject', all);
    expect(hit).toMatchObject({ outputs: { 'cache-hit': 'true' }, annotations: [] });
    for (const [id, listing] of listings) {
      const seen = await scenario.builder.run({ id }, listFiles);
      if (id !== 'pack') expect([id, seen]).toEqual([id, listing]);
    }
    const saved = await (await newJob()).runAction('extract', { ...all, key: 'next' });
    expect(saved).toMatchObject({ outputs: { saved: 'true' }, annotations: [] });
  } finally {
    await Promise.all(holders.map((holder) => holder.release()));
    await service.close();
  }
});
