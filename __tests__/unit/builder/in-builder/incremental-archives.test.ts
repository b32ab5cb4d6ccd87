/**
 * The scripts that run in the builder, with the machine's own sh, tar and zstd on directories here:
 * whatever happens to a mount, what was saved of it in parts comes back as it was.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  writeFile,
} from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { renderExcludeScript } from '../../../../src/builder/exclude-script.js';
import {
  packedFileName,
  restoredFileName,
  type ScriptName,
} from '../../../../src/builder/in-builder/scripts.js';
import { type MountReport, parseReports } from '../../../../src/builder/mount-report.js';
import { isIgnored, parseIgnored } from '../../../support/dockerignore.js';
import { listFiles } from '../../../support/engine.js';
import { renderMutations } from '../../../support/mutations.js';
import { chooseSeed, createRandom, type Random } from '../../../support/random.js';
import { compress, type Member, tarOf } from '../../../support/saved-entry.js';
import { placeScriptHere } from '../../../support/scripts-here.js';

const execute = promisify(execFile);
const rounds = Number(process.env.MUTATION_ROUNDS ?? 100);
const seed = chooseSeed();
const chainLength = 8;

let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'incremental-'));
  await mkdir(join(root, 'out'));
  await Promise.all([placeScriptHere('pack', root), placeScriptHere('unpack', root)]);
});

afterAll(() => rm(root, { recursive: true }));

const mount = () => join(root, 'mounts/0');

/** Runs one of the scripts as the build does, for the mount 0. */
async function runScript(name: ScriptName, argument: string): Promise<MountReport> {
  const out = join(root, 'out');
  await rm(join(out, 'report'), { force: true });
  const { stdout, stderr } = await execute('/bin/sh', [join(root, name, 'run.sh'), argument], {
    cwd: out,
  });
  const report = parseReports(await readFile(join(out, 'report'), 'utf8')).get(0);
  if (report === undefined || report.result === 'failed') throw new Error(`${stdout}${stderr}`);
  return report;
}

async function list(): Promise<string> {
  const script = listFiles.replace('cd /c', 'cd "$1"').replace('/out/result', '"$2"');
  const result = join(root, 'listing');
  await execute('sh', ['-c', script, 'sh', mount(), result]);
  return readFile(result, 'utf8');
}

async function mutate(random: Random): Promise<void> {
  await execute('sh', ['-c', `cd "$1"\n${renderMutations(random)}`, 'sh', mount()]);
}

interface Saved {
  readonly file: string;
  readonly bytes: number;
}

/** Keeps what a script has packed, behind what it builds on. */
async function keep(
  chain: readonly Saved[],
  report: MountReport,
  serial: number,
): Promise<readonly Saved[]> {
  if (report.result === 'unchanged') return chain;
  if (report.result !== 'packed' && report.result !== 'changed') throw new Error(report.result);
  const file = join(root, `saved-${serial}`);
  await rename(join(root, 'out', packedFileName(0, report.compression)), file);
  const saved = { file, bytes: report.bytes };
  return report.result === 'packed' ? [saved] : [...chain, saved];
}

/** A new builder, with what was saved in its mount. */
async function restore(chain: readonly Saved[], token: string): Promise<void> {
  for (const name of ['mounts', 'archives', 'snapshots']) {
    await rm(join(root, name), { recursive: true, force: true });
    await mkdir(join(root, name, ...(name === 'archives' ? [] : ['0'])), { recursive: true });
  }
  if (chain.length === 0) return;
  for (const [place, { file }] of chain.entries()) {
    await copyFile(file, join(root, 'archives', restoredFileName(0, place, 'zstd')));
  }
  expect(await runScript('unpack', `0:1:${token}`)).toMatchObject({ result: 'unpacked' });
}

/** What an archive would do beside the mount, and what is in the mount then; undefined: it stays empty. */
const hostile: Record<
  string,
  [members: readonly Member[], left: string | undefined, first?: readonly Member[]]
> = {
  'a file behind a link of other changes': [
    [{ name: './link/new' }],
    'first link link/new ',
    [{ name: './first' }],
  ],
  'a file behind a link': [[{ name: './link/new' }], 'link link/new '],
  'a file behind two links': [
    [
      { name: './', dump: ['Nlink'] },
      { name: './other', symlink: 'link' },
      { name: './other/new' },
    ],
    undefined,
  ],
  'a directory behind a link': [
    [{ name: './link/inner/', dump: ['Ynew'] }, { name: './link/inner/new' }],
    'link link/inner link/inner/new ',
  ],
  'a directory in place of a link, after what is in it': [
    [{ name: './link/new' }, { name: './link/', dump: ['Ynew'] }],
    'link link/new ',
  ],
  'what is removed before a link is followed': [
    [{ name: './link/new' }, { name: './', dump: ['Nother'] }, { name: './link/new' }],
    'link link/new ',
  ],
  'a hard link behind a link': [[{ name: './hard', link: './link/inner/kept' }], undefined],
  'another name for what is behind a link': [
    [{ name: './', dump: ['Rlink/inner', 'Tother', 'Nlink'] }],
    undefined,
  ],
};

test.each(Object.entries(hostile))(
  'changes go through no link of an earlier archive: %s',
  async (_, [members, left, first]) => {
    const outside = join(root, 'outside');
    await mkdir(join(outside, 'inner'), { recursive: true });
    await writeFile(join(outside, 'inner/kept'), 'kept');
    const link = [{ name: './link', symlink: outside }];
    const archives = [...(first ? [first] : []), link, members];
    const files = archives.map(async (each, place) => {
      const file = join(root, `hostile-${place}`);
      await writeFile(file, compress(tarOf(each)));
      return { file, bytes: 0 };
    });
    const restored = restore(await Promise.all(files), 'token');
    await (left === undefined ? expect(restored).rejects.toThrow() : restored);
    const { stdout } = await execute('find', ['.', '-mindepth', '1', '-printf', '%P '], {
      cwd: mount(),
    });
    expect(stdout).toBe(left ?? '');
    expect(await readdir(outside, { recursive: true })).toEqual(['inner', 'inner/kept']);
    expect(await readFile(join(outside, 'inner/kept'), 'utf8')).toBe('kept');
    await rm(outside, { recursive: true });
  },
);

test(
  `${rounds} rounds of changes come back, from the seed ${seed}`,
  async () => {
    const random = createRandom(seed);
    const counts = new Map<string, number>();
    let chain: readonly Saved[] = [];
    let saved = '';
    for (let round = 0; round < rounds; round++) {
      const token = `token-${round}`;
      await restore(chain, token);
      if (chain.length > 0)
        expect({ round, listing: await list() }).toEqual({ round, listing: saved });
      // Tar tells what is new by the time, which the kernel counts in steps of some milliseconds.
      await delay(20);
      const isRemade = random.chance(0.05);
      if (isRemade) await execute('sh', ['-c', 'rm -rf "$1" && mkdir "$1"', 'sh', mount()]);
      if (random.chance(0.9)) await mutate(random);
      await writeFile(join(mount(), 'never empty'), '', { flag: 'a' });
      saved = await list();
      const isAnother = isRemade || random.chance(0.05);
      const isEnd = chain.length >= chainLength || random.chance(0.05);
      const limits = [isEnd ? 0 : 1e9, isAnother ? 'another' : token];
      const report = await runScript('pack', ['0', '1', ...limits].join(':'));
      counts.set(report.result, (counts.get(report.result) ?? 0) + 1);
      if (isAnother) expect(report).toMatchObject({ result: 'packed', obstacle: 'snapshot' });
      if (isEnd) expect(report.result).not.toBe('changed');
      chain = await keep(chain, report, round);
    }
    expect(counts.get('changed')).toBeGreaterThan(rounds / 2);
    expect(counts.get('packed')).toBeGreaterThan(rounds / 20);
    expect(counts.get('unchanged')).toBeGreaterThan(0);
  },
  rounds * 5000,
);

/** Some match what the changes name, with exceptions. */
const excluded = ['**/d', '!**/d/f', 'b/*', '!b/d', 'e', '.h', '-x/'];

/** Takes from the mount what is excluded, as BuildKit would leave it out of a context. */
async function removeExcluded(): Promise<void> {
  const patterns = parseIgnored(excluded);
  const files = await readdir(mount(), { recursive: true, withFileTypes: true });
  // What is in a directory comes before it.
  const paths = files
    .map((file) => join(file.parentPath, file.name))
    .sort()
    .reverse();
  for (const path of paths) {
    if (!isIgnored(patterns, path.slice(mount().length + 1))) continue;
    // A directory that still holds something stays.
    await rm(path).catch(() => rmdir(path).catch(() => undefined));
  }
}

test(
  `${rounds} rounds of changes, some of which are not saved, come back without these`,
  async () => {
    const random = createRandom(seed);
    const counts = new Map<string, number>();
    const script = join(root, 'pack', 'exclude-0');
    await writeFile(script, renderExcludeScript(excluded));
    // What is not saved changes the times of directories.
    const listSaved = async () => {
      const lines = (await list())
        .split('\n')
        .map((line) => line.replace(/^(d \S+ \S+) \S+/, '$1'));
      const isDirectory = (line: string) => line.startsWith('d ');
      return [...lines.filter(isDirectory).sort(), ...lines.filter((each) => !isDirectory(each))];
    };
    let chain: readonly Saved[] = [];
    let saved: readonly string[] = [];
    for (let round = 0; round < rounds; round++) {
      const token = `token-${round}`;
      await restore(chain, `${token}::partial`);
      if (chain.length > 0)
        expect({ round, listing: await listSaved() }).toEqual({ round, listing: saved });
      await delay(20);
      const isNoise = random.chance(0.3);
      const noise = 'mkdir -p d e; echo 1 >d/new; echo 2 >e/new; [ ! -d b ] || echo 3 >b/new';
      if (isNoise) await execute('sh', ['-c', `cd "$1"; ${noise}`, 'sh', mount()]);
      else await mutate(random);
      await writeFile(join(mount(), 'never empty'), '', { flag: 'a' });
      const isEnd = chain.length >= chainLength;
      const report = await runScript('pack', `0:1:${isEnd ? 0 : 1e9}:${token}`);
      counts.set(report.result, (counts.get(report.result) ?? 0) + 1);
      await removeExcluded();
      saved = await listSaved();
      chain = await keep(chain, report, round);
    }
    await rm(script);
    expect(counts.get('changed')).toBeGreaterThan(rounds / 4);
    expect(counts.get('packed')).toBeGreaterThan(rounds / 20);
    expect(counts.get('unchanged')).toBeGreaterThan(rounds / 10);
  },
  rounds * 5000,
);

test('what is not saved is no change, though it gives directories other times', async () => {
  const script = join(root, 'pack', 'exclude-0');
  await writeFile(script, renderExcludeScript(['*.log', 'sub/tmp']));
  await restore([], 't');
  await mkdir(join(mount(), 'sub'));
  for (const name of ['kept', 'sub/kept']) await writeFile(join(mount(), name), '');
  // Tar lists a time without a fraction in fewer characters.
  await execute('touch', ['-d', '@5', mount(), join(mount(), 'sub'), join(mount(), 'kept')]);
  const chain = await keep([], await runScript('pack', '0:1'), 1);

  await restore(chain, 'u::partial');
  await delay(20);
  await mkdir(join(mount(), 'sub/tmp'));
  for (const name of ['a.log', 'sub/tmp/x']) await writeFile(join(mount(), name), 'new');
  expect(await runScript('pack', '0:1:1000000:u')).toMatchObject({ result: 'unchanged' });

  for (const change of ['chmod 700 sub', 'rm kept', 'mkdir new', 'echo >kept', 'mkdir sub/a.log']) {
    await restore(chain, 'v::partial');
    await delay(20);
    await execute('sh', ['-c', `cd "$1"; ${change}`, 'sh', mount()]);
    const { result } = await runScript('pack', '0:1:1000000:v');
    expect([change, result]).toEqual([change, 'changed']);
  }
  await rm(script);
});

test('sockets are left out, and counted: all of them, or those that are new', async () => {
  await restore([], 't');
  await writeFile(join(mount(), 'a: socket ignored'), 'a file');
  const servers: Server[] = [];
  const listen = async (name: string) => {
    const server = createServer().listen(join(mount(), name));
    servers.push(server);
    await once(server, 'listening');
  };
  try {
    await listen('s');
    await listen('t');
    const full = await runScript('pack', '0:3');
    expect(full).toMatchObject({ result: 'packed', files: 1, sockets: 2 });
    await restore(await keep([], full, 1), 'u');
    await listen('v');
    const delta = await runScript('pack', '0:3:1000000:u');
    expect(delta).toMatchObject({ result: 'changed', files: 0, sockets: 1 });
  } finally {
    for (const server of servers) server.close();
  }
  await restore([], 'x');
  await writeFile(join(mount(), 'file'), '');
  expect(await runScript('pack', '0:3')).toMatchObject({ result: 'packed', sockets: undefined });
});
