import { expect, test } from '@jest/globals';
import { explain } from '../../../src/builder/registry-access.js';

test.each([
  ['r.example/app:x: not found', 'missing'],
  ['docker.io/o/app:x: not found', 'missing'],
  [
    'unexpected status from HEAD request to https://r.example/v2/app/manifests/x: 401 Unauthorized',
    'denied',
  ],
  [
    'failed to push r.example/app: unexpected status from POST request to https://r.example/v2/app/blobs/uploads/: 403 Forbidden',
    'denied',
  ],
  [
    'pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed',
    'denied',
  ],
  [
    'failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://ghcr.io/token: 403 Forbidden',
    'denied',
  ],
  ['failed to fetch oauth token: denied: denied', 'denied'],
  ['failed to do request: Head "https://r.example/v2/": no basic auth credentials', 'denied'],
  [
    'unexpected status from HEAD request to https://r.example/v2/app/manifests/x: 500 Internal Server Error',
    'failed',
  ],
  [
    'failed to do request: Head "https://r.example/v2/": dial tcp: lookup r.example: no such host',
    'failed',
  ],
  ['no answer within 30 seconds', 'failed'],
  ['unable to resolve: program not found', 'failed'],
])('"%s": %s', (why, kind) => {
  expect(explain(why).kind).toBe(kind);
});
