import { expect, test } from '@jest/globals';
import { parseNote } from '../../../src/steps/inject-note.js';

const note = { startedAt: 1.5, endedAt: 2, build: 'b' };

test('a note is read as it was written', () => {
  const coldBuild = { seconds: 1, date: '2026-11-20', build: 'b' };
  expect(parseNote(JSON.stringify(note))).toEqual(note);
  expect(parseNote(JSON.stringify({ ...note, coldBuild }))).toEqual({ ...note, coldBuild });
});

test.each([
  [{ ...note, startedAt: 'now' }, 'startedAt'],
  [{ ...note, endedAt: undefined }, 'endedAt'],
  [{ ...note, build: 1 }, 'build'],
  [{ ...note, coldBuild: { seconds: -1, date: '2026-11-20', build: 'b' } }, 'seconds'],
  [{ ...note, coldBuild: { seconds: 1, date: 'today', build: 'b' } }, 'date'],
])('anything else is none: %j', (value, field) => {
  expect(() => parseNote(JSON.stringify(value))).toThrow(field);
});
