import { endGroup, print, startGroup } from './console.js';

/** The stages of the steps. The benchmark finds them in the log, to tell where the time goes. */
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

/** Where the step stands. */
export function currentStage(): string {
  return stage;
}

/** A group of the log that stands by itself. */
export function logGroup(title: string, lines: readonly string[]): void {
  startGroup(title);
  for (const line of lines) {
    print(line);
  }
  endGroup();
}
