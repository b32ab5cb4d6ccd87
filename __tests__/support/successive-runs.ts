/** Runs of CI, one after another, that save what has changed in a mount. */
import { expect } from '@jest/globals';
import { listFiles, type MountFlags } from './engine.js';
import type { StepResult } from './runner.js';
import type { Scenario } from './scenario.js';

/** What is large beside all that the changes below change. */
export const fill = `
cd /c; for d in 1 2 3 4 5 6 7 8; do
  mkdir $d; for f in 1 2 3 4 5 6 7 8; do dd if=/dev/urandom of=$d/$f bs=16k count=1 2>/dev/null; done
done; dd if=/dev/urandom of=large bs=1M count=4 2>/dev/null; ln 1/1 1/link; ln -s 2/2 symlink; mkfifo fifo; touch -d 2001-02-03 .`;

/** Each of several kinds. */
export const changes = [
  'cd /c; echo more >>1/1; echo new >2/new; rm 3/3; mv 4 four; chmod 700 6; mkdir empty',
  'cd /c; rm -r 8; echo now a file >8; setfattr -n user.a -v b 2/2; mv 6 6x; mv 7 6; mv 6x 7',
  // A directory in the place of a file, another inode under an old name, and both under a new one.
  'cd /c; rm 8; mv 7 8; rm fifo; mkdir fifo; rm -r empty; ln 2/new 2/newer; chown 5:6 2/4',
];

export interface Run {
  readonly inject: StepResult;
  readonly extract: StepResult;
  /** What the build has left in the mount. */
  readonly listing: string;
}

/** A run of CI on an emptied builder: inject, a build, extract. */
export async function run(
  scenario: Scenario,
  key: string,
  change: string,
  inputs: Readonly<Record<string, string>> = {},
  { mount = { id: 'm' }, line = 'm' }: { mount?: MountFlags; line?: string } = {},
): Promise<Run> {
  await scenario.builder.empty();
  const job = await scenario.newJob();
  const { 'incremental-count': count = '', ...shared } = inputs;
  const given = { 'cache-mounts': line, key, 'restore-keys': 'k-', ...shared };
  const inject = await job.runAction('inject', given);
  const listing = await scenario.builder.run(mount, `${change}${listFiles}`);
  const { incremental = '' } = inputs;
  const extract = await job.runAction('extract', { incremental, 'incremental-count': count });
  expect(extract).toMatchObject({ exitCode: 0, outputs: { saved: 'true' } });
  return { inject, extract, listing };
}

/** The first word, or the first words, of the mount's line in the closing table. */
export function stateOf({ extract }: Run): string | undefined {
  return /^(packed|changes packed|unchanged)(?: \(\d of at most \d+\))? {2}/m.exec(
    extract.log,
  )?.[1];
}
