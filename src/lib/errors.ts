/**
 * Wrong input of the user. The step fails at once with this message, which names the input and the
 * remedy. Every other error is trouble with the cache: it is a warning, and the build goes on cold.
 */
export class InputError extends Error {
  override readonly name = 'InputError';
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Whether a file or directory was not there. */
export function isAbsence(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT';
}
