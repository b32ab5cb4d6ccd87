/** Changes what is inside a saved entry, behind the service's back. */
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);
/** What the entry's files are in. */
export const storedDirectoryName = 'buildkit-cache-mounts.v1';

/** A manifest as it is in the entry, whether it is valid or not. */
export interface ManifestText {
  format: unknown;
  mounts: { mount: Record<string, unknown>; archive?: Record<string, unknown> }[];
}

/**
 * Unpacks an entry's blob, has its files changed, and packs it again: the outer archive is whole.
 *
 * @param change is given the directory that holds the manifest and the archives
 */
export async function changeEntry(
  blob: Buffer,
  change: (directory: string) => void | Promise<void>,
): Promise<Buffer> {
  const parent = await mkdtemp(join(tmpdir(), 'entry-'));
  const file = join(parent, 'entry.tzst');
  try {
    await writeFile(file, blob);
    await execute('tar', ['-xf', file, '--zstd', '-C', parent]);
    await change(join(parent, storedDirectoryName));
    await execute('tar', ['-cf', file, '--zstd', '-C', parent, storedDirectoryName]);
    return await readFile(file);
  } finally {
    await rm(parent, { recursive: true });
  }
}

async function readManifestText(directory: string): Promise<ManifestText> {
  return JSON.parse(await readFile(join(directory, 'manifest.json'), 'utf8'));
}

export async function changeManifest(
  directory: string,
  change: (manifest: ManifestText) => void,
): Promise<void> {
  const manifest = await readManifestText(directory);
  change(manifest);
  await writeFile(join(directory, 'manifest.json'), JSON.stringify(manifest));
}

/** The path of the archive of the mount with this id. */
export async function archiveOf(directory: string, id: string): Promise<string> {
  const { mounts } = await readManifestText(directory);
  const file = mounts.find(({ mount }) => mount.id === id)?.archive?.file;
  if (typeof file !== 'string') throw new Error(`no archive of ${id} in ${directory}`);
  return join(directory, file);
}

/** What the manifest says of an archive, such that its check passes. */
export function factsOf(data: Buffer, index: number): Record<string, unknown> {
  return {
    file: `${String(index).padStart(32, '0')}.tar.zst`,
    compression: 'zstd',
    files: 1,
    bytes: 10_240,
    compressedBytes: data.length,
    sha256: createHash('sha256').update(data).digest('hex'),
  };
}

export interface Member {
  readonly name: string;
  readonly content?: string;
  /** Makes it a symbolic or a hard link. */
  readonly symlink?: string;
  readonly link?: string;
  /** Of a directory in the incremental format: what is in it, each name behind its code. */
  readonly dump?: readonly string[];
}

/** A tar archive with members that no tar would write. */
export function tarOf(members: readonly Member[]): Buffer {
  const blocks = members.flatMap(({ name, content = '', symlink, link, dump }) => {
    const target = symlink ?? link;
    const type =
      symlink !== undefined ? '2' : link !== undefined ? '1' : name.endsWith('/') ? '5' : '0';
    const member = blocksOf(name, type, target === undefined ? content : '', target);
    if (dump === undefined) return member;
    const listed = `${dump.map((each) => `${each}\0`).join('')}\0`;
    return [...blocksOf('extended', 'x', paxRecord('GNU.dumpdir', listed)), ...member];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** Its length, which it begins with, counts itself. */
function paxRecord(name: string, value: string): string {
  const rest = ` ${name}=${value}\n`;
  const length = rest.length + String(rest.length).length;
  return `${rest.length + String(length).length}${rest}`;
}

function blocksOf(name: string, type: string, content: string, target = ''): Buffer[] {
  const data = Buffer.from(content);
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write(type === '5' ? '0000755' : '0000644', 100);
  header.write('0000000', 108);
  header.write('0000000', 116);
  header.write(data.length.toString(8).padStart(11, '0'), 124);
  header.write('00000000000', 136);
  header.write('        ', 148);
  header.write(type, 156);
  header.write(target, 157);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return [header, data, Buffer.alloc((512 - (data.length % 512)) % 512)];
}

export function compress(data: Buffer): Buffer {
  return execFileSync('zstd', ['-q', '-c'], { input: data, stdio: ['pipe', 'pipe', 'ignore'] });
}

export function flipByte(data: Buffer, offset: number): Buffer {
  const copy = Buffer.from(data);
  const place = Math.floor(offset);
  copy.writeUInt8(copy.readUInt8(place) ^ 0xff, place);
  return copy;
}
