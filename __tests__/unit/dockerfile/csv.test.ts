import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseCsvRecord } from '../../../src/dockerfile/csv.js';
import { inCsvQuotes } from '../../support/csv.js';

describe('a record is split as Go’s encoding/csv splits it', () => {
  test.each<[record: string, fields: string[]]>([
    ['a', ['a']],
    ['a,b', ['a', 'b']],
    ['a,', ['a', '']],
    [',a', ['', 'a']],
    [',,', ['', '', '']],
    [' a , b ', [' a ', ' b ']],
    ['"a"', ['a']],
    ['"a,b",c', ['a,b', 'c']],
    ['a,"b,c"', ['a', 'b,c']],
    ['""', ['']],
    ['"",""', ['', '']],
    ['""""', ['"']],
    ['"a""b"', ['a"b']],
    ['"""a"""', ['"a"']],
    ['"a "', ['a ']],
    ["'a,b'", ["'a", "b'"]],
    ['a\\,b', ['a\\', 'b']],
    ['"type=cache","id=a,b"', ['type=cache', 'id=a,b']],
    ['ü,"日,本"', ['ü', '日,本']],
  ])('%s', (record, fields) => {
    expect(parseCsvRecord(record)).toEqual(fields);
  });

  const stray = 'a quote inside a field';
  const open = 'a quoted field must end with a quote';
  test.each([
    ['a"b', stray],
    ['a"', stray],
    [' "a"', stray],
    ['a,b"c"', stray],
    ['id="a"', stray],
    ['"', open],
    ['"a', open],
    ['"a"b', open],
    ['"a" ,b', open],
    ['"""', open],
    ['a,"b', open],
  ])('%s is refused', (record, message) => {
    expect(() => parseCsvRecord(record)).toThrow(message);
  });
});

const anyFields = fc.array(fc.string({ unit: 'binary' }), { minLength: 1 });

test('quoted fields come back as they were', () => {
  fc.assert(
    fc.property(anyFields, (fields) => {
      const record = fields.map(inCsvQuotes).join(',');
      expect(parseCsvRecord(record)).toEqual(fields);
    }),
  );
});

test('without quotes only commas count', () => {
  fc.assert(
    fc.property(anyFields, (fields) => {
      const record = fields.join(',').replaceAll('"', '');
      expect(parseCsvRecord(record)).toEqual(record.split(','));
    }),
  );
});
