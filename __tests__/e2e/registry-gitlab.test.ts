/** The job of docs/other-ci.md with a registry, run by what that page says alone. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { builderKind, docker, useRunnersNetwork } from '../support/engine.js';
import { type Registry, startStrictRegistry } from '../support/registry.js';
import { useScenario } from '../support/scenario.js';
import { execute } from '../support/silence.js';
import { describeWhere } from '../support/where-possible.js';

const scenario = useScenario();
const root = resolve(fileURLToPath(import.meta.url), '../../..');

interface GitlabJob {
  readonly variables: Readonly<Record<string, string>>;
  readonly script: readonly string[];
}

async function readExample(): Promise<GitlabJob> {
  const text = await readFile(join(root, 'docs/other-ci.md'), 'utf8');
  const snippets = [...text.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, snippet = '']) => snippet);
  const own = snippets.filter((snippet) => snippet.includes('inject --registry'));
  expect(own).toHaveLength(1);
  return parse(own[0] ?? '').build;
}

/** It has no quotes in it. */
const visit = 'if [ -f /c/file ]; then echo found; else echo lacking; fi; echo 1 >/c/file';
const dockerfile = [
  'FROM scratch',
  'COPY tools /',
  `RUN --network=none --mount=type=cache,id=m,target=/c ["/bin/sh", "-euc", "${visit}"]`,
  '',
].join('\n');

describeWhere(builderKind() !== 'classic', 'a builder that can push')('the GitLab job', () => {
  let registry: Registry;
  let removeBuilder: () => Promise<void>;

  beforeAll(async () => {
    [registry, removeBuilder] = await Promise.all([startStrictRegistry(), useRunnersNetwork()]);
  });
  afterAll(async () => {
    await docker(['logout', `127.0.0.1:${registry.port}`]);
    await removeBuilder();
    await registry.close();
  });

  /** A pipeline of a branch, on a runner with an emptied builder. @returns all that it has said */
  async function runPipeline(
    commit: string,
    branch: string,
    { variables, script }: GitlabJob,
  ): Promise<string> {
    await scenario.builder.empty();
    const project = join(scenario.directory, `project-${branch}`);
    const temporary = join(scenario.directory, `temporary-${branch}`);
    await rm(project, { recursive: true, force: true });
    await mkdir(project);
    await mkdir(temporary, { recursive: true });
    await scenario.builder.copyTools(join(project, 'tools'));
    await writeFile(join(project, 'Dockerfile'), dockerfile);
    const host = `127.0.0.1:${registry.port}`;
    const given = {
      ...{ CI_REGISTRY: host, CI_REGISTRY_IMAGE: `${host}/group/app` },
      ...{ CI_REGISTRY_USER: 'user', CI_REGISTRY_PASSWORD: 'password' },
      ...{ CI_COMMIT_REF_SLUG: branch, CI_DEFAULT_BRANCH: 'main', CI_COMMIT_SHA: commit },
      CI_COMMIT_SHORT_SHA: commit.slice(0, 8),
    };
    const lines = [
      'set -euo pipefail',
      ...Object.entries(variables).map(([name, value]) => `export ${name}="${value}"`),
      ...script.map((line) => line.replaceAll('/opt/cache-mounts', root)),
    ];
    const env = { ...process.env, ...given, TMPDIR: temporary };
    const { stdout, stderr } = await execute('bash', ['-c', lines.join('\n')], {
      cwd: project,
      env,
    });
    expect(stdout).toContain('saved=true\n');
    return `${stdout}${stderr}`;
  }

  test('begins with what the default branch has saved, and goes on with its own', async () => {
    const example = await readExample();
    expect(await runPipeline('a'.repeat(40), 'main', example)).toMatch(/ lacking$/m);
    const second = await runPipeline('b'.repeat(40), 'feature-x', example);
    expect(second).toMatch(/ found$/m);
    expect(second).toContain('mounts-main holds the entry');
    const third = await runPipeline('c'.repeat(40), 'feature-x', example);
    expect(third).toMatch(/ found$/m);
    expect(third).toContain('mounts-feature-x holds the entry');
  });
});
