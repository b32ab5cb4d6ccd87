import { open } from 'node:fs/promises';
import { runProgram } from '../lib/child-process.js';
import type { Surroundings } from '../lib/surroundings.js';

/** Asks the loader of each program, which lists what it would load, and starts nothing. */
const askLoaders = 'while [ $# -gt 0 ]; do "$1" --list "$2" || exit; shift 2; done';

/**
 * Finds the shared libraries that programs are linked to, and their loaders.
 *
 * @returns absolute paths
 * @throws Error if a library is missing
 */
export async function findLibraries(
  surroundings: Surroundings,
  programs: readonly string[],
): Promise<string[]> {
  const listed = await listByLoaders(surroundings, programs).catch(() => undefined);
  return listed ?? parseLdd(await listByLdd(surroundings, programs));
}

/**
 * The loaders of glibc and of musl both list libraries. This is what ldd does too, but it needs three
 * processes for each program, and it tries loaders at paths of its own.
 *
 * @returns undefined if they do not tell
 */
async function listByLoaders(
  surroundings: Surroundings,
  programs: readonly string[],
): Promise<string[] | undefined> {
  const loaders = await Promise.all(programs.map(readLoader));
  const asked = programs.flatMap((program, index) => {
    const loader = loaders[index];
    return loader === undefined ? [] : [[loader, program]];
  });
  const args = ['-c', askLoaders, 'sh', ...asked.flat()];
  const { exitCode, stdout } = await runProgram(surroundings, 'sh', args);
  if (exitCode !== 0) return undefined;
  return [...new Set([...asked.map(([loader = '']) => loader), ...parseLdd(stdout)])].sort();
}

/** The output of ldd for all programs. The ldd of musl reads only its first argument. */
async function listByLdd(surroundings: Surroundings, programs: readonly string[]): Promise<string> {
  const ask = async (args: readonly string[]) =>
    // The exit code is not checked, because ldd fails if even one of several programs is static.
    (await runProgram(surroundings, 'ldd', args)).stdout;
  const all = await ask(programs);
  if (all.includes(`${programs.at(-1)}:`)) return all;
  return (await Promise.all(programs.map((program) => ask([program])))).join('');
}

/**
 * Finds the absolute paths of libraries and loaders in the output of ldd, or of a loader. A static
 * program has none.
 */
export function parseLdd(text: string): string[] {
  const paths = text.split('\n').flatMap((line) => {
    if (/=>\s*not found/.test(line)) {
      throw new Error(`a shared library of the runner's programs is missing: ${line.trim()}`);
    }
    const [, name = '', path = ''] = /^\s+(?:(\S+) => )?(\/\S+) \(0x[0-9a-f]+\)/.exec(line) ?? [];
    // A program may name its loader by one path, and ldd may find it at another.
    return [name, path].filter((each) => each.startsWith('/'));
  });
  return [...new Set(paths)].sort();
}

// Where the fields of an ELF file are, whose addresses have 64 bits or 32.
const wide = { table: 32, entrySize: 54, count: 56, offset: 8, size: 32 };
const narrow = { table: 28, entrySize: 42, count: 44, offset: 4, size: 16 };
const magic = 0x7f454c46;
const interpreter = 3;

/**
 * Reads which loader a program names in its header (PT_INTERP of the ELF format).
 *
 * @returns undefined if it names none: it is static, or a script
 */
export async function readLoader(program: string): Promise<string | undefined> {
  const file = await open(program);
  try {
    const read = async (position: number, length: number) => {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
      return new DataView(buffer.buffer, buffer.byteOffset, bytesRead);
    };
    const head = await read(0, 64);
    if (head.byteLength < 64 || head.getUint32(0) !== magic) return undefined;
    const layout = head.getUint8(4) === 2 ? wide : narrow;
    const isLittle = head.getUint8(5) === 1;
    const address = (from: DataView, at: number) =>
      layout === wide ? Number(from.getBigUint64(at, isLittle)) : from.getUint32(at, isLittle);
    const entrySize = head.getUint16(layout.entrySize, isLittle);
    const length = head.getUint16(layout.count, isLittle) * entrySize;
    const table = await read(address(head, layout.table), length);
    for (let at = 0; at < length; at += entrySize) {
      if (table.getUint32(at, isLittle) !== interpreter) continue;
      const path = await read(address(table, at + layout.offset), address(table, at + layout.size));
      return new TextDecoder().decode(path).replace(/\0.*$/s, '');
    }
    return undefined;
  } finally {
    await file.close();
  }
}
