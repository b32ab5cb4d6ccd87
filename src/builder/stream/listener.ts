import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { type FileHandle, open, rm, statfs } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { messageOf } from '../../lib/errors.js';
import {
  blockLength,
  type Credentials,
  createCredentials,
  createNonce,
  type Direction,
  type Endpoint,
  isSame,
  maximumLine,
  parseHello,
  parseTrailer,
  prove,
  renderBlockProof,
  renderGreeting,
  renderVerdict,
  type Session,
  trailerLength,
} from './protocol.js';
import { createSocketReader, type SocketReader } from './socket-reader.js';

/** What became of one archive. */
export type Transfer =
  /** Nobody has asked for it, or nobody who could prove that he may. */
  | { readonly kind: 'unused' }
  /** All of it went through. Packed: that is what is in the file. Unpacked: the RUN says whether it is right. */
  | { readonly kind: 'complete'; readonly bytes: number; readonly sha256?: string }
  | { readonly kind: 'failed'; readonly why: string };

/** An archive that may be carried once. */
export interface Offer extends Credentials {
  /** Settles when it has been carried, and at the latest when the listener is closed; never rejects. */
  readonly transfer: Promise<Transfer>;
}

export interface Listener {
  readonly endpoints: readonly Endpoint[];
  /** Takes an archive that a RUN packs. @param file where it is put; nothing may be there yet */
  offerToTake(file: string): Offer;
  /** Gives an archive to a RUN that unpacks it. @param file what holds it */
  offerToGive(file: string): Offer;
  /** Whether a RUN, or somebody who knows the name of an archive, has asked for one. */
  wasFound(): boolean;
  /** Ends all that is under way. */
  close(): Promise<void>;
}

export interface ListenerOptions {
  /** Milliseconds that each line of a greeting may take. */
  readonly patience: number;
  /** Milliseconds without a byte in either direction, after which a connection is given up. */
  readonly silence: number;
  /** How many connections may be in the midst of greeting; the oldest has to go. */
  readonly maximumGreeting: number;
  /** Bytes of the runner's disk that no archive may take. */
  readonly reserve: number;
  /** Bytes of a block, as the plans tell them. */
  readonly block: number;
  /** Is told of each connection that is refused. */
  readonly onRefusal: (why: string) => void;
}

const standard: ListenerOptions = {
  patience: 1000,
  // A compressor may think for long at a high level, and a disk may stall.
  silence: 5 * 60_000,
  maximumGreeting: 64,
  // The way through buildx needs some, and so does the job.
  reserve: 256 << 20,
  block: blockLength,
  onRefusal: () => undefined,
};

/** Between two signs of life that the kernel asks of a silent peer, in milliseconds. */
const keepAlive = 15_000;

interface Pending {
  readonly credentials: Credentials;
  readonly direction: Direction;
  readonly file: string;
  /** Whether a RUN has proven itself for it. */
  isTaken: boolean;
  readonly settle: (transfer: Transfer) => void;
}

/** A connection on which both sides have proven themselves. */
interface Carriage {
  readonly socket: Socket;
  readonly reader: SocketReader;
  readonly session: Session;
  readonly file: string;
  readonly checkRoom: RoomCheck;
  readonly block: number;
}

/**
 * Listens for RUNs of a scratch build, each of which brings or fetches one archive (protocol.ts).
 *
 * @param addresses of this machine; those at which it cannot listen are left out
 * @param signal ends all, as `close` does
 * @throws Error if it can listen at none
 */
export async function startListener(
  addresses: readonly string[],
  signal?: AbortSignal,
  options: Partial<ListenerOptions> = {},
): Promise<Listener> {
  const { patience, silence, maximumGreeting, reserve, block, onRefusal } = {
    ...standard,
    ...options,
  };
  const offers = new Map<string, Pending>();
  const connections = new Set<Socket>();
  const greeting = new Set<Socket>();
  const checkRoom = createRoomCheck(reserve);

  const accept = (socket: Socket) => {
    connections.add(socket);
    greeting.add(socket);
    // What is wrong with it, the reader, or the pipeline, is told.
    socket.on('error', () => undefined);
    socket.once('close', () => {
      connections.delete(socket);
      greeting.delete(socket);
    });
    const [oldest] = greeting;
    if (oldest && greeting.size > maximumGreeting) {
      // At once, because several addresses accept before it says that it is closed.
      greeting.delete(oldest);
      oldest.destroy(new Error('too many knock'));
    }
    converse(socket).catch((error: unknown) => {
      onRefusal(messageOf(error));
      socket.destroy();
    });
  };

  const converse = async (socket: Socket) => {
    socket.setNoDelay(true);
    const reader = createSocketReader(socket);
    const line = () => limited(patience, socket, reader.line(maximumLine));
    const hello = parseHello(await line());
    const offer = hello && offers.get(hello.name);
    // Whether there is such an archive, is no secret: its name is none.
    if (!hello || offer?.direction !== hello.direction)
      throw new Error('it asks for nothing of ours');
    found = true;
    if (offer.isTaken) throw new Error('the archive it asks for has been asked for already');
    const session: Session = {
      ...offer.credentials,
      direction: hello.direction,
      runNonce: hello.nonce,
      listenerNonce: createNonce(),
    };
    socket.write(renderGreeting(session));
    if (!isSame(await line(), prove(session, 'run'))) throw new Error('it cannot prove itself');
    // Two may have come as far as this; from here on, there is no wait in between.
    if (offer.isTaken) throw new Error('the archive it asks for has been asked for already');
    offer.isTaken = true;
    greeting.delete(socket);
    socket.setKeepAlive(true, keepAlive);
    socket.setTimeout(silence, () =>
      socket.destroy(new Error(`nothing came through for ${silence / 1000} seconds`)),
    );
    const carry = hello.direction === 'pack' ? take : give;
    try {
      offer.settle(await carry({ socket, reader, session, file: offer.file, checkRoom, block }));
      // What it is told last still goes out.
      socket.destroySoon();
    } catch (error) {
      const why = messageOf(socket.errored ?? error);
      // The RUN hears of it at once. (resetAndDestroy would leave the socket open if the other side has
      // closed it, and the process would be kept busy by it.)
      socket.destroy();
      // A part of an archive would take room that the way through buildx needs.
      if (hello.direction === 'pack') await rm(offer.file, { force: true }).catch(() => undefined);
      offer.settle({ kind: 'failed', why });
    }
  };

  const offer = (direction: Direction, file: string): Offer => {
    const credentials = createCredentials();
    const transfer = new Promise<Transfer>((settle) => {
      if (isClosed) settle({ kind: 'unused' });
      offers.set(credentials.name, { credentials, direction, file, isTaken: false, settle });
    });
    return { ...credentials, transfer };
  };

  const servers: Server[] = [];
  let found = false;
  let isClosed = false;
  const close = async () => {
    isClosed = true;
    signal?.removeEventListener('abort', onAbort);
    const closed = servers.map(
      (server) =>
        new Promise((resolve) => (server.listening ? server.close(resolve) : resolve(undefined))),
    );
    for (const socket of connections) socket.destroy(new Error('the build has ended'));
    for (const { isTaken, settle } of offers.values()) if (!isTaken) settle({ kind: 'unused' });
    await Promise.all(closed);
  };
  const onAbort = () => void close();

  const problems: string[] = [];
  const endpoints: Endpoint[] = [];
  for (const address of addresses) {
    const server = createServer(accept);
    servers.push(server);
    await listen(server, address).then(
      (port) => endpoints.push({ address, port }),
      (error: unknown) => problems.push(messageOf(error)),
    );
  }
  if (endpoints.length === 0) {
    throw new Error(`It can listen at no address of this machine: ${problems.join(', ')}`);
  }
  signal?.addEventListener('abort', onAbort);
  if (signal?.aborted) await close();
  return {
    endpoints,
    offerToTake: (file) => offer('pack', file),
    offerToGive: (file) => offer('unpack', file),
    wasFound: () => found,
    close,
  };
}

/** @returns the port, a random one */
async function listen(server: Server, address: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port: 0 }, resolve);
  });
  // A connection that is gone before it is accepted is no trouble.
  server.on('error', () => undefined);
  return (server.address() as AddressInfo).port;
}

/** Ends a connection on which something takes longer. */
async function limited<T>(patience: number, socket: Socket, work: Promise<T>): Promise<T> {
  const timer = setTimeout(() => socket.destroy(new Error('it is too slow')), patience);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}

/** From the RUN into a file. */
async function take({ socket, reader, session, file, checkRoom }: Carriage): Promise<Transfer> {
  const hash = createHash('sha256');
  let bytes = 0;
  let sent: string | undefined;
  await pipeline(
    async function* () {
      // As much as a trailer has is kept back: the archive ends before it.
      let held: Buffer = Buffer.alloc(0);
      for await (const chunk of reader.chunks()) {
        const all = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
        const rest = Math.max(0, all.length - trailerLength);
        held = all.subarray(rest);
        if (rest > 0) {
          const content = all.subarray(0, rest);
          await checkRoom(file, rest);
          hash.update(content);
          bytes += rest;
          yield content;
        }
        sent = parseTrailer(session, held);
        if (sent !== undefined) return;
      }
      throw new Error('the connection was cut');
    },
    createWriteStream(file, { flags: 'wx' }),
  );
  const sha256 = hash.digest('hex');
  if (sent !== sha256) throw new Error('what came is not what was sent');
  socket.end(renderVerdict(session, sha256));
  return { kind: 'complete', bytes, sha256 };
}

/** After how many bytes, of all archives together, it is looked again how much room there is. */
const checkedEach = 16 << 20;

/** To be asked before bytes are written to a file. @throws Error if the disk has less than the reserve */
type RoomCheck = (file: string, bytes: number) => Promise<void>;

/**
 * How large an archive will be, nobody knows beforehand. Who stands between the RUN and this step could
 * also send for ever, and on several connections.
 */
function createRoomCheck(reserve: number): RoomCheck {
  let unchecked = checkedEach;
  return async (file, bytes) => {
    unchecked += bytes;
    if (unchecked < checkedEach) return;
    const { bavail, bsize } = await statfs(dirname(file));
    // Where one is refused, the next one is looked at, too.
    if (bavail * bsize < reserve) throw new Error("the runner's disk would be full");
    unchecked = 0;
  };
}

/** From a file to the RUN. */
async function give({ socket, session, file, block }: Carriage): Promise<Transfer> {
  let bytes = 0;
  const archive = await open(file);
  try {
    const buffer = Buffer.allocUnsafe(block);
    for (let number = 0; ; number++) {
      const content = await fill(buffer, archive);
      if (content.length === 0) return { kind: 'complete', bytes };
      await write(socket, renderBlockProof(session, number, content));
      await write(socket, content);
      bytes += content.length;
    }
  } finally {
    await archive.close();
  }
}

/** @returns what there is next in the file: less than all of the buffer only at the end */
async function fill(buffer: Buffer, file: FileHandle): Promise<Buffer> {
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}

/** Until the kernel has it. */
function write(socket: Socket, chunk: Buffer | string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(chunk, (error) => (error ? reject(error) : resolve()));
  });
}
