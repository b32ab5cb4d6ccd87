import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { debug, print, warn } from '../../console/console.js';
import { plural } from '../../console/format.js';
import { moveFile } from '../../lib/work-directory.js';
import { packedFileName } from '../in-builder/scripts.js';
import type { Detour, MountReport } from '../mount-report.js';
import { chooseAddresses } from './addresses.js';
import { type Listener, type Offer, startListener, type Transfer } from './listener.js';
import { type PlannedArchive, type PlannedContent, renderPlan } from './protocol.js';

/** An archive that a RUN may fetch. */
export interface ArchiveToSend extends PlannedContent {
  readonly path: string;
}

/**
 * What may go straight between the RUNs of a build and this step: the archives that the RUNs pack, or
 * the archives of each mount, by its index, that they unpack.
 */
export type StraightArchives = 'packed' | ReadonlyMap<number, readonly ArchiveToSend[]>;

/** What goes straight between a build and this step, while the build runs. */
export interface StraightBuild {
  /** Whether a RUN has found this step; if so, RUNs have started. */
  wasFound(): boolean;
  /** Ends all of it, when the build has ended. */
  close(): Promise<void>;
  /**
   * Puts the archives that came straight where the build's other files are.
   *
   * @param directory where these are
   * @returns the reports; a mount has failed if what came is not what was sent
   */
  collect(
    reports: ReadonlyMap<number, MountReport>,
    directory: string,
  ): Promise<ReadonlyMap<number, MountReport>>;
}

/** The file, by its name in the work directory, of a mount's plan. @param index of the mount */
export function planFile(index: number): string {
  return join('plans', String(index));
}

/** Buildx wants to see the files when it is started. They are read when a RUN needs them. */
export async function writeEmptyPlans(
  workDirectory: string,
  indexes: readonly number[],
): Promise<void> {
  await mkdir(join(workDirectory, 'plans'), { recursive: true, mode: 0o700 });
  for (const index of indexes) {
    await writeFile(join(workDirectory, planFile(index)), '', { mode: 0o600 });
  }
}

/** Finds the addresses of this machine at which RUNs may find this step; empty: at none. */
export async function findAddresses(): Promise<readonly string[]> {
  const read = (name: string) => readFile(`/proc/net/${name}`, 'utf8').catch(() => '');
  const [routes, fibTrie] = await Promise.all([read('route'), read('fib_trie')]);
  return chooseAddresses({ interfaces: networkInterfaces(), routes, fibTrie });
}

const toldRefusals = 20;

/**
 * Until when archives may go straight: what is left after that of the step's time, a RUN needs to put its
 * mount in order. It would be killed together with the step.
 *
 * @param deadline of the step, in milliseconds since the epoch
 * @returns seconds since the epoch
 */
function endBefore(deadline: number): number {
  const now = Date.now();
  return Math.floor((now + 0.9 * (deadline - now)) / 1000);
}

/**
 * Listens for the RUNs of a build, and writes the plans of its mounts.
 *
 * @param deadline when the step ends, in milliseconds since the epoch
 * @throws Error if it cannot listen
 */
export async function startStraight(
  workDirectory: string,
  addresses: readonly string[],
  indexes: readonly number[],
  archives: StraightArchives,
  deadline: number,
): Promise<StraightBuild> {
  const received = join(workDirectory, 'received');
  await rm(received, { recursive: true, force: true });
  await mkdir(received);
  let refusals = 0;
  const listener = await startListener(addresses, undefined, {
    onRefusal: (why) => {
      // Anybody who can connect can make one.
      if (++refusals <= toldRefusals) debug(`A connection was refused: ${why}.`);
    },
  });
  const at = listener.endpoints.map(({ address, port }) => `${address} (${port})`).join(', ');
  debug(`Listening for the build at ${at}.`);
  const fileOf = (index: number) => join(received, String(index));
  const packed = new Map<number, Offer>();
  const limits = { until: endBefore(deadline) };
  try {
    for (const index of indexes) {
      if (archives === 'packed') packed.set(index, listener.offerToTake(fileOf(index)));
      const planned = packed.get(index) ?? planToSend(listener, archives, index);
      const plan = renderPlan(listener.endpoints, [planned].flat(), limits);
      await writeFile(join(workDirectory, planFile(index)), plan);
    }
  } catch (error) {
    await listener.close();
    await writeEmptyPlans(workDirectory, indexes);
    throw error;
  }
  return {
    wasFound: listener.wasFound,
    close: listener.close,
    collect: async (reports, directory) => {
      tellWays(reports);
      return takePacked(reports, packed, fileOf, directory);
    },
  };
}

function planToSend(
  listener: Listener,
  archives: StraightArchives,
  index: number,
): PlannedArchive[] {
  const toSend = archives === 'packed' ? [] : (archives.get(index) ?? []);
  return toSend.map(({ path, ...content }) => ({ ...listener.offerToGive(path), content }));
}

/** @param offers those of the mounts that were packed */
async function takePacked(
  reports: ReadonlyMap<number, MountReport>,
  offers: ReadonlyMap<number, Offer>,
  fileOf: (index: number) => string,
  directory: string,
): Promise<ReadonlyMap<number, MountReport>> {
  const settled = new Map<number, MountReport>();
  for (const [index, report] of reports) {
    settled.set(index, report);
    if (!isPacked(report) || report.sha256 === undefined) continue;
    const transfer = await offers.get(index)?.transfer;
    if (isWhole(transfer, report.sha256)) {
      await moveFile(fileOf(index), join(directory, packedFileName(index, report.compression)));
    } else {
      warn(`An archive came straight from the builder, but not whole: ${tellTransfer(transfer)}.`);
      settled.set(index, { result: 'failed', seconds: report.seconds });
    }
  }
  return settled;
}

type Packed = Extract<MountReport, { readonly result: 'packed' | 'changed' }>;

function isPacked(report: MountReport): report is Packed {
  return report.result === 'packed' || report.result === 'changed';
}

function isWhole(transfer: Transfer | undefined, sha256: string): boolean {
  return transfer?.kind === 'complete' && transfer.sha256 === sha256;
}

function tellTransfer(transfer: Transfer | undefined): string {
  if (transfer?.kind === 'failed') return transfer.why;
  return transfer?.kind === 'complete' ? 'its digest is another' : 'nobody has sent it';
}

const explanations: Readonly<Record<Detour, string>> = {
  programs: 'bash, sha256sum, or GNU head, tee or timeout is missing in the builder',
  unreachable: 'a RUN of the builder does not reach this runner',
  cut: 'the connection was cut, unpacking failed, or the time for it was over',
};

/** The log says which way the archives have taken, and why. */
function tellWays(reports: ReadonlyMap<number, MountReport>): void {
  const all = [...reports.values()];
  const came = all.filter((report) => isPacked(report) && report.sha256 !== undefined).length;
  if (came > 0) print(`${plural(came, 'archive')} came straight from the builder.`);
  const went = all.filter(({ result }) => result === 'unpacked' || result === 'added').length;
  if (went > 0) print(`The archives of ${plural(went, 'mount')} went straight to the builder.`);
  const detourOf = (report: MountReport) => ('detour' in report ? report.detour : undefined);
  for (const detour of new Set(all.flatMap((report) => detourOf(report) ?? []))) {
    const count = all.filter((report) => detourOf(report) === detour).length;
    print(`The archives of ${plural(count, 'mount')} go through buildx: ${explanations[detour]}.`);
  }
}

/** The reason if {@link findAddresses} finds none. */
export const noBridge = 'this machine has no bridge of Docker, at which a RUN could reach it';

/** Why nothing can go straight, which is no trouble: the archives go through buildx. */
export function tellDetour(why: string): void {
  print(`The archives go through buildx: ${why}.`);
}
