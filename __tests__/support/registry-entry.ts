/** What a tag holds in a registry of the tests, read and changed behind its back. */
import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';

/** An index as it stands in the registry. */
export interface IndexText {
  readonly mediaType: string;
  readonly manifests: { readonly digest: string }[];
  readonly annotations: Record<string, string>;
}

const indexType = 'application/vnd.oci.image.index.v1+json';
const accepted = [
  indexType,
  ...['application/vnd.oci.image.manifest.v1+json'],
  ...['application/vnd.docker.distribution.manifest.v2+json'],
].join(', ');
const ours = 'buildkit-cache-mounts.';
const piece = `${ours}manifest.0`;
const checksum = `${ours}manifest.sha256`;

/** @returns the bytes that a reference names; undefined if there is nothing */
export async function readTag(reference: string): Promise<string | undefined> {
  const response = await fetch(urlOf(reference), { headers: { accept: accepted } });
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(`${reference}: ${response.status}`);
  return response.text();
}

/** @param text or what its JSON says */
export async function writeTag(reference: string, text: string | IndexText): Promise<void> {
  const body = typeof text === 'string' ? text : JSON.stringify(text);
  const { mediaType = indexType } = JSON.parse(body);
  const headers = { 'content-type': mediaType };
  const response = await fetch(urlOf(reference), { method: 'PUT', headers, body });
  if (!response.ok) throw new Error(`${reference}: ${response.status} ${await response.text()}`);
}

/** The manifest in an index of ours. */
export function manifestIn({ annotations }: IndexText): string {
  return gunzipSync(Buffer.from(annotations[piece] ?? '', 'base64url')).toString('utf8');
}

/** The same index with another manifest, whose checksum is right. */
export function withManifest(index: IndexText, manifest: string | Buffer): IndexText {
  return withPiece(index, gzipSync(manifest).toString('base64url'));
}

/** The same index with another text in place of the manifest, whose checksum is right. */
export function withPiece(index: IndexText, text: string): IndexText {
  const sha256 = createHash('sha256').update(text).digest('hex');
  return withAnnotations(index, { [piece]: text, [checksum]: sha256 });
}

/** @param changes undefined: the annotation is left out */
export function withAnnotations(
  index: IndexText,
  changes: Readonly<Record<string, string | undefined>>,
): IndexText {
  const all = Object.entries({ ...index.annotations, ...changes });
  const annotations = all.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
  return { ...index, annotations: Object.fromEntries(annotations) };
}

function urlOf(reference: string): string {
  const [, host, name, tag] = /^([^/]+)\/(.+?)[:@]((?:sha256:)?[\w.-]+)$/.exec(reference) ?? [];
  return `http://${host}/v2/${name}/manifests/${tag}`;
}
