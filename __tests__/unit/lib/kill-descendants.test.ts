import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');

/**
 * Starts a shell with two sleeps, one of them under a name that is hard to read in /proc, and prints
 * the process ids of all three before it ends them.
 */
const program = `
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { setTimeout } from 'node:timers/promises';
import { killDescendants } from './src/lib/kill-descendants.ts';

const script = '"$0" 60 & echo $!; sleep 60 & echo $!; wait';
const shell = spawn('sh', ['-c', script, process.env.ODDLY_NAMED_SLEEP]);
const ended = once(shell, 'exit');
const lines = createInterface(shell.stdout)[Symbol.asyncIterator]();
const sleeps = [(await lines.next()).value, (await lines.next()).value];
while (!readFileSync('/proc/' + sleeps[0] + '/comm', 'utf8').startsWith('a)')) await setTimeout(10);
console.log(shell.pid, ...sleeps);
killDescendants();
const [, signal] = await ended;
console.log(signal);
killDescendants(); // with no process left
`;

/** Whether a process runs; one that has ended may stay as a zombie. */
async function isRunning(pid: string): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'State:\tX');
  return !/^State:\s*[ZX]/m.test(status);
}

test('killDescendants ends children and grandchildren, and not the process itself', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'processes-'));
  const oddlyNamedSleep = join(directory, 'a) R 1 (b');
  await symlink('/bin/sleep', oddlyNamedSleep);
  try {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '--eval', program],
      { cwd: root, env: { ...process.env, ODDLY_NAMED_SLEEP: oddlyNamedSleep }, timeout: 20_000 },
    );
    const [pids = '', signal] = stdout.trim().split('\n');
    expect(pids.split(' ')).toHaveLength(3);
    expect(signal).toBe('SIGKILL');
    for (const pid of pids.split(' ')) {
      expect([pid, await isRunning(pid)]).toEqual([pid, false]);
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});
