import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { locateFiles, type MountInputs } from '../discovery/mount-list.js';
import type { Run, Surroundings } from '../lib/surroundings.js';

export interface KeyInputs {
  /** Undefined: a key is made. */
  readonly key: string | undefined;
  /** What a made key begins with. */
  readonly keyPrefix: string;
  readonly restoreKeys: readonly string[];
  readonly mountInputs: MountInputs;
}

/** The key that was given, or else one that is made; what was given to fall back to comes last. */
export async function resolveKeys(
  inputs: KeyInputs,
  { workspace, run }: Surroundings,
): Promise<DefaultKey> {
  const { key, keyPrefix, restoreKeys, mountInputs } = inputs;
  if (key !== undefined) return { key, restoreKeys };
  const { context, files } = locateFiles(mountInputs, workspace);
  const made = makeDefaultKey(
    { ...run, prefix: keyPrefix },
    await hashFiles(files, context, workspace),
  );
  return { ...made, restoreKeys: [...made.restoreKeys, ...restoreKeys] };
}

export interface DefaultKey {
  readonly key: string;
  /** The key without its last part, without the last two, and so on. */
  readonly restoreKeys: readonly string[];
}

/** Where a run stands: what the key is made of, but for the files. */
export interface RunFacts extends Run {
  readonly prefix: string;
}

/** What package managers write to say exactly what they install, in the words of their own docs. */
const lockFileNames = new Set([
  ...['package-lock.json', 'npm-shrinkwrap.json', 'pnpm-lock.yaml', 'yarn.lock'],
  ...['bun.lock', 'bun.lockb', 'deno.lock'],
  ...['go.sum', 'go.work.sum', 'Cargo.lock'],
  ...['requirements.txt', 'poetry.lock', 'uv.lock', 'pdm.lock', 'pylock.toml', 'Pipfile.lock'],
  ...['Gemfile.lock', 'composer.lock', 'mix.lock', 'pubspec.lock', 'conan.lock', 'flake.lock'],
  ...['pom.xml', 'gradle.lockfile', 'buildscript-gradle.lockfile', 'libs.versions.toml'],
  ...['packages.lock.json', 'MODULE.bazel.lock', 'Package.resolved'],
]);

/** Directories of what is installed, and not of what is to be installed. */
const skippedDirectories = new Set(['.git', 'node_modules', 'vendor', 'target', '.venv']);

/**
 * Makes the key of a run, `<prefix>-<os>-<arch>-<hash>-<commit>-<attempt>`, and what to fall back to:
 * the same commit, the same files, anything of this kind of machine.
 */
export function makeDefaultKey(
  { prefix, os, architecture, commit, attempt }: RunFacts,
  hash: string,
): DefaultKey {
  const parts = [prefix, os, architecture, hash, commit, attempt];
  const start = (count: number) => `${parts.slice(0, count).join('-')}-`;
  return { key: parts.join('-'), restoreKeys: [start(5), start(4), start(3)] };
}

/**
 * Hashes Dockerfiles and all lock files below a build context, by their paths and contents: 16
 * hexadecimal digits.
 *
 * @param workspace what the paths count from, as it differs between runners
 */
export async function hashFiles(
  dockerfiles: readonly string[],
  context: string,
  workspace: string,
): Promise<string> {
  const files = [...new Set([...dockerfiles, ...(await findLockFiles(context))])].sort();
  const hash = createHash('sha256');
  for (const file of files) {
    const content = await readFile(file).catch(() => undefined);
    if (content === undefined) continue;
    const digest = createHash('sha256').update(content).digest('hex');
    hash.update(`${digest} ${relative(workspace, file)}\n`);
  }
  return hash.digest('hex').slice(0, 16);
}

/** The lock files below a directory; symbolic links are not followed. */
async function findLockFiles(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const found = await Promise.all(
    entries.map(async (entry) => {
      const path = join(directory, entry.name);
      if (entry.isDirectory() && !skippedDirectories.has(entry.name)) return findLockFiles(path);
      return entry.isFile() && lockFileNames.has(entry.name) ? [path] : [];
    }),
  );
  return found.flat();
}
