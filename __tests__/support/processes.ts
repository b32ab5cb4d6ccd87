import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

/** The command lines of processes that have the text in theirs, or in their environment. */
export async function processesWith(text: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const processes = await Promise.all(
    pids.map(async (pid) => {
      const read = (name: string) => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '');
      return { command: await read('cmdline'), environment: await read('environ') };
    }),
  );
  return processes
    .filter(({ command, environment }) => command.includes(text) || environment.includes(text))
    .map(({ command }) => command.replaceAll('\0', ' '));
}

/** Those that are still there after a while: what was killed is gone when init has seen it. */
export async function lastingProcessesWith(text: string): Promise<string[]> {
  for (let attempt = 0; attempt < 100; attempt++) {
    if ((await processesWith(text)).length === 0) return [];
    await delay(100);
  }
  return processesWith(text);
}
