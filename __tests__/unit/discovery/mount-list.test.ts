import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { findBuilds } from '../../../src/discovery/builds.js';
import { areGiven, type MountInputs } from '../../../src/discovery/mount-inputs.js';
import { listMounts } from '../../../src/discovery/mount-list.js';
import { imageKey } from '../../../src/dockerfile/base-image.js';
import { InputError } from '../../../src/lib/errors.js';
import { readSurroundings } from '../../../src/lib/surroundings.js';
import { describeMount } from '../../../src/mounts/cache-mount.js';
import { runnerPlatform } from '../../../src/mounts/platform.js';
import { noMountInputs } from '../../support/no-mount-inputs.js';

let root: string;
let workspace: string;

beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'mount-list-')));
  workspace = join(root, 'workspace');
  await mkdir(workspace);
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

async function write(path: string, ...lines: string[]): Promise<void> {
  const file = join(workspace, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, lines.join('\n'));
}

async function listAll(inputs: MountInputs, from: string) {
  return listMounts(inputs, await findBuilds(inputs, { ...readSurroundings(), workspace: from }));
}

/** Lists the mounts as a person would name them. */
async function list(inputs: Partial<MountInputs>) {
  const found = await listAll({ ...noMountInputs, ...inputs }, workspace);
  const { mounts, notices, leftOut } = found;
  const warnings = [...leftOut.map(({ message }) => message), ...found.warnings];
  return { mounts: mounts.map(describeMount), notices, warnings };
}

/** What is listed where there is nothing to say. */
const just = (...mounts: string[]) => ({ mounts, notices: [], warnings: [] });

/** A RUN with a mount of these options. */
const run = (options: string) => `RUN --mount=type=cache,target=/c,${options} go`;

async function refusal(inputs: Partial<MountInputs>): Promise<string> {
  const error = await list(inputs).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(InputError);
  return (error as InputError).message;
}

describe('without a list, the mounts are those of the Dockerfile', () => {
  test('of the workspace', async () => {
    await write('Dockerfile', 'FROM golang', 'RUN --mount=type=cache,target=/c go', run('id=a'));
    expect(await list({})).toEqual(just('/c', 'a'));
  });

  test.each(['', '\n \n', '# go', '\t# go\r\n#'])('where the list is %j', async (cacheMounts) => {
    await write('Dockerfile', 'FROM golang', run('id=a'));
    expect(await list({ cacheMounts })).toEqual(just('a'));
  });

  test('of the context', async () => {
    await write('app/Dockerfile', 'FROM golang', run('id=app'));
    await write('Dockerfile', 'FROM golang', run('id=root'));
    expect(await list({ context: 'app' })).toEqual(just('app'));
    expect(await list({ context: './app/../app/' })).toEqual(just('app'));
    expect(await list({ context: join(workspace, 'app') })).toEqual(just('app'));
    expect(await list({ context: '.' })).toEqual(just('root'));
  });

  test('of a context outside the workspace', async () => {
    await write('../other/Dockerfile', 'FROM golang', run('id=$HOME'), run('id=other'));
    for (const context of ['../other', join(root, 'other')]) {
      expect(await list({ context })).toEqual({
        mounts: ['other'],
        notices: [],
        warnings: [expect.stringMatching(/^\.\.\/other\/Dockerfile:2: .*\$HOME/)],
      });
    }
  });

  test('of a file, which is looked for in the workspace and not in the context', async () => {
    await write('app/Dockerfile', 'FROM golang', run('id=context'));
    await write('build/go.Dockerfile', 'FROM golang', run('id=file'), run('id=$HOME'));
    for (const file of ['build/go.Dockerfile', join(workspace, 'build/go.Dockerfile')]) {
      expect(await list({ context: 'app', files: [file] })).toEqual({
        mounts: ['file'],
        notices: [],
        warnings: [expect.stringMatching(/^build\/go\.Dockerfile:3: /)],
      });
    }
    expect(await refusal({ context: 'build', files: ['go.Dockerfile'] })).toContain('There is no');
  });

  test('of several files, each mount once', async () => {
    await write('a', 'FROM golang', run('id=one'), run('id=both'), run('id=$A'));
    await write('b/Dockerfile', 'FROM golang', run('id=both'), '', run('id=$B'), run('id=two'));
    expect(await list({ files: ['a', 'b/Dockerfile'] })).toEqual({
      mounts: ['one', 'both', 'two'],
      notices: [],
      warnings: [
        expect.stringMatching(/^a:4: .*\$A/),
        expect.stringMatching(/^b\/Dockerfile:4: .*\$B/),
      ],
    });
  });

  test('in the stages that the target needs', async () => {
    await write('Dockerfile', 'FROM golang AS a', run('id=a'), 'FROM golang AS b', run('id=b'));
    expect(await list({ targets: ['a'] })).toEqual(just('a'));
    expect(await list({})).toEqual(just('b'));
  });

  test('with the build arguments, their namespace among them', async () => {
    await write('Dockerfile', 'FROM golang', 'ARG A=1', run('id=x-$A'));
    const buildArgs = new Map([
      ['A', '2'],
      ['BUILDKIT_CACHE_MOUNT_NS', 'ns'],
    ]);
    expect(await list({ buildArgs })).toEqual(just('x-2 (namespace=ns)'));
  });

  test('for the platforms, or else the runner’s own', async () => {
    await write('Dockerfile', 'FROM golang', 'ARG TARGETPLATFORM', run('id=$TARGETPLATFORM'));
    expect(await list({})).toEqual(just(runnerPlatform()));
    const platforms = ['linux/arm64', 'linux/s390x'];
    expect(await list({ platforms })).toEqual(just(...platforms));
  });

  test('of the working directory, where there is no workspace', async () => {
    const environment = process.env;
    process.env = { ...environment };
    delete process.env.GITHUB_WORKSPACE;
    await write('Dockerfile', 'FROM golang', run('id=here'));
    const before = process.cwd();
    process.chdir(workspace);
    try {
      const { mounts } = await listAll(noMountInputs, readSurroundings().workspace);
      expect(mounts).toEqual([{ id: 'here' }]);
    } finally {
      process.chdir(before);
      process.env = environment;
    }
  });

  test('and where it has none, there is a warning; one that is left out may yet be found', async () => {
    await write('Dockerfile', 'FROM golang', 'RUN go');
    await write('other', 'FROM golang', run('id=$HOME'));
    expect(await list({})).toEqual({
      mounts: [],
      notices: [],
      warnings: ['No cache mount was found in the Dockerfile: there is nothing to do.'],
    });
    expect(await list({ files: ['Dockerfile', 'other'] })).toEqual({
      mounts: [],
      notices: [],
      warnings: [expect.stringContaining('other:2: a mount is left out')],
    });
  });
});

describe('an image is looked up', () => {
  /** Lists the mounts with images of these variables, and notes what is looked up. */
  async function listWith(
    env: Readonly<Record<string, string>> | string,
    onBuild: readonly string[] = [],
    inputs: Partial<MountInputs> = {},
  ) {
    const asked: string[] = [];
    const surroundings = { ...readSurroundings(), workspace };
    const all = { ...noMountInputs, ...inputs };
    const found = await listMounts(all, await findBuilds(all, surroundings), async (images) => {
      asked.push(images.map(({ name }) => name).join());
      const config = typeof env === 'string' ? env : { env: new Map(Object.entries(env)), onBuild };
      return new Map(images.map((image) => [imageKey(image), config]));
    });
    return { ...found, asked };
  }

  test('only if a mount needs a variable of it', async () => {
    await write('Dockerfile', 'FROM golang AS go', run('id=a'), 'FROM rust', run('id=$A'));
    const { asked, mounts } = await listWith({ A: 'x' });
    expect({ asked, mounts }).toEqual({ asked: ['rust'], mounts: [{ id: 'x' }] });
    await write('Dockerfile', 'FROM golang', run('id=a'));
    expect((await listWith({ A: 'x' })).asked).toEqual([]);
  });

  test('never if the mounts are listed', async () => {
    await write('Dockerfile', 'FROM rust', run('id=$A'));
    const { asked, leftOut } = await listWith({}, [], { cacheMounts: 'a' });
    expect({ asked, leftOut }).toEqual({ asked: [], leftOut: [] });
  });

  test('once, with all others', async () => {
    await write('a', 'FROM golang', run('id=$A'), run('id=$B'));
    await write('b', 'FROM rust', run('id=$A'));
    expect((await listWith({}, [], { files: ['a', 'b'] })).asked).toEqual(['golang,rust']);
  });

  test('also if ONBUILD of another one needs it', async () => {
    await write('Dockerfile', 'FROM golang AS go', run('id=$A'), 'FROM rust AS b', 'FROM go');
    const { asked, mounts } = await listWith({ A: 'x' }, [
      'RUN --mount=type=bind,from=b,target=/b --mount=type=cache,id=y,target=/c go',
    ]);
    expect({ asked, mounts }).toEqual({ asked: ['golang'], mounts: [{ id: 'y' }, { id: 'x' }] });
  });

  test('and the mounts have the same gaps if it cannot be', async () => {
    await write('Dockerfile', 'FROM golang:1', run('id=a'), run('id=$A'));
    const gap = { image: 'golang', id: '$A' };
    const known = await listWith({ A: 'x' });
    expect(known).toMatchObject({
      mounts: [{ id: 'a' }, { id: 'x' }],
      keyedMounts: [{ id: 'a' }],
      ...{ gaps: [gap], ofGaps: [{ mount: { id: 'x' }, gap }], leftOut: [], warnings: [] },
    });
    const unknown = await listWith('no such host');
    expect(unknown).toMatchObject({
      mounts: [{ id: 'a' }],
      keyedMounts: [{ id: 'a' }],
      ...{ gaps: [gap], ofGaps: [], leftOut: [{ gap }], warnings: [] },
    });
  });

  test('what its ONBUILD declares is no part of the key', async () => {
    await write('Dockerfile', 'FROM golang:1', run('id=$A'));
    const found = await listWith({ A: 'x' }, [run('id=added')]);
    const gap = { image: 'golang', id: 'added', onBuild: true };
    expect(found).toMatchObject({ mounts: [{ id: 'added' }, { id: 'x' }], keyedMounts: [] });
    expect(found.ofGaps[0]).toEqual({ mount: { id: 'added' }, gap });
    expect(found.gaps).toEqual([{ image: 'golang', id: '$A' }]);
  });
});

describe('without a Dockerfile there is an error with the remedies', () => {
  test.each<[name: string, inputs: Partial<MountInputs>, path: string]>([
    ['in the workspace', {}, 'workspace/Dockerfile'],
    ['in the context', { context: 'app' }, 'workspace/app/Dockerfile'],
    ['of this name', { files: ['x.Dockerfile'] }, 'workspace/x.Dockerfile'],
    ['that is a file', { files: ['.'] }, ''],
  ])('%s', async (_, inputs, path) => {
    const message = await refusal(inputs);
    expect(message).toMatch(/^There is no Dockerfile to read the cache mounts from: /);
    expect(message).toContain('Put actions/checkout before this step');
    expect(message).toContain('the inputs file or context');
    expect(message).toContain('name the mounts in the input cache-mounts');
    expect(message).toContain(path);
  });

  test('even if there is another', async () => {
    await write('a', 'FROM golang', run('id=a'));
    expect(await refusal({ files: ['a', 'b'] })).toContain(join(workspace, 'b'));
  });
});

test('a target that does not exist is an error, whether mounts are named or not', async () => {
  await write('app/Dockerfile', 'FROM golang AS build', run('id=a'));
  for (const cacheMounts of ['', 'a']) {
    expect(await refusal({ cacheMounts, context: 'app', targets: ['test'] })).toBe(
      'Input target: app/Dockerfile has no stage "test"; it has build.',
    );
  }
});

describe('a list', () => {
  test('needs no Dockerfile', async () => {
    expect(await list({ cacheMounts: 'go\n\n# comment\nid=npm,uid=1' })).toEqual(
      just('go', 'npm (uid=1,gid=0,mode=0755)'),
    );
    expect(await list({ cacheMounts: 'go', context: 'x', files: ['y'] })).toEqual(just('go'));
  });

  test('is all that counts', async () => {
    await write('Dockerfile', 'FROM golang', run('id=a'), run('id=$HOME'));
    expect(await list({ cacheMounts: 'b' })).toEqual(just('b'));
  });

  test.each<[text: string, message: string]>([
    ['go\nid=a,uid=x', 'Input cache-mounts: line 2 (id=a,uid=x): uid=x is no decimal number'],
    ['\n\nro', 'Input cache-mounts: line 3 (ro): neither id nor target is given'],
    ['go\nid=$X', 'Input cache-mounts: line 2 (id=$X): the variable $X has no value'],
    ['a"b\nid=', 'Input cache-mounts: line 1 (a"b): '],
    ['a"b\nid=', '\nline 2 (id=): '],
  ])('that is wrong is an error: %j', async (cacheMounts, message) => {
    expect(await refusal({ cacheMounts })).toContain(message);
  });

  test('that names a mount twice gets a notice', async () => {
    expect(await list({ cacheMounts: 'go\nid=go' })).toEqual({
      mounts: ['go'],
      notices: ['Input cache-mounts: line 2 names the same cache mount as line 1: go'],
      warnings: [],
    });
  });

  test('is in the namespace of the build argument', async () => {
    const buildArgs = new Map([['BUILDKIT_CACHE_MOUNT_NS', 'ns']]);
    const { mounts } = await listAll({ ...noMountInputs, cacheMounts: 'go', buildArgs }, workspace);
    expect(mounts).toEqual([{ id: 'go', namespace: 'ns' }]);
  });

  describe('takes the variables in its options', () => {
    const buildArgs = new Map([['A', 'given']]);

    test('from the build arguments, without a Dockerfile', async () => {
      const cacheMounts = 'id=x-$A\n$A';
      expect(await list({ cacheMounts, buildArgs })).toEqual(just('x-given', '$A'));
    });

    test('from the ARGs of the Dockerfile', async () => {
      await write('Dockerfile', 'ARG G=1', 'FROM golang', 'ARG A=2', 'ARG B=$A-x', 'ENV C=3');
      const cacheMounts = 'id=$G-$A-$B';
      expect(await list({ cacheMounts })).toEqual(just('1-2-2-x'));
      expect(await list({ cacheMounts, buildArgs })).toEqual(just('1-given-given-x'));
      expect(await refusal({ cacheMounts: 'id=$C' })).toContain('the variable $C has no value');
    });

    test('from the build arguments before a Dockerfile’s', async () => {
      await write('a', 'FROM golang', 'ARG A=1');
      await write('b', 'FROM golang', 'ARG B=2');
      const cacheMounts = 'id=$A$B';
      expect(await list({ cacheMounts, files: ['a', 'b'] })).toEqual(just('12'));
      expect(await list({ cacheMounts, files: ['a', 'b'], buildArgs })).toEqual(just('given2'));
    });

    test('from alternatives', async () => {
      expect(await list({ cacheMounts: 'id=${X:-y}' })).toEqual(just('y'));
    });
  });
});

test.each(['from=Seed', 'from=seed,source=/x', 'from=seed,uid=7,gid=0,mode=0755'])(
  '%s means the stage of the Dockerfile',
  async (options) => {
    await write(
      'Dockerfile',
      'FROM alpine AS seed',
      'COPY x /',
      'FROM golang',
      run(`id=go,${options}`),
    );
    const { mounts } = await listAll(
      { ...noMountInputs, cacheMounts: `id=go,${options}` },
      workspace,
    );
    expect(mounts).toMatchObject([{ id: 'go', stage: { name: 'seed' } }]);
    expect(mounts[0]).not.toHaveProperty('from');
    const others = await listAll(
      { ...noMountInputs, cacheMounts: `id=other,${options}` },
      workspace,
    );
    expect(others.mounts).toMatchObject([{ id: 'other', from: expect.stringMatching(/seed/i) }]);
  },
);

test.each(['https://github.com/o/r.git#main:app', 'git@github.com:o/r.git', 'ssh://x/y'])(
  'with a list, the context %s is told of and not needed',
  async (context) => {
    await write('Dockerfile', 'FROM golang', run('id=go,uid=1'));
    const platforms = ['linux/amd64', 'linux/arm64'];
    expect(await list({ context, cacheMounts: 'go\nid=x', platforms, targets: ['none'] })).toEqual({
      mounts: ['go', 'x'],
      notices: [
        `Input context: ${context} is no directory here, so that no Dockerfile is read: the mounts are just those of cache-mounts.`,
      ],
      warnings: [],
    });
  },
);

describe('a second field in a line of the list', () => {
  const dockerfile = [
    'FROM node',
    'RUN --mount=type=cache,target=/root/.npm --mount=type=cache,target=/root/.yarn/ x',
    'RUN --mount=type=cache,id=go,target=/go --mount=type=cache,id=other,target=/go/x x',
  ];

  test.each<[line: string, named: string, other: string]>([
    ['/root/.npm,/root/.yarn', '/root/.npm', '/root/.yarn'],
    ['/root/.npm,/root/.yarn/', '/root/.npm', '/root/.yarn/'],
    ['go,other', 'go', 'other'],
    ['go,/go/x', 'go', '/go/x'],
    ['go, /nowhere', 'go', '/nowhere'],
    ['go, /go', 'go', '/go'],
  ])('that looks like another mount gets a warning: %s', async (line, named, other) => {
    await write('Dockerfile', ...dockerfile);
    expect(await list({ cacheMounts: `\n${line}` })).toEqual({
      mounts: [named],
      notices: [],
      warnings: [
        `Input cache-mounts: line 2 names ${named} alone, as there is one mount a line: if ${other} is a mount too, put it on a line of its own.`,
      ],
    });
  });

  test.each(['go,/go', 'go,/go/', 'go,/nowhere', 'go,', '/root/.npm,/root/.npm', 'go,go'])(
    'that is a path of the mount gets none: %s',
    async (line) => {
      await write('Dockerfile', ...dockerfile);
      expect(await list({ cacheMounts: line })).toMatchObject({ notices: [], warnings: [] });
    },
  );
});

describe('the error without a Dockerfile', () => {
  const files = [
    ...['a.Dockerfile', 'docker-bake.hcl', 'compose.yaml', 'app/Dockerfile', 'app/Containerfile'],
    ...['app/docker-compose.prod.yml', 'app/web/Dockerfile.dev', 'app/docker-bake.override.json'],
  ];
  const others = [
    ...['Dockerfile.dockerignore', 'README.md', 'node_modules/x/Dockerfile', '.git/Dockerfile'],
    ...['a/b/c/d/Dockerfile', 'composer.json', 'compose/x'],
  ];

  test('names what there is to build by, the nearest first', async () => {
    for (const file of [...files, ...others]) await write(file, 'x');
    // Without any input, the bake file would be taken.
    const named = (await refusal({ targets: ['x'] })).replace(
      /^.* In the workspace there are: /s,
      '',
    );
    expect(named).toBe(
      'a.Dockerfile, compose.yaml, docker-bake.hcl, app/Containerfile, app/Dockerfile, app/docker-bake.override.json, app/docker-compose.prod.yml, app/web/Dockerfile.dev.',
    );
  });

  test('names ten at most, and none if there are none', async () => {
    expect(await refusal({})).toMatch(/in the input cache-mounts\.$/);
    for (let index = 0; index < 12; index++) await write(`${index}.Dockerfile`, 'x');
    expect((await refusal({})).match(/\d\.Dockerfile/g)).toHaveLength(10);
  });
});

test.each<[options: string, mount: string]>([
  ['from=Empty', 'go'],
  ['from=empty,source=/x', 'go'],
  ['from=image,uid=7', 'go (from=alpine,uid=7,gid=0,mode=0755)'],
  ['from=alpine:latest', 'go (from=alpine)'],
  ['from=docker.io/library/alpine', 'go (from=alpine)'],
])('%s in a list is what it is in the Dockerfile', async (options, mount) => {
  const stages = ['FROM scratch AS empty', 'ENV A=1', 'FROM alpine AS image', 'FROM golang'];
  await write('Dockerfile', ...stages, run(`id=go,${options}`));
  expect(await list({})).toEqual(just(mount));
  expect(await list({ cacheMounts: `id=go,${options}` })).toEqual(just(mount));
});

test.each(['{{defaultContext}}:app', '{{ defaultContext }}:app', './app'])(
  'the context %s is a directory of the checkout',
  async (context) => {
    await write('app/Dockerfile', 'FROM golang', run('id=x'));
    expect(await list({ context })).toEqual(just('x'));
  },
);

test.each([
  ['{{defaultContext}}:app', 'docker/Dockerfile'],
  ['{{defaultContext}}', 'app/docker/Dockerfile'],
  ['app', 'app/docker/Dockerfile'],
])('with the context %s, the Dockerfile is %s', async (context, file) => {
  await write('app/docker/Dockerfile', 'FROM golang', run('id=x'));
  expect(await list({ context, files: [file] })).toEqual(just('x'));
});

test.each(['https://github.com/o/r.git#main:app', 'git@github.com:o/r.git'])(
  'the context %s is refused',
  async (context) => {
    expect(await refusal({ context })).toContain('give the path at which it is checked out');
  },
);

test('an option that depends on the platform gives a mount for each of them', async () => {
  await write('Dockerfile', 'FROM golang', 'ARG TARGETARCH', 'RUN go');
  const platforms = ['linux/amd64', 'linux/arm64'];
  expect(await list({ cacheMounts: 'id=go-$TARGETARCH\nid=plain', platforms })).toEqual(
    just('go-amd64', 'plain', 'go-arm64'),
  );
});

describe('a bare id takes the options that the Dockerfile declares', () => {
  test.each<[options: string, mount: string]>([
    ['id=go,uid=1000', 'go (uid=1000,gid=0,mode=0755)'],
    ['id=go,gid=7', 'go (uid=0,gid=7,mode=0755)'],
    ['id=go,mode=0700', 'go (uid=0,gid=0,mode=0700)'],
    ['id=go,uid=0', 'go (uid=0,gid=0,mode=0755)'],
    ['id=go,from=alpine', 'go (from=alpine)'],
    ['id=go,from=alpine,source=/x', 'go (from=alpine,source=/x)'],
    ['id=go,from=seed', 'go (from=seed)'],
  ])('%s', async (options, mount) => {
    await write('Dockerfile', 'FROM alpine AS seed', 'COPY x /', 'FROM golang', run(options));
    for (const cacheMounts of [
      'go',
      'go,/target',
      '"go"',
      'id=go',
      'id=go,target=/x,sharing=locked',
    ]) {
      expect(await list({ cacheMounts })).toEqual({
        mounts: [mount],
        notices: [`Input cache-mounts: go is taken as the Dockerfile declares it: ${mount}.`],
        warnings: [],
      });
    }
  });

  test('where it is a target', async () => {
    await write('Dockerfile', 'FROM golang', 'RUN --mount=type=cache,target=/c/,uid=1 go');
    expect(await list({ cacheMounts: '/c' })).toMatchObject({
      mounts: ['/c (uid=1,gid=0,mode=0755)'],
      notices: [expect.stringContaining('/c is taken')],
    });
  });

  test('in each of their forms, where it declares the plain one, too', async () => {
    await write('Dockerfile', 'FROM golang', run('id=go,uid=1'), run('id=go'), run('id=go,uid=2'));
    expect(await list({ cacheMounts: 'go\nnpm' })).toEqual({
      mounts: ['go (uid=1,gid=0,mode=0755)', 'go', 'go (uid=2,gid=0,mode=0755)', 'npm'],
      notices: [
        'Input cache-mounts: go is taken as the Dockerfile declares it: go (uid=1,gid=0,mode=0755) and go and go (uid=2,gid=0,mode=0755).',
      ],
      warnings: [],
    });
  });

  test('from all of several files', async () => {
    await write('a', 'FROM golang', run('id=go'));
    await write('b', 'FROM golang', run('id=go,uid=1'));
    expect(await list({ cacheMounts: 'go', files: ['a', 'b', 'missing'] })).toMatchObject({
      mounts: ['go', 'go (uid=1,gid=0,mode=0755)'],
    });
  });

  test('with the namespace of both', async () => {
    await write('Dockerfile', 'FROM golang', run('id=go,uid=1'));
    const buildArgs = new Map([['BUILDKIT_CACHE_MOUNT_NS', 'ns']]);
    expect(await list({ cacheMounts: 'go', buildArgs })).toMatchObject({
      mounts: ['go (namespace=ns,uid=1,gid=0,mode=0755)'],
    });
  });

  test('and none that it declares for another id, or in a stage that is not needed', async () => {
    await write(
      'Dockerfile',
      'FROM golang AS unneeded',
      run('id=go,uid=1'),
      'FROM golang',
      run('id=gone,uid=1'),
      run('id=Go,uid=1'),
    );
    expect(await list({ cacheMounts: 'go' })).toEqual(just('go'));
  });

  test('and none where options are given', async () => {
    await write('Dockerfile', 'FROM golang', run('id=go,uid=1'));
    expect(await list({ cacheMounts: 'id=go,uid=2' })).toEqual(just('go (uid=2,gid=0,mode=0755)'));
    expect(await list({ cacheMounts: 'id=go,from=a' })).toEqual(just('go (from=a)'));
  });

  test('without a notice, where it declares just the plain one', async () => {
    await write('Dockerfile', 'FROM golang', run('id=go'), run('id=go,sharing=locked'));
    expect(await list({ cacheMounts: 'go' })).toEqual(just('go'));
  });

  test('once, though it is named both ways', async () => {
    await write('Dockerfile', 'FROM golang', run('id=go,uid=1'));
    expect(await list({ cacheMounts: 'go\nid=go,uid=1' })).toMatchObject({
      mounts: ['go (uid=1,gid=0,mode=0755)'],
    });
  });
});

describe('stages that mounts start from', () => {
  const dockerfile = [
    ...['ARG V=1', 'FROM alpine AS seed', 'COPY x /', 'FROM golang'],
    run('id=go,from=seed'),
  ];

  test('come with all that a build of them needs', async () => {
    await write('app/Dockerfile', ...dockerfile);
    await write('app/Dockerfile.dockerignore', '*\n!x');
    const inputs = { ...noMountInputs, context: 'app', buildArgs: new Map([['V', '2']]) };
    for (const cacheMounts of ['', 'go']) {
      expect(await listAll({ ...inputs, cacheMounts }, workspace)).toMatchObject({
        mounts: [{ id: 'go', stage: { name: 'seed' } }],
        warnings: [],
        seedStages: {
          head: '# escape=\\\nARG V=1',
          stages: 'FROM alpine AS seed\nCOPY x /',
          context: join(workspace, 'app'),
          buildArgs: { V: '2' },
          ignore: '*\n!x',
        },
      });
    }
  });

  test('may have no ignore file of their own', async () => {
    await write('Dockerfile', ...dockerfile);
    await write('.dockerignore', '*');
    const { seedStages } = await listAll(noMountInputs, workspace);
    expect(seedStages).toMatchObject({ context: workspace, ignore: '' });
  });

  test('are none where no mount starts from one', async () => {
    await write('Dockerfile', 'FROM golang', run('id=go'));
    expect((await listAll(noMountInputs, workspace)).seedStages).toBeUndefined();
    expect(
      (await listAll({ ...noMountInputs, cacheMounts: 'go' }, workspace)).seedStages,
    ).toBeUndefined();
  });

  test('are not supported for several files: the mount is named, and the rest works', async () => {
    await write('a/Dockerfile', ...dockerfile, run('id=a'));
    await write('b', 'FROM golang', run('id=b'));
    const inputs = { ...noMountInputs, files: ['a/Dockerfile', 'b'] };
    expect(await listAll(inputs, workspace)).toEqual({
      ...{ leftOut: [], ofGaps: [], gaps: [], bake: undefined },
      keyedMounts: [{ id: 'a' }, { id: 'b' }],
      mounts: [{ id: 'a' }, { id: 'b' }],
      seedStages: undefined,
      others: [],
      platform: undefined,
      hint: undefined,
      notices: [],
      warnings: [
        'a/Dockerfile: the mount go is left out: it starts from the stage seed, which is supported for a single Dockerfile only',
      ],
    });
  });
});

test.each<[name: string, given: Partial<MountInputs>, expected: boolean]>([
  ['nothing', {}, false],
  ['blank lines', { cacheMounts: '\n \r\n' }, false],
  ['comments', { cacheMounts: '# go\n  # npm' }, false],
  ['a mount', { cacheMounts: '# go\n  npm' }, true],
  ['a context', { context: '.' }, true],
  ['a file', { files: ['x'] }, true],
  ['a target', { targets: ['x'] }, true],
  ['build arguments', { buildArgs: new Map([['A', '']]) }, true],
  ['platforms', { platforms: ['linux/amd64'] }, true],
])('%s: are any inputs given?', (_, given, expected) => {
  expect(areGiven({ ...noMountInputs, ...given })).toBe(expected);
});
