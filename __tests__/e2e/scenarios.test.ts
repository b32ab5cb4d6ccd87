import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { copyPrograms, findPrograms } from '../../src/builder/runner-programs.js';
import { readSurroundings } from '../../src/lib/surroundings.js';
import { inCsvQuotes } from '../support/csv.js';
import { docker, listImages, listMount } from '../support/engine.js';
import { startLocked } from '../support/hold.js';
import { readIds } from '../support/oracle.js';
import { lastingProcessesWith, processesWith } from '../support/processes.js';
import {
  archiveOf,
  changeEntry,
  changeManifest,
  factsOf,
  flipByte,
} from '../support/saved-entry.js';
import { leftovers, pathWith, pathWithout, useScenario } from '../support/scenario.js';

const scenario = useScenario();

// A docker-container builder does not see the engine's images; it would pull them.
const withLocalImages = process.env.TEST_BUILDER === 'docker' ? describe : describe.skip;

const everyAttribute = String.raw`
umask 022
cd /c
mkdir -p plain/deep/er .hidden/x empty sticky readonly locked
echo hello >plain/file; echo nested >plain/deep/er/file; echo dot >.dotfile; echo x >.hidden/x/y
: >"..two dots"; : >-dash; : >"sp ace"; : >'new
line'; : >'back\slash'; : >'quo"te'; : >ünïcödé-日本; : >"$(printf 'bad\377utf8')"
chown 1234:5678 plain/file; chown 4000000000:1 plain/deep
chmod 4755 plain/file; chmod 2755 plain/deep; chmod 1777 sticky
echo owned >readonly/file; chmod 0444 readonly/file; chmod 0555 readonly
echo secret >locked/file; chmod 000 locked/file locked
ln -s plain/file link; ln -s /nowhere/at/all dangling; ln plain/file hard; ln plain/file plain/hard2
mkfifo fifo
truncate -s 20M sparse; printf data | dd of=sparse bs=1 seek=10485760 conv=notrunc 2>/dev/null
dd if=/dev/urandom of=random bs=64k count=40 2>/dev/null
setfattr -n user.note -v 'a value' plain/file
setfattr -n user.dir -v 0x00ff10 plain
setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 random
setfacl -m u:1234:rwx,g:99:r plain/deep/er/file; setfacl -d -m u:1234:rx plain/deep/er
touch -d '2001-02-03 04:05:06.123456789' plain/file plain/deep/er
touch -h -d '1999-12-31 23:59:59.987654321' link
chown 77:88 .; chmod 2750 .; setfattr -n user.root -v r .
touch -d '2011-11-11 11:11:11.111111111' .
`;

/** Changes what is inside the entry saved under the key `k`. */
async function changeSaved(change: (directory: string) => Promise<void>): Promise<void> {
  const blob = await scenario.service.readBlob('k');
  await scenario.service.writeBlob('k', await changeEntry(blob, change));
}

describe('a round trip over two jobs', () => {
  test('brings a mount back on an emptied builder, equal in every attribute', async () => {
    const first = await scenario.newJob();
    const miss = await first.runAction('inject', { 'cache-mounts': 'm', key: 'k-1' });
    expect(miss).toMatchObject({
      exitCode: 0,
      outputs: { 'cache-hit': 'false', 'cache-primary-key': 'k-1' },
      annotations: [],
    });
    expect(miss.outputs).not.toHaveProperty('cache-matched-key');

    const before = await scenario.builder.run({ id: 'm' }, `${everyAttribute}${listMount}`);
    expect(before).toContain('locked/file'); // the listing itself works
    const saved = await first.runAction('extract', {});
    expect(saved).toMatchObject({ exitCode: 0, outputs: { saved: 'true' }, annotations: [] });
    expect(saved.outputs).not.toHaveProperty('reason');
    expect(await leftovers(first)).toEqual([]);

    await scenario.builder.empty();
    const second = await scenario.newJob();
    const hit = await second.runAction('inject', { 'cache-mounts': 'm', key: 'k-1' });
    expect(hit).toMatchObject({
      exitCode: 0,
      outputs: { 'cache-hit': 'true', 'cache-matched-key': 'k-1' },
      annotations: [],
    });
    expect(await leftovers(second)).toEqual(['buildkit-cache-mounts-state']);
    expect(await scenario.builder.run({ id: 'm' }, listMount)).toBe(before);
  });

  test('leaves no image behind', async () => {
    const images = await listImages();
    await scenario.builder.run({ id: 'm' }, 'echo 1 >/c/file');
    await scenario.save('m', 'k');
    await scenario.injectAnew({ 'cache-mounts': 'm', key: 'k' });
    expect(await listImages()).toEqual(images);
  });

  test('restores the newest entry that a restore key matches', async () => {
    await scenario.builder.run({ id: 'm' }, 'echo old >/c/file');
    await scenario.save('m', 'go-1');
    await scenario.builder.run({ id: 'm' }, 'echo new >/c/file');
    await scenario.save('m', 'go-2');
    const hit = await scenario.injectAnew({
      'cache-mounts': 'm',
      key: 'go-3',
      'restore-keys': 'x-\ngo-',
    });
    expect(hit.outputs).toEqual({
      'cache-hit': 'false',
      'cache-primary-key': 'go-3',
      'cache-matched-key': 'go-2',
      'restored-count': '1',
      'restored-bytes': expect.stringMatching(/^[1-9]\d*$/),
    });
    expect(await scenario.builder.run({ id: 'm' }, 'cat /c/file >/out/result')).toBe('new\n');
  });

  test('carries several mounts at once, with ids of any characters', async () => {
    const ids = [
      ...['plain', 'with space', 'a,b', 'quo"te', "it's", '$HOME', '${x}', 'back\\slash', 'x=y'],
      ...['ünïcödé-日本', '/x', 'x', 'x/', '//x', '`id`', '%0A::error::', 'a\tb', '../up'],
    ];
    for (const [index, id] of ids.entries()) {
      await scenario.builder.run({ id }, `echo ${index} >/c/file`);
    }
    const lines = ids.map(inCsvQuotes).join('\n');
    await scenario.save(lines, 'k');
    const hit = await scenario.injectAnew({ 'cache-mounts': lines, key: 'k' });
    expect(hit.outputs['cache-hit']).toBe('true');
    for (const [index, id] of ids.entries()) {
      expect([id, await scenario.builder.run({ id }, 'cat /c/file >/out/result')]).toEqual([
        id,
        `${index}\n`,
      ]);
    }
  });

  test('tells mounts of one id apart by uid, gid and mode', async () => {
    const options = ['', 'uid=1000', 'uid=1000,gid=7,mode=0700', 'uid=0,gid=0,mode=0755'];
    for (const [index, each] of options.entries()) {
      await scenario.builder.run({ id: 'm', options: each }, `echo ${index} >/c/file`);
    }
    const lines = options.map((each) => (each === '' ? 'm' : `id=m,${each}`)).join('\n');
    await scenario.save(lines, 'k');
    const hit = await scenario.injectAnew({ 'cache-mounts': lines, key: 'k' });
    expect(hit.outputs['cache-hit']).toBe('true');
    for (const [index, each] of options.entries()) {
      const seen = await scenario.builder.run(
        { id: 'm', options: each },
        'cat /c/file >/out/result',
      );
      expect([each, seen]).toEqual([each, `${index}\n`]);
    }
    // The order and the defaults are no part of the identity.
    expect(
      await scenario.builder.run(
        { id: 'm', options: 'mode=755,gid=0,uid=1000' },
        'cat /c/file >/out/result',
      ),
    ).toBe('1\n');
  });

  test('finds the mount of a target that stands for the id', async () => {
    await scenario.builder.run({ options: 'ro=false' }, 'echo by target >/c/file');
    await scenario.save('target=/c/', 'k');
    await scenario.injectAnew({ 'cache-mounts': '/c', key: 'k' });
    expect(await scenario.builder.run({}, 'cat /c/file >/out/result')).toBe('by target\n');
  });
});

withLocalImages('a mount that starts from an image', () => {
  const image = 'test/seed';
  const options = `from=${image},source=/seed`;
  const mount = `id=m,${options}`;

  beforeEach(async () => {
    const context = join(scenario.directory, 'image');
    await mkdir(join(context, 'seed', 'sub'), { recursive: true });
    await writeFile(join(context, 'seed', 'kept'), 'from the image');
    await writeFile(join(context, 'seed', 'sub', 'removed'), 'from the image');
    await writeFile(join(context, 'Dockerfile'), 'FROM scratch\nCOPY seed /seed\n');
    await docker(['buildx', 'build', '--provenance=false', '--load', '--tag', image, context]);
  });
  afterEach(async () => {
    await docker(['image', 'rm', '--force', image]);
  });

  test('is not worth saving while it holds just that', async () => {
    await scenario.builder.run({ id: 'm', options }, 'ls /c/sub');
    const job = await scenario.newJob();
    const result = await job.runAction('extract', { 'cache-mounts': mount, key: 'k' });
    expect(result.outputs.reason).toContain('no mount holds any file');
  });

  test('comes back as it was left, without what was removed from it', async () => {
    const change = 'rm /c/sub/removed; echo own >/c/own; chmod 700 /c/sub;';
    const before = await scenario.builder.run({ id: 'm', options }, `${change}${listMount}`);
    await scenario.save(mount, 'k');
    const hit = await scenario.injectAnew({ 'cache-mounts': mount, key: 'k' });
    expect(hit).toMatchObject({ outputs: { 'cache-hit': 'true' }, annotations: [] });
    expect(hit.log).toMatch(/^restored +m /m);
    expect(await scenario.builder.run({ id: 'm', options }, listMount)).toBe(before);
    // It is another mount than the one without `from`.
    expect(await scenario.builder.run({ id: 'm' }, 'ls -A /c >/out/result')).toBe('');
    const again = await scenario.runAction('inject', {
      'cache-mounts': mount,
      key: 'k',
    });
    expect(again.log).toMatch(/^already warm, left as it is +m /m);
  });

  test('starts empty where it is also given an owner', async () => {
    const owned = `from=${image},uid=1000`;
    await scenario.builder.run({ id: 'm', options: owned }, 'ls -A /c >/out/result; echo >/c/own');
    await scenario.save(`id=m,${owned}`, 'k');
    await scenario.injectAnew({ 'cache-mounts': `id=m,${owned}`, key: 'k' });
    const seen = await scenario.builder.run({ id: 'm', options: owned }, 'ls -A /c >/out/result');
    expect(seen).toBe('own\n');
  });

  test('is another one for another owner, but not where source is given too', async () => {
    const write = 'echo 1 >/c/own';
    await scenario.builder.run({ id: 'm', options: `${options},uid=1000` }, write);
    await scenario.save(mount, 'k');
    await scenario.injectAnew({ 'cache-mounts': `${mount},mode=0700`, key: 'k' });
    const seen = await scenario.builder.run({ id: 'm', options }, 'ls -A /c >/out/result');
    expect(seen.split('\n')).toContain('own');
  });
});

describe('inject', () => {
  test('leaves a mount that holds files as it is', async () => {
    await scenario.builder.run({ id: 'm' }, 'echo saved >/c/file');
    await scenario.builder.run({ id: 'n' }, 'echo saved >/c/file');
    await scenario.save('m\nn', 'k');
    await scenario.builder.empty();
    await scenario.builder.run({ id: 'm' }, 'echo own >/c/.other');
    const hit = await scenario.runAction('inject', {
      'cache-mounts': 'm\nn',
      key: 'k',
    });
    expect(hit).toMatchObject({ exitCode: 0, outputs: { 'cache-hit': 'true' }, annotations: [] });
    expect(hit.log).toMatch(/^already warm, left as it is +m$/m);
    expect(hit.log).toMatch(/^restored +n +1 file /m);
    expect(await scenario.builder.run({ id: 'm' }, 'ls -A /c >/out/result')).toBe('.other\n');
  });

  test('takes what is there when the list of mounts has changed', async () => {
    await scenario.builder.run({ id: 'kept' }, 'echo 1 >/c/file');
    await scenario.builder.run({ id: 'dropped' }, 'echo 2 >/c/file');
    await scenario.save('kept\ndropped', 'k');
    const hit = await scenario.injectAnew({ 'cache-mounts': 'added\nkept', key: 'k' });
    expect(hit).toMatchObject({ exitCode: 0, outputs: { 'cache-hit': 'true' } });
    expect(hit.log).toContain('Saved, but not named any more: dropped');
    expect(hit.log).toMatch(/^not saved yet +added$/m);
    expect(await scenario.builder.run({ id: 'kept' }, 'cat /c/file >/out/result')).toBe('1\n');
    for (const id of ['added', 'dropped']) {
      expect(await scenario.builder.run({ id }, 'ls -A /c >/out/result')).toBe('');
    }
  });

  test('starts its build while it fetches the entry, and another one if the entry lacks a mount', async () => {
    await scenario.builder.run({ id: 'a' }, 'echo 1 >/c/file');
    await scenario.save('a', 'k');
    const all = await scenario.injectAnew({ 'cache-mounts': 'a', key: 'k' });
    const [before = '', after] = all.log.split('::group::Unpack into the builder');
    expect(before).toMatch(/^::debug::docker buildx build /m);
    expect(after).not.toMatch(/^::debug::docker buildx build /m);
    await scenario.builder.empty();
    const job = await scenario.newJob();
    const some = await job.runAction('inject', { 'cache-mounts': 'a\nb', key: 'k' });
    expect(some).toMatchObject({ annotations: [], outputs: { 'restored-count': '1' } });
    expect(some.log.match(/^::debug::docker buildx build /gm)).toHaveLength(2);
    expect(some.log.match(/ building with /g)).toHaveLength(1);
    expect(await lastingProcessesWith(job.runnerTemp)).toEqual([]);
    expect(await scenario.builder.run({ id: 'a' }, 'cat /c/file >/out/result')).toBe('1\n');
  });

  test('calls no Docker on a miss, and fails only where told to', async () => {
    const PATH = await pathWith(
      scenario.directory,
      'docker',
      `echo called >>${scenario.directory}/calls; exit 1`,
    );
    const job = await scenario.newJob();
    const inputs = { 'cache-mounts': 'm', key: 'k' };
    expect(await job.runAction('inject', inputs, { env: { PATH } })).toMatchObject({
      exitCode: 0,
      annotations: [],
    });
    const strict = { ...inputs, 'fail-on-cache-miss': 'true' };
    expect(await job.runAction('inject', strict, { env: { PATH } })).toMatchObject({
      exitCode: 1,
      annotations: [{ level: 'error', message: expect.stringContaining('fail-on-cache-miss') }],
    });
    expect(await readdir(scenario.directory)).toEqual(['fake']);
  });

  test('removes what a killed step has left in a mount, and never saves it', async () => {
    await scenario.builder.run({ id: 'm' }, 'echo saved >/c/file');
    await scenario.save('m', 'k');
    await scenario.builder.empty();
    await scenario.builder.run(
      { id: 'm' },
      'mkdir /c/.buildkit-cache-mounts; echo >/c/.buildkit-cache-mounts/x',
    );
    const extracted = await scenario.runAction('extract', {
      'cache-mounts': 'm',
      key: 'other',
    });
    expect(extracted.outputs).toEqual({
      saved: 'false',
      'saved-bytes': '0',
      reason: expect.any(String),
    });
    await scenario.builder.run({ id: 'm' }, 'mkdir -p /c/.buildkit-cache-mounts/x');
    await scenario.runAction('inject', { 'cache-mounts': 'm', key: 'k' });
    expect(await scenario.builder.run({ id: 'm' }, 'ls -A /c >/out/result')).toBe('file\n');
  });

  test('finishes what a step that was killed while it renamed has left', async () => {
    const directory = '/c/.buildkit-cache-mounts.complete';
    await scenario.builder.run(
      { id: 'm' },
      `mkdir -p ${directory}/files/sub; echo >/c/renamed; echo >${directory}/files/sub/left
      chmod 750 ${directory}/files; tar -cf ${directory}/root.tar --no-recursion -C ${directory}/files .
      : >${directory}/cleared`,
    );
    await scenario.save('m', 'k');
    await scenario.injectAnew({ 'cache-mounts': 'm', key: 'k' });
    const seen = await scenario.builder.run(
      { id: 'm' },
      'cd /c; find . -printf "%p %m\\n" | sort >/out/result',
    );
    expect(seen).toBe('. 750\n./renamed 644\n./sub 755\n./sub/left 644\n');
  });

  test('leaves a mount as it was where unpacking fails', async () => {
    await scenario.builder.run({ id: 'm' }, 'echo 1 >/c/file');
    await scenario.builder.run({ id: 'n' }, 'echo 2 >/c/file');
    await scenario.save('m\nn', 'k');
    // An archive that is whole by its checksum and still no archive.
    await changeSaved(async (directory) => {
      const garbage = Buffer.from('garbage');
      await writeFile(await archiveOf(directory, 'n'), garbage);
      const { sha256, compressedBytes } = factsOf(garbage, 1);
      await changeManifest(directory, ({ mounts: [, n] }) => {
        Object.assign(n?.archive ?? {}, { sha256, compressedBytes });
      });
    });
    const hit = await scenario.injectAnew({ 'cache-mounts': 'm\nn', key: 'k' });
    expect(hit).toMatchObject({
      exitCode: 0,
      outputs: { 'cache-hit': 'false' },
      annotations: [{ level: 'warning', message: expect.stringContaining('n was left empty') }],
    });
    expect(await scenario.builder.run({ id: 'm' }, 'cat /c/file >/out/result')).toBe('1\n');
    expect(await scenario.builder.run({ id: 'n' }, 'ls -A /c >/out/result')).toBe('');
  });

  test('says so when the builder that is named does not exist', async () => {
    await scenario.builder.run({ id: 'm' }, 'echo 1 >/c/file');
    await scenario.save('m', 'k');
    const inputs = { 'cache-mounts': 'm', key: 'k', builder: 'no-such' };
    expect(await scenario.runAction('inject', inputs)).toMatchObject({
      exitCode: 1,
      annotations: [{ level: 'error', message: expect.stringContaining('"no-such"') }],
    });
  });

  test('leaves out a mount whose archive is damaged', async () => {
    await scenario.builder.run({ id: 'm' }, 'echo 1 >/c/file');
    await scenario.builder.run({ id: 'n' }, 'echo 2 >/c/file');
    await scenario.save('m\nn', 'k');
    await changeSaved(async (directory) => {
      const file = await archiveOf(directory, 'n');
      await writeFile(file, flipByte(await readFile(file), 20));
    });
    const hit = await scenario.injectAnew({ 'cache-mounts': 'm\nn', key: 'k' });
    expect(hit).toMatchObject({
      exitCode: 0,
      outputs: { 'cache-hit': 'false', 'cache-matched-key': 'k' },
      annotations: [{ level: 'warning', message: expect.stringContaining('n was left out') }],
    });
    expect(await scenario.builder.run({ id: 'm' }, 'cat /c/file >/out/result')).toBe('1\n');
    expect(await scenario.builder.run({ id: 'n' }, 'ls -A /c >/out/result')).toBe('');
  });

  test('warns of an inject before it that has the same key, for other mounts', async () => {
    const job = await scenario.newJob();
    const inject = (mounts: string) =>
      job.runAction('inject', { 'cache-mounts': mounts, key: 'k-1' });
    expect((await inject('a\nb')).annotations).toEqual([]);
    expect((await inject('b\na')).annotations).toEqual([]);
    expect((await inject('c')).annotations).toEqual([
      {
        level: 'warning',
        message: expect.stringMatching(
          /^An inject before this one has the same key k-1, for other/,
        ),
      },
    ]);
  });
});

describe('extract', () => {
  test('does nothing, without Docker, where the key is saved', async () => {
    await scenario.builder.run({ id: 'm' }, 'echo 1 >/c/file');
    await scenario.save('m', 'k');
    const PATH = await pathWith(
      scenario.directory,
      'docker',
      `echo called >>${scenario.directory}/calls; exit 1`,
    );
    const result = await scenario.runAction(
      'extract',
      { 'cache-mounts': 'm', key: 'k' },
      { env: { PATH } },
    );
    expect(result).toMatchObject({
      exitCode: 0,
      outputs: { saved: 'false', reason: 'the key is saved already' },
      annotations: [],
    });
    expect(await readdir(scenario.directory)).toEqual(['fake']);
    // A longer key that begins with this one is another.
    expect((await scenario.save('m', 'k-longer')).outputs.saved).toBe('true');
    scenario.service.remove('k');
    expect((await scenario.save('m', 'k')).outputs.saved).toBe('true');
  });

  test('says once that a saved entry lacks a mount', async () => {
    await scenario.builder.run({ id: 'm' }, 'echo 1 >/c/file');
    await scenario.save('m', 'k');
    const job = await scenario.newJob();
    await job.runAction('inject', { 'cache-mounts': 'm\nnew', key: 'k' });
    const result = await job.runAction('extract', {});
    expect(result).toMatchObject({
      exitCode: 0,
      outputs: { saved: 'false' },
      annotations: [{ level: 'warning', message: expect.stringContaining('lacks new') }],
    });
  });

  test('belongs to the only inject of the job whose mounts the builder has', async () => {
    await scenario.builder.run({ id: 'a' }, 'echo 1 >/c/file');
    const job = await scenario.newJob();
    await job.runAction('inject', { 'cache-mounts': 'a', key: 'k-a' });
    await job.runAction('inject', { 'cache-mounts': 'b', key: 'k-b' });
    const result = await job.runAction('extract', {});
    expect(result).toMatchObject({ outputs: { saved: 'true' }, annotations: [] });
    expect(scenario.service.keys()).toEqual(['k-a']);
  });

  test('takes what it is not told from the inject of the same job', async () => {
    await scenario.builder.run({ id: 'a' }, 'echo 1 >/c/file');
    await scenario.builder.run({ id: 'b' }, 'echo 2 >/c/file');
    const job = await scenario.newJob();
    await job.runAction('inject', { 'cache-mounts': 'a', key: 'k-a' });
    await job.runAction('inject', { 'cache-mounts': 'b', key: 'k-b' });
    // Trouble with what inject has left never fails a build that went well.
    expect(await job.runAction('extract', {})).toMatchObject({
      exitCode: 0,
      outputs: { saved: 'false' },
      annotations: [{ level: 'warning', message: expect.stringMatching(/k-a, k-b.*input key/) }],
    });
    const b = await job.runAction('extract', { key: 'k-b' });
    expect(b.log).toMatch(/^packed +b /m);
    const a = await job.runAction('extract', {});
    expect(a.log).toMatch(/^packed +a /m);
    expect(scenario.service.keys()).toEqual(['k-b', 'k-a']);
    expect(await leftovers(job)).toEqual([]);
    expect(await job.runAction('extract', {})).toMatchObject({
      exitCode: 0,
      outputs: { saved: 'false' },
      annotations: [{ level: 'warning', message: expect.stringContaining('No inject has run') }],
    });
  });

  test.each([
    ['emptied by the build', 'rm /c/file', [], 'is empty now'],
    ['wiped by a build with no-cache', 'true', ['--no-cache'], 'is empty now'],
    ['dropped by the builder', undefined, [], 'is absent now'],
  ] as const)(
    'keeps what was restored of a mount that was %s',
    async (_, script, options, words) => {
      await scenario.builder.run({ id: 'a' }, 'echo 1 >/c/file');
      const before = await scenario.builder.run({ id: 'b' }, `echo 2 >/c/file${listMount}`);
      await scenario.save('a\nb', 'k-1');
      await scenario.builder.empty();
      const job = await scenario.newJob();
      const inputs = { 'cache-mounts': 'a\nb', key: 'k-2', 'restore-keys': 'k-' };
      await job.runAction('inject', inputs);
      if (script === undefined) {
        await scenario.builder.empty();
        await scenario.builder.run({ id: 'a' }, 'echo 3 >/c/file');
      } else {
        await scenario.builder.run({ id: 'b' }, script, options);
      }
      const result = await job.runAction('extract', {});
      const remark = expect.stringMatching(
        `^The cache mount b was filled by inject and ${words}: `,
      );
      expect(result).toMatchObject({ exitCode: 0, outputs: { saved: 'true', reason: remark } });
      expect(result.annotations.at(-1)).toEqual({ level: 'warning', message: remark });
      expect(result.log).toMatch(/^(empty|absent), kept as restored +b /m);
      expect(await leftovers(job)).toEqual([]);

      const next = await scenario.injectAnew({ ...inputs });
      expect(next.outputs['cache-hit']).toBe('true');
      expect(await scenario.builder.run({ id: 'b' }, listMount)).toBe(before);
    },
  );

  test('does not make a mount that the builder has dropped, and ends the build that was to pack it', async () => {
    for (const id of ['a', 'b']) await scenario.builder.run({ id }, 'echo 1 >/c/file');
    await scenario.save('a\nb', 'k-1');
    await scenario.builder.empty();
    const job = await scenario.newJob();
    await job.runAction('inject', { 'cache-mounts': 'a\nb', key: 'k-2', 'restore-keys': 'k-' });
    await scenario.builder.empty();
    await scenario.builder.run({ id: 'a' }, 'echo 2 >/c/file');
    let atSave: Promise<string[]> | undefined;
    const onLog = (line: string) => {
      if (line.startsWith('::group::Save')) atSave = processesWith(job.runnerTemp);
    };
    const { log } = await job.runAction('extract', {}, { onLog });
    expect(log.match(/^::debug::docker buildx build /gm)).toHaveLength(2);
    expect(log.match(/ building with /g)).toHaveLength(1);
    const commands = (await atSave) ?? [];
    expect(commands.length).toBeGreaterThan(0);
    expect(commands.filter((command) => command.includes('--file=-'))).toEqual([]);
    expect(await readIds()).toEqual(['/a']);
  });

  test('takes the programs that inject has copied', async () => {
    await scenario.builder.run({ id: 'a' }, 'echo 1 >/c/file');
    await scenario.save('a', 'k-1');
    await scenario.builder.empty();
    const job = await scenario.newJob();
    await job.runAction('inject', { 'cache-mounts': 'a', key: 'k-2', 'restore-keys': 'k-' });
    // Without it, none can be copied that would run.
    const PATH = await pathWith(scenario.directory, 'ldd', 'exit 1');
    expect(await job.runAction('extract', {}, { env: { PATH } })).toMatchObject({
      outputs: { saved: 'true' },
      annotations: [],
    });
    expect(await leftovers(job)).toEqual([]);
  });

  test('saves nothing where what was restored of an empty mount is not at hand', async () => {
    await scenario.builder.run({ id: 'a' }, 'echo 1 >/c/file');
    await scenario.builder.run({ id: 'b' }, 'echo 2 >/c/file');
    await scenario.save('a\nb', 'k-1');
    await scenario.builder.empty();
    const job = await scenario.newJob();
    const inputs = { 'cache-mounts': 'a\nb', key: 'k-2', 'restore-keys': 'k-' };
    await job.runAction('inject', inputs);
    await scenario.builder.run({ id: 'b' }, 'rm /c/file');
    const state = join(job.runnerTemp, 'buildkit-cache-mounts-state');
    const [name = ''] = await readdir(state);
    const archives = join(state, name, 'archives');
    for (const file of await readdir(archives)) await truncate(join(archives, file), 20);
    // Else the entry would only name what k-1 holds.
    expect(await job.runAction('extract', { incremental: 'false' })).toMatchObject({
      exitCode: 0,
      outputs: {
        saved: 'false',
        reason: expect.stringMatching(/^an entry without b would hide [\s\S]*not at hand any more/),
      },
    });
    expect(scenario.service.keys()).toEqual(['k-1']);
  });

  test('says that a mount was made anew since inject, and saves it as it is', async () => {
    await scenario.builder.run({ id: 'a' }, 'echo 1 >/c/file');
    await scenario.save('a', 'k-1');
    await scenario.builder.empty();
    const job = await scenario.newJob();
    await job.runAction('inject', { 'cache-mounts': 'a', key: 'k-2', 'restore-keys': 'k-' });
    await scenario.builder.run({ id: 'a' }, 'echo new >/c/new', ['--no-cache']);
    const after = await scenario.builder.run({ id: 'a' }, listMount);
    expect(await job.runAction('extract', {})).toMatchObject({
      outputs: { saved: 'true' },
      annotations: [
        { level: 'notice', message: expect.stringMatching(/^The cache mount a is not the one/) },
      ],
    });
    await scenario.injectAnew({ 'cache-mounts': 'a', key: 'k-2' });
    expect(await scenario.builder.run({ id: 'a' }, listMount)).toBe(after);
  });

  test('takes a mount that builds have changed for the same, whatever time files are given', async () => {
    await scenario.builder.run({ id: 'a' }, 'echo 1 >/c/file');
    await scenario.save('a', 'k-1');
    await scenario.builder.empty();
    const job = await scenario.newJob();
    const env = { SOURCE_DATE_EPOCH: '1000000000' };
    const inputs = { 'cache-mounts': 'a', key: 'k-2', 'restore-keys': 'k-' };
    await job.runAction('inject', inputs, { env });
    for (const change of ['echo 2 >/c/file', 'rm /c/file && echo 3 >/c/other']) {
      await scenario.builder.run({ id: 'a' }, change);
    }
    expect(await job.runAction('extract', {}, { env })).toMatchObject({
      outputs: { saved: 'true' },
      annotations: [],
    });
  });

  test('leaves no copy of the archives on the builder, and the rest of its cache alone', async () => {
    const describe = async () => {
      const listed = await docker(['buildx', 'du', '--format=json']);
      const records = listed.split('\n').filter((line) => line.startsWith('{'));
      return records.map((line) => String(JSON.parse(line).Description)).sort();
    };
    for (const id of ['a', 'b', 'buildkit-cache-mounts']) {
      await scenario.builder.run({ id }, 'echo 1 >/c/file');
    }
    const before = await describe();
    expect(before.length).toBeGreaterThan(3);
    const job = await scenario.newJob();
    const inputs = { 'cache-mounts': 'a\nb\nbuildkit-cache-mounts', key: 'k' };
    expect(await job.runAction('extract', inputs)).toMatchObject({ outputs: { saved: 'true' } });
    const left = (await describe()).filter((each) => !before.includes(each));
    // What takes no room
    const small =
      /^local source for (context|dockerfile)$|^\[buildkit-cache-mounts-work 1.*WORKDIR/;
    expect(left.filter((each) => !small.test(each))).toEqual([]);
    expect(await describe()).toEqual(expect.arrayContaining(before));
  });

  test('says in every run that the entry of the key lacks a mount that was empty', async () => {
    await scenario.builder.run({ id: 'a' }, 'echo 1 >/c/file');
    await scenario.builder.run({ id: 'b' }, 'true');
    const first = await scenario.newJob();
    await first.runAction('extract', { 'cache-mounts': 'a\nb', key: 'k' });
    const second = await scenario.newJob();
    await second.runAction('inject', { 'cache-mounts': 'a\nb', key: 'k' });
    const { annotations } = await second.runAction('extract', {});
    expect(annotations).toEqual([
      { level: 'warning', message: expect.stringContaining('lacks b') },
    ]);
  });

  test('waits for a build that holds the mount, and sees all that it wrote', async () => {
    await scenario.builder.run({ id: 'm', options: 'sharing=locked' }, 'echo 1 >/c/file');
    const build = await startLocked(scenario.builder, 'm', 'sleep 4; echo 2 >/c/late');
    const result = await scenario.save('m', 'k');
    await build.ended;
    expect(result.log).toMatch(/^packed +m +2 files/m);
    // It has not made a directory of its own: there is one still.
    await scenario.save('m', 'k-2');
  });

  test('saves nothing where no mount holds a file', async () => {
    const result = await scenario.runAction('extract', {
      'cache-mounts': 'm',
      key: 'k',
    });
    expect(result).toMatchObject({
      exitCode: 0,
      outputs: { saved: 'false', reason: expect.stringContaining('no mount holds any file') },
      annotations: [
        { message: expect.stringMatching(/no cache mount "m" .* none at all/) },
        { message: expect.stringMatching(/^Nothing was saved: no mount holds any file/) },
      ],
    });
    expect(scenario.service.entries()).toEqual([]);
  });
});

withLocalImages('the programs of an image', () => {
  const image = 'test/utility';

  async function buildImage(programs: string[], change = 'true'): Promise<void> {
    const context = join(scenario.directory, 'image');
    await copyPrograms(readSurroundings(), await findPrograms(programs), join(context, 'tools'));
    execFileSync('sh', ['-euc', change], { cwd: join(context, 'tools') });
    await writeFile(join(context, 'Dockerfile'), 'FROM scratch\nCOPY tools /\nUSER 1000\n');
    await docker(['buildx', 'build', '--provenance=false', '--load', '--tag', image, context]);
  }

  afterEach(async () => {
    await docker(['image', 'rm', '--force', image]);
  });

  test.each([['zstd'], ['gzip']])(
    'are used where the runner lacks some (%s)',
    async (compressor) => {
      await buildImage(['sh', 'tar', 'grep', 'mkdir', 'mv', 'rm', compressor]);
      const before = await scenario.builder.run({ id: 'm' }, `${everyAttribute}${listMount}`);
      const job = await scenario.newJob();
      const env = { PATH: await pathWithout(scenario.directory, 'grep') };
      const inputs = { 'cache-mounts': 'm', key: 'k', 'utility-image': image };
      const saved = await job.runAction('extract', inputs, { env });
      expect(saved).toMatchObject({ exitCode: 0, outputs: { saved: 'true' }, annotations: [] });
      expect(saved.log).toMatch(
        /programs +those of the image test\/utility, as the runner has no grep/,
      );
      await scenario.builder.dropMounts();
      const hit = await job.runAction('inject', inputs, { env });
      expect(hit.outputs['cache-hit']).toBe('true');
      expect(await scenario.builder.run({ id: 'm' }, listMount)).toBe(before);
    },
  );

  test('save nothing where one mount cannot be packed', async () => {
    await buildImage(
      ['sh', 'tar', 'grep', 'mkdir', 'mv', 'rm', 'zstd'],
      // A tar that has trouble with the second mount, after it has written an archive.
      'mkdir -p usr/local/bin; cd usr/local/bin; printf \'#!/bin/sh\\n/bin/tar "$@" || exit; case "$*" in *"-f 1.tar"*) exit 2 ;; esac\\n\' >tar; chmod +x tar',
    );
    await scenario.builder.run({ id: 'm' }, 'echo 1 >/c/file');
    await scenario.builder.run({ id: 'n' }, 'echo 1 >/c/file');
    const job = await scenario.newJob();
    const result = await job.runAction(
      'extract',
      { 'cache-mounts': 'm\nn', key: 'k', 'utility-image': image },
      { env: { PATH: await pathWithout(scenario.directory, 'mv') } },
    );
    expect(result).toMatchObject({
      exitCode: 0,
      outputs: { saved: 'false', reason: expect.stringContaining('could not be packed') },
    });
    expect(result.log).toMatch(/^packed +m .*\nfailed +n$/m);
    expect(scenario.service.entries()).toEqual([]);
  });

  test('are checked first', async () => {
    await buildImage(['sh', 'grep', 'mkdir', 'mv', 'rm', 'zstd']);
    await scenario.builder.run({ id: 'm' }, 'echo 1 >/c/file');
    const result = await scenario.runAction(
      'extract',
      { 'cache-mounts': 'm', key: 'k', 'utility-image': image },
      { env: { PATH: await pathWithout(scenario.directory, 'mv') } },
    );
    expect(result).toMatchObject({ exitCode: 0, outputs: { saved: 'false' } });
    expect(result.annotations[0]?.message).toContain('there is no tar');
    expect(scenario.service.entries()).toEqual([]);
  });

  test('are asked for where there is no image', async () => {
    await scenario.builder.run({ id: 'm' }, 'echo 1 >/c/file');
    const result = await scenario.runAction(
      'extract',
      { 'cache-mounts': 'm', key: 'k' },
      { env: { PATH: await pathWithout(scenario.directory, 'mv') } },
    );
    expect(result).toMatchObject({
      exitCode: 0,
      outputs: {
        saved: 'false',
        reason: expect.stringMatching(/the runner has no mv.*utility-image/),
      },
      annotations: [{ level: 'warning' }],
    });
  });
});
