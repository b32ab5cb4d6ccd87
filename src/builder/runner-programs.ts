import { copyFile, mkdir, realpath, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { getExecOutput } from '@actions/exec';
import * as io from '@actions/io';
import type { Compression } from '../entry/manifest.js';
import { messageOf } from '../lib/errors.js';
import { runnerPlatform } from '../mounts/platform.js';
import { optionalPrograms, requiredPrograms } from './in-builder/scripts.js';

/** The programs that run inside the build. */
export type Toolkit =
  | {
      readonly kind: 'runner';
      readonly platform: string;
      /** What is to be mounted into the build. */
      readonly directories: readonly string[];
      readonly description: string;
    }
  | {
      readonly kind: 'image';
      /** Undefined: the builder's own. */
      readonly platform: string | undefined;
      readonly image: string;
      readonly description: string;
    };

/** To pack, one of some is enough; to unpack, each that an archive was made with is needed. */
export type NeededCompressions =
  | { readonly anyOf: readonly Compression[] }
  | { readonly allOf: readonly Compression[] };

export interface Program {
  readonly name: string;
  /** Where it really is, all symbolic links followed. */
  readonly path: string;
}

/** The runner's own programs, copied to where a build can mount them. */
export interface RunnerTools {
  readonly names: readonly string[];
  /** The first line of what tar says of itself. */
  readonly tarVersion: string;
  /** Names of the top-level directories that they are in. */
  readonly directories: readonly string[];
  /** Why they cannot be used at all. */
  readonly obstacle?: string | undefined;
}

/** Copies those of the runner's programs that a build may need below a directory. */
export async function gatherRunnerTools(directory: string): Promise<RunnerTools> {
  const wanted = new Set([...requiredPrograms, ...optionalPrograms, 'zstd', 'gzip']);
  const programs = await findPrograms([...wanted]);
  const names = programs.map(({ name }) => name);
  if (!names.includes('tar')) return { names, tarVersion: '', directories: [] };
  try {
    const [tarVersion, directories] = await Promise.all([
      output('tar', ['--version']),
      copyPrograms(programs, directory),
    ]);
    return { names, tarVersion: tarVersion.split('\n')[0] ?? '', directories };
  } catch (error) {
    return { names, tarVersion: '', directories: [], obstacle: messageOf(error) };
  }
}

/**
 * Decides what runs inside the build. The runner's own programs are taken where the builder can run
 * them: nothing has to be pulled, and they are just what the runner has. BuildKit runs them on
 * `FROM scratch` with the libraries that they are linked to.
 *
 * @param platforms of the builder
 * @param image the image to use where the runner's programs cannot run
 * @throws Error, with the remedy, where neither is possible
 */
export function chooseToolkit(
  tools: RunnerTools,
  platforms: readonly string[],
  image: string | undefined,
  compressions: NeededCompressions,
): Toolkit {
  const runner = runnerPlatform();
  // 32-bit ARM is listed with its variant only
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
  return tarVersion.includes('GNU tar')
    ? undefined
    : `the runner's tar is not GNU tar but ${tarVersion}`;
}

/** Finds those of the programs that the runner has. */
export async function findPrograms(names: readonly string[]): Promise<Program[]> {
  const found = await Promise.all(names.map(async (name) => ({ name, path: await locate(name) })));
  return found.filter((program): program is Program => program.path !== undefined);
}

/**
 * Copies programs and the shared libraries that they are linked to below a directory, at the places
 * where they are on the runner, and makes all of them callable from its `bin`.
 *
 * @returns the names of the top-level directories made there
 */
export async function copyPrograms(
  programs: readonly Program[],
  directory: string,
): Promise<string[]> {
  const paths = programs.map(({ path }) => path);
  const libraries = parseLdd(await listLibraries(paths));
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

/** What ldd prints for all of the programs; musl's looks at its first argument only. */
async function listLibraries(paths: readonly string[]): Promise<string> {
  const all = await output('ldd', [...paths]);
  if (all.includes(`${paths.at(-1)}:`)) return all;
  return (await Promise.all(paths.map((path) => output('ldd', [path])))).join('');
}

/**
 * Reads the absolute paths of libraries and loaders out of what ldd prints for some programs; a
 * static program has none.
 */
export function parseLdd(text: string): string[] {
  const paths = text.split('\n').flatMap((line) => {
    if (/=>\s*not found/.test(line)) {
      throw new Error(`a shared library of the runner's programs is missing: ${line.trim()}`);
    }
    const [, name = '', path = ''] = /^\s+(?:(\S+) => )?(\/\S+) \(0x[0-9a-f]+\)/.exec(line) ?? [];
    // A loader may be asked for under one path and found under another.
    return [name, path].filter((each) => each.startsWith('/'));
  });
  return [...new Set(paths)].sort();
}

async function locate(name: string): Promise<string | undefined> {
  // GNU tar starts its compressor through this very path
  const path = name === 'sh' ? '/bin/sh' : await io.which(name);
  return path === '' ? undefined : realpath(path);
}

async function output(command: string, args: string[]): Promise<string> {
  // ldd fails where one program of several is static
  const { stdout } = await getExecOutput(command, args, { silent: true, ignoreReturnCode: true });
  return stdout;
}
