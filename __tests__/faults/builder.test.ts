/** What happens to the builder while the actions are at work, and between them. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { docker, listFiles } from '../support/engine.js';
import { warned } from '../support/expectations.js';
import { holdMount } from '../support/hold.js';
import { describeWithOwnEngine, useOwnEngine } from '../support/own-engine.js';
import type { Job, StepResult } from '../support/runner.js';
import { leftovers, useScenario } from '../support/scenario.js';

const scenario = useScenario();
const withOwnEngine = describeWithOwnEngine();

/** Enough that a step is busy with it for a while. */
const busy = 'for i in 1 2 3 4; do dd if=/dev/urandom of=/c/$i bs=1M count=20 2>/dev/null; done';

/** What a step's log says when its build has its mounts. */
const hasMounts = /RUN .*run\.sh/;

/** How many there are beside the reserved directory, which the next step removes or finishes. */
const countFiles =
  'cd /c; find . -name ".buildkit-cache-mounts*" -prune -o -type f -print | grep -c . >/out/result || :';

withOwnEngine('an engine', () => {
  const engine = useOwnEngine();
  const { newJob, runAction, save, injectAnew, expectWhole } = scenario.on(engine);

  /** Runs a step, and brings the engine down when the step's build has its mount. */
  async function runUntilDown(
    action: 'inject' | 'extract',
    key: string,
    how: 'stop' | 'crash',
  ): Promise<{ job: Job; result: StepResult }> {
    const job = await newJob();
    let ended: Promise<void> | undefined;
    const onLog = (line: string) => {
      if (hasMounts.test(line)) ended ??= engine[how]();
    };
    const result = await job.runAction(action, { 'cache-mounts': 'm', key }, { onLog });
    await ended;
    return { job, result };
  }

  test('that is stopped before inject and extract is a warning in both', async () => {
    const before = await engine.builder.run({ id: 'm' }, `echo 1 >/c/file${listFiles}`);
    await save('m', 'k-1');
    await engine.stop();
    const job = await newJob();
    const inputs = { 'cache-mounts': 'm', key: 'k-2', 'restore-keys': 'k-' };
    const injected = await job.runAction('inject', inputs);
    expect(injected).toMatchObject({
      ...warned(/Docker does not answer/),
      outputs: { 'cache-hit': 'false', 'cache-matched-key': 'k-1' },
    });
    const extracted = await job.runAction('extract', {});
    expect(extracted).toMatchObject({
      ...warned(/Docker does not answer/),
      outputs: { saved: 'false', reason: expect.stringContaining('Docker does not answer') },
    });
    expect(await leftovers(job)).toEqual([]);
    expect(scenario.service.keys()).toEqual(['k-1']);
    await engine.start();
    await expectWhole('k-1', before);
  });

  test.each(['stop', 'crash'] as const)(
    'that does %s in the middle of inject leaves a mount empty or whole',
    async (how) => {
      const before = await engine.builder.run({ id: 'm' }, `${busy}${listFiles}`);
      await save('m', 'k');
      await engine.builder.empty();
      const { result } = await runUntilDown('inject', 'k', how);
      expect(result).toMatchObject({
        ...warned(/docker buildx build failed/),
        outputs: { 'cache-hit': 'false', 'cache-matched-key': 'k' },
      });
      await engine.start();
      // Stopped in good order, the engine may have let it finish.
      const left = await engine.builder.run({ id: 'm' }, countFiles);
      expect(['0\n', '4\n']).toContain(left);
      const inputs = { 'cache-mounts': 'm', key: 'k' };
      const again = await runAction('inject', inputs);
      expect(again).toMatchObject({ outputs: { 'cache-hit': 'true' }, annotations: [] });
      expect(await engine.builder.run({ id: 'm' }, listFiles)).toBe(before);
    },
  );

  test.each(['stop', 'crash'] as const)(
    'that does %s in the middle of extract costs only the new entry',
    async (how) => {
      const saved = await engine.builder.run({ id: 'm' }, `echo 1 >/c/file${listFiles}`);
      await save('m', 'k-1');
      const before = await engine.builder.run({ id: 'm' }, `${busy}${listFiles}`);
      const { job, result } = await runUntilDown('extract', 'k-2', how);
      expect(result).toMatchObject({
        ...warned(/docker buildx build failed/),
        outputs: { saved: 'false', reason: expect.stringContaining('build failed') },
      });
      expect(await leftovers(job)).toEqual([]);
      expect(scenario.service.keys()).toEqual(['k-1']);
      await engine.start();
      expect(await engine.builder.run({ id: 'm' }, listFiles)).toBe(before);
      await save('m', 'k-2');
      await expectWhole('k-2', before);
      await expectWhole('k-1', saved);
    },
  );

  test('that is restarted between inject and extract keeps the mounts', async () => {
    await engine.builder.run({ id: 'm' }, 'echo 1 >/c/file');
    await save('m', 'k-1');
    await engine.builder.empty();
    const job = await newJob();
    const inputs = { 'cache-mounts': 'm', key: 'k-2', 'restore-keys': 'k-' };
    expect((await job.runAction('inject', inputs)).outputs['cache-matched-key']).toBe('k-1');
    await engine.stop();
    await engine.start();
    const after = await engine.builder.run({ id: 'm' }, `echo 2 >/c/more${listFiles}`);
    // Not even a notice that the mount was made anew.
    expect(await job.runAction('extract', {})).toMatchObject({
      exitCode: 0,
      outputs: { saved: 'true' },
      annotations: [],
    });
    await expectWhole('k-2', after);
  });

  test('whose builder is removed is a wrong input for inject, and a warning for extract', async () => {
    const { DOCKER_HOST = '' } = engine.env;
    const context = ['context', 'create', 'own', '--docker', `host=${DOCKER_HOST}`];
    await docker(context, engine.env);
    const before = await engine.builder.run({ id: 'm' }, `echo 1 >/c/file${listFiles}`);
    const builder = 'own';
    const first = await newJob();
    const env = { DOCKER_HOST: '', DOCKER_CONTEXT: 'own' };
    const inputs = { 'cache-mounts': 'm', key: 'k-1', builder };
    const saved = await first.runAction('extract', inputs, { env });
    expect(saved).toMatchObject({ outputs: { saved: 'true' }, annotations: [] });
    const job = await newJob();
    const next = { ...inputs, key: 'k-2', 'restore-keys': 'k-' };
    const hit = await job.runAction('inject', next, { env });
    expect(hit).toMatchObject({ exitCode: 0, outputs: { 'cache-matched-key': 'k-1' } });
    await docker(['context', 'rm', '--force', 'own'], engine.env);
    expect(await job.runAction('extract', {})).toMatchObject({
      ...warned(/There is no builder "own"/),
      outputs: { saved: 'false', reason: expect.stringContaining('no builder "own"') },
    });
    expect(await leftovers(job)).toEqual([]);
    const injected = await runAction('inject', { ...inputs });
    expect(injected).toMatchObject({
      exitCode: 1,
      annotations: [{ level: 'error', message: expect.stringMatching(/no builder "own".*Put/) }],
    });
    expect(scenario.service.keys()).toEqual(['k-1']);
    await expectWhole('k-1', before);
  });

  test('that cannot have one of the images that mounts start from does the others', async () => {
    const image = 'test/faults-seed';
    const context = join(scenario.directory, 'image');
    await mkdir(join(context, 'seed'), { recursive: true });
    await writeFile(join(context, 'seed', 'file'), 'of the image');
    await writeFile(join(context, 'Dockerfile'), 'FROM scratch\nCOPY seed /seed\n');
    const build = ['buildx', 'build', '--provenance=false', '--load', '--tag', image, context];
    await docker(build, engine.env);
    const options = `from=${image},source=/seed`;
    const mounts = `m\nid=n,${options}`;
    const before = await engine.builder.run({ id: 'm' }, `echo 1 >/c/file${listFiles}`);
    const seeded = await engine.builder.run({ id: 'n', options }, `echo 2 >/c/own${listFiles}`);
    await save(mounts, 'k-1');

    await engine.builder.empty();
    await docker(['image', 'rm', '--force', image], engine.env);
    const job = await newJob();
    const inputs = { 'cache-mounts': mounts, key: 'k-2', 'restore-keys': 'k-' };
    const injected = await job.runAction('inject', inputs);
    expect(injected).toMatchObject({
      exitCode: 0,
      outputs: { 'cache-hit': 'false', 'cache-matched-key': 'k-1' },
    });
    expect(injected.annotations.map(({ message }) => message).join('\n')).toMatch(
      /start from an image or a stage are left out.*faults-seed/,
    );
    expect(injected.log).toMatch(/^restored +m /m);
    expect(await engine.builder.run({ id: 'm' }, listFiles)).toBe(before);
    const extracted = await job.runAction('extract', {});
    expect(extracted).toMatchObject({ exitCode: 0, outputs: { saved: 'true' } });
    expect(extracted.log).toMatch(/^unchanged +m /m);
    expect(extracted.log).toMatch(/kept as restored +n \(from=/);

    // With the image at hand again, both are there as they were.
    await docker(build, engine.env);
    const hit = await injectAnew({ 'cache-mounts': mounts, key: 'k-2' });
    expect(hit).toMatchObject({ outputs: { 'cache-hit': 'true' }, annotations: [] });
    expect(await engine.builder.run({ id: 'm' }, listFiles)).toBe(before);
    expect(await engine.builder.run({ id: 'n', options }, listFiles)).toBe(seeded);

    // It can also be lost after inject has filled both.
    await engine.builder.empty();
    const last = await newJob();
    await last.runAction('inject', { ...inputs, key: 'k-3' });
    await docker(['image', 'rm', '--force', image], engine.env);
    const after = await engine.builder.run({ id: 'm' }, `echo 3 >/c/more${listFiles}`);
    const packed = await last.runAction('extract', {});
    expect(packed).toMatchObject({ exitCode: 0, outputs: { saved: 'true' } });
    expect(packed.log).toMatch(/kept as restored +n \(from=/);
    await docker(build, engine.env);
    await injectAnew({ 'cache-mounts': mounts, key: 'k-3' });
    expect(await engine.builder.run({ id: 'm' }, listFiles)).toBe(after);
    expect(await engine.builder.run({ id: 'n', options }, listFiles)).toBe(seeded);
  });
});

withOwnEngine('a builder with a small disk', () => {
  const engine = useOwnEngine('size=128m,nr_inodes=4000');
  const { newJob, runAction } = scenario.on(engine);

  test.each([
    [
      'too small for what is saved leaves the mount empty, as the free space tells',
      'dd if=/dev/zero of=/c/big bs=1M count=200 2>/dev/null',
      /The cache mount m was left out: it needs 2\d\d(\.\d)? MB, and the builder's disk has \d+(\.\d)? MB free/,
    ],
    [
      'filled by what is saved in spite of that check leaves the mount empty',
      // Many files in few bytes: what runs out are inodes.
      'cd /c; i=0; while [ $i -lt 4000 ]; do : >$i; i=$((i+1)); done',
      /The cache mount m was left empty: unpacking failed\. .*disk is full/,
    ],
  ])('%s', async (_, fill, words) => {
    await scenario.builder.run({ id: 'm' }, fill);
    await scenario.builder.run({ id: 'n' }, 'echo 2 >/c/file');
    await scenario.save('m\nn', 'k');
    const inputs = { 'cache-mounts': 'm\nn', key: 'k' };
    const injected = await runAction('inject', inputs);
    expect(injected).toMatchObject({ ...warned(words), outputs: { 'cache-hit': 'false' } });
    expect(injected.log).toMatch(/^restored +n /m);
    const show = 'cd /c; find . ! -name . >/out/result';
    expect(await engine.builder.run({ id: 'm' }, show)).toBe('');
    // The next job may have a builder with a larger disk.
    const healthy = await scenario.injectAnew(inputs);
    expect(healthy).toMatchObject({ outputs: { 'cache-hit': 'true' }, annotations: [] });
    // And there is room for other things still.
    await engine.builder.run({ id: 'm' }, 'echo 3 >/c/own');
  });

  test('that packing fills: a mount that was restored is kept as it was', async () => {
    const before = await scenario.builder.run({ id: 'm' }, `echo 1 >/c/file${listFiles}`);
    await scenario.builder.run({ id: 'n' }, 'echo 2 >/c/file');
    await scenario.save('m\nn', 'k-1');
    const job = await newJob();
    const inputs = { 'cache-mounts': 'm\nn', key: 'k-2', 'restore-keys': 'k-' };
    expect((await job.runAction('inject', inputs)).annotations).toEqual([]);
    await engine.builder.run(
      { id: 'm' },
      'dd if=/dev/urandom of=/c/big bs=1M count=60 2>/dev/null',
    );
    const extracted = await job.runAction('extract', {});
    expect(extracted).toMatchObject({
      ...warned(/The cache mount m could not be packed: what inject has restored is kept/),
      outputs: { saved: 'true' },
    });
    expect(extracted.log).toMatch(/^failed, kept as restored +m /m);
    expect(extracted.log).toMatch(/^unchanged +n /m);
    const next = await scenario.injectAnew({ 'cache-mounts': 'm\nn', key: 'k-2' });
    expect(next).toMatchObject({ outputs: { 'cache-hit': 'true' }, annotations: [] });
    expect(await scenario.builder.run({ id: 'm' }, listFiles)).toBe(before);
  });

  test('that packing fills: without a restored one, nothing is saved', async () => {
    await engine.builder.run(
      { id: 'm' },
      'echo 1 >/c/file; dd if=/dev/urandom of=/c/big bs=1M count=60 2>/dev/null',
    );
    await engine.builder.run({ id: 'n' }, 'echo 2 >/c/file');
    const inputs = { 'cache-mounts': 'm\nn', key: 'k' };
    const job = await newJob();
    expect(await job.runAction('extract', inputs)).toMatchObject({
      exitCode: 0,
      outputs: { saved: 'false', reason: expect.stringMatching(/^an entry without m would hide/) },
    });
    expect(scenario.service.keys()).toEqual([]);
    // What the build has left is there still, and is saved as soon as there is room.
    const after = await engine.builder.run({ id: 'm' }, `rm /c/big${listFiles}`);
    expect(await job.runAction('extract', inputs)).toMatchObject({
      outputs: { saved: 'true' },
      annotations: [],
    });
    await scenario.injectAnew(inputs);
    expect(await scenario.builder.run({ id: 'm' }, listFiles)).toBe(after);
  });
});

describe('a build whose RUN comes out of the layer cache', () => {
  let context: string;

  beforeEach(async () => {
    context = join(scenario.directory, 'context');
    await scenario.builder.copyTools(join(context, 'tools'));
    const dockerfile = [
      'FROM scratch',
      'COPY tools /',
      'RUN --mount=type=cache,id=m,target=/c ["/bin/sh", "-c", "echo built >>/c/file"]',
    ];
    await writeFile(join(context, 'Dockerfile'), `${dockerfile.join('\n')}\n`);
  });

  async function build(): Promise<string> {
    await docker(['buildx', 'build', '--provenance=false', '--network=none', context]);
    return scenario.builder.run({ id: 'm' }, listFiles);
  }

  test('saves the mount as it was restored, and nothing where it was not', async () => {
    const before = await build();
    expect(before).toContain('./file');
    await scenario.save('m', 'k-1');

    await scenario.builder.dropMounts();
    const job = await scenario.newJob();
    const inputs = { 'cache-mounts': 'm', key: 'k-2', 'restore-keys': 'k-' };
    await job.runAction('inject', inputs);
    expect(await build()).toBe(before);
    expect(await job.runAction('extract', {})).toMatchObject({
      outputs: { saved: 'true' },
      annotations: [],
    });

    await scenario.builder.dropMounts();
    const cold = await scenario.newJob();
    const missed = { 'cache-mounts': 'm', key: 'other' };
    expect((await cold.runAction('inject', missed)).annotations).toEqual([]);
    expect(await build()).not.toContain('./file');
    expect(await cold.runAction('extract', {})).toMatchObject({
      exitCode: 0,
      outputs: { saved: 'false', reason: expect.stringContaining('no mount holds any file') },
    });
    expect(scenario.service.keys()).toEqual(['k-1', 'k-2']);
    await scenario.injectAnew({ 'cache-mounts': 'm', key: 'k-2' });
    expect(await scenario.builder.run({ id: 'm' }, listFiles)).toBe(before);
  });
});

describe('two at once on one builder', () => {
  /** Runs two steps that come to the mount `m`, which is empty, at the same time. */
  async function race(...steps: ['inject' | 'extract', string][]): Promise<readonly StepResult[]> {
    const holder = await holdMount(scenario.builder, 'm', ':');
    let waiting = 0;
    let release = () => {};
    const areWaiting = new Promise<void>((resolve) => {
      release = resolve;
    });
    const results = Promise.all(
      steps.map(async ([action, key]) => {
        const job = await scenario.newJob();
        const onLog = (line: string) => {
          if (hasMounts.test(line) && ++waiting === steps.length) release();
        };
        return job.runAction(action, { 'cache-mounts': 'm', key }, { onLog });
      }),
    );
    await Promise.race([areWaiting, results]);
    await holder.release();
    return results;
  }

  test('injects of different entries fill a mount with exactly one of the two', async () => {
    const fill = (name: string) =>
      `cd /c; i=0; while [ $i -lt 300 ]; do echo ${name} >${name}$i; i=$((i+1)); done${listFiles}`;
    const listings: string[] = [];
    for (const name of ['a', 'b']) {
      listings.push(await scenario.builder.run({ id: 'm' }, fill(name)));
      await scenario.save('m', name);
      await scenario.builder.empty();
    }
    const results = await race(['inject', 'a'], ['inject', 'b']);
    for (const result of results) {
      expect(result).toMatchObject({ exitCode: 0, annotations: [] });
    }
    const logs = results.map(({ log }) => log).join('\n');
    expect(logs.match(/^restored +m /gm)).toHaveLength(1);
    expect(logs.match(/^already warm, left as it is +m$/gm)).toHaveLength(1);
    expect(listings).toContain(await scenario.builder.run({ id: 'm' }, listFiles));
  });

  test('inject and extract of one mount save it whole, or nothing', async () => {
    const before = await scenario.builder.run({ id: 'm' }, `${busy}${listFiles}`);
    await scenario.save('m', 'k');
    await scenario.builder.empty();
    const [injected, extracted] = await race(['inject', 'k'], ['extract', 'other']);
    expect(injected).toMatchObject({ outputs: { 'cache-hit': 'true' }, annotations: [] });
    expect(await scenario.builder.run({ id: 'm' }, listFiles)).toBe(before);
    // Which of the two was first is for BuildKit to say.
    expect(extracted?.exitCode).toBe(0);
    if (extracted?.outputs.saved === 'true') {
      await scenario.injectAnew({ 'cache-mounts': 'm', key: 'other' });
      expect(await scenario.builder.run({ id: 'm' }, listFiles)).toBe(before);
    } else {
      expect(extracted?.outputs.reason).toContain('no mount holds any file');
      expect(scenario.service.keys()).toEqual(['k']);
    }
  });
});

test('a build that holds a mount is waited for, and the log says what for', async () => {
  await scenario.builder.run({ id: 'm', options: 'sharing=locked' }, 'echo 1 >/c/file');
  const holder = await holdMount(scenario.builder, 'm');
  let isReleased: Promise<void> | undefined;
  const onLog = (line: string) => {
    if (/has said nothing for \d+ seconds: .* another build/.test(line)) {
      isReleased ??= holder.release();
    }
  };
  try {
    const inputs = { 'cache-mounts': 'm', key: 'k' };
    const result = await scenario.runAction('extract', inputs, { onLog });
    expect(result).toMatchObject({ exitCode: 0, outputs: { saved: 'true' }, annotations: [] });
    expect(isReleased).toBeDefined();
    expect(result.log).toMatch(/^packed +m +2 files /m);
  } finally {
    await (isReleased ?? holder.release());
  }
  await scenario.injectAnew({ 'cache-mounts': 'm', key: 'k' });
  const seen = await scenario.builder.run({ id: 'm' }, 'cd /c; cat file held >/out/result');
  expect(seen).toBe('1\nheld\n');
});
