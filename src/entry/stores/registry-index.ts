import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { array, describeValue, object, string } from '../../lib/json.js';
import {
  type Archive,
  archivesOf,
  type Manifest,
  parseManifest,
  renderManifest,
  type SavedMount,
} from '../manifest.js';

/*
 * An entry in a registry is an index. Its images each hold one archive, and its annotations the
 * manifest, so that one request reads the entry.
 */

/** The annotations of ours. What has the first of them is an entry. */
const names = {
  format: 'buildkit-cache-mounts.format',
  /** The SHA-256, in hex, of the manifest as it is in the annotations. */
  sha256: 'buildkit-cache-mounts.manifest.sha256',
  /** The manifest: JSON, compressed by gzip, in base64url; in one or more pieces, from 0. */
  piece: (index: number) => `buildkit-cache-mounts.manifest.${index}`,
};

/** The only format that is read. */
const format = '1';

/** In characters. One argument of a program can have 128 KiB. */
const pieceLength = 100_000;

/** No manifest comes near; what others have put there may unpack to anything. */
const longestManifest = 64 << 20;

const digestPattern = /^sha256:[0-9a-f]{64}$/;

/** An image with one archive, in the repository that holds it. */
export interface ArchiveImage {
  /** Without tag and digest. */
  readonly repository: string;
  /** Such as `sha256:…`. */
  readonly digest: string;
}

/** @param manifest names, for each archive, the digest of the image that holds it */
export function renderAnnotations(manifest: Manifest): Record<string, string> {
  const text = gzipSync(renderManifest(manifest), { level: 9 }).toString('base64url');
  const count = Math.ceil(text.length / pieceLength);
  const pieces = Array.from({ length: count }, (_, index) => [
    names.piece(index),
    text.slice(index * pieceLength, (index + 1) * pieceLength),
  ]);
  return {
    [names.format]: format,
    [names.sha256]: sha256(text),
    ...Object.fromEntries(pieces),
  };
}

/**
 * Reads what a reference names in a registry.
 *
 * @param text an index or anything else
 * @returns undefined if it is none of ours
 * @throws Error with the reason if it is damaged
 */
export function parseIndex(text: string): Manifest | undefined {
  const index = parseObject(text);
  const annotations = object(index?.annotations ?? {}, 'annotations');
  if (index === undefined || annotations[names.format] === undefined) return undefined;
  if (annotations[names.format] !== format) {
    const found = describeValue(annotations[names.format]);
    throw new Error(`its format is ${found}, and this version reads format ${format}`);
  }
  const manifest = parseManifest(readPieces(annotations));
  const images = new Set(
    array(index.manifests, 'manifests').map((each) => object(each, 'manifests[]').digest),
  );
  for (const { entryKey = '' } of manifest.mounts.flatMap(archivesOf)) {
    if (!digestPattern.test(entryKey) || !images.has(entryKey)) {
      throw new Error(`the image ${describeValue(entryKey)} is not among those of the index`);
    }
  }
  return manifest;
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    return object(JSON.parse(text), 'index');
  } catch {
    return undefined;
  }
}

function readPieces(annotations: Readonly<Record<string, unknown>>): string {
  let text = '';
  for (let index = 0; annotations[names.piece(index)] !== undefined; index++) {
    text += string(annotations[names.piece(index)], names.piece(index));
  }
  if (sha256(text) !== annotations[names.sha256]) {
    throw new Error('its manifest is damaged (checksum)');
  }
  const options = { maxOutputLength: longestManifest };
  return gunzipSync(Buffer.from(text, 'base64url'), options).toString('utf8');
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The name of an image, by which it can be pulled; a manifest in memory names archives by it. */
export function imageName({ repository, digest }: ArchiveImage): string {
  return `${repository}@${digest}`;
}

/** @returns undefined if an archive is not in a registry */
export function parseImageName(name: string | undefined): ArchiveImage | undefined {
  const [repository = '', digest = '', ...others] = name?.split('@') ?? [];
  const isValid = repository !== '' && digestPattern.test(digest) && others.length === 0;
  return isValid ? { repository, digest } : undefined;
}

/** Changes what the manifest says of the holder of each archive. */
export function mapHolders(
  manifest: Manifest,
  map: (holder: string | undefined, saved: SavedMount) => string,
): Manifest {
  const mounts = manifest.mounts.map((saved) => {
    const { archive, deltas } = saved;
    const change = (each: Archive): Archive => ({ ...each, entryKey: map(each.entryKey, saved) });
    if (archive === undefined) return saved;
    return { ...saved, archive: change(archive), ...(deltas && { deltas: deltas.map(change) }) };
  });
  return { ...manifest, mounts };
}
