import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const read = (name: string) => readFileSync(join(root, name), 'utf8');
const filesOf = (directory: string, ending: string) =>
  readdirSync(join(root, directory))
    .filter((name) => name.endsWith(ending))
    .map((name) => `${directory}/${name}`);

const documents = ['README.md', 'CONTRIBUTING.md', ...filesOf('docs', '.md')];
const versions = new Map(
  read('.github/action-versions')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, action = '', version = ''] = /^(\S+) (v\d+)$/.exec(line) ?? [];
      return [action, version];
    }),
);

/** The uses of actions of GitHub and Docker in a document, but for examples of what is left behind. */
function usesOf(document: string): string[] {
  const today = read(document).replace(/^\s*# before\n.*?^\s*```/gms, '');
  return [...today.matchAll(/\b(?:actions|docker)\/[\w-]+@[\w.]+/g)].map(([use]) => use);
}

test('the list has each action once, in order', () => {
  expect([...versions.keys()]).toEqual([...versions.keys()].sort());
  expect(versions.size).toBe(read('.github/action-versions').match(/^[^#\n].*$/gm)?.length);
  expect([...versions].filter(([action, version]) => action === '' || version === '')).toEqual([]);
});

test.each(documents)('%s uses the actions of others in the versions of the list', (document) => {
  const wrong = usesOf(document).filter((use) => {
    const [action = '', version] = use.split('@');
    return versions.get(action) !== version;
  });
  expect(wrong).toEqual([]);
});

test('each action of the list is in an example', () => {
  const used = new Set(documents.flatMap(usesOf).map((use) => use.replace(/@.*/, '')));
  expect([...used].sort()).toEqual([...versions.keys()]);
});

test('our workflows use the same major versions', () => {
  const pinned = filesOf('.github/workflows', '.yml')
    .flatMap((name) => [...read(name).matchAll(/uses: (\S+)@[0-9a-f]{40} # (v\d+)/g)])
    .map(([, action = '', version = '']) => [action, version] as const)
    .filter(([action]) => versions.has(action));
  expect(new Set(pinned.map(([action]) => action)).size).toBeGreaterThanOrEqual(3);
  expect(pinned.filter(([action, version]) => versions.get(action) !== version)).toEqual([]);
});

describe('set-action-versions', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'versions-'));
    for (const name of ['scripts', '.github', 'docs']) mkdirSync(join(directory, name));
    cpSync(
      join(root, 'scripts/set-action-versions'),
      join(directory, 'scripts/set-action-versions'),
    );
    writeFileSync(
      join(directory, '.github/action-versions'),
      '# The list of docker/x@v1\n\nactions/cache v6\ndocker/x v12\n',
    );
    writeFileSync(join(directory, 'CONTRIBUTING.md'), 'None.\n');
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  test('changes the versions of the list in all examples of today', () => {
    const text = (cache: string, x: string) =>
      [
        ...[`See docker/x@${x} and docker/x.`, '', '```yaml', '# before'],
        ...['- uses: actions/cache@v3', '- uses: docker/x@v9', '```', '', '```yaml', '# after'],
        ...[`- uses: actions/cache@${cache}`, `- uses: docker/x@${x} # docker/x@${x}`],
        ...['- uses: docker/x-y@v1', '- uses: OWNER/REPO@v1', '```', ''],
      ].join('\n');
    writeFileSync(join(directory, 'README.md'), text('v5', 'v11.0.3'));
    writeFileSync(join(directory, 'docs/a.md'), text('v6', 'v12'));
    const run = () =>
      spawnSync(join(directory, 'scripts/set-action-versions'), { cwd: '/', encoding: 'utf8' });
    expect(run()).toMatchObject({ status: 0, stdout: 'README.md\n', stderr: '' });
    for (const name of ['README.md', 'docs/a.md']) {
      expect(readFileSync(join(directory, name), 'utf8')).toBe(text('v6', 'v12'));
    }
    expect(run()).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });
});
