/**
 * What is saved is added to a mount that holds files of the same job: what is missing is put in, at
 * every depth, and all else stays.
 */
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { renderMutations } from '../../../support/mutations.js';
import { chooseSeed, createRandom } from '../../../support/random.js';
import { placeScriptsHere, type ScriptsHere } from '../../../support/scripts-here.js';

const execute = promisify(execFile);
const rounds = Math.ceil(Number(process.env.MUTATION_ROUNDS ?? 100) / 5);
const seed = chooseSeed();
const addAll = '0:1::add';

let here: ScriptsHere;

beforeAll(async () => {
  here = await placeScriptsHere();
});
beforeEach(() => here.empty());
afterAll(() => here.dispose());

/** All that is to know of each path, by the path. The root is `.`. */
type Tree = ReadonlyMap<string, string>;

async function readTree(): Promise<Tree> {
  const script = `cd "$1"
find . -exec sh -c 'for path; do
  printf "%s\\t" "$path"; find "$path" -maxdepth 0 -printf "%y %m %U:%G %T@ %l"
  if [ -L "$path" ]; then :; else
    [ ! -f "$path" ] || sha256sum <"$path"
    getfattr -h -d -m - -e hex "$path"; getfacl -n "$path"
  fi 2>/dev/null | grep -v "^# file: "; printf "\\0"
done' sh {} +`;
  const options = { maxBuffer: 1 << 28 };
  const { stdout } = await execute('sh', ['-c', script, 'sh', here.mount], options);
  const records = stdout.split('\0').filter((record) => record !== '');
  return new Map(
    records.map((record) => {
      const at = record.indexOf('\t');
      return [record.slice(0, at), record.slice(at + 1)];
    }),
  );
}

/** The tree in which everything of the first one stays, and has what it lacks of the second. */
function addTo(tree: Tree, saved: Tree): Tree {
  const result = new Map(tree);
  const paths = [...saved.keys()].sort((a, b) => a.split('/').length - b.split('/').length);
  for (const path of paths) {
    const parent = path.slice(0, path.lastIndexOf('/'));
    const isReached = !tree.has(parent) || tree.get(parent)?.startsWith('d ');
    if (
      !tree.has(path) &&
      isReached &&
      result.get(parent) === (tree.get(parent) ?? saved.get(parent))
    )
      result.set(path, saved.get(path) ?? '');
  }
  return result;
}

const sorted = (tree: Tree) => [...tree].sort(([a], [b]) => (a < b ? -1 : 1));

/** The times of directories are left out: they are set last. */
const withoutTimes = (tree: Tree) =>
  sorted(tree).map(([path, text]) => [path, text.replace(/^(d \d+ \S+) \S+/, '$1')]);

/** Saves a tree in two parts, the second of which is a delta; the mount is empty then. */
async function save(first: string, second: string): Promise<Tree> {
  await here.empty();
  await here.change(`echo 1 >first\n${first}`);
  const full = await here.pack();
  await here.empty();
  await here.placeArchives([full.file]);
  expect((await here.run('unpack', '0:1:token')).result).toBe('unpacked');
  await here.change(`echo 2 >second\n${second}`);
  const saved = await readTree();
  const delta = await here.pack('0:1:1000000000:token');
  if (delta.report.result === 'changed') await here.placeArchives([full.file, delta.file]);
  else await here.placeArchives([delta.file]);
  await here.empty();
  return saved;
}

const cases: [name: string, own: string, saved: string, left: string][] = [
  ['a name beside others', 'echo own >a', 'echo saved >b', './a=own ./b=saved'],
  ['of two files with one name, the own one stays', 'echo own >a', 'echo saved >a', './a=own'],
  [
    'at every depth',
    'mkdir -p d/e; echo own >d/e/a',
    'mkdir -p d/e/f; echo saved >d/e/a; echo saved >d/e/f/b; echo saved >d/c',
    './d/c=saved ./d/e/a=own ./d/e/f/b=saved',
  ],
  [
    'a directory in place of a file',
    'echo own >a',
    'mkdir a; echo saved >a/b; echo saved >c',
    './a=own ./c=saved',
  ],
  [
    'a file in place of a directory',
    'mkdir a; echo own >a/b',
    'echo saved >a; echo saved >c',
    './a/b=own ./c=saved',
  ],
  [
    'no way through a link of the mount',
    'mkdir t; echo own >t/a; ln -s t d',
    'mkdir d; echo saved >d/b',
    './t/a=own',
  ],
  [
    'a dangling link is a name, too',
    'ln -s nowhere a; echo own >o',
    'echo saved >a; echo saved >b',
    './b=saved ./o=own',
  ],
  [
    'a link of what is saved',
    'mkdir d; echo own >d/a',
    'ln -s ../../outside d; ln -s nowhere l; echo saved >b',
    './b=saved ./d/a=own',
  ],
  [
    'names that look like options, and hidden ones',
    'mkdir -p -- -d .h; echo own >-d/-a; echo own >.h/a',
    'mkdir -p -- -d .h; echo saved >-d/-n; echo saved >.h/..b; echo saved >--',
    './--=saved ./-d/-a=own ./-d/-n=saved ./.h/..b=saved ./.h/a=own',
  ],
];

test.each(cases)('%s', async (_, own, saved, left) => {
  await here.change(saved);
  const { file } = await here.pack();
  await here.placeArchives([file]);
  await here.empty();
  await here.change(own);
  expect((await here.run('unpack', addAll)).result).toBe('added');
  const list = 'find . -type f -printf "%p=" -exec cat {} \\; | sort | tr "\\n" " "';
  const { stdout } = await execute('sh', ['-c', `cd "$1"; ${list}`, 'sh', here.mount]);
  expect(stdout.trim()).toBe(left);
  expect(await readdir(here.outside)).toEqual(['kept']);
});

test('what the directories of the mount are stays, their times included', async () => {
  await here.change('mkdir -p d/e; echo saved >d/e/b; chmod 711 d; touch -d 2001-01-01 d d/e .');
  const { file } = await here.pack();
  await here.placeArchives([file]);
  await here.empty();
  await here.change(
    'mkdir -p d/e; echo own >d/a; chmod 1770 d; touch -d 2002-02-02 d d/e; touch -d 2003-03-03 .',
  );
  const before = await readTree();
  await here.run('unpack', addAll);
  const after = await readTree();
  expect(after.has('./d/e/b')).toBe(true);
  for (const path of ['.', './d', './d/e']) expect(after.get(path)).toBe(before.get(path));
});

test('without the word, the mount is left as it is; an empty one is filled', async () => {
  const saved = await save('mkdir d; echo saved >d/a', 'echo saved >d/b');
  await here.change('echo own >o');
  const before = await readTree();
  expect((await here.run('unpack', '0:1:token')).result).toBe('warm');
  expect(await readTree()).toEqual(before);
  await here.empty();
  expect((await here.run('unpack', '0:1:token:add')).result).toBe('unpacked');
  expect(sorted(await readTree())).toEqual(sorted(saved));
  // The word takes nothing from it: what has changed can be packed alone.
  await here.change('echo more >>d/a');
  expect((await here.pack('0:1:1000000000:token')).report.result).toBe('changed');
});

test('there is no delta after it, as none could build on the archives alone', async () => {
  await save('echo saved >a', 'echo saved >b');
  await here.change('echo own >o');
  expect((await here.run('unpack', '0:1:token:add')).result).toBe('added');
  expect((await here.pack('0:1:1000000000:token')).report).toMatchObject({
    result: 'packed',
    obstacle: 'snapshot',
  });
});

test('the snapshot of another inject counts what was added as a change', async () => {
  await save('mkdir -p d/e; echo saved >d/b', 'echo saved >d/e/c; echo saved >f');
  const archives = here.archives();
  await here.change('mkdir d; echo own >d/a; head -c 100000 /dev/urandom >large');
  const own = await here.pack();
  await here.empty();
  await here.placeArchives([own.file]);
  await here.run('unpack', '0:1:token');
  await here.placeArchives(archives);
  expect((await here.run('unpack', '0:1:another:add')).result).toBe('added');
  await here.change('echo own >d/e/c');
  const tree = await readTree();
  const delta = await here.pack('0:1:1000000000:token');
  expect(delta.report.result).toBe('changed');
  await here.empty();
  await here.placeArchives([own.file, delta.file]);
  await here.run('unpack', '0:1');
  expect(sorted(await readTree())).toEqual(sorted(tree));
});

test('an archive that cannot be unpacked leaves the mount as it is', async () => {
  await save('echo saved >a', 'echo saved >b');
  await here.change('mkdir d; echo own >d/a');
  const before = withoutTimes(await readTree());
  await here.placeArchives([join(here.outside, 'kept')]);
  expect((await here.run('unpack', addAll)).result).toBe('unadded');
  expect(withoutTimes(await readTree())).toEqual(before);
});

test('wherever it is cut, the mount has all it had, and whole names; the next script ends it', async () => {
  const own = 'mkdir -p d/e f; echo own >d/a; echo own >f/x; echo own >d/e/y; ln -s d l';
  const tree =
    'mkdir -p d/e/n/m d/k f g/h l; for p in d d/e d/e/n d/e/n/m d/k f g/h; do echo saved >$p/s; done';
  const saved = await save(tree, 'echo saved >d/e/n/t; mkdir g/i; echo saved >g/i/t');
  let cuts = 0;
  const stages = new Set<string>();
  for (;;) {
    await here.empty();
    await here.change(own);
    const before = await readTree();
    const whole = addTo(before, saved);
    const report = await here.runCut('unpack', addAll, cuts + 1);
    if (report !== undefined) {
      expect(report.result).toBe('added');
      expect(sorted(await readTree())).toEqual(sorted(whole));
      break;
    }
    cuts++;
    const reserved = '\\./\\.buildkit-cache-mounts';
    const cut = new Map(
      [...(await readTree())].filter(([path]) => !new RegExp(`^${reserved}`).test(path)),
    );
    expect(withoutTimes(addTo(cut, before))).toEqual(withoutTimes(cut));
    // A directory that was missing is not there, or with all that is below it.
    for (const directory of ['./g', './d/k', './d/e/n']) {
      const below = (some: Tree) =>
        [...some.keys()].filter((path) => path.startsWith(directory)).sort();
      if (cut.has(directory)) expect(below(cut)).toEqual(below(whole));
    }
    await here.pack();
    const after = withoutTimes(await readTree());
    const isWhole = after.length === whole.size;
    expect(after).toEqual(withoutTimes(isWhole ? whole : before));
    stages.add(
      `${cut.size === before.size ? 'before' : 'after'}, then ${isWhole ? 'all' : 'none'}`,
    );
  }
  expect(cuts).toBeGreaterThan(10);
  expect([...stages].sort()).toEqual(['after, then all', 'before, then all', 'before, then none']);
});

test(
  `${rounds} rounds of random trees, from the seed ${seed}`,
  async () => {
    const random = createRandom(seed);
    let added = 0;
    let differing = 0;
    for (let round = 0; round < rounds; round++) {
      const saved = await save(
        `${renderMutations(random)}\n${renderMutations(random)}`,
        renderMutations(random),
      );
      await here.change(`echo own >own\n${renderMutations(random)}\n${renderMutations(random)}`);
      const before = await readTree();
      const result = addTo(before, saved);
      expect({ round, ...(await here.run('unpack', addAll)) }).toMatchObject({
        round,
        result: 'added',
      });
      expect({ round, tree: sorted(await readTree()) }).toEqual({ round, tree: sorted(result) });
      added += result.size - before.size;
      differing += [...saved].filter(
        ([path, text]) => before.get(path)?.charAt(0) !== text.charAt(0) && before.has(path),
      ).length;
    }
    expect(added).toBeGreaterThan(rounds);
    expect(differing).toBeGreaterThan(rounds / 10);
  },
  rounds * 10_000,
);
