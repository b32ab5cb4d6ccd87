import type { CacheMount } from '../../mounts/cache-mount.js';

/**
 * The name of the directory that is saved, in its parent. The cache service finds an entry by its
 * key and by a hash of exactly this string. So every runner must use the same string. It contains
 * the version of the archives' format, because an action must never meet a format that is too old
 * for it.
 */
export const storedDirectoryName = 'buildkit-cache-mounts.v1';

export type SaveResult = { readonly saved: true } | { readonly saved: false; readonly why: string };

/** Trouble with a registry. */
export interface RegistryTrouble {
  /** `denied`: the registry wants to know who asks, or does not let that one in. */
  readonly kind: 'denied' | 'failed';
  /** In the registry's own words. */
  readonly why: string;
}

/**
 * Has the builder push the archives of some mounts, which it has packed and still holds: each as an
 * image of its own, into the repository of a reference.
 *
 * @returns the digests of the images, in the order of the mounts
 */
export type PushArchives = (
  reference: string,
  mounts: readonly CacheMount[],
) => Promise<readonly string[] | RegistryTrouble>;

/** A place that keeps entries. */
export interface Store {
  /**
   * The reason why the store is absent here, and the remedy, without a full stop at the end.
   * Undefined if the store is there.
   */
  readonly absence: string | undefined;
  /**
   * Finds the newest entry that matches, and does not fetch it. Trouble with a service is logged
   * and never thrown.
   *
   * @returns its key; undefined if there is none, or if no service answers
   */
  find(key: string, restoreKeys: readonly string[]): Promise<string | undefined>;
  /**
   * Restores the entries with these keys, all at once, beside the files that are already there. If
   * several entries have a file with the same name, the file can come from any of them.
   *
   * @param directory its name is {@link storedDirectoryName}
   * @returns the keys of the restored entries; undefined for an entry that failed, which is logged
   */
  restore(directory: string, keys: readonly string[]): Promise<readonly (string | undefined)[]>;
  /**
   * Whether exactly this key is taken, because then no entry can be saved under it any more.
   *
   * @throws Error, a whole sentence, if it is known that nothing can be saved
   */
  isSaved(key: string): Promise<boolean>;
  /**
   * Saves the entry that is in a directory. The files may be moved away. Trouble is returned, never
   * thrown.
   *
   * @param directory its name is {@link storedDirectoryName}
   * @param push for the archives that are not in the directory, because the builder still holds them
   */
  save(directory: string, key: string, push?: PushArchives): Promise<SaveResult>;
  /** Whether an entry stays when others are saved. Only then may these build on it. */
  readonly isLasting: boolean;
  /**
   * Whether each archive is an image, which the builder itself pushes and pulls. Then no archive comes
   * to the runner, and an entry can always name those of an earlier one.
   */
  readonly keepsImages: boolean;
  /** The advice for a damaged entry; empty if the next entry replaces it. */
  remedy(key: string): string;
  /** The summary's label for an entry that was found under another key. */
  readonly otherKeyLabel: string;
  /** How such an entry was found. */
  readonly otherKeySource: string;
  /** The remedy if two builds share an entry; undefined: each needs a key of its own. */
  readonly separation?: string;
}
