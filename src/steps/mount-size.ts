import { formatBytes, plural } from '../console/format.js';
import { archivesOf, type SavedMount, totalOf } from '../entry/manifest.js';
import { describeMount } from '../mounts/cache-mount.js';
import type { Message } from './message.js';

/** Of how many saves before the last one a manifest keeps the sizes. */
const remembered = 10;

/** A mount that has doubled, but has less than this, is not worth a warning. */
const worthWarning = 100_000_000;

/** The sizes of a mount, and what follows from them. */
export interface SizeJudgement {
  /** At the last saves, the oldest first, in bytes before compression. */
  readonly sizes: readonly number[];
  /** The limit that the mount exceeds; absent: it exceeds none. */
  readonly exceeds?: number;
  readonly messages: readonly Message[];
}

/**
 * Judges the size of a mount that is to be saved.
 *
 * @param saved the mount in the new entry
 * @param before the mount in the previous entry
 * @param maxSize the input; undefined: no limit is set
 */
export function judgeSize(
  saved: SavedMount,
  before: SavedMount | undefined,
  maxSize: number | undefined,
): SizeJudgement {
  const { bytes } = totalOf(archivesOf(saved));
  const sizes = [...(before?.sizes ?? []), bytes].slice(-remembered - 1);
  const name = `The cache mount ${describeMount(saved.mount)}`;
  const messages = [...tellGrowth(name, sizes), ...warnOfGrowth(name, bytes, before, maxSize)];
  if (maxSize === undefined || bytes <= maxSize) return { sizes, messages };
  const text = `${name} has ${formatBytes(bytes)}, which is more than max-size (${formatBytes(maxSize)}): it is saved, and the next inject begins it anew.`;
  return { sizes, exceeds: maxSize, messages: [...messages, { level: 'notice', text }] };
}

function tellGrowth(name: string, sizes: readonly number[]): Message[] {
  const [now, then] = [formatBytes(sizes.at(-1) ?? 0), formatBytes(sizes[0] ?? 0)];
  if (sizes.length < 2 || now === then) return [];
  const text = `${name} has ${now}; it had ${then} ${plural(sizes.length - 1, 'save')} ago.`;
  return [{ level: 'log', text }];
}

/** Each doubling is told once, because it makes that all of the mount is saved. */
function warnOfGrowth(
  name: string,
  bytes: number,
  before: SavedMount | undefined,
  maxSize: number | undefined,
): Message[] {
  const full = before?.archive?.bytes ?? 0;
  if (maxSize !== undefined || full === 0 || bytes < 2 * full || bytes < worthWarning) return [];
  const text = `${name} has doubled since all of it was saved last: it has ${formatBytes(bytes)}, and had ${formatBytes(full)}. If it goes on growing, set the input max-size, such as 2GB: a mount that is larger is begun anew.`;
  return [{ level: 'warning', text }];
}

/**
 * How many bytes of changes may be saved alone, so that the mount is known to have at most max-size.
 * Some of its bytes may be in several archives, so that only a full save shows how large it is.
 *
 * @returns undefined: only a full save shows it
 */
export function roomForChanges(
  before: SavedMount,
  maxSize: number | undefined,
): number | undefined {
  if (maxSize === undefined) return Number.POSITIVE_INFINITY;
  const room = maxSize - totalOf(archivesOf(before)).bytes;
  if (room >= 0) return room;
  return (before.deltas ?? []).length > 0 ? undefined : 0;
}

/** What is said of a mount that inject does not restore, because it was too large. */
export function tellOfNewBeginning(saved: SavedMount, canBeSaved: boolean): string {
  const { bytes } = totalOf(archivesOf(saved));
  const then = canBeSaved
    ? 'and that is saved in full.'
    : 'and that is saved in full as soon as the key is another one: a saved key is never changed.';
  return `The cache mount ${describeMount(saved.mount)} is begun anew, because it had ${formatBytes(bytes)} when it was saved, which is more than max-size (${formatBytes(saved.exceeds ?? 0)}). The build fills it with what it uses, ${then}`;
}
