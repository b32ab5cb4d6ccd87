/** Cache mounts whose ids only the base image tells: its configuration is looked up, or they are learned. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { builderKind, useRunnersNetwork } from '../support/engine.js';
import { type Registry, startStrictRegistry } from '../support/registry.js';
import type { Annotation, Job, JobOptions } from '../support/runner.js';
import { useScenario } from '../support/scenario.js';
import { execute } from '../support/silence.js';
import { describeWhere } from '../support/where-possible.js';

const scenario = useScenario();

let registry: Registry;
let removeBuilder: () => Promise<void>;
beforeAll(async () => {
  [registry, removeBuilder] = await Promise.all([startStrictRegistry(), useRunnersNetwork()]);
});
afterAll(async () => {
  await removeBuilder();
  await registry.close();
});

const imageName = (name: string) => `127.0.0.1:${registry.port}/${name}`;
/** Nobody listens there. */
const goneName = (name: string) => `127.0.0.1:1/${name}`;

/** What the base image is made of, all but its FROM. */
const base = [
  'COPY tools /',
  'ENV GOPATH=/go CARGO_HOME=/usr/local/cargo HOME=/home/me PATH=/bin:/usr/bin',
];

/** A RUN that says whether each of its directories was filled before, and fills them. */
function runWith(mounts: readonly string[], directories: readonly string[]): string {
  const flags = mounts.map((mount) => `--mount=type=cache,${mount}`).join(' ');
  const visit = (path: string) =>
    `if [ -f ${path}/file ]; then echo found:${path}; else echo lacking:${path}; fi; echo 1 >${path}/file`;
  return `RUN --network=none ${flags} \\\n  ${directories.map(visit).join('; ')}`;
}

const runs = [
  runWith(['target=$GOPATH/pkg/mod', 'target=${GOPATH}/cache'], ['/go/pkg/mod', '/go/cache']),
  'ENV REGISTRY=$CARGO_HOME/registry',
  runWith(['target=$REGISTRY'], ['/usr/local/cargo/registry']),
  runWith(['id=of-$HOME,target=/c'], ['/c']),
];
const visited = ['/c', '/go/cache', '/go/pkg/mod', '/usr/local/cargo/registry'];
const ids = ['/go/pkg/mod', '/go/cache', '/usr/local/cargo/registry', 'of-/home/me'];

async function build(directory: string, lines: readonly string[], ...options: string[]) {
  const context = join(scenario.directory, directory);
  await mkdir(context, { recursive: true });
  await rm(join(context, 'tools'), { recursive: true, force: true });
  await scenario.builder.copyTools(join(context, 'tools'));
  await writeFile(join(context, 'Dockerfile'), `${lines.join('\n')}\n`);
  const args = ['buildx', 'build', '--progress=plain', '--provenance=false', ...options, context];
  const { stderr } = await execute('docker', args, { env: process.env });
  const said = [...stderr.matchAll(/^#\d+ [\d.]+ ((?:found|lacking):\S+)$/gm)];
  return said.map(([, each = '']) => each).sort();
}

const cacheOnly = '--output=type=cacheonly';

async function jobWith(lines: readonly string[], options: JobOptions = {}): Promise<Job> {
  const job = await scenario.newJob(options);
  await writeFile(join(job.workspace, 'Dockerfile'), `${lines.join('\n')}\n`);
  return job;
}

interface Run {
  readonly log: string;
  readonly annotations: readonly Annotation[];
  readonly said: readonly string[];
  readonly extracted: readonly Annotation[];
}

/** A job on an emptied builder, whose actions read one Dockerfile, while another one is built. */
async function runOfCi(
  commit: string,
  read: readonly string[],
  built: readonly string[],
): Promise<Run> {
  await scenario.builder.empty();
  const job = await jobWith(read, { env: { GITHUB_SHA: commit.repeat(40) } });
  const inject = await job.runAction('inject', {});
  expect(inject.exitCode).toBe(0);
  const said = await build('app', built, cacheOnly);
  const extract = await job.runAction('extract', {});
  expect(extract).toMatchObject({ exitCode: 0, outputs: { saved: 'true' } });
  const { log, annotations } = inject;
  return { log, annotations, said, extracted: extract.annotations };
}

const all = (word: string) => visited.map((path) => `${word}:${path}`).sort();
const stage = (image: string) => [`FROM ${image}`, ...runs];
/** The same build, of an image that no registry has. */
const local = ['FROM scratch', ...base, ...runs];

describe('the configuration of the image is looked up', () => {
  beforeEach(async () => {
    await build('base', ['FROM scratch', ...base], '--push', `--tag=${imageName('base:1')}`);
  });

  test('the mounts are known from the first run on, and nothing is in doubt', async () => {
    const dockerfile = stage(imageName('base:1'));
    const first = await runOfCi('a', dockerfile, dockerfile);
    expect(first).toMatchObject({ annotations: [], said: all('lacking'), extracted: [] });
    expect(first.log).toContain(`Cache mounts (4)\n${ids.join('\n')}\n`);
    const second = await runOfCi('b', dockerfile, dockerfile);
    expect(second).toMatchObject({ annotations: [], said: all('found'), extracted: [] });
  });

  test('a run that cannot look it up takes the mounts from the entry', async () => {
    const read = (name: string) => [`ARG BASE=${name}`, 'FROM $BASE', ...runs];
    const first = await runOfCi('a', read(imageName('base:1')), stage(imageName('base:1')));
    expect(first.annotations).toEqual([]);
    // The name is the repository's, so that it is the same image to us.
    const gone = read(imageName('base:gone'));
    const second = await runOfCi('b', gone, stage(imageName('base:1')));
    expect(second).toMatchObject({ annotations: [], said: all('found'), extracted: [] });
  });

  test('what its ONBUILD adds is found, too', async () => {
    const name = imageName('onbuild:1');
    const trigger = runWith(['target=$GOPATH/onbuild'], ['/go/onbuild']).replace(/\\\n\s*/, '');
    const lines = ['FROM scratch', ...base, 'ONBUILD ENV ADDED=/added', `ONBUILD ${trigger}`];
    await build('onbuild', lines, '--push', `--tag=${name}`);
    const dockerfile = [`FROM ${name}`, runWith(['id=$ADDED,target=/c'], ['/c'])];
    const paths = ['/c', '/go/onbuild'];
    const said = (word: string) => paths.map((path) => `${word}:${path}`).sort();
    const first = await runOfCi('a', dockerfile, dockerfile);
    expect(first).toMatchObject({ annotations: [], said: said('lacking'), extracted: [] });
    expect(first.log).toContain('Cache mounts (2)\n/go/onbuild\n/added\n');
    const second = await runOfCi('b', dockerfile, dockerfile);
    expect(second).toMatchObject({ annotations: [], said: said('found'), extracted: [] });
  });
});

describeWhere(
  builderKind() !== 'classic',
  'an image of several platforms, which the classic image store cannot export',
)('of an image of several platforms', () => {
  test('the configuration for each platform counts', async () => {
    const name = imageName('platforms:1');
    const lines = ['FROM scratch', 'ARG TARGETARCH', 'ENV KIND=of-$TARGETARCH'];
    await build(
      'platforms',
      lines,
      '--push',
      `--tag=${name}`,
      '--platform=linux/amd64,linux/arm64',
    );
    const job = await jobWith([`FROM ${name}`, 'RUN --mount=type=cache,id=$KIND,target=/c build']);
    const { log, annotations } = await job.runAction('inject', {
      platforms: 'linux/amd64,linux/arm64/v8',
    });
    expect(annotations).toEqual([]);
    expect(log).toContain('Cache mounts (2)\nof-amd64\nof-arm64\n');
  });
});

describe('without a registry', () => {
  test('each mount is a warning with the remedy, is learned, and is warm in the second run', async () => {
    const dockerfile = stage(goneName('base:1'));
    const first = await runOfCi('a', dockerfile, local);
    expect(first.said).toEqual(all('lacking'));
    expect(first.annotations).toEqual(
      [
        ['2', 'GOPATH', '$GOPATH/pkg/mod'],
        ['2', 'GOPATH', '${GOPATH}/cache'],
        ['5', 'CARGO_HOME', '$REGISTRY'],
        ['7', 'HOME', 'id=of-$HOME'],
      ].map(([line, variable, flag]) => ({
        level: 'warning',
        message: expect.stringMatching(
          new RegExp(
            `^Dockerfile:${line}: a mount is left out: \\$${variable} may be set by the image 127.0.0.1:1/base:1, which cannot be looked up .*cache-mounts.* ENV .*${flag?.replace(/[${}]/g, '\\$&')}`,
          ),
        ),
      })),
    );
    expect(first.extracted.map(({ level }) => level)).toEqual(Array(4).fill('notice'));
    const second = await runOfCi('b', dockerfile, local);
    expect(second).toMatchObject({ annotations: [], said: all('found'), extracted: [] });
    // Also with another tag of the image, and with a change elsewhere.
    const renewed = [...stage(goneName('base:2')), 'RUN true'];
    const third = await runOfCi('c', renewed, local);
    expect(third).toMatchObject({ annotations: [], said: all('found'), extracted: [] });
  });

  test('a mount that another RUN has made will do', async () => {
    const mounts = ['target=$GOPATH/pkg/mod'];
    const read = [
      `FROM ${goneName('base:1')}`,
      'RUN --mount=type=cache,target=$GOPATH/pkg/mod go mod download',
    ];
    const built = ['FROM scratch', ...base, runWith(mounts, ['/go/pkg/mod'])];
    const first = await runOfCi('a', read, built);
    expect(first.extracted.map(({ level }) => level)).toEqual(['notice']);
    const second = await runOfCi('b', read, built);
    expect(second).toMatchObject({ annotations: [], said: ['found:/go/pkg/mod'], extracted: [] });
  });

  test('if several mounts fit, none is saved', async () => {
    const flags = ['target=$A', 'target=$B'];
    const read = [`FROM ${goneName('base:1')}`, runWith(flags, ['/a', '/b'])];
    const known = 'RUN --network=none --mount=type=cache,id=known,target=/c echo 1 >/c/file';
    const env = ['FROM scratch', ...base, 'ENV A=/a B=/b'];
    const run = await runOfCi('a', [...read, known], [...env, ...read.slice(1), known]);
    expect(run.extracted.map(({ level, message }) => [level, message])).toEqual(
      ['$A', '$B'].map((id) => [
        'warning',
        expect.stringMatching(
          new RegExp(`^Several .*\\(\\${id}\\): /a, /b\\. None .* cache-mounts`),
        ),
      ]),
    );
  });
});
