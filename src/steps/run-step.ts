import { constants } from 'node:os';
import { fail, openConsole, print, printOutputs, warn } from '../console/console.js';
import { plural } from '../console/format.js';
import { currentStage } from '../console/log.js';
import { InputError, messageOf } from '../lib/errors.js';
import { killDescendants } from '../lib/kill-descendants.js';
import type { Surroundings } from '../lib/surroundings.js';
import { createWorkDirectory, removeWorkDirectory } from '../lib/work-directory.js';

/** The time that a step has for its work. */
export interface StepTime {
  /** When it is over, in milliseconds since the epoch. */
  readonly deadline: number;
  /** Tells that nobody waits for the work any more. */
  readonly ended: AbortSignal;
}

/**
 * Gives up on work that takes longer than a number of minutes, and ends all processes that it has
 * started. What the work does in this process goes on until the process ends.
 *
 * @param work is told when its time is over
 * @throws Error that names the stage in which the work was
 */
export async function withinTime<T>(
  minutes: number,
  work: (time: StepTime) => Promise<T>,
): Promise<T> {
  const deadline = Date.now() + minutes * 60_000;
  const ended = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const end = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new Error(
          `Stopped after ${plural(minutes, 'minute')} (input timeout) in the stage "${currentStage()}".`,
        ),
      );
      ended.abort();
      killDescendants();
    }, minutes * 60_000);
  });
  try {
    return await Promise.race([work({ deadline, ended: ended.signal }), end]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Runs one action from its first line to the end of the process, and turns what it throws into the
 * step's result. Wrong input fails the step. Everything else is a warning, because a cache must not
 * break a build. That holds even if no file can be written: therefore the story itself asks for the
 * work directory, after it has read its inputs. The directory is removed, however the step ends.
 *
 * @param onFailure gets the message in both cases
 */
export async function runStep(
  surroundings: Surroundings,
  story: (makeWorkDirectory: () => string) => Promise<void>,
  onFailure: (message: string) => void = () => undefined,
): Promise<never> {
  openConsole(surroundings);
  let workDirectory: string | undefined;
  const clear = () => {
    if (workDirectory === undefined) return;
    try {
      removeWorkDirectory(workDirectory);
    } catch (error) {
      warn(`The directory ${workDirectory} cannot be removed: ${messageOf(error)}`);
    }
  };
  // A cancelled job sends SIGINT and, some seconds later, SIGTERM.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      print(`Received ${signal}: stopping.`);
      killDescendants();
      clear();
      printOutputs();
      process.exit(128 + constants.signals[signal]);
    });
  }
  try {
    await story(() => {
      workDirectory = createWorkDirectory(surroundings);
      return workDirectory;
    });
  } catch (error) {
    onFailure(messageOf(error));
    if (error instanceof InputError) fail(error.message);
    else warn(messageOf(error));
  } finally {
    // Work that was begun early may still be running.
    killDescendants();
    clear();
    printOutputs();
  }
  // Idle connections of the cache client would keep the process for seconds.
  return process.exit();
}
