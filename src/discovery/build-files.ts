import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** How far down is looked, and how many are told of: it is a hint, and the workspace may be large. */
const limits = { levels: 3, directories: 500, files: 10 };

const buildFile =
  /^(?:(?:.+\.)?(?:Dockerfile|Containerfile)(?:[._-].+)?|docker-bake(?:\.override)?\.(?:hcl|json)|(?:docker-)?compose(?:[.-].+)?\.ya?ml)$/i;

/** Directories of what is installed, and not of what is to be built; hidden ones are passed over too. */
const passedOver = new Set(['node_modules', 'vendor', 'target', 'dist', 'build']);

/**
 * The Dockerfiles, bake files and compose files of a directory and of those in it, relative to it: those
 * nearest to it first. What cannot be read is passed over.
 */
export async function findBuildFiles(root: string): Promise<string[]> {
  const found: string[] = [];
  let level = [root];
  let visited = 0;
  for (let depth = 0; depth < limits.levels && level.length > 0; depth++) {
    const next: string[] = [];
    for (const directory of level) {
      if (++visited > limits.directories) return found.slice(0, limits.files);
      for (const entry of await readSorted(directory)) {
        const path = join(directory, entry.name);
        if (entry.isFile() && isBuildFile(entry.name)) found.push(relative(root, path));
        const isToBeSeen = !entry.name.startsWith('.') && !passedOver.has(entry.name);
        if (entry.isDirectory() && isToBeSeen) next.push(path);
      }
    }
    if (found.length >= limits.files) break;
    level = next;
  }
  return found.slice(0, limits.files);
}

function isBuildFile(name: string): boolean {
  return buildFile.test(name) && !name.endsWith('.dockerignore');
}

async function readSorted(directory: string): Promise<Dirent[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}
