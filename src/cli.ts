import { createHash } from 'node:crypto';
import { mkdir, stat } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { readCommandLine, usage } from './inputs/command-line.js';
import { InputError, messageOf } from './lib/errors.js';
import { extractMounts, reportFailure } from './steps/extract.js';
import { injectMounts } from './steps/inject.js';
import { runStep } from './steps/run-step.js';

/** How a shell is told that it was called wrongly. */
const misused = 2;

// Nothing here is for GitHub's runner, even where it is one that runs this.
for (const name of ['GITHUB_ACTIONS', 'GITHUB_WORKSPACE', 'GITHUB_STEP_SUMMARY']) {
  delete process.env[name];
}

try {
  const line = readCommandLine(process.argv.slice(2));
  if (line === 'help') {
    process.stdout.write(usage);
  } else {
    const { command, inputs } = line;
    for (const [name, value] of inputs) process.env[`INPUT_${name.toUpperCase()}`] = value;
    process.env.RUNNER_TEMP = await makeTemporaryDirectory(inputs.get('directory') ?? '');
    if (command === 'extract') await runStep(extractMounts, reportFailure);
    await runStep(async (makeWorkDirectory) => {
      await injectMounts(makeWorkDirectory);
    });
  }
} catch (error) {
  process.stderr.write(`error: ${messageOf(error)}\n`);
  process.exitCode = error instanceof InputError ? misused : 1;
}

/** What inject leaves for the extract with the same directory, and for nobody else. */
async function makeTemporaryDirectory(directory: string): Promise<string> {
  const { uid } = userInfo();
  const id = createHash('sha256').update(resolve(directory)).digest('hex').slice(0, 16);
  const path = join(tmpdir(), `buildkit-cache-mounts-${uid}-${id}`);
  await mkdir(path, { recursive: true, mode: 0o700 });
  if ((await stat(path)).uid !== uid) throw new Error(`${path} belongs to another user`);
  return path;
}
