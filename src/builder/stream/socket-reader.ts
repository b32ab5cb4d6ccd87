import type { Socket } from 'node:net';

/** Reads from a socket first lines, then all else; no more than is wanted is taken from the kernel. */
export interface SocketReader {
  /**
   * A line without its line feed.
   *
   * @throws Error if it is longer than `maximum` bytes, or is not ended
   */
  line(maximum: number): Promise<string>;
  /** What follows, until the other side has ended. @throws Error if the connection breaks */
  chunks(): AsyncGenerator<Buffer>;
}

/** To be called before anything has come. */
export function createSocketReader(socket: Socket): SocketReader {
  let wake = () => {};
  for (const event of ['readable', 'end', 'close', 'error'] as const)
    socket.on(event, () => wake());

  /** @returns undefined when the other side has ended */
  const next = async (): Promise<Buffer | undefined> => {
    for (;;) {
      const chunk: Buffer | null = socket.read();
      if (chunk !== null) return chunk;
      if (socket.errored) throw socket.errored;
      if (socket.readableEnded) return undefined;
      if (socket.destroyed) throw new Error('the connection was cut');
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };

  return {
    line: async (maximum) => {
      let all = Buffer.alloc(0);
      for (;;) {
        const chunk = await next();
        if (chunk === undefined) throw new Error('it says nothing more');
        all = Buffer.concat([all, chunk]);
        const end = all.indexOf('\n');
        if (end >= maximum || (end === -1 && all.length >= maximum))
          throw new Error('it says too much');
        if (end !== -1) {
          if (end + 1 < all.length) socket.unshift(all.subarray(end + 1));
          return all.subarray(0, end).toString('latin1');
        }
      }
    },
    chunks: async function* () {
      for (;;) {
        const chunk = await next();
        if (chunk === undefined) return;
        yield chunk;
      }
    },
  };
}
