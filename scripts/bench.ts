/** Measures the actions. Run by scripts/bench, which provides a builder that may be emptied. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatTable } from '../src/console/format.js';
import { type DataSet, madeUpSets, realNames, realSets } from './lib/bench/data-sets.js';
import { describeMachine } from './lib/bench/machine.js';
import { measureCommits } from './lib/bench/measure-commits.js';
import { measureFixed } from './lib/bench/measure-fixed.js';
import { measureIncremental } from './lib/bench/measure-incremental.js';
import {
  measureRegistry,
  type RegistryResult,
  whyNoRegistry,
} from './lib/bench/measure-registry.js';
import { measureSet, type SetResult } from './lib/bench/measure-set.js';
import { prepareMounts } from './lib/bench/mount.js';
import { type Options, readOptions } from './lib/bench/options.js';
import { type BenchResult, renderMarkdown, tablesOf } from './lib/bench/report.js';
import type { Bench } from './lib/bench/subject.js';
import { perform } from './lib/interruption.js';

const otherSets = ['incremental', 'registry', 'commits', 'fixed'];

/** What is made up serves to tell how the time grows. */
const usualSets = [...realNames, 'go-build', 'go-build-x0.1', 'go-build-x4', ...otherSets];

await perform('benchmark', async () => {
  // Without scripts/bench, it would be the user's own builder that is emptied.
  if (!process.env.TEST_BUILDER) throw new Error('run it by scripts/bench');
  const options = readOptions(process.argv.slice(2));
  await publish(await measureAll(options), options);
});

async function measureAll(options: Options): Promise<BenchResult> {
  const { runs, scale, other, link } = options;
  const madeUp = madeUpSets(scale);
  const sets = [...(await realSets(process.env.REAL_CACHES ?? '')), ...madeUp];
  const known = [...realNames, ...madeUp.map(({ name }) => name), ...otherSets];
  const names = options.sets ?? usualSets;
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new Error(`There is no set ${unknown.join(', ')}, only ${known.join(', ')}.`);
  }
  const workDirectory = await mkdtemp(join(tmpdir(), 'bench-'));
  try {
    const mounts = await prepareMounts(workDirectory);
    const say = (text: string) => console.error(text);
    const bench: Bench = { workDirectory, mounts, runs, other, link, say };
    try {
      const machine = await describeMachine(workDirectory);
      const results: SetResult[] = [];
      for (const set of sets.filter(({ name }) => names.includes(name))) {
        results.push(await measureSet(bench, set));
      }
      const [changing] = madeUp;
      const incremental =
        changing && names.includes('incremental')
          ? await measureIncremental(bench, changing)
          : undefined;
      const registry =
        changing && names.includes('registry') ? await tryRegistry(bench, changing) : undefined;
      const commits = names.includes('commits')
        ? await measureCommits(bench, process.env.GO_IMAGE)
        : undefined;
      const fixed = names.includes('fixed') ? await measureFixed(bench) : undefined;
      return { machine, runs, scale, sets: results, incremental, registry, commits, fixed };
    } finally {
      await mounts.dispose();
    }
  } finally {
    await rm(workDirectory, { recursive: true, force: true });
  }
}

async function tryRegistry(bench: Bench, set: DataSet): Promise<RegistryResult | undefined> {
  const why = whyNoRegistry();
  if (why === undefined) return measureRegistry(bench, set, process.env.GO_IMAGE);
  bench.say(`registry: not measured, because ${why}`);
  return undefined;
}

async function publish(result: BenchResult, { json, markdown }: Options): Promise<void> {
  const tables = tablesOf(result);
  for (const { title, rows } of tables) {
    console.log(`\n${title}\n`);
    for (const line of formatTable(rows)) console.log(`  ${line}`);
  }
  if (json !== undefined) await writeFile(json, `${JSON.stringify(result, undefined, 2)}\n`);
  if (markdown !== undefined) await writeFile(markdown, renderMarkdown(tables));
}
