/** Runs the project's bundled actions the way GitHub's runner does. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { arch, constants, tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { CacheService } from './cache-service.js';
import { longestSilenceMs, watchForSilence } from './silence.js';

export interface Annotation {
  readonly level: 'error' | 'warning' | 'notice';
  readonly message: string;
}

export interface StepResult {
  /** 128 + the signal's number where a signal ended the step. */
  readonly exitCode: number;
  readonly signal: NodeJS.Signals | null;
  readonly outputs: Readonly<Record<string, string>>;
  /** What the step wrote to GITHUB_STATE: its post step gets it as `state`. */
  readonly state: Readonly<Record<string, string>>;
  /** What the step wrote to GITHUB_ENV. */
  readonly env: Readonly<Record<string, string>>;
  readonly summary: string;
  /** stdout and stderr, interleaved by lines. */
  readonly log: string;
  readonly annotations: readonly Annotation[];
}

export interface RunOptions {
  /** The node binary, by default the one that runs this. */
  readonly node?: string;
  /** Runs the post step of the action, with what its main step has left. */
  readonly post?: { readonly state: Readonly<Record<string, string>> };
  /** The step's own `env:`. */
  readonly env?: Readonly<Record<string, string>>;
  /** Called with each line of the log, line feed included. */
  readonly onLog?: (text: string) => void;
  /**
   * Cancels the step: once a line of the log matches (by default at once), and `ms` later. The
   * runner sends SIGINT to the action's node process alone, 7.5 s later SIGTERM, and so on.
   */
  readonly signalAfter?: {
    readonly log?: RegExp;
    readonly ms?: number;
    readonly signal?: NodeJS.Signals;
  };
  /** A step that writes nothing for longer is killed, and runAction throws. By default 10 minutes. */
  readonly silenceMs?: number;
}

export interface Job {
  readonly runnerTemp: string;
  readonly workspace: string;
  runAction(
    /** The directory of its action.yml; `.` is the single step. */
    action: 'inject' | 'extract' | '.',
    inputs: Readonly<Record<string, string>>,
    options?: RunOptions,
  ): Promise<StepResult>;
  /** Ends what the steps left running and removes the job's directories. */
  dispose(): Promise<void>;
}

export interface JobOptions {
  readonly service?: CacheService;
  /** The job's `env:`. */
  readonly env?: Readonly<Record<string, string>>;
  /** The directory that holds the actions' directories, by default this project. */
  readonly actions?: string;
  /** What the paths of the runner hold, by default `job`. */
  readonly name?: string;
}

type Variables = Record<string, string>;

interface Action {
  readonly main: string;
  readonly post: string | undefined;
  /** Every declared input with its default. */
  readonly inputs: Readonly<Variables>;
}

interface ActionFile {
  readonly inputs?: Readonly<Record<string, { readonly default?: string }>>;
  readonly runs?: { readonly using?: string; readonly main?: string; readonly post?: string };
}

interface Command {
  readonly node: string;
  readonly main: string;
  readonly cwd: string;
  readonly env: Readonly<Variables>;
}

interface Ended {
  readonly exitCode: number;
  readonly signal: NodeJS.Signals | null;
  readonly log: string;
}

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const FILE_COMMANDS = ['OUTPUT', 'STATE', 'ENV', 'PATH', 'STEP_SUMMARY'] as const;
/** How long the pipes may stay open (a process left behind can hold them) after the step's end. */
const DRAIN_MS = 5000;

export async function startJob(options: JobOptions = {}): Promise<Job> {
  const root = await mkdtemp(join(tmpdir(), `${options.name ?? 'job'}-`));
  const runnerTemp = join(root, '_temp');
  const workspace = join(root, 'workspace');
  await mkdir(runnerTemp);
  await mkdir(workspace);
  const jobEnv: Variables = {
    ...inheritedEnv(),
    ...githubEnv(runnerTemp, workspace),
    ...options.service?.env,
    ...options.env,
  };
  const leftRunning: ChildProcess[] = [];

  async function runAction(
    name: string,
    inputs: Readonly<Record<string, string>>,
    runOptions: RunOptions = {},
  ): Promise<StepResult> {
    const action = await readAction(resolve(options.actions ?? PROJECT, name));
    const files = await createFileCommands(runnerTemp);
    const command = {
      node: runOptions.node ?? process.execPath,
      main: mainOf(action, runOptions),
      cwd: workspace,
      env: {
        ...jobEnv,
        ...runOptions.env,
        ...inputEnv(action, inputs),
        ...stateEnv(runOptions.post?.state),
        ...files,
      },
    };
    const ended = await runCommand(command, runOptions, leftRunning);
    const result = await readResult(ended, files);
    const added = await readFile(files.GITHUB_PATH, 'utf8');
    carryOver(jobEnv, result.env, added);
    return result;
  }

  async function dispose(): Promise<void> {
    for (const child of leftRunning) killGroup(child, 'SIGKILL');
    await rm(root, { recursive: true, force: true });
  }

  return { runnerTemp, workspace, runAction, dispose };
}

/**
 * Little enough that a step cannot lean on what happens to be set where the tests run. (GOGC says how much memory
 * Docker may use; see scripts/test.)
 */
function inheritedEnv(): Variables {
  const isWanted = (name: string): boolean =>
    ['PATH', 'HOME', 'LANG', 'DOCKER_HOST', 'DOCKER_CONFIG', 'GOGC'].includes(name) ||
    name.startsWith('BUILDX_');
  const env: Variables = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && isWanted(name)) env[name] = value;
  }
  return env;
}

function githubEnv(runnerTemp: string, workspace: string): Variables {
  return {
    CI: 'true',
    GITHUB_ACTIONS: 'true',
    GITHUB_ACTION: '__self',
    GITHUB_API_URL: 'https://api.github.com',
    GITHUB_EVENT_NAME: 'push',
    GITHUB_JOB: 'build',
    GITHUB_REF: 'refs/heads/main',
    GITHUB_REF_NAME: 'main',
    GITHUB_REPOSITORY: 'octocat/project',
    GITHUB_RUN_ATTEMPT: '1',
    GITHUB_RUN_ID: '1',
    GITHUB_SERVER_URL: 'https://github.com',
    GITHUB_SHA: '0123456789abcdef0123456789abcdef01234567',
    GITHUB_WORKFLOW: 'ci',
    GITHUB_WORKSPACE: workspace,
    RUNNER_ARCH: arch().toUpperCase(),
    RUNNER_OS: 'Linux',
    RUNNER_TEMP: runnerTemp,
  };
}

async function readAction(directory: string): Promise<Action> {
  const file = join(directory, 'action.yml');
  // to the runner too, every default is a string: `false`, `3` and so on stay as they are written
  const { inputs = {}, runs }: ActionFile = parse(await readFile(file, 'utf8'), {
    schema: 'failsafe',
  });
  if (runs?.using !== 'node20' || !runs.main) {
    throw new Error(`${file}: expected runs.using to be node20, and a runs.main`);
  }
  const defaults: Variables = {};
  for (const [name, input] of Object.entries(inputs)) {
    const value = input.default ?? '';
    if (value.includes('${{')) throw new Error(`${file}: an expression, not evaluated: ${value}`);
    defaults[name] = value;
  }
  const post = runs.post === undefined ? undefined : resolve(directory, runs.post);
  return { main: resolve(directory, runs.main), post, inputs: defaults };
}

function mainOf({ main, post }: Action, options: RunOptions): string {
  if (!options.post) return main;
  if (post === undefined) throw new Error('The action has no post step');
  return post;
}

function stateEnv(state: Readonly<Variables> = {}): Variables {
  return Object.fromEntries(Object.entries(state).map(([name, value]) => [`STATE_${name}`, value]));
}

function inputEnv(action: Action, inputs: Readonly<Record<string, string>>): Variables {
  const undeclared = Object.keys(inputs).filter((name) => !Object.hasOwn(action.inputs, name));
  if (undeclared.length > 0) {
    throw new Error(`The action declares no input named ${undeclared.join(', ')}`);
  }
  const env: Variables = {};
  for (const [name, value] of Object.entries({ ...action.inputs, ...inputs })) {
    env[`INPUT_${name.replaceAll(' ', '_').toUpperCase()}`] = value;
  }
  return env;
}

type FileCommands = Record<`GITHUB_${(typeof FILE_COMMANDS)[number]}`, string>;

async function createFileCommands(runnerTemp: string): Promise<FileCommands> {
  const directory = join(runnerTemp, '_runner_file_commands');
  await mkdir(directory, { recursive: true });
  const suffix = randomUUID();
  const files = FILE_COMMANDS.map(
    (name) => [`GITHUB_${name}`, join(directory, `${name.toLowerCase()}_${suffix}`)] as const,
  );
  for (const [, file] of files) await writeFile(file, '');
  return Object.fromEntries(files) as FileCommands;
}

async function readResult(ended: Ended, files: FileCommands): Promise<StepResult> {
  return {
    ...ended,
    outputs: parseVariables(await readFile(files.GITHUB_OUTPUT, 'utf8')),
    state: parseVariables(await readFile(files.GITHUB_STATE, 'utf8')),
    env: parseVariables(await readFile(files.GITHUB_ENV, 'utf8')),
    summary: await readFile(files.GITHUB_STEP_SUMMARY, 'utf8'),
    annotations: parseAnnotations(ended.log),
  };
}

/** As the runner does between the steps of a job. */
function carryOver(jobEnv: Variables, added: Readonly<Variables>, addedPath: string): void {
  Object.assign(jobEnv, added);
  for (const directory of addedPath.split('\n').filter((line) => line !== '')) {
    jobEnv.PATH = [directory, jobEnv.PATH ?? ''].join(delimiter);
  }
}

/** `NAME=VALUE` lines and `NAME<<DELIMITER` blocks. */
function parseVariables(content: string): Variables {
  const variables: Variables = {};
  const lines = content.split('\n');
  for (let line = lines.shift(); line !== undefined; line = lines.shift()) {
    if (line === '') continue;
    const [, name, operator, rest] = /^(.+?)(=|<<)(.*)$/s.exec(line) ?? [];
    if (!name || rest === undefined) throw new Error(`Not a valid file command: ${line}`);
    variables[name] = operator === '=' ? rest : takeBlock(lines, rest);
  }
  return variables;
}

function takeBlock(lines: string[], end: string): string {
  const length = lines.indexOf(end);
  if (end === '' || length < 0) throw new Error(`A file command lacks its delimiter '${end}'`);
  const block = lines.splice(0, length);
  lines.shift();
  return block.join('\n');
}

function parseAnnotations(log: string): Annotation[] {
  const annotations: Annotation[] = [];
  let resumeToken: string | undefined;
  for (const line of log.split('\n')) {
    const [, command = '', data = ''] = /^\s*::([^ ]+?)(?: .*?)?::(.*)$/s.exec(line) ?? [];
    if (resumeToken !== undefined) {
      if (command === resumeToken) resumeToken = undefined;
    } else if (command === 'stop-commands') {
      resumeToken = data;
    } else if (command === 'error' || command === 'warning' || command === 'notice') {
      annotations.push({ level: command, message: unescapeData(data) });
    }
  }
  return annotations;
}

function unescapeData(data: string): string {
  return data.replaceAll('%0D', '\r').replaceAll('%0A', '\n').replaceAll('%25', '%');
}

async function runCommand(
  { node, main, cwd, env }: Command,
  options: RunOptions,
  leftRunning: ChildProcess[],
): Promise<Ended> {
  // a group of its own, so that what the step has started can be ended along with it
  const child = spawn(node, [main], {
    cwd,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const cancellation = cancel(child, options.signalAfter);
  let log = '';
  const silenceMs = options.silenceMs ?? longestSilenceMs;
  let isSilent = false;
  const watch = watchForSilence(() => {
    isSilent = true;
    killGroup(child, 'SIGKILL');
  }, silenceMs);
  const collect = (line: string): void => {
    log += line;
    watch.heard();
    options.onLog?.(line);
    cancellation.observe(line);
  };
  forEachLine(child.stdout, collect);
  forEachLine(child.stderr, collect);

  try {
    const { code, signal } = await end(child);
    if (isSilent)
      throw new Error(`The step was silent for more than ${silenceMs} ms. Its log:\n${log}`);
    return { exitCode: code ?? 128 + constants.signals[signal ?? 'SIGKILL'], signal, log };
  } finally {
    watch.stop();
    cancellation.drop();
    if (killGroup(child, 0)) leftRunning.push(child);
  }
}

function cancel(child: ChildProcess, when: RunOptions['signalAfter']) {
  let timer: NodeJS.Timeout | undefined;
  const schedule = (): void => {
    timer ??= setTimeout(() => child.kill(when?.signal ?? 'SIGINT'), when?.ms ?? 0);
  };
  if (when && !when.log) schedule();
  return {
    observe: (line: string): void => {
      if (when?.log?.test(line)) schedule();
    },
    drop: (): void => clearTimeout(timer),
  };
}

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

async function end(child: ChildProcess): Promise<Exit> {
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const exit = await new Promise<Exit>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  const drained = new AbortController();
  await Promise.race([
    closed.finally(() => drained.abort()),
    delay(DRAIN_MS, undefined, { signal: drained.signal }).catch(() => undefined),
  ]);
  child.stdout?.destroy();
  child.stderr?.destroy();
  return exit;
}

/** Whether there was anything to send the signal to (0 only asks). */
function killGroup(child: ChildProcess, signal: NodeJS.Signals | 0): boolean {
  if (child.pid === undefined) return false;
  try {
    return process.kill(-child.pid, signal);
  } catch {
    return false;
  }
}

/** By lines, because a chunk of one stream may end where the other goes on. */
function forEachLine(stream: Readable, callback: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) callback(`${line}\n`);
  });
  stream.on('end', () => {
    if (rest !== '') callback(`${rest}\n`);
  });
}
