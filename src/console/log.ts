import { endGroup, print, startGroup } from './console.js';

/**
 * The stages of the steps. The benchmark finds them in the log, and tells from them where the time
 * goes.
 */
export type StageTitle =
  | 'Look up the key'
  | 'Restore from the cache'
  | `Restore what it builds on: ${string}`
  | 'Unpack into the builder'
  | 'Pack out of the builder'
  | 'Look for an entry that inject could not restore'
  | 'Restore it from the cache'
  | 'Save to the cache';

let stage: StageTitle | 'reading the inputs' = 'reading the inputs';

/** Runs one stage of the step, in a group of the log. */
export async function logStage<T>(title: StageTitle, work: () => Promise<T>): Promise<T> {
  stage = title;
  startGroup(title);
  try {
    return await work();
  } finally {
    endGroup();
  }
}

/** The stage that the step has reached. */
export function currentStage(): string {
  return stage;
}

/** Prints a group of the log that is no stage. */
export function logGroup(title: string, lines: readonly string[]): void {
  startGroup(title);
  for (const line of lines) {
    print(line);
  }
  endGroup();
}
