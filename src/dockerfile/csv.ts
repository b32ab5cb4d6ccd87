/*
 * Mirrors github.com/tonistiigi/go-csvvalue v0.0.0-20240814133006, with which BuildKit v0.32.2 reads the
 * value of `--mount`.
 */

/**
 * Splits one CSV record into its fields by the rules of Go's encoding/csv: a field that begins with a
 * quote ends at its closing quote, and `""` in it stands for one quote. A quote anywhere else is an
 * error. Spaces belong to the field.
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
