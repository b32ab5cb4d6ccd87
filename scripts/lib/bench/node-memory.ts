/** The peak memory of a Node process, told by the process itself. */
import { readFile } from 'node:fs/promises';

const variable = 'BENCH_PEAK_MEMORY_FILE';

const preload = `
  import { writeFileSync } from 'node:fs';
  process.on('exit', () => {
    writeFileSync(process.env.${variable}, String(process.resourceUsage().maxRSS));
  });
`;

/** The environment of a process that writes its peak memory to the file as it ends. */
export function peakMemoryEnv(file: string): Record<string, string> {
  const url = `data:text/javascript,${encodeURIComponent(preload)}`;
  return { NODE_OPTIONS: `--import=${url}`, [variable]: file };
}

export async function readPeakMemory(file: string): Promise<number> {
  return Number(await readFile(file, 'utf8')) * 1024;
}
