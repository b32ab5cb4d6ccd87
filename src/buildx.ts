import * as core from '@actions/core';
import { getExecOutput } from '@actions/exec';
import * as io from '@actions/io';
import { messageOf } from './errors.js';
import { killDescendants } from './processes.js';

/** The builder that is used, and what a person who debugs wants to know of it. */
export interface Builder {
  readonly name: string;
  readonly driver: string;
  /** Platforms of its first node, the node's own first, such as `linux/amd64`. */
  readonly platforms: readonly string[];
  readonly nodes: number;
  readonly buildkit: string;
  readonly buildx: string;
  readonly docker: string;
}

/** A builder that was named does not exist. */
export class NoSuchBuilderError extends Error {
  override readonly name = 'NoSuchBuilderError';
}

export interface BuildOptions {
  readonly builder: Builder;
  readonly platform: string | undefined;
  /** Directory that holds all of the following, by their names in it. */
  readonly directory: string;
  readonly context: string;
  readonly dockerfile: string;
  /** The files of the last stage are put into this directory. */
  readonly output: string;
  readonly buildArgs: Readonly<Record<string, string>>;
}

interface Output {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

// Starting a docker-container builder pulls its image first.
const probeTimeout = { quick: 30_000, bootstrap: 180_000 };

/**
 * Looks up a builder and boots it.
 *
 * @param name undefined for the builder that buildx itself would use
 * @throws NoSuchBuilderError where a named builder does not exist; Error, with the remedy, where
 *   there is no docker, no buildx, or no answer
 */
export async function inspectBuilder(name: string | undefined): Promise<Builder> {
  if ((await io.which('docker')) === '') {
    throw new Error(
      'Docker is not installed on this runner (no "docker" in PATH): cache mounts can be neither restored nor saved.',
    );
  }
  const [docker, buildx, inspected] = await Promise.all([
    probe(['version', '--format', '{{.Client.Version}}, engine {{.Server.Version}}']),
    probe(['buildx', 'version']),
    probe(
      ['buildx', 'inspect', '--bootstrap', ...(name === undefined ? [] : [name])],
      probeTimeout.bootstrap,
    ),
  ]);
  if (buildx.exitCode !== 0) {
    throw new Error(
      `docker buildx does not run: ${lastLine(buildx)}. Put docker/setup-buildx-action before this step.`,
    );
  }
  const builder = parseInspect(inspected.stdout);
  if (inspected.exitCode === 0 && builder.error === undefined) {
    return {
      ...builder,
      // An engine that does not answer need not matter: the builder may be another machine.
      docker: docker.stdout.trim().replace(/, engine $/, '') || lastLine(docker),
      buildx: /\sv?(\d+\.\d\S*)/.exec(buildx.stdout)?.[1] ?? buildx.stdout.trim(),
    };
  }
  if (name !== undefined && (await isUnknown(name))) {
    throw new NoSuchBuilderError(`There is no builder "${name}" on this runner.`);
  }
  const which = name === undefined ? 'the default builder' : `the builder "${name}"`;
  throw new Error(
    `Docker does not answer for ${which}: ${builder.error ?? lastLine(inspected)}. Check that the engine runs and that this user may use it.`,
  );
}

/**
 * Runs `docker buildx build`, whose progress goes to the log as it happens.
 *
 * @throws Error with buildx's own last line where the build fails
 */
export async function build(options: BuildOptions): Promise<void> {
  const { builder, platform, buildArgs } = options;
  const args = [
    'buildx',
    'build',
    `--builder=${builder.name}`,
    ...(platform === undefined ? [] : [`--platform=${platform}`]),
    '--progress=plain',
    '--provenance=false',
    '--sbom=false',
    // No part of the build needs a network, and an engine may have none to give.
    '--network=none',
    `--file=${options.dockerfile}`,
    // A bare path needs no CSV quoting; it stands for type=local.
    `--output=${options.output}`,
    ...Object.entries(buildArgs).map(([key, value]) => `--build-arg=${key}=${value}`),
    options.context,
  ];
  core.debug(`docker ${args.join(' ')}`);
  const result = await getExecOutput('docker', args, {
    cwd: options.directory,
    ignoreReturnCode: true,
    silent: true,
    listeners: { errline: (line) => core.info(line), stdline: (line) => core.info(line) },
  });
  if (result.exitCode !== 0) {
    throw new Error(`docker buildx build failed: ${lastLine(result)}`);
  }
}

interface Inspected {
  readonly name: string;
  readonly driver: string;
  readonly platforms: string[];
  readonly nodes: number;
  readonly buildkit: string;
  /** Why a node cannot be used. */
  readonly error: string | undefined;
}

/**
 * Reads what `docker buildx inspect` prints: `Label: value` lines, first of the builder, then,
 * after `Nodes:`, of each node. The machine-readable form is too young to count on.
 */
export function parseInspect(text: string): Inspected {
  const [head = '', nodes = ''] = text.split(/^Nodes:\s*$/m);
  const first = nodes.trim().split(/\n\s*\n/)[0] ?? '';
  return {
    name: field(head, 'Name') ?? '',
    driver: field(head, 'Driver') ?? '',
    // A platform that the user has set is marked with an asterisk.
    platforms: (field(first, 'Platforms') ?? '')
      .split(',')
      .map((platform) => platform.trim().replace(/\*$/, ''))
      .filter((platform) => platform !== ''),
    nodes: nodes.match(/^Endpoint:/gm)?.length ?? 0,
    buildkit: field(first, 'BuildKit version') ?? field(first, 'Buildkit') ?? 'unknown',
    error: field(head, 'Error') ?? field(first, 'Error'),
  };
}

function field(text: string, label: string): string | undefined {
  return new RegExp(`^${label}:[ \\t]*(.*\\S)`, 'm').exec(text)?.[1];
}

async function isUnknown(name: string): Promise<boolean> {
  const listed = await probe(['buildx', 'ls']);
  const names = listed.stdout.split('\n').map((line) => line.split(/[\s*]/)[0]);
  return listed.exitCode === 0 && !names.includes(name);
}

/** Runs a docker command that only asks for something, and gives up on it after a while. */
async function probe(args: string[], timeout = probeTimeout.quick): Promise<Output> {
  core.debug(`docker ${args.join(' ')}`);
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<Output>((resolve) => {
    timer = setTimeout(() => {
      killDescendants();
      resolve({ exitCode: -1, stdout: '', stderr: `no answer within ${timeout / 1000} seconds` });
    }, timeout);
  });
  const answer = getExecOutput('docker', args, { ignoreReturnCode: true, silent: true }).catch(
    (error: unknown): Output => ({ exitCode: -1, stdout: '', stderr: messageOf(error) }),
  );
  try {
    return await Promise.race([answer, silence]);
  } finally {
    clearTimeout(timer);
  }
}

function lastLine({ stdout, stderr }: Output): string {
  const lines = `${stdout}\n${stderr}`.trim().split('\n');
  return (lines.at(-1) ?? '').replace(/^ERROR: /, '');
}
