/** @throws Error if the value is no object */
export function object(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(name, value);
  }
  return { ...value };
}

/** @throws Error if the value is no array */
export function array(value: unknown, name: string): unknown[] {
  if (!Array.isArray(value)) throw invalid(name, value);
  return value;
}

/** @throws Error if the value is no string, or an empty one */
export function string(value: unknown, name: string): string {
  if (typeof value !== 'string' || value === '') throw invalid(name, value);
  return value;
}

/** @throws Error if the value is no whole number from 0 */
export function count(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw invalid(name, value);
  }
  return value;
}

/** @throws Error if the value is no finite number */
export function number(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw invalid(name, value);
  return value;
}

/** All fields of a type. A field that may be missing, and is, has to be given as `undefined`. */
export type AllFields<T> = {
  readonly [Field in keyof T]-?:
    | Required<T>[Field]
    | (object extends Pick<T, Field> ? undefined : never);
};

/**
 * Leaves out the fields that are undefined. If the type gets another field, it has to be given
 * here, too.
 */
export function omitUndefined<T extends object>(fields: AllFields<T>): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

/** The error of a field that is not of the expected form. */
export function invalid(name: string, value: unknown): Error {
  return new Error(`its field "${name}" is not valid: ${describeValue(value)}`);
}

/** The value as JSON, cut to a length that can be read. */
export function describeValue(value: unknown): string {
  try {
    const text = String(JSON.stringify(value));
    return text.length > 200 ? `${text.slice(0, 200)}…` : text;
  } catch {
    return 'it is nested too deeply'; // JSON.parse takes more levels than JSON.stringify
  }
}
