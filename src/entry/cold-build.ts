import { invalid, number, object, string } from '../lib/json.js';

/** A build that has found nothing in its cache mounts. */
export interface ColdBuild {
  readonly seconds: number;
  /** The day, such as 2026-11-20. */
  readonly date: string;
  /** A hash of the names that tell the build from others. */
  readonly build: string;
}

/** @throws Error that names the fault */
export function parseColdBuild(value: unknown): ColdBuild {
  const { seconds, date, build } = object(value, 'coldBuild');
  if (number(seconds, 'seconds') < 0) throw invalid('seconds', seconds);
  if (!/^\d{4}-\d\d-\d\d$/.test(string(date, 'date'))) throw invalid('date', date);
  return {
    seconds: number(seconds, 'seconds'),
    date: string(date, 'date'),
    build: string(build, 'build'),
  };
}
