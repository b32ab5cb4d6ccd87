/** The least that packing and unpacking can take on this disk: tar and zstd, without any Docker. */
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { runShell } from './command.js';
import { timed } from './timed.js';

export interface Floor {
  readonly packSeconds: number;
  readonly unpackSeconds: number;
  readonly archiveBytes: number;
}

export async function measureFloor(tree: string, workDirectory: string): Promise<Floor> {
  const archive = join(workDirectory, 'floor.tar.zst');
  const unpacked = join(workDirectory, 'floor');
  await mkdir(unpacked);
  try {
    const pack = await timed(() =>
      runShell('tar -c -C "$1" . | zstd -q -T0 -3 >"$2"', [tree, archive]),
    );
    const unpack = await timed(() =>
      runShell('zstd -q -d <"$1" | tar -x -C "$2"', [archive, unpacked]),
    );
    return {
      packSeconds: pack.seconds,
      unpackSeconds: unpack.seconds,
      archiveBytes: (await stat(archive)).size,
    };
  } finally {
    await rm(unpacked, { recursive: true });
    await rm(archive, { force: true });
  }
}
