/** A registry for images and layer caches, on the loopback. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
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
