import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

const source = join(dirname(fileURLToPath(import.meta.url)), '../../../src');

/** The files of src that hold a pattern. */
function filesWith(pattern: RegExp): string[] {
  return readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .filter((name) => pattern.test(readFileSync(join(source, name), 'utf8')))
    .sort();
}

const reader = 'lib/surroundings.ts';
/** The cache client needs other surroundings; it puts them back. */
const wrapper = 'entry/stores/github-cache.ts';

test('the environment and the working directory are read in one place, and changed in one', () => {
  expect(filesWith(/process\.(env|cwd)\b/)).toEqual([wrapper, reader]);
  expect(filesWith(/\bprocess\.chdir\b/)).toEqual([wrapper]);
  // They hold variables of the environment, too.
  expect(filesWith(/\b(tmpdir|homedir)\(/)).toEqual([reader]);
  expect(filesWith(/from '(node:)?process'|process\[|= process;/)).toEqual([]);
});

test('each entry reads them, before anything else is done', () => {
  const entries = ['cli.ts', 'extract.ts', 'inject.ts', 'single-step.ts'];
  expect(filesWith(/\breadSurroundings\(\)/)).toEqual([...entries, reader].sort());
});

test('inputs are asked of the runner in one place', () => {
  expect(filesWith(/\.get(Multiline|Boolean)?Input\(/)).toEqual(['inputs/get-input.ts']);
  expect(filesWith(/['"`]INPUT_/)).toEqual([]);
});

test('child processes go through one door', () => {
  const door = ['lib/child-process.ts'];
  expect(filesWith(/from '(node:)?child_process'/)).toEqual(door);
  expect(filesWith(/from '@actions\/exec'/)).toEqual(door);
});
