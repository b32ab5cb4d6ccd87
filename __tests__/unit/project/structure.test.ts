import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const source = join(root, 'src');

/** The folders of src, from the top down: each imports only from those below it. */
const floors = [
  ['steps'],
  ['inputs'],
  ['discovery'],
  ['builder'],
  ['entry'],
  ['dockerfile'],
  ['mounts'],
  ['console'],
  ['lib'],
];

function listModules(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .sort();
}

const files = listModules(source);

/** The modules that a file imports, seen from a folder as the file itself is. */
function importsOf(file: string, folder = source): string[] {
  const text = readFileSync(join(folder, file), 'utf8');
  return [...text.matchAll(/^(?:import|export|\} from) .*?'(\.[^']*)\.js';/gm)].map(([, path]) =>
    relative(folder, join(folder, dirname(file), `${path}.ts`)),
  );
}

/** Undefined: an entry, which stands in src itself. */
function folderOf(file: string): string | undefined {
  return file.includes('/') ? file.split('/')[0] : undefined;
}

const floorOf = (folder: string | undefined) =>
  folder === undefined ? -1 : floors.findIndex((floor) => floor.includes(folder));

test('each folder of src has a floor', () => {
  const folders = new Set(files.map(folderOf).filter((folder) => folder !== undefined));
  expect([...folders].sort()).toEqual(floors.flat().sort());
});

test('a folder imports only from folders below it', () => {
  const upward = files.flatMap((file) =>
    importsOf(file)
      .filter((imported) => folderOf(imported) !== folderOf(file))
      .filter((imported) => floorOf(folderOf(imported)) <= floorOf(folderOf(file)))
      .map((imported) => `${file} imports ${imported}`),
  );
  expect(upward).toEqual([]);
});

test.each(['src', 'scripts'])('no modules of %s import each other in a circle', (name) => {
  const folder = join(root, name);
  const circles: string[] = [];
  const state = new Map<string, 'open' | 'done'>();
  const visit = (file: string, path: readonly string[]) => {
    if (state.get(file) === 'done') return;
    if (state.get(file) === 'open') {
      circles.push([...path.slice(path.indexOf(file)), file].join(' → '));
      return;
    }
    state.set(file, 'open');
    // What is outside the folder imports nothing from it.
    const inside = importsOf(file, folder).filter((imported) => !imported.startsWith('..'));
    for (const imported of inside) visit(imported, [...path, file]);
    state.set(file, 'done');
  };
  for (const file of listModules(folder)) visit(file, []);
  expect(circles).toEqual([]);
});

describe('the unit tests mirror src', () => {
  const tests = join(root, '__tests__/unit');
  const names = readdirSync(tests, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts') && !name.startsWith('project/'))
    .sort();

  test('each stands in a folder of src', () => {
    const folders = new Set(files.map((file) => dirname(file)));
    expect(names.filter((name) => !folders.has(dirname(name)))).toEqual([]);
  });
});

test('the imports are seen', () => {
  // If the pattern above missed them, the other tests could not fail.
  const count = files.flatMap((file) => importsOf(file)).length;
  expect(count).toBeGreaterThan(150);
  expect(importsOf('inject.ts')).toContain('steps/run-step.ts');
});
