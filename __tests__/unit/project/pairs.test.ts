import { expect, test } from '@jest/globals';
import { combinations } from '../../support/combinations.js';
import { everyRow, pairsOf, pairwise } from '../../support/pairs.js';

const pairsIn = (rows: readonly Readonly<Record<string, string>>[]) =>
  [...new Set(rows.flatMap(pairsOf))].sort();

test('a row is each combination of values that is possible', () => {
  const columns = { a: ['1', '2'], b: ['x', 'y'] } as const;
  expect(everyRow(columns, ({ a, b }) => !(a === '2' && b === 'x'))).toEqual([
    { a: '1', b: 'x' },
    { a: '1', b: 'y' },
    { a: '2', b: 'y' },
  ]);
});

test('a few rows have every pair', () => {
  const columns = { a: ['1', '2', '3'], b: ['x', 'y'], c: ['p', 'q', 'r'], d: ['m', 'n'] };
  const rows = everyRow(columns);
  const chosen = pairwise(rows);
  expect(pairsIn(chosen)).toEqual(pairsIn(rows));
  // No fewer can have those of two columns of three values.
  expect(chosen.length).toBeGreaterThanOrEqual(9);
  expect(chosen.length).toBeLessThanOrEqual(12);
});

test('the tests combine every pair that the long run has', () => {
  const all = combinations(true);
  const chosen = combinations(false);
  expect(pairsIn(chosen)).toEqual(pairsIn(all));
  expect(all).toEqual(expect.arrayContaining(chosen));
  expect(chosen.length).toBeLessThan(all.length / 2);
});
