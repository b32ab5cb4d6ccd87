/**
 * Splits one CSV record into its fields by the rules of Go's encoding/csv, with which BuildKit reads
 * the value of `--mount`: a field that begins with a quote ends at its closing quote and `""` stands
 * for one quote; a quote anywhere else is an error. Spaces belong to the field.
 *
 * @throws Error on a stray or missing quote
 */
export function parseCsvRecord(record: string): string[] {
  const fields: string[] = [];
  let rest = record;
  for (;;) {
    const quoted = /^"((?:[^"]|"")*)"(,|$)/.exec(rest);
    const field = quoted ?? /^([^",]*)(,|$)/.exec(rest);
    if (!field) {
      throw new Error(
        rest.startsWith('"')
          ? 'a quoted field must end with a quote before the next comma'
          : 'a quote inside a field: put quotes around the whole field and double those inside',
      );
    }
    const [matched, text = '', separator] = field;
    fields.push(quoted ? text.replaceAll('""', '"') : text);
    if (!separator) {
      return fields;
    }
    rest = rest.slice(matched.length);
  }
}
