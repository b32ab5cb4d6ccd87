import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Offer } from '../../src/builder/stream/listener.js';
import {
  type Direction,
  type Endpoint,
  type PlannedContent,
  type PlannedLimits,
  protocol,
  prove,
  renderPlan,
  type Session,
} from '../../src/builder/stream/protocol.js';

/** What carries archives in a RUN. */
export const streamScript = join(
  dirname(fileURLToPath(import.meta.url)),
  '../../src/builder/in-builder/stream.sh',
);

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
}

/** Runs a command of this machine; where it is a RUN of a build, that has the same programs. */
export function start(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Running {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const ended = once(child, 'close').then(([code]): Ended => ({ code, stdout, stderr }));
  return { process: child, ended };
}

/** The RUN's side of an archive: where its plan is, and where it connects to. */
export interface Side {
  readonly plan: string;
  readonly endpoint: Endpoint;
}

/** When no test runs any more. */
export const someday = 2 ** 40;

/** Writes a plan with one archive. */
export async function writePlan(
  plan: string,
  endpoint: Endpoint,
  offer: Offer,
  content?: PlannedContent,
  limits: Partial<PlannedLimits> = {},
): Promise<Side> {
  const { name, innerKey, outerKey } = offer;
  const archive = { name, innerKey, outerKey, ...(content && { content }) };
  await writeFile(plan, renderPlan([endpoint], [archive], { until: someday, ...limits }));
  return { plan, endpoint };
}

/** What carries the first archive of a plan; what is not yet proven is kept beside the plan. */
export function carryWords(
  direction: Direction,
  { plan, endpoint }: Side,
  command: readonly string[],
): string[] {
  const place = [plan, '0', endpoint.address, String(endpoint.port)];
  const directory = direction === 'unpack' ? [dirname(plan)] : [];
  return [streamScript, 'carry', direction, ...place, ...directory, ...command];
}

/** As the scripts in the builder do it: GNU tar starts what carries the archive as its compressor. */
function compressor(direction: Direction, side: Side, command: string): string {
  return ['bash', ...carryWords(direction, side, [command])].join(' ');
}

/** @param sum where the digest of what was sent is put */
export function packTree(
  side: Side,
  tree: string,
  sum: string,
  command = 'zstd -q -T0 -1',
): Running {
  return start('tar', ['-c', '-I', compressor('pack', side, command), '-f', sum, '-C', tree, '.']);
}

export function unpackTree(side: Side, tree: string, command = 'zstd -q'): Running {
  // Tar wants a file to open; what is in it is not read.
  const args = ['-x', '-I', compressor('unpack', side, command), '-f', side.plan, '-C', tree];
  return start('tar', args);
}

/** Says something on a new connection, and whatever the answer, listens until it is ended. */
export async function say(endpoint: Endpoint, text: string): Promise<string> {
  const socket = await dial(endpoint);
  socket.write(text);
  return listenToEnd(socket);
}

export async function dial({ address, port }: Endpoint): Promise<Socket> {
  const socket = connect(port, address);
  // What ends it early is what the tests are about.
  socket.on('error', () => undefined);
  await new Promise((resolve) => {
    socket.once('connect', resolve);
    socket.once('close', resolve);
  });
  return socket;
}

export async function listenToEnd(socket: Socket): Promise<string> {
  let heard = '';
  socket.on('data', (chunk) => {
    heard += chunk.toString('latin1');
  });
  if (!socket.destroyed) await once(socket, 'close');
  return heard;
}

/** The next that is heard, which is short enough to come in one piece. */
export async function hear(socket: Socket): Promise<string> {
  const [chunk] = await once(socket, 'data');
  return String(chunk);
}

export const runNonce = 'a'.repeat(64);

export function hello(direction: Direction, name: string, nonce = runNonce): string {
  return `${protocol} ${direction} ${name} ${nonce}\n`;
}

/** Greets as a RUN does that knows the keys, but for its proof. */
export async function greet(
  endpoint: Endpoint,
  direction: Direction,
  offer: Offer,
): Promise<{ socket: Socket; session: Session; proof: string }> {
  const socket = await dial(endpoint);
  socket.write(hello(direction, offer.name));
  const [listenerNonce = ''] = (await hear(socket)).split(' ');
  const session = { ...offer, direction, runNonce, listenerNonce };
  return { socket, session, proof: prove(session, 'run') };
}

/** A server of ours at a random port of the loopback. */
export async function serve(
  converse: (socket: Socket) => void,
): Promise<{ endpoint: Endpoint; close: () => Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    converse(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const found = server.address();
  const port = found !== null && typeof found === 'object' ? found.port : 0;
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return { endpoint: { address: '127.0.0.1', port }, close };
}

/** What may happen to the bytes between the two sides; the side that sends is named. */
export interface Between {
  readonly onData?: (from: 'run' | 'listener', chunk: Buffer, cut: () => void) => Buffer;
  /** For how many milliseconds nothing more is passed on after a chunk; Infinity: never again. */
  readonly pause?: (from: 'run' | 'listener', chunk: Buffer) => number;
}

/** One who stands between a RUN and a listener, and passes on what they say. */
export async function stepBetween(
  target: Endpoint,
  { onData = (_, chunk) => chunk, pause = () => 0 }: Between = {},
): Promise<{ endpoint: Endpoint; close: () => Promise<void>; heard: () => string }> {
  let heard = '';
  const server = await serve((run) => {
    const listener = connect(target.port, target.address);
    listener.on('error', () => undefined);
    const cut = () => {
      run.destroy();
      listener.destroy();
    };
    const pass = (from: 'run' | 'listener', source: Socket, sink: Socket) => {
      let isHeld = false;
      source.on('data', (chunk) => {
        heard += chunk.toString('latin1');
        const passed = onData(from, chunk, cut);
        const wait = pause(from, chunk);
        const isTaken = sink.destroyed || sink.write(passed);
        if (isTaken && wait === 0) return;
        source.pause();
        isHeld = wait === Number.POSITIVE_INFINITY;
        if (!isTaken) sink.once('drain', () => wait === 0 && source.resume());
        if (wait > 0 && !isHeld) setTimeout(() => source.resume(), wait);
      });
      source.on('end', () => isHeld || sink.end());
      source.on('close', () => isHeld || sink.destroySoon());
    };
    pass('run', run, listener);
    pass('listener', listener, run);
  });
  return { ...server, heard: () => heard };
}
