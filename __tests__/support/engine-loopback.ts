/** Servers on this machine's loopback, for a BuildKit that has a loopback of its own. */
import { spawn } from 'node:child_process';
import { connect, Server, type Socket } from 'node:net';
import { pipeline } from 'node:stream';

/** Listens in the network that it is started in, and hands its sockets to its parent. */
const listenForParent = `
  const net = require('node:net');
  for (const port of process.argv.slice(1)) {
    const server = net.createServer().listen(Number(port), '127.0.0.1', () => process.send(port, server));
  }
`;

/**
 * Makes ports of our loopback reachable under the same numbers on that of the private engine. A
 * socket stays in the network that it was made in: so we listen there and connect here.
 *
 * @returns closes them
 */
export async function reachableByEngine(ports: readonly number[]): Promise<() => void> {
  const { ENGINE_PID } = process.env;
  // without a private engine, the builder is a container in our network
  if (!ENGINE_PID) return () => undefined;
  const node = [process.execPath, '-e', listenForParent, ...ports.map(String)];
  const child = spawn('nsenter', [`--net=/proc/${ENGINE_PID}/ns/net`, ...node], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const servers = await new Promise<Server[]>((resolve, reject) => {
    const received: Server[] = [];
    child.on('message', (port, server) => {
      if (!(server instanceof Server)) return;
      received.push(server.on('connection', (socket) => relay(socket, Number(port))));
      if (received.length === ports.length) resolve(received);
    });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`The engine's network: exit code ${code}`)));
  });
  child.kill();
  return () => {
    for (const server of servers) server.close();
  };
}

function relay(socket: Socket, port: number): void {
  const target = connect(port, '127.0.0.1');
  // Either end may hang up at any time: that is for those who talk to care about.
  pipeline(socket, target, socket, () => undefined);
}
