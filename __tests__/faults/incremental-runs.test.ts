/**
 * Runs of CI one after another, at random: whatever they change, whichever entry they find, and
 * whatever is gone of what that builds on, a mount comes back as it was, or not at all.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { listFiles } from '../support/engine.js';
import { renderMutations } from '../support/mutations.js';
import { chooseSeed, createRandom, type Random } from '../support/random.js';
import type { StepResult } from '../support/runner.js';
import { useScenario } from '../support/scenario.js';

const scenario = useScenario();
const rounds = Number(process.env.RUN_ROUNDS ?? 12);
const seed = chooseSeed();

/** What changes small files are small beside. */
const fill = 'dd if=/dev/urandom of=/c/large bs=1M count=2 2>/dev/null';

/** By key, what the mount held when it was saved. */
const saved = new Map<string, string>();

/** The listing of a mount that has just been made. */
const emptyListing = /^d \S+ \S+ \S+ \.\nlinks\n/;

/** What the last run has left in the builder's mount. */
let left: string | undefined;

/** Changes the mount, and lists it before and after that. */
async function build(script: string): Promise<[before: string, after: string]> {
  const lists = `${listFiles}
mv /out/result /out/before; cd /c
${script}${listFiles}
{ cat /out/before; echo =====; cat /out/result; } >/out/all; mv /out/all /out/result`;
  const [before = '', after = ''] = (await scenario.builder.run({ id: 'm' }, lists)).split(
    '=====\n',
  );
  return [before, after];
}

/** What a healthy run finds in the mount; undefined: nothing. */
function expectedContent(inject: StepResult): string | undefined {
  if (left !== undefined) return left;
  const matched = inject.outputs['cache-matched-key'] ?? '';
  const [warning] = inject.annotations;
  if (warning === undefined) return saved.get(matched);
  const [, base = ''] =
    /it builds on the entry (.*), which could not be/.exec(warning.message) ?? [];
  for (const key of base.split(', ')) {
    expect(key).toMatch(/^k-/);
    expect(scenario.service.savedKeys()).not.toContain(key);
  }
  return undefined;
}

function findMatch(key: string, restoreKeys: string): string | undefined {
  const keys = scenario.service.savedKeys();
  return keys.includes(key) ? key : restoreKeys === '' ? undefined : keys.at(-1);
}

/** One run; returns what extract did with the mount. */
async function playRun(random: Random, round: number): Promise<string> {
  const keys = scenario.service.savedKeys();
  if (keys.length > 1 && random.chance(0.15)) scenario.service.remove(random.pick(keys));
  if (random.chance(0.9)) {
    await scenario.builder.empty();
    left = undefined;
  }
  const job = await scenario.newJob();
  const key = keys.length > 0 && random.chance(0.1) ? random.pick(keys) : `k-${round}`;
  const restoreKeys = random.chance(0.9) ? 'k-' : '';
  const incremental = String(random.chance(0.9));
  const inputs = { 'cache-mounts': 'm', key, 'restore-keys': restoreKeys, incremental };
  const match = findMatch(key, restoreKeys);
  const inject = await job.runAction('inject', inputs);
  expect(inject).toMatchObject({ exitCode: 0 });
  expect(inject.outputs['cache-matched-key']).toBe(match);
  const expected = expectedContent(inject);
  const isRemade = random.chance(0.1);
  if (isRemade) await scenario.builder.dropMounts();
  await delay(20); // tar tells what is new by the time, which the kernel counts in steps
  const found = isRemade ? undefined : expected;
  const start = found === undefined ? fill : ':';
  const [before, after] = await build(`${start}\n${renderMutations(random)}`);
  if (found === undefined) expect(before).toMatch(emptyListing);
  else expect(before).toBe(found);
  left = after;
  const isSaved = scenario.service.savedKeys().includes(key);
  const limits = { 'incremental-count': random.pick(['1', '3', '10']) };
  const extract = await job.runAction('extract', { incremental, ...limits });
  expect(extract).toMatchObject({ exitCode: 0, outputs: { saved: String(!isSaved) } });
  if (!isSaved) saved.set(key, after);
  return /^(packed|changes packed|unchanged)\b/m.exec(extract.log)?.[1] ?? 'nothing';
}

test(
  `${rounds} runs, from the seed ${seed}`,
  async () => {
    const random = createRandom(seed);
    const counts = new Map<string, number>();
    const isEnough = () =>
      (counts.get('packed') ?? 0) > 0 && (counts.get('changes packed') ?? 0) > rounds / 5;
    // Chance may give too few of a kind at first.
    for (let round = 0; round < rounds || (round < 3 * rounds && !isEnough()); round++) {
      const done = await playRun(random, round).catch((error: unknown) => {
        throw new Error(`In run ${round}, from the seed ${seed}`, { cause: error });
      });
      counts.set(done, (counts.get(done) ?? 0) + 1);
    }
    expect(counts.get('packed')).toBeGreaterThan(0);
    expect(counts.get('changes packed')).toBeGreaterThan(rounds / 5);
  },
  // Ten times what they take at most.
  3 * rounds * 100_000,
);
