import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { array, object, string } from '../lib/json.js';
import type { Surroundings } from '../lib/surroundings.js';

/** Tells docker buildx which builder to use. */
export interface BuilderAddress {
  /** The builder's name; undefined: the builder that buildx itself would use. */
  readonly name: string | undefined;
  /** A directory that buildx uses instead of its own configuration; undefined: none. */
  readonly configuration?: string | undefined;
}

type Place = Pick<Surroundings, 'env' | 'home'>;

/**
 * Makes docker buildx use only the node that was chosen.
 *
 * @param asked the name of the builder as the user gave it; undefined: none
 * @param found the builder, the node that was chosen, and the number of its nodes
 * @param place tells where buildx finds its own configuration
 * @param directory for a configuration; it is made only if one is needed
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
 * Addresses one node of a builder. Buildx has no flag for that: it lists and removes the build
 * cache of all nodes as if they were one. So it gets a configuration in which the builder has only
 * this node. A configuration has one JSON file for each builder (store/store.go and
 * store/nodegroup.go of buildx 0.36; the same since 0.13).
 *
 * @param node the node's name
 * @param place tells where buildx finds its own configuration
 * @param directory a new one, for the configuration
 * @returns undefined if the file does not name this node, such as a pod of the kubernetes driver
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
    // The file may hold secrets that the user has set for the builder, such as a proxy's password.
    await writeFile(join(directory, file), JSON.stringify({ ...whole, Nodes: nodes }), {
      mode: 0o600,
    });
    return { name: builder, configuration: directory };
  } catch {
    return undefined;
  }
}

/** The variables with which buildx uses the address. */
export function variablesFor({ configuration }: BuilderAddress): Record<string, string> {
  return configuration === undefined ? {} : { BUILDX_CONFIG: configuration };
}

/**
 * Reads which builder buildx uses if none is named. Its files tell that, so that no program has to run
 * (store/store.go and builder/builder.go of buildx).
 *
 * @returns undefined if that is the own builder of the default engine, or if the files do not tell
 */
export async function readCurrentBuilder(place: Place): Promise<string | undefined> {
  const { BUILDX_BUILDER, DOCKER_HOST } = place.env;
  if (BUILDX_BUILDER) return BUILDX_BUILDER;
  const own = ownConfiguration(place);
  const context = await readCurrentContext(place);
  const endpoint = context ?? (DOCKER_HOST || 'unix:///var/run/docker.sock');
  const { Key, Name, Global } = (await readJson(join(own, 'current'))) ?? {};
  // What was chosen for another engine does not count.
  const isChosen = Global === true || Key === endpoint;
  if (typeof Name === 'string' && Name !== '' && isChosen) return Name;
  const defaults = await readdir(join(own, 'defaults')).catch(() => []);
  // An engine's own builder has the name of its context.
  return defaults.length === 0 ? context : undefined;
}

/** The name of docker's context; undefined: the default one. */
async function readCurrentContext(place: Place): Promise<string | undefined> {
  const { DOCKER_HOST, DOCKER_CONTEXT } = place.env;
  if (DOCKER_HOST) return undefined;
  const file = join(dockerConfiguration(place), 'config.json');
  const context = DOCKER_CONTEXT || (await readJson(file))?.currentContext;
  return typeof context === 'string' && context !== '' && context !== 'default'
    ? context
    : undefined;
}

async function readJson(file: string): Promise<Record<string, unknown> | undefined> {
  try {
    return object(JSON.parse(await readFile(file, 'utf8')), file);
  } catch {
    return undefined;
  }
}

/** Finds the directory in the same way as buildx (its util/confutil/config.go). */
export function ownConfiguration(place: Place): string {
  return place.env.BUILDX_CONFIG || join(dockerConfiguration(place), 'buildx');
}

function dockerConfiguration({ env, home }: Place): string {
  return env.DOCKER_CONFIG || join(home, '.docker');
}
