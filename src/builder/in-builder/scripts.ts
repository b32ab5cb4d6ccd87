import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { archiveExtension, type Compression } from '../../entry/manifest.js';

/** What a script that runs in the builder does with mounts; common.sh says how they work. */
export type ScriptName = 'pack' | 'unpack';

// Spelt out, because the bundler looks for this very form: it puts the files beside the bundle, and the
// path of each in place of its URL.
const commonFile = new URL('./common.sh', import.meta.url);
const streamFile = new URL('./stream.sh', import.meta.url);
const files: Readonly<Record<ScriptName, URL>> = {
  pack: new URL('./pack.sh', import.meta.url),
  unpack: new URL('./unpack.sh', import.meta.url),
};

/** Puts a script into a directory, as `run.sh`, with what it sources beside it. */
export async function placeScript(name: ScriptName, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  await Promise.all([
    copyFile(files[name], join(directory, 'run.sh')),
    copyFile(commonFile, join(directory, 'common.sh')),
    copyFile(streamFile, join(directory, 'stream.sh')),
  ]);
}

/** Where the pack script puts what it makes. @param index the mount's place in the list */
export function packedFileName(index: number, compression: Compression): string {
  return `${index}.${archiveExtension[compression]}`;
}

/**
 * Where the unpack script looks for an archive.
 *
 * @param index the mount's place in the list
 * @param place the archive's place among those of the mount, from 0
 */
export function restoredFileName(index: number, place: number, compression: Compression): string {
  return `${index}.${String(place).padStart(2, '0')}.${archiveExtension[compression]}`;
}

/** The programs that the scripts call; sh is also what GNU tar starts its compressor with. */
export const requiredPrograms = ['sh', 'tar', 'grep', 'mkdir', 'mv', 'rm'] as const;

/** What it takes to pack only what has changed; sed must be GNU's. */
export const incrementalPrograms = ['cp', 'sed', 'sha256sum', 'tr'] as const;

/** What it takes to carry archives straight to the step and from it; head and tee must be GNU's. */
export const streamPrograms = ['bash', 'head', 'sha256sum', 'tee', 'timeout'] as const;

/** Without df, the scripts do not look at the free space before they unpack. */
export const optionalPrograms = ['df', ...incrementalPrograms, ...streamPrograms] as const;
