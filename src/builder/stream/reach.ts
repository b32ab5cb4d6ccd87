import type { Surroundings } from '../../lib/surroundings.js';
import type { CacheMount } from '../../mounts/cache-mount.js';
import type { Builder } from '../buildx.js';

/**
 * Decides whether the RUNs of a builder are likely to be on this machine. Only then it pays to listen
 * for them.
 *
 * With the driver docker, buildx talks to the engine itself, which is quick, and a network of its own
 * for each RUN takes time. So there the archives go through buildx. (docs/performance.md has numbers.)
 *
 * @param dockerHost the variable DOCKER_HOST
 * @returns the reason why they are not; undefined if they are
 */
export function whyNotStraight(
  { driver, endpoint }: Pick<Builder, 'driver' | 'endpoint'>,
  dockerHost: string | undefined,
): string | undefined {
  if (driver !== 'docker-container') return `the driver of the builder is ${driver || 'unknown'}`;
  // The endpoint is a URL, or the name of a context. DOCKER_HOST gives the engine of the default one.
  const engine = endpoint === 'default' ? dockerHost || 'unix://' : endpoint;
  if (!engine.startsWith('unix://')) return `its engine may be on another machine (${engine})`;
  return undefined;
}

/**
 * The reason why nothing goes straight to or from this builder, as far as it is known before the
 * build.
 */
export function whyNotWith(
  { stream, surroundings }: { readonly stream: boolean; readonly surroundings: Surroundings },
  builder: Builder,
): string | undefined {
  return stream
    ? whyNotStraight(builder, surroundings.env.DOCKER_HOST)
    : 'the input stream is false';
}

/**
 * The reason why no archive of these mounts may go straight; undefined if there is none. A stage of
 * the user's Dockerfile has RUNs of its own, and an image may add some (ONBUILD). They would have a
 * network too, and the keys.
 */
export function whyNotThese(
  mounts: readonly { readonly mount: CacheMount }[],
  seedStages: object | undefined,
): string | undefined {
  if (seedStages !== undefined) return 'a mount starts from a stage';
  return mounts.some(({ mount }) => mount.from !== undefined)
    ? 'a mount starts from an image'
    : undefined;
}
