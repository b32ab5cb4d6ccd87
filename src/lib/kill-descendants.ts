import { readdirSync, readFileSync } from 'node:fs';

/**
 * Ends every process below this one at once: docker and its buildx plugin, and the tar of the cache
 * client. They are looked for in /proc, because @actions/exec keeps their process ids to itself.
 * Without a /proc, none is ended. If the client of a build is gone, BuildKit cancels the build.
 */
export function killDescendants(): void {
  const parentOf = readParents();
  const descendants = new Set([process.pid]);
  for (let size = 0; size !== descendants.size; ) {
    size = descendants.size;
    for (const [pid, parent] of parentOf) {
      if (descendants.has(parent)) descendants.add(pid);
    }
  }
  descendants.delete(process.pid);
  for (const pid of descendants) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}

function readParents(): Map<number, number> {
  const parentOf = new Map<number, number>();
  let entries: string[] = [];
  try {
    entries = readdirSync('/proc');
  } catch {
    return parentOf;
  }
  for (const entry of entries.filter((name) => /^\d+$/.test(name))) {
    try {
      // "pid (comm) state ppid …"; comm may hold spaces and brackets
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      parentOf.set(Number(entry), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // It has ended meanwhile.
    }
  }
  return parentOf;
}
