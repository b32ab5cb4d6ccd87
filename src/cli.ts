import { createHash } from 'node:crypto';
import { rmdirSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { rewordMessages } from './console/console.js';
import { type CommandLine, readCommandLine, speakOfOptions, usage } from './inputs/command-line.js';
import { InputError, messageOf } from './lib/errors.js';
import {
  type Run,
  readSurroundings,
  type Surroundings,
  unknownCommit,
} from './lib/surroundings.js';
import { removeOlderThanADay } from './lib/work-directory.js';
import { extractMounts, reportFailure } from './steps/extract.js';
import { injectMounts } from './steps/inject.js';
import { runStep } from './steps/run-step.js';

/** The usual exit code of a command that was called wrongly. */
const misused = 2;

try {
  const line = readCommandLine(process.argv.slice(2));
  if (line === 'help') {
    process.stdout.write(usage);
  } else {
    rewordMessages(speakOfOptions);
    const surroundings = await adapt(readSurroundings(), line);
    const getInput = (name: string) => line.inputs.get(name) ?? '';
    if (line.command === 'extract') {
      await runStep(
        surroundings,
        (makeWorkDirectory) => extractMounts(surroundings, getInput, makeWorkDirectory),
        reportFailure,
      );
    } else {
      await runStep(surroundings, async (makeWorkDirectory) => {
        await injectMounts(surroundings, getInput, makeWorkDirectory);
      });
    }
  }
} catch (error) {
  process.stderr.write(`error: ${messageOf(error)}\n`);
  process.exitCode = error instanceof InputError ? misused : 1;
}

/** Removes everything that is meant for GitHub's runner, even if this runs on one. */
async function adapt(surroundings: Surroundings, { inputs }: CommandLine): Promise<Surroundings> {
  const { cwd, systemTemporary, run } = surroundings;
  // Of several references, extract knows only the first, unless it is given all of them.
  const lines = inputs.get('registry')?.split('\n') ?? [];
  const reference = lines.map((line) => line.trim()).find((line) => line !== '');
  const place = reference ?? resolve(cwd, inputs.get('directory') ?? '');
  return {
    ...surroundings,
    isOnGitHub: false,
    summaryFile: undefined,
    workspace: cwd,
    job: undefined,
    run: reference === undefined ? run : tellApart(run),
    temporaryRoot: await makeTemporaryDirectory(systemTemporary, place),
  };
}

/**
 * A registry takes a key only once. So if nothing tells one run from the next, as the commit does, a generated key
 * has the time.
 */
function tellApart(run: Run): Run {
  return run.commit === unknownCommit ? { ...run, attempt: Date.now().toString(36) } : run;
}

/** Makes the directory for the state that inject leaves for the extract with the same store. */
async function makeTemporaryDirectory(parent: string, place: string): Promise<string> {
  const { uid } = userInfo();
  const id = createHash('sha256').update(place).digest('hex').slice(0, 16);
  const prefix = `buildkit-cache-mounts-${uid}-`;
  const path = join(parent, `${prefix}${id}`);
  // If extract never runs, nothing else removes the old directories.
  await removeOlderThanADay(parent, (name) => name.startsWith(prefix) && name !== `${prefix}${id}`);
  await mkdir(path, { recursive: true, mode: 0o700 });
  if ((await stat(path)).uid !== uid) throw new Error(`${path} belongs to another user`);
  process.once('exit', () => removeIfEmpty(path));
  return path;
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // The directory holds the state that inject has left for extract.
  }
}
