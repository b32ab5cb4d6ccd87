import { notify, print } from '../console/console.js';
import { plural } from '../console/format.js';
import { findDamage } from '../entry/archive.js';
import type { Archive, SavedMount } from '../entry/manifest.js';
import { type CacheMount, describeMount, identityOf } from '../mounts/cache-mount.js';
import { apply } from './apply-decision.js';
import { type Decision, decide, type MountFacts } from './decide-what-to-save.js';
import type { Message } from './message.js';
import { judgeSize } from './mount-size.js';
import type { PackedMount, PackResult } from './pack-mounts.js';
import type { PreviousEntry } from './previous-entry.js';
import type { MountOutcome, MountRow } from './result-table.js';
import { listToMove } from './reuse-archives.js';

/** The outcome of one mount in the new entry. */
export interface ExtractedMount extends MountOutcome {
  readonly mount: CacheMount;
  /** Undefined if the new entry would hide a better one: then none can be saved. */
  readonly saved: SavedMount | undefined;
  /** Whether the build has left something in it. */
  readonly isFilled: boolean;
  /** Replaces row and remark if nothing is saved; absent: they stay as they are. */
  readonly ifNothingIsSaved?: { readonly row: MountRow; readonly remark: string };
}

export interface NewEntryParts {
  readonly packed: PackResult;
  /** The entry of an earlier run that inject, or else extract, has restored. */
  readonly previous: PreviousEntry | undefined;
  /** Directory of the new entry. */
  readonly directory: string;
  /** Whether the new entry may name archives that stay in other entries. */
  readonly mayRefer: boolean;
  /** How many times in a row a delta may be saved. */
  readonly maximum: number;
  /** In bytes before compression; undefined: there is no limit. */
  readonly maxSize: number | undefined;
}

/** Decides what becomes of each mount, and puts the archives of all of them into the new entry. */
export async function fillEntry(parts: NewEntryParts): Promise<ExtractedMount[]> {
  const { packed, previous, directory } = parts;
  const places = { packed: packed.directory, previous: previous?.directory, newEntry: directory };
  const outcomes: ExtractedMount[] = [];
  for (const found of packed.mounts) {
    const { index, mount } = found;
    const facts = await gatherFacts(parts, found);
    const decision = decide(facts);
    const sockets = tellOfSockets(found);
    if (sockets !== undefined) print(sockets);
    const applied = await apply(decision, index, mount, places);
    const { saved, messages } = describeSaved(applied.saved, decision, facts, found, parts);
    for (const { level, text } of messages) {
      if (level === 'notice') notify(text);
      if (level === 'log') print(text);
    }
    // Warnings come after the closing table.
    const warnings = messages.filter(({ level }) => level === 'warning').map(({ text }) => text);
    const remark = warnings.length > 0 ? { remark: warnings.join(' ') } : {};
    const outcome = { mount, ...applied, saved, isFilled: isFilled(decision), ...remark };
    outcomes.push({ ...outcome, ...tellIfNothingIsSaved(decision, mount) });
  }
  return outcomes;
}

/** Adds what a manifest tells of a mount beside its archives. A mount that is kept stays as it was. */
function describeSaved(
  saved: SavedMount | undefined,
  decision: Decision,
  { restored }: MountFacts,
  { exclusion }: PackedMount,
  { maxSize }: NewEntryParts,
): { readonly saved: SavedMount | undefined; readonly messages: readonly Message[] } {
  const own = decision.message ? [decision.message] : [];
  if (saved === undefined || decision.becomes === 'empty') return { saved, messages: own };
  if (decision.becomes === 'kept as restored') {
    const { archive: _, deltas: __, ...others } = restored ?? saved;
    return { saved: { ...others, ...saved }, messages: own };
  }
  const { messages, ...sizes } = judgeSize(saved, restored, maxSize);
  const exclude = exclusion === undefined ? {} : { exclude: exclusion.hash };
  return { saved: { ...saved, ...exclude, ...sizes }, messages: [...own, ...messages] };
}

function tellIfNothingIsSaved(
  decision: Decision,
  mount: CacheMount,
): Pick<ExtractedMount, 'ifNothingIsSaved'> {
  if (decision.becomes !== 'kept as restored') return {};
  const { state, text } = decision.ifNothingIsSaved;
  return { ifNothingIsSaved: { row: { mount, state }, remark: text } };
}

/** @returns undefined if there were none */
export function tellOfSockets({
  mount,
  report,
}: Pick<PackedMount, 'mount' | 'report'>): string | undefined {
  if (report?.result !== 'packed' && report?.result !== 'changed') return undefined;
  if (report.sockets === undefined) return undefined;
  const name = describeMount(mount);
  return `Left out of the cache mount ${name}: ${plural(report.sockets, 'socket')}, as an archive holds none.`;
}

function isFilled({ becomes }: Decision): boolean {
  return becomes === 'packed' || becomes === 'delta on restored' || becomes === 'unchanged';
}

async function gatherFacts(
  { previous, mayRefer, maximum }: NewEntryParts,
  { mount, exists, age, allowance, report }: PackedMount,
): Promise<MountFacts> {
  const restored = previous?.mounts.find((each) => identityOf(each.mount) === identityOf(mount));
  const toMove = restored ? listToMove(restored, { report, mayRefer }) : [];
  const atHand = previous ? await findWhole(previous.directory, toMove) : [];
  const lateKey = previous?.isLate ? previous.key : undefined;
  const { whyInFull } = allowance;
  const reported = { mount, exists, age, report, whyInFull };
  return { ...reported, restored, lateKey, mayRefer, atHand, maximum };
}

/**
 * The archives that are at hand and whole, up to the first that is not. Without that one, the next
 * are of no use.
 */
async function findWhole(
  directory: string,
  archives: readonly Archive[],
): Promise<readonly Archive[]> {
  for (const [index, archive] of archives.entries()) {
    if ((await findDamage(directory, archive)) !== undefined) return archives.slice(0, index);
  }
  return archives;
}
