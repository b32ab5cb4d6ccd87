import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { which } from '@actions/io';
import { describe, expect, test } from '@jest/globals';
import { docker } from '../support/engine.js';
import { holdMount } from '../support/hold.js';
import type { Job } from '../support/runner.js';
import { leftovers, pathWith, useScenario } from '../support/scenario.js';

const scenario = useScenario();

async function writeDockerfile(job: Job, lines: string[], name = 'Dockerfile'): Promise<void> {
  const path = join(job.workspace, name);
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, `${lines.join('\n')}\n`);
}

/** A job whose workspace has a Dockerfile with these RUN flags. */
async function jobWithMounts(...mounts: string[]): Promise<Job> {
  const job = await scenario.newJob();
  await writeDockerfile(job, [
    'FROM scratch',
    ...mounts.map((mount) => `RUN --mount=type=cache,${mount} ["/build"]`),
  ]);
  return job;
}

describe('without cache-mounts', () => {
  test('the mounts of the Dockerfile are restored and saved', async () => {
    const mounts = ['target=/c', 'id=npm,target=/c,uid=1000'];
    const first = await jobWithMounts(...mounts);
    expect((await first.runAction('inject', { key: 'k' })).exitCode).toBe(0);
    await scenario.builder.run({}, 'echo by target >/c/file');
    await scenario.builder.run({ id: 'npm', options: 'uid=1000' }, 'echo owned >/c/file');
    const saved = await first.runAction('extract', {});
    expect(saved).toMatchObject({ outputs: { saved: 'true' }, annotations: [] });

    await scenario.builder.empty();
    const hit = await (await jobWithMounts(...mounts)).runAction('inject', { key: 'k' });
    expect(hit).toMatchObject({ outputs: { 'cache-hit': 'true' }, annotations: [] });
    expect(await scenario.builder.run({}, 'cat /c/file >/out/result')).toBe('by target\n');
    expect(
      await scenario.builder.run({ id: 'npm', options: 'uid=1000' }, 'cat /c/file >/out/result'),
    ).toBe('owned\n');
  });

  test('the inputs are those of docker/build-push-action', async () => {
    const job = await scenario.newJob();
    await writeDockerfile(
      job,
      [
        'ARG BASE=scratch',
        'FROM $BASE AS build',
        'ARG NAME=default',
        'ARG TARGETARCH',
        'RUN --mount=type=cache,id=$NAME-$TARGETARCH,target=/c ["/build"]',
        'FROM scratch',
        'RUN --mount=type=cache,id=unneeded,target=/c ["/build"]',
      ],
      'app/build.Dockerfile',
    );
    const { log, exitCode } = await job.runAction('inject', {
      key: 'k',
      context: 'app',
      file: './app/build.Dockerfile',
      target: 'build',
      'build-args': 'NAME=mine\nBUILDKIT_CACHE_MOUNT_NS=ns',
      platforms: 'linux/amd64,linux/arm64/v8',
    });
    expect(exitCode).toBe(0);
    expect(log).toContain(
      'Cache mounts (2)\nmine-amd64 (namespace=ns)\nmine-arm64 (namespace=ns)\n::endgroup::',
    );
  });

  test('a Dockerfile without any is a warning, and fails neither step', async () => {
    const job = await scenario.newJob();
    await writeFile(join(job.workspace, 'Dockerfile'), 'FROM scratch\n');
    for (const action of ['inject', 'extract'] as const) {
      const result = await job.runAction(action, {});
      expect(result.exitCode).toBe(0);
      expect(result.annotations.map(({ level }) => level)).not.toContain('error');
    }
    expect(await leftovers(job)).toEqual(['Dockerfile']);
  });

  test('a Dockerfile that is not there is an error with the remedies; after the build, a warning', async () => {
    const job = await scenario.newJob();
    const message = expect.stringMatching(/actions\/checkout.*cache-mounts/);
    expect(await job.runAction('inject', { key: 'k' })).toMatchObject({
      exitCode: 1,
      annotations: [{ level: 'error', message }],
    });
    // Extract never fails a build that went well.
    expect(await job.runAction('extract', { key: 'k' })).toMatchObject({
      exitCode: 0,
      outputs: { saved: 'false', reason: message },
      annotations: [{ level: 'warning', message }],
    });
  });

  test('what cannot be resolved is named with file and line, and the rest works', async () => {
    const job = await scenario.newJob();
    await writeDockerfile(job, [
      'FROM golang:1',
      'ARG NAME',
      'RUN --mount=type=cache,target=$GOPATH/pkg/mod \\',
      '  --mount=type=cache,id=go-$NAME,target=/c go build',
    ]);
    const { exitCode, annotations, log } = await job.runAction('inject', { key: 'k' });
    expect(exitCode).toBe(0);
    expect(annotations.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^Dockerfile:3: .*\$NAME has no value.*build-args/),
      expect.stringMatching(/^Dockerfile:3: .*\$GOPATH may be set by the image golang:1/),
    ]);
    expect(log).toContain('Cache mounts (1)\ngo-\n');
  });
});

describe('a mount that starts from a stage', () => {
  const dockerfile = [
    '# escape=`',
    'ARG BASE=scratch',
    'FROM $BASE AS seed',
    'ARG NAME=default',
    'COPY seed `',
    '  /$NAME/',
    'FROM scratch AS compiled',
    'RUN ["/compile"]',
    'FROM scratch AS tools',
    'COPY tools /',
    'FROM tools',
    'WORKDIR /out',
    'ARG NONCE',
    'RUN --mount=type=cache,id=m,target=/c,from=seed,source=/mine ["/bin/sh", "-euc", "cd /c; cat * >/out/before; rm -f removed; echo own >own; cat * >/out/after"]',
    'RUN --mount=type=cache,id=n,target=/n,from=compiled true',
    'FROM scratch',
    'COPY --from=3 /out /',
  ];

  async function prepareJob(): Promise<Job> {
    const job = await scenario.newJob();
    await scenario.builder.copyTools(join(job.workspace, 'app', 'tools'));
    for (const name of ['kept', 'removed', 'ignored']) {
      await writeFile(join(job.workspace, 'app', 'tools', name), '');
      await mkdir(join(job.workspace, 'app', 'seed'), { recursive: true });
      await writeFile(join(job.workspace, 'app', 'seed', name), `${name}\n`);
    }
    // Neither a build nor the actions send what the Dockerfile's own ignore file names.
    await writeDockerfile(job, ['seed/ignored'], 'app/Dockerfile.dockerignore');
    await writeDockerfile(
      job,
      dockerfile.filter((line) => !line.includes('from=compiled')),
      'app/Dockerfile',
    );
    return job;
  }

  async function build(job: Job): Promise<{ before: string; after: string }> {
    const output = join(scenario.directory, `output-${Math.random()}`);
    await docker([
      ...['buildx', 'build', '--network=none', '--build-arg=NAME=mine', '--output', output],
      ...[`--build-arg=NONCE=${output}`, join(job.workspace, 'app')],
    ]);
    return {
      before: await readFile(join(output, 'before'), 'utf8'),
      after: await readFile(join(output, 'after'), 'utf8'),
    };
  }

  test('is found, and comes back as it was left', async () => {
    const inputs = { key: 'k', context: 'app', 'build-args': 'NAME=mine' };
    const first = await prepareJob();
    const miss = await first.runAction('inject', inputs);
    expect(miss.log).toContain('Cache mounts (1)\nm (from=seed,source=/mine)\n');
    expect(await build(first)).toEqual({ before: 'kept\nremoved\n', after: 'kept\nown\n' });
    const saved = await first.runAction('extract', {});
    expect(saved).toMatchObject({ outputs: { saved: 'true' }, annotations: [] });

    await scenario.builder.empty();
    const second = await prepareJob();
    const hit = await second.runAction('inject', inputs);
    expect(hit).toMatchObject({ outputs: { 'cache-hit': 'true' }, annotations: [] });
    expect((await build(second)).before).toBe('kept\nown\n');
  });

  test('that would have to be built again is named', async () => {
    const job = await scenario.newJob();
    await writeDockerfile(job, dockerfile);
    const { annotations, log } = await job.runAction('inject', { key: 'k' });
    expect(annotations).toEqual([
      {
        level: 'warning',
        message: expect.stringMatching(/^Dockerfile:15: .*stage compiled.*RUN in line 8/),
      },
    ]);
    expect(log).toContain('Cache mounts (1)\n');
  });
});

describe('with cache-mounts', () => {
  test('a bare id takes the options that the Dockerfile declares it with', async () => {
    const declared = 'id=npm,target=/c,uid=1000';
    const options = 'uid=1000';
    const first = await jobWithMounts(declared);
    const inputs = { key: 'k', 'cache-mounts': 'npm' };
    await first.runAction('inject', inputs);
    await scenario.builder.run({ id: 'npm', options }, 'echo owned >/c/file');
    expect(await first.runAction('extract', inputs)).toMatchObject({
      outputs: { saved: 'true' },
      annotations: [{ level: 'notice', message: expect.stringContaining('npm (uid=1000') }],
    });
    await scenario.builder.empty();
    await (await jobWithMounts(declared)).runAction('inject', inputs);
    expect(await scenario.builder.run({ id: 'npm', options }, 'cat /c/file >/out/result')).toBe(
      'owned\n',
    );
  });

  test('variables in options have the values of build-args and of the Dockerfile', async () => {
    const job = await scenario.newJob();
    await writeDockerfile(job, ['ARG A=1', 'FROM scratch', 'ARG B=2', 'ARG C=3']);
    const { log } = await job.runAction('inject', {
      key: 'k',
      'cache-mounts': 'id=$A-${B}-$C,mode=0700\n$A',
      'build-args': 'C=given',
    });
    expect(log).toContain('Cache mounts (2)\n1-2-given (uid=0,gid=0,mode=0700)\n$A\n');
  });
});

describe('a namespace', () => {
  test('keeps mounts of one id apart', async () => {
    const ns = ['--build-arg', 'BUILDKIT_CACHE_MOUNT_NS=ns'];
    await scenario.builder.run({ id: 'm' }, 'echo outside >/c/file');
    await scenario.builder.run({ id: 'm' }, 'echo inside >/c/file', ns);
    const inputs = { 'cache-mounts': 'm', key: 'k', 'build-args': 'BUILDKIT_CACHE_MOUNT_NS=ns' };
    await scenario.runAction('extract', inputs);
    const hit = await scenario.injectAnew(inputs);
    expect(hit.outputs['cache-hit']).toBe('true');
    const read = 'ls /c; cat /c/file >/out/result || true';
    expect(await scenario.builder.run({ id: 'm' }, read, ns)).toBe('inside\n');
    expect(await scenario.builder.run({ id: 'm' }, read)).toBe('');
  });
});

describe('before it packs, extract says', () => {
  test('which mounts the builder does not have, and what was meant', async () => {
    await scenario.builder.run({ id: 'go-build' }, 'echo 1 >/c/file');
    await scenario.builder.run({ id: 'other' }, 'echo 1 >/c/file');
    const { annotations, log, outputs } = await scenario.runAction('extract', {
      'cache-mounts': 'gobuild\nother',
      key: 'k',
    });
    expect(outputs.saved).toBe('true');
    expect(annotations).toEqual([
      {
        level: 'warning',
        message: expect.stringMatching(
          /^There is no cache mount "gobuild" on the builder \S+; did you mean "go-build"\? It has go-build, other\.$/,
        ),
      },
    ]);
    expect(log).toContain('Not asked for, but on the builder: go-build');
    // The mount was not made by asking for it.
    const again = await scenario.runAction('extract', {
      'cache-mounts': 'gobuild',
      key: 'k2',
    });
    expect(again.annotations[0]?.message).toContain('no cache mount "gobuild"');
  });

  test('that there are more directories for an id than were asked for', async () => {
    await scenario.builder.run({ id: 'm' }, 'echo 1 >/c/file');
    await scenario.builder.run({ id: 'm', options: 'uid=1000' }, 'echo 1 >/c/file');
    const job = await scenario.newJob();
    const one = await job.runAction('extract', { 'cache-mounts': 'm', key: 'k' });
    expect(one.annotations).toEqual([
      { level: 'warning', message: expect.stringMatching(/has 2 cache mounts with the id "m"/) },
    ]);
    const both = await job.runAction('extract', { 'cache-mounts': 'm\nid=m,uid=1000', key: 'k2' });
    expect(both.annotations).toEqual([]);
  });

  test('that a build at the same time has forked a mount', async () => {
    const held = await holdMount(scenario.builder, 'm', 'echo 1 >/c/file');
    await scenario.builder.run({ id: 'm' }, 'echo 2 >/c/other');
    await held.release();
    const job = await scenario.newJob();
    const { annotations } = await job.runAction('extract', { 'cache-mounts': 'm', key: 'k' });
    expect(annotations[0]?.message).toMatch(/has 2 cache mounts.*ran at the same time/);
  });

  test('that a builder has several nodes, and which one it uses', async () => {
    await scenario.builder.run({ id: 'm' }, 'echo 1 >/c/file');
    const real = await which('docker', true);
    const node = 'Name: second\\nEndpoint: other\\nPlatforms: linux/arm64, linux/arm/v7\\n';
    const PATH = await pathWith(
      scenario.directory,
      'docker',
      `case "$1 $2" in "buildx inspect") ${real} "$@"; printf '\\n${node}' ;; *) exec ${real} "$@" ;; esac`,
    );
    const inputs = { 'cache-mounts': 'm', key: 'k' };
    const job = await scenario.newJob();
    const other = { ...inputs, platforms: 'linux/arm64/v8,linux/amd64' };
    expect(
      (await job.runAction('extract', other, { env: { PATH } })).annotations[0]?.message,
    ).toMatch(
      /^The runner's own programs cannot be used in the builder: .*runs linux\/arm64, linux\/arm\/v7/,
    );
    const first = await job.runAction('extract', inputs, { env: { PATH } });
    expect(first).toMatchObject({
      outputs: { saved: 'true' },
      annotations: [
        {
          level: 'warning',
          message: expect.stringMatching(/has 2 nodes.*node of linux\/amd64 is used/),
        },
      ],
    });
  });

  test('nothing where the builder cannot tell, and packs all the same', async () => {
    await scenario.builder.run({ id: 'm' }, 'echo 1 >/c/file');
    const real = await which('docker', true);
    const PATH = await pathWith(
      scenario.directory,
      'docker',
      `case "$1 $2" in "buildx du") exit 1 ;; esac; exec ${real} "$@"`,
    );
    const result = await scenario.runAction(
      'extract',
      { 'cache-mounts': 'm', key: 'k' },
      { env: { PATH } },
    );
    expect(result).toMatchObject({ outputs: { saved: 'true' }, annotations: [] });
    expect(result.log).toMatch(/cache mounts of the builder cannot be listed.*not checked/);
  });
});
