import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { debug, print, warn } from '../../console/console.js';
import { plural } from '../../console/format.js';
import { messageOf } from '../../lib/errors.js';
import { moveFile } from '../../lib/work-directory.js';
import { packedFileName } from '../in-builder/scripts.js';
import type { Detour, MountReport } from '../mount-report.js';
import { chooseAddresses, type NetworkFacts } from './addresses.js';
import { startListener, type Transfer } from './listener.js';
import { renderPlan } from './protocol.js';

/** What goes straight between a build and this step, while the build runs. */
export interface StraightBuild {
  /** Whether a RUN has found this step: so there was one. */
  wasFound(): boolean;
  /** Ends it; the build has ended. */
  close(): Promise<void>;
  /**
   * Puts what came straight where the build's other files are.
   *
   * @param directory where these are
   * @returns the reports, in which a mount has failed if what came is not what was sent
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

/** buildx wants to see the files when it is started; they are read when a RUN needs them. */
export async function writeEmptyPlans(
  workDirectory: string,
  indexes: readonly number[],
): Promise<void> {
  await mkdir(join(workDirectory, 'plans'), { recursive: true, mode: 0o700 });
  for (const index of indexes) await writeFile(join(workDirectory, planFile(index)), '');
}

/**
 * Listens for the archives that a build packs, and writes the plans of its mounts.
 *
 * @throws Error if it cannot listen
 */
export async function startStraight(
  workDirectory: string,
  indexes: readonly number[],
): Promise<StraightBuild> {
  const received = join(workDirectory, 'received');
  await rm(received, { recursive: true, force: true });
  await mkdir(received);
  const listener = await startListener(chooseAddresses(await readNetworkFacts()), undefined, {
    onRefusal: (why) => debug(`A connection was refused: ${why}.`),
  });
  const at = listener.endpoints.map(({ address, port }) => `${address} (${port})`).join(', ');
  debug(`Listening for archives at ${at}.`);
  const fileOf = (index: number) => join(received, String(index));
  const offers = new Map(indexes.map((index) => [index, listener.offerToTake(fileOf(index))]));
  for (const [index, offer] of offers) {
    await writeFile(join(workDirectory, planFile(index)), renderPlan(listener.endpoints, [offer]), {
      mode: 0o600,
    });
  }
  return {
    wasFound: listener.wasFound,
    close: listener.close,
    collect: async (reports, directory) => {
      tellWays(reports);
      const settled = new Map<number, MountReport>();
      for (const [index, report] of reports) {
        settled.set(index, report);
        if (!hasArchive(report) || report.sha256 === undefined) continue;
        const transfer = await offers.get(index)?.transfer;
        if (isWhole(transfer, report.sha256)) {
          const place = join(directory, packedFileName(index, report.compression));
          await moveFile(fileOf(index), place);
        } else {
          warn(
            `An archive came straight from the builder, but not whole: ${tellTransfer(transfer)}.`,
          );
          settled.set(index, { result: 'failed', seconds: report.seconds });
        }
      }
      return settled;
    },
  };
}

async function readNetworkFacts(): Promise<NetworkFacts> {
  const read = (name: string) => readFile(`/proc/net/${name}`, 'utf8').catch(() => '');
  const [routes, fibTrie] = await Promise.all([read('route'), read('fib_trie')]);
  return { interfaces: networkInterfaces(), routes, fibTrie };
}

type Packed = Extract<MountReport, { readonly result: 'packed' | 'changed' }>;

function hasArchive(report: MountReport): report is Packed {
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
  programs: 'bash, timeout, or GNU head or tee is missing in the builder',
  unreachable: 'a RUN of the builder does not reach this runner',
  cut: 'the connection was cut',
};

/** The log says which way the archives have taken, and why. */
function tellWays(reports: ReadonlyMap<number, MountReport>): void {
  const archives = [...reports.values()].filter(hasArchive);
  const straight = archives.filter(({ sha256 }) => sha256 !== undefined).length;
  if (straight > 0) print(`${plural(straight, 'archive')} came straight from the builder.`);
  for (const detour of new Set(archives.flatMap((report) => report.detour ?? []))) {
    const count = archives.filter((report) => report.detour === detour).length;
    print(`${plural(count, 'archive')} came through buildx: ${explanations[detour]}.`);
  }
}

/** Why nothing can go straight, which is no trouble: the archives go through buildx. */
export function tellDetour(error: unknown): void {
  print(`The archives go through buildx: ${messageOf(error)}.`);
}
