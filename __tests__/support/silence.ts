/** Limits that a slow machine cannot reach: whatever goes on may take its time, as long as it is heard of. */
import { type ChildProcess, type ExecFileOptions, execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** More than ten times as long as any command of the tests is silent on two busy cores. */
export const longestSilenceMs = 10 * 60_000;

export interface Watch {
  heard(): void;
  stop(): void;
}

/** @param onSilence called once, when nothing has been heard for so long */
export function watchForSilence(onSilence: () => void, limitMs = longestSilenceMs): Watch {
  const timer = setTimeout(onSilence, limitMs);
  return { heard: () => timer.refresh(), stop: () => clearTimeout(timer) };
}

/** Runs a program to its end, as `promisify(execFile)` does, and kills it if it is silent for too long. */
export async function execute(
  file: string,
  args: readonly string[],
  options: ExecFileOptions = {},
  limitMs = longestSilenceMs,
): Promise<{ stdout: string; stderr: string }> {
  const running = promisify(execFile)(file, args, { ...options, encoding: 'utf8' });
  const { child }: { child: ChildProcess } = running;
  let isSilent = false;
  const watch = watchForSilence(() => {
    isSilent = true;
    child.kill('SIGKILL');
  }, limitMs);
  child.stdout?.on('data', watch.heard);
  child.stderr?.on('data', watch.heard);
  try {
    return await running;
  } catch (error) {
    if (!isSilent) throw error;
    const command = [file, ...args].join(' ');
    throw new Error(`Killed, as it said nothing for ${limitMs} ms: ${command}`, { cause: error });
  } finally {
    watch.stop();
  }
}
