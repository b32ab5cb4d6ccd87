/** Builds of bake and Compose files, found as buildx reads them, and warm in their second run. */
import { readFileSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { bake, runWithMount, saidByRuns, writeFiles } from '../support/bake.js';
import type { Job, JobOptions } from '../support/runner.js';
import { useScenario } from '../support/scenario.js';

const scenario = useScenario();

const head = ['FROM scratch AS tools', 'COPY tools /'];
const dockerfile = (...lines: string[]) => `${[...head, ...lines].join('\n')}\n`;

/** A job whose workspace has these files, and the programs of the RUNs in these directories. */
async function jobWith(
  files: Readonly<Record<string, string>>,
  contexts: readonly string[] = ['.'],
  options: JobOptions = {},
): Promise<Job> {
  const job = await scenario.newJob(options);
  await writeFiles(job.workspace, files);
  for (const context of contexts) {
    await mkdir(join(job.workspace, context), { recursive: true });
    await scenario.builder.copyTools(join(job.workspace, context, 'tools'));
  }
  return job;
}

interface Way {
  readonly files: Readonly<Record<string, string>>;
  readonly contexts?: readonly string[];
  /** Of inject. */
  readonly inputs?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly bake?: readonly string[];
}

/** Two runs: inject, build and extract, each on an emptied builder. */
async function runTwice({ files, contexts, inputs = {}, env = {}, bake: args = [] }: Way) {
  const results = [];
  for (const GITHUB_SHA of ['aaa', 'bbb']) {
    await scenario.builder.empty();
    const job = await jobWith(files, contexts, { env: { GITHUB_SHA, ...env } });
    const inject = await job.runAction('inject', inputs);
    expect(inject.exitCode).toBe(0);
    const said = saidByRuns(await bake(job.workspace, args, { ...env, STAMP: GITHUB_SHA }));
    const extract = await job.runAction('extract', {});
    expect(extract).toMatchObject({ exitCode: 0, outputs: { saved: 'true' } });
    results.push({ said, annotations: [inject, extract].flatMap((each) => each.annotations) });
  }
  return results;
}

const said = (word: string, names: readonly string[]) =>
  names.map((name) => `${word}:${name}`).sort();

/** Nothing is said but notices, and the second run finds what the first has left. */
async function expectWarm(way: Way, names: readonly string[]): Promise<string[]> {
  const [first, second] = await runTwice(way);
  expect([first?.said, second?.said]).toEqual([said('lacking', names), said('found', names)]);
  const annotations = [first, second].flatMap((each) => each?.annotations ?? []);
  expect(annotations.filter(({ level }) => level !== 'notice')).toEqual([]);
  return [...new Set(annotations.map(({ message }) => message))];
}

describe('four bake targets with variables, inherits, a matrix and an inline Dockerfile', () => {
  const files = {
    'docker-bake.hcl': `
variable "CACHE" {
  default = "deps"
}
variable "STAMP" {
  default = "none"
}
group "default" {
  targets = ["app", "docs"]
}
target "_common" {
  args = {
    STAMP = STAMP
    NAME  = "\${CACHE}-common"
  }
}
target "app" {
  inherits   = ["_common"]
  name       = "app-\${variant}"
  matrix     = { variant = ["web", "api"] }
  dockerfile = "build/app.Dockerfile"
  target     = variant
  args       = { NAME = "\${CACHE}-\${variant}" }
}
target "worker" {
  inherits   = ["_common"]
  dockerfile = "build/worker.Dockerfile"
  contexts   = { base = "target:app-api" }
}
target "docs" {
  inherits          = ["_common"]
  contexts          = { worker = "target:worker" }
  dockerfile-inline = <<EOT
FROM scratch AS tools
COPY tools /
COPY --from=worker /bin/sh /worker-sh
ARG NAME STAMP
${runWithMount('docs', 'id=$${NAME}-docs,mode=0700')}
EOT
}
`,
    'build/app.Dockerfile': dockerfile(
      'FROM tools AS web',
      'ARG NAME STAMP',
      runWithMount('web', 'id=$NAME,uid=1000'),
      'FROM tools AS api',
      'ARG NAME STAMP',
      'ENV KIND=$NAME',
      runWithMount('api', 'id=$NAME'),
    ),
    'build/worker.Dockerfile': [
      'FROM base',
      'ARG STAMP',
      runWithMount('worker', 'id=worker-of-$KIND'),
      '',
    ].join('\n'),
  };
  const names = ['api', 'docs', 'web', 'worker'];

  test('are warm in their second run with the single step and no inputs', async () => {
    for (const [GITHUB_SHA, word] of [
      ['aaa', 'lacking'],
      ['bbb', 'found'],
    ] as const) {
      await scenario.builder.empty();
      const job = await jobWith(files, ['.'], { env: { GITHUB_SHA } });
      const main = await job.runAction('.', {});
      expect(main.annotations).toEqual([
        { level: 'notice', message: expect.stringMatching(/no Dockerfile.*docker-bake\.hcl/) },
      ]);
      expect(saidByRuns(await bake(job.workspace, [], { STAMP: GITHUB_SHA }))).toEqual(
        said(word, names),
      );
      const post = await job.runAction('.', {}, { post: main });
      expect(post).toMatchObject({ outputs: { saved: 'true' }, annotations: [] });
    }
  });

  test('a variable of the environment counts for inject as for the build', async () => {
    const messages = await expectWarm(
      { files, env: { CACHE: 'other' }, inputs: { 'bake-files': 'docker-bake.hcl' } },
      names,
    );
    expect(messages).toEqual([]);
  });

  test('targets and values are those of the inputs', async () => {
    const messages = await expectWarm(
      {
        files,
        inputs: { 'bake-targets': 'app-web', 'bake-set': '*.args.NAME=set' },
        bake: ['--set=*.args.NAME=set', 'app-web'],
      },
      ['web'],
    );
    expect(messages).toEqual([]);
  });
});

describe('a Compose file', () => {
  const service = (name: string) =>
    dockerfile(
      'FROM tools',
      'ARG APP STAMP',
      'ARG UID=0',
      runWithMount(name, 'id=deps-${APP},uid=${UID}'),
    );
  const files = {
    'compose.yml': `
services:
  api: {build: {context: ./api, args: {APP: api, UID: "1000", STAMP: "\${STAMP}"}}}
  web: {build: {context: ./web, args: {APP: web, UID: "2000", STAMP: "\${STAMP}"}}}
  other: {image: other}
`,
    'api/Dockerfile': service('api'),
    'web/Dockerfile': service('web'),
  };

  test('gives each of its services its own arguments', async () => {
    const way = { files, contexts: ['api', 'web'] };
    expect(await expectWarm(way, ['api', 'web'])).toEqual([
      expect.stringMatching(/no Dockerfile in the workspace.*compose\.yml/),
    ]);
  });

  test('is named where only its Dockerfiles were given', async () => {
    const job = await jobWith(files, ['api', 'web']);
    const inputs = { key: 'k', file: 'api/Dockerfile\nweb/Dockerfile' };
    const { annotations } = await job.runAction('inject', inputs);
    expect(annotations.map(({ level }) => level)).toEqual(['warning', 'warning']);
    expect(annotations[0]?.message).toMatch(/\$APP has no value.*compose\.yml.*bake-files/);
    await bake(job.workspace, []);
    const extracted = await job.runAction('extract', {});
    expect(extracted.annotations[0]?.message).toMatch(/no cache mount.*compose\.yml.*bake-files/);
  });

  test('a variable that only the build step has is named, where a mount depends on it', async () => {
    const compose = `
services:
  api: {build: {context: ./api, args: {APP: "app-\${FLAVOUR}", STAMP: "\${STAMP}"}}}
`;
    const job = await jobWith({ ...files, 'compose.yml': compose }, ['api', 'web']);
    const { annotations } = await job.runAction('inject', { key: 'k' });
    expect(annotations.filter(({ level }) => level === 'warning')).toEqual([
      { level: 'warning', message: expect.stringMatching(/api.*variable FLAVOUR.*env:/) },
    ]);
  });
});

describe('a bake file beside a Dockerfile', () => {
  const files = {
    Dockerfile: dockerfile(
      'FROM tools AS api',
      'ARG STAMP',
      runWithMount('api', 'id=api-deps'),
      'FROM tools AS web',
      'ARG STAMP',
      runWithMount('web', 'id=web-deps'),
    ),
    'docker-bake.json': JSON.stringify({
      variable: { STAMP: { default: '0' } },
      group: { default: { targets: ['api', 'web'] } },
      target: {
        common: { args: { STAMP: '${STAMP}' } },
        api: { inherits: ['common'], target: 'api' },
        web: { inherits: ['common'], target: 'web' },
      },
    }),
  };

  test('is named, and so is the stage that nobody asked for', async () => {
    const job = await jobWith(files);
    const injected = await job.runAction('inject', { key: 'k' });
    expect(injected.annotations).toEqual([
      {
        level: 'notice',
        message: expect.stringMatching(/those of Dockerfile\..*docker-bake\.json.*bake-files/),
      },
    ]);
    await bake(job.workspace);
    const { annotations, log, outputs } = await job.runAction('extract', {});
    expect(outputs.saved).toBe('true');
    expect(annotations).toEqual([
      {
        level: 'warning',
        message: expect.stringMatching(
          /api-deps, which the stage api of Dockerfile declares.*input target.*docker-bake\.json.*bake-files/,
        ),
      },
    ]);
    expect(log).not.toContain('Not asked for');
  });

  test.each<[name: string, inputs: Readonly<Record<string, string>>]>([
    ['its targets', { target: 'api\nweb' }],
    ['its targets with a comma', { target: 'api,web' }],
    ['the bake file', { 'bake-files': './docker-bake.json' }],
  ])(
    'both stages are warm with %s',
    async (_, inputs) => {
      expect(await expectWarm({ files, inputs }, ['api', 'web'])).toEqual([]);
    },
    180_000,
  );
});

describe('the recipe', () => {
  const document = readFileSync(new URL('../../docs/recipes.md', import.meta.url), 'utf8');

  /** The first block of a language in a section of docs/recipes.md. */
  function block(section: string, language: string): string {
    const text = document.split(/^## /m).find((each) => each.startsWith(`${section}\n`)) ?? '';
    const [, found = ''] = text.split(new RegExp(`^\`\`\`${language}$`, 'm'));
    return found.split('```')[0]?.trimStart() ?? '';
  }

  /** The inputs of inject in the workflow of a section. */
  function inputsOf(section: string): Record<string, string> {
    const text = document.split(/^## /m).find((each) => each.startsWith(`${section}\n`)) ?? '';
    const files = /bake-files: (\S+\.\w+)$/m.exec(text.split('Traps:')[0] ?? '')?.[1];
    return files === undefined ? {} : { 'bake-files': files };
  }

  test('for bake is warm in its second run', async () => {
    // What it builds, without an image of Go: a program that says what it finds in its mounts.
    const go = [
      '#!/bin/sh',
      'for mount in /go/pkg/mod /root/.cache/go-build; do',
      '  [ -d $mount ] || continue',
      '  if [ -f $mount/file ]; then echo "found:$1$mount"; else echo "lacking:$1$mount"; fi',
      'done',
      'for mount in /go/pkg/mod /root/.cache/go-build; do',
      '  if [ -d $mount ]; then echo 1 >$mount/file; fi',
      'done',
      'mkdir -p /out; echo 1 >/out/app',
    ];
    const results: string[][] = [];
    for (const GITHUB_SHA of ['aaa', 'bbb']) {
      await scenario.builder.empty();
      const files = {
        'docker-bake.hcl': block('Bake', 'hcl'),
        Dockerfile: block('Go', 'dockerfile').replaceAll(/^RUN /gm, 'RUN --network=none '),
        'go.mod': '',
        'go.sum': '',
      };
      const job = await jobWith(files, [], { env: { GITHUB_SHA } });
      const image = join(scenario.directory, GITHUB_SHA);
      await scenario.builder.copyTools(image);
      await writeFile(join(image, 'bin', 'go'), `${go.join('\n')}\n`);
      await chmod(join(image, 'bin', 'go'), 0o755);
      const inject = await job.runAction('inject', inputsOf('Bake'));
      expect(inject).toMatchObject({ exitCode: 0, annotations: [] });
      expect(inject.log).toContain('Cache mounts (2)\n/go/pkg/mod\n/root/.cache/go-build\n');
      const images = ['golang:1.25', 'gcr.io/distroless/static-debian12:nonroot'];
      const log = await bake(job.workspace, [
        '--allow=fs.read=*',
        ...images.map((name) => `--set=*.contexts.${name}=${image}`),
      ]);
      results.push(saidByRuns(log).filter((each) => /:(?:mod|build|test)\//.test(each)));
      const extract = await job.runAction('extract', {});
      expect(extract).toMatchObject({ outputs: { saved: 'true' }, annotations: [] });
    }
    expect(results[0]).toContain('lacking:mod/go/pkg/mod');
    expect(new Set(results[1]?.map((each) => each.split(':')[0]))).toEqual(new Set(['found']));
    expect(results[1]?.length).toBeGreaterThan(4);
  });

  test('for Compose is warm in its second run', async () => {
    const service = (name: string) =>
      dockerfile('FROM tools', 'ARG NAME', runWithMount(name, 'id=go-build-$NAME'));
    const files = {
      'compose.yml': block('Compose', 'yaml'),
      'api/Dockerfile': service('api'),
      'worker/Dockerfile': service('worker'),
    };
    const way = { files, contexts: ['api', 'worker'], inputs: inputsOf('Compose') };
    const messages = await expectWarm(way, ['api', 'worker']);
    expect(messages).toEqual([expect.stringContaining('compose.yml')]);
    expect(document).toContain('- `id=go-build-api`, `id=go-build-worker`:');
  });
});

describe('named contexts', () => {
  test('of a build of one Dockerfile are the input build-contexts', async () => {
    const job = await jobWith({
      Dockerfile: [
        'FROM base AS one',
        'RUN --mount=type=cache,id=one-$HOME,target=/c true',
        'FROM files',
        'RUN --mount=type=cache,id=two$HOME,target=/c true',
        'RUN --mount=type=cache,id=three,target=/c,from=base true',
        'COPY --from=one / /',
        '',
      ].join('\n'),
    });
    const contexts = 'base=docker-image://registry.example/base:1\nfiles=./tools';
    const { annotations, log } = await job.runAction('inject', {
      key: 'k',
      'build-contexts': contexts,
    });
    expect(annotations).toEqual([
      { level: 'warning', message: expect.stringContaining('registry.example/base:1') },
    ]);
    expect(log).toContain('Cache mounts (2)\ntwo\nthree (from=registry.example/base:1)\n');
  });
});

describe('what is made only before the build', () => {
  test('a secret and an SSH key are not needed', async () => {
    const job = await jobWith({
      'docker-bake.hcl': `
target "default" {
  dockerfile = "build/Dockerfile"
  secret     = ["id=token,src=./token.txt"]
  ssh        = ["default=./no-such-key"]
  output     = ["type=tar,dest=out.tar"]
}
`,
      'build/Dockerfile': dockerfile('RUN --mount=type=cache,id=m,target=/c true'),
    });
    const { annotations, log } = await job.runAction('inject', { key: 'k' });
    expect(annotations.map(({ level }) => level)).toEqual(['notice']);
    expect(log).toContain('Cache mounts (1)\nm\n');
  });

  test('the file of docker/metadata-action is read from where it is', async () => {
    const metadata = join(scenario.directory, 'metadata.json');
    const files = {
      'docker-bake.hcl': `
target "docker-metadata-action" {}
target "default" {
  inherits   = ["docker-metadata-action"]
  dockerfile = "cwd://build/Dockerfile"
}
`,
      'build/Dockerfile': dockerfile(
        'ARG VERSION',
        'RUN --mount=type=cache,id=m-$VERSION,target=/c true',
      ),
    };
    const inputs = { 'bake-files': `docker-bake.hcl\ncwd://${metadata}` };
    const keys = [];
    for (const revision of ['c0ffee', 'decade']) {
      const target = { args: { VERSION: 'v1' }, labels: { revision } };
      await writeFile(metadata, JSON.stringify({ target: { 'docker-metadata-action': target } }));
      const { annotations, log, outputs } = await (await jobWith(files)).runAction(
        'inject',
        inputs,
      );
      expect(annotations).toEqual([]);
      expect(log).toContain('Cache mounts (1)\nm-v1\n');
      keys.push(outputs['cache-primary-key']);
    }
    // It is another one in each run: a key that followed it would never be found again.
    expect(keys[0]).toBe(keys[1]);
  });
});

describe('what cannot be read is said', () => {
  const files = {
    'docker-bake.hcl': 'target "default" {\n  dockerfile = "build/Dockerfile"\n}\n',
    'build/Dockerfile': dockerfile('RUN --mount=type=cache,id=m,target=/c true'),
  };

  test.each<[name: string, inputs: Readonly<Record<string, string>>, message: RegExp]>([
    ['a remote file', { 'bake-files': 'https://github.com/o/r.git' }, /remote.*actions\/checkout/],
    ['a remote definition', { 'bake-targets': 'https://github.com/o/r.git#main' }, /remote/],
    ['a missing file', { 'bake-files': 'none.hcl' }, /no file .*none\.hcl.*actions\/checkout/],
    ['a missing target', { 'bake-targets': 'none' }, /bake-targets.*no target none/],
    ['an input of the other way', { 'bake-set': '*.args.A=1', target: 'x' }, /Input target.*bake/],
  ])('%s is an error', async (_, inputs, message) => {
    const job = await jobWith(files);
    expect(await job.runAction('inject', { key: 'k', ...inputs })).toMatchObject({
      exitCode: 1,
      annotations: [{ level: 'error', message: expect.stringMatching(message) }],
    });
  });

  test.each<[name: string, bakeFile: string, message: RegExp]>([
    ['a broken definition', 'target "default" {', /cannot be read.*env:.*cache-mounts/s],
    [
      'a Dockerfile that is not there',
      'target "default" {\n  dockerfile = "build/Dockerfile"\n}\ntarget "other" {\n  dockerfile = "none"\n}\ngroup "default" {\n  targets = ["default", "other"]\n}\n',
      /no Dockerfile.*bake target other/,
    ],
    [
      'a context that is elsewhere',
      'target "default" {\n  context = "https://github.com/o/r.git"\n}\n',
      /bake target default.*github\.com/,
    ],
  ])('%s is a warning', async (_, bakeFile, message) => {
    const job = await jobWith({ ...files, 'docker-bake.hcl': bakeFile });
    const { exitCode, annotations } = await job.runAction('inject', {
      key: 'k',
      'bake-files': 'docker-bake.hcl',
    });
    expect(exitCode).toBe(0);
    expect(annotations).toEqual([{ level: 'warning', message: expect.stringMatching(message) }]);
    expect((await job.runAction('extract', {})).exitCode).toBe(0);
  });

  test('a buildx that does not know the flag for variables is named', async () => {
    const job = await jobWith(files);
    const { annotations } = await job.runAction('inject', { key: 'k', 'bake-vars': 'A=1' });
    // From 0.31 on it knows it, and the definition has no such variable.
    const trouble = annotations.map(({ message }) => message).join();
    expect(trouble).toMatch(/^$|too old.*--var.*0\.31.*setup-buildx-action/);
  });
});
