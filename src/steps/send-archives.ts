import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { restoredFileName } from '../builder/in-builder/scripts.js';
import type { MountReport } from '../builder/mount-report.js';
import {
  archivesDirectory,
  NoContactError,
  runScratchBuild,
  type ScratchBuildOptions,
  type ScratchBuildResult,
} from '../builder/scratch-build.js';
import { whyNotThese } from '../builder/stream/reach.js';
import { findAddresses, noBridge, tellDetour } from '../builder/stream/straight-build.js';
import { print, warn } from '../console/console.js';
import type { ArchivesForMount } from '../entry/archive.js';
import { messageOf } from '../lib/errors.js';
import { linkFile } from '../lib/work-directory.js';

/** The result of the build, or of both builds. */
export interface UnpackBuildResult extends Pick<ScratchBuildResult, 'reports' | 'endedAt'> {
  /** Whether the RUNs were found not to reach this machine; extract then does not try it either. */
  readonly isUnreachable?: true | undefined;
}

/**
 * Runs the build that unpacks archives. They go straight to it, or as files of its context. A mount
 * whose archives do not get there straight is unpacked by a second build, with files.
 *
 * @param options for all of the mounts
 * @param directory that holds the archives
 * @param obstacle the reason why nothing can go straight, as far as it is known
 * @param build runs the first build, which may have been started
 */
export async function sendAndUnpack(
  options: ScratchBuildOptions,
  toUnpack: readonly ArchivesForMount[],
  directory: string,
  obstacle: string | undefined,
  build = runScratchBuild,
): Promise<UnpackBuildResult> {
  const why = obstacle ?? (await findObstacle(options));
  if (why !== undefined) {
    tellDetour(why);
    return unpackFiles(options, toUnpack, directory, build);
  }
  const first = await unpackStraight(options, toUnpack, directory, build);
  const rest = toUnpack.filter(({ index }) => first.reports.get(index)?.result === 'detour');
  if (rest.length === 0) return first;
  const indexes = new Set(rest.map(({ index }) => index));
  const mounts = options.mounts.filter(({ index }) => indexes.has(index));
  const second = await unpackFiles({ ...options, mounts }, rest, directory).catch((error) => {
    // The other mounts are filled.
    if (rest.length === toUnpack.length) throw error;
    warn(messageOf(error));
    return { reports: new Map<number, MountReport>(), endedAt: first.endedAt };
  });
  const { endedAt } = second;
  const isUnreachable = [...first.reports.values()].some(isUnreached) || undefined;
  return { reports: new Map([...first.reports, ...second.reports]), endedAt, isUnreachable };
}

function isUnreached(report: MountReport): boolean {
  return report.result === 'detour' && report.detour !== 'cut';
}

/** The reason why no archive can go straight to these mounts. */
export async function findObstacle(
  options: Pick<ScratchBuildOptions, 'mounts' | 'seedStages'>,
): Promise<string | undefined> {
  const why = whyNotThese(options.mounts, options.seedStages);
  if (why !== undefined) return why;
  return (await findAddresses()).length === 0 ? noBridge : undefined;
}

async function unpackStraight(
  options: ScratchBuildOptions,
  toUnpack: readonly ArchivesForMount[],
  directory: string,
  build: typeof runScratchBuild,
): Promise<UnpackBuildResult> {
  // The script learns the names from files that are empty.
  await placeArchives(options, toUnpack, (_, place) => writeFile(place, ''));
  const straight = new Map(
    toUnpack.map(({ index, archives }) => [
      index,
      archives.map(({ file, compressedBytes }) => ({
        path: join(directory, file),
        compressedBytes,
      })),
    ]),
  );
  try {
    return await build({ ...options, straight });
  } catch (error) {
    if (!(error instanceof NoContactError)) throw error;
    print(`The build is run once more, without a network: ${error.message}.`);
    const reports = toUnpack.map(({ index }) => [index, noContact] as const);
    return { reports: new Map(reports), endedAt: 0 };
  }
}

const noContact = { result: 'detour', detour: 'unreachable', seconds: 0 } as const;

async function unpackFiles(
  options: ScratchBuildOptions,
  toUnpack: readonly ArchivesForMount[],
  directory: string,
  build = runScratchBuild,
): Promise<UnpackBuildResult> {
  // Each is one file with two names, which takes the room of one. (The context has only one of the
  // names, and so sends it as a plain file.)
  await placeArchives(options, toUnpack, (file, place) => linkFile(join(directory, file), place));
  return build(options);
}

/** Fills the context of the build anew. */
async function placeArchives(
  { workDirectory }: ScratchBuildOptions,
  toUnpack: readonly ArchivesForMount[],
  put: (file: string, place: string) => Promise<void>,
): Promise<void> {
  const context = archivesDirectory(workDirectory);
  await rm(context, { recursive: true, force: true });
  for (const { index, archives } of toUnpack) {
    for (const [order, { file, compression }] of archives.entries()) {
      const place = join(context, restoredFileName(index, order, compression));
      await mkdir(dirname(place), { recursive: true });
      await put(file, place);
    }
  }
}
