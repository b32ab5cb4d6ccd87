/** Asks BuildKit itself which cache mounts a Dockerfile has: builds it, and looks what is there. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { copyPrograms, findPrograms } from '../../src/builder/runner-programs.js';
import { readSurroundings } from '../../src/lib/surroundings.js';
import { docker } from './engine.js';

/** A Dockerfile and how it is built. */
export interface Example {
  /** Of its Dockerfile. */
  readonly name: string;
  readonly text: string;
  readonly target: string | undefined;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly platforms: readonly string[];
}

/** What the examples' RUNs find as the program `sentinel`. */
export type Sentinel = 'writes' | 'checks';

export interface Workshop {
  /**
   * Builds the example for each of its platforms.
   *
   * @returns what went wrong, undefined where nothing did
   */
  build(example: Example, sentinel: Sentinel): Promise<string | undefined>;
}

/**
 * Goes through the cache mounts of the RUN that it is called in: what can be written to and is no
 * part of any container. The name of the mount's directory ends in a dot, or the shell would take
 * line breaks off its end.
 */
const forEachMount = (action: string): string => `#!/bin/sh
while read -r _ _ _ _ point options rest; do
  case $point in / | /proc | /proc/* | /dev | /dev/* | /sys | /sys/* | /etc/hosts | /etc/resolv.conf) continue ;; esac
  # What is mounted read-only may say so in its own options, or in those of its file system.
  case ",$options,\${rest##* }," in *,ro,*) continue ;; esac
  case $rest in *"- tmpfs "*) continue ;; esac
  mount=$(printf '%b.' "$point")
  mount=\${mount%.}
  ${action}
done </proc/self/mountinfo
`;

const sentinels: Readonly<Record<Sentinel, string>> = {
  writes: forEachMount(`stat -c '%u:%g %a' "$mount" >"$mount/sentinel" || exit 1`),
  checks: forEachMount(
    `[ -s "$mount/sentinel" ] || { echo "nothing came back at $mount" >&2; exit 1; }`,
  ),
};

/**
 * Makes the two file systems that the examples are built from: one leaves a file in every cache
 * mount, its owner and mode, the other fails where there is none.
 *
 * @param images what stands for itself in the examples: all of them are those same files
 * @param contextFiles what the examples copy from their build context
 */
export async function openWorkshop(
  directory: string,
  images: readonly string[],
  contextFiles: readonly string[],
): Promise<Workshop> {
  for (const sentinel of ['writes', 'checks'] as const) {
    const tools = join(directory, sentinel, 'tools');
    await copyPrograms(
      readSurroundings(),
      await findPrograms(['sh', 'cat', 'stat', 'mkdir', 'rm', 'ln']),
      tools,
    );
    await mkdir(join(tools, 'etc'));
    // A USER is looked up in these, even where it is a number.
    const ids = [0, 33, 501, 1000, 1001, 10001];
    const users = ids.map((id) => `user${id}:x:${id}:${id}::/:/bin/sh\n`);
    const groups = ids.map((id) => `group${id}:x:${id}:\n`);
    await writeFile(join(tools, 'etc', 'passwd'), users.join(''));
    await writeFile(join(tools, 'etc', 'group'), groups.join(''));
    await writeFile(join(tools, 'bin', 'sentinel'), sentinels[sentinel]);
    await chmod(join(tools, 'bin', 'sentinel'), 0o755);
    for (const file of contextFiles) {
      await mkdir(dirname(join(directory, sentinel, file)), { recursive: true });
      await writeFile(join(directory, sentinel, file), '');
    }
  }
  await mkdir(join(directory, 'dockerfiles'));

  async function build(example: Example, sentinel: Sentinel): Promise<string | undefined> {
    const file = join(directory, 'dockerfiles', `${example.name}.Dockerfile`);
    await writeFile(file, withoutSyntax(example.text));
    const context = join(directory, sentinel);
    const named = images.map((image) => `--build-context=${image}=${join(context, 'tools')}`);
    for (const platform of example.platforms) {
      const args = [
        ...['buildx', 'build', '--progress=quiet', '--provenance=false', '--network=none'],
        ...['--output=type=cacheonly', `--platform=${platform}`, `--file=${file}`, ...named],
        ...(example.target === undefined ? [] : [`--target=${example.target}`]),
        ...[...example.buildArgs].map(([name, value]) => `--build-arg=${name}=${value}`),
        context,
      ];
      const failure = await docker(args).then(
        () => undefined,
        (error: unknown) => String((error as { stderr?: string }).stderr ?? error),
      );
      if (failure !== undefined) return failure;
    }
    return undefined;
  }

  return { build };
}

/** The frontend that a Dockerfile names would have to be pulled; the builder has one of its own. */
function withoutSyntax(text: string): string {
  return text.replace(/^#\s*syntax\s*=.*\n/i, '');
}

/**
 * The ids of the directories that the builder keeps for cache mounts, as `NAMESPACE/ID`. By their
 * descriptions: while one is measured, what is listed in its place is of another type.
 */
export async function readIds(): Promise<string[]> {
  const text = await docker([
    ...['buildx', 'du', '--filter', 'description~=cached.mount', '--format', 'json'],
  ]);
  const descriptions = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { Description: string }).Description)
    .filter((description) => description.startsWith('cached mount '));
  return descriptions.map(readId).sort();
}

// This, and unquoteGo, are not those of src/builder/records.ts, although they do the same: the oracle reads
// what BuildKit says of the mounts, and our code is compared with that. If both read it with the same
// code, a mistake there would be on both sides, and the comparison would still hold.
function readId(description: string): string {
  const [, target, quoted] =
    /^cached mount (.*?) from exec .*?(?: with id ("(?:[^"\\]|\\.)*"))?$/s.exec(description) ?? [];
  const id = quoted === undefined ? target : unquoteGo(quoted);
  if (id === undefined) throw new Error(`not the description of a cache mount: ${description}`);
  return id;
}

/** What Go's `%q` has written. Bytes that are no UTF-8 do not occur. */
function unquoteGo(text: string): string {
  const named: Readonly<Record<string, string>> = {
    ...{ a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' },
  };
  return text
    .slice(1, -1)
    .replaceAll(
      /\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|(.))/g,
      (_, x?: string, u?: string, U?: string, char = '') => {
        const code = x ?? u ?? U;
        return code === undefined
          ? (named[char] ?? char)
          : String.fromCodePoint(Number.parseInt(code, 16));
      },
    );
}

/** Does the work for all items, some at a time, and returns the results in the items' order. */
export async function mapSome<T, R>(
  items: readonly T[],
  atATime: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const queue = items.entries();
  async function takeOnes(): Promise<void> {
    for (const [index, item] of queue) results[index] = await work(item);
  }
  await Promise.all(Array.from({ length: atATime }, takeOnes));
  return results;
}
