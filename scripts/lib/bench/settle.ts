/** Lets the disk finish what has been asked of it, which would otherwise slow down what is timed. */
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { run } from './command.js';

const stepMs = 200;
/** Other programs on the machine may keep the disk busy for good. */
const limitMs = 2000;

/**
 * `sync` returns before a file system has told the disk which blocks are free (mount option
 * `discard`), and until then it is slow in handing out blocks: behind each large removal, that is.
 */
export async function settleDisk(): Promise<void> {
  await run('sync', []);
  let discards = await readDiscards();
  for (let waited = 0; waited < limitMs; waited += stepMs) {
    await delay(stepMs);
    const now = await readDiscards();
    if (now === discards) return;
    discards = now;
  }
}

/** How many blocks all disks together have been told to be free; steady where there is no /proc. */
async function readDiscards(): Promise<number> {
  const text = await readFile('/proc/diskstats', 'utf8').catch(() => '');
  const sectors = text.split('\n').map((line) => Number(line.trim().split(/\s+/)[16] ?? 0));
  return sectors.reduce((sum, each) => sum + each, 0);
}
