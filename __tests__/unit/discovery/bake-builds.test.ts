import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { findDefinitions } from '../../../src/discovery/bake-builds.js';
import type { Build, BuildPlan } from '../../../src/discovery/build-plan.js';
import { findBuilds } from '../../../src/discovery/builds.js';
import type { MountInputs } from '../../../src/discovery/mount-inputs.js';
import { listMounts } from '../../../src/discovery/mount-list.js';
import { InputError } from '../../../src/lib/errors.js';
import { readSurroundings } from '../../../src/lib/surroundings.js';
import { describeMount } from '../../../src/mounts/cache-mount.js';
import { noMountInputs } from '../../support/no-mount-inputs.js';

let workspace: string;

beforeEach(async () => {
  workspace = await mkdtemp(join(tmpdir(), 'bake-builds-'));
});

afterEach(() => rm(workspace, { recursive: true }));

async function write(path: string, ...lines: string[]): Promise<void> {
  await mkdir(dirname(join(workspace, path)), { recursive: true });
  await writeFile(join(workspace, path), lines.join('\n'));
}

describe('the definitions that bake would take by itself', () => {
  test('are found in its order', async () => {
    const names = [
      ...['compose.yaml', 'compose.yml', 'docker-compose.yml', 'docker-compose.yaml'],
      ...['docker-bake.json', 'docker-bake.hcl'],
      ...['docker-bake.override.json', 'docker-bake.override.hcl'],
    ];
    for (const name of names) await write(name, 'services:', '  a:', '    build: .');
    await write('bake.hcl', 'target "default" {}');
    expect(await findDefinitions(workspace)).toEqual(names);
  });

  test.each<[text: string, isFound: boolean]>([
    ['services:\n  a:\n    build: .', true],
    ['services: {a: {build: {context: .}}}', true],
    ['{"services":{"a":{"build":"."}}}', true],
    ['services:\n  a:\n    image: build', false],
    ['services:\n  a:\n    image: x # build: .', false],
    ['', false],
  ])('a Compose file with %j is one of them: %j', async (text, isFound) => {
    await write('compose.yml', text);
    expect(await findDefinitions(workspace)).toEqual(isFound ? ['compose.yml'] : []);
  });
});

describe('a bake file beside a Dockerfile', () => {
  const plan = (inputs: Partial<MountInputs>) =>
    findBuilds({ ...noMountInputs, ...inputs }, { ...readSurroundings(), workspace });

  test('is named beside it if no input says which is meant', async () => {
    await write('Dockerfile', 'FROM scratch');
    await write('docker-bake.hcl', '');
    const { notices, hint } = await plan({});
    expect(notices).toEqual([expect.stringMatching(/Dockerfile.*docker-bake\.hcl.*bake-files/)]);
    expect(hint).toMatch(/docker-bake\.hcl/);
  });

  test.each<[name: string, inputs: Partial<MountInputs>, hasHint: boolean]>([
    ['a target is given', { targets: ['x'] }, true],
    ['a file is given', { files: ['Dockerfile'] }, true],
    ['the mounts are listed', { cacheMounts: 'go' }, false],
  ])('is not named by inject if %s', async (_, inputs, hasHint) => {
    await write('Dockerfile', 'FROM scratch AS x');
    await write('docker-bake.hcl', '');
    const { notices, hint } = await plan(inputs);
    expect(notices).toEqual([]);
    expect(hint !== undefined).toBe(hasHint);
  });

  test('is not looked for elsewhere', async () => {
    await write('app/Dockerfile', 'FROM scratch');
    await write('docker-bake.hcl', '');
    expect(await plan({ context: 'app' })).toMatchObject({ notices: [], hint: undefined });
  });
});

/** A build of a bake target with an inline Dockerfile. */
function build(bakeTarget: string, lines: readonly string[], rest: Partial<Build> = {}): Build {
  return {
    file: `the Dockerfile of ${bakeTarget}`,
    dockerfile: { path: undefined, text: lines.join('\n') },
    context: '/context',
    target: undefined,
    buildArgs: new Map(),
    platforms: ['linux/amd64'],
    contexts: new Map(),
    bakeTarget,
    ...rest,
  };
}

async function list(builds: readonly Build[], rest: Partial<BuildPlan> = {}, cacheMounts = '') {
  const plan: BuildPlan = {
    ...{ workspace, builds, platforms: undefined, bake: undefined },
    ...{ notices: [], warnings: [], hint: undefined, missing: undefined },
    ...rest,
  };
  const found = await listMounts({ ...noMountInputs, cacheMounts }, plan);
  const { mounts, others, leftOut } = found;
  const warnings = [...leftOut.map(({ message }) => message), ...found.warnings];
  return { mounts: mounts.map(describeMount), warnings, others };
}

const run = (options: string) => `RUN --mount=type=cache,target=/c,${options} go`;
const contexts = (entries: Record<string, string>) => ({
  contexts: new Map(Object.entries(entries)),
});

describe('the mounts of several builds', () => {
  test('are those of each, with its own arguments, stage and platforms, each once', async () => {
    const lines = [
      'FROM scratch AS a',
      'ARG N TARGETARCH',
      run('id=$N-$TARGETARCH'),
      run('id=both'),
    ];
    const found = await list([
      build('one', lines, { buildArgs: new Map([['N', '1']]) }),
      build('two', [...lines, 'FROM scratch', run('id=not')], {
        buildArgs: new Map([['N', '2']]),
        target: 'a',
        platforms: ['linux/arm64', 'linux/386'],
      }),
    ]);
    expect(found.mounts).toEqual(['1-amd64', 'both', '2-arm64', '2-386']);
    expect(found.warnings).toEqual([]);
  });

  test('of another namespace are left out and named, as a build has but one', async () => {
    const inNamespace = (name: string) => ({
      buildArgs: new Map([['BUILDKIT_CACHE_MOUNT_NS', name]]),
    });
    const lines = ['FROM scratch', run('id=m')];
    const found = await list([
      build('one', lines, inNamespace('a')),
      build('two', lines, inNamespace('b')),
    ]);
    expect(found.mounts).toEqual(['m (namespace=a)']);
    expect(found.warnings).toEqual([expect.stringMatching(/m \(namespace=b\).*left out.*step/)]);
  });

  test('are read from a list with the arguments of each', async () => {
    const lines = ['FROM scratch', 'ARG N', 'RUN go'];
    const found = await list(
      [
        build('one', lines, { buildArgs: new Map([['N', '1']]) }),
        build('two', lines, { buildArgs: new Map([['N', '2']]) }),
        build('three', ['FROM scratch']),
      ],
      {},
      'id=x-$N',
    );
    expect(found.mounts).toEqual(['x-1', 'x-2']);
  });

  test('of a Dockerfile that is not there are named, and the others are found', async () => {
    const dockerfile = { path: '/x/Dockerfile', text: undefined, trouble: 'gone' };
    const missing = build('two', [], { dockerfile });
    const found = await list([build('one', ['FROM scratch', run('id=m')]), missing]);
    expect(found.mounts).toEqual(['m']);
    expect(found.warnings).toEqual([expect.stringMatching(/bake target two.*gone/)]);
    await expect(list([missing])).rejects.toThrow(InputError);
  });
});

describe('a named context', () => {
  const base = ['FROM scratch AS b', 'ARG A', 'ENV E=e-$A', `ONBUILD ${run('id=trigger-$E')}`];
  const buildArgs = new Map([['A', 'given']]);

  test('that is another target gives its ENVs and ONBUILDs, and not its ARGs', async () => {
    const found = await list([
      build('app', ['FROM base', run('id=app-$E-$A')], contexts({ base: 'target:lib' })),
      build('lib', base, { buildArgs }),
    ]);
    expect(found.mounts).toEqual(['trigger-e-given', 'app-e-given-']);
    expect(found.warnings).toEqual([]);
  });

  test('that is a target which cannot be read leaves its variables open', async () => {
    const found = await list([
      build('app', ['FROM base', run('id=$E'), run('id=m')], contexts({ base: 'target:lib' })),
    ]);
    expect(found.mounts).toEqual(['m']);
    expect(found.warnings).toEqual([expect.stringMatching(/\$E may be set by.*target lib/)]);
  });

  test('takes the place of a stage of its name', async () => {
    const lines = ['FROM scratch AS a', run('id=a'), 'FROM a', run('id=b')];
    expect((await list([build('t', lines)])).mounts).toEqual(['a', 'b']);
    expect((await list([build('t', lines, contexts({ a: './dir' }))])).mounts).toEqual(['b']);
  });

  test.each([
    ['alpine', 'docker.io/library/alpine:latest'],
    ['alpine', 'alpine'],
    ['alpine:3', 'alpine:3'],
    ['registry.example/x', 'registry.example/x'],
  ])('%s is what FROM %s starts from', async (name, from) => {
    const found = await list([
      build('t', [`FROM ${from}`, run('id=m$HOME')], contexts({ [name]: './dir' })),
    ]);
    expect(found).toMatchObject({ mounts: ['m'], warnings: [] });
  });

  test.each<[value: string, mounts: string[], warning: RegExp | undefined]>([
    ['docker-image://alpine:3', ['m (from=alpine:3)'], undefined],
    ['docker-image://docker.io/library/alpine', ['m (from=alpine)'], undefined],
    ['./dir', [], /build context base, which is a directory/],
    ['target:lib', [], /build context base, which is the bake target lib/],
  ])('%s can be what a mount starts from: %j', async (value, mounts, warning) => {
    const found = await list([
      build('app', ['FROM scratch', run('id=m,from=base')], contexts({ base: value })),
      build('lib', ['FROM scratch', 'COPY . .']),
    ]);
    expect(found.mounts).toEqual(mounts);
    if (warning === undefined) expect(found.warnings).toEqual([]);
    else expect(found.warnings[0]).toMatch(warning);
  });
});

describe('a variable that has no value here', () => {
  const marked = (lines: readonly string[], rest: Partial<Build>) => ({
    missing: { builds: [build('t', lines, rest)], nameOfMark: new Map([['MARK', 'FLAVOUR']]) },
  });
  const lines = ['FROM scratch AS s', 'ARG A STAMP', run('id=m-$A')];
  const empty = {
    buildArgs: new Map([
      ['A', ''],
      ['STAMP', ''],
    ]),
  };

  test.each<[name: string, rest: Partial<Build>]>([
    ['a mount depends on it', { buildArgs: new Map([['A', 'x-MARK']]) }],
    ['the stage depends on it', { ...empty, target: 'MARK' }],
    ['the context depends on it', { ...empty, context: '/MARK' }],
  ])('is named if %s', async (_, rest) => {
    const { warnings } = await list([build('t', lines, empty)], marked(lines, rest));
    expect(warnings).toEqual([expect.stringMatching(/bake target t.*variable FLAVOUR.*env:/)]);
  });

  test('is not named if no mount depends on it', async () => {
    const rest = {
      buildArgs: new Map([
        ['A', ''],
        ['STAMP', 'MARK'],
      ]),
    };
    const { warnings } = await list([build('t', lines, empty)], marked(lines, rest));
    expect(warnings).toEqual([]);
  });

  test('and that no target has is asked for in the bake file', async () => {
    const { warnings } = await list([build('t', lines)]);
    expect(warnings).toEqual([expect.stringMatching(/\$A has no value.*bake target t.*env:/)]);
  });
});

test('what another stage declares is known, with how to ask for it', async () => {
  const lines = ['FROM scratch AS test', run('id=test'), 'FROM scratch AS app', run('id=app')];
  const { others } = await list([build('t', lines)]);
  expect(others).toEqual([
    { mount: { id: 'test' }, stage: 'test', file: 'the Dockerfile of t', input: 'bake-targets' },
  ]);
  await write('Dockerfile', ...lines);
  const plan = await findBuilds(noMountInputs, { ...readSurroundings(), workspace });
  expect((await listMounts(noMountInputs, plan)).others).toEqual([
    { mount: { id: 'test' }, stage: 'test', file: 'Dockerfile', input: 'target' },
  ]);
  const all = { ...noMountInputs, targets: ['test', 'app'] };
  const both = await findBuilds(all, { ...readSurroundings(), workspace });
  expect(await listMounts(all, both)).toMatchObject({
    mounts: [{ id: 'test' }, { id: 'app' }],
    others: [],
  });
});
