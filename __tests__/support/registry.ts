/** A registry for images, layer caches and cache mounts, on the loopback. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RegistryProxy, startRegistryProxy } from './registry-proxy.js';
import { execute } from './silence.js';

export interface Registry {
  readonly port: number;
  close(): Promise<void>;
}

export interface PlainRegistry extends Registry {
  /**
   * Removes all manifests that have no tag, as `registry garbage-collect --delete-untagged` does: also
   * those that an index with a tag names.
   */
  removeUntagged(): Promise<void>;
}

/** @param size of a file system for all that it stores, such as `8m`; this needs root */
export async function startRegistry(size?: string): Promise<PlainRegistry> {
  const program = process.env.REGISTRY;
  if (!program) throw new Error('REGISTRY is not set: run scripts/test, which gets a registry.');
  const directory = await mkdtemp(join(tmpdir(), 'registry-'));
  const file = join(directory, 'config.json');
  const data = join(directory, 'data');
  await mkdir(data);
  // JSON is YAML
  await writeFile(
    file,
    JSON.stringify({
      version: 0.1,
      storage: { filesystem: { rootdirectory: data }, delete: { enabled: true } },
      http: { addr: '127.0.0.1:0' },
    }),
  );
  // so that it does not outlive this process, however that ends
  const args = ['--pdeathsig', 'KILL', program, 'serve', file];
  // The mount is of a name space of its own: it goes when the registry ends.
  const mountFirst = `mount -n -t tmpfs -o size=${size} tmpfs "$0" && exec setpriv "$@"`;
  const child = spawn(
    ...((size === undefined
      ? ['setpriv', args]
      : ['unshare', ['--mount', 'sh', '-c', mountFirst, data, ...args]]) as [string, string[]]),
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const closed = once(child, 'close');

  async function close(): Promise<void> {
    child.kill('SIGKILL');
    await closed;
    await rm(directory, { recursive: true });
  }

  let log = '';
  const port = new Promise<number>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text;
      const [, found] = /listening on 127\.0\.0\.1:(\d+)/.exec(log) ?? [];
      if (found) resolve(Number(found));
    });
    child.once('error', reject);
    child.once('close', () => reject(new Error(`The registry did not start:\n${log}`)));
  });
  try {
    return {
      port: await port,
      close,
      removeUntagged: async () => {
        await execute(program, ['garbage-collect', '--delete-untagged', file]);
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The same, with the answers of other registries, and with what goes wrong on the way to it. */
export interface StrictRegistry extends PlainRegistry, Omit<RegistryProxy, 'close'> {}

/** @param size as for {@link startRegistry} */
export async function startStrictRegistry(size?: string): Promise<StrictRegistry> {
  const registry = await startRegistry(size);
  const proxy = await startRegistryProxy(registry.port);
  return {
    ...registry,
    ...proxy,
    close: async () => {
      proxy.close();
      await registry.close();
    },
  };
}
