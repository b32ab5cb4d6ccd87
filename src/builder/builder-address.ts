import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { array, object, string } from '../lib/json.js';
import type { Surroundings } from '../lib/surroundings.js';

/** How docker buildx is told what to use. */
export interface BuilderAddress {
  /** The builder's name; undefined: the one that buildx itself would use. */
  readonly name: string | undefined;
  /** A directory in the place of buildx's own configuration; undefined: none. */
  readonly configuration?: string | undefined;
}

type Place = Pick<Surroundings, 'env' | 'home'>;

/**
 * Says how docker buildx is told to use just the node that a builder was found to use.
 *
 * @param asked the name that the builder was asked for by; undefined: none
 * @param place where buildx finds its own configuration
 * @param directory may be made, for a configuration
 */
export async function addressBuilder(
  asked: string | undefined,
  found: { readonly name: string; readonly node: string; readonly nodes: number },
  place: Place,
  directory: string,
): Promise<BuilderAddress> {
  if (found.nodes <= 1) return { name: asked };
  return (await addressNode(found.name, found.node, place, directory)) ?? { name: asked };
}

/**
 * Addresses one node of a builder: buildx has no flag for that, and lists and removes what all nodes have as if
 * they were one. So it is given a configuration in which the builder has just this node. That is a file of
 * JSON for each builder (store/store.go and store/nodegroup.go of buildx 0.36; the same since 0.13).
 *
 * @param node the node's name
 * @param place where buildx finds its own configuration
 * @param directory a new one, for the configuration
 * @returns undefined if the file does not tell of this node, such as of a pod of the kubernetes driver
 */
export async function addressNode(
  builder: string,
  node: string,
  place: Place,
  directory: string,
): Promise<BuilderAddress | undefined> {
  const file = join('instances', builder.toLowerCase());
  try {
    const text = await readFile(join(ownConfiguration(place), file), 'utf8');
    const whole = object(JSON.parse(text), 'builder');
    const isMeant = (each: unknown) => string(object(each, 'node').Name, 'Name') === node;
    const nodes = array(whole.Nodes, 'Nodes').filter(isMeant);
    if (nodes.length !== 1) return undefined;
    await mkdir(join(directory, 'instances'), { recursive: true });
    // It may hold what the user has set for the builder, such as a proxy with its password.
    await writeFile(join(directory, file), JSON.stringify({ ...whole, Nodes: nodes }), {
      mode: 0o600,
    });
    return { name: builder, configuration: directory };
  } catch {
    return undefined;
  }
}

/** util/confutil/config.go of buildx. */
function ownConfiguration({ env, home }: Place): string {
  return env.BUILDX_CONFIG || join(env.DOCKER_CONFIG || join(home, '.docker'), 'buildx');
}
