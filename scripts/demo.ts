/**
 * Plays two CI runs of examples/go and shows that the second profits from the first. Run by
 * scripts/demo, which provides a builder that may be emptied.
 *
 * Usage: demo.ts [IMAGE_DIRECTORY], the files of the image golang:1 where it cannot be pulled
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type CacheService, startCacheService } from '../__tests__/support/cache-service.js';
import { type Job, type StepResult, startJob } from '../__tests__/support/runner.js';
import { formatSeconds, formatTable } from '../src/console/format.js';
import { interrupt, perform, throwIfInterrupted } from './lib/interruption.js';

const execute = promisify(execFile);
const example = fileURLToPath(new URL('../examples/go', import.meta.url));
const imageDirectory = process.argv[2];

const cacheMounts = '/root/.cache/go-build';
const keyPrefix = 'go-build-';

/** The change that the second commit makes, to a file that two packages of the project import. */
const edit = {
  file: 'internal/api/api.go',
  from: '"package %s exports:\\n"',
  to: '"exported by package %s:\\n"',
};

/** What the program prints of the package internal/api of its own source, below its first line. */
const listing = `
  type Export
  type Package
  func Load(directory string) (*Package, error)
  func (*Package) WriteText(w io.Writer) error
`;

interface Run {
  readonly key: string;
  readonly inject: Timed<StepResult>;
  readonly build: Timed<void>;
  readonly extract: Timed<StepResult>;
  /** What the built program has printed. */
  readonly printed: string;
}

interface Timed<T> {
  readonly result: T;
  readonly seconds: number;
}

// The reader of a pipe may go away too.
process.stdout.on('error', interrupt);

await perform('demo', demonstrate);

async function demonstrate(): Promise<void> {
  // Without scripts/demo, it would be the user's own builder that is emptied.
  check(Boolean(process.env.TEST_BUILDER), 'run it by scripts/demo');
  const service = await startCacheService();
  try {
    const first = await playRun('Run 1: the first commit', service, async () => {});
    checkRun(first, { matchedKey: '', firstLine: 'package api exports:' });
    const second = await playRun('Run 2: another commit, another runner', service, changeSource);
    checkRun(second, { matchedKey: first.key, firstLine: 'exported by package api:' });
    compare(first, second);
  } finally {
    await service.close();
  }
}

/** A CI run: on a new runner, so with an emptied builder and other directories. */
async function playRun(
  title: string,
  service: CacheService,
  change: (workspace: string) => Promise<void>,
): Promise<Run> {
  print(`\n━━━ ${title} ${'━'.repeat(74 - title.length)}`);
  await execute('docker', ['buildx', 'prune', '--all', '--force']);
  const job = await startJob({ service });
  try {
    await cp(example, job.workspace, { recursive: true });
    await change(job.workspace);
    const key = keyPrefix + (await hashSources(job.workspace));
    const inputs = { 'cache-mounts': cacheMounts, key };
    const inject = await runStep(job, 'inject', { ...inputs, 'restore-keys': keyPrefix });
    const build = await timed(() => buildImage(job));
    const extract = await runStep(job, 'extract', inputs);
    return { key, inject, build, extract, printed: await runProgram(job) };
  } finally {
    await job.dispose();
  }
}

async function runStep(
  job: Job,
  action: 'inject' | 'extract',
  inputs: Readonly<Record<string, string>>,
): Promise<Timed<StepResult>> {
  print(`\n● ${action}`);
  for (const [name, value] of Object.entries(inputs)) print(`    ${name}: ${value}`);
  return timed(() => job.runAction(action, inputs, { onLog: logPrinter() }));
}

async function buildImage({ workspace, runnerTemp }: Job): Promise<void> {
  const args = [
    ...['buildx', 'build', '--progress=plain', '--network=none'],
    ...(imageDirectory === undefined ? [] : [`--build-context=golang:1=${imageDirectory}`]),
    ...[`--output=${join(runnerTemp, 'image')}`, '.'],
  ];
  print(`\n● docker ${args.join(' ')}`);
  const child = spawn('docker', args, { cwd: workspace, stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = once(child, 'close');
  forEachLine(child, logPrinter());
  const [code] = await closed;
  check(code === 0, `docker ended with code ${code}`);
}

/** The program on its own source. */
async function runProgram({ workspace, runnerTemp }: Job): Promise<string> {
  const program = join(runnerTemp, 'image', 'apilist');
  const { stdout } = await execute(program, [join(workspace, 'internal/api')]);
  print(`\n● apilist internal/api\n${stdout.replace(/^/gm, '    ').trimEnd()}`);
  return stdout;
}

async function changeSource(workspace: string): Promise<void> {
  const file = join(workspace, edit.file);
  const source = await readFile(file, 'utf8');
  check(source.includes(edit.from), `${edit.file} has no ${edit.from}`);
  await writeFile(file, source.replace(edit.from, edit.to));
  print(`\n● the commit, in ${edit.file}\n    - ${edit.from}\n    + ${edit.to}`);
}

/** Stands for the workflow's `hashFiles` of all Go sources. */
async function hashSources(workspace: string): Promise<string> {
  const names = await readdir(workspace, { recursive: true });
  const hash = createHash('sha256');
  for (const name of names.filter((each) => each.endsWith('.go')).sort()) {
    hash.update(await readFile(join(workspace, name)));
  }
  return hash.digest('hex');
}

function checkRun(run: Run, expected: { matchedKey: string; firstLine: string }): void {
  const { inject, extract, printed } = run;
  check(inject.result.exitCode === 0, 'inject failed');
  check(extract.result.exitCode === 0, 'extract failed');
  const matched = inject.result.outputs['cache-matched-key'] ?? '';
  check(
    matched === expected.matchedKey,
    `inject matched "${matched}" instead of "${expected.matchedKey}"`,
  );
  check(extract.result.outputs.saved === 'true', 'extract saved nothing');
  check(printed === expected.firstLine + listing, 'the program printed something else');
}

function compare(first: Run, second: Run): void {
  const steps = ['inject', 'build', 'extract'] as const;
  const total = (run: Run) => steps.reduce((sum, step) => sum + run[step].seconds, 0);
  const rows = [
    ['', 'run 1', 'run 2'],
    ...steps.map((step) => [
      step,
      formatSeconds(first[step].seconds),
      formatSeconds(second[step].seconds),
    ]),
    ['together', formatSeconds(total(first)), formatSeconds(total(second))],
  ];
  print('');
  for (const line of formatTable(rows)) print(line);
  print('\nThe second build found in the cache mount what the first had compiled.');
}

async function timed<T>(task: () => Promise<T>): Promise<Timed<T>> {
  throwIfInterrupted();
  const start = performance.now();
  const result = await task();
  throwIfInterrupted();
  return { result, seconds: (performance.now() - start) / 1000 };
}

/** Prints a step's log about as GitHub shows it, indented, with the groups open. */
function logPrinter(): (line: string) => void {
  const outside = '  ';
  const inside = '      ';
  let indent = outside;
  return (line) => {
    const [, command, text = ''] = /^::([a-z-]+)(?: .*?)?::(.*)/.exec(line) ?? [];
    switch (command) {
      case undefined:
        if (line.trim() !== '') print(indent + line.trimEnd());
        break;
      case 'group':
        print(`${outside}▸ ${text}`);
        indent = inside;
        break;
      case 'endgroup':
        indent = outside;
        break;
      case 'error':
      case 'warning':
      case 'notice':
        print(`${indent}${command}: ${text}`);
    }
  };
}

function forEachLine({ stdout, stderr }: ChildProcess, callback: (line: string) => void): void {
  for (const stream of [stdout, stderr]) {
    if (stream) createInterface(stream).on('line', callback);
  }
}

function check(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

function print(text: string): void {
  console.log(text);
}
