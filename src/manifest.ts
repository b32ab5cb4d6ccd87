import type { CacheMount, Ownership, StageReference } from './cache-mount.js';
import { array, count, describeValue, invalid, object, string } from './json.js';

/** The format that this code writes, and the only one that it reads. */
export const manifestFormat = 1;

export type Compression = 'zstd' | 'gzip';

/** One mount's content, packed. */
export interface Archive {
  /** Name of the file beside the manifest. */
  readonly file: string;
  readonly compression: Compression;
  /** All entries of the mount but directories. */
  readonly files: number;
  /** Size of the tar stream before compression. */
  readonly bytes: number;
  readonly compressedBytes: number;
  /** Of the compressed file, in hex. */
  readonly sha256: string;
}

export interface SavedMount {
  readonly mount: CacheMount;
  /** Absent where the mount was empty when it was saved. */
  readonly archive?: Archive;
}

/** What an entry in the cache holds: the list of its mounts, beside their archives. */
export interface Manifest {
  /** The key that it was saved under, where the store does not know it itself. */
  readonly key?: string;
  readonly mounts: readonly SavedMount[];
}

const archiveExtension: Record<Compression, string> = { zstd: 'tar.zst', gzip: 'tar.gz' };

export function archiveFileName(index: number, compression: Compression): string {
  return `${index}.${archiveExtension[compression]}`;
}

export function renderManifest(manifest: Manifest): string {
  return `${JSON.stringify({ format: manifestFormat, ...manifest }, undefined, 2)}\n`;
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
  const files = mounts.flatMap(({ archive }) => archive?.file ?? []);
  if (new Set(files).size < files.length) throw new Error('two of its mounts have one archive');
  return { ...(value.key === undefined ? {} : { key: string(value.key, 'key') }), mounts };
}

/** Reads what a manifest, or the state that inject leaves, says of one mount. */
export function parseSavedMount(value: unknown): SavedMount {
  const saved = object(value, 'mounts[]');
  const archive = saved.archive;
  return {
    mount: parseMount(saved.mount),
    ...(archive === undefined ? {} : { archive: parseArchive(archive) }),
  };
}

/** Reads a mount as it stands in a manifest or in the state that inject leaves. */
export function parseMount(value: unknown): CacheMount {
  const { id, namespace, from, stage, source, ownership } = object(value, 'mount');
  return {
    id: string(id, 'id'),
    ...(namespace === undefined ? {} : { namespace: string(namespace, 'namespace') }),
    ...(from === undefined ? {} : { from: string(from, 'from') }),
    ...(stage === undefined ? {} : { stage: parseStage(stage) }),
    ...(source === undefined ? {} : { source: string(source, 'source') }),
    ...(ownership === undefined ? {} : { ownership: parseOwnership(ownership) }),
  };
}

function parseStage(value: unknown): StageReference {
  const { name, digest } = object(value, 'stage');
  return { name: string(name, 'name'), digest: string(digest, 'digest') };
}

function parseOwnership(value: unknown): Ownership {
  const { uid, gid, mode } = object(value, 'ownership');
  return { uid: count(uid, 'uid'), gid: count(gid, 'gid'), mode: count(mode, 'mode') };
}

function parseArchive(value: unknown): Archive {
  const archive = object(value, 'archive');
  const file = string(archive.file, 'file');
  const compression = archive.compression;
  if (compression !== 'zstd' && compression !== 'gzip') {
    throw invalid('compression', compression);
  }
  if (!/^\d+\.tar\.(zst|gz)$/.test(file)) {
    throw invalid('file', file);
  }
  const sha256 = string(archive.sha256, 'sha256');
  if (!/^[0-9a-f]{64}$/.test(sha256)) {
    throw invalid('sha256', sha256);
  }
  return {
    file,
    compression,
    files: count(archive.files, 'files'),
    bytes: count(archive.bytes, 'bytes'),
    compressedBytes: count(archive.compressedBytes, 'compressedBytes'),
    sha256,
  };
}
