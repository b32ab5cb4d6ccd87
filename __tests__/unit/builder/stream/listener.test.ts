/**
 * Archives between a listener and what runs in a RUN of the scratch build: the real stream.sh with this
 * machine's bash, tar and zstd, over real connections. Whoever else connects, and wherever a connection
 * breaks, an archive arrives whole and in time, or both sides know that it has not.
 */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  statfs,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  type Listener,
  type ListenerOptions,
  type Offer,
  startListener,
  type Transfer,
} from '../../../../src/builder/stream/listener.js';
import {
  createCredentials,
  createNonce,
  type Direction,
  type Endpoint,
  type PlannedLimits,
  prove,
  renderGreeting,
  renderPlan,
  trailerLength,
} from '../../../../src/builder/stream/protocol.js';
import { lastingProcessesWith } from '../../../support/processes.js';
import {
  carryWords,
  dial,
  greet,
  hear,
  hello,
  listenToEnd,
  packTree,
  type Running,
  type Side,
  say,
  serve,
  someday,
  start,
  stepBetween,
  streamScript,
  unpackTree,
  writePlan,
} from '../../../support/stream.js';
import { describeWhere } from '../../../support/where-possible.js';

const execute = promisify(execFile);

// Some wait for silence; how long that takes is no matter.
const directions: Direction[] = ['pack', 'unpack'];

let root: string;
let tree: string;
let archive: string;
let archived: { compressedBytes: number };

/** What compresses to about 6 MB. */
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'stream-'));
  tree = join(root, 'tree');
  await mkdir(join(tree, 'inner'), { recursive: true });
  await writeFile(join(tree, 'inner/random'), randomBytes(6 << 20));
  await writeFile(join(tree, 'text'), 'text '.repeat(1000));
  archive = join(root, 'archive');
  await execute('tar', ['-c', '-I', 'zstd -q -1', '-f', archive, '-C', tree, '.']);
  archived = { compressedBytes: (await stat(archive)).size };
});

afterAll(() => rm(root, { recursive: true }));

let work: string;
let refusals: string[];
let listener: Listener;
const toEnd: (() => unknown)[] = [];

async function listen(
  options: Partial<ListenerOptions> = {},
  signal?: AbortSignal,
  addresses = ['127.0.0.1'],
) {
  refusals = [];
  const onRefusal = (why: string) => {
    refusals.push(why);
  };
  listener = await startListener(addresses, signal, { onRefusal, ...options });
  toEnd.push(listener.close);
  return listener;
}

beforeEach(async () => {
  work = await mkdtemp(join(root, 'test-'));
  await mkdir(join(work, 'unpacked'));
});

afterEach(async () => {
  for (const end of toEnd.splice(0)) await end();
});

async function digest(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
}

const received = () => join(work, 'received');
const sumFile = () => join(work, 'sum');
const unpacked = () => join(work, 'unpacked');

function own(): Endpoint {
  const [endpoint] = listener.endpoints;
  if (endpoint === undefined) throw new Error('no endpoint');
  return endpoint;
}

function makeOffer(direction: Direction, file?: string): Offer {
  return direction === 'pack'
    ? listener.offerToTake(file ?? received())
    : listener.offerToGive(file ?? archive);
}

function planFor(
  offer: Offer,
  endpoint = own(),
  limits: Partial<PlannedLimits> = {},
): Promise<Side> {
  return writePlan(join(work, 'plan'), endpoint, offer, archived, limits);
}

/** For the end of a plan. */
function inSeconds(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds;
}

/** More than what waits in the sockets between the two sides and one who stands there. */
async function makeLarge(): Promise<string> {
  const large = join(work, 'large');
  await writeFile(large, randomBytes(32 << 20));
  return large;
}

/** Starts what a RUN does. */
function carry(direction: Direction, side: Side): Running {
  const running =
    direction === 'pack' ? packTree(side, tree, sumFile()) : unpackTree(side, unpacked());
  toEnd.push(() => running.process.kill('SIGKILL'));
  return running;
}

/** An archive that has been offered is carried as it is to be. */
async function expectWhole(direction: Direction, offer: Offer, endpoint = own()): Promise<void> {
  const running = carry(direction, await planFor(offer, endpoint));
  expect(await running.ended).toEqual({ code: 0, stdout: '', stderr: '' });
  await expectArrived(direction, offer);
}

async function expectArrived(direction: Direction, offer: Offer): Promise<void> {
  if (direction === 'pack') {
    const sha256 = await digest(received());
    expect(await offer.transfer).toEqual({
      kind: 'complete',
      bytes: (await stat(received())).size,
      sha256,
    });
    expect(await readFile(sumFile(), 'utf8')).toBe(`${sha256}\n`);
    await execute('tar', ['-x', '-I', 'zstd', '-f', received(), '-C', unpacked()]);
  } else {
    expect(await offer.transfer).toEqual({ kind: 'complete', bytes: archived.compressedBytes });
  }
  await execute('diff', ['-r', tree, unpacked()]);
}

/** Both sides know of it. */
async function expectFailed(running: Running, offer: Offer, why?: string): Promise<void> {
  const { code, stderr } = await running.ended;
  expect(code).not.toBe(0);
  expect(stderr).not.toBe('');
  expect(await offer.transfer).toEqual({
    kind: 'failed',
    why: why === undefined ? expect.any(String) : expect.stringContaining(why),
  });
}

describe.each(directions)('%s', (direction) => {
  beforeEach(async () => {
    await listen();
  });

  test('an archive goes through', () => expectWhole(direction, makeOffer(direction)));

  test('an archive that is smaller than what is kept back of it', async () => {
    const small = join(work, 'small');
    await writeFile(small, 'small');
    const sha256 = await digest(small);
    const offer = makeOffer(direction, direction === 'pack' ? undefined : small);
    const side = await writePlan(join(work, 'plan'), own(), offer, {
      compressedBytes: 5,
    });
    const command = direction === 'pack' ? ['printf', 'small'] : ['cat'];
    const { code, stdout } = await start('bash', carryWords(direction, side, command)).ended;
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: direction === 'pack' ? `${sha256}\n` : 'small',
    });
    expect(await offer.transfer).toMatchObject({ kind: 'complete', bytes: 5 });
  });

  test('nobody comes', async () => {
    const offer = makeOffer(direction);
    await listener.close();
    expect(await offer.transfer).toEqual({ kind: 'unused' });
    expect(await makeOffer(direction).transfer).toEqual({ kind: 'unused' });
    const { code } = await carry(direction, await planFor(offer)).ended;
    expect(code).not.toBe(0);
  });

  test('the keys are on no wire, and in no arguments and no environment', async () => {
    const log = join(work, 'calls');
    const programs = join(work, 'programs');
    await mkdir(programs);
    for (const name of ['head', 'sha256sum', 'tee', 'timeout']) {
      const { stdout } = await execute('which', [name]);
      const text = `#!/bin/sh\n{ echo "${name} $*"; env; } >>${log}\nexec ${stdout.trim()} "$@"\n`;
      await writeFile(join(programs, name), text, { mode: 0o755 });
    }
    const between = await stepBetween(own());
    toEnd.push(between.close);
    const offer = makeOffer(direction);
    const side = await planFor(offer, between.endpoint);
    const command = direction === 'pack' ? ['printf', 'archive'] : ['cat'];
    const { code } = await start('bash', carryWords(direction, side, command), {
      ...process.env,
      PATH: `${programs}:${process.env.PATH}`,
    }).ended;
    expect(code).toBe(0);
    const seen = `${between.heard()}${await readFile(log, 'utf8')}`;
    expect(seen).toContain(offer.name);
    expect(seen).toContain('sha256sum');
    expect(seen).not.toContain(offer.innerKey);
    expect(seen).not.toContain(offer.outerKey);
  });
});

describe.each(directions)('%s: whoever else connects is refused, and does no harm', (direction) => {
  let offer: Offer;

  beforeEach(async () => {
    await listen();
    offer = makeOffer(direction);
  });

  const attacks: Record<string, (offer: Offer) => Promise<string>> = {
    'another protocol': () => say(own(), 'GET / HTTP/1.1\r\n\r\n'),
    'what is no text': () => say(own(), `${'\0'.repeat(100)}\n`),
    'a line without an end': () => say(own(), 'a'.repeat(1000)),
    nothing: () => say(own(), ''),
    'half a greeting': ({ name }) => say(own(), hello(direction, name).slice(0, -1)),
    'an archive that is not offered': () => say(own(), hello(direction, '0'.repeat(32))),
    'the other direction': ({ name }) =>
      say(own(), hello(direction === 'pack' ? 'unpack' : 'pack', name)),
    'a nonce that is too short': ({ name }) => say(own(), hello(direction, name, 'a')),
  };

  test.each(Object.entries(attacks))('%s', async (_, attack) => {
    expect(await attack(offer)).toBe('');
    expect(refusals).toHaveLength(1);
    await expectWhole(direction, offer);
  });

  /** What is said after the listener has proven itself. */
  const answers: Record<string, (offer: Offer, proof: string) => string | Promise<string>> = {
    'no proof': () => '',
    'no proof, but an archive': () => '\x28\xb5\x2f\xfd'.repeat(100),
    'half a proof': (_, proof) => proof.slice(1),
    'a proof that never ends': (_, proof) => proof,
    'a wrong proof': () => `${'0'.repeat(64)}\n`,
    'the proof of the listener': async (each) =>
      `${prove({ ...(await greet(own(), direction, each)).session }, 'listener')}\n`,
    'a proof of another connection': async (each) =>
      `${(await greet(own(), direction, each)).proof}\n`,
    'a proof for another archive': async () =>
      `${(await greet(own(), direction, makeOffer(direction))).proof}\n`,
  };

  test.each(Object.entries(answers))('%s', async (_, answer) => {
    const { socket, proof } = await greet(own(), direction, offer);
    socket.write(await answer(offer, proof), 'latin1');
    expect(await listenToEnd(socket)).toBe('');
    expect(refusals.length).toBeGreaterThan(0);
    await expectWhole(direction, offer);
  });

  test('the proof of the listener, thrown back', async () => {
    const socket = await dial(own());
    socket.write(hello(direction, offer.name));
    const [, proof] = (await hear(socket)).split(' ');
    socket.write(`${proof}`);
    expect(await listenToEnd(socket)).toBe('');
    await expectWhole(direction, offer);
  });

  test('a second connection, before the first has ended and after', async () => {
    if (direction === 'unpack') offer = makeOffer(direction, await makeLarge());
    const first = await greet(own(), direction, offer);
    const second = await greet(own(), direction, offer);
    first.socket.write(`${first.proof}\n`);
    if (direction === 'unpack') await hear(first.socket);
    else first.socket.write('archive');
    first.socket.pause();
    await say(own(), hello(direction, offer.name)); // it is seen that the first has come through
    second.socket.write(`${second.proof}\n`);
    expect(await listenToEnd(second.socket)).toBe('');
    expect(await say(own(), hello(direction, offer.name))).toBe('');
    first.socket.destroy();
    await expectFailed(carry(direction, await planFor(offer)), offer);
    expect(refusals.filter((why) => why.includes('already')).length).toBeGreaterThanOrEqual(3);
  });

  test('a flood of connections that say nothing', async () => {
    const sockets = Array.from({ length: 300 }, () => dial(own()));
    toEnd.push(async () => {
      for (const socket of sockets) (await socket).destroy();
    });
    await Promise.all(sockets.slice(0, 200));
    await expectWhole(direction, offer);
    expect(refusals.length).toBeGreaterThan(100);
    expect(refusals).toContain('too many knock');
  });
});

test('of connections that say nothing, no more are kept at several addresses than at one', async () => {
  const addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];
  await listen({ maximumGreeting: 8, patience: 60 * 60_000 }, undefined, addresses);
  const { endpoints } = listener;
  const all = await Promise.all(Array.from({ length: 150 }, () => endpoints.map(dial)).flat());
  toEnd.push(() => {
    for (const socket of all) socket.destroy();
  });
  let [seen, now] = [-1, 0];
  while (now > seen) {
    seen = now;
    await delay(2000);
    now = refusals.length;
  }
  expect(now).toBe(all.length - 8);
});

describe.each(directions)('%s: a RUN says nothing to a listener that is not ours', (direction) => {
  /** What a stranger answers. */
  const strangers: Record<string, (offer: Offer, line: string) => string | Promise<string>> = {
    'another protocol': () => 'HTTP/1.1 400 Bad Request\r\n\r\n',
    nothing: () => '',
    'half a greeting': () => createNonce(),
    'a line without an end': () => 'a'.repeat(1000),
    'a wrong proof': () => `${createNonce()} ${createNonce()}\n`,
    'what it was told': (_, line) => `${line}\n`,
    'a greeting of another connection': async (offer) => {
      const socket = await dial(own());
      socket.write(hello(direction, offer.name));
      return hear(socket);
    },
    'a proof with keys of its own': (offer, line) =>
      renderGreeting({
        ...createCredentials(),
        name: offer.name,
        direction,
        runNonce: line.trim().slice(-64),
        listenerNonce: createNonce(),
      }),
  };

  test.each(Object.entries(strangers))('%s', async (_, answer) => {
    await listen();
    const offer = makeOffer(direction);
    let heard = '';
    const stranger = await serve((socket) => {
      socket.on('data', async (chunk) => {
        heard += chunk;
        socket.write(await answer(offer, String(chunk)));
      });
    });
    toEnd.push(stranger.close);
    const { code, stderr } = await carry(direction, await planFor(offer, stranger.endpoint)).ended;
    expect(code).not.toBe(0);
    expect(stderr).toContain('The archive cannot go straight through: the listener');
    expect(heard).toMatch(/^buildkit-cache-mounts\/1 (pack|unpack) [0-9a-f]{32} [0-9a-f]{64}\n$/);
    expect(await readdir(unpacked())).toEqual([]);
    await expectWhole(direction, offer);
  });
});

describe.each(directions)('%s: one who stands between the two', (direction) => {
  const sender = direction === 'pack' ? 'run' : 'listener';

  beforeEach(async () => {
    await listen();
  });

  test('and passes on what they say: the archive goes through', async () => {
    const between = await stepBetween(own());
    toEnd.push(between.close);
    await expectWhole(direction, makeOffer(direction), between.endpoint);
  });

  test.each([0, 1_000_000, 2_500_000])(
    'and changes the archive behind %i bytes: it is not used',
    async (place) => {
      const block = 1 << 20;
      await listen({ block });
      let passed = 0;
      const between = await stepBetween(own(), {
        onData: (from, chunk) => {
          if (from !== sender) return chunk;
          const at = place + 500 - passed;
          passed += chunk.length;
          if (at >= 0 && at < chunk.length) chunk[at] = (chunk[at] ?? 0) ^ 1;
          return chunk;
        },
      });
      toEnd.push(between.close);
      const offer = makeOffer(direction);
      const side = await planFor(offer, between.endpoint, { block });
      const { code } = await carry(direction, side).ended;
      expect(code).not.toBe(0);
      // The listener cannot know what became of what it has sent.
      if (direction === 'pack') {
        expect(await offer.transfer).toEqual({
          kind: 'failed',
          why: 'what came is not what was sent',
        });
      }
    },
  );

  test.each([...Array(10).keys()])(
    'and cuts the connection in the %ith tenth of it: both sides know',
    async (tenth) => {
      let passed = 0;
      const at = Math.floor(((tenth + 0.5) * archived.compressedBytes) / 10);
      const between = await stepBetween(own(), {
        onData: (from, chunk, cut) => {
          if (from === sender) passed += chunk.length;
          if (passed > at) cut();
          return chunk;
        },
      });
      toEnd.push(between.close);
      const offer = makeOffer(direction);
      const running = carry(direction, await planFor(offer, between.endpoint));
      const { code } = await running.ended;
      expect(code).not.toBe(0);
      expect(direction === 'pack' ? ['failed'] : ['failed', 'complete']).toContain(
        (await offer.transfer).kind,
      );
    },
  );

  test('and lets nothing more through, and does not end the connection: the RUN ends', async () => {
    let passed = 0;
    const between = await stepBetween(own(), {
      pause: (from, chunk) => {
        if (from === sender) passed += chunk.length;
        return passed > 1_000_000 ? Number.POSITIVE_INFINITY : 0;
      },
    });
    toEnd.push(between.close);
    const large = await makeLarge();
    const offer = makeOffer(direction, direction === 'pack' ? received() : large);
    const side = await planFor(offer, between.endpoint, { silence: 1 });
    const command = direction === 'pack' ? ['cat', large] : ['tail', '-c', '1'];
    const { code, stderr } = await start('bash', carryWords(direction, side, command)).ended;
    expect(code).not.toBe(0);
    if (direction === 'pack')
      expect(stderr).toContain('The other side has been silent for 1 seconds.');
    expect(stderr).toContain('it was cut off, or is not what it should be');
  });

  test('and is slow, but not silent: the archive goes through', async () => {
    // All of it takes longer than silence may, but no block does.
    const block = 300_000;
    await listen({ block });
    const between = await stepBetween(own(), {
      pause: (from, chunk) => (from === sender && chunk.length > 1000 ? 60 : 0),
    });
    toEnd.push(between.close);
    const offer = makeOffer(direction);
    const side = await planFor(offer, between.endpoint, { silence: 3, block });
    expect(await carry(direction, side).ended).toMatchObject({ code: 0, stderr: '' });
    await expectArrived(direction, offer);
  });

  test('and lets little through at a time, without end: the RUN ends in time', async () => {
    const between = await stepBetween(own(), {
      pause: (from, chunk) => (from === sender && chunk.length > 1000 ? 500 : 0),
    });
    toEnd.push(between.close);
    const large = await makeLarge();
    const offer = makeOffer(direction, direction === 'pack' ? received() : large);
    const content = { compressedBytes: 32 << 20 };
    const limits = { until: inSeconds(3) };
    const plan = join(work, 'plan');
    const side = await writePlan(plan, between.endpoint, offer, content, limits);
    const command = direction === 'pack' ? ['cat', large] : ['tail', '-c', '1'];
    const { code, stderr } = await start('bash', carryWords(direction, side, command)).ended;
    expect(code).not.toBe(0);
    expect(stderr).toContain('the time for it is over');
  });

  test('and keeps the last word to itself, and the connection open', async () => {
    const between = await stepBetween(own(), {
      onData: (from, chunk) =>
        from === 'listener' && String(chunk).startsWith('good ') ? Buffer.alloc(0) : chunk,
      pause: (from, chunk) =>
        from === 'listener' && String(chunk).startsWith('good ') ? Number.POSITIVE_INFINITY : 0,
    });
    toEnd.push(between.close);
    for (const limits of [{ silence: 1 }, { until: inSeconds(3) }]) {
      const offer = makeOffer('pack', join(work, Object.keys(limits).join()));
      const running = carry('pack', await planFor(offer, between.endpoint, limits));
      expect((await running.ended).code).not.toBe(0);
      expect(await readFile(sumFile(), 'utf8')).toBe('');
    }
  });

  test('and keeps the last word to itself', async () => {
    const between = await stepBetween(own(), {
      onData: (from, chunk, cut) => {
        // The greeting of the listener is longer.
        if (from === 'listener' && String(chunk).startsWith('good ')) cut();
        return chunk;
      },
    });
    toEnd.push(between.close);
    const offer = makeOffer('pack');
    const running = carry('pack', await planFor(offer, between.endpoint));
    expect((await running.ended).code).not.toBe(0);
    expect(await readFile(sumFile(), 'utf8')).toBe('');
  });
});

describe('one who stands between the two, and gives a RUN what is not the archive', () => {
  const block = 1 << 20;

  /** @returns how the RUN ends, and what it has passed on to the program that would unpack it */
  async function unpackWith(change: (chunk: Buffer, passed: number) => Buffer) {
    await listen({ block });
    let passed = 0;
    const between = await stepBetween(own(), {
      onData: (from, chunk) => {
        if (from !== 'listener') return chunk;
        const changed = change(chunk, passed);
        passed += chunk.length;
        return changed;
      },
    });
    toEnd.push(between.close);
    const side = await planFor(makeOffer('unpack'), between.endpoint, { block });
    const copy = join(work, 'copy');
    const words = carryWords('unpack', side, ['tee', copy]);
    const { code } = await start('bash', words).ended;
    return { code, passedOn: await readFile(copy) };
  }

  test('not a byte of a block that is not proven is passed on', async () => {
    // A block, the proof of the next, and a little of it.
    const at = 1_200_000;
    const { code, passedOn } = await unpackWith((chunk, passed) => {
      const place = at - passed;
      if (place >= 0 && place < chunk.length) chunk[place] = (chunk[place] ?? 0) ^ 1;
      return chunk;
    });
    expect(code).not.toBe(0);
    expect(passedOn.equals((await readFile(archive)).subarray(0, block))).toBe(true);
  });

  test.each<[string, (chunk: Buffer, passed: number) => Buffer]>([
    ['other bytes, with another proof', () => Buffer.from(`${'0'.repeat(64)}\nforged`)],
    [
      'other bytes, without an end',
      (chunk) => Buffer.from(`${'0'.repeat(64)}\n${'forged'.repeat(chunk.length)}`),
    ],
    ['a proof without an end', (chunk) => Buffer.alloc(chunk.length, 'a')],
  ])('%s', async (_, change) => {
    // The greeting passes.
    const { code, passedOn } = await unpackWith((chunk, passed) =>
      passed === 0 ? chunk : change(chunk, passed),
    );
    expect(code).not.toBe(0);
    expect(passedOn).toHaveLength(0);
    // What has come is no more than a block.
    const unproven = await stat(join(work, '0')).catch(() => ({ size: 0 }));
    expect(unproven.size).toBeLessThanOrEqual(block);
  });

  test.each([
    ['twice', [0, 0], block],
    ['too early', [1, 0], 0],
  ])('a block %s', async (_, order, expected) => {
    let all = Buffer.alloc(0);
    let sent = 0;
    const length = 65 + block;
    const { code, passedOn } = await unpackWith((chunk, passed) => {
      if (passed === 0) return chunk;
      all = Buffer.concat([all, chunk]);
      if (all.length < 2 * length || sent++ > 0) return Buffer.alloc(0);
      return Buffer.concat(order.map((each) => all.subarray(each * length, (each + 1) * length)));
    });
    expect(code).not.toBe(0);
    expect(passedOn).toHaveLength(expected);
  });
});

test.each(['listener', 'run', 'block', 'sent', 'good'])(
  'if a RUN cannot make one half of the proof "%s", nothing goes through, and nobody sees the other half',
  async (role) => {
    await listen();
    const { stdout } = await execute('which', ['sha256sum']);
    const programs = join(work, 'programs');
    await mkdir(programs);
    // The inner half is told by what is read for it.
    const script = `#!/bin/sh
cat >'${work}/'$$
if grep -q -a -F '/1 ${role} ' '${work}/'$$; then exit 1; fi
exec ${stdout.trim()} <'${work}/'$$
`;
    await writeFile(join(programs, 'sha256sum'), script, { mode: 0o755 });
    const between = await stepBetween(own());
    toEnd.push(between.close);
    const direction = role === 'sent' || role === 'good' ? 'pack' : 'unpack';
    const offer = makeOffer(direction);
    const side = await planFor(offer, between.endpoint);
    const copy = join(work, 'copy');
    const command = direction === 'pack' ? ['printf', 'archive'] : ['tee', copy];
    const env = { ...process.env, PATH: `${programs}:${process.env.PATH}` };
    const running = start('bash', carryWords(direction, side, command), env);
    const { code, stdout: told } = await running.ended;
    expect({ code, told }).toEqual({ code: 1, told: '' });
    if (existsSync(copy)) expect(await readFile(copy, 'utf8')).toBe('');
    const half = createHash('sha256').update(offer.outerKey).digest('hex');
    expect(between.heard()).not.toContain(half);
  },
);

test('if a RUN can open no pipe, it takes no proof for right, and sends none', async () => {
  const [functions] = (await readFile(streamScript, 'utf8')).split('\naction=');
  const file = join(work, 'functions');
  await writeFile(file, functions ?? '');
  // With these four files, it can open nothing more.
  const script = `. ${file}
direction=unpack name=n run_nonce=r listener_nonce=l inner_key=i outer_key=o
half=$(printf o | digest)
exec 3</dev/null
ulimit -n 4
is_proven block '' 1 && echo nothing
is_proven block "$half" 1 && echo half
prove block 1 && echo proof
digest </dev/null && echo digest
silence=1
send true
echo end`;
  const { stdout } = await start('bash', ['-c', script]).ended;
  expect(stdout).toBe('end\n');
});

describe('what fails on one side', () => {
  test('an archive that the RUN cannot make is not taken', async () => {
    await listen();
    const offer = makeOffer('pack');
    await expectFailed(packTree(await planFor(offer), tree, sumFile(), 'false'), offer, 'cut');
    // What has stopped without an error, tar finds out.
    const other = makeOffer('pack', join(work, 'other'));
    const stopped = packTree(await planFor(other), tree, sumFile(), 'head -c 1000000');
    expect((await stopped.ended).code).not.toBe(0);
  });

  test('an archive that is not there, or shorter than planned, is not used', async () => {
    await listen({ block: 8 });
    const short = join(work, 'short');
    await writeFile(short, 'eleven byte');
    for (const file of [join(work, 'missing'), short]) {
      const offer = makeOffer('unpack', file);
      const planned = { compressedBytes: 14 };
      const side = await writePlan(join(work, 'plan'), own(), offer, planned, { block: 8 });
      const { code } = await start('bash', carryWords('unpack', side, ['cat'])).ended;
      expect(code).not.toBe(0);
    }
  });

  test.each([
    ['pack', ['sh', '-c', 'sleep 1000; cat']],
    ['unpack', ['sleep', '1000']],
  ] as const)(
    '%s: a RUN whose own programs stand still ends in time',
    async (direction, command) => {
      const block = 300_000;
      await listen({ block });
      const offer = makeOffer(direction);
      const side = await planFor(offer, own(), { until: inSeconds(3), block });
      const { code, stderr } = await start('bash', carryWords(direction, side, command)).ended;
      expect(code).not.toBe(0);
      expect(stderr).toContain('the time for it is over');
    },
  );

  test('a program that does not hear that the time is over is killed', async () => {
    await listen();
    const offer = makeOffer('pack');
    const side = await planFor(offer, own(), { until: inSeconds(3) });
    const mark = join(work, 'deaf');
    const lines = `trap '' TERM; for _ in {1..100}; do sleep 1; done # ${mark}`;
    const run = start('bash', carryWords('pack', side, ['bash', '-c', lines]));
    // It would keep the output open.
    const [code] = await once(run.process, 'exit');
    expect(code).not.toBe(0);
    expect(await lastingProcessesWith(mark)).toEqual([]);
  });

  test('a RUN that is killed', async () => {
    await listen();
    for (const direction of directions) {
      const offer = makeOffer(direction, direction === 'unpack' ? await makeLarge() : undefined);
      const { socket, proof } = await greet(own(), direction, offer);
      socket.write(`${proof}\n`);
      if (direction === 'unpack') await hear(socket);
      else socket.write(randomBytes(100_000));
      socket.resetAndDestroy();
      expect(await offer.transfer).toMatchObject({ kind: 'failed' });
    }
  });

  test.each(directions)('a RUN that has become silent: %s', async (direction) => {
    await listen({ silence: 200 });
    const large = join(work, 'large');
    await writeFile(large, Buffer.alloc(64 << 20));
    const offer = makeOffer(direction, direction === 'pack' ? undefined : large);
    const { socket, proof } = await greet(own(), direction, offer);
    toEnd.push(() => socket.destroy());
    socket.write(`${proof}\n`);
    socket.pause();
    expect(await offer.transfer).toEqual({
      kind: 'failed',
      why: 'nothing came through for 0.2 seconds',
    });
  });

  test('a connection that the RUN has closed is not left open', async () => {
    const open = () => process.getActiveResourcesInfo().filter((each) => each === 'TCPSocketWrap');
    const before = open();
    await listen();
    const offer = makeOffer('pack');
    const { socket, proof } = await greet(own(), 'pack', offer);
    socket.write(`${proof}\narchive`);
    await say(own(), hello('pack', offer.name)); // it is seen that the archive has begun
    socket.destroy();
    expect(await offer.transfer).toMatchObject({ kind: 'failed' });
    await listener.close();
    for (let wait = 0; wait < 100 && open().length > before.length; wait++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(open()).toEqual(before);
  });

  test('a RUN that stands still is not cut off by itself: only the other side can be silent', async () => {
    await listen();
    // Longer than a busy machine keeps the step from its answers.
    const silence = 4;
    const standStill = async (direction: Direction) => {
      const offer = makeOffer(direction);
      const side = await writePlan(join(work, direction), own(), offer, archived, { silence });
      const then = direction === 'pack' ? 'echo' : 'cat >/dev/null';
      const command = ['sh', '-c', `sleep ${silence + 4}; ${then}`];
      const { code, stderr } = await start('bash', carryWords(direction, side, command)).ended;
      expect({ direction, code, stderr }).toEqual({ direction, code: 0, stderr: '' });
      expect(await offer.transfer).toMatchObject({ kind: 'complete' });
    };
    await Promise.all(directions.map(standStill));
  });

  test('a RUN that reads slowly gets all of it', async () => {
    // All of it takes longer than silence may.
    await listen({ silence: 4000 });
    const offer = makeOffer('unpack');
    const lines = 'while head -c 200000 | grep -q .; do sleep 0.1; done; exit 0';
    const side = await planFor(offer);
    const words = carryWords('unpack', side, ['sh', '-c', lines]);
    const { code } = await start('bash', words).ended;
    expect(code).toBe(0);
    expect(await offer.transfer).toEqual({ kind: 'complete', bytes: archived.compressedBytes });
  });

  test.each(directions)('the step ends: %s', async (direction) => {
    const controller = new AbortController();
    await listen({}, controller.signal);
    const offer = makeOffer(direction, direction === 'unpack' ? await makeLarge() : undefined);
    const other = makeOffer(direction);
    // Before the listener has the proof, which the archive follows at once, nothing has begun.
    const hasBegun = () => direction === 'unpack' || existsSync(received());
    const between = await stepBetween(own(), {
      onData: (_, chunk) => {
        if (chunk.length > 1000 && hasBegun()) controller.abort();
        return chunk;
      },
      pause: (_, chunk) => (chunk.length > 1000 ? 10 : 0),
    });
    toEnd.push(between.close);
    await expectFailed(
      carry(direction, await planFor(offer, between.endpoint)),
      offer,
      'the build has ended',
    );
    expect(await other.transfer).toEqual({ kind: 'unused' });
    expect((await dial(own())).destroyed).toBe(true);
  });
});

describeWhere(process.getuid?.() === 0, 'root, which may become another user')(
  'a RUN that may not see what goes through',
  () => {
    test('it ends', async () => {
      await listen();
      await chmod(root, 0o755);
      await chmod(work, 0o777);
      // What a user may not read, of that he sees nothing when he runs it.
      const { stdout } = await execute('which', ['tee']);
      await copyFile(stdout.trim(), join(work, 'tee'));
      await chmod(join(work, 'tee'), 0o711);
      await copyFile(streamScript, join(work, 'stream.sh'));
      const side = await planFor(makeOffer('pack'));
      await chmod(side.plan, 0o644);
      const [, ...words] = carryWords('pack', side, ['sh', '-c', 'sleep 20; cat']);
      const user = ['--reuid=65534', '--regid=65534', '--clear-groups'];
      const env = { ...process.env, PATH: `${work}:${process.env.PATH}` };
      const command = [...user, 'bash', join(work, 'stream.sh'), ...words];
      const { code, stderr } = await start('setpriv', command, env).ended;
      expect(code).not.toBe(0);
      expect(stderr).toContain('What goes through cannot be seen.');
    });
  },
);

/** Mounts a disk of a size on a directory; only root may. */
async function mountDisk(size: string, directory = join(work, 'disk')): Promise<string> {
  await mkdir(directory, { recursive: true });
  await execute('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', directory]);
  // A connection may still write when a test ends.
  toEnd.push(() => execute('umount', ['-l', directory]));
  return directory;
}

describeWhere(process.getuid?.() === 0, 'root, for a file system that is full')(
  'a full disk',
  () => {
    test('of the runner: the RUN hears of it, and the others go on', async () => {
      const disk = await mountDisk('1m');
      await listen({ reserve: 0 });
      const offer = makeOffer('pack', join(disk, 'received'));
      await expectFailed(carry('pack', await planFor(offer)), offer, 'ENOSPC');
      await expectWhole('pack', makeOffer('pack'));
    });

    test('of the runner: it is not filled to the brim by what does not end', async () => {
      const disk = await mountDisk('128m');
      await listen({ reserve: 64 << 20 });
      const offer = makeOffer('pack', join(disk, 'received'));
      const running = start('bash', carryWords('pack', await planFor(offer), ['cat', '/dev/zero']));
      await expectFailed(running, offer, "the runner's disk would be full");
      expect(await readdir(disk)).toEqual([]);
    });

    test('of the runner: nor by several that send a little each', async () => {
      const disk = await mountDisk('128m');
      await listen({ reserve: 64 << 20 });
      const transfers: Transfer[] = [];
      for (let index = 0; index < 10; index++) {
        const file = join(disk, `${index}`);
        const offer = makeOffer('pack', file);
        const { socket, proof } = await greet(own(), 'pack', offer);
        toEnd.push(() => socket.destroy());
        socket.write(`${proof}\n`);
        // What may be the trailer is kept back.
        socket.write(Buffer.alloc((15 << 20) + trailerLength));
        const isEnded = offer.transfer.then((transfer) => transfers.push(transfer));
        while (((await stat(file).catch(() => undefined))?.size ?? 0) < 15 << 20) {
          if (await Promise.race([isEnded, delay(10)])) break;
        }
      }
      expect(transfers).toContainEqual({
        kind: 'failed',
        why: "the runner's disk would be full",
      });
      const { bavail, bsize } = await statfs(disk);
      expect(bavail * bsize).toBeGreaterThan((64 - 16) << 20);
    });

    test('of the builder: the listener is not held up', async () => {
      await mountDisk('1m', unpacked());
      await listen();
      const offer = makeOffer('unpack');
      const { code } = await carry('unpack', await planFor(offer)).ended;
      expect(code).not.toBe(0);
      expect(['failed', 'complete']).toContain((await offer.transfer).kind);
    });
  },
);

describe('a RUN looks for the listener', () => {
  const find = async (endpoints: Endpoint[], offer: Offer, direction: Direction = 'pack') => {
    const plan = join(work, 'plan');
    await writeFile(plan, renderPlan(endpoints, [offer], { until: someday }));
    return start('bash', [streamScript, 'find', direction, plan]).ended;
  };

  test('and finds it behind strangers and closed doors', async () => {
    await listen();
    const closed = await serve(() => undefined);
    await closed.close();
    const silent = await serve(() => undefined);
    toEnd.push(silent.close);
    const offer = makeOffer('pack');
    const { address, port } = own();
    expect(await find([closed.endpoint, silent.endpoint, own()], offer)).toMatchObject({
      code: 0,
      stdout: `${address} ${port}\n`,
    });
    await expectWhole('pack', offer);
  });

  test('and is not held up by one that takes no connection', async () => {
    // A process that has been stopped accepts nothing; what it has no room for waits to connect.
    const code =
      "require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () { console.log(this.address().port) })";
    const stopped = start(process.execPath, ['-e', code]);
    toEnd.push(() => stopped.process.kill('SIGKILL'));
    const [text] = stopped.process.stdout ? await once(stopped.process.stdout, 'data') : [];
    const endpoint = { address: '127.0.0.1', port: Number(text) };
    stopped.process.kill('SIGSTOP');
    for (let count = 0; count < 4; count++) {
      const socket = dial(endpoint);
      toEnd.push(async () => {
        stopped.process.kill('SIGKILL');
        (await socket).destroy();
      });
    }
    await listen();
    const offer = makeOffer('pack');
    expect(await find([endpoint], offer)).toMatchObject({ code: 1, stdout: '' });
    expect(await find([endpoint, own()], offer)).toMatchObject({ code: 0 });
  });

  test('over IPv6 too', async () => {
    refusals = [];
    const other = await startListener(['::1', '192.0.2.1']).catch(() => undefined);
    if (other === undefined) return; // there is none here
    toEnd.push(other.close);
    listener = other;
    expect(other.endpoints).toEqual([{ address: '::1', port: expect.any(Number) }]);
    const offer = makeOffer('pack');
    expect(await find([...other.endpoints], offer)).toMatchObject({ code: 0 });
    await expectWhole('pack', offer);
  });

  test('and there must be an address of this machine', async () => {
    await expect(startListener(['192.0.2.1'])).rejects.toThrow('at no address of this machine');
  });
});
