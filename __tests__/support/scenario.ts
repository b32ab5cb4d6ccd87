/** What every end-to-end test begins with: a cache service, an emptied builder, jobs on runners. */
import { chmod, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { which } from '@actions/io';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from '@jest/globals';
import { type CacheService, startCacheService } from './cache-service.js';
import { type EngineEnv, listFiles, prepareBuilder, type TestBuilder } from './engine.js';
import { type Job, type JobOptions, type StepResult, startJob } from './runner.js';

/** What jobs do on one engine. */
export interface Jobs {
  /** A job on a runner of its own: other paths, the same cache service. */
  newJob(options?: JobOptions): Promise<Job>;
  /** In a new job. */
  runAction: Job['runAction'];
  /** Saves what the builder holds. */
  save(mounts: string, key: string): Promise<StepResult>;
  /** Inject in a new job, on an emptied builder. */
  injectAnew(inputs: Record<string, string>, options?: JobOptions): Promise<StepResult>;
  /** A healthy run: on an emptied builder, an entry of the mount `m` brings back what was saved. */
  expectWhole(key: string, listing: string): Promise<void>;
}

export interface Scenario extends Jobs {
  readonly service: CacheService;
  readonly builder: TestBuilder;
  /** A directory for the test's own files. */
  readonly directory: string;
  /** The same on an engine beside that of the tests. */
  on(engine: Engine): Jobs;
}

interface Engine {
  readonly env: EngineEnv;
  readonly builder: TestBuilder;
}

/** Sets up and tears down all of it around each test of a file. */
export function useScenario(): Scenario {
  let service: CacheService;
  let builder: TestBuilder;
  let directory: string;
  const jobs: Job[] = [];

  beforeAll(async () => {
    [service, builder] = await Promise.all([startCacheService(), prepareBuilder()]);
  });
  afterAll(async () => {
    await Promise.all([service.close(), builder.dispose()]);
  });
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'scenario-'));
    await builder.empty();
  });
  afterEach(async () => {
    service.reset();
    service.requests.length = 0;
    await Promise.all(jobs.splice(0).map((job) => job.dispose()));
    await rm(directory, { recursive: true });
  });

  function on(engine: Engine): Jobs {
    async function newJob(options: JobOptions = {}): Promise<Job> {
      const env = { ...engine.env, ...options.env };
      const job = await startJob({ service, ...options, env });
      jobs.push(job);
      return job;
    }

    const runAction: Job['runAction'] = async (...step) => (await newJob()).runAction(...step);

    async function injectAnew(
      inputs: Record<string, string>,
      options: JobOptions = {},
    ): Promise<StepResult> {
      await engine.builder.empty();
      return (await newJob(options)).runAction('inject', inputs);
    }

    return {
      newJob,
      runAction,
      save: async (mounts, key) => {
        const result = await runAction('extract', { 'cache-mounts': mounts, key });
        expect(result).toMatchObject({ exitCode: 0, outputs: { saved: 'true' }, annotations: [] });
        return result;
      },
      injectAnew,
      expectWhole: async (key, listing) => {
        const hit = await injectAnew({ 'cache-mounts': 'm', key });
        expect(hit).toMatchObject({ outputs: { 'cache-hit': 'true' }, annotations: [] });
        expect(await engine.builder.run({ id: 'm' }, listFiles)).toBe(listing);
      },
    };
  }

  const engine: Engine = {
    env: {},
    get builder() {
      return builder;
    },
  };
  return {
    ...on(engine),
    on,
    get service() {
      return service;
    },
    get builder() {
      return builder;
    },
    get directory() {
      return directory;
    },
  };
}

/** What a job has left on the runner, but for the runner's own files. */
export async function leftovers(job: Job): Promise<string[]> {
  const names = [...(await readdir(job.runnerTemp)), ...(await readdir(job.workspace))];
  return names.filter((name) => name !== '_runner_file_commands');
}

/** A PATH with the programs that the actions and the cache client call, but for some of them. */
export function pathWithout(directory: string, ...missing: string[]): Promise<string> {
  const programs = 'docker sh bash cat tar zstd unzstd zstdmt gzip grep mkdir mv rm ldd';
  return pathOf(
    directory,
    programs.split(' ').filter((name) => !missing.includes(name)),
  );
}

/** A PATH with these programs of the machine, and no others. */
export async function pathOf(directory: string, programs: readonly string[]): Promise<string> {
  const bin = join(directory, 'bin');
  await mkdir(bin);
  for (const program of programs) await symlink(await which(program, true), join(bin, program));
  return bin;
}

/** A PATH with a program that is a shell script. */
export async function pathWith(
  directory: string,
  program: string,
  script: string,
): Promise<string> {
  const bin = join(directory, 'fake');
  await mkdir(bin);
  await writeFile(join(bin, program), `#!/bin/sh\n${script}\n`);
  await chmod(join(bin, program), 0o755);
  return `${bin}:${process.env.PATH}`;
}
