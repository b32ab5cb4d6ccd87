import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import {
  createCredentials,
  createNonce,
  isSame,
  maximumLine,
  parseHello,
  parseTrailer,
  protocol,
  prove,
  renderGreeting,
  renderPlan,
  renderVerdict,
  type Session,
  trailerLength,
} from '../../../../src/builder/stream/protocol.js';

const digest = '5'.repeat(64);

const session: Session = {
  name: '0'.repeat(32),
  innerKey: '1'.repeat(64),
  outerKey: '2'.repeat(64),
  direction: 'pack',
  runNonce: '3'.repeat(64),
  listenerNonce: '4'.repeat(64),
};

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

test('keys and nonces are random, and have 128 bits and more', () => {
  const made = [createCredentials(), createCredentials()];
  const all = made.flatMap(({ name, innerKey, outerKey }) => [name, innerKey, outerKey]);
  all.push(createNonce(), createNonce());
  expect(new Set(all).size).toBe(8);
  for (const each of all) expect(each).toMatch(/^([0-9a-f]{32}|[0-9a-f]{64})$/);
});

test('a proof is what is written down of it, and what sha256sum makes of that', () => {
  const message = `${protocol} run pack ${session.name} ${session.runNonce} ${session.listenerNonce}`;
  const expected = sha256(session.outerKey + sha256(session.innerKey + message));
  expect(prove(session, 'run')).toBe(expected);
  const made = execFileSync('sha256sum', {
    input: `${session.outerKey}${sha256(session.innerKey + message)}`,
  });
  expect(String(made)).toContain(expected);
});

test('a proof is another one for each role, direction, archive, key, nonce and digest', () => {
  const other = 'f'.repeat(64);
  const proofs = [
    ...(['listener', 'run', 'sent', 'good'] as const).map((role) => prove(session, role)),
    prove(session, 'sent', digest),
    prove(session, 'sent', other),
    prove(session, 'good', digest),
    prove(session, 'block', `0 1 ${digest}`),
    prove(session, 'block', `1 1 ${digest}`),
    prove(session, 'block', `0 11 ${digest}`),
    prove({ ...session, direction: 'unpack' }, 'run'),
    prove({ ...session, name: 'f'.repeat(32) }, 'run'),
    prove({ ...session, innerKey: other }, 'run'),
    prove({ ...session, outerKey: other }, 'run'),
    prove({ ...session, runNonce: other }, 'run'),
    prove({ ...session, listenerNonce: other }, 'run'),
    prove({ ...session, runNonce: session.listenerNonce, listenerNonce: session.runNonce }, 'run'),
  ];
  expect(new Set(proofs).size).toBe(proofs.length);
});

test('how a RUN begins', () => {
  const line = `${protocol} pack ${session.name} ${session.runNonce}`;
  expect(parseHello(line)).toEqual({
    direction: 'pack',
    name: session.name,
    nonce: session.runNonce,
  });
  expect(parseHello(line.replace(' pack ', ' unpack '))?.direction).toBe('unpack');
  expect(`${line}xx\n`.length).toBeLessThanOrEqual(maximumLine);
});

test.each([
  '',
  'GET / HTTP/1.1',
  `buildkit-cache-mounts/2 pack ${session.name} ${session.runNonce}`,
  `${protocol} save ${session.name} ${session.runNonce}`,
  `${protocol} pack ${session.name}  ${session.runNonce}`,
  `${protocol} pack ${session.name} ${session.runNonce} `,
  `${protocol} pack ${session.name} ${session.runNonce}\r`,
  `${protocol} pack ${session.name.toUpperCase().replaceAll('0', 'A')} ${session.runNonce}`,
  `${protocol} pack ${session.name}0 ${session.runNonce.slice(1)}`,
])('no beginning: %j', (line) => {
  expect(parseHello(line)).toBeUndefined();
});

test('what the listener says', () => {
  expect(renderGreeting(session)).toBe(`${session.listenerNonce} ${prove(session, 'listener')}\n`);
  expect(renderVerdict(session, digest)).toBe(`good ${prove(session, 'good', digest)}\n`);
  expect(renderGreeting(session).length).toBeLessThanOrEqual(maximumLine);
  expect(renderVerdict(session, digest).length).toBeLessThanOrEqual(maximumLine);
});

test('a trailer is read, and nothing that only looks like one', () => {
  const trailer = (proof: string) => Buffer.from(`\nsent ${digest} ${proof}\n`);
  const proof = prove(session, 'sent', digest);
  expect(trailer(proof)).toHaveLength(trailerLength);
  expect(parseTrailer(session, trailer(proof))).toBe(digest);
  for (const other of [
    trailer('0'.repeat(64)),
    trailer(prove(session, 'good', digest)),
    trailer(prove(session, 'sent', '0'.repeat(64))),
    trailer(prove({ ...session, listenerNonce: '0'.repeat(64) }, 'sent', digest)),
    trailer(proof).subarray(1),
    Buffer.concat([trailer(proof), Buffer.from('\n')]),
    Buffer.alloc(trailerLength, '\n'),
    Buffer.alloc(0),
  ]) {
    expect(parseTrailer(session, other)).toBeUndefined();
  }
});

test('texts are compared as they are', () => {
  expect(isSame('a', 'a')).toBe(true);
  expect(isSame('a', 'b')).toBe(false);
  expect(isSame('a', 'aa')).toBe(false);
  expect(isSame('ä', 'a')).toBe(false);
});

test('a plan has a line for each endpoint and each archive', () => {
  const { name, innerKey, outerKey } = session;
  const endpoints = [
    { address: '172.17.0.1', port: 1 },
    { address: '::1', port: 65535 },
  ];
  const archives = [
    { name, innerKey, outerKey },
    { name, innerKey, outerKey, content: { compressedBytes: 12 } },
  ];
  expect(renderPlan(endpoints, archives, { until: 1_800_000_000 })).toBe(
    `silence 60
until 1800000000
block 16777216
endpoint 172.17.0.1 1
endpoint ::1 65535
archive ${name} ${innerKey} ${outerKey}
archive ${name} ${innerKey} ${outerKey} 12
`,
  );
});
