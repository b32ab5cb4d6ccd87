import type { NetworkInterfaceInfo } from 'node:os';

/** The names that docker gives to the bridges of its networks, on which this machine is the gateway. */
const bridgePattern = /^(docker\d+|br-[0-9a-f]{12})$/;

const loopbacks = ['127.0.0.1', '::1'];

/**
 * Chooses where to listen for RUNs: at the loopback, for a builder in the network of this machine, and at
 * the bridges of docker's networks. Nobody outside of this machine reaches these.
 *
 * @param interfaces what os.networkInterfaces() tells
 * @param gateways addresses that docker names as gateways of its networks: a bridge can have any name
 * @returns addresses of interfaces of this machine; link-local ones need a scope, and are left out
 */
export function chooseAddresses(
  interfaces: Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>,
  gateways: readonly string[] = [],
): string[] {
  const chosen = Object.entries(interfaces).flatMap(([name, infos = []]) =>
    infos
      .filter(({ address, internal }) =>
        internal
          ? loopbacks.includes(address)
          : bridgePattern.test(name) || gateways.includes(address),
      )
      .map(({ address }) => address)
      .filter((address) => !/^fe[89ab]/i.test(address)),
  );
  return [...new Set(chosen)];
}
