import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  excludePrograms,
  optionalPrograms,
  streamPrograms,
} from '../../../src/builder/in-builder/scripts.js';
import { addRunnerTools, gatherRunnerTools } from '../../../src/builder/runner-programs.js';
import { readSurroundings } from '../../../src/lib/surroundings.js';

const surroundings = readSurroundings();

describe("copies of the runner's programs", () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tools-'));
  });

  afterEach(() => rm(directory, { recursive: true }));

  const gather = () => gatherRunnerTools(surroundings, directory);
  const there = () => readdir(join(directory, 'bin'));

  test('what only some builds need is not brought to others', async () => {
    const { names } = await gather();
    expect(names).toEqual(expect.arrayContaining(['tar', ...optionalPrograms]));
    const needed: readonly string[] = optionalPrograms;
    const all: readonly string[] = [...streamPrograms, ...excludePrograms];
    const further = all.filter((each) => !needed.includes(each));
    expect(further).toEqual(expect.arrayContaining(['bash', 'tee', 'find']));
    expect([...names, ...(await there())].filter((name) => further.includes(name))).toEqual([]);
  });

  test('it can be added, once, and runs', async () => {
    const before = await gather();
    const add = (tools: typeof before) =>
      addRunnerTools(surroundings, tools, directory, [...streamPrograms, 'no-such-program']);
    const after = await add(before);
    expect(after).toEqual({
      ...before,
      names: expect.arrayContaining([...before.names, ...streamPrograms]),
      directories: expect.arrayContaining([...before.directories]),
    });
    expect(await there()).toEqual(expect.arrayContaining(['tar', ...streamPrograms]));
    expect(await add(after)).toEqual({ ...after, names: after.names });
    expect(new Set(after.names).size).toBe(after.names.length);
  });

  test('if there are no copies, none are added', async () => {
    const none = { names: [], tarVersion: '', directories: [] };
    expect(await addRunnerTools(surroundings, none, directory, streamPrograms)).toBe(none);
    expect(await readdir(directory)).toEqual([]);
  });
});
