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

/** The format that this code writes, and the only one that it reads. */
export const manifestFormat = 1;

export type Compression = 'zstd' | 'gzip';

/** What was packed into an archive. */
export interface ArchiveContents {
  readonly compression: Compression;
  /** All that is in it but directories. */
  readonly files: number;
  /** Of the tar stream before compression. */
  readonly bytes: number;
}

export interface ArchiveSize {
  /** All that is in it but directories. */
  readonly files: number;
  /** Of the tar stream before compression. */
  readonly bytes: number;
  readonly compressedBytes: number;
}

/** One mount's content, packed. */
export interface Archive extends ArchiveContents, ArchiveSize {
  /** Name of the file in the entry that holds it; no other archive has the same. */
  readonly file: string;
  /** The key of that entry; absent: the manifest's own. */
  readonly entryKey?: string;
  /** Of the compressed file, in hex. */
  readonly sha256: string;
}

export interface SavedMount {
  readonly mount: CacheMount;
  /** All of the mount's content; absent where it was empty when it was saved. */
  readonly archive?: Archive;
  /** What has changed since, oldest first, in the incremental format of GNU tar. */
  readonly deltas?: readonly Archive[];
}

/** The archives to unpack one after another. */
export function archivesOf({ archive, deltas = [] }: SavedMount): readonly Archive[] {
  return archive === undefined ? [] : [archive, ...deltas];
}

/** What some archives hold together. */
export function totalOf(archives: readonly Archive[]): ArchiveSize {
  const sum = (size: keyof ArchiveSize) => archives.reduce((total, each) => total + each[size], 0);
  return { files: sum('files'), bytes: sum('bytes'), compressedBytes: sum('compressedBytes') };
}

/** What an entry in the cache holds: the list of its mounts, beside their archives. */
export interface Manifest {
  /** The key that it was saved under, where the store does not know it itself. */
  readonly key?: string;
  readonly mounts: readonly SavedMount[];
}

export const archiveExtension: Record<Compression, string> = { zstd: 'tar.zst', gzip: 'tar.gz' };

/** The names of archives, and no others: an entry's files, and those of others, share directories. */
export const archiveFilePattern = /^[0-9a-f]{32}\.tar\.(zst|gz)$/;

/** In the builder, their numbers have two digits, which sort as they count. */
export const maximumDeltas = 99;

export function renderManifest(manifest: Manifest): string {
  const mounts = manifest.mounts.map(renderSavedMount);
  return `${JSON.stringify({ format: manifestFormat, ...manifest, mounts }, undefined, 2)}\n`;
}

/** What a manifest, or the state that inject leaves, says of one mount; JSON leaves out what is undefined. */
export function renderSavedMount({ mount, archive, deltas }: SavedMount): object {
  return {
    mount: renderMount(mount),
    archive: archive && renderArchive(archive),
    deltas: deltas?.map(renderArchive),
  } satisfies Record<keyof SavedMount, unknown>;
}

function renderMount({ id, namespace, from, stage, source, ownership }: CacheMount): object {
  return { id, namespace, from, stage, source, ownership } satisfies AllFields<CacheMount>;
}

/** (All of its other fields go into the manifest as they are.) */
function renderArchive({ file, entryKey, ...others }: Archive): object {
  return { file, entry: entryKey, ...others };
}

/**
 * Reads a manifest that came out of the cache, which others can write to: nothing in it is used
 * that is not of the expected form. File names in particular can only be those that we give.
 *
 * @throws Error that says what is wrong with it
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
  return { ...(value.key === undefined ? {} : { key: string(value.key, 'key') }), mounts };
}

/** Reads what a manifest, or the state that inject leaves, says of one mount. */
export function parseSavedMount(value: unknown): SavedMount {
  const { mount, archive, deltas } = object(value, 'mounts[]');
  return omitUndefined<SavedMount>({
    mount: parseMount(mount),
    archive: archive === undefined ? undefined : parseArchive(archive),
    deltas: deltas === undefined ? undefined : parseDeltas(deltas, archive),
  });
}

/** Reads a mount as it stands in a manifest or in the state that inject leaves. */
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
  if (!/^[0-9a-f]{64}$/.test(sha256)) {
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
