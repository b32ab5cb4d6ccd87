import {
  type BuilderRecord,
  compareRecords,
  isHeld,
  isNewer,
  isOlder,
} from '../builder/records.js';
import { print, warn } from '../console/console.js';
import { type CacheMount, identityOf } from '../mounts/cache-mount.js';
import { type Exclusion, exclusionOf } from './exclusions.js';
import type { PackRequest } from './extract-request.js';
import { type Allowance, findAllowance } from './incremental.js';

/** A mount as the builder has it, and what may be saved of it. */
export interface FoundMount {
  /** The mount's place in the list. */
  readonly index: number;
  readonly mount: CacheMount;
  /** Whether the builder has it; true if it cannot tell. */
  readonly exists: boolean;
  readonly age: MountAge;
  readonly allowance: Allowance;
  /** What is not saved of it; undefined: all is saved. */
  readonly exclusion: Exclusion | undefined;
}

/** Whether a mount is the one that inject has filled, or was made after that. */
export type MountAge = 'as inject left it' | 'made since' | 'unknown';

/** The records of a builder's cache mounts, or why it cannot list them. */
export type Records = readonly BuilderRecord[] | string;

/** Finds out which of the mounts the builder has, and what may be saved of each. */
export function findMounts(request: PackRequest, records: Records): FoundMount[] {
  return request.mounts.map((mount, index) => {
    const exists = typeof records === 'string' || isHeld(mount, records);
    return describeFound(request, index, mount, exists, ageOf(request, mount, records));
  });
}

/** The mounts as they are if only builds have run since inject has filled all of them. */
export function expectMounts(request: PackRequest): FoundMount[] {
  return request.mounts.map((mount, index) =>
    describeFound(request, index, mount, true, 'as inject left it'),
  );
}

function describeFound(
  request: PackRequest,
  index: number,
  mount: CacheMount,
  exists: boolean,
  age: MountAge,
): FoundMount {
  const exclusion = exclusionOf(request.exclude, mount);
  const isSame = age === 'as inject left it';
  const allowance = findAllowance(request, mount, isSame, exclusion?.hash);
  return { index, mount, exists, age, allowance, exclusion };
}

function ageOf({ state }: PackRequest, mount: CacheMount, records: Records): MountAge {
  const filled = state?.restored?.filled;
  const isFilled = filled?.mounts.some((each) => identityOf(each) === identityOf(mount));
  if (!filled || !isFilled || typeof records === 'string') return 'unknown';
  if (isOlder(mount, records, filled.filledAt)) return 'as inject left it';
  return isNewer(mount, records, filled.filledAt) ? 'made since' : 'unknown';
}

/** Tells the user how the mounts of the builder differ from those that are asked for. */
export function tellOfRecords(request: PackRequest, records: Records, builder: string): void {
  if (typeof records === 'string') {
    print(`The cache mounts of the builder cannot be listed (${records}): not checked.`);
    return;
  }
  const { warnings, information } = compareRecords(request.mounts, records, builder, request);
  for (const warning of warnings) warn(warning);
  for (const line of information) print(line);
}
