import { expect, test } from '@jest/globals';
import { whyNotStraight, whyNotThese } from '../../../../src/builder/stream/reach.js';

const socket = 'unix:///var/run/docker.sock';

test.each<[driver: string, endpoint: string, dockerHost: string | undefined]>([
  ['docker-container', 'default', undefined],
  ['docker-container', 'default', ''],
  ['docker-container', 'default', socket],
  ['docker-container', socket, undefined],
  ['docker-container', socket, 'tcp://192.0.2.1:2375'],
])('the driver %s at %s, with DOCKER_HOST %s, is on this machine', (driver, endpoint, host) => {
  expect(whyNotStraight({ driver, endpoint }, host)).toBeUndefined();
});

test.each<[driver: string, endpoint: string, dockerHost: string | undefined, why: string]>([
  ['remote', 'unix:///run/buildkit.sock', undefined, 'the driver of the builder is remote'],
  ['kubernetes', 'kubernetes:///b', undefined, 'the driver of the builder is kubernetes'],
  ['cloud', 'cloud://b', undefined, 'the driver of the builder is cloud'],
  ['', '', undefined, 'the driver of the builder is unknown'],
  ['docker', 'default', undefined, 'the driver of the builder is docker'],
  ['docker-container', 'default', 'tcp://192.0.2.1:2375', 'another machine (tcp://192.0.2.1:2375)'],
  ['docker-container', 'default', 'ssh://user@host', 'another machine (ssh://user@host)'],
  ['docker-container', 'far', undefined, 'another machine (far)'],
  ['docker-container', 'tcp://192.0.2.1:2375', undefined, 'another machine'],
])('the driver %s at %s, with DOCKER_HOST %s, may not be', (driver, endpoint, host, why) => {
  expect(whyNotStraight({ driver, endpoint }, host)).toContain(why);
});

test('no archive goes straight if something else than our scripts would run in the build', () => {
  const mount = { id: 'm' };
  expect(whyNotThese([{ mount }], undefined)).toBeUndefined();
  expect(whyNotThese([{ mount }], {})).toBe('a mount starts from a stage');
  expect(whyNotThese([{ mount }, { mount: { id: 'n', from: 'alpine' } }], undefined)).toBe(
    'a mount starts from an image',
  );
});
