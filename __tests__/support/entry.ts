/** Runs an entry of `src` itself, without a bundle, for what needs neither a builder nor a cache service. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const root = resolve(fileURLToPath(import.meta.url), '../../..');

export interface EntryResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface EntryOptions {
  readonly args?: readonly string[];
  /** As the runner hands them over; only these. */
  readonly inputs?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** JavaScript that is run first. */
  readonly before?: string;
}

export interface EntryJob {
  readonly directory: string;
  readonly runnerTemp: string;
  run(entry: string, options?: EntryOptions): Promise<EntryResult>;
  /** Runs it as on GitHub. */
  runOnGitHub(entry: string, options?: EntryOptions): Promise<EntryResult>;
  /** What the steps have written into a file of the runner, such as GITHUB_STATE. */
  readFile(name: string): Promise<string>;
  /** The names of what the steps have left in RUNNER_TEMP. */
  leftovers(): Promise<string[]>;
  dispose(): Promise<void>;
}

/** A runner's directories. Its PATH has no docker. */
export async function startEntryJob(): Promise<EntryJob> {
  const directory = await mkdtemp(join(tmpdir(), 'entry-'));
  const runnerTemp = join(directory, 'temp');
  const workspace = join(directory, 'workspace');
  await Promise.all([mkdir(runnerTemp), mkdir(workspace)]);
  const fileNames = ['GITHUB_OUTPUT', 'GITHUB_STATE', 'GITHUB_ENV', 'GITHUB_STEP_SUMMARY'];
  const files = Object.fromEntries(fileNames.map((name) => [name, join(directory, name)]));
  for (const file of Object.values(files)) await writeFile(file, '');

  async function run(entry: string, options: EntryOptions = {}): Promise<EntryResult> {
    const { args = [], inputs = {}, env = {}, before } = options;
    const variables = Object.entries(inputs).map(([name, value]) => [
      `INPUT_${name.toUpperCase()}`,
      value,
    ]);
    const first =
      before === undefined
        ? []
        : ['--import', `data:text/javascript,${encodeURIComponent(before)}`];
    const tsx = import.meta.resolve('tsx');
    const child = spawn(
      process.execPath,
      ['--import', tsx, ...first, join(root, 'src', entry), ...args],
      {
        cwd: workspace,
        env: { PATH: '/nowhere', TMPDIR: directory, ...env, ...Object.fromEntries(variables) },
      },
    );
    const [stdout, stderr] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close'),
    ]);
    return { code: child.exitCode, stdout, stderr };
  }

  return {
    directory,
    runnerTemp,
    run,
    runOnGitHub: (entry, options = {}) => {
      const job = { GITHUB_ACTIONS: 'true', GITHUB_WORKSPACE: workspace, RUNNER_TEMP: runnerTemp };
      return run(entry, { ...options, env: { ...job, ...files, ...options.env } });
    },
    readFile: (name) => readFile(files[name] ?? name, 'utf8'),
    leftovers: () => readdir(runnerTemp),
    dispose: () => rm(directory, { recursive: true, force: true }),
  };
}
