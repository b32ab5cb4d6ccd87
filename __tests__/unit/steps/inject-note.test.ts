import { expect, test } from '@jest/globals';
import { parseNote } from '../../../src/steps/inject-note.js';

const note = { seconds: 1.5, endedAt: 2, build: 'b', exclude: [] };

test('a note is read as it was written', () => {
  const coldBuild = { seconds: 1, date: '2026-11-20', build: 'b' };
  expect(parseNote(JSON.stringify(note))).toEqual(note);
  const exclude = [{ pattern: '!x' }, { id: 'm', pattern: '*' }];
  const full = { ...note, coldBuild, exclude, maxSize: 5 };
  expect(parseNote(JSON.stringify(full))).toEqual(full);
});

test.each([
  [{ ...note, seconds: 'now' }, 'seconds'],
  [{ ...note, endedAt: undefined }, 'endedAt'],
  [{ ...note, build: 1 }, 'build'],
  [{ ...note, exclude: undefined }, 'exclude'],
  [{ ...note, exclude: [{ id: 'm' }] }, 'pattern'],
  [{ ...note, maxSize: '5' }, 'maxSize'],
  [{ ...note, coldBuild: { seconds: -1, date: '2026-11-20', build: 'b' } }, 'seconds'],
  [{ ...note, coldBuild: { seconds: 1, date: 'today', build: 'b' } }, 'date'],
])('anything else is none: %j', (value, field) => {
  expect(() => parseNote(JSON.stringify(value))).toThrow(field);
});
