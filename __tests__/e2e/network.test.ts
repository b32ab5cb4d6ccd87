/** What the tests build stands in the network that it has on GitHub. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { prepareBuilder, type TestBuilder } from '../support/engine.js';

let builder: TestBuilder;
beforeAll(async () => {
  builder = await prepareBuilder();
});
afterAll(async () => {
  await builder.dispose();
});

test('a RUN on the default network reaches what listens on the runner, at its gateway', async () => {
  const word = randomUUID();
  const clients: (string | undefined)[] = [];
  const server = createServer((socket) => {
    clients.push(socket.remoteAddress);
    socket.end(word);
  });
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  // The address is in hexadecimal digits, its last byte first.
  const script = `
    while read -r _ destination gateway _; do [ $destination != 00000000 ] || break; done </proc/net/route
    address=
    for at in 6 4 2 0; do address=$address.$((16#\${gateway:$at:2})); done
    exec 3<>/dev/tcp/\${address#.}/${port}
    cat <&3 >/out/result`;
  try {
    const options = ['--network=default'];
    expect(await builder.run({}, `bash -euc '${script}'`, options)).toBe(word);
    // Else it would have been the runner's own network.
    expect(clients).toEqual([expect.not.stringContaining('127.0.0.1')]);
  } finally {
    server.close();
  }
});
