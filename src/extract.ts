import { getFromRunner } from './inputs/get-input.js';
import { readSurroundings } from './lib/surroundings.js';
import { extractMounts, reportFailure } from './steps/extract.js';
import { runStep } from './steps/run-step.js';

const surroundings = readSurroundings();

await runStep(
  surroundings,
  (makeWorkDirectory) => extractMounts(surroundings, getFromRunner, makeWorkDirectory),
  reportFailure,
);
