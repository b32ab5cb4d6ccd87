import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { moveFile } from '../lib/work-directory.js';
import { type CacheMount, identityOf } from '../mounts/cache-mount.js';
import {
  type Archive,
  archiveExtension,
  type Manifest,
  parseManifest,
  renderManifest,
  type SavedMount,
} from './manifest.js';

export const manifestName = 'manifest.json';

/** Archives, and the mount of the list that they go into. */
export interface Filling {
  /** The mount's place in the list. */
  readonly index: number;
  readonly mount: CacheMount;
  /** The first with all of its content, the others with what has changed since. */
  readonly archives: readonly [Archive, ...Archive[]];
}

export interface Selection {
  readonly fillings: readonly Filling[];
  /** Named, but not in the entry, or empty there. */
  readonly unsaved: readonly CacheMount[];
  /** In the entry, but not named. */
  readonly unnamed: readonly CacheMount[];
}

/** Decides which archive of an entry goes where: only into the very mount that it was taken from. */
export function selectArchives(named: readonly CacheMount[], manifest: Manifest): Selection {
  const saved = new Map(manifest.mounts.map((each) => [identityOf(each.mount), each]));
  const fillings = named.flatMap((mount, index): Filling[] => {
    const { archive, deltas = [] } = saved.get(identityOf(mount)) ?? {};
    return archive === undefined ? [] : [{ index, mount, archives: [archive, ...deltas] }];
  });
  const wanted = new Set(named.map(identityOf));
  return {
    fillings,
    unsaved: named.filter((mount) => saved.get(identityOf(mount))?.archive === undefined),
    unnamed: [...saved].filter(([identity]) => !wanted.has(identity)).map(([, { mount }]) => mount),
  };
}

/** @throws Error where there is no manifest, or one that cannot be read */
export async function readManifest(directory: string): Promise<Manifest> {
  const file = join(directory, manifestName);
  if ((await sizeOf(file)) === 'no file') throw new Error(`${manifestName} is no file`);
  return parseManifest(await readFile(file, 'utf8'));
}

/**
 * Compares an archive's file with what the manifest says of it.
 *
 * @returns what is wrong with it
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

/** What is wrong with one of a mount's archives: without it, the others are of no use. */
export async function findDamageOfAny(
  directory: string,
  archives: readonly Archive[],
): Promise<string | undefined> {
  const damage = archives.map((archive) => findDamage(directory, archive));
  return (await Promise.all(damage)).find((each) => each !== undefined);
}

/** An entry can hold anything: a pipe would keep its reader for good, a link leads out. */
async function sizeOf(path: string): Promise<number | 'no file'> {
  const found = await lstat(path);
  return found.isFile() ? found.size : 'no file';
}

/**
 * Moves an archive that the build has made into an entry.
 *
 * @param facts its digest is taken only if it is not among them
 * @returns what the manifest says of it
 */
export async function storeArchive(
  source: string,
  facts: Pick<Archive, 'compression' | 'files' | 'bytes'> & Partial<Pick<Archive, 'sha256'>>,
  directory: string,
): Promise<Archive> {
  const file = `${randomBytes(16).toString('hex')}.${archiveExtension[facts.compression]}`;
  const path = join(directory, file);
  await moveFile(source, path);
  const { size } = await stat(path);
  const { compression, files, bytes, sha256 = await digest(path) } = facts;
  return { file, compression, files, bytes, compressedBytes: size, sha256 };
}

export async function writeManifest(directory: string, mounts: SavedMount[]): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, manifestName), renderManifest({ mounts }));
}

async function digest(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}
