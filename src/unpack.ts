import { type Filling, keepArchive, placeArchive } from './archive.js';
import { type Builder, inspectBuilder, NoSuchBuilderError } from './buildx.js';
import { unpackScript } from './container-scripts.js';
import type { DefaultKey } from './default-key.js';
import { InputError } from './errors.js';
import type { InjectInputs } from './inputs.js';
import { logBuilder, logStage } from './log.js';
import { archiveFileName } from './manifest.js';
import type { MountList } from './mount-list.js';
import type { MountReport } from './report.js';
import { archivesDirectory, runScratchBuild, toolsDirectory } from './scratch-build.js';
import { keptArchives } from './state.js';
import { chooseToolkit, gatherRunnerTools, type RunnerTools } from './toolkit.js';

/** What inject has to do, and with which mounts. */
export type InjectRequest = Omit<InjectInputs, 'key'> &
  DefaultKey &
  Pick<MountList, 'mounts' | 'seedStages'>;

export interface Unpacked {
  /** By the mount's index. */
  readonly reports: ReadonlyMap<number, MountReport>;
  /** When that was, by the builder's clock, in milliseconds since the epoch. */
  readonly filledAt: number | undefined;
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
  entry: string,
  workDirectory: string,
): Promise<Unpacked> {
  if (fillings.length === 0) return { reports: new Map(), filledAt: undefined };
  const directory = archivesDirectory(workDirectory);
  for (const filling of fillings) {
    await placeArchive(entry, filling, directory);
  }
  try {
    const { builder, tools } = await preparation;
    const { utilityImage, seedStages } = request;
    const toolkit = chooseToolkit(tools, builder.platforms, utilityImage, {
      allOf: [...new Set(fillings.map(({ archive }) => archive.compression))],
    });
    logBuilder(builder, toolkit);
    const { reports, endedAt } = await logStage('Unpack into the builder', () =>
      runScratchBuild({
        workDirectory,
        builder,
        toolkit,
        script: unpackScript,
        mounts: fillings.map(({ index, mount, archive }) => ({
          index,
          mount,
          argument: `${archiveFileName(index, archive.compression)}:${archive.bytes}`,
        })),
        withArchives: true,
        seedStages,
      }),
    );
    return { reports, filledAt: endedAt };
  } finally {
    for (const filling of fillings) {
      await keepArchive(directory, filling, keptArchives(request.key));
    }
  }
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
