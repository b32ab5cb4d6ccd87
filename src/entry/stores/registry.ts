import { print, warn } from '../../console/console.js';
import { withoutTag } from '../../dockerfile/image-name.js';
import { messageOf } from '../../lib/errors.js';
import { identityOf } from '../../mounts/cache-mount.js';
import { readManifest, writeManifest } from '../archive.js';
import { archivesOf, type Manifest, type SavedMount } from '../manifest.js';
import {
  imageName,
  mapHolders,
  parseImageName,
  parseIndex,
  renderAnnotations,
} from './registry-index.js';
import type { PushArchives, RegistryTrouble, SaveResult, Store } from './store.js';

/** The way to registries. Trouble is returned, never thrown. */
export interface RegistryAccess {
  /** Reads the index, or the manifest of an image, that a reference names. */
  read(reference: string): Promise<RegistryAnswer>;
  /**
   * Makes a reference an index of images. Those that are in another repository are copied.
   *
   * @param images by {@link imageName}
   * @returns the trouble; undefined if there was none
   */
  writeIndex(
    reference: string,
    annotations: Readonly<Record<string, string>>,
    images: readonly string[],
  ): Promise<RegistryTrouble | undefined>;
}

export type RegistryAnswer =
  | { readonly kind: 'found'; readonly text: string }
  | { readonly kind: 'missing' }
  | RegistryTrouble;

/** What was found under a reference, and its entry if it is one. */
type Reading =
  | { readonly kind: 'entry'; readonly key: string; readonly manifest: Manifest }
  | { readonly kind: 'missing' | 'damaged' }
  /** It is not ours, so it is not replaced. Or it is not known what is there. */
  | { readonly kind: 'closed' | 'unknown'; readonly why: string };

/**
 * A tag in a registry as a store. It holds one entry, under any key, whose archives the builder
 * itself pushes and pulls. Writing the tag is the last act of a save. Before it the old entry is
 * whole, and after it the new one.
 *
 * @param references the first is the one to save to; the others are read if it has no entry
 */
export function registryStore(
  references: readonly [string, ...string[]],
  access: RegistryAccess,
): Store {
  const [own] = references;
  let found: Manifest | undefined;
  return {
    absence: undefined,
    find: async () => {
      found = await findFirst(references, access);
      return found?.key;
    },
    restore: async (directory, keys) => restore(found, directory, keys),
    isSaved: (key) => isSaved(references, access, key),
    save: (directory, key, push) => save(own, access, directory, key, push),
    isLasting: true,
    keepsImages: true,
    remedy: () => '',
    otherKeyLabel: 'Found in the registry',
    otherKeySource: 'what the registry holds',
    separation: 'Give each a tag of its own.',
  };
}

/** Finds the first entry, with the names of the images that hold its archives. */
async function findFirst(
  references: readonly string[],
  access: RegistryAccess,
): Promise<(Manifest & { readonly key: string }) | undefined> {
  for (const reference of references) {
    const reading = await readEntry(reference, access);
    if (reading.kind === 'entry') {
      print(`${reference} holds the entry ${reading.key}.`);
      return { ...reading.manifest, key: reading.key };
    }
    if (reading.kind === 'missing') print(`Nothing is saved in ${reference}.`);
    if ('why' in reading) warn(reading.why);
    // What is saved there may be better than what the next ones have. Extract looks for it again.
    if (reading.kind === 'unknown') return undefined;
  }
  return undefined;
}

/**
 * Whether inject finds just this key, as far as it is known.
 *
 * @throws Error if the first reference, which is to be written, holds something else, or may do so
 */
async function isSaved(
  [own, ...others]: readonly [string, ...string[]],
  access: RegistryAccess,
  key: string,
): Promise<boolean> {
  let reading = await readEntry(own, access);
  if ('why' in reading) throw new Error(`Nothing was saved: ${reading.why}`);
  for (const reference of others) {
    if (reading.kind === 'entry') break;
    reading = await readEntry(reference, access);
  }
  return reading.kind === 'entry' && reading.key === key;
}

async function readEntry(reference: string, access: RegistryAccess): Promise<Reading> {
  const answer = await access.read(reference);
  switch (answer.kind) {
    case 'found':
      return readAnswer(reference, answer.text);
    case 'missing':
      return { kind: 'missing' };
    case 'denied': {
      const why = `${reference} cannot be read: ${tellOfDenied(reference, answer)}`;
      return { kind: 'closed', why };
    }
    case 'failed': {
      const why = `${reference} cannot be read: ${answer.why}. Its registry is asked from this machine (docker buildx imagetools), even if the builder is on another one.`;
      return { kind: 'unknown', why };
    }
  }
}

function readAnswer(reference: string, text: string): Reading {
  const repository = withoutTag(reference);
  try {
    const manifest = parseIndex(text);
    if (manifest === undefined) {
      const why = `${reference} is an image, and no saved cache mounts: it stays as it is, so give the input registry another tag.`;
      return { kind: 'closed', why };
    }
    const named = mapHolders(manifest, (digest = '') => imageName({ repository, digest }));
    return { kind: 'entry', key: manifest.key ?? reference, manifest: named };
  } catch (error) {
    warn(`The entry in ${reference} cannot be used: ${messageOf(error)}.`);
    return { kind: 'damaged' };
  }
}

/** What is denied, and the remedy. */
export function tellOfDenied(reference: string, { why }: Pick<RegistryTrouble, 'why'>): string {
  const [registry] = reference.split('/');
  return `the registry denies it (${why}). Log in to ${registry} before this step (docker/login-action); on GitHub, for ghcr.io, the job also needs "permissions: packages: write".`;
}

/** The archives stay where they are: the builder pulls them when it unpacks. */
async function restore(
  found: Manifest | undefined,
  directory: string,
  keys: readonly string[],
): Promise<readonly (string | undefined)[]> {
  const isFound = (key: string) => key === found?.key;
  if (found && keys.some(isFound)) await writeManifest(directory, found);
  return keys.map((key) => (isFound(key) ? key : undefined));
}

async function save(
  reference: string,
  access: RegistryAccess,
  directory: string,
  key: string,
  push: PushArchives | undefined,
): Promise<SaveResult> {
  try {
    const manifest = await readManifest(directory);
    const complete = await pushNew({ ...manifest, key }, reference, push);
    if ('why' in complete) return { saved: false, why: tellOfTrouble(reference, complete) };
    const images = complete.mounts.flatMap(archivesOf).map(({ entryKey = '' }) => entryKey);
    const written = mapHolders(complete, (name) => digestOf(name));
    const annotations = renderAnnotations(written);
    const trouble = await access.writeIndex(reference, annotations, [...new Set(images)]);
    if (trouble === undefined) return { saved: true };
    return { saved: false, why: tellOfTrouble(reference, trouble) };
  } catch (error) {
    return { saved: false, why: messageOf(error) };
  }
}

/** Has the builder push the archives that no image holds yet: at most one of each mount. */
async function pushNew(
  manifest: Manifest,
  reference: string,
  push: PushArchives | undefined,
): Promise<Manifest | RegistryTrouble> {
  const isNew = (saved: SavedMount) => archivesOf(saved).some(({ entryKey }) => !entryKey);
  const mounts = manifest.mounts.filter(isNew).map(({ mount }) => mount);
  if (mounts.length === 0) return manifest;
  if (push === undefined) throw new Error('the builder has no archives to push');
  const digests = await push(reference, mounts);
  if ('why' in digests) return digests;
  const repository = withoutTag(reference);
  const pushed = new Map(mounts.map((mount, index) => [identityOf(mount), digests[index]]));
  return mapHolders(manifest, (name, { mount }) => {
    const digest = pushed.get(identityOf(mount));
    return name ?? imageName({ repository, digest: digest ?? '' });
  });
}

/** @throws Error if an archive is in no registry */
function digestOf(name: string | undefined): string {
  const image = parseImageName(name);
  if (image === undefined) {
    throw new Error(`an archive that is kept is in no registry, but in the entry ${name}`);
  }
  return image.digest;
}

function tellOfTrouble(reference: string, trouble: RegistryTrouble): string {
  if (trouble.kind === 'failed') return `${reference} cannot be written: ${trouble.why}`;
  return `${reference} cannot be written: ${tellOfDenied(reference, trouble)} A pull request from a fork can only read`;
}
