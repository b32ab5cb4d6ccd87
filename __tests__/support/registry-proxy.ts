/** A way to a registry on which all is noted, and on which things go wrong. */
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { serve } from './loopback.js';

export interface RegistryCall {
  readonly method: string;
  /** With what is asked for behind it. */
  readonly path: string;
  readonly kind: 'ping' | 'token' | 'manifest' | 'blob' | 'upload';
  /** Whether it comes from buildx, on the runner, and not from BuildKit. */
  readonly isOfRunner: boolean;
  /** Those of both bodies that have passed. */
  bytes: number;
  /** Of the answer; 0 if there is none, or not yet. */
  status: number;
}

/** What goes wrong. */
export interface RegistryFaults {
  /** Called before each; true means that it has answered, or hung up. */
  readonly call?: (call: RegistryCall, response: ServerResponse) => boolean | Promise<boolean>;
  /**
   * After so many bytes of a body, either way, the connection is cut. (A client that goes on where it was
   * cut is given as many again.)
   */
  readonly cutAfter?: (call: RegistryCall) => number | undefined;
}

export interface RegistryProxy {
  readonly port: number;
  /** In their order. */
  readonly calls: RegistryCall[];
  /** What goes wrong from now on; by default nothing. */
  setFaults(faults?: RegistryFaults): void;
  close(): void;
}

/** @param port where the registry listens */
export async function startRegistryProxy(port: number): Promise<RegistryProxy> {
  let faults: RegistryFaults = {};
  const calls: RegistryCall[] = [];

  async function pass(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = describeCall(incoming);
    calls.push(call);
    response.once('finish', () => {
      call.status = response.statusCode;
    });
    if (await faults.call?.(call, response)) {
      incoming.resume();
      return;
    }
    const limit = faults.cutAfter?.(call);
    const options = { host: '127.0.0.1', port, method: call.method, path: call.path };
    // (With the name by which the client knows the registry, because that is what it is sent on to.)
    const forwarded = request({ ...options, headers: incoming.headers });
    const answer = new Promise<IncomingMessage>((resolve, reject) => {
      forwarded.once('response', resolve);
      forwarded.once('error', reject);
    });
    await Promise.all([
      pipeline(incoming, counter(call, limit), forwarded),
      answer.then((answered) => {
        response.writeHead(statusOf(call, answered), answered.headers);
        return pipeline(answered, counter(call, limit), response);
      }),
    ]);
  }

  const server = await serve((incoming, response) => {
    pass(incoming, response).catch(() => response.destroy());
  });
  return {
    port: Number(new URL(server.origin).port),
    calls,
    setFaults: (given = {}) => {
      faults = given;
    },
    close: server.close,
  };
}

function describeCall({ method = '', url = '', headers }: IncomingMessage): RegistryCall {
  const kind = /^\/token\b/.test(url)
    ? 'token'
    : url.includes('/manifests/')
      ? 'manifest'
      : url.includes('/blobs/uploads/')
        ? 'upload'
        : url.includes('/blobs/')
          ? 'blob'
          : 'ping';
  const isOfRunner = /^buildx\b/.test(headers['user-agent'] ?? '');
  return { method, path: url, kind, isOfRunner, bytes: 0, status: 0 };
}

/**
 * A manifest that is not there is 404, as in other registries: Debian's answers 500 if a blob of that
 * digest is there, and buildx from some version after 0.29 on then does not look for the blob.
 */
function statusOf({ kind }: RegistryCall, { statusCode = 502 }: IncomingMessage): number {
  return kind === 'manifest' && statusCode === 500 ? 404 : statusCode;
}

function counter(call: RegistryCall, limit = Number.POSITIVE_INFINITY): Transform {
  let passed = 0;
  return new Transform({
    transform(chunk: Buffer, _, done) {
      const rest = chunk.subarray(0, Math.max(0, limit - passed));
      passed += chunk.length;
      call.bytes += rest.length;
      if (passed < limit) return done(null, rest);
      this.push(rest);
      // Behind what has been passed on, so that this arrives.
      setTimeout(() => done(new Error('cut')), 50);
    },
  });
}

/** Whether it changes what is in the registry. */
export function isPush({ method }: RegistryCall): boolean {
  return !['GET', 'HEAD'].includes(method);
}

/** Answers as a registry does when it refuses. */
export function refuse(
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
  headers: Record<string, string> = {},
): true {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify({ errors: [{ code, message }] }));
  return true;
}

/**
 * As a registry that lets this job pull and not push: each call needs a token, and there is none for
 * pushing.
 */
export function readOnly(port: number): NonNullable<RegistryFaults['call']> {
  const realm = `Bearer realm="http://127.0.0.1:${port}/token",service="registry"`;
  return (call, response) => {
    if (call.kind === 'token') {
      if (/push/.test(decodeURIComponent(call.path))) {
        return refuse(response, 403, 'DENIED', 'permission_denied: write_package');
      }
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ token: 'for-pulling' }));
      return true;
    }
    const actions = isPush(call) ? 'pull,push' : 'pull';
    const scope = `scope="repository:${repositoryOf(call)}:${actions}"`;
    const isPermitted =
      response.req.headers.authorization === 'Bearer for-pulling' && !isPush(call);
    if (isPermitted) return false;
    return refuse(response, 401, 'UNAUTHORIZED', 'authentication required', {
      'www-authenticate': call.kind === 'ping' ? realm : `${realm},${scope}`,
    });
  };
}

function repositoryOf({ path }: RegistryCall): string {
  return /^\/v2\/(.*)\/(?:manifests|blobs)\//.exec(path)?.[1] ?? '';
}
