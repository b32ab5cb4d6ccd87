import { restoredFileName } from '../builder/in-builder/scripts.js';
import {
  runScratchBuild,
  type ScratchBuildOptions,
  type ScratchBuildResult,
} from '../builder/scratch-build.js';
import type { PulledArchive } from '../builder/scratch-dockerfile.js';
import { print } from '../console/console.js';
import type { ArchivesForMount } from '../entry/archive.js';
import type { RegistryAccess } from '../entry/stores/registry.js';
import { messageOf } from '../lib/errors.js';
import { leftOut } from './inject-outcomes.js';
import type { MountOutcome } from './result-table.js';

const goneFromRegistry =
  'an image that holds an archive of it is gone from the registry. The next extract saves it anew.';

/** The result of a build that pulls the archives itself. */
export interface PulledBuildResult extends Pick<ScratchBuildResult, 'reports' | 'endedAt'> {
  /** The mounts of which an image is gone from the registry. */
  readonly gone: readonly MountOutcome[];
}

/** The archives of a mount, which are all in registries. */
export function listPulled({ index, archives }: ArchivesForMount): PulledArchive[] {
  return archives.map(({ entryKey = '', compression }, place) => ({
    image: entryKey,
    file: restoredFileName(index, place, compression),
  }));
}

/**
 * Runs the build that pulls archives and unpacks them. If it fails, the registry is asked which of the
 * images are gone. Then the build runs once more for the other mounts.
 *
 * @throws Error if it fails for another reason
 */
export async function pullAndUnpack(
  options: ScratchBuildOptions,
  toUnpack: readonly ArchivesForMount[],
  access: RegistryAccess,
): Promise<PulledBuildResult> {
  try {
    return { ...(await runScratchBuild(options)), gone: [] };
  } catch (error) {
    const missing = await listMissing(toUnpack, access);
    if (missing.size === 0) throw error;
    print(`Gone from the registry: ${[...missing].join(', ')} (${messageOf(error)}).`);
    const isGone = ({ pulled = [] }: ScratchBuildOptions['mounts'][number]) =>
      pulled.some(({ image }) => missing.has(image));
    const goneIndexes = new Set(options.mounts.filter(isGone).map(({ index }) => index));
    const gone = toUnpack
      .filter(({ index }) => goneIndexes.has(index))
      .map(({ mount }) => leftOut(mount, goneFromRegistry));
    const mounts = options.mounts.filter((mount) => !isGone(mount));
    if (mounts.length === 0) return { reports: new Map(), endedAt: 0, gone };
    return { ...(await runScratchBuild({ ...options, mounts })), gone };
  }
}

async function listMissing(
  toUnpack: readonly ArchivesForMount[],
  access: RegistryAccess,
): Promise<ReadonlySet<string>> {
  const images = new Set(toUnpack.flatMap((each) => listPulled(each).map(({ image }) => image)));
  const asked = [...images].map(async (image) =>
    (await access.read(image)).kind === 'missing' ? [image] : [],
  );
  return new Set((await Promise.all(asked)).flat());
}
