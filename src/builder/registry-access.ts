import { print } from '../console/console.js';
import type { RegistryAccess, RegistryAnswer } from '../entry/stores/registry.js';
import type { RegistryTrouble } from '../entry/stores/store.js';
import { runProgram } from '../lib/child-process.js';
import type { Surroundings } from '../lib/surroundings.js';
import { askDocker, type Builder, lastLine, namedBuilder } from './buildx.js';

/** A registry that is not there may never answer. */
const patience = 30_000;

/**
 * Reads and writes what references name, with docker's own login: `docker buildx imagetools` talks to
 * the registry from this machine.
 *
 * @param builder the name of the builder, if one was given: its settings for registries count
 */
export function accessRegistries(
  surroundings: Surroundings,
  builder: string | undefined,
): RegistryAccess {
  const tools = (command: string) => ['buildx', 'imagetools', command, ...namedBuilder(builder)];
  return {
    read: async (reference) => {
      const args = [...tools('inspect'), '--raw', reference];
      const asked = await askDocker(surroundings, args, patience);
      if (asked.exitCode === 0) return { kind: 'found', text: asked.stdout };
      return explain(lastLine(asked));
    },
    writeIndex: async (reference, annotations, images) => {
      const notes = Object.entries(annotations).map(
        ([name, value]) => `--annotation=index:${name}=${value}`,
      );
      const args = [...tools('create'), '--progress=plain', `--tag=${reference}`, ...notes];
      // It may have to copy images from another repository, which takes as long as it takes.
      const written = await runProgram(surroundings, 'docker', [...args, ...images]);
      print(written.stderr.trim());
      if (written.exitCode === 0) return undefined;
      return explainWriting(lastLine(written));
    },
  };
}

/** @param why what docker has said last */
export function explain(why: string): RegistryAnswer {
  return /: not found$/.test(why) ? { kind: 'missing' } : explainTrouble(why);
}

/** What registries, and docker's resolver of containerd, say if they do not let one in. */
const denials =
  /\b(?:401|403)\b|unauthorized|forbidden|denied|no basic auth|insufficient_scope|authorization failed|failed to authorize/i;

/** @param why what docker, or BuildKit, has said last */
export function explainTrouble(why: string): RegistryTrouble {
  return { kind: denials.test(why) ? 'denied' : 'failed', why: why.trim().replace(/\.$/, '') };
}

function explainWriting(why: string): RegistryTrouble {
  return /unknown flag: --annotation/.test(why)
    ? { kind: 'failed', why: 'buildx 0.12 or later is needed for that' }
    : explainTrouble(why);
}

/**
 * Why a builder cannot push images of what it has built; undefined if it can. Of the engine's own
 * builders, only those with the containerd image store can.
 */
export async function whyNotPushing(
  surroundings: Surroundings,
  { name, driver, endpoint }: Builder,
): Promise<string | undefined> {
  if (driver !== 'docker') return undefined;
  const args = [`--context=${endpoint || 'default'}`, 'info', '--format={{json .DriverStatus}}'];
  const { exitCode, stdout } = await askDocker(surroundings, args);
  if (exitCode !== 0 || stdout.includes('io.containerd.snapshotter')) return undefined;
  return `the builder ${name || 'default'} is the engine's own, with the classic image store, which can push no images of archives. Put docker/setup-buildx-action before this step, or turn on the containerd image store of the engine.`;
}
