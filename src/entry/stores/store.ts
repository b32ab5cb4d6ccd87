/**
 * The directory that is saved, by the name that it has in its parent. The cache service knows an
 * entry by key and by a hash of this very string, so every runner must use the same one; the
 * archives' format version is part of it, so that an action never meets a format older than it can
 * read.
 */
export const storedDirectoryName = 'buildkit-cache-mounts.v1';

export type SaveResult = { readonly saved: true } | { readonly saved: false; readonly why: string };

/** A place that entries are kept in. */
export interface Store {
  /** Why there is no such place here, and what to do: no sentence's full stop at its end. Undefined: there is one. */
  readonly absence: string | undefined;
  /**
   * Finds the newest entry that matches, without fetching it. Trouble with a service is in the log,
   * never thrown.
   *
   * @returns its key; undefined where there is none, or no service to tell
   */
  find(key: string, restoreKeys: readonly string[]): Promise<string | undefined>;
  /**
   * Restores the entries with these keys, all at once, beside what is there; a file that more than
   * one of them has is that of any.
   *
   * @param directory its name is {@link storedDirectoryName}
   * @returns the keys of what was restored; undefined where that failed, and the log says why
   */
  restore(directory: string, keys: readonly string[]): Promise<readonly (string | undefined)[]>;
  /** Whether an entry with exactly this key can be saved no more. */
  isSaved(key: string): Promise<boolean>;
  /**
   * Saves the entry in a directory, whose files may be moved. Trouble is a result, never thrown.
   *
   * @param directory its name is {@link storedDirectoryName}
   */
  save(directory: string, key: string): Promise<SaveResult>;
  /** Whether an entry stays when others are saved, so that these may build on it. */
  readonly isLasting: boolean;
  /** What to do about a damaged entry; empty where the next one takes its place. */
  remedy(key: string): string;
  /** What the summary calls an entry that was found though it has another key. */
  readonly otherKeyLabel: string;
}
