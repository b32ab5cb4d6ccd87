/** Our steps, run as the runner does and observed from the outside. */
import { type CacheService, startCacheService } from '../../../__tests__/support/cache-service.js';
import { type Job, type StepResult, startJob } from '../../../__tests__/support/runner.js';
import { type LogLine, type Phase, splitPhases, storePhases } from './phases.js';
import { timed } from './timed.js';

export type ActionName = 'inject' | 'extract';

export interface MeasuredStep {
  readonly result: StepResult;
  /** From starting node to the end of its process. */
  readonly seconds: number;
  /** Within the groups of the log in which the cache client works. */
  readonly storeSeconds: number;
  readonly phases: ReadonlyMap<Phase, number>;
}

/** Data sets of gigabytes on slow disks. */
const silenceMs = 60 * 60 * 1000;

export async function measureStep(
  job: Job,
  action: ActionName,
  inputs: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
): Promise<MeasuredStep> {
  const lines: LogLine[] = [];
  let start = 0;
  const onLog = (text: string) =>
    lines.push({ seconds: (performance.now() - start) / 1000, text: text.trimEnd() });
  const { result, seconds } = await timed(() => {
    start = performance.now();
    return job.runAction(action, inputs, { onLog, silenceMs, env });
  });
  const phases = splitPhases(lines, seconds);
  const storeSeconds = storePhases.reduce((sum, phase) => sum + (phases.get(phase) ?? 0), 0);
  return { result, seconds, storeSeconds, phases };
}

/** A job on a runner of its own, for as long as the task takes. */
export async function inNewJob<T>(
  service: CacheService,
  task: (job: Job) => Promise<T>,
  /** Where the actions are, by default this project. */
  actions?: string,
): Promise<T> {
  const job = await startJob({ service, ...(actions === undefined ? {} : { actions }) });
  try {
    return await task(job);
  } finally {
    await job.dispose();
  }
}

/** A cache service that measures for how long its answers let the client wait. */
export async function withCacheService<T>(
  task: (service: CacheService, takeAnswerSeconds: () => number) => Promise<T>,
): Promise<T> {
  let answerSeconds = 0;
  const service = await startCacheService({
    intercept: (_, response) => {
      const start = performance.now();
      response.once('finish', () => {
        answerSeconds += (performance.now() - start) / 1000;
      });
      return false;
    },
  });
  const take = () => {
    const taken = answerSeconds;
    answerSeconds = 0;
    return taken;
  };
  try {
    return await task(service, take);
  } finally {
    await service.close();
  }
}

/** The step has done what is to be measured, without a word of warning. */
export function checkStep(
  { exitCode, outputs, annotations, log }: StepResult,
  expected: Readonly<Record<string, string>>,
): void {
  const isExpected = Object.entries(expected).every(([name, value]) => outputs[name] === value);
  if (exitCode !== 0 || !isExpected || annotations.length > 0) {
    throw new Error(
      `The step did not give ${JSON.stringify(expected)} but ${JSON.stringify(outputs)}:\n${log}`,
    );
  }
}
