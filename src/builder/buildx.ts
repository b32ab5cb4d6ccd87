import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { getExecOutput } from '@actions/exec';
import * as io from '@actions/io';
import { debug, print } from '../console/console.js';
import { messageOf } from '../lib/errors.js';

/** The builder that is used, and what a person who debugs wants to know of it. */
export interface Builder {
  readonly name: string;
  readonly driver: string;
  /** How many machines it consists of; each has cache mounts of its own. */
  readonly nodes: number;
  /** What the node that is used runs, its own platform first, such as `linux/amd64`. */
  readonly platforms: readonly string[];
  readonly buildkit: string;
  /** The URL of its engine, or the name of the context that has it. */
  readonly endpoint: string;
}

/** A builder that was named does not exist. */
export class NoSuchBuilderError extends Error {
  override readonly name = 'NoSuchBuilderError';
}

export interface BuildOptions {
  /** Undefined: the builder that buildx itself would use. */
  readonly builder: string | undefined;
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
  /** The names of their files, by their ids; the files are read when a RUN needs them. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Whether its RUNs have the builder's default network, or none; an engine may have none to give. */
  readonly withNetwork?: boolean;
}

interface Output {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

// Starting a docker-container builder pulls its image first.
const probeTimeout = { quick: 30_000, bootstrap: 60_000 };

/** Those of the step: while the cache client works, the process has others (store.ts). */
const atStart = { cwd: process.cwd(), env: variablesOf(process.env) };

/** How long a build may be silent before the log says what it may be waiting for. */
const patience = 10_000;

/** How long a build's output may stay open after its end. */
const drain = 5_000;

/**
 * Looks up a builder and boots it.
 *
 * @param name undefined for the builder that buildx itself would use
 * @param platform what is built for, which decides between several nodes
 * @throws NoSuchBuilderError where a named builder does not exist; Error, with the remedy, where
 *   there is no docker, no buildx, or no answer
 */
export async function inspectBuilder(
  name: string | undefined,
  platform: string | undefined,
): Promise<Builder> {
  if ((await io.which('docker')) === '') {
    throw new Error(
      'Docker is not installed on this runner (no "docker" in PATH): cache mounts can be neither restored nor saved.',
    );
  }
  const inspected = await probe(
    ['buildx', 'inspect', '--bootstrap', ...(name === undefined ? [] : [name])],
    probeTimeout.bootstrap,
  );
  const found = parseInspect(inspected.stdout);
  const node =
    found.nodes.find(({ platforms }) => platforms.includes(platform ?? '')) ?? found.nodes[0];
  const error = found.error ?? node?.error;
  if (inspected.exitCode === 0 && node !== undefined && error === undefined) {
    return {
      name: found.name,
      driver: found.driver,
      nodes: found.nodes.length,
      platforms: node.platforms,
      buildkit: node.buildkit,
      endpoint: node.endpoint,
    };
  }
  const buildx = await probe(['buildx', 'version']);
  if (buildx.exitCode !== 0) {
    throw new Error(
      `docker buildx does not run: ${lastLine(buildx)}. Put docker/setup-buildx-action before this step.`,
    );
  }
  if (name !== undefined && (await isUnknown(name))) {
    throw new NoSuchBuilderError(`There is no builder "${name}" on this runner.`);
  }
  const which = name === undefined ? 'the default builder' : `the builder "${name}"`;
  throw new Error(
    `Docker does not answer for ${which}: ${error ?? lastLine(inspected)}. Check that the engine runs and that this user may use it.`,
  );
}

/** Tells the versions of Docker's command line and of buildx, for who looks for what went wrong. */
export async function describeClient(): Promise<string> {
  const [docker, buildx] = await Promise.all([probe(['--version']), probe(['buildx', 'version'])]);
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
  const { builder, platform, buildArgs } = options;
  const args = [
    'buildx',
    'build',
    ...namedBuilder(builder),
    ...(platform === undefined ? [] : [`--platform=${platform}`]),
    '--progress=plain',
    '--provenance=false',
    '--sbom=false',
    ...(options.withNetwork ? [] : ['--network=none']),
    `--file=${options.dockerfile}`,
    // A bare path needs no CSV quoting; it stands for type=local.
    `--output=${options.output}`,
    ...Object.entries(options.namedContexts).map(([key, path]) => `--build-context=${key}=${path}`),
    ...Object.entries(buildArgs).map(([key, value]) => `--build-arg=${key}=${value}`),
    ...Object.entries(options.secrets ?? {}).map(([id, file]) => `--secret=id=${id},src=${file}`),
    options.context,
  ];
  debug(`docker ${args.join(' ')}`);
  const command = spawn('docker', args, {
    cwd: options.directory,
    env: {
      ...atStart.env,
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

function variablesOf(environment: NodeJS.ProcessEnv): Record<string, string> {
  const variables = Object.entries(environment);
  return Object.fromEntries(
    variables.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

interface Inspected {
  readonly name: string;
  readonly driver: string;
  /** Why none of it can be used. */
  readonly error: string | undefined;
  readonly nodes: readonly {
    readonly platforms: readonly string[];
    readonly buildkit: string;
    readonly endpoint: string;
    /** Why it cannot be used. */
    readonly error: string | undefined;
  }[];
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
    nodes: rest
      .filter((part) => part.startsWith('Name:'))
      .map((node) => ({
        // A platform that the user has set is marked with an asterisk.
        platforms: (field(node, 'Platforms') ?? '')
          .split(',')
          .map((platform) => platform.trim().replace(/\*$/, ''))
          .filter((platform) => platform !== ''),
        buildkit: field(node, 'BuildKit version') ?? field(node, 'BuildKit') ?? 'unknown',
        endpoint: field(node, 'Endpoint') ?? '',
        error: field(node, 'Error'),
      })),
  };
}

function field(text: string, label: string): string | undefined {
  return new RegExp(`^${label}:[ \\t]*(.*\\S)`, 'im').exec(text)?.[1];
}

/**
 * Lists the cache mounts that a builder has.
 *
 * @param name undefined for the builder that buildx itself would use
 * @returns what buildx prints, for records.ts
 * @throws Error where buildx cannot tell
 */
export async function listCacheMounts(
  name: string | undefined,
  filter: 'type=exec.cachemount' | 'description~=cached.mount',
): Promise<string> {
  const args = ['buildx', 'du', ...namedBuilder(name), `--filter=${filter}`];
  // Older versions of buildx know only the second form.
  for (const format of ['--format=json', '--verbose']) {
    const { exitCode, stdout } = await probe([...args, format]);
    if (exitCode === 0) return stdout;
  }
  throw new Error('docker buildx du fails');
}

/**
 * Removes what builds have left in the build cache, where its description matches a pattern and it is
 * not in use.
 *
 * @param name undefined for the builder that buildx itself would use
 * @param pattern in the syntax of containerd's filters
 * @returns what went wrong
 */
export async function removeBuildCache(
  name: string | undefined,
  pattern: string,
): Promise<string | undefined> {
  const filter = `--filter=description~=${pattern}`;
  const args = ['buildx', 'prune', '--force', ...namedBuilder(name), filter];
  const result = await probe(args);
  return result.exitCode === 0 ? undefined : lastLine(result);
}

function namedBuilder(name: string | undefined): string[] {
  return name === undefined ? [] : [`--builder=${name}`];
}

async function isUnknown(name: string): Promise<boolean> {
  const listed = await probe(['buildx', 'ls']);
  const names = listed.stdout.split('\n').map((line) => line.split(/[\s*]/)[0]);
  return listed.exitCode === 0 && !names.includes(name);
}

/**
 * Runs a docker command that only asks for something, and gives up on it after a while. It is ended with
 * the step: other work may be under way.
 */
async function probe(args: string[], timeout = probeTimeout.quick): Promise<Output> {
  debug(`docker ${args.join(' ')}`);
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<Output>((resolve) => {
    const stderr = `no answer within ${timeout / 1000} seconds`;
    timer = setTimeout(() => resolve({ exitCode: -1, stdout: '', stderr }), timeout);
  });
  const options = { ...atStart, ignoreReturnCode: true, silent: true };
  const answer = getExecOutput('docker', args, options).catch(
    (error: unknown): Output => ({ exitCode: -1, stdout: '', stderr: messageOf(error) }),
  );
  try {
    return await Promise.race([answer, silence]);
  } finally {
    clearTimeout(timer);
  }
}

function lastLine({ exitCode, stdout, stderr }: Output): string {
  const lines = `${stdout}\n${stderr}`.trim().split('\n');
  return (lines.at(-1) || `exit code ${exitCode}`).replace(/^ERROR: /, '');
}
