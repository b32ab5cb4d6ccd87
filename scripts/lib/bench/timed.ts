import { settleDisk } from './settle.js';

export interface Timed<T> {
  readonly result: T;
  readonly seconds: number;
}

/** Times a task that begins when the disk has done all that came before. */
export async function timed<T>(task: () => Promise<T>): Promise<Timed<T>> {
  await settleDisk();
  const start = performance.now();
  const result = await task();
  return { result, seconds: (performance.now() - start) / 1000 };
}
