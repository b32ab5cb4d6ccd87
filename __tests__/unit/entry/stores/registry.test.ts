import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { listAnnotations } from '../../../../src/console/console.js';
import { readManifest, writeManifest } from '../../../../src/entry/archive.js';
import type { Archive, Manifest } from '../../../../src/entry/manifest.js';
import {
  type RegistryAccess,
  type RegistryAnswer,
  registryStore,
} from '../../../../src/entry/stores/registry.js';
import type { PushArchives } from '../../../../src/entry/stores/store.js';

let directory: string;
let warnedBefore: number;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'registry-store-'));
  warnedBefore = listAnnotations().length;
});

afterEach(() => rm(directory, { recursive: true }));

const warnings = () => listAnnotations().slice(warnedBefore);
const digestOf = (digit: string) => `sha256:${digit.repeat(64)}`;

function archive(digit: string, entryKey?: string): Archive {
  return {
    file: `${digit.repeat(32)}.tar.zst`,
    ...(entryKey === undefined ? {} : { entryKey }),
    ...{ compression: 'zstd', files: 1, bytes: 2, compressedBytes: 3, sha256: digit.repeat(64) },
  };
}

/** A registry of references, in which only writing makes indexes. */
function makeRegistry(answers: Record<string, RegistryAnswer> = {}) {
  const held = new Map(Object.entries(answers));
  const written: { readonly reference: string; readonly images: readonly string[] }[] = [];
  const read: string[] = [];
  const access: RegistryAccess = {
    read: async (reference) => {
      read.push(reference);
      return held.get(reference) ?? { kind: 'missing' };
    },
    writeIndex: async (reference, annotations, images) => {
      written.push({ reference, images });
      const manifests = images.map((name) => ({ digest: name.split('@')[1] }));
      held.set(reference, { kind: 'found', text: JSON.stringify({ manifests, annotations }) });
      return undefined;
    },
  };
  return { access, written, read };
}

const ref = 'r.example/app:main';
const other = 'r.example/other:main';
const denied: RegistryAnswer = { kind: 'denied', why: 'HEAD: 403 Forbidden' };
const failed: RegistryAnswer = { kind: 'failed', why: 'HEAD: 500' };
const image: RegistryAnswer = { kind: 'found', text: '{"schemaVersion":2,"layers":[]}' };
const damaged: RegistryAnswer = {
  kind: 'found',
  text: JSON.stringify({ annotations: { 'buildkit-cache-mounts.format': '1' } }),
};

/** Pushes archives, and gives each the digest whose digits are its place in the list. */
const push: PushArchives = async (_, mounts) => mounts.map((_mount, index) => digestOf(`${index}`));

async function saveTo(
  access: RegistryAccess,
  reference: string,
  key: string,
  manifest: Manifest,
  pushing: PushArchives | undefined = push,
) {
  await writeManifest(directory, manifest);
  return registryStore([reference], access).save(directory, key, pushing);
}

const two: Manifest = {
  mounts: [{ mount: { id: 'a' }, archive: archive('a') }, { mount: { id: 'empty' } }],
};

describe('what was saved', () => {
  test('is found, and names the images that hold the archives', async () => {
    const { access, written } = makeRegistry();
    const store = registryStore([ref], access);
    expect(await store.find('k-1', [])).toBeUndefined();
    expect(await saveTo(access, ref, 'k-1', two)).toEqual({ saved: true });
    const name = `r.example/app@${digestOf('0')}`;
    expect(written).toEqual([{ reference: ref, images: [name] }]);
    expect(await store.find('k-2', [])).toBe('k-1');
    const restored = join(directory, 'restored');
    expect(await store.restore(restored, ['k-1', 'k-9'])).toEqual(['k-1', undefined]);
    expect(await readManifest(restored)).toEqual({
      key: 'k-1',
      mounts: [{ mount: { id: 'a' }, archive: archive('a', name) }, { mount: { id: 'empty' } }],
    });
    expect(await store.isSaved('k-1')).toBe(true);
    expect(await store.isSaved('k-2')).toBe(false);
    expect(warnings()).toEqual([]);
  });

  test('is read from the first reference that has an entry', async () => {
    const { access, read } = makeRegistry();
    await saveTo(access, other, 'k-1', two);
    const store = registryStore([ref, other, 'r.example/third:x'], access);
    expect(await store.find('k-1', [])).toBe('k-1');
    expect(read).toEqual([ref, other]);
    // As with GitHub's cache: what is found under the key need not be saved again.
    expect(await store.isSaved('k-1')).toBe(true);
    expect(await store.isSaved('k-2')).toBe(false);
  });

  test('is built on, wherever the images are; only what is new is pushed', async () => {
    const { access, written } = makeRegistry();
    const kept = archive('a', `r.example/other@${digestOf('a')}`);
    const manifest: Manifest = {
      mounts: [
        { mount: { id: 'kept' }, archive: kept },
        {
          mount: { id: 'changed' },
          archive: { ...kept, file: archive('b').file },
          deltas: [archive('c')],
        },
      ],
    };
    const pushed: string[] = [];
    await saveTo(access, ref, 'k-2', manifest, async (reference, mounts) => {
      pushed.push(reference, ...mounts.map(({ id }) => id));
      return [digestOf('c')];
    });
    expect(pushed).toEqual([ref, 'changed']);
    const images = [`r.example/other@${digestOf('a')}`, `r.example/app@${digestOf('c')}`];
    expect(written).toEqual([{ reference: ref, images }]);
    expect(await registryStore([ref], access).find('', [])).toBe('k-2');
  });
});

describe('a reference that cannot be used', () => {
  test.each([
    [
      'denied',
      denied,
      /^r\.example\/app:main cannot be read: the registry denies it \(HEAD: 403 Forbidden\)\. Log in to r\.example before this step \(docker\/login-action\)/,
      true,
    ],
    [
      'an ordinary image',
      image,
      /^r\.example\/app:main is an image, and no saved cache mounts: it stays as it is/,
      true,
    ],
    [
      'a damaged entry',
      damaged,
      /^The entry in r\.example\/app:main cannot be used: its manifest is damaged/,
      true,
    ],
    // The entry there may be better than the others.
    [
      'trouble',
      failed,
      /^r\.example\/app:main cannot be read: HEAD: 500\..* from this machine/,
      false,
    ],
  ])('by inject, %s: a warning, and whether the next is read', async (_, answer, warning, next) => {
    const { access } = makeRegistry({ [ref]: answer });
    await saveTo(access, other, 'k-1', two);
    const found = await registryStore([ref, other], access).find('k-1', []);
    expect(found).toBe(next ? 'k-1' : undefined);
    expect(warnings()).toEqual([expect.stringMatching(warning)]);
  });

  test.each([
    ['denied', denied, /^Nothing was saved: .* denies it/],
    ['an ordinary image', image, /^Nothing was saved: .* is an image/],
    ['trouble', failed, /^Nothing was saved: .* cannot be read: HEAD: 500/],
  ])('by extract, %s: nothing can be saved', async (_, answer, message) => {
    const store = registryStore([ref], makeRegistry({ [ref]: answer }).access);
    await expect(store.isSaved('k')).rejects.toThrow(message);
  });

  test('by extract, a damaged entry: it is replaced', async () => {
    const { access } = makeRegistry({ [ref]: damaged });
    expect(await registryStore([ref], access).isSaved('k')).toBe(false);
    expect(await saveTo(access, ref, 'k', two)).toEqual({ saved: true });
    expect(await registryStore([ref], access).find('k', [])).toBe('k');
  });
});

describe('trouble with a save is told, and the reference stays as it was', () => {
  const refuse = { kind: 'denied', why: '403 Forbidden' } as const;

  test.each<[string, PushArchives | undefined, RegExp]>([
    [
      'a push is denied',
      async () => refuse,
      /^r\.example\/app:main cannot be written: the registry denies it \(403 Forbidden\).* A pull request from a fork can only read$/,
    ],
    ['a push fails', async () => ({ kind: 'failed', why: 'EOF' }), /cannot be written: EOF$/],
    ['a push throws', async () => Promise.reject(new Error('no')), /^no$/],
    ['nothing can push', undefined, /no archives to push/],
  ])('%s', async (_, pushing, why) => {
    const { access, written } = makeRegistry();
    await writeManifest(directory, two);
    const saved = await registryStore([ref], access).save(directory, 'k', pushing);
    expect(saved).toEqual({ saved: false, why: expect.stringMatching(why) });
    expect(written).toEqual([]);
  });

  test('the index cannot be written', async () => {
    const access: RegistryAccess = { ...makeRegistry().access, writeIndex: async () => refuse };
    const why = expect.stringMatching(/cannot be written: the registry denies it/);
    expect(await saveTo(access, ref, 'k', two)).toEqual({ saved: false, why });
  });

  test('an archive is kept in another kind of store', async () => {
    const { access, written } = makeRegistry();
    const manifest = { mounts: [{ mount: { id: 'a' }, archive: archive('a', 'k-of-github') }] };
    const why = 'an archive that is kept is in no registry, but in the entry k-of-github';
    expect(await saveTo(access, ref, 'k', manifest)).toEqual({ saved: false, why });
    expect(written).toEqual([]);
  });
});
