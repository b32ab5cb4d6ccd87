import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { moveFile } from '../lib/work-directory.js';
import { type CacheMount, identityOf } from '../mounts/cache-mount.js';
import {
  type Archive,
  type ArchiveContents,
  archiveExtension,
  type Manifest,
  noChecksum,
  parseManifest,
  renderManifest,
  type SavedMount,
} from './manifest.js';

export const manifestName = 'manifest.json';

/** Some archives, and the mount that they are unpacked into. */
export interface ArchivesForMount {
  /** The mount's place in the list. */
  readonly index: number;
  readonly mount: CacheMount;
  /** The archive with all content first, then the deltas. */
  readonly archives: readonly [Archive, ...Archive[]];
  /** Whether some of the mount's files were not saved, because the user has excluded them. */
  readonly isPartial: boolean;
}

export interface Selection {
  readonly toUnpack: readonly ArchivesForMount[];
  /** The mounts that are in the entry, and too large to be restored. */
  readonly tooLarge: readonly SavedMount[];
  /** The mounts that were named, but are not in the entry, or are empty there. */
  readonly unsaved: readonly CacheMount[];
  /** The mounts that are in the entry, but were not named. */
  readonly unnamed: readonly CacheMount[];
}

/** Selects archives. An archive goes only into a mount with the identity of its origin. */
export function selectArchives(named: readonly CacheMount[], manifest: Manifest): Selection {
  const saved = new Map(manifest.mounts.map((each) => [identityOf(each.mount), each]));
  const toUnpack = named.flatMap((mount, index): ArchivesForMount[] => {
    const { archive, deltas = [], exclude, exceeds } = saved.get(identityOf(mount)) ?? {};
    if (archive === undefined || exceeds !== undefined) return [];
    const isPartial = exclude !== undefined;
    return [{ index, mount, archives: [archive, ...deltas], isPartial }];
  });
  const wanted = new Set(named.map(identityOf));
  return {
    toUnpack,
    tooLarge: named
      .flatMap((mount) => saved.get(identityOf(mount)) ?? [])
      .filter(({ archive, exceeds }) => archive !== undefined && exceeds !== undefined),
    unsaved: named.filter((mount) => saved.get(identityOf(mount))?.archive === undefined),
    unnamed: [...saved].filter(([identity]) => !wanted.has(identity)).map(([, { mount }]) => mount),
  };
}

/** @throws Error if there is no manifest, or if it cannot be read */
export async function readManifest(directory: string): Promise<Manifest> {
  const file = join(directory, manifestName);
  if ((await sizeOf(file)) === 'no file') throw new Error(`${manifestName} is no file`);
  return parseManifest(await readFile(file, 'utf8'));
}

/**
 * Compares an archive's file with its size and digest in the manifest.
 *
 * @returns the damage; undefined if there is none
 */
export async function findDamage(directory: string, archive: Archive): Promise<string | undefined> {
  const file = join(directory, archive.file);
  const size = await sizeOf(file).catch(() => undefined);
  if (size === undefined) return 'its archive is missing';
  if (size === 'no file') return 'its archive is no file';
  if (size !== archive.compressedBytes) {
    return `its archive has ${size} bytes instead of ${archive.compressedBytes}`;
  }
  return (await digest(file)) === archive.sha256 ? undefined : 'its archive is damaged (checksum)';
}

/**
 * Finds the first damage among a mount's archives. If one of them is damaged, the others cannot be
 * used either.
 */
export async function findDamageOfAny(
  directory: string,
  archives: readonly Archive[],
): Promise<string | undefined> {
  const damage = archives.map((archive) => findDamage(directory, archive));
  return (await Promise.all(damage)).find((each) => each !== undefined);
}

/**
 * Accepts only plain files, because an entry can hold anything: the reader of a pipe would wait
 * forever, and a link leads outside.
 */
async function sizeOf(path: string): Promise<number | 'no file'> {
  const found = await lstat(path);
  return found.isFile() ? found.size : 'no file';
}

/**
 * Moves an archive that the build has made into an entry.
 *
 * @param contents its digest is taken only if it is not among them
 * @returns the archive as the manifest describes it
 */
export async function storeArchive(
  source: string,
  contents: ArchiveContents & Partial<Pick<Archive, 'sha256'>>,
  directory: string,
): Promise<Archive> {
  const file = newFileName(contents);
  const path = join(directory, file);
  await moveFile(source, path);
  const { size } = await stat(path);
  const { compression, files, bytes, sha256 = await digest(path) } = contents;
  return { file, compression, files, bytes, compressedBytes: size, sha256 };
}

function newFileName({ compression }: ArchiveContents): string {
  return `${randomBytes(16).toString('hex')}.${archiveExtension[compression]}`;
}

/**
 * Names an archive that the builder itself keeps.
 *
 * @returns the archive as the manifest describes it
 * @throws Error if it is not known what the builder has
 */
export function nameArchive(
  contents: ArchiveContents & Partial<Pick<Archive, 'compressedBytes'>>,
): Archive {
  const { compression, files, bytes, compressedBytes } = contents;
  if (compressedBytes === undefined) throw new Error('the builder does not say what it has packed');
  const file = newFileName(contents);
  return { file, compression, files, bytes, compressedBytes, sha256: noChecksum };
}

export async function writeManifest(directory: string, manifest: Manifest): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, manifestName), renderManifest(manifest));
}

async function digest(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}
