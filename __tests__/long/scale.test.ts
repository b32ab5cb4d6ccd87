/**
 * Mounts of great size and number. These take many minutes and many gigabytes, and are run by hand
 * (`scripts/test --long`); FILES, GIGABYTES, MOUNTS and EXTRACTS make them smaller.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { expect, test } from '@jest/globals';
import { leftovers, useScenario } from '../support/scenario.js';
import { sayNotRun } from '../support/where-possible.js';

const scenario = useScenario();
const hour = 3_600_000;

function scale(name: string, standard: number): number {
  const given = process.env[name];
  const value = given === undefined ? standard : Number(given);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${name}: "${given}" is no number`);
  if (value < standard) sayNotRun(`${name} of ${standard}, only ${value}`);
  return value;
}

const count = {
  files: scale('FILES', 1_000_000),
  gigabytes: scale('GIGABYTES', 10),
  mounts: scale('MOUNTS', 200),
  extracts: scale('EXTRACTS', 200),
};

/** Through both actions, with an emptied builder between them. */
async function roundTrip(mounts: string): Promise<void> {
  const job = await scenario.newJob();
  const inputs = { 'cache-mounts': mounts, key: 'k', timeout: '60' };
  const saved = await job.runAction('extract', inputs, { silenceMs: hour });
  expect(saved).toMatchObject({ exitCode: 0, outputs: { saved: 'true' }, annotations: [] });
  expect(await leftovers(job)).toEqual([]);
  await scenario.builder.empty();
  const hit = await scenario.runAction('inject', inputs, { silenceMs: hour });
  expect(hit).toMatchObject({
    exitCode: 0,
    outputs: { 'cache-hit': 'true' },
    annotations: [],
  });
}

test(
  `${count.files} files`,
  async () => {
    // A thousand in a directory. What a file holds is its name.
    const fill = `cd /c; i=0; while [ $i -lt ${count.files} ]; do
      [ $((i % 1000)) != 0 ] || { dir=d$((i / 1000)); mkdir $dir; }
      echo $i >$dir/$i; i=$((i + 1)); done`;
    const list = `
      cd /c; find . -type f | grep -c . >/out/result
      find . -type d -printf '%y %m %U:%G %T@ %p\\n' | sort | sha256sum >>/out/result
      find . ! -type d -printf '%y %m %U:%G %s %T@ %p\\n' | sort | sha256sum >>/out/result
      find . -type f -exec cat {} + | sort | sha256sum >>/out/result`;
    const before = await scenario.builder.run({ id: 'm' }, `${fill}${list}`);
    expect(before).toMatch(new RegExp(`^${count.files}\n`));
    await roundTrip('m');
    expect(await scenario.builder.run({ id: 'm' }, list)).toBe(before);
  },
  hour,
);

test(
  `a sparse file of ${count.gigabytes} GB`,
  async () => {
    const size = count.gigabytes * 1024 ** 3;
    const middle = Math.floor(size / 2 / 65_536) * 65_536;
    const fill = `cd /c; truncate -s ${size} sparse
      for at in 0 ${middle} ${size - 4}; do printf data | dd of=sparse bs=1 seek=$at conv=notrunc 2>/dev/null; done`;
    const list = `
      cd /c; stat -c '%s %Y' sparse >/out/result
      for at in 0 ${middle} ${size - 4}; do dd if=sparse bs=1 skip=$at count=4 2>/dev/null; done >>/out/result`;
    const before = await scenario.builder.run({ id: 'm' }, `${fill}${list}`);
    expect(before).toMatch(new RegExp(`^${size} \\d+\ndatadatadata$`));
    await roundTrip('m');
    expect(await scenario.builder.run({ id: 'm' }, list)).toBe(before);
    const blocks = await scenario.builder.run({ id: 'm' }, 'stat -c %b /c/sparse >/out/result');
    expect(Number(blocks) * 512).toBeLessThan(1_000_000);
  },
  hour,
);

test(
  `${count.mounts} mounts`,
  async () => {
    const ids = Array.from({ length: count.mounts }, (_, index) => `m-${index}`);
    for (const id of ids) await scenario.builder.run({ id }, `echo ${id} >/c/file`);
    await roundTrip(ids.join('\n'));
    for (const id of ids) {
      expect(await scenario.builder.run({ id }, 'cat /c/file >/out/result')).toBe(`${id}\n`);
    }
  },
  hour,
);

test('names of 255 bytes, and directories 200 deep', async () => {
  const longest = { ascii: 'n'.repeat(255), 'three bytes a letter': '日'.repeat(85) };
  // Together just short of the longest path that a program can name in one call.
  const deep = 'd'.repeat(18);
  const fill = `cd /c; ${Object.values(longest)
    .map(
      (name) =>
        `echo long >${name}; mkdir d; echo long >d/${name}; mv d ${name.replace(/.$/u, '')}`,
    )
    .join('; ')}
    i=0; while [ $i -lt 200 ]; do mkdir ${deep}; cd ${deep}; i=$((i + 1)); done; echo deep >file`;
  const list = `cd /c; find . -printf '%y %m %T@ %d %f\\n' | sort >/out/result
    find . -type f -exec cat {} + | sort >>/out/result`;
  const before = await scenario.builder.run({ id: 'm' }, `${fill}\n${list}`);
  expect(before).toMatch(/ 201 file\n/);
  for (const name of Object.values(longest)) expect(before).toContain(` 1 ${name}\n`);
  await roundTrip('m');
  expect(await scenario.builder.run({ id: 'm' }, list)).toBe(before);
});

test(
  `${count.extracts} extracts under load, without a hang`,
  async () => {
    const before = 'echo 1 >/c/file; dd if=/dev/urandom of=/c/big bs=1M count=2 2>/dev/null';
    await scenario.builder.run({ id: 'm' }, before);
    const load: ChildProcess[] = [...cpus(), ...cpus()].map(() =>
      spawn('sh', ['-c', 'while kill -0 $PPID; do :; done'], { stdio: 'ignore' }),
    );
    try {
      const job = await scenario.newJob();
      for (let index = 0; index < count.extracts; index++) {
        const inputs = { 'cache-mounts': 'm', key: `k-${index}` };
        // (A step that takes longer than five minutes is killed and fails the test.)
        const result = await job.runAction('extract', inputs);
        expect(result).toMatchObject({ exitCode: 0, outputs: { saved: 'true' }, annotations: [] });
      }
      expect(await leftovers(job)).toEqual([]);
    } finally {
      for (const child of load) child.kill('SIGKILL');
      await Promise.all(
        load.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')),
      );
    }
  },
  4 * hour,
);
