const units: Readonly<Record<string, number>> = {
  ...{ '': 1, b: 1, k: 1e3, kb: 1e3, m: 1e6, mb: 1e6, g: 1e9, gb: 1e9, t: 1e12, tb: 1e12 },
  ...{ kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30, tib: 2 ** 40 },
};

/**
 * Reads a number of bytes, such as `2GB`, `1.5 GiB` or `500MB`.
 *
 * @returns undefined if it is none, or 0
 */
export function parseByteSize(text: string): number | undefined {
  const [, amount = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  const factor = units[unit.toLowerCase()];
  const bytes = Math.round(Number(amount) * (factor ?? Number.NaN));
  return amount !== '' && Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined;
}
