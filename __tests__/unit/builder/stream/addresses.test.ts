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
  ci0: [info('172.30.0.1')],
  veth1234: [info('169.254.0.5')],
  gone: undefined,
};

test('it is listened at the loopback and the bridges of docker, and nowhere else', () => {
  const standard = ['127.0.0.1', '::1', '172.17.0.1', 'fd00::1', '172.18.0.1'];
  expect(chooseAddresses(interfaces)).toEqual(standard);
  expect(chooseAddresses(interfaces, ['172.30.0.1', '172.17.0.1', '8.8.8.8'])).toEqual([
    ...standard,
    '172.30.0.1',
  ]);
  expect(chooseAddresses({ eth0: interfaces.eth0 })).toEqual([]);
});
