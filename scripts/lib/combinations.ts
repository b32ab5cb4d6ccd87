/** Prints what the tests combine. COMBINATIONS=all is for all, and not only for each pair. */
import { combinations } from '../../__tests__/support/combinations.js';
import { formatTable } from '../../src/console/format.js';

const all = combinations(true);
const chosen = combinations(process.env.COMBINATIONS === 'all');
const [first] = chosen;
if (first) {
  const rows = [Object.keys(first), ...chosen.map((row) => Object.values(row))];
  for (const line of formatTable(rows)) console.log(line);
}
console.log(`${chosen.length} of ${all.length} combinations, with every pair of two choices.`);
