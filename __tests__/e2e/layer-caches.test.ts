/**
 * Beside the caches for layers that Docker offers: https://docs.docker.com/build/cache/backends/.
 * A RUN that comes out of them leaves its cache mounts alone, so what was restored is kept.
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { copyPrograms, findPrograms } from '../../src/builder/runner-programs.js';
import { readSurroundings } from '../../src/lib/surroundings.js';
import { builderKind, docker, listMount, useRunnersNetwork } from '../support/engine.js';
import { type Registry, startRegistry } from '../support/registry.js';
import type { Job } from '../support/runner.js';
import { useScenario } from '../support/scenario.js';
import { execute } from '../support/silence.js';
import { describeWhere } from '../support/where-possible.js';

const scenario = useScenario();
const inputs = { 'cache-mounts': 'm', 'restore-keys': 'run-' };

let registry: Registry;
let removeBuilder: () => Promise<void>;
beforeAll(async () => {
  [registry, removeBuilder] = await Promise.all([startRegistry(), useRunnersNetwork()]);
});
afterAll(async () => {
  await removeBuilder();
  await registry.close();
});

const image = () => `127.0.0.1:${registry.port}/app`;
const local = () => join(scenario.directory, 'layers');

interface Backend {
  /** Options of docker buildx build, the same in every run. */
  readonly options: () => readonly string[];
  /** A step after the build. */
  readonly after?: () => Promise<void>;
}

const inline: Backend = {
  options: () => [
    ...[`--cache-from=type=registry,ref=${image()}`, '--cache-to=type=inline'],
    ...['--push', '--tag', image()],
  ],
};

const inRegistry = (tag: string): Backend => ({
  options: () => [
    ...[`--cache-from=type=registry,ref=${image()}:${tag}`],
    ...[`--cache-to=type=registry,ref=${image()}:${tag},mode=max`, '--output=type=cacheonly'],
  ],
});

const exported: Readonly<Record<string, Backend>> = {
  registry: inRegistry('layers'),
  local: {
    options: () => [
      ...[`--cache-from=type=local,src=${local()}`],
      ...[`--cache-to=type=local,dest=${local()}-new,mode=max`, '--output=type=cacheonly'],
    ],
    // or it would grow with every run, as Docker's documentation says
    after: async () => {
      await rm(local(), { recursive: true, force: true });
      await rename(`${local()}-new`, local());
    },
  },
  gha: {
    options: () => [
      ...['--cache-from=type=gha', '--cache-to=type=gha,mode=max', '--output=type=cacheonly'],
    ],
  },
};

/** The engine's own builder has no exporter for them where it stores images the classic way. */
function canExportLayers(): boolean {
  return builderKind() !== 'classic';
}

/** Makes a build context of text files, and of the one program that its RUNs have: a shell. */
async function fillContext(context: string, files: Readonly<Record<string, string>>) {
  await copyPrograms(readSurroundings(), await findPrograms(['sh']), join(context, 'tools'));
  for (const [name, text] of Object.entries(files)) await writeFile(join(context, name), text);
}

/** @param script has no quotes in it */
function dockerfile(id: string, script: string): string {
  return [
    'FROM scratch',
    'COPY tools /',
    `RUN --mount=type=cache,id=${id},target=/c ["/bin/sh", "-euc", "${script}"]`,
    '',
  ].join('\n');
}

/** A step of a build, in one of the states that it goes through. */
interface Step {
  readonly name: string;
  readonly cached?: boolean;
}

/** Runs docker buildx with what it needs in its environment for `type=gha`. */
async function buildx(cwd: string, ...args: string[]): Promise<Step[]> {
  const env = { ...process.env, ...scenario.service.env };
  const options = [...args, '--progress=rawjson', '--provenance=false'];
  const { stderr } = await execute('docker', ['buildx', ...options], { cwd, env });
  const progress: { readonly vertexes?: readonly Step[] }[] = stderr
    .split('\n')
    .filter((line) => line.startsWith('{')) // others are warnings
    .map((line) => JSON.parse(line));
  return progress.flatMap(({ vertexes = [] }) => vertexes);
}

/** Whether the RUN was a hit of the layer cache. (Its layer may be fetched later, in a step like it.) */
function wasCached(steps: readonly Step[]): boolean {
  const runs = steps.filter(({ name }) => name.includes(' RUN '));
  expect(runs).not.toEqual([]);
  return runs.some(({ cached }) => cached);
}

/** As a new runner's builder is: without the images too, which also serve as a layer cache. */
async function emptyAll(): Promise<void> {
  await docker(['image', 'rm', '--force', image()]);
  await scenario.builder.empty();
}

// It would write something else if it ran again.
const script =
  'read -r id </proc/sys/kernel/random/uuid; echo $id >/c/file; umask 077; : >/c/$id; echo built >/result';
const context = () => join(scenario.directory, 'context');
beforeEach(() => fillContext(context(), { Dockerfile: dockerfile('m', script) }));
afterEach(emptyAll);

function build({ options }: Backend): Promise<Step[]> {
  return buildx(context(), 'build', '.', '--network=none', ...options());
}

/** The input that names another place for the mounts than the cache service. */
type Where = Readonly<Record<string, string>>;

/** A whole job, with the same steps each time. */
async function runOfCi(backend: Backend, key: string, where: Where = {}) {
  const job = await scenario.newJob();
  const injected = await job.runAction('inject', { ...inputs, ...where, key });
  const steps = await build(backend);
  await backend.after?.();
  const extracted = await job.runAction('extract', {});
  const found = injected.outputs['cache-matched-key'];
  const { saved, reason } = extracted.outputs;
  const isCounted = /^The build took [\d.]+ s; the layer cache spared it a RUN/m.test(
    extracted.log,
  );
  const cached = wasCached(steps);
  // The time of a build that was spared a RUN says nothing of the cache mounts, and the log says so.
  expect(isCounted).toBe(cached);
  return { found, cached, extracted: { saved, reason } };
}

async function keepWhatWasSaved(backend: Backend, where: Where = {}): Promise<void> {
  const list = () => scenario.builder.run({ id: 'm' }, listMount);
  const extracted = { saved: 'true', reason: undefined };
  const first = await runOfCi(backend, 'run-1', where);
  expect(first).toEqual({ found: undefined, cached: false, extracted });
  const before = await list();
  expect(before).toContain('f 600 '); // the listing itself works

  await emptyAll();
  const second = await runOfCi(backend, 'run-2', where);
  expect(second).toEqual({ found: 'run-1', cached: true, extracted });

  const hit = await scenario.injectAnew({ ...inputs, ...where, key: 'run-2' });
  expect(hit).toMatchObject({ outputs: { 'cache-hit': 'true' }, annotations: [] });
  expect(await list()).toBe(before);
}

describe('a RUN that comes out of a layer cache keeps what was saved of its mount', () => {
  test('type=inline', () => keepWhatWasSaved(inline));
});

test('a RUN that comes out of a layer cache, and nothing to restore: no key is spent on that', async () => {
  await build(inline);
  await emptyAll();
  expect(await runOfCi(inline, 'run-1')).toEqual({
    found: undefined,
    cached: true,
    extracted: { saved: 'false', reason: expect.stringContaining('no mount holds any file') },
  });
  expect(scenario.service.entries()).toEqual([]);
});

describeWhere(
  canExportLayers(),
  'layer caches other than inline, which the classic image store cannot export',
)('a RUN that comes out of an exported layer cache keeps what was saved of its mount', () => {
  test.each(Object.entries(exported))('type=%s', (_, backend) => keepWhatWasSaved(backend));

  test('type=registry, with the mounts in the same registry', async () => {
    await keepWhatWasSaved(inRegistry('beside'), { registry: `${image()}:mounts` });
    expect(scenario.service.entries()).toEqual([]);
  });
});

test('docker buildx bake builds several images, with mounts that they share or not', async () => {
  const mounts = { app: 'shared', worker: 'shared', docs: 'own' };
  const names = Object.keys(mounts);
  const files: Record<string, string> = {
    'docker-bake.hcl': `
      group "default" { targets = ${JSON.stringify(names)} }
      target "default" {
        name       = each
        matrix     = { each = ${JSON.stringify(names)} }
        dockerfile = "\${each}.Dockerfile"
        network    = "none"
        output     = ["type=local,dest=built/\${each}"]
      }`,
  };
  for (const [name, id] of Object.entries(mounts)) {
    files[`${name}.Dockerfile`] = dockerfile(id, `cd /c; echo * >/seen; : >${name}`);
  }

  const dockerfiles = names.map((name) => `${name}.Dockerfile`).join('\n');

  /** @returns what each of them has seen in its mount */
  async function bake(job: Job): Promise<string[]> {
    await fillContext(job.workspace, files);
    await job.runAction('inject', { file: dockerfiles, key: 'k' });
    await buildx(job.workspace, 'bake');
    const seen = (name: string) => readFile(join(job.workspace, 'built', name, 'seen'), 'utf8');
    return Promise.all(names.map(seen));
  }

  const first = await scenario.newJob();
  await bake(first);
  expect((await first.runAction('extract', {})).outputs).toEqual({
    saved: 'true',
    'saved-bytes': expect.stringMatching(/^[1-9]\d*$/),
    'total-bytes': expect.stringMatching(/^[1-9]\d*$/),
    'build-seconds': expect.stringMatching(/^[\d.]+$/),
  });
  await emptyAll();
  const seen = await bake(await scenario.newJob());
  expect(seen).toEqual(['app worker\n', 'app worker\n', 'docs\n']);
});
