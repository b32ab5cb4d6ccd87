import { copyFile, mkdir, realpath, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as io from '@actions/io';
import type { Compression } from '../entry/manifest.js';
import { runProgram } from '../lib/child-process.js';
import { messageOf } from '../lib/errors.js';
import type { Surroundings } from '../lib/surroundings.js';
import { runnerPlatform } from '../mounts/platform.js';
import { optionalPrograms, requiredPrograms } from './in-builder/scripts.js';
import { findLibraries } from './libraries.js';

/** The programs that run inside the build. */
export type Toolkit =
  | {
      readonly kind: 'runner';
      readonly platform: string;
      /** The directories to mount into the build. */
      readonly directories: readonly string[];
      readonly description: string;
    }
  | {
      readonly kind: 'image';
      /** Undefined: the builder's own platform. */
      readonly platform: string | undefined;
      readonly image: string;
      readonly description: string;
    };

/**
 * Packing needs any one of some compressions. Unpacking needs each compression that an archive was
 * made with.
 */
export type NeededCompressions =
  | { readonly anyOf: readonly Compression[] }
  | { readonly allOf: readonly Compression[] };

export interface Program {
  readonly name: string;
  /** Its path with all symbolic links followed. */
  readonly path: string;
}

/** The runner's own programs, as copies that a build can mount. */
export interface RunnerTools {
  readonly names: readonly string[];
  /** The first line of `tar --version`. */
  readonly tarVersion: string;
  /** The names of the top-level directories of the copies. */
  readonly directories: readonly string[];
  /** The reason why none of them can be used. */
  readonly obstacle?: string | undefined;
}

/** Copies the runner's programs that any build may need. The copies are below a directory. */
export async function gatherRunnerTools(
  surroundings: Surroundings,
  directory: string,
): Promise<RunnerTools> {
  const wanted = new Set([...requiredPrograms, ...optionalPrograms, 'zstd', 'gzip']);
  const programs = await findPrograms([...wanted]);
  const names = programs.map(({ name }) => name);
  if (!names.includes('tar')) return { names, tarVersion: '', directories: [] };
  try {
    const [version, directories] = await Promise.all([
      runProgram(surroundings, 'tar', ['--version']),
      copyPrograms(surroundings, programs, directory),
    ]);
    return { names, tarVersion: version.stdout.split('\n')[0] ?? '', directories };
  } catch (error) {
    return { names, tarVersion: '', directories: [], obstacle: messageOf(error) };
  }
}

/**
 * Copies further programs beside those that are copied already. If that is not possible, the scripts do
 * without them, and report it.
 */
export async function addRunnerTools(
  surroundings: Surroundings,
  tools: RunnerTools,
  directory: string,
  wanted: readonly string[],
): Promise<RunnerTools> {
  if (tools.directories.length === 0) return tools;
  const programs = await findPrograms(wanted.filter((name) => !tools.names.includes(name)));
  if (programs.length === 0) return tools;
  const added = await copyPrograms(surroundings, programs, directory).catch(() => undefined);
  if (added === undefined) return tools;
  const names = [...tools.names, ...programs.map(({ name }) => name)];
  return { ...tools, names, directories: [...new Set([...tools.directories, ...added])].sort() };
}

/**
 * Decides which programs run inside the build. If the builder can run the runner's own programs,
 * they are used, because then no image has to be pulled. BuildKit runs them on `FROM scratch` with
 * the libraries that they are linked to.
 *
 * @param platforms the builder's platforms
 * @param image the image to use if the runner's programs cannot run
 * @throws Error, with the remedy, if neither is possible
 */
export function chooseToolkit(
  tools: RunnerTools,
  platforms: readonly string[],
  image: string | undefined,
  compressions: NeededCompressions,
): Toolkit {
  const runner = runnerPlatform();
  // The builder lists 32-bit ARM only with a variant.
  const platform = platforms.find((name) => name === runner || name.startsWith(`${runner}/`));
  const obstacle =
    platform === undefined
      ? `the runner is ${runner} and the builder runs ${platforms.join(', ') || 'unknown platforms'}`
      : findObstacle(tools, compressions);
  if (platform !== undefined && obstacle === undefined) {
    const { tarVersion, directories, names } = tools;
    const compressor = names.includes('zstd') ? 'zstd' : 'gzip';
    const description = `the runner's own (${tarVersion}, ${compressor}), as the builder runs ${platform}`;
    return { kind: 'runner', platform, directories, description };
  }
  if (image === undefined) {
    throw new Error(
      `The runner's own programs cannot be used in the builder: ${obstacle}. Name an image that has sh, GNU tar, and zstd or gzip in the input utility-image.`,
    );
  }
  const description = `those of the image ${image}, as ${obstacle}`;
  return { kind: 'image', platform: platforms[0], image, description };
}

function findObstacle(
  { names, tarVersion, obstacle }: RunnerTools,
  compressions: NeededCompressions,
): string | undefined {
  const has = (name: string) => names.includes(name);
  const enough =
    'anyOf' in compressions ? compressions.anyOf.some(has) : compressions.allOf.every(has);
  const missing: string[] = requiredPrograms.filter((name) => !has(name));
  if (!enough) {
    missing.push(
      'anyOf' in compressions ? compressions.anyOf.join(' or ') : compressions.allOf.join(' and '),
    );
  }
  if (missing.length > 0) return `the runner has no ${missing.join(', ')}`;
  if (obstacle !== undefined) return obstacle;
  return whyNotGnuTar({ tarVersion });
}

/** Describes the runner's tar; undefined if it is GNU tar. */
export function whyNotGnuTar({ tarVersion }: Pick<RunnerTools, 'tarVersion'>): string | undefined {
  return tarVersion.includes('GNU tar')
    ? undefined
    : `the runner's tar is not GNU tar but ${tarVersion}`;
}

/** Finds the programs; those that the runner does not have are left out. */
export async function findPrograms(names: readonly string[]): Promise<Program[]> {
  const found = await Promise.all(names.map(async (name) => ({ name, path: await locate(name) })));
  return found.filter((program): program is Program => program.path !== undefined);
}

/**
 * Copies programs, and the shared libraries that they are linked to, below a directory. Each copy
 * has the same path there as on the runner. All programs can also be called from `bin`.
 *
 * @returns the names of the top-level directories that were made
 */
export async function copyPrograms(
  surroundings: Surroundings,
  programs: readonly Program[],
  directory: string,
): Promise<string[]> {
  const paths = programs.map(({ path }) => path);
  const libraries = await findLibraries(surroundings, paths);
  const files = new Set([...paths, ...libraries]);
  const links = programs.filter(({ name }) => !files.has(`/bin/${name}`));
  const directories = new Set(['/bin', ...[...files].map((file) => dirname(file))]);
  await Promise.all(
    [...directories].map((path) => mkdir(join(directory, path), { recursive: true })),
  );
  await Promise.all([
    ...[...files].map((file) => copyFile(file, join(directory, file))),
    ...links.map(({ name, path }) => symlink(path, join(directory, 'bin', name))),
  ]);
  return [...new Set([...directories].map((path) => path.split('/')[1] ?? ''))].sort();
}

async function locate(name: string): Promise<string | undefined> {
  // GNU tar starts its compressor by exactly this path.
  const path = name === 'sh' ? '/bin/sh' : await io.which(name);
  return path === '' ? undefined : realpath(path);
}
