import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { listAnnotations } from '../../../src/console/console.js';
import { readSurroundings } from '../../../src/lib/surroundings.js';
import {
  type InjectState,
  parseState,
  readStates,
  removeState,
  renderState,
  stateDirectoryOf,
  writeState,
} from '../../../src/steps/handover.js';

const mount = { id: 'go', ownership: { uid: 1, gid: 2, mode: 0o700 } };
const archive = {
  file: `${'0'.repeat(32)}.tar.zst`,
  entryKey: 'k-0',
  compression: 'zstd',
  files: 1,
  bytes: 1000,
  compressedBytes: 300,
  sha256: '0'.repeat(64),
} as const;
const builder = {
  name: 'b',
  driver: 'docker',
  nodes: 1,
  node: 'b0',
  platforms: ['linux/amd64'],
  buildkit: '',
  endpoint: '',
};
const tools = { names: ['tar'], tarVersion: 'GNU tar', directories: ['bin'], obstacle: undefined };
const least: InjectState = { key: 'k', mounts: [], restoreKeys: [] };

test.each<[name: string, state: InjectState]>([
  ['the least that there is', least],
  [
    'all that there can be',
    {
      key: 'k',
      job: '7/2/build',
      jobBegan: 1.5,
      isKeyGenerated: true,
      mounts: [mount],
      restoreKeys: ['k-'],
      builder: 'b',
      foundBuilder: 'b',
      utilityImage: 'u',
      platform: 'linux/amd64',
      storeLocation: { directory: '/d' },
      isStreamOff: true,
      seedStages: {
        ...{ head: 'h', stages: 's', context: '.', buildArgs: { A: '1' }, ignore: 'i' },
        namedContexts: { base: 'docker-image://alpine' },
      },
      others: [
        { mount, stage: 'test', file: 'Dockerfile', input: 'target' },
        { mount, stage: 'test', file: 'Dockerfile', input: 'bake-targets' },
      ],
      hint: 'h',
      leftOut: [
        {
          ...{ gap: { image: 'golang', id: '$GOPATH/x' }, template: { id: '$GOPATH/x' } },
          ...{ command: '', message: 'm' },
        },
      ],
      ofGaps: [{ mount, gap: { image: 'golang', id: 'go', onBuild: true } }],
      listedAt: 1.5,
      restored: {
        key: 'k-1',
        mounts: [
          { mount: { id: 'npm' }, archive },
          { mount, archive, deltas: [{ ...archive, entryKey: 'k-1' }] },
        ],
        filled: {
          mounts: [mount],
          added: [{ id: 'npm' }],
          builder,
          filledAt: 1.5,
          snapshotId: 's',
          tools,
        },
      },
    },
  ],
  [
    'what the builder could not pull as a whole',
    {
      ...{ key: 'k', mounts: [mount], restoreKeys: [] },
      storeLocation: { registry: ['r/app:a', 'r/app:b'] },
      restored: { key: 'k-1', mounts: [], isIncomplete: true },
    },
  ],
])('a state of %s comes back', (_, state) => {
  expect(parseState(renderState(state))).toEqual(state);
});

test('what one inject writes, and an extract removes, never disturbs another', async () => {
  const temporaryRoot = await mkdtemp(join(tmpdir(), 'handover-'));
  try {
    const surroundings = { ...readSurroundings(), temporaryRoot, job: undefined };
    const lasting = { ...least, key: 'lasting', restoreKeys: ['r'.repeat(1_000_000)] };
    await writeState(surroundings, lasting);
    // One that has not come so far.
    await mkdir(join(stateDirectoryOf(surroundings, 'begun'), 'archives'), { recursive: true });
    let writes = 50;
    const read = async () => {
      while (writes > 0) {
        const states = await readStates(surroundings);
        expect(states).toContainEqual(lasting);
      }
    };
    const write = async () => {
      for (; writes > 0; writes--) {
        await writeState(surroundings, lasting);
        await writeState(surroundings, least);
        await removeState(surroundings, least);
      }
    };
    await Promise.all([read(), write()]);
    expect(listAnnotations()).toEqual([]);
  } finally {
    await rm(temporaryRoot, { recursive: true });
  }
});
