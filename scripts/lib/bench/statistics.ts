export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  if (low === undefined || high === undefined) throw new Error('The median of nothing');
  return (low + high) / 2;
}

/** Picks the item whose value is the median, or of an even number the lower of the middle two. */
export function medianItem<T>(items: readonly T[], value: (item: T) => number): T {
  const sorted = [...items].sort((a, b) => value(a) - value(b));
  const item = sorted[Math.ceil(sorted.length / 2) - 1];
  if (item === undefined) throw new Error('The median of nothing');
  return item;
}

/** Seconds by what they were measured of, one value a run. */
export class Samples<Name extends string> {
  private readonly values = new Map<Name, number[]>();

  add(name: Name, seconds: number): void {
    const values = this.values.get(name) ?? [];
    values.push(seconds);
    this.values.set(name, values);
  }

  /** @returns undefined where there are none */
  median(name: Name): number | undefined {
    const values = this.values.get(name);
    return values && median(values);
  }

  toJSON(): Record<string, readonly number[]> {
    return Object.fromEntries(this.values);
  }
}
