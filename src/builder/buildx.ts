import { createInterface } from 'node:readline';
import * as io from '@actions/io';
import { debug, print } from '../console/console.js';
import { type ProgramOutput, runProgram, startProgram } from '../lib/child-process.js';
import { messageOf } from '../lib/errors.js';
import type { Surroundings } from '../lib/surroundings.js';
import type { BuilderAddress } from './builder-address.js';
import { type BuilderNode, pickNode } from './nodes.js';
import { lacksNamedContexts, oldestTried } from './versions.js';

/** The builder that is used, and what a person who debugs wants to know of it. */
export interface Builder {
  readonly name: string;
  readonly driver: string;
  /** How many machines it consists of; each has cache mounts of its own. */
  readonly nodes: number;
  /** The name of the one that is used. */
  readonly node: string;
  /** What the node that is used runs, its own platform first, such as `linux/amd64`. */
  readonly platforms: readonly string[];
  readonly buildkit: string;
}

/** A builder that was named, by an input or by inject, does not exist. */
export class NoSuchBuilderError extends Error {
  override readonly name = 'NoSuchBuilderError';
}

export interface BuildOptions {
  readonly surroundings: Surroundings;
  readonly builder: BuilderAddress;
  readonly platform: string | undefined;
  /** Directory that holds all of the following, by their names in it. */
  readonly directory: string;
  readonly context: string;
  readonly namedContexts: Readonly<Record<string, string>>;
  /** The name of its file, or `-`: the build is given its text when it is run. */
  readonly dockerfile: string;
  /** The files of the last stage are put into this directory. */
  readonly output: string;
  readonly buildArgs: Readonly<Record<string, string>>;
}

// Starting a docker-container builder pulls its image first.
const probeTimeout = { quick: 30_000, bootstrap: 60_000 };

/** How long a build may be silent before the log says what it may be waiting for. */
const patience = 10_000;

/** How long a build's output may stay open after its end. */
const drain = 5_000;

/**
 * Looks up a builder and boots it.
 *
 * @param name undefined for the builder that buildx itself would use
 * @param platform what the user builds for, which decides between several nodes; undefined if the build names
 *   none
 * @throws NoSuchBuilderError if a named builder does not exist; Error, with the remedy, if there is no docker,
 *   no buildx, no answer, or too old a BuildKit
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
  // It says nothing of the others if one of several nodes cannot be booted.
  const inspected =
    booted.exitCode === 0 ? booted : await probe(surroundings, ['buildx', 'inspect', ...named]);
  const found = parseInspect(inspected.stdout);
  const node = pickNode(found.nodes, platform);
  const isUsable = booted.exitCode === 0 || (found.nodes.length > 1 && node?.status === 'running');
  const error = found.error ?? node?.error;
  if (isUsable && inspected.exitCode === 0 && node !== undefined && error === undefined) {
    const { buildkit, platforms } = node;
    if (lacksNamedContexts(buildkit)) throw new Error(describeTooOld(found.name, buildkit));
    const nodes = found.nodes.length;
    return { name: found.name, driver: found.driver, nodes, node: node.name, platforms, buildkit };
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

/**
 * Finds out which builder buildx uses if none is named, without booting it.
 *
 * @returns undefined if that cannot be told
 */
export async function findCurrentBuilder(surroundings: Surroundings): Promise<string | undefined> {
  const { exitCode, stdout } = await probe(surroundings, ['buildx', 'inspect']);
  return (exitCode === 0 && parseInspect(stdout).name) || undefined;
}

/** Tells the versions of Docker's command line and of buildx, for who looks for what went wrong. */
export async function describeClient(surroundings: Surroundings): Promise<string> {
  const [docker, buildx] = await Promise.all([
    probe(surroundings, ['--version']),
    probe(surroundings, ['buildx', 'version']),
  ]);
  const dockerVersion = /\d+\.\d[^\s,]*/.exec(docker.stdout)?.[0] ?? lastLine(docker);
  const buildxVersion = /\sv?(\d+\.\d\S*)/.exec(buildx.stdout)?.[1] ?? lastLine(buildx);
  return `Docker ${dockerVersion}, buildx ${buildxVersion}`;
}

/** A build whose command has been started, and waits to be told what to build. */
export interface WaitingBuild {
  /**
   * Builds; the progress goes to the log as it happens. BuildKit has no word for the wait until another
   * build has unlocked a mount: what a silence may mean is said here.
   *
   * @throws Error with buildx's own last line where the build fails
   */
  run(dockerfile: string): Promise<void>;
  /** Ends the command, which has at most started the builder. */
  cancel(): void;
}

/**
 * Starts `docker buildx build`, which reads its Dockerfile from standard input: until it comes to that,
 * it has been loaded and has connected to the builder, which takes longer than many a build does.
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
    // No part of the build needs a network, and an engine may have none to give.
    '--network=none',
    `--file=${options.dockerfile}`,
    // A bare path needs no CSV quoting; it stands for type=local.
    `--output=${options.output}`,
    ...Object.entries(options.namedContexts).map(([key, path]) => `--build-context=${key}=${path}`),
    ...Object.entries(buildArgs).map(([key, value]) => `--build-arg=${key}=${value}`),
    options.context,
  ];
  debug(`docker ${args.join(' ')}`);
  const command = startProgram(surroundings, 'docker', args, {
    cwd: options.directory,
    env: {
      ...variablesFor(builder),
      // It would give another time to all files that the build puts out.
      SOURCE_DATE_EPOCH: undefined,
      // buildx writes down there what it has read from standard input; the runner's may be missing.
      TMPDIR: options.directory,
    },
  });
  const exit = new Promise<number>((resolve, reject) => {
    command.once('error', reject);
    command.once('close', (code) => resolve(code ?? -1));
    // What it has started and left behind may hold its output open.
    command.once('exit', (code) => setTimeout(resolve, drain, code ?? -1).unref());
  });
  // Where it is never run, nobody asks how it ended.
  exit.catch(() => undefined);
  // A command that has ended does not read what it is given; its exit code says so.
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
      // What docker has started may not hear of that, and waits for this.
      command.stdin.destroy();
    },
  };
}

interface Inspected {
  readonly name: string;
  readonly driver: string;
  /** Why none of it can be used. */
  readonly error: string | undefined;
  readonly nodes: readonly BuilderNode[];
}

/**
 * Reads what `docker buildx inspect` prints: `Label: value` lines, first of the builder, then,
 * after `Nodes:`, of each node. The machine-readable form is too young to count on.
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
  // One that was declared is marked with an asterisk.
  const declared = platforms.filter((platform) => platform.endsWith('*'));
  const plain = (platform: string) => platform.replace(/\*$/, '');
  return {
    name: field(text, 'Name') ?? '',
    status: field(text, 'Status') ?? '',
    platforms: platforms.map(plain),
    declared: declared.map(plain),
    buildkit: field(text, 'BuildKit version') ?? field(text, 'BuildKit') ?? 'unknown',
    error: field(text, 'Error'),
  };
}

function field(text: string, label: string): string | undefined {
  return new RegExp(`^${label}:[ \\t]*(.*\\S)`, 'im').exec(text)?.[1];
}

/**
 * Lists the build cache of a builder, of all its nodes as if they were one.
 *
 * @returns what buildx prints, for records.ts
 * @throws Error if buildx cannot tell
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
 * Removes what builds have left in the build cache, if it matches a filter and is not in use.
 *
 * @returns what went wrong
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

/** The surroundings in which buildx uses what is addressed. */
function at(surroundings: Surroundings, builder: BuilderAddress): Surroundings {
  return { ...surroundings, env: { ...surroundings.env, ...variablesFor(builder) } };
}

function variablesFor({ configuration }: BuilderAddress): Record<string, string> {
  return configuration === undefined ? {} : { BUILDX_CONFIG: configuration };
}

function namedBuilder(name: string | undefined): string[] {
  return name === undefined ? [] : [`--builder=${name}`];
}

async function isUnknown(surroundings: Surroundings, name: string): Promise<boolean> {
  const listed = await probe(surroundings, ['buildx', 'ls']);
  const names = listed.stdout.split('\n').map((line) => line.split(/[\s*]/)[0]);
  return listed.exitCode === 0 && !names.includes(name);
}

/**
 * Runs a docker command that only asks for something, and gives up on it after a while. It is ended with
 * the step: other work may be under way.
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

function lastLine({ exitCode, stdout, stderr }: ProgramOutput): string {
  const lines = `${stdout}\n${stderr}`.trim().split('\n');
  return (lines.at(-1) || `exit code ${exitCode}`).replace(/^ERROR: /, '');
}
