/** A field that may hold anything, as it is written in CSV. */
export function inCsvQuotes(field: string): string {
  return `"${field.replaceAll('"', '""')}"`;
}
