/** Builds as a user runs them, on the engine that DOCKER_HOST names. */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { copyPrograms, findPrograms } from '../../src/builder/runner-programs.js';
import { readSurroundings } from '../../src/lib/surroundings.js';
import type { Combination } from './combinations.js';
import { execute } from './silence.js';

/** Variables by which another engine is reached than the one that the tests run on. */
export type EngineEnv = Readonly<Record<string, string>>;

/** Runs docker and returns what it prints. */
export async function docker(
  args: readonly string[],
  env: EngineEnv = {},
  signal?: AbortSignal,
): Promise<string> {
  const options = { maxBuffer: 1 << 28, env: { ...process.env, ...env }, signal };
  const [first, ...rest] = args;
  // What docker does for its plugin is what the tests of the steps are for; here it would only take time.
  const buildx = first === 'buildx' ? process.env.ENGINE_BUILDX : undefined;
  const { stdout } = buildx
    ? await execute(buildx, rest, options)
    : await execute('docker', [...args], options);
  return stdout;
}

/** The ids of the engine's images. (It lists those of one second in any order.) */
export async function listImages(): Promise<string[]> {
  return (await docker(['images', '--all', '--quiet'])).trim().split('\n').sort();
}

export interface MountFlags {
  /** The flag without id, such as `target=/c,uid=1000`; its target is always `/c`. */
  readonly options?: string;
  /** Handed over as a build argument, so that any id means what it says. */
  readonly id?: string;
  /** Ids, of plain characters, of further mounts: each is below `/all`, by its id. */
  readonly others?: readonly string[];
}

export interface TestBuilder {
  /** Empties the builder as a new runner's is empty. */
  empty(): Promise<void>;
  /** Takes its cache mounts from it, and leaves it the layers of the builds. */
  dropMounts(): Promise<void>;
  /**
   * Runs a shell script in a build with a cache mount at /c, as root, with the programs below.
   *
   * @param buildOptions of docker buildx build
   * @param signal cancels the build
   * @returns what the script has written to /out/result
   */
  run(
    mount: MountFlags,
    script: string,
    buildOptions?: readonly string[],
    signal?: AbortSignal,
  ): Promise<string>;
  /** Copies a shell and other programs, such as a user's image has, into a directory. */
  copyTools(directory: string): Promise<void>;
  dispose(): Promise<void>;
}

const programs =
  'sh bash cat ls cp ln rm mv mkdir mkfifo touch chmod chown find sort sha256sum truncate stat dd sleep ' +
  'setfattr getfattr setfacl getfacl tar zstd gzip grep';

export async function prepareBuilder(env: EngineEnv = {}): Promise<TestBuilder> {
  if (!process.env.TEST_BUILDER) {
    throw new Error(
      'The tests empty the builder that they use: run scripts/test, which makes one.',
    );
  }
  const context = await mkdtemp(join(tmpdir(), 'build-'));
  await copyPrograms(
    readSurroundings(),
    await findPrograms(programs.split(' ')),
    join(context, 'tools'),
  );

  async function run(
    { id, options, others = [] }: MountFlags,
    script: string,
    buildOptions: readonly string[] = [],
    signal?: AbortSignal,
  ): Promise<string> {
    const flags = ['type=cache', 'target=/c', ...(id === undefined ? [] : ['id=$ID'])];
    const mounts = [
      [...flags, ...(options ? [options] : [])].join(','),
      ...others.map((other) => `type=cache,id=${other},target=/all/${other}`),
    ];
    const dockerfile = [
      'FROM scratch AS tools',
      'COPY tools /',
      'FROM tools AS run',
      'WORKDIR /out',
      'ARG NONCE',
      'ARG ID',
      `RUN ${mounts.map((mount) => `--mount=${mount}`).join(' ')} ["/bin/sh", "-euc", ${JSON.stringify(script)}]`,
      'FROM scratch',
      'COPY --from=run /out /',
    ];
    const output = await mkdtemp(join(tmpdir(), 'build-output-'));
    // Not in the context, and not where another run that goes on at the same time has its own.
    const file = join(output, 'Dockerfile');
    try {
      await writeFile(file, `${dockerfile.join('\n')}\n`);
      await docker(
        [
          ...['buildx', 'build', '--progress=plain', '--provenance=false', '--network=none'],
          ...['--build-arg', `NONCE=${randomUUID()}`, '--build-arg', `ID=${id ?? ''}`],
          ...[...buildOptions, '--file', file, '--output', output, context],
        ],
        env,
        signal,
      );
      return await readFile(join(output, 'result'), 'utf8').catch(() => '');
    } finally {
      await rm(output, { recursive: true });
    }
  }

  async function prune(...options: string[]): Promise<void> {
    await docker(['buildx', 'prune', '--all', '--force', ...options], env);
  }

  return {
    run,
    copyTools: (directory) => cp(join(context, 'tools'), directory, { recursive: true }),
    empty: () => prune(),
    dropMounts: () => prune('--filter', 'type=exec.cachemount'),
    dispose: () => rm(context, { recursive: true }),
  };
}

/** What the tests run on: a docker-container builder, or the own one of an engine with that image store. */
export function builderKind(): Combination['builder'] {
  if (process.env.TEST_BUILDER === 'docker-container') return 'container';
  const args = ['info', '--format={{json .DriverStatus}}'];
  const status = execFileSync('docker', args, { encoding: 'utf8' });
  return status.includes('io.containerd.snapshotter') ? 'containerd' : 'classic';
}

/**
 * Gives tests a docker-container builder in the network of the runner: the registry and the cache
 * service of the tests listen on its loopback, and BuildKit takes only a registry there without TLS. A
 * builder of another kind is in that network already.
 *
 * @returns removes it
 */
export async function useRunnersNetwork(): Promise<() => Promise<void>> {
  if (process.env.TEST_BUILDER !== 'docker-container') return async () => undefined;
  const name = `in-runners-network-${randomUUID()}`;
  const config = fileURLToPath(new URL('../../scripts/lib/buildkitd.toml', import.meta.url));
  const options = ['--driver=docker-container', '--driver-opt=network=host', '--bootstrap'];
  await docker(['buildx', 'create', `--name=${name}`, `--buildkitd-config=${config}`, ...options]);
  return useBuilder(name);
}

/**
 * Makes a builder the one that tests use. (Each test file has an environment of its own.)
 *
 * @returns removes it, and makes the one before it that again
 */
export function useBuilder(name: string): () => Promise<void> {
  const before = process.env.BUILDX_BUILDER;
  process.env.BUILDX_BUILDER = name;
  return async () => {
    if (before === undefined) delete process.env.BUILDX_BUILDER;
    else process.env.BUILDX_BUILDER = before;
    await docker(['buildx', 'rm', '--force', name]);
  };
}

/** Writes all that is to know of /c to the result: two mounts with equal listings are equal. */
export const listMount = `
cd /c
{
  find . -type d -printf '%y %m %U:%G %T@ %p\\n' | sort
  find . ! -type d -printf '%y %m %U:%G %n %s %T@ %p -> %l\\n' | sort
  echo holes; find . -type f -size +100k -printf '%p %b\\n' | sort
  echo links; find . -type f -links +1 -printf '%i %p\\n' | sort -k2 |
    { seen=; while read -r inode path; do case " $seen" in *" $inode="*) ;; *) seen="$seen $inode=$path" ;; esac
        rest="\${seen#* $inode=}"; echo "$path is \${rest%% *}"; done; }
  echo contents; find . -type f -exec sha256sum {} + | sort -k2
  echo attributes; find . ! -type l -exec getfattr -h -d -m - -e hex {} + | sort
  echo lists; find . ! -type l -exec getfacl -n -p {} + 2>/dev/null
} >/out/result 2>&1`;

/** The same, but for the blocks on the disk, of which a large file may have one more or less. */
export const listFiles = listMount.replace(/^ *echo holes.*$/m, '');
