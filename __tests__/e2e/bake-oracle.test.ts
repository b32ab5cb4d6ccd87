/**
 * BuildKit tells which cache mounts the builds of generated bake and Compose files have used: what
 * inject finds in these files is compared with that. BAKE_ORACLE_COUNT and ORACLE_SEED say how many
 * are generated, and from which seed on.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { bake, writeFiles } from '../support/bake.js';
import { type BakeExample, generateBake } from '../support/bake-generator.js';
import { type CacheService, startCacheService } from '../support/cache-service.js';
import { prepareBuilder, type TestBuilder } from '../support/engine.js';
import { mapSome, readIds } from '../support/oracle.js';
import { startJob } from '../support/runner.js';

const count = Number(process.env.BAKE_ORACLE_COUNT ?? 48);
const firstSeed = Number(process.env.ORACLE_SEED ?? 0);
/** Builds and actions at a time. */
const atATime = 2;

/** What has come of an example. */
interface Outcome {
  readonly example: BakeExample;
  /** What buildx says, where it does not build it. */
  readonly failure: string | undefined;
  readonly found: readonly string[];
  readonly annotations: readonly string[];
}

let directory: string;
let service: CacheService;
let builder: TestBuilder;
let outcomes: Outcome[];
let ids: readonly string[];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bake-oracle-'));
  [service, builder] = await Promise.all([startCacheService(), prepareBuilder()]);
  await builder.empty();
  await builder.copyTools(join(directory, 'tools'));
  const examples = Array.from({ length: count }, (_, index) => generateBake(firstSeed + index));
  outcomes = await mapSome(examples, atATime, play);
  ids = await readIds();
});

afterAll(async () => {
  await builder.empty();
  await Promise.all([service.close(), builder.dispose()]);
  await rm(directory, { recursive: true });
});

/** Asks inject for the mounts, and builds. */
async function play(example: BakeExample): Promise<Outcome> {
  const { bakeFiles, targets, set, env } = example;
  const tools = JSON.stringify(join(directory, 'tools'));
  const files = Object.entries(example.files).map(([path, text]) => [
    path,
    text.replaceAll('"tools-directory"', () => tools),
  ]);
  const job = await startJob({ service, env });
  try {
    await writeFiles(job.workspace, Object.fromEntries(files) as Record<string, string>);
    const { log, annotations } = await job.runAction('inject', {
      key: example.tag,
      'bake-files': bakeFiles.join('\n'),
      'bake-targets': targets.join(','),
      'bake-set': set.join('\n'),
    });
    const args = [
      ...bakeFiles.map((file) => `--file=${file}`),
      ...set.map((each) => `--set=${each}`),
      // The directory with the programs is not below the one that bake runs in.
      '--allow=fs.read=*',
      ...targets,
    ];
    const failure = await bake(job.workspace, args, env).then(
      () => undefined,
      (error: unknown) => String((error as { stderr?: string }).stderr ?? error),
    );
    const messages = annotations.filter(({ level }) => level !== 'notice');
    return {
      example,
      failure,
      found: readMounts(log),
      annotations: messages.map(({ message }) => message),
    };
  } finally {
    await job.dispose();
  }
}

/** The ids that inject lists. */
function readMounts(log: string): string[] {
  const [, lines = ''] = /Cache mounts \(\d+\)\n([\s\S]*?)::endgroup::/.exec(log) ?? [];
  const mounts = lines.split('\n').filter((line) => line !== '');
  return mounts.map((line) => `/${line.replace(/ \(uid=.*\)$/, '')}`).sort();
}

const idsOf = ({ example }: Outcome) => ids.filter((id) => id.startsWith(`/${example.tag}`));

const isBuilt = ({ failure }: Outcome) => failure === undefined;

function describeOutcome(outcome: Outcome): string {
  const { example, failure, found, annotations } = outcome;
  const { tag, files, bakeFiles, targets, set, env } = example;
  const texts = Object.entries(files).map(([path, text]) => `--- ${path}\n${text}`);
  const facts = { tag, bakeFiles, targets, set, env, found, ids: idsOf(outcome), annotations };
  return [JSON.stringify(facts, undefined, 2), failure ?? '', ...texts].join('\n');
}

describe('of generated bake and Compose files', () => {
  test('each mount is found, and no other', () => {
    const differing = outcomes.filter(
      (outcome) => isBuilt(outcome) && idsOf(outcome).join('\n') !== outcome.found.join('\n'),
    );
    expect(differing.map(describeOutcome).join('\n\n')).toBe('');
  });

  test('nearly all can be built', () => {
    const failed = outcomes.filter((outcome) => !isBuilt(outcome));
    if (failed.length > count / 10) {
      expect(failed.map(describeOutcome).join('\n\n')).toBe('');
    }
    expect(failed.length).toBeLessThanOrEqual(count / 10);
  });

  test('a good many have mounts, several targets and each of the formats', () => {
    const built = outcomes.filter(isBuilt);
    const having = (pattern: RegExp) =>
      built.filter(({ example }) => Object.keys(example.files).some((name) => pattern.test(name)));
    for (const pattern of [/compose\.ya?ml$/, /bake\.hcl$/, /bake\.json$/, /override/]) {
      expect(having(pattern).length).toBeGreaterThan(count / 20);
    }
    expect(built.filter((outcome) => idsOf(outcome).length > 1).length).toBeGreaterThan(count / 2);
  });
});
