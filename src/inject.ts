import { injectMounts } from './inject-mounts.js';
import { runStep } from './step.js';

await runStep(async (workDirectory) => {
  await injectMounts(workDirectory);
});
