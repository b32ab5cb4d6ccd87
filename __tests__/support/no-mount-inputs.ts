import type { MountInputs } from '../../src/discovery/mount-list.js';

/** What the inputs that say which mounts there are give where they are empty. */
export const noMountInputs: MountInputs = {
  cacheMounts: '',
  context: undefined,
  files: [],
  target: undefined,
  buildArgs: new Map(),
  platforms: undefined,
};
