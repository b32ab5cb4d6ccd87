/** What can be combined: each row is a way to use the actions. A new choice of the user is a new column. */
import { everyRow, pairwise, type Row } from './pairs.js';

const columns = {
  /** As scripts/lib/setup.sh names them. */
  builder: ['container', 'classic', 'containerd'],
  /** How the actions are called. */
  way: ['two steps', 'single step', 'command line'],
  store: ['cache service', 'directory', 'registry'],
  mounts: ['named', 'in the Dockerfile'],
  incremental: ['true', 'false'],
  node: ['this Node', 'Node 24'],
} as const;

export type Combination = Row<typeof columns>;

/**
 * The command line is for where there is no cache service. The classic image store cannot push.
 */
function isPossible({ way, store, builder }: Combination): boolean {
  const isThere = way !== 'command line' || store !== 'cache service';
  return isThere && !(store === 'registry' && builder === 'classic');
}

/** @param isLong whether there is time for all of them, and not only for each pair */
export function combinations(isLong: boolean): Combination[] {
  const all = everyRow(columns, isPossible);
  return isLong ? all : pairwise(all);
}
