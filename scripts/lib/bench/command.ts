/** Commands that the benchmark runs beside the actions. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { throwIfInterrupted } from '../interruption.js';

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

export interface CommandOutput {
  readonly stdout: string;
  readonly stderr: string;
}

/** @throws Error with the end of what it has printed where the command fails */
export async function run(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandOutput> {
  throwIfInterrupted();
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output.stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    output.stderr += chunk;
  });
  const [code] = await once(child, 'close');
  throwIfInterrupted();
  if (code !== 0) {
    const end = `${output.stdout}\n${output.stderr}`.trim().slice(-2000);
    throw new Error(`${command} ${args.join(' ')} ended with code ${code}:\n${end}`);
  }
  return output;
}

/** Runs a script in which the failure of any part of a pipe counts. */
export async function runShell(script: string, args: readonly string[]): Promise<CommandOutput> {
  return run('bash', ['-euo', 'pipefail', '-c', script, 'bash', ...args]);
}
