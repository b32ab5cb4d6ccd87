/** What is measured, and what every measurement is given. */
import type { CacheService } from '../../../__tests__/support/cache-service.js';
import type { DataSet } from './data-sets.js';
import type { Mounts, PackedTree } from './mount.js';
import type { TreeFacts } from './tree.js';

export interface Bench {
  readonly workDirectory: string;
  readonly mounts: Mounts;
  readonly runs: number;
  /** The directory of another version of the actions; undefined: ours is not compared with any. */
  readonly other: string | undefined;
  /** How fast the link to a remote builder is, in megabytes a second; undefined: there is none. */
  readonly link: number | undefined;
  say(text: string): void;
}

/** What all the methods work on. */
export interface Subject {
  readonly set: DataSet;
  /** The plain files. */
  readonly tree: string;
  readonly packed: PackedTree;
  readonly facts: TreeFacts;
  readonly service: CacheService;
}
