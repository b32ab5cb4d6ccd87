import type { MountInputs } from '../../src/discovery/mount-inputs.js';

/** What the inputs that say which mounts there are give where they are empty. */
export const noMountInputs: MountInputs = {
  cacheMounts: '',
  context: undefined,
  files: [],
  targets: [],
  buildArgs: new Map(),
  platforms: undefined,
  buildContexts: new Map(),
  bake: { files: [], targets: [], set: [], vars: [] },
};
