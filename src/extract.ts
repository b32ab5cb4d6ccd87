import { extractMounts, reportFailure } from './steps/extract.js';
import { runStep } from './steps/run-step.js';

await runStep(extractMounts, reportFailure);
