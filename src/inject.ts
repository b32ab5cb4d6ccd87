import { getFromRunner } from './inputs/get-input.js';
import { readSurroundings } from './lib/surroundings.js';
import { injectMounts } from './steps/inject.js';
import { runStep } from './steps/run-step.js';

const surroundings = readSurroundings();

await runStep(surroundings, async (makeWorkDirectory) => {
  await injectMounts(surroundings, getFromRunner, makeWorkDirectory);
});
