/** A way to the cache service and its blobs on which things go wrong. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { CacheService } from './cache-service.js';
import { serve } from './loopback.js';

export interface Faults {
  /** Called before each method; true means that it has answered (or cut off) the request. */
  readonly call?: (method: string, response: ServerResponse) => boolean | Promise<boolean>;
  /** Sends a blob in the store's place. */
  readonly download?: (blob: Buffer, response: ServerResponse) => void | Promise<void>;
  /** What the store is given of an upload, unless the connection is cut, or the upload refused. */
  readonly upload?: (blob: Buffer) => Buffer | 'cut' | 'refuse';
}

export interface FaultyService {
  /** What a step has in its environment in place of the service's own. */
  readonly env: Readonly<Record<string, string>>;
  close(): void;
}

export async function startFaultyService(
  service: CacheService,
  faults: Faults,
): Promise<FaultyService> {
  let blobStore = '';

  async function passCall(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request);
    if (await faults.call?.(request.url?.split('/').at(-1) ?? '', response)) return;
    const answered = await forward(service.url, request, body);
    const text = (await answered.text()).replace(
      /("signed_(?:up|down)load_url":")(http:\/\/[^/"]+)/,
      (_, name: string, origin: string) => {
        blobStore = origin;
        return `${name}${server.origin}`;
      },
    );
    response.writeHead(answered.status, { 'content-type': 'application/json' });
    response.end(text);
  }

  async function passBlob(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body: Buffer | undefined;
    if (request.method === 'PUT') {
      const given = await buffer(request);
      const passed = faults.upload ? faults.upload(given) : given;
      if (passed === 'cut') {
        response.destroy();
        return;
      }
      if (passed === 'refuse') {
        answer(response, 403, 'the signature has expired');
        return;
      }
      body = passed;
    }
    const stored = await forward(blobStore, request, body);
    const data = Buffer.from(await stored.arrayBuffer());
    if (request.method === 'GET' && faults.download) return faults.download(data, response);
    response.writeHead(stored.status, Object.fromEntries(stored.headers));
    response.end(data);
  }

  const server = await serve((request, response) => {
    const pass = request.url?.startsWith('/twirp/') ? passCall : passBlob;
    pass(request, response).catch(() => response.destroy());
  });
  return {
    env: { ACTIONS_RESULTS_URL: `${server.origin}/` },
    close: server.close,
  };
}

/** Answers as the service does when it refuses. */
export function answer(
  response: ServerResponse,
  status: number,
  msg: string,
  headers: Record<string, string> = {},
): true {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify({ code: 'refused', msg }));
  return true;
}

async function forward(
  origin: string,
  { url = '', method = '', headers }: IncomingMessage,
  body: Buffer | undefined,
): Promise<Response> {
  const passed = Object.entries(headers).flatMap(([name, value]) =>
    /^(x-ms-|authorization$|content-type$|range$)/.test(name) ? [[name, String(value)]] : [],
  );
  return fetch(new URL(url, origin), {
    method,
    headers: Object.fromEntries(passed),
    ...(body === undefined ? {} : { body: new Uint8Array(body) }),
  });
}
