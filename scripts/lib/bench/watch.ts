/** Watches how much disk space directories take while something runs. */
import { setTimeout as delay } from 'node:timers/promises';
import { run } from './command.js';

export interface DiskUse {
  /** The most that was taken at any time beyond what was before. */
  readonly peakBytes: number;
  /** What is taken afterwards beyond what was before. */
  readonly restBytes: number;
}

const pauseMs = 50;

/** Runs the task; it is slower than usual, as the disk is read all the time. */
export async function watchDisk<T>(
  directories: readonly string[],
  task: () => Promise<T>,
): Promise<{ result: T; use: readonly DiskUse[] }> {
  const before = await Promise.all(directories.map(diskUse));
  const peaks = [...before];
  const look = async () => {
    const now = await Promise.all(directories.map(diskUse));
    for (const [index, bytes] of now.entries()) {
      peaks[index] = Math.max(peaks[index] ?? 0, bytes);
    }
    return now;
  };
  let done = false;
  const watching = (async () => {
    while (!done) {
      await look();
      await delay(pauseMs);
    }
  })();
  try {
    const result = await task();
    done = true;
    await watching;
    const after = await look();
    const use = before.map((bytes, index) => ({
      peakBytes: (peaks[index] ?? bytes) - bytes,
      restBytes: (after[index] ?? bytes) - bytes,
    }));
    return { result, use };
  } finally {
    done = true;
    await watching.catch(() => undefined);
  }
}

async function diskUse(directory: string): Promise<number> {
  // Files vanish while du looks, of which it complains.
  const { stdout } = await run('sh', ['-c', 'du -s -B1 "$1" 2>/dev/null || :', 'sh', directory]);
  return Number(/^\d+/m.exec(stdout)?.[0] ?? 0);
}
