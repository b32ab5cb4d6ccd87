/** What the mounts of the benchmark hold: the shapes of caches that people have. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createRandom, type Random } from '../../../__tests__/support/random.js';
import type { ContentKind } from './content.js';

export type TreeEntry =
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly content: ContentKind;
      readonly bytes: number;
    }
  | { readonly kind: 'hardLink'; readonly path: string; readonly to: string }
  | { readonly kind: 'symbolicLink'; readonly path: string; readonly to: string };

export interface DataSet {
  readonly name: string;
  readonly description: string;
  /** Whether the method of other tools is measured too, or only how we and the floor grow. */
  readonly compared: boolean;
  /** What it is made of, or where it is already. */
  readonly source: MadeUp | { readonly directory: string };
}

export interface MadeUp {
  readonly seed: number;
  entries(): Iterable<TreeEntry>;
}

type Shape = (random: Random, scale: number) => Iterable<TreeEntry>;

/**
 * The data sets that are made up, with `scale` times as many files (or bytes, where there are few
 * files).
 */
export function madeUpSets(scale: number): readonly (DataSet & { readonly source: MadeUp })[] {
  const set = (name: string, description: string, shape: Shape, factor = 1) => {
    // Every size of one shape begins with the same files.
    const seed = 1 + [goBuild, nodeModules, apt, cargoTarget].indexOf(shape);
    return {
      name,
      description: scale === 1 ? description : `${description}, all that times ${scale}`,
      compared: factor === 1,
      source: { seed, entries: () => shape(createRandom(seed), scale * factor) },
    };
  };
  return [
    set('go-build', '10,000 files, 800 MB, like object files', goBuild),
    set('node-modules', '30,000 files, 300 MB, like source text', nodeModules),
    set('apt', '200 files, 400 MB, incompressible', apt),
    set('cargo-target', 'few huge files, many hard links, 1.5 GB', cargoTarget),
    set('go-build-x0.1', 'go-build with a tenth of the files', goBuild, 0.1),
    set('go-build-x4', 'go-build with four times the files', goBuild, 4),
  ];
}

const real: Readonly<Record<string, string>> = {
  'go-build-std': "Go's build cache: its standard library for three architectures",
  'go-build-buildkit':
    "Go's build cache: BuildKit, and the standard library, for two architectures",
  'npm-cache': "npm's cache, with the packages of this project",
  'pnpm-store': "pnpm's store, with the same",
  'node-modules-npm': 'a node_modules, with the same',
  'cargo-registry': 'the sources of well-known crates, as cargo reads them',
  'cargo-target-clap': "cargo's target directory of a small program with well-known crates",
  'ccache-git': "ccache's directory, after all that Git compiles",
  'apt-archives': "apt's archives: a C compiler, clang, a JDK, git, and what they depend on",
};

/** The names of the caches that real tools have made (real-caches.sh). */
export const realNames = Object.keys(real);

/** Those of them that are there. They are copied before they are measured. */
export async function realSets(directory: string): Promise<readonly DataSet[]> {
  const there = await readdir(directory).catch((): string[] => []);
  return Object.entries(real)
    .filter(([name]) => there.includes(name))
    .map(([name, description]) => {
      const source = { directory: join(directory, name) };
      return { name, description, compared: true, source };
    });
}

function* goBuild(random: Random, scale: number): Iterable<TreeEntry> {
  for (let count = times(10_000, scale); count > 0; count--) {
    const hash = hex(random, 64);
    const path = `${hash.slice(0, 2)}/${hash}-d`;
    yield { kind: 'file', path, content: 'object', bytes: spread(random, 80_000) };
  }
}

function* nodeModules(random: Random, scale: number): Iterable<TreeEntry> {
  const perPackage = 25;
  for (let count = times(30_000 / perPackage, scale); count > 0; count--) {
    const name = `package-${hex(random, 6)}`;
    for (let index = 0; index < perPackage; index++) {
      const folder = random.pick(['', 'dist/', 'lib/', 'lib/internal/', 'src/', 'types/']);
      const path = `${name}/${folder}module-${index}.js`;
      yield { kind: 'file', path, content: 'text', bytes: spread(random, 10_000) };
    }
    if (random.chance(0.2)) {
      yield { kind: 'symbolicLink', path: `.bin/${name}`, to: `../${name}/bin.js` };
    }
  }
}

function* apt(random: Random, scale: number): Iterable<TreeEntry> {
  for (let count = times(200, scale); count > 0; count--) {
    const path = `archives/package-${hex(random, 8)}_1.0-1_amd64.deb`;
    yield { kind: 'file', path, content: 'noise', bytes: spread(random, 2_000_000) };
  }
}

function* cargoTarget(random: Random, scale: number): Iterable<TreeEntry> {
  const object = (path: string, bytes: number): TreeEntry => ({
    kind: 'file',
    path,
    content: 'object',
    bytes,
  });
  for (let index = 0; index < 3; index++) {
    const path = `release/deps/program${index}-${hex(random, 16)}`;
    yield object(path, times(200_000_000, scale));
    yield { kind: 'hardLink', path: `release/program${index}`, to: path };
  }
  for (let index = times(400, scale); index > 0; index--) {
    const path = `release/deps/library${index}-${hex(random, 16)}.rlib`;
    yield object(path, spread(random, 1_500_000));
    if (random.chance(0.5)) {
      yield { kind: 'hardLink', path: `release/library${index}.rlib`, to: path };
    }
  }
  for (let index = times(3_000, scale); index > 0; index--) {
    const session = `release/incremental/program${index % 20}`;
    const path = `${session}/s-1/${hex(random, 20)}.o`;
    yield object(path, spread(random, 100_000));
    if (random.chance(0.5)) {
      yield { kind: 'hardLink', path: path.replace('/s-1/', '/s-2/'), to: path };
    }
  }
}

function times(count: number, scale: number): number {
  return Math.max(1, Math.round(count * scale));
}

/** Many small sizes and a few large ones, with this mean. */
function spread(random: Random, mean: number): number {
  const precision = 1 << 20;
  return Math.round(-Math.log1p(-random.below(precision) / precision) * mean);
}

function hex(random: Random, digits: number): string {
  let text = '';
  while (text.length < digits)
    text += random
      .below(1 << 24)
      .toString(16)
      .padStart(6, '0');
  return text.slice(0, digits);
}
