import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { type Builder, inspectBuilder, NoSuchBuilderError } from '../builder/buildx.js';
import { restoredFileName } from '../builder/in-builder/scripts.js';
import type { MountReport } from '../builder/mount-report.js';
import { chooseToolkit, gatherRunnerTools, type RunnerTools } from '../builder/runner-programs.js';
import { archivesDirectory, runScratchBuild, toolsDirectory } from '../builder/scratch-build.js';
import { logStage } from '../console/log.js';
import type { MountList } from '../discovery/mount-list.js';
import type { Filling } from '../entry/archive.js';
import { type Archive, totalOf } from '../entry/manifest.js';
import type { Entry } from '../entry/open-entry.js';
import { storeFor } from '../entry/stores/open-store.js';
import type { DefaultKey } from '../inputs/generated-key.js';
import type { InjectInputs } from '../inputs/read-inputs.js';
import { InputError } from '../lib/errors.js';
import { moveFile } from '../lib/work-directory.js';
import { type FilledMounts, keepTools, keptArchives } from './handover.js';
import { logBuilder } from './result-table.js';

/** What inject has to do, and with which mounts. */
export type InjectRequest = Omit<InjectInputs, 'key'> &
  DefaultKey &
  Pick<MountList, 'mounts' | 'seedStages'>;

export interface Unpacked {
  /** By the mount's index. */
  readonly reports: ReadonlyMap<number, MountReport>;
  readonly filled?: FilledMounts;
}

/** What can be found out and made ready before it is known what there is to unpack. */
export interface Preparation {
  readonly builder: Builder;
  readonly tools: RunnerTools;
}

/** @throws InputError where the builder that is named does not exist; Error where there is none */
export async function prepare(request: InjectRequest, workDirectory: string): Promise<Preparation> {
  const [builder, tools] = await Promise.all([
    inspectNamedBuilder(request),
    gatherRunnerTools(toolsDirectory(workDirectory)),
  ]);
  return { builder, tools };
}

/**
 * Unpacks archives of an entry into their mounts. However that ends, the archives are then where
 * extract looks for them: it saves them again for a mount that it finds empty.
 *
 * @throws Error where nothing was unpacked, or what the preparation throws
 */
export async function unpack(
  request: InjectRequest,
  fillings: readonly Filling[],
  preparation: Promise<Preparation>,
  entry: Entry,
  workDirectory: string,
): Promise<Unpacked> {
  if (fillings.length === 0) return { reports: new Map() };
  const moves = fillings.flatMap(({ index, archives }) =>
    archives.map(({ file, compression }, place) => ({
      from: join(entry.directory, file),
      inBuild: join(archivesDirectory(workDirectory), restoredFileName(index, place, compression)),
      kept: join(keptArchives(request.key), file),
    })),
  );
  for (const { from, inBuild } of moves) await moveFile(from, inBuild);
  // Extract saves nothing under a key that is saved already.
  const isFinal = storeFor(request.directory).isLasting && entry.key === request.key;
  const token = request.incremental && !isFinal ? randomUUID() : undefined;
  try {
    const { builder, tools } = await preparation;
    const { utilityImage, seedStages } = request;
    const toolkit = chooseToolkit(tools, builder.platforms, utilityImage, {
      allOf: [
        ...new Set(
          fillings.flatMap(({ archives }) => archives.map(({ compression }) => compression)),
        ),
      ],
    });
    logBuilder(builder, toolkit);
    const { reports, endedAt } = await logStage('Unpack into the builder', () =>
      runScratchBuild({
        workDirectory,
        builder: request.builder,
        toolkit,
        script: 'unpack',
        mounts: fillings.map(({ index, mount, archives }) => ({
          index,
          mount,
          argument: unpackArgument(index, archives, token),
          withSnapshot: token !== undefined,
        })),
        withArchives: true,
        seedStages,
      }),
    );
    await keepTools(request.key, toolsDirectory(workDirectory));
    const filled = fillings.filter(({ index }) => reports.get(index)?.result === 'unpacked');
    const mounts = filled.map(({ mount }) => mount);
    return { reports, filled: { mounts, builder, time: endedAt, token, tools } };
  } finally {
    for (const { inBuild, kept } of moves) await moveFile(inBuild, kept);
  }
}

function unpackArgument(
  index: number,
  archives: readonly Archive[],
  token: string | undefined,
): string {
  return [index, totalOf(archives).bytes, ...(token === undefined ? [] : [token])].join(':');
}

async function inspectNamedBuilder({ builder, mountInputs }: InjectRequest): Promise<Builder> {
  try {
    return await inspectBuilder(builder, mountInputs.platforms?.[0]);
  } catch (error) {
    if (!(error instanceof NoSuchBuilderError)) throw error;
    throw new InputError(
      `Input builder: ${error.message} Put docker/setup-buildx-action before this step and pass its output "name".`,
    );
  }
}
