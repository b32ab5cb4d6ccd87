import { endGroup, print, startGroup } from './console.js';

let stage = 'reading the inputs';

/** Runs one stage of the step, in a group of the log. */
export async function logStage<T>(title: string, work: () => Promise<T>): Promise<T> {
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
