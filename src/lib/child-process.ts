import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { getExecOutput } from '@actions/exec';
import type { Surroundings } from './surroundings.js';

/** The output and the exit code of a program that has ended. */
export interface ProgramOutput {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramLimits {
  /** Milliseconds after which its end is not waited for any more. */
  readonly timeout?: number;
  /** Its end is not waited for any more once this is aborted. */
  readonly signal?: AbortSignal;
}

/**
 * Runs a program to its end, in the surroundings that the step began in. If it is not waited for
 * any more, it runs on, and `killDescendants` ends it with the step. It cannot be ended earlier,
 * because @actions/exec keeps its process id to itself.
 *
 * @throws Error if it cannot be started, has taken too long, or is not to be waited for any more;
 *   an exit code is no error
 */
export async function runProgram(
  { cwd, env }: Surroundings,
  program: string,
  args: readonly string[],
  { timeout, signal }: ProgramLimits = {},
): Promise<ProgramOutput> {
  signal?.throwIfAborted();
  const options = { cwd, env: { ...env }, ignoreReturnCode: true, silent: true };
  const end = getExecOutput(program, [...args], options);
  let timer: NodeJS.Timeout | undefined;
  let stop = (): void => undefined;
  const limit = new Promise<never>((_, reject) => {
    stop = () => reject(signal?.reason);
    signal?.addEventListener('abort', stop);
    if (timeout === undefined) return;
    const message = `no answer within ${timeout / 1000} seconds`;
    timer = setTimeout(() => reject(new Error(message)), timeout);
  });
  try {
    return await Promise.race([end, limit]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
}

export interface StartOptions extends ProgramLimits {
  /** By default that of the surroundings. */
  readonly cwd?: string;
  /** Variables to add to those of the surroundings, or to replace; undefined removes one. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Starts a program that is told later, by its standard input, what to do.
 *
 * @returns the process; it is ended if it takes too long, or if `signal` is aborted, which is then
 *   an error
 */
export function startProgram(
  surroundings: Surroundings,
  program: string,
  args: readonly string[],
  { cwd = surroundings.cwd, env, timeout, signal }: StartOptions = {},
): ChildProcessWithoutNullStreams {
  const limits = {
    ...(timeout === undefined ? {} : { timeout }),
    ...(signal === undefined ? {} : { signal }),
  };
  return spawn(program, args, { cwd, env: { ...surroundings.env, ...env }, ...limits });
}
