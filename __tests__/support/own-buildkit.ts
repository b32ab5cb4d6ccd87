/** BuildKits that a test has for itself, for remote builders and those of several nodes. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { docker, useBuilder } from './engine.js';

export interface OwnBuildkit {
  /** For a builder of the driver `remote`. */
  readonly endpoint: string;
  /** The path of the socket that it listens at. */
  readonly socket: string;
  /** Ends it at once, with all that it holds. */
  dispose(): Promise<void>;
}

const script = fileURLToPath(new URL('own-buildkit.sh', import.meta.url));
const cache = fileURLToPath(new URL('../../.cache/buildkit', import.meta.url));

/** The program, if this machine has it: `BUILDKITD`, or what scripts/test has compiled. */
const program = process.env.BUILDKITD || findCompiled();

function findCompiled(): string | undefined {
  const versions = existsSync(cache) ? readdirSync(cache).sort() : [];
  return versions.map((version) => join(cache, version, 'usr/bin/buildkitd')).findLast(existsSync);
}

/** Whether this machine can have some: it takes root, and the program. */
export const hasOwnBuildkit = program !== undefined && process.getuid?.() === 0;

export async function startOwnBuildkit(): Promise<OwnBuildkit> {
  const directory = mkdtempSync(join(tmpdir(), 'buildkit-'));
  const child = spawn('bash', [script, program ?? '', directory], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { value } = await lines.next();
  if (value !== 'ready') throw new Error('buildkitd has ended');
  return {
    endpoint: `unix://${directory}/socket`,
    socket: join(directory, 'socket'),
    dispose: async () => {
      child.stdin.end();
      await closed;
    },
  };
}

/**
 * Gives the tests a remote builder, on a BuildKit of its own.
 *
 * @returns removes it
 */
export async function useRemoteBuilder(): Promise<() => Promise<void>> {
  const buildkit = await startOwnBuildkit();
  const name = `remote-${randomUUID()}`;
  await docker(['buildx', 'create', `--name=${name}`, '--driver=remote', buildkit.endpoint]);
  const remove = useBuilder(name);
  return async () => {
    await remove();
    await buildkit.dispose();
  };
}
