import * as core from '@actions/core';
import type { InputDefinition } from './input-definitions.js';

/** Gives an input as it was written; empty: it was not given. */
export type GetInput = (name: string) => string;

/** The inputs that GitHub's runner hands over, in variables of the environment. */
export const getFromRunner: GetInput = (name) => core.getInput(name, { trimWhitespace: false });

/** Some of the inputs; the others count as not given. */
export function limitTo(definitions: readonly InputDefinition[], getInput: GetInput): GetInput {
  const names = new Set(definitions.map(({ name }) => name));
  return (name) => (names.has(name) ? getInput(name) : '');
}

/**
 * The inputs with their defaults.
 *
 * @returns a function that throws an Error if an input is not among the definitions
 */
export function withDefaults(
  definitions: readonly InputDefinition[],
  getInput: GetInput,
): GetInput {
  const defaults = new Map(definitions.map((each) => [each.name, each.default]));
  return (name) => {
    const standard = defaults.get(name);
    if (standard === undefined) throw new Error(`There is no input ${name} to read here`);
    const given = getInput(name);
    return given.trim() === '' && standard !== '' ? standard : given;
  };
}
