import { injectMounts } from './steps/inject.js';
import { runStep } from './steps/run-step.js';

await runStep(async (makeWorkDirectory) => {
  await injectMounts(makeWorkDirectory);
});
