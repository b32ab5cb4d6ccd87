/**
 * The script that packs, with the machine's own programs on directories here, and a real listener: an
 * archive goes straight to that, or if it cannot, into a file, without anybody's help.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { which } from '@actions/io';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  packedFileName,
  requiredPrograms,
  streamPrograms,
} from '../../../../src/builder/in-builder/scripts.js';
import { type MountReport, parseReports } from '../../../../src/builder/mount-report.js';
import {
  type Listener,
  type Offer,
  startListener,
} from '../../../../src/builder/stream/listener.js';
import {
  type Endpoint,
  type PlannedArchive,
  type PlannedLimits,
  renderPlan,
} from '../../../../src/builder/stream/protocol.js';
import { pathOf, pathWith } from '../../../support/scenario.js';
import { placeScriptHere } from '../../../support/scripts-here.js';
import { someday, stepBetween } from '../../../support/stream.js';

const execute = promisify(execFile);

let root: string;
let listener: Listener;
let offer: Offer;
const toEnd: (() => unknown)[] = [];

const inRoot = (...names: string[]) => join(root, ...names);

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'straight-'));
  for (const name of ['out', 'plans', 'mounts/0', 'snapshots/0', 'archives']) {
    await mkdir(inRoot(name), { recursive: true });
  }
  for (const name of ['pack', 'unpack'] as const) await placeScriptHere(name, root);
  await writeFile(inRoot('mounts/0/first'), 'first');
  listener = await startListener(['127.0.0.1']);
  offer = listener.offerToTake(inRoot('received'));
  toEnd.push(listener.close);
});

afterEach(async () => {
  for (const end of toEnd.splice(0)) await end();
  await rm(root, { recursive: true });
});

function own(): Endpoint {
  const [endpoint] = listener.endpoints;
  if (endpoint === undefined) throw new Error('no endpoint');
  return endpoint;
}

async function plan(endpoint = own()): Promise<void> {
  await writeFile(inRoot('plans/0'), renderPlan([endpoint], [offer], { until: someday }));
}

async function run(
  script: 'pack' | 'unpack',
  argument: string,
  env = process.env,
): Promise<MountReport | undefined> {
  await rm(inRoot('out/report'), { force: true });
  await execute('/bin/sh', [inRoot(script, 'run.sh'), argument], { cwd: inRoot('out'), env });
  return parseReports(await readFile(inRoot('out/report'), 'utf8')).get(0);
}

async function listArchive(file: string): Promise<string[]> {
  const { stdout } = await execute('tar', ['-t', '-I', 'zstd', '-f', file]);
  return stdout.trim().split('\n').sort();
}

const packedFile = () => inRoot('out', packedFileName(0, 'zstd'));

/** What a build leaves behind, but for what tells of it. */
const leftovers = async () =>
  (await readdir(inRoot('out'))).filter((name) => name !== 'report' && name !== 'step');

async function expectStraight(report: MountReport | undefined, names: string[]): Promise<void> {
  const received = await readFile(inRoot('received'));
  const sha256 = createHash('sha256').update(received).digest('hex');
  expect(report).toMatchObject({ sha256 });
  expect(report).not.toHaveProperty('detour');
  expect(await offer.transfer).toEqual({ kind: 'complete', bytes: received.length, sha256 });
  expect(await listArchive(inRoot('received'))).toEqual(names);
  expect(await leftovers()).toEqual([]);
}

async function expectFile(report: MountReport | undefined, names: string[]): Promise<void> {
  expect(report).not.toHaveProperty('sha256');
  expect(await listArchive(packedFile())).toEqual(names);
  expect(await leftovers()).toEqual([packedFileName(0, 'zstd')]);
}

test('an archive goes straight to the step', async () => {
  await plan();
  const report = await run('pack', '0:3');
  expect(report).toMatchObject({ result: 'packed', compression: 'zstd', files: 1 });
  await expectStraight(report, ['./', './first']);
});

test('the programs that are brought for it are enough', async () => {
  await plan();
  const PATH = await pathOf(root, [...requiredPrograms, 'zstd', ...streamPrograms]);
  await expectStraight(await run('pack', '0:3', { PATH }), ['./', './first']);
});

test('without a plan, or with an empty one, there is only the file', async () => {
  const report = await run('pack', '0:3');
  expect(report).toMatchObject({ result: 'packed', files: 1 });
  expect(report).not.toHaveProperty('detour');
  await expectFile(report, ['./', './first']);
  await writeFile(inRoot('plans/0'), '');
  expect(await run('pack', '0:3')).not.toHaveProperty('detour');
});

test('if nobody answers, it goes into a file, and the next mount does not try again', async () => {
  await plan();
  await listener.close();
  const report = await run('pack', '0:3');
  expect(report).toMatchObject({ result: 'packed', files: 1, detour: 'unreachable' });
  await expectFile(report, ['./', './first']);
  listener = await startListener(['127.0.0.1']);
  toEnd.push(listener.close);
  offer = listener.offerToTake(inRoot('received'));
  await plan();
  expect(await run('pack', '0:3')).toMatchObject({ result: 'packed', detour: 'unreachable' });
});

test('if a program is missing, it goes into a file', async () => {
  await plan();
  const programs = [
    ...requiredPrograms,
    'zstd',
    ...streamPrograms.filter((name) => name !== 'timeout'),
  ];
  const report = await run('pack', '0:3', { PATH: await pathOf(root, programs) });
  expect(report).toMatchObject({ result: 'packed', files: 1, detour: 'programs' });
  await expectFile(report, ['./', './first']);
});

test.each([
  ['timeout', 'case $* in *--foreground*) exit 1 ;; esac'],
  ['tee', 'case $* in *--output-error*) exit 1 ;; esac'],
  ['head', 'cat |'],
])("if %s is like BusyBox's, it goes into a file", async (name, line) => {
  const PATH = await pathWith(root, name, `${line}\n${await which(name, true)} "$@"`);
  await plan();
  const report = await run('pack', '0:3', { PATH });
  expect(report).toMatchObject({ result: 'packed', files: 1, detour: 'programs' });
  await expectFile(report, ['./', './first']);
});

/** Inject has filled the mount, and taken a snapshot. */
async function fill(): Promise<void> {
  await run('pack', '0:3');
  await rm(inRoot('mounts/0/first'));
  await copyFile(packedFile(), inRoot('archives/0.00.tar.zst'));
  await rm(packedFile());
  expect(await run('unpack', '0:1:id')).toMatchObject({ result: 'unpacked' });
}

/** And the build has left a file. */
async function fillAndChange(): Promise<void> {
  await fill();
  // Tar tells what is new by the time, which the kernel counts in steps of some milliseconds.
  await new Promise((resolve) => setTimeout(resolve, 20));
  await writeFile(inRoot('mounts/0/second'), 'second');
}

test('changes go straight too', async () => {
  await fillAndChange();
  await plan();
  const report = await run('pack', '0:3:1000000:id');
  expect(report).toMatchObject({ result: 'changed', files: 1 });
  await expectStraight(report, ['./', './second']);
});

test('if nothing has changed, the step is not looked for', async () => {
  await fill();
  await plan();
  expect(await run('pack', '0:3:1000000:id')).toMatchObject({ result: 'unchanged' });
  expect(await readdir(inRoot('out'))).toEqual(['report']);
});

function isArchive(chunk: Buffer): boolean {
  return chunk.includes('\x28\xb5\x2f\xfd', 0, 'latin1');
}

/** One who lets a RUN greet, and cuts the connection when the archive comes. */
async function planWithCut(): Promise<void> {
  const between = await stepBetween(own(), {
    onData: (from, chunk, cut) => {
      if (from === 'run' && isArchive(chunk)) cut();
      return chunk;
    },
  });
  toEnd.push(between.close);
  await plan(between.endpoint);
}

test('if the connection is cut, it is packed again, into a file', async () => {
  await planWithCut();
  const report = await run('pack', '0:3');
  expect(report).toMatchObject({ result: 'packed', files: 1, detour: 'cut' });
  await expectFile(report, ['./', './first']);
  expect(await offer.transfer).toMatchObject({ kind: 'failed' });
});

/** One who lets a RUN greet, and then takes, or gives, nothing more. */
async function planWithSilence(
  archives: readonly PlannedArchive[] = [offer],
  limits: PlannedLimits = { silence: 1, until: someday },
): Promise<void> {
  const between = await stepBetween(own(), {
    onData: (_, chunk) => (isArchive(chunk) ? Buffer.alloc(0) : chunk),
    pause: (_, chunk) => (isArchive(chunk) ? Number.POSITIVE_INFINITY : 0),
  });
  toEnd.push(between.close);
  await writeFile(inRoot('plans/0'), renderPlan([between.endpoint], archives, limits));
}

test('if the other side takes nothing more, it is packed again, into a file', async () => {
  await planWithSilence();
  const report = await run('pack', '0:3');
  expect(report).toMatchObject({ result: 'packed', files: 1, detour: 'cut' });
  await expectFile(report, ['./', './first']);
});

test('so it is with changes, which are still that', async () => {
  await fillAndChange();
  await planWithCut();
  const report = await run('pack', '0:3:1000000:id');
  expect(report).toMatchObject({ result: 'changed', files: 1, detour: 'cut' });
  await expectFile(report, ['./', './second']);
});

test('if the changes were cut off, and fit into no file, all of the mount still goes straight', async () => {
  await fillAndChange();
  let greetings = 0;
  const between = await stepBetween(own(), {
    onData: (from, chunk, cut) => {
      // The first one looks for the step.
      if (from === 'run' && chunk.includes('pack') && ++greetings === 2) cut();
      return chunk;
    },
  });
  toEnd.push(between.close);
  await plan(between.endpoint);
  await symlink('/dev/full', packedFile());
  const report = await run('pack', '0:3:1000000:id');
  expect(greetings).toBe(3);
  await rm(packedFile());
  expect(report).toMatchObject({ result: 'packed', files: 2 });
  await expectStraight(report, ['./', './first', './second']);
});

/** An archive with all of the mount, and a delta; in the build are only their names. */
async function planToUnpack(endpoint = own()): Promise<readonly PlannedArchive[]> {
  await fillAndChange();
  const files = [inRoot('first.tar.zst'), inRoot('second.tar.zst')] as const;
  await copyFile(inRoot('archives/0.00.tar.zst'), files[0]);
  expect(await run('pack', '0:3:1000000:id')).toMatchObject({ result: 'changed' });
  await copyFile(packedFile(), files[1]);
  await rm(packedFile());
  const archives = await Promise.all(
    files.map(async (path, place) => {
      await writeFile(inRoot(`archives/0.0${place}.tar.zst`), '');
      const content = { compressedBytes: (await stat(path)).size };
      return { ...listener.offerToGive(path), content };
    }),
  );
  await writeFile(inRoot('plans/0'), renderPlan([endpoint], archives, { until: someday }));
  await emptyMount();
  return archives;
}

async function emptyMount(): Promise<void> {
  await rm(inRoot('mounts/0'), { recursive: true });
  await mkdir(inRoot('mounts/0'));
}

async function expectUnpackedFromFiles(): Promise<void> {
  await rm(inRoot('plans/0'));
  for (const [place, name] of ['first', 'second'].entries()) {
    await copyFile(inRoot(`${name}.tar.zst`), inRoot(`archives/0.0${place}.tar.zst`));
  }
  expect(await run('unpack', '0:1')).toMatchObject({ result: 'unpacked' });
  expect((await readdir(inRoot('mounts/0'))).sort()).toEqual(['first', 'second']);
}

test('an archive and its deltas come straight from the step', async () => {
  await planToUnpack();
  expect(await run('unpack', '0:1:id')).toMatchObject({ result: 'unpacked' });
  expect((await readdir(inRoot('mounts/0'))).sort()).toEqual(['first', 'second']);
  expect(await readFile(inRoot('mounts/0/second'), 'utf8')).toBe('second');
  expect(await leftovers()).toEqual([]);
});

test('if nobody answers, nothing is unpacked, until the archives come as files', async () => {
  await planToUnpack();
  await listener.close();
  const detour = { result: 'detour', detour: 'unreachable' };
  expect(await run('unpack', '0:1')).toMatchObject(detour);
  expect(await readdir(inRoot('mounts/0'))).toEqual([]);
  await expectUnpackedFromFiles();
});

/** The whole content of an archive is small: it comes in one piece, after the greeting. */
test.each<[name: string, archive: number, damage: (chunk: Buffer) => Buffer | undefined]>([
  ['nothing of the archive', 1, () => undefined],
  ['nothing of the delta', 2, () => undefined],
  ['a part of the archive', 1, (chunk) => chunk.subarray(0, 20)],
  ['another archive', 1, (chunk) => Buffer.alloc(chunk.length)],
  ['another delta', 2, (chunk) => Buffer.concat([chunk.subarray(0, -1), Buffer.alloc(1)])],
])('if %s comes, the mount stays as it is', async (_, archive, damage) => {
  let carried = 0;
  const between = await stepBetween(own(), {
    onData: (from, chunk, cut) => {
      if (from !== 'listener' || !isArchive(chunk)) return chunk;
      carried++;
      if (carried !== archive) return chunk;
      const passed = damage(chunk);
      if (passed === undefined) cut();
      return passed ?? chunk;
    },
  });
  toEnd.push(between.close);
  await planToUnpack(between.endpoint);
  expect(await run('unpack', '0:1')).toMatchObject({ result: 'detour', detour: 'cut' });
  expect(carried).toBe(archive);
  expect(await readdir(inRoot('mounts/0'))).toEqual([]);
  await expectUnpackedFromFiles();
});

test('if the step gives nothing more, the mount stays as it is', async () => {
  await planWithSilence(await planToUnpack());
  expect(await run('unpack', '0:1')).toMatchObject({ result: 'detour', detour: 'cut' });
  expect(await readdir(inRoot('mounts/0'))).toEqual([]);
  await expectUnpackedFromFiles();
});

test('if the time for it is over, nothing stays in the mount, and files can be unpacked', async () => {
  const archives = await planToUnpack();
  await planWithSilence(archives, { silence: 1000, until: Math.floor(Date.now() / 1000) + 3 });
  expect(await run('unpack', '0:1')).toMatchObject({ result: 'detour', detour: 'cut' });
  expect(await readdir(inRoot('mounts/0'))).toEqual([]);
  await expectUnpackedFromFiles();
});

test('a mount that holds something keeps it, and fetches nothing', async () => {
  await planToUnpack();
  await writeFile(inRoot('mounts/0/newer'), '');
  expect(await run('unpack', '0:1')).toMatchObject({ result: 'warm' });
  expect(await readdir(inRoot('mounts/0'))).toEqual(['newer']);
});

test('an archive of which there is only the name, and no plan, is a detour', async () => {
  await rm(inRoot('mounts/0/first'));
  await writeFile(inRoot('archives/0.00.tar.zst'), '');
  for (const text of [undefined, '']) {
    if (text !== undefined) await writeFile(inRoot('plans/0'), text);
    expect(await run('unpack', '0:1')).toMatchObject({ result: 'detour', detour: 'unreachable' });
    expect(await readdir(inRoot('mounts/0'))).toEqual([]);
  }
});
