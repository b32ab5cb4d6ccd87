/**
 * BuildKit tells which cache mounts a build has used: what discovery finds in Dockerfiles is compared
 * with that, and the mounts found so are saved and restored. ORACLE_COUNT and ORACLE_SEED say how
 * many Dockerfiles are generated, and from which seed on.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { discoverMounts } from '../../src/dockerfile/declared-mounts.js';
import { parseManifest } from '../../src/entry/manifest.js';
import type { CacheMount } from '../../src/mounts/cache-mount.js';
import { runnerPlatform } from '../../src/mounts/platform.js';
import { type CacheService, startCacheService } from '../support/cache-service.js';
import { inCsvQuotes } from '../support/csv.js';
import { corpusFiles, corpusImages, readCorpus } from '../support/dockerfile-corpus.js';
import {
  generateDockerfile,
  generatedBaseImage,
  staysEmpty,
} from '../support/dockerfile-generator.js';
import { prepareBuilder, type TestBuilder } from '../support/engine.js';
import { type Example, mapSome, openWorkshop, readIds, type Workshop } from '../support/oracle.js';
import { type Job, type StepResult, startJob } from '../support/runner.js';
import { execute } from '../support/silence.js';

const count = Number(process.env.ORACLE_COUNT ?? 300);
const firstSeed = Number(process.env.ORACLE_SEED ?? 0);
/** Builds and actions at a time. */
const atATime = 2;
/** Mounts to a call of an action. */
const perCall = 200;

/** What has come of an example. */
interface Outcome {
  readonly example: Example;
  readonly isGenerated: boolean;
  /** What BuildKit says, where it does not build it. */
  readonly failure: string | undefined;
  /** Of the records that the builder has for it; those of one id one after another. */
  readonly ids: readonly string[];
  readonly mounts: readonly CacheMount[];
  readonly problems: readonly string[];
}

/** Mounts that are saved together, and how an action is told of them. */
interface Batch {
  readonly key: string;
  readonly mounts: readonly CacheMount[];
  readonly inputs: Readonly<Record<string, string>>;
  /** A Dockerfile in the workspace, by its name. */
  readonly dockerfile?: Example;
}

const platform = runnerPlatform();
let directory: string;
let service: CacheService;
let builder: TestBuilder;
let workshop: Workshop;
/** What the builder takes off the mode of every cache mount. */
let umask: number;
let outcomes: Outcome[];
let recordedIds: readonly string[];
/** Those that discovery is right about; the others would only make the later tests fail, too. */
let foreseen: Outcome[];
let batches: Batch[];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'oracle-'));
  [service, builder] = await Promise.all([startCacheService(), prepareBuilder()]);
  workshop = await openWorkshop(directory, [...corpusImages, generatedBaseImage], corpusFiles);
  umask = await readUmask();
  await builder.empty();
  const generated = Array.from({ length: count }, (_, index) =>
    generateDockerfile(firstSeed + index, platform),
  );
  const corpus = await readCorpus(platform);
  const examples = [...corpus, ...generated];
  const failures = await mapSome(examples, atATime, (each) => workshop.build(each, 'writes'));
  const ids = await readIds();
  recordedIds = ids;
  outcomes = examples.map((example, index) => {
    const isGenerated = index >= corpus.length;
    const isOwn = (id: string): boolean =>
      isGenerated ? tagOf(id) === example.name : id.startsWith(`${example.name}/`);
    return {
      example,
      isGenerated,
      failure: failures[index],
      ids: ids.filter(isOwn),
      ...discover(example),
    };
  });
  foreseen = outcomes.filter(
    ({ failure, ids, mounts }) => !failure && isEqual(ids, sortedIds(mounts)),
  );
  batches = makeBatches(foreseen);
});

afterAll(async () => {
  await builder.empty();
  await Promise.all([service.close(), builder.dispose()]);
  await rm(directory, { recursive: true });
});

describe('what BuildKit does', () => {
  test('is what discovery foresees: each mount is found, and no other', () => {
    const built = outcomes.filter(({ failure }) => failure === undefined);
    const differing = built.filter((outcome) => !foreseen.includes(outcome));
    expectNone(differing, ({ ids, mounts, problems }) => {
      const found = sortedIds(mounts);
      const difference = {
        onlyBuildKit: ids.filter((id) => !found.includes(id)),
        onlyDiscovery: found.filter((id) => !ids.includes(id)),
      };
      return JSON.stringify({ ...difference, buildKit: ids, problems }, undefined, 2);
    });
    const seen = new Set(outcomes.flatMap(({ ids }) => ids));
    expect(recordedIds.filter((id) => !seen.has(id))).toEqual([]);
  });

  test('succeeds for the corpus, and nearly always for what is generated', () => {
    const failed = outcomes.filter(({ failure }) => failure !== undefined);
    expectNone(
      failed.filter(({ isGenerated }) => !isGenerated),
      ({ failure }) => failure ?? '',
    );
    expect(failed.length).toBeLessThanOrEqual(count / 10);
  });

  test('fails only where discovery has found a problem, or where nothing is built at all', () => {
    const silent = outcomes.filter(
      ({ failure, ids, problems }) =>
        failure !== undefined && problems.length === 0 && !isRefused(failure, ids),
    );
    expectNone(silent, ({ failure }) => failure ?? '');
  });
});

describe('the mounts that are found', () => {
  test('are saved with what the builds have put there, and no other is made', async () => {
    const before = await readIds();
    const results = await mapSome(batches, atATime, (batch) => act('extract', batch));
    expectWithoutTrouble(results, 'saved');
    expect(await readIds()).toEqual(before);
    const wrong = await mapSome(batches, atATime, findWrongContent);
    expect(wrong.flat()).toEqual([]);
  });

  test('come back on an emptied builder', async () => {
    await builder.empty();
    expectWithoutTrouble(
      await mapSome(batches, atATime, (batch) => act('inject', batch)),
      'cache-hit',
    );
    const again = batches.map((batch) => ({ ...batch, key: `${batch.key}-again` }));
    const saved = await mapSome(again, atATime, (batch) => act('extract', batch));
    // Of those that were empty there is none now, and extract says so.
    expect(saved.map(({ outputs }) => outputs.saved)).toEqual(again.map(() => 'true'));
    const wrong = await mapSome(again, atATime, findWrongContent);
    expect(wrong.flat()).toEqual([]);
  });
});

/** A Dockerfile that BuildKit cannot make a build of; our own steps would only repeat what it says. */
function isRefused(failure: string, ids: readonly string[]): boolean {
  return ids.length === 0 && failure.includes('failed to process');
}

function discover(example: Example): Pick<Outcome, 'mounts' | 'problems'> {
  try {
    return discoverMounts(example.text, { file: 'Dockerfile', ...example });
  } catch (error) {
    return { mounts: [], problems: [String(error)] };
  }
}

/** What each id of a generated Dockerfile holds. */
function tagOf(id: string): string | undefined {
  return /s\d+z/.exec(id)?.[0];
}

function idOf({ id, namespace = '' }: CacheMount): string {
  return `${namespace}/${id}`;
}

function sortedIds(mounts: readonly CacheMount[]): string[] {
  return mounts.map(idOf).sort();
}

function isEqual(one: readonly string[], other: readonly string[]): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Fails with the first few, each with all that is needed to see why. */
function expectNone(wrong: readonly Outcome[], explain: (outcome: Outcome) => string): void {
  if (wrong.length === 0) return;
  const texts = wrong.slice(0, 5).map((outcome) => {
    const { name, text, target, buildArgs, platforms } = outcome.example;
    const how = JSON.stringify({ target, buildArgs: [...buildArgs], platforms });
    return `===== ${name} ${how}\n${text}\n----- ${explain(outcome)}`;
  });
  throw new Error(`${wrong.length} of ${outcomes.length}:\n${texts.join('\n')}`);
}

// --- saving and restoring ---

/**
 * The corpus is left to the actions' own discovery, one Dockerfile a call; of the generated ones,
 * many mounts are named in one call, by namespace.
 */
function makeBatches(built: readonly Outcome[]): Batch[] {
  const byNamespace = new Map<string, CacheMount[]>();
  for (const { mounts } of built.filter(({ isGenerated }) => isGenerated)) {
    for (const mount of mounts) {
      const name = mount.namespace ?? '';
      byNamespace.set(name, [...(byNamespace.get(name) ?? []), mount]);
    }
  }
  return [
    ...built.filter(({ isGenerated }) => !isGenerated).map(corpusBatch),
    ...[...byNamespace].flatMap(([namespace, mounts]) =>
      split(mounts, perCall).map((part, index) => namedBatch(namespace, part, index)),
    ),
  ];
}

function corpusBatch({ example, mounts }: Outcome): Batch {
  const { name, target, buildArgs, platforms } = example;
  return {
    key: name,
    mounts,
    dockerfile: example,
    inputs: {
      file: `${name}.Dockerfile`,
      'build-args': renderBuildArgs(buildArgs),
      platforms: platforms.join(','),
      ...(target === undefined ? {} : { target }),
    },
  };
}

function namedBatch(namespace: string, mounts: readonly CacheMount[], index: number): Batch {
  const buildArgs = new Map(namespace === '' ? [] : [['BUILDKIT_CACHE_MOUNT_NS', namespace]]);
  return {
    key: `generated-${namespace}-${index}`,
    mounts,
    inputs: {
      'cache-mounts': mounts.map(renderOptions).join('\n'),
      'build-args': renderBuildArgs(buildArgs),
    },
  };
}

function renderBuildArgs(buildArgs: ReadonlyMap<string, string>): string {
  return [...buildArgs].map(([name, value]) => `${name}=${value}`).join('\n');
}

function split<T>(items: readonly T[], size: number): T[][] {
  const parts = Array.from({ length: Math.ceil(items.length / size) }, (_, index) => index * size);
  return parts.map((start) => items.slice(start, start + size));
}

/** As one would have to write it by hand. */
function renderOptions({ id, ownership }: CacheMount): string {
  const word = id.replaceAll(/[\\'"$]/g, (char) => `\\${char}`);
  const owner = ownership
    ? `,uid=${ownership.uid},gid=${ownership.gid},mode=${ownership.mode.toString(8)}`
    : '';
  return inCsvQuotes(`id=${word}`) + owner;
}

async function act(action: 'inject' | 'extract', batch: Batch): Promise<StepResult> {
  const job: Job = await startJob({ service });
  try {
    if (batch.dockerfile) {
      const path = join(job.workspace, `${batch.dockerfile.name}.Dockerfile`);
      await writeFile(path, batch.dockerfile.text);
    }
    return await job.runAction(action, { ...batch.inputs, key: batch.key });
  } finally {
    await job.dispose();
  }
}

/**
 * What discovery says of a value that a variable of the image would take the place of. The images of
 * these Dockerfiles set no such variable, which the actions cannot know.
 */
const doubt = /the image's value counts, and that cannot be looked up/;

/** Each action has said that all went well, and given no warning but such doubts. */
function expectWithoutTrouble(results: readonly StepResult[], output: string): void {
  const wrong = results.flatMap(({ outputs, annotations, log }, index) => {
    const messages = annotations.map(({ message }) => message);
    return outputs[output] === 'true' && messages.every((message) => doubt.test(message))
      ? []
      : [{ key: batches[index]?.key, annotations: messages, log }];
  });
  if (wrong.length > 0) {
    const texts = wrong.map(({ key, annotations, log }) =>
      [`===== ${key}`, ...annotations.map((text) => text.slice(0, 300)), log.slice(-1000)].join(
        '\n',
      ),
    );
    throw new Error(`${wrong.length} of ${results.length}:\n${texts.join('\n')}`);
  }
}

/** Compares the saved file of each mount with the owner and mode that the mount should have had. */
async function findWrongContent({ key, mounts }: Batch): Promise<string[]> {
  const entry = join(directory, 'entries', encodeURIComponent(key));
  await mkdir(entry, { recursive: true });
  await writeFile(join(entry, 'blob'), await service.readBlob(key));
  await execute('tar', ['--zstd', '--strip-components=1', '-xf', 'blob'], { cwd: entry });
  const manifest = parseManifest(await readFile(join(entry, 'manifest.json'), 'utf8'));
  const contents = await readSentinels(entry);
  const saved = new Map(
    manifest.mounts.map(({ mount, archive }) => [
      nameOf(mount),
      archive ? contents.get(archive.file) : 'empty',
    ]),
  );
  return mounts.flatMap((mount) => {
    const expected = expectedContent(mount);
    const actual = saved.get(nameOf(mount));
    return actual === expected ? [] : `${nameOf(mount)}: ${actual} instead of ${expected}`;
  });
}

function nameOf(mount: CacheMount): string {
  const { ownership } = mount;
  return JSON.stringify([idOf(mount), ownership?.uid, ownership?.gid, ownership?.mode]);
}

function expectedContent({ id, ownership }: CacheMount): string {
  if (staysEmpty(id)) return 'empty';
  const { uid, gid, mode } = ownership ?? { uid: 0, gid: 0, mode: 0o755 };
  return `${uid}:${gid} ${(mode & ~umask).toString(8)}`;
}

/** The engine's own BuildKit makes a mount's directory with the engine's umask; in a container, with none. */
async function readUmask(): Promise<number> {
  const mount = { id: 'umask', options: 'mode=0777' };
  const mode = await builder.run(mount, 'stat -c %a /c >/out/result');
  return 0o777 & ~Number.parseInt(mode, 8);
}

/** The files that the builds have left in the mounts, by the name of the mount's archive. */
async function readSentinels(entry: string): Promise<Map<string, string>> {
  const script =
    'for file in *.tar.zst; do printf "%s " "$file"; tar --zstd -xOf "$file" ./sentinel; done';
  const { stdout } = await execute('sh', ['-euc', script], { cwd: entry });
  return new Map(
    stdout
      .trim()
      .split('\n')
      .map((line) => {
        const [file = '', ...content] = line.split(' ');
        return [file, content.join(' ')];
      }),
  );
}
