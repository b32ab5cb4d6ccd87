/** The only way between a runner and a builder on another machine: its bytes are counted, and it may be slow. */
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface Link {
  /** For a builder of the driver `remote`. */
  readonly endpoint: string;
  /** How many bytes have crossed it so far, both ways together. */
  bytes(): number;
  close(): Promise<void>;
}

/**
 * @param path the socket of the builder
 * @param bytesPerSecond how many of them cross it, each way and of all connections together; by default as
 *   many as there are
 */
export async function startLink(
  path: string,
  bytesPerSecond = Number.POSITIVE_INFINITY,
): Promise<Link> {
  const sockets = new Set<Socket>();
  let bytes = 0;

  async function pass(from: Socket, to: Socket, pace: (size: number) => Promise<void>) {
    // The other direction may go on.
    for await (const chunk of from.iterator({ destroyOnReturn: false })) {
      bytes += chunk.length;
      await pace(chunk.length);
      if (!to.write(chunk)) await once(to, 'drain');
    }
    to.end();
  }

  const [there, back] = [paceOf(bytesPerSecond), paceOf(bytesPerSecond)];
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = createConnection({ path, allowHalfOpen: true });
    const ends = [near, far];
    const hangUp = () => ends.forEach((end) => void end.destroy());
    for (const end of ends) {
      sockets.add(end);
      end.on('error', hangUp).once('close', () => sockets.delete(end));
    }
    Promise.all([pass(near, far, there), pass(far, near, back)]).catch(hangUp);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bytes: () => bytes,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Late timers, in milliseconds, that are made up for. */
const slack = 50;

/** Waits, before each piece goes on, until it and the pieces before it have had their time. */
function paceOf(bytesPerSecond: number): (size: number) => Promise<void> {
  let free = 0;
  return async (size) => {
    if (bytesPerSecond === Number.POSITIVE_INFINITY) return;
    const now = performance.now();
    free = Math.max(now - slack, free) + (size / bytesPerSecond) * 1000;
    // Timers are inexact, so short waits are put together.
    if (free - now > 5) await delay(free - now);
  };
}
