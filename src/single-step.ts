import * as core from '@actions/core';
import { extractInputs } from './inputs/input-definitions.js';
import { readSaveAlways } from './inputs/read-inputs.js';
import { extractMounts, reportFailure } from './steps/extract.js';
import { injectMounts } from './steps/inject.js';
import { runStep } from './steps/run-step.js';

const keyState = 'key';

/** What the post step reads for itself. */
const ownInputs = new Set([
  ...['compression-level', 'incremental', 'incremental-count', 'incremental-share', 'stream'],
  ...['timeout', 'summary'],
]);

if (core.getState('isPost') === '') {
  core.saveState('isPost', 'true');
  await runStep(async (makeWorkDirectory) => {
    // `post-if` of action.yml cannot read inputs; it reads this.
    core.exportVariable('BUILDKIT_CACHE_MOUNTS_SAVE_ALWAYS', String(readSaveAlways()));
    core.saveState(keyState, await injectMounts(makeWorkDirectory));
  });
} else if (core.getState(keyState) !== '') {
  // All else is as inject had it, which has left it for the extract with its key.
  for (const { name } of extractInputs) {
    if (!ownInputs.has(name)) delete process.env[`INPUT_${name.toUpperCase()}`];
  }
  process.env.INPUT_KEY = core.getState(keyState);
  await runStep(extractMounts, reportFailure);
}
