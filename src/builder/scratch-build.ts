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
  renderScratchDockerfile,
  type ScratchMount,
} from './scratch-dockerfile.js';

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

async function startScript(options: ScratchBuildOptions): Promise<WaitingScratchBuild> {
  const { workDirectory, builder, toolkit, script, mounts, withArchives, seedStages } = options;
  const context = join(workDirectory, 'context');
  await placeScript(script, join(context, 'scripts'));
  const { text, buildArgs } = renderScratchDockerfile(toolkit, mounts, {
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
    });
  // With a file, it would not wait.
  const waiting = ignore === '' ? start() : undefined;
  return {
    cancel: () => waiting?.cancel(),
    run: async () => {
      await (waiting ?? start()).run(text).catch(async (error: unknown) => {
        print(`That was ${await describeClient()}.`);
        throw (await isFull(workDirectory))
          ? new Error(
              `${messageOf(error)}. The runner's disk that holds ${dirname(workDirectory)} is full.`,
            )
          : error;
      });
      return readResult(workDirectory);
    },
  };
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
