import type { ArchiveContents } from '../entry/manifest.js';
import { array, count, invalid, number, object, string } from '../lib/json.js';

/** The result of a script in the build for one mount. */
export type MountReport = {
  readonly seconds: number;
} & (
  | ({ readonly result: 'changed' } & PackedContents)
  /** All content was packed, not a delta. No obstacle: nobody has asked for a delta. */
  | ({ readonly result: 'packed'; readonly obstacle?: Obstacle | undefined } & PackedContents)
  | { readonly result: 'unchanged' }
  | { readonly result: 'unpacked' | 'empty' | 'warm' | 'failed' }
  /** The mount held files, and what it lacked of the archives was, or could not be, added. */
  | { readonly result: 'added' | 'unadded' }
  /** Nothing was unpacked, because the archives did not come straight from the step. */
  | { readonly result: 'detour'; readonly detour: Detour }
  | { readonly result: 'unusable'; readonly missing: string }
  /** `available`: the free bytes on the builder. */
  | { readonly result: 'full'; readonly available: number }
);

export interface PackedContents extends ArchiveContents {
  /** The SHA-256, in hex, of what was sent straight to the step; absent: it is in a file. */
  readonly sha256?: string;
  /** The size of an archive that stays in the builder; absent: it does not. */
  readonly compressedBytes?: number;
  readonly detour?: Detour;
  /** The number of sockets left out, because tar cannot pack sockets; undefined: none. */
  readonly sockets?: number | undefined;
}

/**
 * The reason why all content was packed and not a delta: there is no snapshot, or too much has
 * changed, or tar cannot pack only the changes.
 */
export type Obstacle = (typeof obstacles)[number];

const obstacles = ['snapshot', 'size', 'tar'] as const;

/**
 * The reason why an archive took the way through buildx, although the step has listened for it: a
 * program is missing, the step was not found, or the connection was cut.
 */
export type Detour = (typeof detours)[number];

const detours = ['programs', 'unreachable', 'cut'] as const;

/**
 * Reads the report of a script (in-builder/common.sh): one line of JSON for each mount.
 *
 * @returns the results by the mount's index
 * @throws Error on anything else
 */
export function parseReports(text: string): Map<number, MountReport> {
  const lines = text.split('\n').filter((line) => line !== '');
  return new Map(array(lines, 'report').map((line) => parseLine(JSON.parse(String(line)))));
}

function parseWay({
  sha256,
  compressedBytes,
  detour,
}: Record<string, unknown>): Pick<PackedContents, 'sha256' | 'compressedBytes' | 'detour'> {
  const found = detours.find((each) => each === detour);
  if (detour !== found) throw invalid('detour', detour);
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/.test(string(sha256, 'sha256')))
    throw invalid('sha256', sha256);
  return {
    ...(sha256 === undefined ? {} : { sha256: string(sha256, 'sha256') }),
    ...(compressedBytes === undefined
      ? {}
      : { compressedBytes: count(compressedBytes, 'compressedBytes') }),
    ...(found === undefined ? {} : { detour: found }),
  };
}

function parseLine(value: unknown): [number, MountReport] {
  const line = object(value, 'report');
  const index = count(line.mount, 'mount');
  const seconds = number(line.ended, 'ended') - number(line.started, 'started');
  const result = line.result;
  switch (result) {
    case 'packed':
    case 'changed': {
      const compression = line.compression;
      if (compression !== 'zstd' && compression !== 'gzip')
        throw invalid('compression', compression);
      const files = count(line.files, 'files');
      const bytes = count(line.bytes, 'bytes');
      const sockets = line.sockets === undefined ? undefined : count(line.sockets, 'sockets');
      const report = { seconds, compression, files, bytes, sockets, ...parseWay(line) } as const;
      if (result === 'changed') return [index, { result, ...report }];
      const obstacle = obstacles.find((each) => each === line.obstacle);
      if (line.obstacle !== obstacle) throw invalid('obstacle', line.obstacle);
      return [index, { result, ...report, obstacle }];
    }
    case 'detour': {
      const detour = parseWay(line).detour;
      if (detour === undefined) throw invalid('detour', detour);
      return [index, { result, seconds, detour }];
    }
    case 'unusable':
      return [index, { result, seconds, missing: string(line.missing, 'missing') }];
    case 'full':
      return [index, { result, seconds, available: count(line.available, 'available') }];
    case 'unpacked':
    case 'unchanged':
    case 'empty':
    case 'warm':
    case 'failed':
    case 'added':
    case 'unadded':
      return [index, { result, seconds }];
    default:
      throw invalid('result', result);
  }
}
