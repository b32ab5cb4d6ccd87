/** Damaged and hostile entries: a warning with the remedy, nothing outside, mounts whole or empty. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from '@jest/globals';
import type { Job, StepResult } from '../support/runner.js';
import {
  archiveOf,
  changeEntry,
  changeManifest,
  compress,
  factsOf,
  flipByte,
  type ManifestText,
  type Member,
  storedDirectoryName,
  tarOf,
} from '../support/saved-entry.js';
import { leftovers, useScenario } from '../support/scenario.js';

const scenario = useScenario();
const mounts = 'm\nn';
let version: string;
let blob: Buffer;

beforeAll(async () => {
  await scenario.builder.empty();
  await scenario.builder.run({ id: 'm' }, 'echo 1 >/c/file');
  await scenario.builder.run(
    { id: 'n' },
    'dd if=/dev/urandom of=/c/big bs=1k count=20 2>/dev/null',
  );
  await scenario.save(mounts, 'k');
  version = scenario.service.entries()[0]?.version ?? '';
  blob = await scenario.service.readBlob('k');
  scenario.service.reset();
});

/** Text that would be a command, if it came to the beginning of a line, or to any place. */
const hostile =
  'x\n::error::injected\n::set-output name=saved::true\r\n::warning::injected ##[error]injected $(id) `id` "\'\\';

/** No line of the log is a command that the project did not mean. */
function expectNoCommands(name: string, { log, annotations }: StepResult): void {
  const lines = log.split(/[\r\n]/);
  const commands = lines.filter((line) =>
    /^\s*::(?!group::|endgroup::|warning::|debug::|add-mask::)/.test(line),
  );
  const old = lines.filter((line) => !/^\s*::/.test(line) && line.includes('##['));
  expect([name, commands, old]).toEqual([name, [], []]);
  for (const { message } of annotations) expect(message).not.toMatch(/^injected/);
}

/** The one warning names the entry and how to delete it; nothing is in the way of a later step. */
function expectDamaged(name: string, key: string, words: RegExp, result: StepResult): void {
  expect([name, result.exitCode, result.outputs]).toEqual([
    name,
    0,
    {
      ...{ 'cache-hit': 'false', 'cache-primary-key': key, 'cache-matched-key': key },
      ...{ 'restored-count': '0', 'restored-bytes': '0' },
    },
  ]);
  const levels = new Set(result.annotations.map(({ level }) => level));
  const { message } = result.annotations.at(-1) ?? {};
  expect([name, [...levels]]).toEqual([name, ['warning']]);
  expect(`${name}: ${message}`).toMatch(words);
  expect(message).toContain(`gh cache delete '${key}'`);
  expectNoCommands(name, result);
}

/** With the whole entry under each key, the same job on the same builder is warm. */
async function expectHealed(job: Job, keys: readonly string[]): Promise<void> {
  expect((await leftovers(job)).filter((name) => !name.endsWith('-state'))).toEqual([]);
  for (const [index, key] of keys.entries()) {
    await scenario.service.writeBlob(key, blob);
    const result = await job.runAction('inject', { 'cache-mounts': mounts, key });
    expect(result).toMatchObject({ outputs: { 'cache-hit': 'true' }, annotations: [] });
    if (index === 0) expect(result.log).toMatch(/^restored +m [\s\S]*^restored +n /m);
  }
  expect(await scenario.builder.run({ id: 'm' }, 'cat /c/file >/out/result')).toBe('1\n');
}

const outerRows: Record<string, (whole: Buffer) => Buffer> = {
  empty: () => Buffer.alloc(0),
  'cut after a byte': (whole) => whole.subarray(0, 1),
  'cut in its header': (whole) => whole.subarray(0, 9),
  'cut in the middle': (whole) => whole.subarray(0, whole.length / 2),
  'cut before its last byte': (whole) => whole.subarray(0, -1),
  'with a flipped byte at its beginning': (whole) => flipByte(whole, 1),
  'with a flipped byte in the middle': (whole) => flipByte(whole, whole.length / 2),
  'with a flipped byte at its end': (whole) => flipByte(whole, whole.length - 1),
  'no archive': () => Buffer.from('<html>The service has moved.</html>'),
  'an archive of another kind': (whole) => gzipSync(whole),
};

/** What is wrong inside the entry, and the words for it. */
const innerRows: Record<string, [RegExp, (directory: string) => void | Promise<void>]> = {
  'not ours': [
    /cannot be used: .*manifest\.json/,
    (directory) => rm(join(directory, 'manifest.json')),
  ],
  'an empty manifest': [
    /cannot be used: [\s\S]*JSON/,
    (directory) => truncate(join(directory, 'manifest.json'), 0),
  ],
  'a manifest with a flipped byte': [
    /cannot be used: [\s\S]*JSON/,
    async (directory) => {
      const file = join(directory, 'manifest.json');
      await writeFile(file, flipByte(await readFile(file), 0));
    },
  ],
  'a manifest that never ends': [
    /cannot be used: .*manifest\.json is no file/,
    async (directory) => {
      await rm(join(directory, 'manifest.json'));
      execFileSync('mkfifo', [join(directory, 'manifest.json')]);
    },
  ],
  'a manifest that is elsewhere': [
    /cannot be used: .*manifest\.json is no file/,
    async (directory) => {
      await rm(join(directory, 'manifest.json'));
      await symlink('/etc/hostname', join(directory, 'manifest.json'));
    },
  ],
  'a newer format': [
    /its format is 2, and this version reads format 1/,
    changed((manifest) => {
      manifest.format = 2;
    }),
  ],
  'a format that is hostile': [
    /its format is "x/,
    changed((manifest) => {
      manifest.format = hostile;
    }),
  ],
  'two mounts with one archive': [
    /two of its mounts have one archive/,
    changed(({ mounts: [m, n] }) => {
      if (m && n?.archive) m.archive = n.archive;
    }),
  ],
  'a file name that leads out': [
    /field "file" is not valid/,
    withFile('../00000000000000000000000000000000.tar.zst'),
  ],
  'an absolute file name': [/field "file" is not valid/, withFile('/etc/passwd')],
  'a file name of two lines': [
    /field "file" is not valid/,
    withFile('00000000000000000000000000000000.tar.zst\n1.tar.zst'),
  ],
  'a file name with quotes': [/field "file" is not valid/, withFile('0".tar.zst')],
  'a file name with a command': [/field "file" is not valid/, withFile('$(id).tar.zst')],
  'a hostile file name': [/field "file" is not valid/, withFile(hostile)],
  'a hostile compression': [
    /field "compression" is not valid/,
    changed(({ mounts: [m] }) => {
      if (m?.archive) m.archive.compression = hostile;
    }),
  ],
  'a size that is none': [
    /field "bytes" is not valid/,
    changed(({ mounts: [m] }) => {
      if (m?.archive) m.archive.bytes = '1:$(id)';
    }),
  ],
  'an id that is no text': [
    /field "id" is not valid/,
    changed(({ mounts: [m] }) => {
      if (m) m.mount.id = { hostile };
    }),
  ],
};

function changed(change: (manifest: ManifestText) => void) {
  return (directory: string) => changeManifest(directory, change);
}

function withFile(file: string) {
  return changed(({ mounts: [m] }) => {
    if (m?.archive) m.archive.file = file;
  });
}

describe('an entry that cannot be read', () => {
  test('is named with the remedy, whatever is wrong, and its key can be saved anew', async () => {
    const job = await scenario.newJob();
    const rows = [
      ...Object.entries(outerRows).map(
        ([name, change]) =>
          [name, /could not be restored \(the log says why\)/, change(blob)] as const,
      ),
      ...(await Promise.all(
        Object.entries(innerRows).map(
          async ([name, [words, change]]) =>
            [name, words, await changeEntry(blob, change)] as const,
        ),
      )),
    ];
    const keys = rows.map((_, index) => `it's-${index}`);
    await Promise.all(
      rows.map(async ([name, words, data], index) => {
        const key = keys[index] ?? '';
        await scenario.service.add({ key, version }, data);
        const inputs = { 'cache-mounts': mounts, key, timeout: '0.8' };
        const result = await job.runAction('inject', inputs);
        const remedy = key.replaceAll("'", "'\\''");
        expectDamaged(name, key, words, {
          ...result,
          annotations: result.annotations.map((each) => ({
            ...each,
            message: each.message.replaceAll(remedy, key),
          })),
        });
        expect(result.annotations.at(-1)?.message).toContain(`gh cache delete '${remedy}'`);
        expect(await scenario.service.readBlob(key)).toEqual(data);
      }),
    );
    expect(scenario.service.keys().sort()).toEqual([...keys].sort());

    // As the warning says: the key is deleted, and the next run saves it.
    const [first = '', ...others] = keys;
    scenario.service.remove(first);
    await scenario.builder.run({ id: 'm' }, 'echo 1 >/c/file');
    await scenario.builder.run({ id: 'n' }, 'echo 1 >/c/file');
    const anew = await scenario.runAction('extract', {
      'cache-mounts': mounts,
      key: first,
    });
    expect(anew).toMatchObject({ outputs: { saved: 'true' }, annotations: [] });
    await scenario.builder.empty();
    await expectHealed(job, [first, ...others.slice(0, 2)]);
  });

  test('cannot write anywhere else on the runner', async () => {
    const { directory } = scenario;
    const stored = storedDirectoryName;
    const outside = join(directory, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'kept'), 'kept');
    const rows: Record<string, Member[]> = {
      up: [{ name: '../up' }, { name: `${stored}/../../../up` }],
      absolute: [{ name: join(outside, 'kept') }, { name: join(outside, 'new') }],
      'through a link': [{ name: `${stored}/a`, symlink: outside }, { name: `${stored}/a/kept` }],
      'in place of the directory': [{ name: stored, symlink: outside }, { name: `${stored}/kept` }],
      'to a hard link': [
        { name: `${stored}/manifest.json`, link: join(outside, 'kept') },
        { name: `${stored}/a`, link: '../../outside/kept' },
      ],
    };
    const job = await scenario.newJob();
    for (const [key, members] of Object.entries(rows)) {
      await scenario.service.add({ key, version }, compress(tarOf(members)));
      const result = await job.runAction('inject', { 'cache-mounts': mounts, key });
      expectDamaged(key, key, /cannot be used|could not be restored/, result);
    }
    expect(await leftovers(job)).toEqual(['buildkit-cache-mounts-state']);
    expect(await readdir(outside)).toEqual(['kept']);
    expect(await readFile(join(outside, 'kept'), 'utf8')).toBe('kept');
    expect((await stat(join(outside, 'kept'))).nlink).toBe(1);
    expect((await readdir(dirname(job.runnerTemp))).sort()).toEqual(['_temp', 'workspace']);
    await expectHealed(job, Object.keys(rows).slice(0, 1));
  });

  test('under another key is no reason to delete it', async () => {
    await scenario.service.add({ key: 'k-1', version }, blob.subarray(0, 99));
    const job = await scenario.newJob();
    const inputs = { 'cache-mounts': mounts, key: 'k-2', 'restore-keys': 'k-' };
    const result = await job.runAction('inject', inputs);
    expect(result).toMatchObject({ exitCode: 0, outputs: { 'cache-matched-key': 'k-1' } });
    expect(result.annotations.at(-1)?.message).toMatch(/k-1 could not be restored .* cold\.$/);
    // Half of it, and the damaged entry is not in the way.
    await scenario.builder.run({ id: 'm' }, 'echo 1 >/c/file');
    expect((await job.runAction('extract', {})).outputs.saved).toBe('true');
    expect((await scenario.injectAnew({ 'cache-mounts': 'm', key: 'k-2' })).outputs).toMatchObject({
      'cache-hit': 'true',
    });
  });
});

interface MountRow {
  /** The archive; by default the whole one of the mount n. */
  readonly data?: (whole: Buffer) => Buffer;
  /** Makes something else of its name. */
  readonly make?: (path: string) => void | Promise<void>;
  /** What the manifest says of it, other than the truth. */
  readonly facts?: Record<string, unknown>;
  /** The warning; without it the mount is filled with just these files. */
  readonly words?: RegExp;
  readonly files?: readonly string[];
}

const unpackingFailed = /was left empty: unpacking failed.*gh cache delete 'k'$/;
const hoax = (members: readonly Member[]) => () => compress(tarOf(members));

const loud = 'x\n::error::injected\n##[error]injected';

const mountRows: Record<string, MountRow> = {
  whole: { files: ['big'] },
  'cut-off': {
    data: (whole) => whole.subarray(0, 999),
    facts: {},
    words: /has 999 bytes instead of/,
  },
  'cut-to-nothing': { data: () => Buffer.alloc(0), facts: {}, words: /has 0 bytes instead of/ },
  'flipped-begin': {
    data: (whole) => flipByte(whole, 0),
    facts: {},
    words: /damaged \(checksum\)/,
  },
  'flipped-end': {
    data: (whole) => flipByte(whole, whole.length - 1),
    facts: {},
    words: /damaged \(checksum\)/,
  },
  'size-lies': { facts: { compressedBytes: 7 }, words: /bytes instead of 7/ },
  'too-large': { facts: { bytes: 1e15 }, words: /needs 1000 TB, and the builder's disk has/ },
  'too-small': { facts: { bytes: 1 }, files: ['big'] },
  pipe: {
    data: () => Buffer.alloc(0),
    make: (path) => void execFileSync('mkfifo', [path]),
    words: /its archive is no file/,
  },
  elsewhere: {
    data: () => readFileSync('/etc/passwd'),
    make: (path) => symlink('/etc/passwd', path),
    words: /its archive is no file/,
  },
  // The checksum of all that follow is right.
  empty: { data: () => Buffer.alloc(0), words: unpackingFailed },
  cut: { data: (whole) => whole.subarray(0, 999), words: unpackingFailed },
  'cut-late': { data: (whole) => whole.subarray(0, -1), words: unpackingFailed },
  flipped: { data: (whole) => flipByte(whole, whole.length / 2), words: unpackingFailed },
  garbage: { data: () => Buffer.from('garbage'), words: unpackingFailed },
  gzip: { data: (whole) => gzipSync(whole), words: unpackingFailed },
  'half-a-tar': {
    data: () => compress(tarOf([{ name: './a' }, { name: './b', content: 'b' }]).subarray(0, 1100)),
    words: unpackingFailed,
  },
  parent: {
    data: hoax([{ name: '../../../archives/x' }, { name: './a' }]),
    words: unpackingFailed,
  },
  absolute: {
    data: hoax([{ name: '/mounts/0/x' }, { name: './a' }]),
    files: ['a', 'mounts', 'mounts/0', 'mounts/0/x'],
  },
  'through-a-link': {
    data: hoax([{ name: './a', symlink: '/' }, { name: './a/out/x' }]),
    words: unpackingFailed,
  },
  'through-a-link-up': {
    data: hoax([{ name: './a', symlink: '../..' }, { name: './a/x' }]),
    words: unpackingFailed,
  },
  'hard-link': {
    data: hoax([{ name: './a', link: '/buildkit-cache-mounts/run.sh' }]),
    words: unpackingFailed,
  },
  'hard-link-up': {
    data: hoax([{ name: './a', link: '../../../../buildkit-cache-mounts/run.sh' }]),
    words: unpackingFailed,
  },
  loud: { data: hoax([{ name: `./${loud}`, link: `/${loud}` }]), words: unpackingFailed },
  reserved: {
    data: hoax([
      { name: './.buildkit-cache-mounts.complete/' },
      { name: './.buildkit-cache-mounts.complete/cleared' },
      { name: './.buildkit-cache-mounts/' },
      { name: './.buildkit-cache-mounts/x' },
      { name: './a' },
    ]),
    files: ['a'],
  },
};

/** An entry with a mount for each row. */
async function entryOf(rows: Record<string, MountRow>): Promise<Buffer> {
  return changeEntry(blob, async (directory) => {
    const whole = readFileSync(await archiveOf(directory, 'n'));
    for (const name of await readdir(directory)) await rm(join(directory, name));
    const saved = Object.entries(rows).map(
      ([id, { data = (it: Buffer) => it, facts, make }], index) => {
        const content = data(whole);
        const said = facts ? { ...factsOf(whole, index), ...facts } : factsOf(content, index);
        return { content, make, entry: { mount: { id }, archive: said } };
      },
    );
    for (const { content, make, entry } of saved) {
      const file = join(directory, String(entry.archive.file));
      if (make) await make(file);
      else await writeFile(file, content);
    }
    const unnamed = { mount: { id: hostile, from: hostile, source: hostile, namespace: hostile } };
    const manifest = { format: 1, mounts: [...saved.map(({ entry }) => entry), unnamed] };
    await writeFile(join(directory, 'manifest.json'), JSON.stringify(manifest));
  });
}

/** The files in the mounts, as ID/NAME. */
async function listAll(others: readonly string[]): Promise<string[]> {
  const list = await scenario.builder.run({ others }, 'cd /all; find * -mindepth 1 >/out/result');
  return list
    .split('\n')
    .filter((path) => path !== '')
    .sort();
}

describe('an archive of one mount', () => {
  test('fills that mount whole, or leaves it empty, and touches nothing else', async () => {
    const data = await entryOf(mountRows);
    await scenario.service.add({ key: 'k', version }, data);
    const ids = Object.keys(mountRows);
    const job = await scenario.newJob();
    const inputs = { 'cache-mounts': ids.join('\n'), key: 'k' };
    const result = await job.runAction('inject', inputs);
    expect(result).toMatchObject({
      exitCode: 0,
      outputs: { 'cache-hit': 'false', 'cache-matched-key': 'k' },
    });
    expectNoCommands('inject', result);
    expect(result.log).toContain('Saved, but not named any more: ');
    const messageOf = (id: string) =>
      result.annotations.find(({ message }) => message.startsWith(`The cache mount ${id} was`))
        ?.message ?? '';
    for (const [id, { words }] of Object.entries(mountRows)) {
      expect(`${id}: ${messageOf(id)}`).toMatch(words ?? /: $/);
    }
    const expected = Object.entries(mountRows).flatMap(([id, { files = [] }]) =>
      files.map((file) => `${id}/${file}`),
    );
    expect(await listAll(ids)).toEqual(expected.sort());
    expect(await scenario.service.readBlob('k')).toEqual(data);

    // Once it is deleted, what the build makes of the mounts is saved, and comes back.
    scenario.service.remove('k');
    const build =
      'cd /all; for id in *; do find $id -mindepth 1 | grep -q . || echo >$id/built; done';
    await scenario.builder.run({ others: ids }, build);
    const extracted = await job.runAction('extract', {});
    expect(extracted).toMatchObject({ outputs: { saved: 'true' }, annotations: [] });
    expect(await leftovers(job)).toEqual([]);
    const before = await listAll(ids);
    const next = await scenario.injectAnew(inputs);
    expect(next).toMatchObject({ outputs: { 'cache-hit': 'true' }, annotations: [] });
    expect(await listAll(ids)).toEqual(before);
  });
});
