/** The cache mount that is measured: filled from a tree, listed, and dropped. */
import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { prepareBuilder } from '../../../__tests__/support/engine.js';
import { run, runShell } from './command.js';
import { listScript, parseListing, type TreeFacts } from './tree.js';

/** One build for all that a method does; `log` is what it has printed. */
export interface Builds {
  /** @param context by default an empty one */
  build(
    dockerfile: string,
    options: readonly string[],
    context?: string,
  ): Promise<{ readonly log: string }>;
}

export interface Mounts extends Builds {
  /** Drops everything that the builder has, as a new runner's has nothing. */
  emptyBuilder(): Promise<void>;
  /** Fills the mount of this id with a tree, by an archive that is made once for each tree. */
  fill(id: string, tree: PackedTree): Promise<void>;
  list(id: string): Promise<TreeFacts>;
  /** Runs a shell script in a build, with the mount at /c. */
  change(id: string, script: string): Promise<void>;
  dispose(): Promise<void>;
}

/** A tree in an archive that keeps all of its attributes, in a build context of its own. */
export interface PackedTree {
  readonly context: string;
}

/** The archive of a packed tree, in its context. */
export const archiveName = 'tree.tar.zst';

export async function packTree(tree: string, context: string): Promise<PackedTree> {
  await mkdir(context);
  const script = 'tar -c --posix -C "$1" . | zstd -q -T0 -1 >"$2"';
  await runShell(script, [tree, join(context, archiveName)]);
  return { context };
}

/** @param workDirectory where it keeps its own files */
export async function prepareMounts(workDirectory: string): Promise<Mounts> {
  const builder = await prepareBuilder();
  const tools = join(workDirectory, 'tools');
  await builder.copyTools(tools);
  const empty = join(workDirectory, 'empty');
  await mkdir(empty);

  /** The context `tools` holds a shell and other programs, as a utility image would. */
  async function build(
    dockerfile: string,
    options: readonly string[],
    context = empty,
  ): Promise<{ log: string }> {
    const file = join(workDirectory, 'Dockerfile');
    await writeFile(file, dockerfile);
    const { stderr } = await run('docker', [
      ...['buildx', 'build', '--progress=plain', '--provenance=false', '--network=none'],
      ...['--build-context', `tools=${tools}`, '--build-arg', `NONCE=${randomUUID()}`],
      ...['--file', file, ...options, context],
    ]);
    return { log: stderr };
  }

  return {
    build,
    emptyBuilder: () => builder.empty(),
    list: async (id) =>
      parseListing(
        await builder.run({ id }, `export LC_ALL=C; { cd /c; ${listScript}\n} >/out/result`),
      ),
    fill: async (id, { context }) => {
      const mounts = `--mount=type=cache,id=${id},target=/c --mount=type=bind,target=/context`;
      const command = ['/bin/tar', '-x', '-p', '-I', 'zstd', '-C', '/c'];
      await build(
        dockerfileOf(`RUN ${mounts} ${exec(...command, '-f', `/context/${archiveName}`)}`),
        ['--output=type=cacheonly'],
        context,
      );
    },
    change: async (id, script) => {
      await builder.run({ id }, script);
    },
    dispose: () => builder.dispose(),
  };
}

/** A Dockerfile of a stage with the tools that does this, each time anew. */
export function dockerfileOf(...instructions: readonly string[]): string {
  return ['FROM scratch', 'COPY --from=tools / /', 'ARG NONCE', ...instructions, ''].join('\n');
}

/** The form that needs no shell. */
export function exec(...command: readonly string[]): string {
  return JSON.stringify(command);
}
