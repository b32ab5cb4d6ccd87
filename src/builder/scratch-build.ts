import { randomUUID } from 'node:crypto';
import { readFile, stat, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { print, warn } from '../console/console.js';
import type { SeedStages } from '../dockerfile/stages.js';
import { messageOf } from '../lib/errors.js';
import { describeClient, removeBuildCache, startBuild } from './buildx.js';
import { placeScript, type ScriptName } from './in-builder/scripts.js';
import { type MountReport, parseReports } from './mount-report.js';
import type { Toolkit } from './runner-programs.js';
import {
  buildCachePattern,
  filesContext,
  outputDirectory,
  planSecret,
  renderScratchDockerfile,
  type ScratchMount,
} from './scratch-dockerfile.js';
import {
  planFile,
  type StraightBuild,
  startStraight,
  tellDetour,
  writeEmptyPlans,
} from './stream/straight-build.js';

export interface ScratchBuildResult {
  /** By the mount's index; a mount that the script has not come to has none. */
  readonly reports: ReadonlyMap<number, MountReport>;
  /** Where the files are that the scripts have written. */
  readonly directory: string;
  /** When the last of them was written, by the builder's clock, in milliseconds since the epoch. */
  readonly endedAt: number;
}

/** Directory with the archives to unpack, below the work directory of the step. */
export function archivesDirectory(workDirectory: string): string {
  return join(workDirectory, 'context', 'archives');
}

/** Directory with the programs to run. */
export function toolsDirectory(workDirectory: string): string {
  return join(workDirectory, 'context', 'tools');
}

export interface ScratchBuildOptions {
  readonly workDirectory: string;
  /** Its name; undefined: the one that buildx itself would use. */
  readonly builder: string | undefined;
  readonly toolkit: Toolkit;
  readonly script: ScriptName;
  readonly mounts: readonly ScratchMount[];
  readonly withArchives: boolean;
  readonly seedStages: SeedStages | undefined;
  /** Whether archives that are packed may come straight to the step, and not through buildx. */
  readonly straight?: boolean;
}

/** Removes what the builds have left on the builder: copies of the archives. */
export async function removeTraces(builder: string | undefined): Promise<void> {
  const trouble = await removeBuildCache(builder, buildCachePattern);
  if (trouble !== undefined) print(`The builder keeps a copy of the archives (${trouble}).`);
}

/** A scratch build whose command has been started, and waits until it is known that it is wanted. */
export interface WaitingScratchBuild {
  run(): Promise<ScratchBuildResult>;
  cancel(): void;
}

/**
 * Runs a script in the builder, once for each mount. Where mounts start from images or stages, and
 * one of these cannot be had, the script is run for the others alone.
 *
 * @throws Error where the build fails
 */
export async function runScratchBuild(options: ScratchBuildOptions): Promise<ScratchBuildResult> {
  return (await startScratchBuild(options)).run();
}

/** The same, begun before it is known whether it is wanted: nothing is built until then. */
export async function startScratchBuild(
  options: ScratchBuildOptions,
): Promise<WaitingScratchBuild> {
  const first = await startScript(options);
  return {
    run: async () => {
      try {
        return await first.run();
      } catch (error) {
        if (error instanceof NoContactError) {
          print(`The build is run once more, without a network: ${error.message}.`);
          return runScratchBuild({ ...options, straight: false });
        }
        const mounts = options.mounts.filter(({ mount }) => !mount.from && !mount.stage);
        if (mounts.length === 0 || mounts.length === options.mounts.length) throw error;
        warn(
          `The mounts that start from an image or a stage are left out, as the build fails with them: ${messageOf(error)}`,
        );
        return (await startScript({ ...options, mounts, seedStages: undefined })).run();
      }
    },
    cancel: first.cancel,
  };
}

/**
 * A build failed in which archives were to go straight to the step, and no RUN has found it: the builder
 * may have no network to give, and then no RUN has been started.
 */
class NoContactError extends Error {
  override readonly name = 'NoContactError';
}

async function startScript(options: ScratchBuildOptions): Promise<WaitingScratchBuild> {
  const { workDirectory, builder, toolkit, script, mounts, withArchives, seedStages } = options;
  const context = join(workDirectory, 'context');
  await placeScript(script, join(context, 'scripts'));
  // (The stages of the user's Dockerfile would have a network too.)
  const planned = options.straight && !seedStages ? mounts.map(({ index }) => index) : [];
  await writeEmptyPlans(workDirectory, planned);
  const withPlans = mounts.map((mount) => ({ ...mount, withPlan: planned.includes(mount.index) }));
  const { text, buildArgs } = renderScratchDockerfile(toolkit, withPlans, {
    nonce: randomUUID(),
    withArchives,
    seedStages,
  });
  const ignore = seedStages?.ignore ?? '';
  if (ignore !== '') {
    // BuildKit looks for it beside the Dockerfile's file.
    await writeFile(join(workDirectory, 'Dockerfile'), text);
    await writeFile(join(workDirectory, 'Dockerfile.dockerignore'), ignore);
  }
  const start = () =>
    startBuild({
      builder,
      platform: toolkit.platform,
      directory: workDirectory,
      // Nothing is taken from the main context but what stages of the user's Dockerfile copy.
      context: seedStages?.context ?? 'context',
      namedContexts: { [filesContext]: 'context' },
      dockerfile: ignore === '' ? '-' : 'Dockerfile',
      output: 'output',
      buildArgs: { ...seedStages?.buildArgs, ...buildArgs },
      secrets: Object.fromEntries(planned.map((index) => [planSecret(index), planFile(index)])),
      withNetwork: planned.length > 0,
    });
  // With a file, it would not wait.
  const waiting = ignore === '' ? start() : undefined;
  return {
    cancel: () => waiting?.cancel(),
    run: async () => {
      const straight = await listenFor(workDirectory, planned);
      try {
        await (waiting ?? start()).run(text);
      } catch (error) {
        print(`That was ${await describeClient()}.`);
        if (await isFull(workDirectory)) {
          const where = dirname(workDirectory);
          throw new Error(`${messageOf(error)}. The runner's disk that holds ${where} is full.`);
        }
        throw planned.length > 0 && !straight?.wasFound()
          ? new NoContactError(messageOf(error))
          : error;
      } finally {
        await straight?.close();
      }
      const result = await readResult(workDirectory);
      if (straight === undefined) return result;
      const reports = await straight.collect(result.reports, result.directory);
      return { ...result, reports };
    },
  };
}

/** Undefined if nothing can go straight: the RUNs find empty plans. */
async function listenFor(
  workDirectory: string,
  indexes: readonly number[],
): Promise<StraightBuild | undefined> {
  if (indexes.length === 0) return undefined;
  try {
    return await startStraight(workDirectory, indexes);
  } catch (error) {
    tellDetour(error);
    return undefined;
  }
}

async function readResult(workDirectory: string): Promise<ScratchBuildResult> {
  const directory = join(workDirectory, 'output', outputDirectory);
  const report = join(directory, 'report');
  try {
    const reports = parseReports(await readFile(report, 'utf8'));
    return { directory, reports, endedAt: (await stat(report)).mtimeMs };
  } catch (error) {
    throw new Error(`The build in the builder gave no readable report: ${messageOf(error)}`);
  }
}

/** BuildKit says no more than "EOF" where what it puts out finds no room. */
async function isFull(directory: string): Promise<boolean> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize < 1 << 20;
}
