/**
 * Rows of a table that has every pair of values of any two columns in at least one row: a fault that
 * two settings make together is found in a fraction of the rows that all combinations would be.
 */

/** The columns, each with its values. */
export type Columns = Readonly<Record<string, readonly string[]>>;

export type Row<C extends Columns> = { readonly [Name in keyof C]: C[Name][number] };

/** All combinations that are possible. */
export function everyRow<C extends Columns>(
  columns: C,
  isPossible: (row: Row<C>) => boolean = () => true,
): Row<C>[] {
  let rows: Readonly<Record<string, string>>[] = [{}];
  for (const [name, values] of Object.entries(columns)) {
    rows = rows.flatMap((row) => values.map((value) => ({ ...row, [name]: value })));
  }
  return (rows as Row<C>[]).filter(isPossible);
}

/** Some of these rows that have, together, all pairs that they have. The same rows give the same. */
export function pairwise<R extends Readonly<Record<string, string>>>(rows: readonly R[]): R[] {
  const open = new Set(rows.flatMap(pairsOf));
  const chosen: R[] = [];
  while (open.size > 0) {
    const [best] = rows
      .map((row) => ({ row, pairs: pairsOf(row).filter((pair) => open.has(pair)) }))
      .sort((one, other) => other.pairs.length - one.pairs.length);
    if (best === undefined) break;
    chosen.push(best.row);
    for (const pair of best.pairs) open.delete(pair);
  }
  return chosen;
}

/** Each pair of two cells, as text. */
export function pairsOf(row: Readonly<Record<string, string>>): string[] {
  const cells = Object.entries(row).map(([name, value]) => `${name}=${value}`);
  return cells.flatMap((one, index) => cells.slice(index + 1).map((other) => `${one} ${other}`));
}
