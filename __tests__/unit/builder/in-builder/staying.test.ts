/** Of an archive that stays in the builder, the script that packs says what nobody else sees. */
import { stat, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { placeScriptsHere, type ScriptsHere } from '../../../support/scripts-here.js';

let here: ScriptsHere;

beforeAll(async () => {
  here = await placeScriptsHere();
  await writeFile(here.permit, 'permit');
});
afterAll(() => here.dispose());
beforeEach(() => here.empty());

const factsOf = async (file: string) => ({ compressedBytes: (await stat(file)).size });

test('of a full archive, and of a delta', async () => {
  await here.change('echo 1 >one; head -c 300000 /dev/urandom >two');
  const full = await here.pack('0:1');
  expect(full.report).toMatchObject({ result: 'packed', files: 2, ...(await factsOf(full.file)) });
  // Nobody would compare it, and it takes long.
  expect(full.report).not.toHaveProperty('sha256');

  await here.empty();
  await here.placeArchives([full.file]);
  expect(await here.run('unpack', '0:400000:token')).toMatchObject({ result: 'unpacked' });
  await here.change('echo more >three');
  const delta = await here.pack('0:1:100000:token');
  expect(delta.report).toMatchObject({ result: 'changed', ...(await factsOf(delta.file)) });
});

test('an empty mount has none', async () => {
  expect((await here.pack('0:1')).report).toEqual({ result: 'empty', seconds: expect.any(Number) });
});
