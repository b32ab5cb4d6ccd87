import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/**
 * What a RUN of the scratch build (stream.sh) and the step (listener.ts) say to each other over one TCP
 * connection, which carries one archive. Lines of ASCII, each ended by a line feed:
 *
 *     RUN       <protocol> <direction> <name> <nonce of the RUN>
 *     listener  <nonce of the listener> <proof "listener">
 *     RUN       <proof "run">
 *
 * `pack`: the RUN sends the archive, and behind it the trailer. The listener answers when it has written
 * the archive, and its digest is the same.
 *
 *     RUN       <the archive>
 *     RUN       LF "sent" <SHA-256> <proof "sent">
 *     listener  "good" <proof "good">
 *
 * `unpack`: the listener sends the archive in blocks, all of one length but for the last, and before each
 * a proof of it. The RUN passes on no byte of a block before it has all of it, and the proof is right: so
 * zstd and tar read nothing that is not the step's. The plan tells the length of the archive.
 *
 *     listener  <proof "block"> LF <the block>    (again and again)
 *
 * Each archive has a name and two keys, all random, which reach the RUN through BuildKit, in the file of
 * a build secret. The keys never cross the wire. A proof is
 *
 *     SHA-256(outer key, SHA-256(inner key, message))
 *     message = <protocol> <role> <direction> <name> <nonce of the RUN> <nonce of the listener> [<content>]
 *
 * with digests and keys in hex, so that sha256sum and printf can make it. The content is the SHA-256 of the
 * archive, or that of a block, behind its number and its length. It is HMAC with two independent keys (NMAC): a
 * key of 64 characters is just one block of SHA-256, and what an attacker may extend, the inner digest, is never
 * seen. Of all fields, only the two numbers have no fixed length, and none has blanks, so that a message can be
 * read in one way only. The role keeps a proof from being reflected, the nonces from being replayed.
 *
 * The listener proves itself first: a RUN may have knocked at a stranger's door. One who only passes on
 * what both say gets to see the archive, as anyone who can get between them does, but cannot change it:
 * the digests of the trailer and of the blocks are proven, or come through BuildKit.
 */
export const protocol = 'buildkit-cache-mounts/1';

/** Seen from the builder, like the names of the scripts. */
export type Direction = 'pack' | 'unpack';

/** Which of the proofs it is. */
export type Role = 'listener' | 'run' | 'sent' | 'good' | 'block';

/** What an archive is asked for by, and what both sides prove that they know. */
export interface Credentials {
  /** 32 hex digits; no secret. */
  readonly name: string;
  /** 64 hex digits each. */
  readonly innerKey: string;
  readonly outerKey: string;
}

export function createCredentials(): Credentials {
  return { name: hex(16), innerKey: hex(32), outerKey: hex(32) };
}

export function createNonce(): string {
  return hex(32);
}

function hex(bytes: number): string {
  return randomBytes(bytes).toString('hex');
}

/** How a RUN begins. */
export interface Hello {
  readonly direction: Direction;
  readonly name: string;
  readonly nonce: string;
}

const helloPattern = new RegExp(
  `^${protocol} (?<direction>pack|unpack) (?<name>[0-9a-f]{32}) (?<nonce>[0-9a-f]{64})$`,
);

/** No line of a greeting is longer than this, in bytes, with its line feed. */
export const maximumLine = 160;

/** @returns undefined if it is anything else */
export function parseHello(line: string): Hello | undefined {
  const { direction, name, nonce } = helloPattern.exec(line)?.groups ?? {};
  if (name === undefined || nonce === undefined) return undefined;
  return { direction: direction === 'pack' ? 'pack' : 'unpack', name, nonce };
}

/** What the proofs of one connection are about. */
export interface Session extends Credentials {
  readonly direction: Direction;
  readonly runNonce: string;
  readonly listenerNonce: string;
}

/**
 * @param content what the roles `sent`, `good` and `block` are about
 * @returns 64 hex digits
 */
export function prove(session: Session, role: Role, content?: string): string {
  const { direction, name, runNonce, listenerNonce, innerKey, outerKey } = session;
  const message = [protocol, role, direction, name, runNonce, listenerNonce];
  if (content !== undefined) message.push(content);
  return sha256(outerKey + sha256(innerKey + message.join(' ')));
}

function sha256(text: string): string {
  return createHash('sha256').update(text, 'latin1').digest('hex');
}

/** Whether two texts are the same, in a time that does not tell how much of them is. */
export function isSame(given: string, expected: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(expected)];
  return one.length === other.length && timingSafeEqual(one, other);
}

export function renderGreeting(session: Session): string {
  return `${session.listenerNonce} ${prove(session, 'listener')}\n`;
}

export function renderVerdict(session: Session, archiveDigest: string): string {
  return `good ${prove(session, 'good', archiveDigest)}\n`;
}

/** What goes before a block. @param number from 0 */
export function renderBlockProof(session: Session, number: number, block: Uint8Array): string {
  const digest = createHash('sha256').update(block).digest('hex');
  return `${prove(session, 'block', `${number} ${block.length} ${digest}`)}\n`;
}

/** In bytes. */
export const trailerLength = '\nsent '.length + 64 + 1 + 64 + 1;

const trailerPattern = /^\nsent (?<digest>[0-9a-f]{64}) (?<proof>[0-9a-f]{64})\n$/;

/**
 * @param bytes what may be the trailer; an archive can hold what looks like one, but no proof
 * @returns the digest of what was sent, in hex
 */
export function parseTrailer(session: Session, bytes: Uint8Array): string | undefined {
  // Most often it is a part of the archive: no text is made of that.
  if (bytes.length !== trailerLength || bytes[0] !== 10 || bytes[bytes.length - 1] !== 10) return;
  const { digest, proof } =
    trailerPattern.exec(Buffer.from(bytes).toString('latin1'))?.groups ?? {};
  if (digest === undefined || proof === undefined) return undefined;
  return isSame(proof, prove(session, 'sent', digest)) ? digest : undefined;
}

/** Where a listener is to be found. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** What a RUN has to know of an archive. */
export interface PlannedArchive extends Credentials {
  /** To unpack, what it must be; to pack, nothing is known yet. */
  readonly content?: PlannedContent;
}

export interface PlannedContent {
  readonly compressedBytes: number;
}

/**
 * For how many seconds a RUN puts up with a listener that takes nothing, or that sends no proof of a block,
 * or then not all of the block, and does not end the connection either.
 */
const silenceOfListener = 60;

/** In bytes. A RUN needs some milliseconds for each block, and the room of two on its disk. */
export const blockLength = 16 << 20;

/** What a RUN and the listener have to keep to. */
export interface PlannedLimits {
  /** In seconds. */
  readonly silence?: number;
  /** In bytes. */
  readonly block?: number;
  /** When the RUN ends all of it, in seconds since the epoch. */
  readonly until: number;
}

/**
 * Renders the file of the build secret from which a RUN learns where to connect to and how to prove
 * itself: how long it waits, until when it has time, how long a block is, a line for each endpoint, then one
 * for each archive, in the order in which they are unpacked.
 */
export function renderPlan(
  endpoints: readonly Endpoint[],
  archives: readonly PlannedArchive[],
  { silence = silenceOfListener, until, block = blockLength }: PlannedLimits,
): string {
  const lines = [
    `silence ${silence}`,
    `until ${until}`,
    `block ${block}`,
    ...endpoints.map(({ address, port }) => `endpoint ${address} ${port}`),
    ...archives.map(({ name, innerKey, outerKey, content }) =>
      ['archive', name, innerKey, outerKey, ...(content ? [content.compressedBytes] : [])].join(
        ' ',
      ),
    ),
  ];
  return `${lines.join('\n')}\n`;
}
