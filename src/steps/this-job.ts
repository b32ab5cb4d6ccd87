import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { BuilderAddress } from '../builder/builder-address.js';
import type { Builder } from '../builder/buildx.js';
import { listRecords, whyUnlisted } from '../builder/list-records.js';
import { type BuilderRecord, isHeld, isNewer } from '../builder/records.js';
import { exportVariable, print } from '../console/console.js';
import { messageOf } from '../lib/errors.js';
import type { Surroundings } from '../lib/surroundings.js';
import { type CacheMount, describeMount, identityOf } from '../mounts/cache-mount.js';
import { type InjectState, removeState } from './handover.js';

/**
 * What the injects of a job know of each other. If a job builds several images whose builds use one
 * mount, the mount holds files of the first image before the inject of the second one runs. These
 * files are no reason to leave out what was saved for the second image, as the files of a builder
 * that outlives jobs are. So inject asks whose files they are.
 */
export interface ThisJob {
  /** When its first inject began, by the runner's clock, in milliseconds since the epoch. */
  readonly began: number;
  /**
   * The mounts that its earlier injects have filled, as digests of their identities; undefined:
   * this inject is the first one.
   */
  readonly filled: ReadonlySet<string> | undefined;
}

/**
 * The variable that an extract leaves for later injects of its job, because it removes the state. It
 * holds the time in seconds since the epoch, and the digests, with spaces between them. Off GitHub,
 * a user can set it to the time alone.
 */
export const jobVariable = 'BUILDKIT_CACHE_MOUNTS_JOB';

/** @param states of the injects of this job, as far as no extract has removed them */
export function recallJob(surroundings: Surroundings, states: readonly InjectState[]): ThisJob {
  const told = readVariable(surroundings);
  // Off GitHub, a state may be of an earlier job that had no extract.
  const own = surroundings.job === undefined ? [] : states;
  const times = own.flatMap(({ jobBegan }) => jobBegan ?? []);
  if (told) times.push(told.began);
  if (times.length === 0) return { began: Date.now(), filled: undefined };
  const filled = new Set([...(told?.filled ?? []), ...own.flatMap(digestsOf)]);
  return { began: Math.min(...times), filled };
}

/** Removes the state of an inject, and leaves what later injects of the job need of it. */
export async function finishState(surroundings: Surroundings, state: InjectState): Promise<void> {
  const { jobBegan } = state;
  if (jobBegan !== undefined) {
    const filled = new Set([...(readVariable(surroundings)?.filled ?? []), ...digestsOf(state)]);
    exportVariable(jobVariable, [jobBegan / 1000, ...filled].join(' '));
  }
  await removeState(surroundings, state);
}

function readVariable({ env }: Surroundings): { began: number; filled: string[] } | undefined {
  const [time = '', ...filled] = (env[jobVariable] ?? '').split(' ');
  return /^\d+(\.\d+)?$/.test(time) ? { began: Number(time) * 1000, filled } : undefined;
}

function digestsOf({ restored }: InjectState): string[] {
  return (restored?.filled?.mounts ?? []).map(digestOf);
}

function digestOf(mount: CacheMount): string {
  return createHash('sha256').update(identityOf(mount)).digest('hex').slice(0, 12);
}

/** A mount, with its place in the list. */
interface PlacedMount {
  readonly index: number;
  readonly mount: CacheMount;
}

/**
 * Finds the mounts whose files are all of this job: an earlier inject has filled them, or they were
 * made since the first inject began. The others are left as they are. (When a mount was used last
 * does not tell: a build of this job may have used a mount of a builder that outlives jobs.)
 * If the builder's clock is behind the runner's, a mount may be taken for an older one.
 *
 * @returns their indexes
 */
export async function findOwn(
  { job, surroundings }: { readonly job: ThisJob; readonly surroundings: Surroundings },
  builder: Builder,
  address: BuilderAddress,
  mounts: readonly PlacedMount[],
): Promise<ReadonlySet<number>> {
  if (job.filled === undefined) return new Set();
  const others = mounts.filter(({ mount }) => !job.filled?.has(digestOf(mount)));
  const records = await listOrTell(
    surroundings,
    builder,
    address,
    others.map(({ mount }) => mount),
  );
  return new Set(
    mounts.filter(({ mount }) => isOwn(job, mount, records)).map(({ index }) => index),
  );
}

/** @param records of the builder's mounts; those of mounts that inject has filled may be missing */
export function isOwn(
  { began, filled }: ThisJob,
  mount: CacheMount,
  records: readonly BuilderRecord[],
): boolean {
  return filled !== undefined && (filled.has(digestOf(mount)) || isNewer(mount, records, began));
}

/** @returns none if they cannot be listed, after telling so */
async function listOrTell(
  surroundings: Surroundings,
  builder: Builder,
  address: BuilderAddress,
  mounts: readonly CacheMount[],
): Promise<readonly BuilderRecord[]> {
  if (mounts.length === 0) return [];
  try {
    const obstacle = whyUnlisted(builder, address);
    if (obstacle !== undefined) throw new Error(obstacle);
    return await listSettled(surroundings, address, mounts);
  } catch (error) {
    const names = mounts.map(describeMount).join(', ');
    print(
      `The cache mounts of the builder cannot be listed (${messageOf(error)}). So it is not known whether files in ${names} are of this job, and they are left alone.`,
    );
    return [];
  }
}

const longestMeasuring = 5;

/** Lists the mounts. While BuildKit measures one, it does not tell when that was made. */
async function listSettled(
  surroundings: Surroundings,
  address: BuilderAddress,
  mounts: readonly CacheMount[],
): Promise<readonly BuilderRecord[]> {
  for (let attempt = 1; ; attempt++) {
    const records = await listRecords(surroundings, address, mounts);
    const open = records.filter(({ createdAt }) => createdAt === undefined);
    const isSettled = !mounts.some((mount) => isHeld(mount, open));
    if (isSettled || attempt === longestMeasuring) return records;
    await delay(200);
  }
}
