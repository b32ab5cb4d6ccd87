import type { Builder } from '../buildx.js';

/** Those whose BuildKit is most often on this machine. */
const localDrivers = ['docker', 'docker-container'];

/**
 * Whether the RUNs of a builder are likely to be on this machine, so that it pays to listen for them.
 *
 * @param dockerHost the variable DOCKER_HOST
 * @returns why it does not
 */
export function whyNotStraight(
  { driver, nodes, endpoint }: Pick<Builder, 'driver' | 'nodes' | 'endpoint'>,
  dockerHost: string | undefined,
): string | undefined {
  if (!localDrivers.includes(driver)) return `the driver of the builder is ${driver || 'unknown'}`;
  if (nodes > 1) return 'the builder has several machines';
  // It is a URL, or the name of a context; that of the default one is given by DOCKER_HOST.
  const engine = endpoint === 'default' ? dockerHost || 'unix://' : endpoint;
  if (!engine.startsWith('unix://')) return `its engine may be on another machine (${engine})`;
  return undefined;
}
