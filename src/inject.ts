import { injectMounts } from './inject-mounts.js';
import { runStep } from './step.js';

await runStep(async (makeWorkDirectory) => {
  await injectMounts(makeWorkDirectory);
});
