import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { TestBuilder } from './engine.js';
import { lastingProcessesWith, processesWith } from './processes.js';

export interface Holder {
  /** Cancels the build that holds the mount. */
  release(): Promise<void>;
}

/**
 * Starts a build that has a mount to itself (`sharing=locked`) until it is released. It has the
 * mount when this returns.
 *
 * @param script what it does with the mount first
 */
export async function holdMount(
  builder: TestBuilder,
  id: string,
  script = 'echo held >>/c/held',
): Promise<Holder> {
  const cancellation = new AbortController();
  const line = `${script}; sleep 600`;
  const { ended, mark } = await startLocked(builder, id, line, cancellation.signal);
  return {
    release: async () => {
      cancellation.abort();
      await ended.catch(() => undefined);
      const left = await lastingProcessesWith(mark);
      if (left.length > 0) throw new Error(`A cancelled build goes on: ${left.join('; ')}`);
    },
  };
}

/**
 * Starts a build that has a mount to itself (`sharing=locked`) while it runs a script. It has the
 * mount when this returns.
 *
 * @param signal cancels it
 * @returns `mark` is a text that only the commands of its RUN have in them
 */
export async function startLocked(
  builder: TestBuilder,
  id: string,
  script: string,
  signal?: AbortSignal,
): Promise<{ readonly ended: Promise<string>; readonly mark: string }> {
  const mark = `: ${randomUUID()}`;
  const ended = builder.run({ id, options: 'sharing=locked' }, `${mark}; ${script}`, [], signal);
  let end: string | undefined;
  void ended.catch(String).then((result) => {
    end = `The build that is to hold the mount has ended: ${result}`;
  });
  // A RUN is started when it has its mounts.
  while ((await processesWith(mark)).length === 0) {
    if (end !== undefined) throw new Error(end);
    await delay(50);
  }
  return { ended, mark };
}
