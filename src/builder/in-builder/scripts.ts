import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { archiveExtension, type Compression } from '../../entry/manifest.js';

/** The script to run in the builder; common.sh explains how the scripts work. */
export type ScriptName = 'pack' | 'unpack';

// These lines are written out, because the bundler looks for exactly this form. It puts the files
// beside the bundle and replaces each URL with the file's path.
const commonFile = new URL('./common.sh', import.meta.url);
const streamFile = new URL('./stream.sh', import.meta.url);
const files: Readonly<Record<ScriptName, URL>> = {
  pack: new URL('./pack.sh', import.meta.url),
  unpack: new URL('./unpack.sh', import.meta.url),
};

/**
 * Puts a script into a directory, as `run.sh`, together with common.sh.
 *
 * @param excludes by the mount's index: the script of sed that finds what is not packed
 */
export async function placeScript(
  name: ScriptName,
  directory: string,
  excludes: ReadonlyMap<number, string> = new Map(),
): Promise<void> {
  await mkdir(directory, { recursive: true });
  await Promise.all([
    copyFile(files[name], join(directory, 'run.sh')),
    copyFile(commonFile, join(directory, 'common.sh')),
    copyFile(streamFile, join(directory, 'stream.sh')),
    ...[...excludes].map(([index, script]) =>
      writeFile(join(directory, `exclude-${index}`), script),
    ),
  ]);
}

/**
 * The name of the file that the pack script makes.
 *
 * @param index the mount's place in the list
 */
export function packedFileName(index: number, compression: Compression): string {
  return `${index}.${archiveExtension[compression]}`;
}

/**
 * The name by which the unpack script looks for an archive.
 *
 * @param index the mount's place in the list
 * @param place the archive's place among those of the mount, from 0
 */
export function restoredFileName(index: number, place: number, compression: Compression): string {
  return `${index}.${String(place).padStart(2, '0')}.${archiveExtension[compression]}`;
}

/** The programs that the scripts call; GNU tar also needs sh to start its compressor. */
export const requiredPrograms = ['sh', 'tar', 'grep', 'mkdir', 'mv', 'rm'] as const;

/** The additional programs for a delta; sed must be GNU sed. */
export const incrementalPrograms = ['cp', 'sed', 'sha256sum', 'tr'] as const;

/** The additional programs to leave out files, which are brought only then; sed must be GNU sed. */
export const excludePrograms = ['find', 'sed', 'tr'] as const;

/**
 * What it takes to carry archives straight to the step and from it, and is brought only then; head, tee
 * and timeout must be GNU's.
 */
export const streamPrograms = ['bash', 'head', 'sha256sum', 'tee', 'timeout'] as const;

/** Without df, the scripts do not look at the free space before they unpack. */
export const optionalPrograms = ['df', ...incrementalPrograms] as const;
