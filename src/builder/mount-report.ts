import type { Compression } from '../entry/manifest.js';
import { array, count, invalid, number, object, string } from '../lib/json.js';

/** What a script in the build did with one mount. */
export type MountReport = {
  readonly seconds: number;
} /** All of it, or what has changed since inject. */ & (
  | ({ readonly result: 'changed' } & Contents)
  /** Undefined: nobody has asked for just what has changed. */
  | ({ readonly result: 'packed'; readonly obstacle?: Obstacle | undefined } & Contents)
  | { readonly result: 'unpacked' | 'unchanged' | 'empty' | 'warm' | 'failed' }
  | { readonly result: 'unusable'; readonly missing: string }
  /** Bytes that the builder has free. */
  | { readonly result: 'full'; readonly available: number }
);

/** Why all was packed: there is no snapshot, or too much has changed, or tar cannot pack just that. */
export type Obstacle = (typeof obstacles)[number];

const obstacles = ['snapshot', 'size', 'tar'] as const;

/**
 * Why an archive came as a file, although the step has listened for it: a program is missing, the step
 * was not found, or the connection was cut.
 */
export type Detour = (typeof detours)[number];

const detours = ['programs', 'unreachable', 'cut'] as const;

interface Contents {
  readonly compression: Compression;
  readonly files: number;
  readonly bytes: number;
  /** What was sent straight to the step, in hex; absent: it is in a file. */
  readonly sha256?: string;
  readonly detour?: Detour;
}

/**
 * Reads what the scripts in the build have written (in-builder/common.sh): a line of JSON per mount.
 *
 * @returns the reports by the mount's index
 * @throws Error on anything else
 */
export function parseReports(text: string): Map<number, MountReport> {
  const lines = text.split('\n').filter((line) => line !== '');
  return new Map(array(lines, 'report').map((line) => parseLine(JSON.parse(String(line)))));
}

function parseWay({
  sha256,
  detour,
}: Record<string, unknown>): Pick<Contents, 'sha256' | 'detour'> {
  const found = detours.find((each) => each === detour);
  if (detour !== found) throw invalid('detour', detour);
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/.test(string(sha256, 'sha256')))
    throw invalid('sha256', sha256);
  return {
    ...(sha256 === undefined ? {} : { sha256: string(sha256, 'sha256') }),
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
      const report = { seconds, compression, files, bytes, ...parseWay(line) } as const;
      if (result === 'changed') return [index, { result, ...report }];
      const obstacle = obstacles.find((each) => each === line.obstacle);
      if (line.obstacle !== obstacle) throw invalid('obstacle', line.obstacle);
      return [index, { result, ...report, obstacle }];
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
      return [index, { result, seconds }];
    default:
      throw invalid('result', result);
  }
}
