import {
  type AllFields,
  array,
  count,
  describeValue,
  invalid,
  object,
  omitUndefined,
  string,
} from '../lib/json.js';
import {
  type CacheMount,
  identityOf,
  type Ownership,
  type StageReference,
} from '../mounts/cache-mount.js';
import type { Gap, MountOfGap } from '../mounts/gap.js';
import { type ColdBuild, parseColdBuild } from './cold-build.js';

/** The format that this code writes, and the only format that it reads. */
export const manifestFormat = 1;

export type Compression = 'zstd' | 'gzip';

/** The content of one or more archives, in numbers. */
interface ContentSize {
  /** The number of files, without directories. */
  readonly files: number;
  /** The size of the tar stream before compression. */
  readonly bytes: number;
}

/** The content of an archive that is not in an entry yet. */
export interface ArchiveContents extends ContentSize {
  readonly compression: Compression;
}

export interface ArchiveSize extends ContentSize {
  readonly compressedBytes: number;
}

/** An archive as a manifest describes it. */
export interface Archive extends ArchiveContents, ArchiveSize {
  /** The name of its file in the entry that holds it; no other archive has the same name. */
  readonly file: string;
  /** The key of that entry; absent: the entry of the manifest. */
  readonly entryKey?: string;
  /**
   * The SHA-256 of the compressed file, in hex; of an archive in a registry {@link noChecksum}: it never
   * comes to this machine, and whoever pulls its image checks the digest of that.
   */
  readonly sha256: string;
}

export interface SavedMount {
  readonly mount: CacheMount;
  /** All of the mount's content; absent if the mount was empty when it was saved. */
  readonly archive?: Archive;
  /** The changes since then, oldest first, in the incremental format of GNU tar. */
  readonly deltas?: readonly Archive[];
  /** Where the Dockerfile declares it, if only the base image tells its id. */
  readonly gap?: Gap;
  /** A hash of the patterns of what was not saved; absent: all of it was saved. */
  readonly exclude?: string;
  /** Its sizes at the last saves, the oldest first, in bytes before compression. */
  readonly sizes?: readonly number[];
  /** The limit that it exceeds, in bytes: inject does not restore it. Absent: it exceeds none. */
  readonly exceeds?: number;
}

/** The archives of a mount, in the order in which they are unpacked. */
export function archivesOf({ archive, deltas = [] }: SavedMount): readonly Archive[] {
  return archive === undefined ? [] : [archive, ...deltas];
}

/** Notes where the Dockerfile declares the mounts of which only a base image tells the id. */
export function nameGaps(
  saved: readonly SavedMount[],
  ofGaps: readonly MountOfGap[],
): SavedMount[] {
  const gaps = new Map(ofGaps.map(({ mount, gap }) => [identityOf(mount), gap]));
  return saved.map(({ gap: _, ...each }) => {
    const gap = gaps.get(identityOf(each.mount));
    return gap === undefined ? each : { ...each, gap };
  });
}

/** The total size of some archives. */
export function totalOf(archives: readonly ArchiveSize[]): ArchiveSize {
  const sum = (size: keyof ArchiveSize) => archives.reduce((total, each) => total + each[size], 0);
  return { files: sum('files'), bytes: sum('bytes'), compressedBytes: sum('compressedBytes') };
}

/** The list of the mounts of an entry. The entry holds it beside their archives. */
export interface Manifest {
  /** The key that the entry was saved under, if the store itself does not know it. */
  readonly key?: string;
  readonly mounts: readonly SavedMount[];
  /** The last build of these mounts that has found nothing in them; absent: none is known. */
  readonly coldBuild?: ColdBuild;
}

export const archiveExtension: Record<Compression, string> = { zstd: 'tar.zst', gzip: 'tar.gz' };

/** In place of a SHA-256; no file has it. */
export const noChecksum = 'none';

/** Matches only names of archives, because an entry's files can share a directory with others. */
export const archiveFilePattern = /^[0-9a-f]{32}\.tar\.(zst|gz)$/;

/** In the builder, the number of an archive has two digits, because the shell sorts by text. */
export const maximumDeltas = 99;

export function renderManifest(manifest: Manifest): string {
  const mounts = manifest.mounts.map(renderSavedMount);
  return `${JSON.stringify({ format: manifestFormat, ...manifest, mounts }, undefined, 2)}\n`;
}

/**
 * Renders one mount for a manifest, or for the state that inject leaves. JSON leaves out undefined
 * fields.
 */
export function renderSavedMount(saved: SavedMount): object {
  const { mount, archive, deltas, gap, exclude, sizes, exceeds } = saved;
  return {
    mount: renderMount(mount),
    gap: gap && renderGap(gap),
    archive: archive && renderArchive(archive),
    deltas: deltas?.map(renderArchive),
    ...{ exclude, sizes, exceeds },
  } satisfies Record<keyof SavedMount, unknown>;
}

function renderMount({ id, namespace, from, stage, source, ownership }: CacheMount): object {
  return { id, namespace, from, stage, source, ownership } satisfies AllFields<CacheMount>;
}

function renderGap({ image, id, onBuild }: Gap): object {
  return { image, id, onBuild } satisfies AllFields<Gap>;
}

/** All other fields go into the manifest unchanged. */
function renderArchive({ file, entryKey, ...others }: Archive): object {
  return { file, entry: entryKey, ...others };
}

/**
 * Reads a manifest that comes from a store. Others can write to the store, so everything must have
 * the expected form. In particular, a file name must have the form of our own names.
 *
 * @throws Error that names the fault
 */
export function parseManifest(text: string): Manifest {
  const value = object(JSON.parse(text), 'manifest');
  if (value.format !== manifestFormat) {
    throw new Error(
      `its format is ${describeValue(value.format)}, and this version reads format ${manifestFormat}`,
    );
  }
  const mounts = array(value.mounts, 'mounts').map(parseSavedMount);
  const archives = mounts.flatMap(archivesOf);
  if (new Set(archives.map(({ file }) => file)).size < archives.length)
    throw new Error('two of its mounts have one archive');
  if (new Set(mounts.map(({ mount }) => identityOf(mount))).size < mounts.length)
    throw new Error('two of its mounts are the same');
  return {
    ...(value.key === undefined ? {} : { key: string(value.key, 'key') }),
    mounts,
    ...(value.coldBuild === undefined ? {} : { coldBuild: parseColdBuild(value.coldBuild) }),
  };
}

/** Reads one mount with its archives from a manifest, or from the state that inject leaves. */
export function parseSavedMount(value: unknown): SavedMount {
  const { mount, archive, deltas, gap, exclude, sizes, exceeds } = object(value, 'mounts[]');
  return omitUndefined<SavedMount>({
    mount: parseMount(mount),
    archive: archive === undefined ? undefined : parseArchive(archive),
    deltas: deltas === undefined ? undefined : parseDeltas(deltas, archive),
    gap: gap === undefined ? undefined : parseGap(gap),
    exclude: exclude === undefined ? undefined : string(exclude, 'exclude'),
    sizes:
      sizes === undefined ? undefined : array(sizes, 'sizes').map((each) => count(each, 'sizes[]')),
    exceeds: exceeds === undefined ? undefined : count(exceeds, 'exceeds'),
  });
}

/** Reads a gap from a manifest, or from the state that inject leaves. */
export function parseGap(value: unknown): Gap {
  const { image, id, onBuild } = object(value, 'gap');
  return omitUndefined<Gap>({
    image: string(image, 'image'),
    id: string(id, 'id'),
    onBuild: onBuild === true ? true : undefined,
  });
}

/** Reads a mount's identity from a manifest, or from the state that inject leaves. */
export function parseMount(value: unknown): CacheMount {
  const { id, namespace, from, stage, source, ownership } = object(value, 'mount');
  return omitUndefined<CacheMount>({
    id: string(id, 'id'),
    namespace: namespace === undefined ? undefined : string(namespace, 'namespace'),
    from: from === undefined ? undefined : string(from, 'from'),
    stage: stage === undefined ? undefined : parseStage(stage),
    source: source === undefined ? undefined : string(source, 'source'),
    ownership: ownership === undefined ? undefined : parseOwnership(ownership),
  });
}

function parseStage(value: unknown): StageReference {
  const { name, digest } = object(value, 'stage');
  return omitUndefined<StageReference>({
    name: string(name, 'name'),
    digest: string(digest, 'digest'),
  });
}

function parseOwnership(value: unknown): Ownership {
  const { uid, gid, mode } = object(value, 'ownership');
  return omitUndefined<Ownership>({
    uid: count(uid, 'uid'),
    gid: count(gid, 'gid'),
    mode: count(mode, 'mode'),
  });
}

function parseDeltas(value: unknown, archive: unknown): Archive[] {
  const deltas = array(value, 'deltas').map(parseArchive);
  if (archive === undefined || deltas.length > maximumDeltas) throw invalid('deltas', value);
  return deltas;
}

function parseArchive(value: unknown): Archive {
  const archive = object(value, 'archive');
  const { entry } = archive;
  const file = string(archive.file, 'file');
  const compression = archive.compression;
  if (compression !== 'zstd' && compression !== 'gzip') {
    throw invalid('compression', compression);
  }
  if (!archiveFilePattern.test(file)) {
    throw invalid('file', file);
  }
  const sha256 = string(archive.sha256, 'sha256');
  if (sha256 !== noChecksum && !/^[0-9a-f]{64}$/.test(sha256)) {
    throw invalid('sha256', sha256);
  }
  return omitUndefined<Archive>({
    file,
    entryKey: entry === undefined ? undefined : string(entry, 'entry'),
    compression,
    files: count(archive.files, 'files'),
    bytes: count(archive.bytes, 'bytes'),
    compressedBytes: count(archive.compressedBytes, 'compressedBytes'),
    sha256,
  });
}
