import { randomUUID } from 'node:crypto';
import { readFile, stat, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { print, warn } from '../console/console.js';
import type { SeedStages } from '../dockerfile/stages.js';
import { messageOf } from '../lib/errors.js';
import type { Surroundings } from '../lib/surroundings.js';
import { scratchBuildName } from './build-history.js';
import type { BuilderAddress } from './builder-address.js';
import {
  type BuildOptions,
  describeClient,
  listBuildCache,
  removeBuildCache,
  startBuild,
} from './buildx.js';
import { placeScript, type ScriptName } from './in-builder/scripts.js';
import { type MountReport, parseReports } from './mount-report.js';
import { parseBuildCache } from './records.js';
import type { Toolkit } from './runner-programs.js';
import {
  buildCachePatternWith,
  filesContext,
  outputDirectory,
  permitSecret,
  planSecret,
  renderScratchDockerfile,
  type ScratchMount,
} from './scratch-dockerfile.js';
import { whyNotThese } from './stream/reach.js';
import {
  findAddresses,
  noBridge,
  planFile,
  type StraightArchives,
  type StraightBuild,
  startStraight,
  tellDetour,
  writeEmptyPlans,
} from './stream/straight-build.js';

export interface ScratchBuildResult {
  /** By the mount's index. If the script has not reached a mount, that mount has no report. */
  readonly reports: ReadonlyMap<number, MountReport>;
  /** The directory with the files that the scripts have written. */
  readonly directory: string;
  /** The time of the last report, by the builder's clock, in milliseconds since the epoch. */
  readonly endedAt: number;
  /** The build as it can be repeated, if the archives have stayed in the builder. */
  readonly repeatable?: RepeatableBuild | undefined;
}

/** The directory with the archives to unpack, below the work directory of the step. */
export function archivesDirectory(workDirectory: string): string {
  return join(workDirectory, 'context', 'archives');
}

/** The directory with the programs to run. */
export function toolsDirectory(workDirectory: string): string {
  return join(workDirectory, 'context', 'tools');
}

export interface ScratchBuildOptions {
  readonly surroundings: Surroundings;
  readonly workDirectory: string;
  readonly builder: BuilderAddress;
  readonly toolkit: Toolkit;
  readonly script: ScriptName;
  readonly mounts: readonly ScratchMount[];
  readonly withArchives: boolean;
  readonly seedStages: SeedStages | undefined;
  /**
   * Whether the archives stay in the builder, and only the report is put out. Then nothing goes
   * straight.
   */
  readonly stays?: boolean;
  /** What may go straight between RUNs and this step, and not through buildx; undefined: nothing. */
  readonly straight?: StraightArchives | undefined;
  /** When the step gives up, in milliseconds since the epoch: by then nothing goes straight any more. */
  readonly deadline: number;
}

/**
 * Removes the copies of the archives that the builds have left on the builder.
 *
 * @param pulled the digests of images that the builder has pulled
 */
export async function removeTraces(
  surroundings: Surroundings,
  builder: BuilderAddress,
  pulled: readonly string[] = [],
): Promise<void> {
  const pattern = buildCachePatternWith(pulled);
  const trouble = await removeBuildCache(surroundings, builder, `description~=${pattern}`);
  if (trouble === undefined || (await removeTracesById(surroundings, builder, pattern))) return;
  print(`The builder keeps a copy of the archives (${trouble}).`);
}

/**
 * Does the same for buildx before 0.15, which knows no patterns for descriptions
 * (commands/prune.go). The whole build cache is listed, and our parts are removed by id.
 *
 * @returns whether there was no trouble
 */
async function removeTracesById(
  surroundings: Surroundings,
  builder: BuilderAddress,
  text: string,
): Promise<boolean> {
  try {
    const pattern = new RegExp(text);
    const records = parseBuildCache(await listBuildCache(surroundings, builder));
    const own = records.filter(({ id, description }) => id !== '' && pattern.test(description));
    for (const { id } of own) {
      if ((await removeBuildCache(surroundings, builder, `id=${id}`)) !== undefined) return false;
    }
    return true;
  } catch {
    return false;
  }
}

/** All that is needed to run a scratch build once more, out of the build cache. */
export interface RepeatableBuild
  extends Pick<
    BuildOptions,
    | 'surroundings'
    | 'builder'
    | 'platform'
    | 'directory'
    | 'context'
    | 'name'
    | 'namedContexts'
    | 'buildArgs'
  > {
  readonly text: string;
  /** The Dockerfile's own ignore file; empty: there is none. */
  readonly ignore: string;
}

/** What of a build may change until it is run: of the mounts what is to be done with each. */
export type LateOptions = Partial<Pick<ScratchBuildOptions, 'mounts' | 'toolkit' | 'straight'>>;

/** A scratch build whose command has been started; it builds nothing until it is run. */
export interface WaitingScratchBuild {
  run(late?: LateOptions): Promise<ScratchBuildResult>;
  cancel(): void;
}

/**
 * Runs a script in the builder for all mounts. Some mounts may start from images or stages. If the
 * build fails with these, the script runs once more for the other mounts only.
 *
 * @throws Error if the build fails
 */
export async function runScratchBuild(options: ScratchBuildOptions): Promise<ScratchBuildResult> {
  return (await startScratchBuild(options)).run();
}

/** Starts a scratch build before it is known whether it is needed. It builds nothing yet. */
export async function startScratchBuild(
  options: ScratchBuildOptions,
): Promise<WaitingScratchBuild> {
  const first = await startScript(options);
  return {
    run: async (late) => {
      const final = { ...options, ...late };
      try {
        return await first.run(late);
      } catch (error) {
        if (error instanceof NoContactError) {
          // Without files, the build would unpack nothing.
          if (final.straight !== 'packed') throw error;
          print(`The build is run once more, without a network: ${error.message}.`);
          return runScratchBuild({ ...final, straight: undefined });
        }
        const mounts = final.mounts.filter(({ mount }) => !mount.from && !mount.stage);
        if (mounts.length === 0 || mounts.length === final.mounts.length) throw error;
        warn(
          `The mounts that start from an image or a stage are left out, as the build fails with them: ${messageOf(error)}`,
        );
        return (await startScript({ ...final, mounts, seedStages: undefined })).run();
      }
    },
    cancel: first.cancel,
  };
}

/**
 * Archives were to go straight, and no RUN has found the step: it could not listen, or the build has
 * failed. The builder may have no network to give, and then no RUN has started.
 */
export class NoContactError extends Error {
  override readonly name = 'NoContactError';
}

async function startScript(options: ScratchBuildOptions): Promise<WaitingScratchBuild> {
  const { surroundings, workDirectory, builder, toolkit, script } = options;
  const { mounts, withArchives, seedStages, stays } = options;
  const context = join(workDirectory, 'context');
  const excludes = mounts.flatMap(({ index, exclude }) =>
    exclude === undefined ? [] : [[index, exclude] as const],
  );
  await placeScript(script, join(context, 'scripts'), new Map(excludes));
  const isPossible = options.straight && whyNotThese(mounts, seedStages) === undefined;
  const addresses = isPossible ? await findAddresses() : [];
  const planned = addresses.length > 0 ? mounts.map(({ index }) => index) : [];
  await writeEmptyPlans(workDirectory, planned);
  const nonce = randomUUID();
  // The arguments depend only on which mounts these are, so they are the same when it is run.
  const render = (late: Pick<ScratchBuildOptions, 'mounts' | 'toolkit'>) => {
    const isPlanned = (index: number) => planned.includes(index);
    const all = late.mounts.map((mount) => ({ ...mount, withPlan: isPlanned(mount.index) }));
    return renderScratchDockerfile(late.toolkit, all, { nonce, withArchives, stays, seedStages });
  };
  const { buildArgs, namedContexts } = render(options);
  const permit = stays ? await writePermit(workDirectory) : {};
  const ignore = seedStages?.ignore ?? '';
  const described = {
    ...{ surroundings, builder, platform: toolkit.platform, directory: workDirectory },
    // Only stages of the user's Dockerfile copy files from the main context.
    context: seedStages?.context ?? 'context',
    name: scratchBuildName,
    namedContexts: { ...seedStages?.namedContexts, ...namedContexts, [filesContext]: 'context' },
    buildArgs: { ...seedStages?.buildArgs, ...buildArgs },
  };
  const plans = planned.map((index) => [planSecret(index), planFile(index)]);
  const start = () =>
    startBuild({
      ...described,
      dockerfile: ignore === '' ? '-' : 'Dockerfile',
      output: 'output',
      secrets: { ...Object.fromEntries(plans), ...permit },
      withNetwork: planned.length > 0,
    });
  // If the Dockerfile is a file, the command does not wait for it, so it cannot start early.
  const waiting = ignore === '' ? start() : undefined;
  return {
    cancel: () => waiting?.cancel(),
    run: async (late) => {
      const final = { ...options, ...late };
      const { text } = render(final);
      if (ignore !== '') await writeDockerfile(workDirectory, text, ignore);
      const straight = await listenFor(final, addresses).catch((error: unknown) => {
        waiting?.cancel();
        throw error;
      });
      try {
        // Nothing listens any more when it is looked up why a build has failed.
        await (waiting ?? start()).run(text).finally(() => straight?.close());
      } catch (error) {
        throw await explainFailure(error, options, straight);
      }
      const result = await readResult(workDirectory);
      if (stays) return { ...result, repeatable: { ...described, text, ignore } };
      if (straight === undefined) return result;
      const reports = await straight.collect(result.reports, result.directory);
      return { ...result, reports };
    },
  };
}

async function explainFailure(
  error: unknown,
  { surroundings, workDirectory }: ScratchBuildOptions,
  straight: StraightBuild | undefined,
): Promise<unknown> {
  print(`That was ${await describeClient(surroundings)}.`);
  if (await isFull(workDirectory)) {
    const where = dirname(workDirectory);
    return new Error(`${messageOf(error)}. The runner's disk that holds ${where} is full.`);
  }
  return straight?.wasFound() === false ? new NoContactError(messageOf(error)) : error;
}

/** @returns the secret that permits to pack; what it says is of no matter */
async function writePermit(workDirectory: string): Promise<Readonly<Record<string, string>>> {
  await writeFile(join(workDirectory, 'permit'), 'permit');
  return { [permitSecret]: 'permit' };
}

/** BuildKit looks for the ignore file beside the Dockerfile, so the Dockerfile must be a file. */
async function writeDockerfile(directory: string, text: string, ignore: string): Promise<void> {
  await writeFile(join(directory, 'Dockerfile'), text);
  await writeFile(join(directory, 'Dockerfile.dockerignore'), ignore);
}

/**
 * @returns undefined if nothing comes straight: the RUNs find empty plans, and pack into files
 * @throws NoContactError if archives were to be sent, of which the build has no files
 */
async function listenFor(
  { workDirectory, mounts, straight, seedStages, deadline }: ScratchBuildOptions,
  addresses: readonly string[],
): Promise<StraightBuild | undefined> {
  if (straight === undefined) return undefined;
  const indexes = mounts.map(({ index }) => index);
  try {
    if (addresses.length === 0) throw new Error(whyNotThese(mounts, seedStages) ?? noBridge);
    return await startStraight(workDirectory, addresses, indexes, straight, deadline);
  } catch (error) {
    if (straight !== 'packed') throw new NoContactError(messageOf(error));
    tellDetour(messageOf(error));
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

/** If there is no room for the output, BuildKit says only "EOF". So the disk is checked. */
async function isFull(directory: string): Promise<boolean> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize < 1 << 20;
}
