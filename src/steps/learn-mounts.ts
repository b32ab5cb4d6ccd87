import { isMadeBy, listMadeMounts, type MadeMount } from '../builder/made-mounts.js';
import { notify, print, warn } from '../console/console.js';
import { distinct } from '../discovery/discover-builds.js';
import type { Manifest } from '../entry/manifest.js';
import { messageOf } from '../lib/errors.js';
import { type CacheMount, describeMount, identityOf } from '../mounts/cache-mount.js';
import {
  fitsTemplate,
  type Gap,
  isSameGap,
  type LeftOutMount,
  type MountOfGap,
  splitAtVariables,
} from '../mounts/gap.js';
import type { PackRequest } from './extract-request.js';

/**
 * Finds the mounts of an entry that an earlier run has saved for the mounts that are left out now. What
 * the entry says of a mount is not taken as it is: it has to fit what the Dockerfile says.
 *
 * @param known the mounts that are found without
 */
export function adoptMounts(
  leftOut: readonly LeftOutMount[],
  known: readonly CacheMount[],
  { mounts }: Manifest,
): MountOfGap[] {
  const identities = new Set(known.map(identityOf));
  return mounts.flatMap(({ mount, gap }) => {
    if (gap === undefined || identities.has(identityOf(mount))) return [];
    const isMeant = leftOut.some((each) =>
      gap.onBuild
        ? each.gap.image === gap.image && isPlainLike(mount, each.template)
        : isSameGap(each.gap, gap) && fitsTemplate(mount, each),
    );
    return isMeant ? [{ mount, gap }] : [];
  });
}

/** The mounts that are still left out, each message once. */
export function stillLeftOut(
  leftOut: readonly LeftOutMount[],
  found: readonly MountOfGap[],
): LeftOutMount[] {
  const isFound = ({ gap }: LeftOutMount) => found.some((each) => isSameGap(each.gap, gap));
  const messages = new Map(leftOut.map((each) => [each.message, each]));
  return [...messages.values()].filter((each) => !isFound(each));
}

/** A mount that starts from nothing, and is in the same namespace: of others, records do not tell. */
function isPlainLike(mount: CacheMount, { namespace }: CacheMount): boolean {
  const { id } = mount;
  return identityOf(mount) === identityOf({ id, ...(namespace ? { namespace } : {}) });
}

/** What the records of a builder tell of the mounts that were left out. */
export interface Learned {
  readonly found: readonly MountOfGap[];
  /** If several mounts fit, it is not known which one it is. */
  readonly unclear: readonly { readonly leftOut: LeftOutMount; readonly ids: readonly string[] }[];
}

/**
 * Finds the mounts of a build that were left out: one that the RUN has made, and that fits what is
 * known of its id. If there is none, another RUN may have made it, such as an earlier one on a builder
 * that stays; then so much of the id must be known that it is no chance, and the gap must have no mount
 * yet.
 *
 * @param known mounts that cannot be meant
 * @param ofGaps those of them that are known for a gap
 * @param since the build has run after this time, in milliseconds since the epoch
 */
export function findMade(
  leftOut: readonly LeftOutMount[],
  made: readonly MadeMount[],
  {
    known,
    ofGaps,
  }: { readonly known: readonly CacheMount[]; readonly ofGaps: readonly MountOfGap[] },
  since: number,
): Learned {
  const recent = made.filter(({ usedAt }) => usedAt >= since);
  const taken = new Set(known.map(identityOf));
  const found: MountOfGap[] = [];
  const unclear: Learned['unclear'][number][] = [];
  for (const group of groupByGap(leftOut)) {
    const [{ gap }] = group;
    const fitting = recent.filter((record) =>
      group.some(({ command }) => isMadeBy(record, command)),
    );
    const pick = (records: readonly MadeMount[]) =>
      records
        .flatMap((record) => mountOf(record, group[0]))
        .filter((mount) => !taken.has(identityOf(mount)));
    const byCommand = pick(fitting);
    const isOpen = byCommand.length === 0 && !ofGaps.some((each) => isSameGap(each.gap, gap));
    const [first, ...others] = distinct(isOpen && tellsMuch(gap) ? pick(recent) : byCommand);
    if (first === undefined) continue;
    if (others.length > 0) {
      unclear.push({ leftOut: group[0], ids: [first, ...others].map(({ id }) => id).sort() });
    } else {
      taken.add(identityOf(first));
      found.push({ mount: first, gap });
    }
  }
  return { found, unclear };
}

/** Whether the known part of an id has a word of some length. */
function tellsMuch({ id }: Gap): boolean {
  return /[\p{L}\p{Nd}]{3}/u.test(splitAtVariables(id).join(' '));
}

/** The mount that the record is of, if it can be the one that was left out. */
function mountOf(record: MadeMount, leftOut: LeftOutMount): CacheMount[] {
  const { template } = leftOut;
  const start = `${template.namespace ?? ''}/`;
  if (!isPlainLike(template, template) || !record.id.startsWith(start)) return [];
  const mount = { ...template, id: record.id.slice(start.length) };
  return fitsTemplate(mount, leftOut) ? [mount] : [];
}

/** Several RUNs can have one mount. The gaps of which most is known come first. */
function groupByGap(
  leftOut: readonly LeftOutMount[],
): (readonly [LeftOutMount, ...LeftOutMount[]])[] {
  const groups = new Map<string, [LeftOutMount, ...LeftOutMount[]]>();
  for (const each of leftOut) {
    const key = JSON.stringify([each.gap, identityOf(each.template)]);
    groups.set(key, [...(groups.get(key) ?? []), each] as [LeftOutMount, ...LeftOutMount[]]);
  }
  const known = ([{ gap }]: readonly [LeftOutMount, ...LeftOutMount[]]) => gap.id.length;
  return [...groups.values()].sort((a, b) => known(b) - known(a));
}

/** Adds the mounts that inject has found in the entry, and those that the build has made. */
export async function learnMounts(request: PackRequest): Promise<PackRequest> {
  if (request.leftOut.length === 0) return request;
  // If extract has inputs of its own, its list lacks what the entry has told.
  const told = { mounts: request.state?.ofGaps ?? [] };
  return learnMade(withMounts(request, adoptMounts(request.leftOut, request.mounts, told)));
}

function withMounts(request: PackRequest, found: readonly MountOfGap[]): PackRequest {
  const mounts = [...request.mounts, ...found.map(({ mount }) => mount)];
  return { ...request, mounts, ofGaps: [...request.ofGaps, ...found] };
}

async function learnMade(request: PackRequest): Promise<PackRequest> {
  const { surroundings, builder, leftOut, mounts, ofGaps, state } = request;
  const { listedAt, restored } = state ?? {};
  if (listedAt === undefined) {
    for (const { message } of stillLeftOut(leftOut, ofGaps)) warn(message);
    return request;
  }
  const made = await listMadeMounts(surroundings, { name: builder }).catch(messageOf);
  if (typeof made === 'string') {
    print(`The mounts that inject has left out are not looked for: ${made}.`);
    return request;
  }
  // The builder's clock may be slow; what inject has filled there tells that.
  const since = Math.min(listedAt, restored?.filled?.filledAt ?? listedAt);
  const learned = findMade(leftOut, made, { known: mounts, ofGaps }, since);
  tellOfLearned(learned);
  tellOfNothing(leftOut, learned, ofGaps, made);
  return withMounts(request, learned.found);
}

function tellOfLearned({ found, unclear }: Learned): void {
  for (const { mount, gap } of found) {
    notify(
      `The cache mount ${describeMount(mount)} is the one that inject has left out (${gap.id}), as the builder's records show: it is saved, and the next inject restores it.`,
    );
  }
  for (const { leftOut: each, ids } of unclear) {
    warn(
      `Several cache mounts of the builder may be the one that inject has left out (${each.gap.id}): ${ids.join(', ')}. None of them is saved: name the right one in the input cache-mounts, with all others.`,
    );
  }
}

function tellOfNothing(
  leftOut: readonly LeftOutMount[],
  { found, unclear }: Learned,
  ofGaps: readonly MountOfGap[],
  made: readonly MadeMount[],
): void {
  const missing = stillLeftOut(leftOut, [...ofGaps, ...found]).filter(
    ({ gap }) => !unclear.some((each) => isSameGap(each.leftOut.gap, gap)),
  );
  if (missing.length === 0) return;
  const ids = [...new Set(made.map(({ id }) => id.replace(/^\//, '')))].sort();
  print(
    `The builder has no cache mount that can be ${missing.map(({ gap }) => gap.id).join(' or ')}, which inject has left out; it has ${ids.join(', ') || 'none'}.`,
  );
}
