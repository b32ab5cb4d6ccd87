import type { NetworkInterfaceInfo } from 'node:os';

/** The names that docker gives to the bridges of its networks, on which this machine is the gateway. */
const bridgePattern = /^(docker\d+|br-[0-9a-f]{12})$/;

const loopbacks = ['127.0.0.1', '::1'];

/** What a machine tells of its network. */
export interface NetworkFacts {
  /** What os.networkInterfaces() tells: not of a bridge on which there is no container yet. */
  readonly interfaces: Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;
  /** The texts of /proc/net/route and /proc/net/fib_trie, which tell of each; empty if there are none. */
  readonly routes: string;
  readonly fibTrie: string;
}

/**
 * Chooses where to listen for RUNs: at the loopback, for a builder in the network of this machine, and at
 * the bridges of docker's networks, if they have private addresses.
 *
 * @returns addresses of this machine; link-local ones need a scope, and are left out. None if there is
 *   no bridge: then the engine is not on this machine, or this is a container, which no RUN reaches
 */
export function chooseAddresses({ interfaces, routes, fibTrie }: NetworkFacts): string[] {
  const chosen = Object.entries(interfaces).flatMap(([name, infos = []]) =>
    infos
      .filter(({ address, internal }) =>
        internal ? loopbacks.includes(address) : bridgePattern.test(name),
      )
      .map(({ address }) => address),
  );
  const others = Object.entries(interfaces).flatMap(([name, infos = []]) =>
    bridgePattern.test(name) ? [] : infos.map(({ address }) => address),
  );
  const found = findBridgeAddresses(routes, fibTrie).filter((each) => !others.includes(each));
  const all = [...new Set([...chosen, ...found])].filter(isPrivate);
  return all.every((address) => loopbacks.includes(address)) ? [] : all;
}

/** Whether an address is of a loopback, or of those that are not routed on the Internet. */
function isPrivate(address: string): boolean {
  return /^(127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|::1$|f[cd][0-9a-f]{2}:)/i.test(address);
}

/** The IPv4 addresses of this machine that are in the networks of docker's bridges. */
function findBridgeAddresses(routes: string, fibTrie: string): string[] {
  const networks = routes.split('\n').flatMap((line) => {
    const [name = '', destination = '', , , , , , mask = ''] = line.split(/\s+/);
    return bridgePattern.test(name) ? { base: reverse(destination), mask: reverse(mask) } : [];
  });
  const local = [...fibTrie.matchAll(/\|-- ([\d.]+)\n\s+\/32 host LOCAL/g)];
  return local.flatMap(([, address = '']) => {
    const number = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
    const isIn = networks.some(({ base, mask }) => mask && (number & mask) >>> 0 === base);
    return isIn ? address : [];
  });
}

/** Reads a number whose least significant byte comes first, in hex. */
function reverse(hex: string): number {
  const bytes = hex.match(/../g)?.reverse() ?? [];
  return Number.parseInt(bytes.join(''), 16) >>> 0;
}
