import { runProgram } from '../lib/child-process.js';
import type { Surroundings } from '../lib/surroundings.js';

/** Asks a loader what each program would load; none is started. */
const askLoader = 'for program; do "$0" --list "$program" || exit; done';

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
  const listed = await listByLoader(surroundings, programs).catch(() => undefined);
  return listed ?? parseLdd(await listByLdd(surroundings, programs));
}

/**
 * Most often all programs have one loader, and that lists libraries itself (`--list`, in glibc and in
 * musl). Ldd does the same, but it needs three processes for each program.
 *
 * @returns undefined if it does not tell of all of them: one is a script, is static, or has another loader
 */
async function listByLoader(
  surroundings: Surroundings,
  programs: readonly string[],
): Promise<string[] | undefined> {
  const first = await runProgram(surroundings, 'ldd', programs.slice(0, 1));
  const loader = findLoader(first.stdout);
  if (loader === undefined) return undefined;
  const args = ['-c', askLoader, loader, ...programs];
  const { exitCode, stdout } = await runProgram(surroundings, 'sh', args);
  return exitCode === 0 ? parseLdd(first.stdout + stdout) : undefined;
}

/** The loader of a program, as ldd names it; undefined if it has none. */
export function findLoader(text: string): string | undefined {
  const [, loader] = /^\s+(\/\S*\/ld[^/\s]*) (?:=> \S+ )?\(0x/m.exec(text) ?? [];
  return loader;
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
