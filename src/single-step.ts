import * as core from '@actions/core';
import { getFromRunner, limitTo } from './inputs/get-input.js';
import { inputsReadBy, saveAlwaysVariable } from './inputs/input-definitions.js';
import { readSaveAlways } from './inputs/read-inputs.js';
import { readSurroundings } from './lib/surroundings.js';
import { extractMounts, reportFailure } from './steps/extract.js';
import { injectMounts } from './steps/inject.js';
import { runStep } from './steps/run-step.js';

const surroundings = readSurroundings();
const keyState = 'key';
const key = core.getState(keyState);

if (core.getState('isPost') === '') {
  core.saveState('isPost', 'true');
  await runStep(surroundings, async (makeWorkDirectory) => {
    // `post-if` in action.yml cannot read inputs. So it reads this variable.
    core.exportVariable(saveAlwaysVariable, String(readSaveAlways(getFromRunner)));
    core.saveState(keyState, await injectMounts(surroundings, getFromRunner, makeWorkDirectory));
  });
} else if (key !== '') {
  // Extract takes all other inputs from the state that inject has left under this key.
  const own = limitTo(inputsReadBy('post'), getFromRunner);
  await runStep(
    surroundings,
    (makeWorkDirectory) =>
      extractMounts(surroundings, (name) => (name === 'key' ? key : own(name)), makeWorkDirectory),
    reportFailure,
  );
}
