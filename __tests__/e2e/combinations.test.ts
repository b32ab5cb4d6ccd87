/**
 * What a user can combine goes together: three runs of CI for each of the combinations that are of the
 * builder that the tests run on. COMBINATIONS=all takes all of them, and not only each pair.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from '@jest/globals';
import { type Combination, combinations } from '../support/combinations.js';
import { builderKind, listFiles, useRunnersNetwork } from '../support/engine.js';
import { startStrictRegistry } from '../support/registry.js';
import { useScenario } from '../support/scenario.js';
import { execute } from '../support/silence.js';
import { changes, fill } from '../support/successive-runs.js';

const scenario = useScenario();
let toEnd: (() => Promise<void>) | undefined;
afterEach(async () => {
  await toEnd?.();
  toEnd = undefined;
});
const commandLine = resolve(fileURLToPath(import.meta.url), '../../../dist/cli/index.js');

type Inputs = Readonly<Record<string, string>>;

/** What a job does before its build and after it. Each returns all that the step has written. */
interface Steps {
  readonly workspace: string;
  inject(inputs: Inputs): Promise<string>;
  extract(inputs: Inputs): Promise<string>;
}

const ways: Readonly<Record<Combination['way'], (node: string) => Promise<Steps>>> = {
  'two steps': async (node) => {
    const job = await scenario.newJob();
    return {
      workspace: job.workspace,
      inject: async (inputs) => written(await job.runAction('inject', inputs, { node })),
      extract: async ({ incremental = '' }) =>
        written(await job.runAction('extract', { incremental }, { node })),
    };
  },
  'single step': async (node) => {
    const job = await scenario.newJob();
    let state: Readonly<Record<string, string>> = {};
    return {
      workspace: job.workspace,
      inject: async (inputs) => {
        const main = await job.runAction('.', inputs, { node });
        state = main.state;
        return written(main);
      },
      extract: async (inputs) =>
        written(await job.runAction('.', inputs, { node, post: { state } })),
    };
  },
  'command line': async (node) => {
    const job = await scenario.newJob();
    const names = ['PATH', 'HOME', 'DOCKER_HOST', 'DOCKER_CONFIG', 'BUILDX_BUILDER'];
    const wanted = names.map((name) => [name, process.env[name] ?? '']);
    const env = { ...Object.fromEntries(wanted), TMPDIR: job.runnerTemp };
    const run = async (command: string, inputs: Inputs): Promise<string> => {
      const options = Object.entries(inputs).map(([name, value]) => `--${name}=${value}`);
      const args = [commandLine, command, ...options];
      const { stdout, stderr } = await execute(node, args, { cwd: job.workspace, env });
      expect(stderr).not.toMatch(/^warning:/m);
      return stdout + stderr;
    };
    return {
      workspace: job.workspace,
      inject: (inputs) => run('inject', inputs),
      extract: ({ directory = '', registry = '', incremental = '' }) =>
        run('extract', { directory, registry, incremental }),
    };
  },
};

function written({ annotations, outputs, log }: Awaited<ReturnType<typeof scenario.runAction>>) {
  expect(annotations).toEqual([]);
  return Object.entries(outputs).map(([name, value]) => `${name}=${value}\n`) + log;
}

/** The place that a row names, and what is done when the row has run. */
async function prepareStore({
  store,
}: Combination): Promise<{ kept: Inputs; end(): Promise<void> }> {
  if (store === 'cache service') return { kept: {}, end: async () => undefined };
  if (store === 'directory') {
    const directory = join(scenario.directory, 'kept');
    await mkdir(directory);
    return { kept: { directory }, end: async () => undefined };
  }
  const { BUILDX_BUILDER } = process.env;
  const [registry, removeBuilder] = await Promise.all([startStrictRegistry(), useRunnersNetwork()]);
  return {
    kept: { registry: `127.0.0.1:${registry.port}/app:mounts` },
    end: async () => {
      await removeBuilder();
      if (BUILDX_BUILDER !== undefined) process.env.BUILDX_BUILDER = BUILDX_BUILDER;
      await registry.close();
    },
  };
}

const isLong = process.env.COMBINATIONS === 'all';
const rows = combinations(isLong).filter(({ builder }) => builder === builderKind());

test.each(rows)('$way, $store, mounts $mounts, incremental $incremental, $node', async (row) => {
  const node = row.node === 'this Node' ? process.execPath : (process.env.NODE24 ?? 'not set');
  const { kept, end } = await prepareStore(row);
  toEnd = end;
  const named = row.mounts === 'named' ? { 'cache-mounts': 'm' } : {};
  const inputs = { ...named, ...kept, incremental: row.incremental, 'restore-keys': 'k-' };

  /** On an emptied builder. @returns what the mount had after inject, and after the build */
  async function run(key: string, change: string) {
    await scenario.builder.empty();
    const steps = await ways[row.way](node);
    const dockerfile = 'FROM scratch\nRUN --mount=type=cache,id=m,target=/c true\n';
    await writeFile(join(steps.workspace, 'Dockerfile'), dockerfile);
    const inject = await steps.inject({ ...inputs, key });
    const restored = await scenario.builder.run({ id: 'm' }, listFiles);
    const left = await scenario.builder.run({ id: 'm' }, `${change}${listFiles}`);
    const extract = await steps.extract({ ...inputs, key });
    expect(extract).toContain('saved=true\n');
    return { inject, restored, left, extract };
  }

  const first = await run('k-1', fill);
  expect(first.inject).toContain('cache-hit=false\n');
  expect(first.extract).toMatch(/^packed /m);
  const second = await run('k-2', changes[0] ?? '');
  expect(second.inject).toContain('cache-matched-key=k-1\n');
  expect(second.restored).toBe(first.left);
  expect(second.extract).toMatch(row.incremental === 'true' ? /^changes packed /m : /^packed /m);
  const third = await run('k-3', changes[1] ?? '');
  expect(third.inject).toContain('cache-matched-key=k-2\n');
  expect(third.restored).toBe(second.left);
});
