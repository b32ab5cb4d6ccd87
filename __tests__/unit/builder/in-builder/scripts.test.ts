import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  excludePrograms,
  incrementalPrograms,
  placeScript,
  requiredPrograms,
  streamPrograms,
} from '../../../../src/builder/in-builder/scripts.js';

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scripts-'));
});

afterAll(() => rm(directory, { recursive: true }));

/** The programs that a script goes through to see whether they are all there. */
function programsIn(text: string): string[] {
  return [...text.matchAll(/^ *for program in (.*); do$/gm)].flatMap(([, names = '']) =>
    names.split(' '),
  );
}

describe.each([
  ['pack', [...excludePrograms]],
  ['unpack', [...incrementalPrograms]],
] as const)('the script that is to %s', (name, programs) => {
  test('stands as run.sh beside what it sources, and looks for the programs that are copied', async () => {
    const place = join(directory, 'not there yet', name);
    await placeScript(name, place, new Map(name === 'pack' ? [[12, 'p']] : []));
    const others = name === 'pack' ? ['exclude-12'] : [];
    expect((await readdir(place)).sort()).toEqual([
      ...['common.sh', ...others, 'run.sh', 'stream.sh'],
    ]);
    const script = await readFile(join(place, 'run.sh'), 'utf8');
    expect(script).toContain('\n. "${0%/*}/common.sh"\n');
    expect(programsIn(script)).toEqual(programs);
    const common = await readFile(join(place, 'common.sh'), 'utf8');
    expect(programsIn(common)).toEqual([...streamPrograms, ...requiredPrograms]);
  });
});
