/**
 * GitHub's cache service (version 2) on the loopback: the Twirp methods that @actions/cache and
 * BuildKit (`type=gha`) call, with Azurite as the blob store, so that uploads and downloads go past this process.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import {
  BlobSASPermissions,
  BlobServiceClient,
  type ContainerClient,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import { serve } from './loopback.js';

export interface CacheRequest {
  readonly method: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** HTTP status of the answer, 0 while there is none. */
  status: number;
}

export interface CacheEntryInfo {
  readonly key: string;
  readonly version: string;
  /** As the client declared it on finalizing, 0 before. */
  readonly size: number;
  readonly finalized: boolean;
  readonly createdAt: Date;
}

export interface CacheServiceOptions {
  /** Called before each Twirp method; true means that it has answered (or cut off) the request. */
  readonly intercept?: (
    request: CacheRequest,
    response: ServerResponse,
  ) => boolean | Promise<boolean>;
}

export interface CacheService {
  readonly url: string;
  /** What an action needs in its environment to reach the service. */
  readonly env: Readonly<Record<string, string>>;
  /** The Twirp calls so far. */
  readonly requests: CacheRequest[];
  entries(): CacheEntryInfo[];
  /** Of the first entry with this key, in bytes; NaN where there is none. */
  sizeOf(key: string): number;
  /** Those of the entries, finalized or not, in the order of their creation. */
  keys(): string[];
  /** Those of the finalized entries. */
  savedKeys(): string[];
  /** Evicts the key, in all its versions. */
  remove(key: string): void;
  /** The blob of the key's newest finalized entry. */
  readBlob(key: string): Promise<Buffer>;
  /** Saves a blob as if a job had: the version is that of an entry that one has saved. */
  add(entry: Pick<CacheEntryInfo, 'key' | 'version'>, data: Buffer): Promise<void>;
  /** Replaces that blob, behind the service's back. */
  writeBlob(key: string, data: Buffer): Promise<void>;
  /** What is saved from here on is of this branch, whose jobs see the entries of main, too. */
  enterBranch(name: string): void;
  /** Forgets all entries, on main. */
  reset(): void;
  close(): Promise<void>;
}

interface Entry {
  readonly id: number;
  readonly key: string;
  readonly version: string;
  readonly branch: string;
  readonly blobName: string;
  readonly createdAt: Date;
  size: number;
  /** Rank in the order of finalizing (clock times could tie), 0 while only reserved. */
  finalized: number;
}

type Body = Readonly<Record<string, unknown>>;

/** Where entries are found and saved. */
interface Cache {
  readonly entries: Entry[];
  branch: string;
}

interface Reply {
  readonly status: number;
  readonly body: Body;
}

interface BlobStore {
  readonly container: ContainerClient;
  close(): Promise<void>;
}

const METHOD_URL = /^\/twirp\/github\.actions\.results\.api\.v1\.CacheService\/(\w+)$/;
const mainBranch = 'main';
const HOUR = 60 * 60 * 1000;

export async function startCacheService(options: CacheServiceOptions = {}): Promise<CacheService> {
  const store = await startBlobStore();
  const token = runtimeToken();
  const requests: CacheRequest[] = [];
  const entries: Entry[] = [];
  const cache: Cache = { entries, branch: mainBranch };
  const { methods, add } = cacheMethods(cache, store.container);

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = request.method === 'POST' && METHOD_URL.exec(request.url ?? '')?.[1];
    if (!method) return send(response, twirpError(404, 'bad_route', 'no such route'));
    const logged: CacheRequest = { method, body: (await json(request)) as Body, status: 0 };
    response.once('finish', () => {
      logged.status = response.statusCode;
    });
    requests.push(logged);
    if (await options.intercept?.(logged, response)) return;
    if (request.headers.authorization !== `Bearer ${token}`) {
      return send(response, twirpError(401, 'unauthenticated', 'invalid token'));
    }
    const handler = methods.get(method) ?? noSuchMethod;
    send(response, await handler(logged.body));
  }

  const server = await serve((request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else send(response, twirpError(500, 'internal', String(error)));
    });
  });
  const url = `${server.origin}/`;

  function blobOf(key: string) {
    const entry = newest(entries.filter((candidate) => candidate.key === key));
    if (!entry) throw new Error(`No finalized cache entry has the key ${key}`);
    return store.container.getBlockBlobClient(entry.blobName);
  }

  return {
    url,
    env: {
      ACTIONS_CACHE_SERVICE_V2: 'True',
      ACTIONS_RESULTS_URL: url,
      ACTIONS_RUNTIME_TOKEN: token,
    },
    requests,
    entries: () => entries.map(describeEntry),
    sizeOf: (key) =>
      entries.map(describeEntry).find((entry) => entry.key === key)?.size ?? Number.NaN,
    keys: () => entries.map(({ key }) => key),
    savedKeys: () => entries.flatMap(({ key, finalized }) => (finalized > 0 ? key : [])),
    remove: (key) => {
      const kept = entries.filter((entry) => entry.key !== key);
      entries.splice(0, entries.length, ...kept);
    },
    add,
    readBlob: async (key) => blobOf(key).downloadToBuffer(),
    writeBlob: async (key, data) => {
      await blobOf(key).uploadData(data);
    },
    enterBranch: (name) => {
      cache.branch = name;
    },
    reset: () => {
      entries.length = 0;
      cache.branch = mainBranch;
    },
    close: async () => {
      server.close();
      await store.close();
    },
  };
}

function cacheMethods(cache: Cache, container: ContainerClient) {
  let created = 0;
  let finalized = 0;

  function signedUrl(entry: Entry, permissions: string): Promise<string> {
    return container.getBlockBlobClient(entry.blobName).generateSasUrl({
      permissions: BlobSASPermissions.parse(permissions),
      expiresOn: new Date(Date.now() + HOUR),
    });
  }

  function reserve(key: string, version: string): Entry {
    created += 1;
    const id = created;
    const blobName = randomUUID();
    const { branch } = cache;
    const createdAt = new Date();
    const entry = { id, key, version, branch, blobName, createdAt, size: 0, finalized: 0 };
    cache.entries.push(entry);
    return entry;
  }

  function complete(entry: Entry, size: number): void {
    finalized += 1;
    entry.size = size;
    entry.finalized = finalized;
  }

  async function add({ key, version }: Pick<Entry, 'key' | 'version'>, data: Buffer) {
    const entry = reserve(key, version);
    await container.getBlockBlobClient(entry.blobName).uploadData(data);
    complete(entry, data.length);
  }

  async function create(body: Body): Promise<Reply> {
    if (findEntry(entriesOf(cache), body)) {
      const message = 'cache entry with the same key, version, and scope already exists';
      return twirpError(409, 'already_exists', message);
    }
    const entry = reserve(text(body, 'key'), text(body, 'version'));
    return ok({ ok: true, signed_upload_url: await signedUrl(entry, 'cw') });
  }

  async function finalize(body: Body): Promise<Reply> {
    const entry = findEntry(entriesOf(cache), body);
    if (!entry || entry.finalized) return twirpError(404, 'not_found', 'no such reservation');
    const blob = await container.getBlockBlobClient(entry.blobName).getProperties();
    // a string in protobuf's JSON, but not in that of BuildKit
    const size = Number(body.size_bytes);
    if (blob.contentLength !== size) {
      return ok({ ok: false, message: `${size} bytes declared, ${blob.contentLength} uploaded` });
    }
    complete(entry, size);
    return ok({ ok: true, entry_id: String(entry.id) });
  }

  async function getDownloadUrl(body: Body): Promise<Reply> {
    const entry = match(entriesOf(cache), body) ?? match(entriesOf(cache, mainBranch), body);
    if (!entry) return ok({ ok: false });
    const url = await signedUrl(entry, 'r');
    return ok({ ok: true, signed_download_url: url, matched_key: entry.key });
  }

  const methods = new Map<string, (body: Body) => Promise<Reply>>([
    ['CreateCacheEntry', create],
    ['FinalizeCacheEntryUpload', finalize],
    ['GetCacheEntryDownloadURL', getDownloadUrl],
  ]);
  return { methods, add };
}

/** BuildKit looks into the token: whether it is valid now, and which scopes it may read and write. */
function runtimeToken(): string {
  const scopes = JSON.stringify([{ Scope: 'refs/heads/main', Permission: 3 }]);
  const header = JSON.stringify({ alg: 'HS256', typ: 'JWT' });
  const now = Math.floor(Date.now() / 1000);
  const claims = JSON.stringify({ ac: scopes, nbf: now, exp: now + 24 * 60 * 60 });
  const parts = [header, claims, `no signature, but ${randomUUID()}`];
  return parts.map((part) => Buffer.from(part).toString('base64url')).join('.');
}

async function noSuchMethod(): Promise<Reply> {
  return twirpError(404, 'bad_route', 'no such method');
}

function entriesOf({ entries, branch }: Cache, of = branch): Entry[] {
  return entries.filter((entry) => entry.branch === of);
}

function findEntry(entries: readonly Entry[], body: Body): Entry | undefined {
  const key = text(body, 'key');
  const version = text(body, 'version');
  return entries.find((entry) => entry.key === key && entry.version === version);
}

/**
 * GitHub takes the key itself as a prefix too, before it comes to the restore keys, and does all of that
 * for the job's own branch before it comes to the default one:
 * https://docs.github.com/en/actions/reference/workflows-and-actions/dependency-caching
 */
function match(entries: readonly Entry[], body: Body): Entry | undefined {
  const exact = findEntry(entries, body);
  if (exact?.finalized) return exact;
  const version = text(body, 'version');
  const candidates = entries.filter((entry) => entry.version === version);
  for (const prefix of [text(body, 'key'), ...texts(body, 'restore_keys')]) {
    const found = newest(candidates.filter((entry) => entry.key.startsWith(prefix)));
    if (found) return found;
  }
  return undefined;
}

function newest(entries: readonly Entry[]): Entry | undefined {
  return entries
    .filter((entry) => entry.finalized > 0)
    .sort((a, b) => b.finalized - a.finalized)
    .at(0);
}

function describeEntry({ key, version, size, finalized, createdAt }: Entry): CacheEntryInfo {
  return { key, version, size, finalized: finalized > 0, createdAt };
}

// protobuf's JSON leaves out empty fields
function text(body: Body, field: string): string {
  const value = body[field];
  return typeof value === 'string' ? value : '';
}

function texts(body: Body, field: string): string[] {
  const value = body[field];
  return Array.isArray(value) ? value.map(String) : [];
}

function ok(body: Body): Reply {
  return { status: 200, body };
}

function twirpError(status: number, code: string, msg: string): Reply {
  return { status, body: { code, msg } };
}

function send(response: ServerResponse, reply: Reply): void {
  response.writeHead(reply.status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(reply.body));
}

async function startBlobStore(): Promise<BlobStore> {
  const directory = await mkdtemp(join(tmpdir(), 'cache-service-'));
  // its own account spares us the well-known key of the emulator's default one
  const account = 'cache';
  const accountKey = randomBytes(32).toString('base64');
  const azurite = spawnAzurite(directory, { AZURITE_ACCOUNTS: `${account}:${accountKey}` });
  const closed = once(azurite, 'close');

  async function close(): Promise<void> {
    azurite.stdin.end();
    await closed;
    await rm(directory, { recursive: true, force: true });
  }

  try {
    const address = await listening(azurite);
    const credential = new StorageSharedKeyCredential(account, accountKey);
    const service = new BlobServiceClient(`${address}/${account}`, credential);
    const { containerClient } = await service.createContainer('entries');
    return { container: containerClient, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function spawnAzurite(directory: string, env: NodeJS.ProcessEnv): ChildProcessWithoutNullStreams {
  // The kernel closes our end of its stdin however we end, SIGKILL included: that is its cue to
  // clean up and go.
  const lifeline = `
    import { rmSync } from 'node:fs';
    process.stdin.resume().on('close', () => {
      rmSync(${JSON.stringify(directory)}, { recursive: true, force: true });
      process.exit();
    });
  `;
  const options = [
    ['--blobHost', '127.0.0.1'],
    ['--blobPort', '0'],
    ['--location', directory],
    // its list of API versions ends before the one that the current client sends
    ['--skipApiVersionCheck'],
    ['--disableTelemetry'],
    ['--silent'],
  ];
  const main = createRequire(import.meta.url).resolve('azurite/dist/src/blob/main.js');
  const preload = `data:text/javascript,${encodeURIComponent(lifeline)}`;
  const args = ['--max-old-space-size=128', '--import', preload, main, ...options.flat()];
  return spawn(process.execPath, args, { env, cwd: directory });
}

function listening(azurite: ChildProcessWithoutNullStreams): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = '';
    const collect = (chunk: string): void => {
      output += chunk;
      const address = /successfully listens on (\S+)\n/.exec(output)?.[1];
      if (address) resolve(address);
    };
    azurite.stdout.setEncoding('utf8').on('data', collect);
    azurite.stderr.setEncoding('utf8').on('data', collect);
    azurite.once('error', reject);
    azurite.once('close', () => reject(new Error(`Azurite did not start:\n${output}`)));
  });
}
