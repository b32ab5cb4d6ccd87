/** Directory trees on the runner's disk: made, and listed in a way that tells all differences. */
import { linkSync, lutimesSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { runShell } from './command.js';
import { createContentSource } from './content.js';
import type { DataSet, MadeUp } from './data-sets.js';

export interface TreeFacts {
  readonly files: number;
  /** Without the second and further names of a file. */
  readonly bytes: number;
  /** Types, modes, times, links, and checksums of all that is in it. */
  readonly attributes: string;
  /** Paths and checksums of the files. */
  readonly contents: string;
}

/** The time of the first file; whole seconds would be cheaper to archive than what compilers leave. */
const epoch = 1_700_000_000.123_456;

const separator = '--';

/** Lists the working directory. For a shell with GNU find and sort. */
export const listScript = `
find . -type d -printf '%y %m %T@ %p\\n' | sort
find . ! -type d -printf '%y %m %n %s %T@ %p -> %l\\n' | sort
echo ${separator}
find . -type f -printf '%D:%i %s\\n' | sort -u
echo ${separator}
find . -type f -exec sha256sum {} + | sort -k 2`;

/** Puts the files of a data set into a new directory. */
export async function writeTree(directory: string, { source }: DataSet): Promise<void> {
  if ('directory' in source) await runShell('cp -a "$1" "$2"', [source.directory, directory]);
  else makeTree(directory, source);
}

function makeTree(directory: string, set: MadeUp): void {
  const content = createContentSource(set.seed);
  const made = new Set<string>();
  let count = 0;
  mkdirSync(directory);
  for (const entry of set.entries()) {
    const path = join(directory, entry.path);
    const parent = dirname(path);
    if (!made.has(parent)) mkdirSync(parent, { recursive: true });
    made.add(parent);
    switch (entry.kind) {
      case 'file':
        writeFileSync(path, content(entry.content, entry.bytes));
        break;
      case 'hardLink':
        linkSync(join(directory, entry.to), path);
        break;
      case 'symbolicLink':
        symlinkSync(entry.to, path);
    }
    count++;
    if (entry.kind !== 'hardLink') lutimesSync(path, epoch + count, epoch + count);
  }
}

export async function listTree(directory: string): Promise<TreeFacts> {
  const { stdout } = await runShell(`export LC_ALL=C; cd "$1"; ${listScript}`, [directory]);
  return parseListing(stdout);
}

export function parseListing(text: string): TreeFacts {
  const [attributes = '', inodes = '', contents = ''] = text.split(`\n${separator}\n`);
  const sizes = inodes.split('\n').map((line) => Number(line.split(' ')[1] ?? 0));
  return {
    files: contents.split('\n').filter((line) => line !== '').length,
    bytes: sizes.reduce((sum, size) => sum + size, 0),
    attributes,
    contents,
  };
}
