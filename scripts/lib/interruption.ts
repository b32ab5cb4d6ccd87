/**
 * What a Ctrl-C does to a script: what runs is ended and nothing begins any more, so that all that
 * was made can be removed.
 */
import { messageOf } from '../../src/lib/errors.js';
import { killDescendants } from '../../src/lib/kill-descendants.js';

const interruption = new AbortController();

export function interrupt(): void {
  interruption.abort(new Error('interrupted'));
  killDescendants();
}

/** To be called before anything begins. */
export function throwIfInterrupted(): void {
  interruption.signal.throwIfAborted();
}

/** Does the work of a script, and says what ended it where that was too early. */
export async function perform(name: string, work: () => Promise<void>): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  try {
    await work();
  } catch (error) {
    const { aborted } = interruption.signal;
    console.error(`\nThe ${name} ${aborted ? 'was interrupted.' : `failed: ${messageOf(error)}`}`);
    process.exitCode = aborted ? 130 : 1;
  }
}
