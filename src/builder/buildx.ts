import { createInterface } from 'node:readline';
import * as io from '@actions/io';
import { debug, print } from '../console/console.js';
import { type ProgramOutput, runProgram, startProgram } from '../lib/child-process.js';
import { messageOf } from '../lib/errors.js';
import type { Surroundings } from '../lib/surroundings.js';
import { type BuilderAddress, variablesFor } from './builder-address.js';
import { type BuilderNode, pickNode } from './nodes.js';
import { lacksNamedContexts, oldestTried } from './versions.js';

/** The builder that is used, with some facts that help to find errors. */
export interface Builder {
  readonly name: string;
  readonly driver: string;
  /** The number of its machines; each has its own cache mounts. */
  readonly nodes: number;
  /** The name of the node that is used. */
  readonly node: string;
  /** The platforms that this node runs, its own first, such as `linux/amd64`. */
  readonly platforms: readonly string[];
  readonly buildkit: string;
  /** The URL of the node's engine, or the name of the context that has it. */
  readonly endpoint: string;
}

/** A builder does not exist, although an input or inject has named it. */
export class NoSuchBuilderError extends Error {
  override readonly name = 'NoSuchBuilderError';
}

export interface BuildOptions {
  readonly surroundings: Surroundings;
  readonly builder: BuilderAddress;
  readonly platform: string | undefined;
  /** The directory that holds all of the following; their names are relative to it. */
  readonly directory: string;
  readonly context: string;
  /** What the builder's history calls the build. */
  readonly name: string;
  readonly namedContexts: Readonly<Record<string, string>>;
  /** The name of its file, or `-` if the build gets its text when it is run. */
  readonly dockerfile: string;
  /** The directory for the files of the last stage. */
  readonly output: string;
  readonly buildArgs: Readonly<Record<string, string>>;
  /** The names of the secrets' files, by their ids. A file is read when a RUN needs it. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Whether the RUNs have the builder's default network. An engine may have none to give. */
  readonly withNetwork?: boolean;
}

// The bootstrap takes longer, because a docker-container builder first pulls its image.
const probeTimeout = { quick: 30_000, bootstrap: 60_000 };

/** If a build is silent for longer than this, the log says what it may be waiting for. */
const patience = 10_000;

/** The longest wait for a build's output to be closed after the build has ended. */
const drain = 5_000;

/**
 * Looks up a builder and boots it.
 *
 * @param name undefined for the builder that buildx itself would use
 * @param platform the platform that the user builds for, because it decides between several nodes;
 *   undefined if the build names none
 * @throws NoSuchBuilderError if a named builder does not exist; Error, with the remedy, if there is
 *   no docker, no buildx or no answer, or if BuildKit is too old
 */
export async function inspectBuilder(
  surroundings: Surroundings,
  name: string | undefined,
  platform: string | undefined,
): Promise<Builder> {
  if ((await io.which('docker')) === '') {
    throw new Error(
      'Docker is not installed on this runner (no "docker" in PATH): cache mounts can be neither restored nor saved.',
    );
  }
  const named = name === undefined ? [] : [name];
  const booted = await probe(
    surroundings,
    ['buildx', 'inspect', '--bootstrap', ...named],
    probeTimeout.bootstrap,
  );
  // If one of several nodes cannot be booted, buildx says nothing about the others. So it is asked
  // again, without booting.
  const inspected =
    booted.exitCode === 0 ? booted : await probe(surroundings, ['buildx', 'inspect', ...named]);
  const found = parseInspect(inspected.stdout);
  const node = pickNode(found.nodes, platform);
  const isUsable = booted.exitCode === 0 || (found.nodes.length > 1 && node?.status === 'running');
  const error = found.error ?? node?.error;
  if (isUsable && inspected.exitCode === 0 && node !== undefined && error === undefined) {
    const { buildkit, platforms, endpoint } = node;
    if (lacksNamedContexts(buildkit)) throw new Error(describeTooOld(found.name, buildkit));
    const nodes = found.nodes.length;
    const own = { node: node.name, platforms, buildkit, endpoint };
    return { name: found.name, driver: found.driver, nodes, ...own };
  }
  const trouble = error ?? lastLine(booted);
  const buildx = await probe(surroundings, ['buildx', 'version']);
  if (/podman|buildah/i.test(`${trouble}\n${buildx.stdout}\n${buildx.stderr}`)) {
    throw new Error(
      'The "docker" of this runner is Podman, which is not supported: it does not build with BuildKit, whose cache mounts these are. Install Docker with buildx.',
    );
  }
  if (buildx.exitCode !== 0) {
    throw new Error(
      `docker buildx does not run: ${lastLine(buildx)}. Put docker/setup-buildx-action before this step.`,
    );
  }
  const byVariable = surroundings.env.BUILDX_BUILDER;
  if (name !== undefined && (await isUnknown(surroundings, name))) {
    throw new NoSuchBuilderError(`There is no builder "${name}" on this runner.`);
  }
  if (name === undefined && byVariable && (await isUnknown(surroundings, byVariable))) {
    throw new Error(
      `The environment variable BUILDX_BUILDER names the builder "${byVariable}", and there is none of that name on this runner. Put docker/setup-buildx-action before this step and pass its output "name", or unset the variable.`,
    );
  }
  const which = name === undefined ? 'the default builder' : `the builder "${name}"`;
  const whichNode =
    found.nodes.length > 1 && node ? `, of whose nodes buildx builds on ${node.name}` : '';
  throw new Error(
    `Docker does not answer for ${which}${whichNode}: ${trouble}. Check that the engine runs and that this user may use it.`,
  );
}

function describeTooOld(builder: string, buildkit: string): string {
  return `The builder ${builder} runs BuildKit ${buildkit}, which is too old: it knows no named build contexts. BuildKit ${oldestTried} or later is needed; docker/setup-buildx-action makes a builder with a current one.`;
}

/** Tells the versions of Docker's command line and of buildx, which help to find errors. */
export async function describeClient(surroundings: Surroundings): Promise<string> {
  const [docker, buildx] = await Promise.all([
    probe(surroundings, ['--version']),
    probe(surroundings, ['buildx', 'version']),
  ]);
  const dockerVersion = /\d+\.\d[^\s,]*/.exec(docker.stdout)?.[0] ?? lastLine(docker);
  const buildxVersion = /\sv?(\d+\.\d\S*)/.exec(buildx.stdout)?.[1] ?? lastLine(buildx);
  return `Docker ${dockerVersion}, buildx ${buildxVersion}`;
}

/** A build whose command has been started and waits for its Dockerfile. */
export interface WaitingBuild {
  /**
   * Builds, and prints the progress as it happens. BuildKit says nothing while it waits until
   * another build has unlocked a mount. So the log explains a long silence.
   *
   * @throws Error with buildx's own last line if the build fails
   */
  run(dockerfile: string): Promise<void>;
  /** Ends the command, which has at most started the builder. */
  cancel(): void;
}

/**
 * Starts `docker buildx build`, which reads its Dockerfile from standard input. Before it reads,
 * the command is loaded and connects to the builder. An early start saves time, because this often
 * takes longer than the build itself.
 */
export function startBuild(options: BuildOptions): WaitingBuild {
  const { surroundings, builder, platform, buildArgs } = options;
  const args = [
    'buildx',
    'build',
    ...namedBuilder(builder.name),
    ...(platform === undefined ? [] : [`--platform=${platform}`]),
    '--progress=plain',
    '--provenance=false',
    '--sbom=false',
    // Only archives that go straight to the step need a network, and some engines cannot provide one.
    ...(options.withNetwork ? [] : ['--network=none']),
    `--file=${options.dockerfile}`,
    // A path alone means type=local, and needs no CSV quoting.
    `--output=${options.output}`,
    ...Object.entries(options.namedContexts).map(([key, path]) => `--build-context=${key}=${path}`),
    // The name of the build in the builder's history.
    `--build-arg=BUILDKIT_BUILD_NAME=${options.name}`,
    ...Object.entries(buildArgs).map(([key, value]) => `--build-arg=${key}=${value}`),
    ...Object.entries(options.secrets ?? {}).map(([id, file]) => `--secret=id=${id},src=${file}`),
    options.context,
  ];
  debug(`docker ${args.join(' ')}`);
  const command = startProgram(surroundings, 'docker', args, {
    cwd: options.directory,
    env: {
      ...variablesFor(builder),
      // With this variable, all files in the build's output would get another time.
      SOURCE_DATE_EPOCH: undefined,
      // Buildx writes the text from standard input to a file there. The runner's own temporary
      // directory may be missing.
      TMPDIR: options.directory,
    },
  });
  const exit = new Promise<number>((resolve, reject) => {
    command.once('error', reject);
    command.once('close', (code) => resolve(code ?? -1));
    // Processes that the command has left behind may keep its output open.
    command.once('exit', (code) => setTimeout(resolve, drain, code ?? -1).unref());
  });
  // If the build is never run, nothing else handles this rejection.
  exit.catch(() => undefined);
  // Writing fails if the command has already ended. Its exit code is reported instead.
  command.stdin.on('error', () => undefined);
  const said: string[] = [];
  let hear = (line: string) => {
    said.push(line);
  };
  for (const input of [command.stdout, command.stderr]) {
    createInterface({ input }).on('line', (line) => hear(line));
  }
  return {
    run: async (dockerfile) => {
      let spoke = performance.now();
      let last = '';
      const silence = setInterval(() => {
        const seconds = Math.round((performance.now() - spoke) / 1000);
        print(
          `The builder has said nothing for ${seconds} seconds: it is busy with a large mount, or waits until another build that uses one of these mounts has ended.`,
        );
      }, patience);
      hear = (line) => {
        spoke = performance.now();
        silence.refresh();
        if (line.trim() !== '') last = line;
        print(line);
      };
      said.forEach(hear);
      command.stdin.end(dockerfile);
      const exitCode = await exit.finally(() => clearInterval(silence));
      if (exitCode !== 0) {
        throw new Error(
          `docker buildx build failed: ${lastLine({ exitCode, stdout: '', stderr: last })}`,
        );
      }
    },
    cancel: () => {
      command.kill();
      // The signal may not reach the processes that docker has started. They end when their input
      // is closed.
      command.stdin.destroy();
    },
  };
}

interface Inspected {
  readonly name: string;
  readonly driver: string;
  /** The reason why the whole builder cannot be used. */
  readonly error: string | undefined;
  readonly nodes: readonly BuilderNode[];
}

/**
 * Reads the output of `docker buildx inspect`: `Label: value` lines, first for the builder, then,
 * after `Nodes:`, for each node. The machine-readable form is too new to rely on.
 */
export function parseInspect(text: string): Inspected {
  const [head = '', ...rest] = text.split(/^(?=Nodes:|Name:)/m).filter((part) => part !== '');
  return {
    name: field(head, 'Name') ?? '',
    driver: field(head, 'Driver') ?? '',
    error: field(head, 'Error'),
    nodes: rest.filter((part) => part.startsWith('Name:')).map(parseNode),
  };
}

function parseNode(text: string): BuilderNode {
  const platforms = (field(text, 'Platforms') ?? '')
    .split(',')
    .map((platform) => platform.trim())
    .filter((platform) => platform !== '');
  // An asterisk marks a platform that was declared.
  const declared = platforms.filter((platform) => platform.endsWith('*'));
  const plain = (platform: string) => platform.replace(/\*$/, '');
  return {
    name: field(text, 'Name') ?? '',
    status: field(text, 'Status') ?? '',
    platforms: platforms.map(plain),
    declared: declared.map(plain),
    buildkit: field(text, 'BuildKit version') ?? field(text, 'BuildKit') ?? 'unknown',
    endpoint: field(text, 'Endpoint') ?? '',
    error: field(text, 'Error'),
  };
}

function field(text: string, label: string): string | undefined {
  return new RegExp(`^${label}:[ \\t]*(.*\\S)`, 'im').exec(text)?.[1];
}

/**
 * Lists the build cache of a builder. Buildx lists all nodes as if they were one.
 *
 * @returns the output of buildx, which records.ts reads
 * @throws Error if buildx cannot list it
 */
export async function listBuildCache(
  surroundings: Surroundings,
  builder: BuilderAddress,
  filter?: 'type=exec.cachemount' | 'description~=cached.mount',
): Promise<string> {
  const filters = filter === undefined ? [] : [`--filter=${filter}`];
  const args = ['buildx', 'du', ...namedBuilder(builder.name), ...filters];
  // Older versions of buildx know only the second form.
  for (const format of ['--format=json', '--verbose']) {
    const { exitCode, stdout } = await probe(at(surroundings, builder), [...args, format]);
    if (exitCode === 0) return stdout;
  }
  throw new Error('docker buildx du fails');
}

/**
 * Removes those parts of the build cache that match a filter and are not in use.
 *
 * @returns the trouble; undefined if there was none
 */
export async function removeBuildCache(
  surroundings: Surroundings,
  builder: BuilderAddress,
  filter: `description~=${string}` | `id=${string}`,
): Promise<string | undefined> {
  const args = ['buildx', 'prune', '--force', ...namedBuilder(builder.name), `--filter=${filter}`];
  const result = await probe(at(surroundings, builder), args);
  return result.exitCode === 0 ? undefined : lastLine(result);
}

/** The surroundings in which buildx uses the given address. */
function at(surroundings: Surroundings, builder: BuilderAddress): Surroundings {
  return { ...surroundings, env: { ...surroundings.env, ...variablesFor(builder) } };
}

/** @param name undefined for the builder that buildx itself would use */
export function namedBuilder(name: string | undefined): string[] {
  return name === undefined ? [] : [`--builder=${name}`];
}

async function isUnknown(surroundings: Surroundings, name: string): Promise<boolean> {
  const listed = await probe(surroundings, ['buildx', 'ls']);
  const names = listed.stdout.split('\n').map((line) => line.split(/[\s*]/)[0]);
  return listed.exitCode === 0 && !names.includes(name);
}

/**
 * Runs a docker command that only asks for something, and gives up after a while. The command is
 * ended together with the step, because the step may end while other work is under way.
 */
async function probe(
  surroundings: Surroundings,
  args: readonly string[],
  timeout = probeTimeout.quick,
): Promise<ProgramOutput> {
  debug(`docker ${args.join(' ')}`);
  try {
    return await runProgram(surroundings, 'docker', args, { timeout });
  } catch (error) {
    return { exitCode: -1, stdout: '', stderr: messageOf(error) };
  }
}

/**
 * Runs a docker command that only asks for something. Never fails: its exit code says so. The
 * commands are those of this file, of bake.ts, of build-history.ts, of image-config.ts and of
 * registry-access.ts.
 */
export async function askDocker(
  surroundings: Surroundings,
  args: readonly string[],
  timeout = probeTimeout.quick,
): Promise<ProgramOutput> {
  return probe(surroundings, args, timeout);
}

/** What a command has said last, which tells why it has failed. */
export function lastLine({ exitCode, stdout, stderr }: ProgramOutput): string {
  const lines = `${stdout}\n${stderr}`.trim().split('\n');
  return (lines.at(-1) || `exit code ${exitCode}`).replace(/^ERROR: /, '');
}
