/**
 * The method of other tools, to compare with: a build copies the mount into a layer of an image, from
 * which it is copied to the runner's disk; the way back is a build with the files as its context,
 * which copies them into the mount. In between, the cache client carries the plain files.
 */
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { CacheService } from '../../../__tests__/support/cache-service.js';
import { run, runShell } from './command.js';
import { type Builds, dockerfileOf, exec } from './mount.js';
import { timed } from './timed.js';
import { readTransfers, type Transfers } from './transfers.js';

export interface Copying {
  readonly seconds: number;
  readonly transfers: Transfers;
}

const layerDirectory = '/dance-cache';

/** Gets the files of the mount into a directory. */
export async function copyOut(builds: Builds, id: string, tree: string): Promise<Copying> {
  const image = `bench-${randomUUID()}`;
  try {
    const { result: log, seconds } = await timed(async () => {
      const built = await builds.build(
        dockerfileOf(
          `WORKDIR ${layerDirectory}`,
          `RUN --mount=type=cache,id=${id},target=/mount ${exec('/bin/cp', '-a', '/mount/.', `${layerDirectory}/`)}`,
        ),
        ['--load', '--tag', image],
      );
      const { stdout } = await run('docker', ['create', image, '/bin/sh']);
      const container = stdout.trim();
      await runShell('docker cp "$1:$2/." - | tar -x -C "$3"', [container, layerDirectory, tree]);
      await run('docker', ['rm', container]);
      return built.log;
    });
    const { toBuilder, fromBuilder } = readTransfers(log);
    return { seconds, transfers: { toBuilder, fromBuilder: fromBuilder + (await tarBytes(tree)) } };
  } finally {
    await run('docker', ['image', 'rm', '--force', image]).catch(() => undefined);
  }
}

/** Puts the files of a directory into the mount. */
export async function copyIn(builds: Builds, id: string, tree: string): Promise<Copying> {
  const mounts = `--mount=type=cache,id=${id},target=/mount --mount=type=bind,target=/context`;
  const { result, seconds } = await timed(() =>
    builds.build(
      dockerfileOf(`RUN ${mounts} ${exec('/bin/cp', '-a', '/context/.', '/mount/')}`),
      ['--output=type=cacheonly'],
      tree,
    ),
  );
  return { seconds, transfers: readTransfers(result.log) };
}

/** @returns what the cache client itself takes for the plain files of a directory */
export async function measurePlainStore(
  service: CacheService,
  action: 'save' | 'restore',
  directory: string,
  key: string,
): Promise<number> {
  const script = fileURLToPath(new URL('plain-store.ts', import.meta.url));
  const args = ['--import', 'tsx', script, action, directory, key];
  const env = { ...process.env, ...service.env };
  const { result } = await timed(() => run(process.execPath, args, { env }));
  const answer: unknown = JSON.parse(result.stdout.trim().split('\n').at(-1) ?? '');
  if (typeof answer === 'object' && answer && 'seconds' in answer) return Number(answer.seconds);
  throw new Error(`The cache client gave no time: ${result.stdout}`);
}

/** What docker cp sends: a tar stream of the files. */
async function tarBytes(tree: string): Promise<number> {
  const { stdout } = await runShell('tar -c -C "$1" . | wc -c', [tree]);
  return Number(stdout);
}
