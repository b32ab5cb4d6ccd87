import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { openConsole } from '../../../src/console/console.js';
import { renderManifest } from '../../../src/entry/manifest.js';
import { readSurroundings } from '../../../src/lib/surroundings.js';
import { injectMounts } from '../../../src/steps/inject.js';

// A step looks for programs that are not there, which takes its time on a busy machine.

let directory: string;
let printed: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'inject-'));
  await mkdir(join(directory, 'store'));
  const manifest = renderManifest({ key: 'k-1', mounts: [{ mount: { id: 'm' } }] });
  await writeFile(join(directory, 'store/manifest.json'), manifest);
  printed = '';
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
    printed += text;
    return true;
  });
});

afterEach(async () => {
  jest.restoreAllMocks();
  await rm(directory, { recursive: true, maxRetries: 5 });
});

test.each([
  ['k-1', 'Found the entry k-1.'],
  ['k-2', 'Restored from k-1 (what the directory holds); this run will save as k-2.'],
])('asked for %s, it says: %s', async (key, line) => {
  const surroundings = {
    ...readSurroundings(),
    env: { PATH: '/nowhere' },
    isOnGitHub: false,
    workspace: directory,
    temporaryRoot: directory,
    summaryFile: undefined,
  };
  openConsole(surroundings);
  const inputs = new Map(Object.entries({ directory: 'store', key, 'cache-mounts': 'm' }));
  await injectMounts(
    surroundings,
    (name) => inputs.get(name) ?? '',
    () => directory,
  );
  expect(printed.split('\n')).toContain(line);
});
