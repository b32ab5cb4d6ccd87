import type { NetworkInterfaceInfo } from 'node:os';
import { expect, test } from '@jest/globals';
import { chooseAddresses } from '../../../../src/builder/stream/addresses.js';

function info(address: string, internal = false): NetworkInterfaceInfo {
  const mac = '00:00:00:00:00:00';
  return address.includes(':')
    ? { address, internal, mac, netmask: '', cidr: null, family: 'IPv6', scopeid: 0 }
    : { address, internal, mac, netmask: '', cidr: null, family: 'IPv4' };
}

/** A hosted runner, with some more. */
const interfaces = {
  lo: [info('127.0.0.1', true), info('::1', true), info('10.255.255.254', true)],
  eth0: [info('10.1.0.4'), info('fe80::1'), info('2001:db8::4')],
  docker0: [info('172.17.0.1'), info('fe80::42:acff:fe11:1'), info('fd00::1')],
  'br-0123456789ab': [info('172.18.0.1')],
  'br-lan': [info('192.168.0.1')],
  veth1234: [info('169.254.0.5')],
  gone: undefined,
};

const routes = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100010A\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0000010A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
br-0123456789ab\t0050A8C0\t00000000\t0001\t0\t0\t0\t00F0FFFF\t0\t0\t0
`;

const fibTrie = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 172.16.0.0/14 2 0 2
           |-- 172.17.0.0
              /16 link UNICAST
              /32 link BROADCAST
           |-- 172.17.0.1
              /32 host LOCAL
     |-- 172.18.0.1
        /32 host LOCAL
     |-- 10.1.0.4
        /32 host LOCAL
     |-- 192.168.80.1
        /32 host LOCAL
     |-- 192.168.96.1
        /32 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL
`;

const standard = ['127.0.0.1', '::1', '172.17.0.1', 'fd00::1', '172.18.0.1'];

test('it is listened at the loopback and the bridges of docker, and nowhere else', () => {
  expect(chooseAddresses({ interfaces, routes: '', fibTrie: '' })).toEqual(standard);
  const { eth0, lo } = interfaces;
  expect(chooseAddresses({ interfaces: { eth0 }, routes: '', fibTrie: '' })).toEqual([]);
  // Without a bridge, the loopback is of no use either.
  expect(chooseAddresses({ interfaces: { eth0, lo }, routes: '', fibTrie: '' })).toEqual([]);
});

test('a bridge without a container is none of the interfaces, but has a route', () => {
  const { lo, eth0 } = interfaces;
  expect(chooseAddresses({ interfaces: { lo, eth0 }, routes, fibTrie })).toEqual([
    '127.0.0.1',
    '::1',
    '172.17.0.1',
    '192.168.80.1',
  ]);
  expect(chooseAddresses({ interfaces, routes, fibTrie })).toEqual([...standard, '192.168.80.1']);
});

test('an address that others may reach is none of them, even if a bridge of docker has one like it', () => {
  const { lo, docker0 } = interfaces;
  const lan = { lo, eth0: [info('172.17.0.1')] };
  expect(chooseAddresses({ interfaces: lan, routes, fibTrie })).not.toContain('172.17.0.1');
  const open = [info('2001:db8:1::1'), info('203.0.113.1'), info('172.32.0.1'), info('fec0::1')];
  expect(
    chooseAddresses({
      interfaces: { lo, docker0: [...docker0, ...open] },
      routes: '',
      fibTrie: '',
    }),
  ).toEqual(['127.0.0.1', '::1', '172.17.0.1', 'fd00::1']);
});

test('what is no text of that kind tells of nothing', () => {
  const nothing = { interfaces: {}, routes: 'docker0\ndocker0 x', fibTrie: routes };
  expect(chooseAddresses(nothing)).toEqual([]);
  expect(chooseAddresses({ ...nothing, fibTrie })).toEqual([]);
});
