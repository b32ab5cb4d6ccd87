/** Engines that a test has for itself, to stop, to crash and to fill up. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, type describe } from '@jest/globals';
import { prepareBuilder, type TestBuilder } from './engine.js';
import { describeWhere } from './where-possible.js';

export interface OwnEngine {
  /** What docker needs in its environment to reach it. */
  readonly env: Readonly<Record<string, string>>;
  readonly builder: TestBuilder;
  start(): Promise<void>;
  /** Ends it in good order. */
  stop(): Promise<void>;
  /** Ends it at once, with all that runs on it. */
  crash(): Promise<void>;
  dispose(): Promise<void>;
}

const script = fileURLToPath(new URL('own-engine.sh', import.meta.url));
const library = fileURLToPath(new URL('../../scripts/lib/engine.sh', import.meta.url));

/** A describe for tests that start one. */
export function describeWithOwnEngine(): typeof describe.skip {
  const isPossible = spawnSync('bash', ['-c', '. "$0" && engine_possible', library]).status === 0;
  return describeWhere(isPossible, 'an engine of their own: root, and an engine or Debian');
}

/** Starts one for all tests of a describe, whose builder is empty as each of them begins. */
export function useOwnEngine(tmpfs?: string): Omit<OwnEngine, 'dispose'> {
  let engine: OwnEngine;

  beforeAll(async () => {
    engine = await startOwnEngine(tmpfs);
  });
  afterAll(async () => {
    await engine.dispose();
  });
  beforeEach(async () => {
    await engine.builder.empty();
  });

  return {
    get env() {
      return engine.env;
    },
    get builder() {
      return engine.builder;
    },
    start: () => engine.start(),
    stop: () => engine.stop(),
    crash: () => engine.crash(),
  };
}

/** @param tmpfs options of a file system for all that the engine stores, such as `size=64m` */
export async function startOwnEngine(tmpfs?: string): Promise<OwnEngine> {
  const child = spawn('bash', [script, ...(tmpfs === undefined ? [] : [tmpfs])], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close');
  let messages = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    messages += text;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const nextLine = async (): Promise<string> => {
    const { done, value } = await lines.next();
    if (done) throw new Error(`The engine has ended:\n${messages}`);
    return value;
  };
  const command = async (name: string): Promise<void> => {
    child.stdin.write(`${name}\n`);
    if ((await nextLine()) !== 'done') throw new Error(`The engine does not ${name}:\n${messages}`);
  };

  // A builder that is named in our own environment is not one of this engine's.
  const env: Record<string, string> = { BUILDX_BUILDER: '' };
  for (let line = await nextLine(); line !== ''; line = await nextLine()) {
    const [, name = '', value = ''] = /^(\w+)=(.*)$/.exec(line) ?? [];
    env[name] = value;
  }
  const builder = await prepareBuilder(env);
  return {
    env,
    builder,
    start: () => command('start'),
    stop: () => command('stop'),
    crash: () => command('crash'),
    dispose: async () => {
      child.stdin.end();
      await closed;
      await builder.dispose();
    },
  };
}
