/** The ways to use it beside the pair of steps with a key: one implementation, so one round trip each. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { leftovers, useScenario } from '../support/scenario.js';
import { execute } from '../support/silence.js';

const scenario = useScenario();
const root = resolve(fileURLToPath(import.meta.url), '../../..');
const fill = 'echo 1 >/c/file';
const read = 'cat /c/file >/out/result';

describe('the single step', () => {
  test('restores in its main and saves in its post step', async () => {
    const inputs = { 'cache-mounts': 'm', key: 'k-1' };
    const first = await scenario.newJob();
    const main = await first.runAction('.', inputs);
    expect(main).toMatchObject({ exitCode: 0, outputs: { 'cache-hit': 'false' }, annotations: [] });
    expect(main.env).toEqual({ BUILDKIT_CACHE_MOUNTS_SAVE_ALWAYS: 'false' });
    await scenario.builder.run({ id: 'm' }, fill);
    const post = await first.runAction('.', inputs, { post: main });
    expect(post).toMatchObject({ exitCode: 0, outputs: { saved: 'true' }, annotations: [] });
    expect(await leftovers(first)).toEqual([]);

    await scenario.builder.empty();
    const second = await scenario.newJob();
    const hit = await second.runAction('.', { ...inputs, 'save-always': 'true' });
    expect(hit.outputs['cache-hit']).toBe('true');
    expect(hit.env).toEqual({ BUILDKIT_CACHE_MOUNTS_SAVE_ALWAYS: 'true' });
    expect(await scenario.builder.run({ id: 'm' }, read)).toBe('1\n');
    const skipped = await second.runAction('.', inputs, { post: hit });
    expect(skipped.outputs).toMatchObject({ saved: 'false', reason: 'the key is saved already' });
  });

  test('hands its post step the inputs of extract', async () => {
    const inputs = { 'cache-mounts': 'm', 'restore-keys': 'k-', 'incremental-share': '1000' };
    await scenario.builder.run({ id: 'm' }, 'dd if=/dev/urandom of=/c/big bs=1M count=2');
    await scenario.save('m', 'k-1');
    const save = async (key: string, others: Record<string, string>) => {
      const job = await scenario.newJob();
      const all = { ...inputs, ...others, key };
      const main = await job.runAction('.', all);
      await scenario.builder.run({ id: 'm' }, `echo ${key} >/c/${key}`);
      const post = await job.runAction('.', all, { post: main });
      expect(post).toMatchObject({ exitCode: 0, outputs: { saved: 'true' }, annotations: [] });
      return post.log;
    };
    await scenario.builder.empty();
    expect(await save('k-2', { 'incremental-count': '2' })).toContain(
      'changes packed (1 of at most 2)',
    );
    await scenario.builder.empty();
    expect(await save('k-3', { 'incremental-count': '1' })).toContain('is saved in full');
    await scenario.builder.empty();
    expect(await save('k-4', { 'incremental-share': '1' })).toContain(
      'changes packed (1 of at most 10)',
    );
  });

  test('twice in a job, each saves its own', async () => {
    const job = await scenario.newJob();
    const inputs = ['a', 'b'].map((id) => ({ 'cache-mounts': id, key: id }));
    const mains = [];
    for (const each of inputs) mains.push(await job.runAction('.', each));
    for (const { key } of inputs) await scenario.builder.run({ id: key }, fill);
    for (const [index, each] of inputs.entries()) {
      const post = mains[index];
      if (post) await job.runAction('.', each, { post });
    }
    expect(scenario.service.keys()).toEqual(['a', 'b']);
  });

  test('does nothing in its post step where its main has failed on wrong input', async () => {
    const job = await scenario.newJob();
    const inputs = { 'cache-mounts': 'm', key: 'a,b' };
    const main = await job.runAction('.', inputs);
    expect(main.exitCode).toBe(1);
    expect(await job.runAction('.', inputs, { post: main })).toMatchObject({
      exitCode: 0,
      log: '',
    });
  });
});

test('a key that is made falls back to an earlier commit, and is handed to extract', async () => {
  const commits = ['aaa', 'bbb'];
  const hits: string[] = [];
  for (const GITHUB_SHA of commits) {
    await scenario.builder.empty();
    const job = await scenario.newJob({ env: { GITHUB_SHA } });
    await writeFile(join(job.workspace, 'Dockerfile'), 'FROM scratch\n');
    const inputs = { 'cache-mounts': 'm', 'key-prefix': 'app' };
    const injected = await job.runAction('inject', inputs);
    hits.push(injected.outputs['cache-matched-key'] ?? 'none');
    await scenario.builder.run({ id: 'm' }, fill);
    const extracted = await job.runAction('extract', {});
    expect(extracted).toMatchObject({ outputs: { saved: 'true' }, annotations: [] });
  }
  const [first = '', second = ''] = scenario.service.keys();
  expect(first).toMatch(/^app-Linux-\w+(-[0-9a-f]{16}){3}-aaa-1$/);
  expect(second).toBe(first.replace('aaa', 'bbb'));
  expect(hits).toEqual(['none', first]);
});

test('each step shows what it did on the page of the job, or not', async () => {
  await scenario.builder.run({ id: 'm' }, fill);
  const inputs = { 'cache-mounts': 'm\nabsent', key: 'k' };
  const saved = await scenario.runAction('extract', inputs);
  expect(saved.summary).toMatch(/<h3>1 cache mount saved, .*<\/h3>\n<p>Key: <code>k<\/code>/);
  expect(saved.summary).toContain('<td><code>absent</code></td><td>absent</td>');
  const again = await scenario.runAction('extract', inputs);
  expect(again.summary.replaceAll(/[\d.]+ s\b/g, '0 s')).toBe(
    '<h3>Cache mounts: nothing to save</h3>\n<p>Key: <code>k</code><br>Time: look-up 0 s, the whole step 0 s</p>\n<ul>\n<li>the key is saved already</li>\n</ul>\n',
  );
  const hit = await scenario.injectAnew({ ...inputs, key: 'k-2', 'restore-keys': 'k' });
  expect(hit.summary).toContain('<h3>1 of 2 cache mounts restored</h3>');
  expect(hit.summary).toContain('<p>Key: <code>k-2</code><br>Restore-key hit: <code>k</code><br>');
  const exact = await scenario.injectAnew(inputs);
  expect(exact.summary).toContain('<p>Key (exact hit): <code>k</code><br>');
  const miss = await scenario.injectAnew({ ...inputs, key: 'other' });
  expect(miss.summary).toContain('<h3>No saved cache mounts were found</h3>');
  const off = await scenario.injectAnew({ ...inputs, summary: 'false' });
  expect(off.summary).toBe('');
});

describe('a directory', () => {
  test('takes the place of the cache service', async () => {
    const directory = join(scenario.directory, 'kept');
    const inputs = { 'cache-mounts': 'a\nb', directory, key: 'k-1' };
    const env = { ACTIONS_RESULTS_URL: '', ACTIONS_RUNTIME_TOKEN: '' };
    await scenario.builder.run({ id: 'a' }, fill);
    await scenario.builder.run({ id: 'b' }, fill);
    const first = await scenario.newJob({ env });
    expect(await first.runAction('extract', inputs)).toMatchObject({
      exitCode: 0,
      outputs: { saved: 'true' },
      annotations: [],
    });
    expect(await readdir(directory)).toHaveLength(3);

    await scenario.builder.empty();
    const second = await scenario.newJob({ env });
    const next = { ...inputs, key: 'k-2' };
    expect(await second.runAction('inject', next)).toMatchObject({
      outputs: { 'cache-hit': 'false', 'cache-matched-key': 'k-1' },
      annotations: [],
    });
    expect(await scenario.builder.run({ id: 'b' }, read)).toBe('1\n');
    // A mount that is emptied keeps what was restored; what the directory holds is replaced.
    await scenario.builder.run({ id: 'a' }, 'echo 2 >/c/file');
    await scenario.builder.run({ id: 'b' }, 'rm /c/file');
    expect((await second.runAction('extract', {})).outputs.saved).toBe('true');
    expect(await readdir(directory)).toHaveLength(3);
    expect(await leftovers(second)).toEqual([]);

    const hit = await scenario.injectAnew(next);
    expect(hit.outputs).toMatchObject({ 'cache-hit': 'true', 'cache-matched-key': 'k-2' });
    expect(await scenario.builder.run({ id: 'a' }, read)).toBe('2\n');
    expect(await scenario.builder.run({ id: 'b' }, read)).toBe('1\n');
    expect(scenario.service.requests).toEqual([]);
  });

  test('that is damaged is a warning, and is replaced by the next save', async () => {
    const directory = join(scenario.directory, 'kept');
    await mkdir(directory);
    await writeFile(join(directory, 'manifest.json'), '{"format":99}');
    const inputs = { 'cache-mounts': 'm', directory, key: 'k' };
    const job = await scenario.newJob();
    expect(await job.runAction('inject', inputs)).toMatchObject({
      exitCode: 0,
      outputs: { 'cache-hit': 'false' },
      annotations: [
        {
          level: 'warning',
          message: `${directory}/manifest.json cannot be used, and the next extract replaces it: its format is 99, and this version reads format 1`,
        },
      ],
    });
    await scenario.builder.run({ id: 'm' }, fill);
    expect((await job.runAction('extract', {})).outputs.saved).toBe('true');
    expect((await scenario.injectAnew(inputs)).outputs['cache-hit']).toBe('true');
  });
});

describe('the command line', () => {
  async function run(...args: string[]) {
    const cwd = join(scenario.directory, 'project');
    await mkdir(cwd, { recursive: true });
    const names = ['PATH', 'HOME', 'DOCKER_HOST', 'DOCKER_CONFIG', 'BUILDX_BUILDER'];
    const wanted = names.map((name) => [name, process.env[name] ?? '']);
    const env = { ...Object.fromEntries(wanted), TMPDIR: scenario.directory };
    return execute(process.execPath, [join(root, 'dist/cli/index.js'), ...args], {
      cwd,
      env,
    }).then(
      (output) => ({ ...output, code: 0 }),
      (error: { stdout: string; stderr: string; code: number }) => error,
    );
  }

  test('does the same two jobs, without GitHub', async () => {
    const options = ['--directory=kept', '--cache-mounts=m', '--cache-mounts=id=n,uid=7'];
    await scenario.builder.run({ id: 'm' }, fill);
    const miss = await run('inject', ...options);
    expect(miss).toMatchObject({ code: 0, stdout: expect.stringContaining('cache-hit=false\n') });
    expect(miss.stderr).toContain('the build starts cold');
    const saved = await run('extract', ...options);
    expect(saved).toMatchObject({ code: 0, stdout: expect.stringContaining('saved=true\n') });
    await scenario.builder.empty();
    const hit = await run('inject', ...options);
    expect(hit).toMatchObject({ code: 0, stdout: expect.stringContaining('cache-hit=true\n') });
    expect(hit.stderr).toMatch(/^restored +m +1 file /m);
    expect(await scenario.builder.run({ id: 'm' }, read)).toBe('1\n');
    for (const { stdout, stderr } of [miss, saved, hit])
      expect(stdout + stderr).not.toContain('::');
    expect((await run('extract', '--directory=kept')).stdout).toContain('saved=true');
    // Also the directory of what inject leaves for extract goes with the last of it.
    const left = await readdir(scenario.directory);
    expect(left.filter((name) => name.startsWith('buildkit-cache-mounts'))).toEqual([]);
  });

  test('tells by its exit code what is wrong', async () => {
    expect(await run('--help')).toMatchObject({ code: 0, stderr: '' });
    expect(await run('inject')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--directory or --registry is required'),
    });
    expect(await run('inject', '--directory=d', '--timeout=no')).toMatchObject({ code: 1 });
    const strict = ['--directory=d', '--cache-mounts=m', '--fail-on-cache-miss=true'];
    expect(await run('inject', ...strict)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('error: No cache mount was filled'),
    });
  });

  test('is called as the examples for other CI systems do', async () => {
    const text = await readFile(join(root, 'docs/other-ci.md'), 'utf8');
    const calls = [
      ...text.matchAll(
        /node (?:\/opt\/cache-mounts\/)?dist\/cli\/index\.js (.*--directory.*?)['\n]/g,
      ),
    ];
    expect(calls).toHaveLength(6);
    await scenario.builder.run({ id: 'm' }, fill);
    for (const [, call = ''] of calls) {
      const words = call.replace(/#.*/, '').trim().split(/\s+/);
      const result = await run(
        ...words.map((word) => word.replaceAll(/["$]/g, '')),
        '--cache-mounts=m',
      );
      expect(result).toMatchObject({ code: 0 });
      if (words[0] === 'extract') expect(result.stdout).toContain('saved=true');
    }
  });
});

test('a mount is compressed as hard as the input says', async () => {
  await scenario.builder.run({ id: 'm' }, 'cat /bin/tar >/c/file');
  const sizes = [];
  for (const level of ['1', '19']) {
    const inputs = { 'cache-mounts': 'm', key: level, 'compression-level': level };
    await scenario.runAction('extract', inputs);
    sizes.push((await scenario.service.readBlob(level)).length);
  }
  const [quick = 0, hard = 0] = sizes;
  expect(hard).toBeLessThan(quick * 0.9);
  const hit = await scenario.injectAnew({ 'cache-mounts': 'm', key: '19' });
  expect(hit.outputs['cache-hit']).toBe('true');
});
