import { print } from '../console/console.js';
import {
  type BaseImage,
  type ImageConfig,
  imageKey,
  type KnownImages,
} from '../dockerfile/base-image.js';
import { withoutTag } from '../dockerfile/image-name.js';
import { messageOf } from '../lib/errors.js';
import { array, object, string } from '../lib/json.js';
import type { Surroundings } from '../lib/surroundings.js';
import { parsePlatform } from '../mounts/platform.js';
import { askDocker, lastLine, namedBuilder } from './buildx.js';

/** For all that one image needs. A registry that is not there may never answer. */
const patience = 20_000;

/**
 * Looks up the configurations of images in their registries: all at once, and with docker's own
 * login. Never fails: a text says why one could not be read.
 *
 * @param builder the name of the builder, if one was given: its settings for registries count
 */
export async function lookUpImages(
  surroundings: Surroundings,
  builder: string | undefined,
  images: readonly BaseImage[],
  timeout = patience,
): Promise<KnownImages> {
  const platforms = new Map<string, Set<string>>();
  for (const { name, platform } of images) {
    platforms.set(name, (platforms.get(name) ?? new Set()).add(platform));
  }
  const known = new Map<string, ImageConfig | string>();
  const lookUp = async (name: string, wanted: readonly string[]): Promise<void> => {
    const ask = askerFor(surroundings, builder, Date.now() + timeout);
    const read = await readPlatforms(ask, name, wanted).catch(explain);
    for (const platform of wanted) {
      const config = typeof read === 'string' ? read : read.get(platform);
      known.set(imageKey({ name, platform }), config ?? `it has no platform ${platform}`);
    }
  };
  print(
    `A cache mount needs a variable that the image may set, so it is looked up: ${[...platforms.keys()].join(', ')}`,
  );
  await Promise.all([...platforms].map(([name, wanted]) => lookUp(name, [...wanted])));
  return known;
}

function explain(error: unknown): string {
  return messageOf(error).trim().replace(/\.$/, '');
}

/** Reads what a reference names in a registry, as it stands there. */
type Ask = (reference: string, format?: string) => Promise<Record<string, unknown>>;

/**
 * `docker buildx imagetools inspect --raw` gives whatever a digest names: an index, a manifest, or a
 * configuration. Without `--raw`, it would fetch the manifests of all platforms, each of which counts
 * as a pull where pulls are limited; and what it shows of a configuration lacks ONBUILD.
 */
function askerFor(surroundings: Surroundings, builder: string | undefined, end: number): Ask {
  return async (reference, format) => {
    const how = format === undefined ? '--raw' : `--format=${format}`;
    const args = ['buildx', 'imagetools', 'inspect', ...namedBuilder(builder), how, reference];
    const asked = await askDocker(surroundings, args, Math.max(1, end - Date.now()));
    if (asked.exitCode !== 0) throw new Error(lastLine(asked));
    return object(JSON.parse(asked.stdout), reference);
  };
}

async function readPlatforms(
  ask: Ask,
  name: string,
  wanted: readonly string[],
): Promise<Map<string, ImageConfig | undefined>> {
  const top = await ask(name);
  const { manifests } = top;
  if (manifests === undefined) {
    const config = await readConfig(ask, name, top);
    return new Map(wanted.map((platform) => [platform, config]));
  }
  const listed = array(manifests, 'manifests');
  const configs = wanted.map(async (platform): Promise<[string, ImageConfig | undefined]> => {
    const digest = chooseManifest(listed, platform);
    if (digest === undefined) return [platform, undefined];
    const reference = withDigest(name, digest);
    return [platform, await readConfig(ask, reference, await ask(reference))];
  });
  return new Map(await Promise.all(configs));
}

async function readConfig(
  ask: Ask,
  reference: string,
  manifest: Record<string, unknown>,
): Promise<ImageConfig> {
  const digest = string(object(manifest.config, 'config').digest, 'digest');
  // A registry need not give a configuration by this way.
  const image = await ask(withDigest(reference, digest)).catch(() =>
    ask(reference, '{{json .Image}}'),
  );
  return parseConfig(image);
}

/** @throws Error on anything that is no configuration of an image */
export function parseConfig(image: Record<string, unknown>): ImageConfig {
  const { Env, OnBuild } = object(image.config ?? {}, 'config');
  const texts = (value: unknown, name: string) =>
    (value === undefined || value === null ? [] : array(value, name)).map(String);
  const pairs = texts(Env, 'Env').map((each): [string, string] => {
    const [name = '', ...value] = each.split('=');
    return [name, value.join('=')];
  });
  return { env: new Map(pairs), onBuild: texts(OnBuild, 'OnBuild') };
}

/** The same repository at another digest. */
function withDigest(reference: string, digest: string): string {
  return `${withoutTag(reference)}@${digest}`;
}

/**
 * The digest of the manifest for a platform: of just that one, or else of the nearest of the same
 * architecture that it also runs, as BuildKit chooses.
 */
export function chooseManifest(
  manifests: readonly unknown[],
  platform: string,
): string | undefined {
  const wanted = parsePlatform(platform);
  const suited = manifests.flatMap((each) => {
    const { platform: own, digest } = object(each, 'manifests[]');
    if (own === undefined) return [];
    const { os, architecture, variant = '' } = object(own, 'platform');
    const parsed = parsePlatform([os, architecture, variant].filter(Boolean).join('/'));
    const isSuited =
      parsed.os === wanted.os &&
      parsed.architecture === wanted.architecture &&
      parsed.variant <= wanted.variant;
    return isSuited ? [{ variant: parsed.variant, digest: string(digest, 'digest') }] : [];
  });
  const [best] = suited.sort((a, b) => (a.variant < b.variant ? 1 : -1));
  return best?.digest;
}
