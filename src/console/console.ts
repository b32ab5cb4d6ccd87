import { appendFileSync } from 'node:fs';
import * as core from '@actions/core';
import type { Surroundings } from '../lib/surroundings.js';

/**
 * The place in which a step runs. On GitHub, the runner reads commands from what we print. In any
 * other shell, plain text goes to standard error, and the outputs of the step go to standard
 * output.
 */
let place: Pick<Surroundings, 'isOnGitHub' | 'summaryFile'> = {
  isOnGitHub: false,
  summaryFile: undefined,
};

/** The outputs of a step off GitHub, until they are printed. */
const outputs = new Map<string, string>();

/** The warnings and notices of the step, in their order. */
const annotations: string[] = [];

let reword = (message: string): string => message;

/** Sets for whom all that follows is printed: there is one log for the whole process. */
export function openConsole(surroundings: Surroundings): void {
  place = surroundings;
}

/** Changes the words of all later messages, because not every user has actions and inputs. */
export function rewordMessages(change: (message: string) => string): void {
  reword = change;
}

export function warn(message: string): void {
  annotations.push(message);
  if (place.isOnGitHub) core.warning(message);
  else print(`warning: ${reword(message)}`);
}

export function notify(message: string): void {
  annotations.push(message);
  if (place.isOnGitHub) core.notice(message);
  else print(`note: ${reword(message)}`);
}

/** All that the step has warned of, or given notice of, until now. */
export function listAnnotations(): readonly string[] {
  return annotations;
}

/** Makes the process end with a failure. */
export function fail(message: string): void {
  if (place.isOnGitHub) {
    core.setFailed(message);
  } else {
    print(`error: ${reword(message)}`);
    process.exitCode = 1;
  }
}

export function debug(message: string): void {
  if (place.isOnGitHub) core.debug(message);
}

/**
 * Prints text that may hold anything, such as the names of files in a cache that others can write
 * to. GitHub's runner takes a line for a command if it begins with `::` or holds `##[`. Such a line
 * is changed before it is printed.
 */
export function print(text: string): void {
  if (!place.isOnGitHub) {
    process.stderr.write(`${text}\n`);
    return;
  }
  const harmless = text.replace(/^([^\S\r\n]|\x85)*::/gm, (start) => `${start.slice(0, -1)} :`);
  core.info(harmless.replaceAll('##[', '## ['));
}

export function startGroup(title: string): void {
  if (place.isOnGitHub) core.startGroup(title);
  else print(title);
}

export function endGroup(): void {
  if (place.isOnGitHub) core.endGroup();
}

/** Hands over an output of the step. If a name gets several values, the last one counts. */
export function setOutput(name: string, value: string): void {
  if (place.isOnGitHub) core.setOutput(name, value);
  else outputs.set(name, reword(value));
}

/**
 * Prints each output once, at the end of the step. On GitHub they are in the runner's file by then.
 */
export function printOutputs(): void {
  for (const [name, value] of outputs) {
    process.stdout.write(`${name}=${value.replaceAll('\n', ' ')}\n`);
  }
  outputs.clear();
}

/** Sets a variable for the later steps of the job, if there is a job. */
export function exportVariable(name: string, value: string): void {
  if (!place.isOnGitHub) return;
  try {
    core.exportVariable(name, value);
  } catch (error) {
    debug(`The variable ${name} cannot be set: ${error}`);
  }
}

/** Shows HTML on the summary page of the run, if there is one. */
export function addSummary(html: string): void {
  const file = place.summaryFile;
  if (file === undefined) return;
  try {
    appendFileSync(file, html);
  } catch (error) {
    debug(`The summary cannot be written: ${error}`);
  }
}
