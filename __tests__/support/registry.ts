/** A registry for images and layer caches, on the loopback. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Registry {
  readonly port: number;
  close(): Promise<void>;
}

export async function startRegistry(): Promise<Registry> {
  const program = process.env.REGISTRY;
  if (!program) throw new Error('REGISTRY is not set: run scripts/test, which gets a registry.');
  const directory = await mkdtemp(join(tmpdir(), 'registry-'));
  const file = join(directory, 'config.json');
  // JSON is YAML
  await writeFile(
    file,
    JSON.stringify({
      version: 0.1,
      storage: { filesystem: { rootdirectory: directory } },
      http: { addr: '127.0.0.1:0' },
    }),
  );
  // so that it does not outlive this process, however that ends
  const args = ['--pdeathsig', 'KILL', program, 'serve', file];
  const child = spawn('setpriv', args, { stdio: ['ignore', 'ignore', 'pipe'] });
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
    return { port: await port, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * The same, but a manifest that is not there is 404, as in other registries: Debian's answers 500 if a
 * blob of that digest is, and buildx from some version after 0.29 on then does not look for the blob.
 */
export async function startStrictRegistry(): Promise<Registry> {
  const registry = await startRegistry();
  const server = createServer((incoming, answer) => {
    const { method, url = '', headers } = incoming;
    const options = { host: '127.0.0.1', port: registry.port, method, path: url, headers };
    const forwarded = request(options, (answered) => {
      const { statusCode = 502 } = answered;
      const isMissing = statusCode === 500 && url.includes('/manifests/');
      answer.writeHead(isMissing ? 404 : statusCode, answered.headers);
      answered.pipe(answer);
    });
    forwarded.on('error', () => answer.destroy());
    incoming.pipe(forwarded);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await registry.close();
    },
  };
}
