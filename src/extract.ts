import { extractMounts, reportFailure } from './extract-mounts.js';
import { runStep } from './step.js';

await runStep(extractMounts, reportFailure);
