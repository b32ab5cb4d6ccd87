/**
 * The cache client on its own, in a process of its own as a step would have it: saves or restores a
 * directory as it is, and prints how many seconds the client has taken.
 *
 * Usage: plain-store.ts save|restore DIRECTORY KEY
 */
import { basename, dirname } from 'node:path';
import * as cache from '@actions/cache';

const [action, directory = '', key = ''] = process.argv.slice(2);

// The client resolves paths against these.
process.chdir(dirname(directory));
process.env.GITHUB_WORKSPACE = dirname(directory);
process.env.RUNNER_TEMP = dirname(directory);
const paths = [basename(directory)];

const start = performance.now();
const done =
  action === 'save'
    ? (await cache.saveCache(paths, key)) !== -1
    : (await cache.restoreCache(paths, key)) === key;
const seconds = (performance.now() - start) / 1000;
console.log(`\n${JSON.stringify({ done, seconds })}`);
// Idle connections of the client would keep the process for seconds.
process.exit(done ? 0 : 1);
