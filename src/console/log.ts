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

export interface StageTime {
  readonly title: StageTitle;
  readonly seconds: number;
}

const times: StageTime[] = [];

/** Runs one stage of the step, in a group of the log. */
export async function logStage<T>(title: StageTitle, work: () => Promise<T>): Promise<T> {
  stage = title;
  startGroup(title);
  const started = performance.now();
  try {
    return await work();
  } finally {
    times.push({ title, seconds: (performance.now() - started) / 1000 });
    endGroup();
  }
}

/** How long each stage has taken. No two of them run side by side. */
export function listStageTimes(): readonly StageTime[] {
  return times;
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
