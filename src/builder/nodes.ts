import { formatPlatform, type Platform, parsePlatform } from '../mounts/platform.js';

/** One of the machines that a builder consists of. */
export interface BuilderNode {
  readonly name: string;
  /** `running`; or else why not, in a word. Empty if it is not told. */
  readonly status: string;
  /** What it runs, its own platform first, such as `linux/amd64`. */
  readonly platforms: readonly string[];
  /** Those of them that were given to `docker buildx create`. */
  readonly declared: readonly string[];
  readonly buildkit: string;
  /** Why it cannot be used. */
  readonly error: string | undefined;
}

/**
 * Finds the node that buildx gives a build to (build/resolver/driver.go of buildx 0.36; the same since 0.13):
 *
 * - without a platform, the first;
 * - the best of those for which just this platform was declared;
 * - or else the best of those that can run it in any way, and the first if none can.
 *
 * @param platform the one that is built for; undefined if the build names none
 */
export function pickNode(
  nodes: readonly BuilderNode[],
  platform: string | undefined,
): BuilderNode | undefined {
  if (platform === undefined) return nodes[0];
  const wanted = formatPlatform(parsePlatform(platform));
  return (
    findBest(nodes, wanted, ({ declared }) => declared, withoutSubstitutes) ??
    findBest(nodes, wanted, ({ platforms }) => platforms, withSubstitutes) ??
    nodes[0]
  );
}

/** The first node, but for later ones that have what is wanted more exactly. */
function findBest(
  nodes: readonly BuilderNode[],
  wanted: string,
  platformsOf: (node: BuilderNode) => readonly string[],
  vectorOf: (platform: Platform) => string[],
): BuilderNode | undefined {
  let best: { readonly node: BuilderNode; readonly platform: string } | undefined;
  for (const node of nodes) {
    for (const each of platformsOf(node).map(parsePlatform)) {
      const vector = vectorOf(each);
      const rank = vector.indexOf(wanted);
      if (rank < 0) continue;
      const bestRank = best === undefined ? -1 : vector.indexOf(best.platform);
      if (best === undefined || bestRank < 0 || rank < bestRank) {
        best = { node, platform: formatPlatform(each) };
      }
    }
  }
  return best?.node;
}

function withoutSubstitutes(platform: Platform): string[] {
  return [formatPlatform(platform)];
}

/** What a platform runs, itself first: `Only` of containerd's package platforms. */
function withSubstitutes(platform: Platform): string[] {
  const { os, architecture, variant } = platform;
  const version = Number(variant.replace(/^v/, '') || (architecture === 'arm64' ? 8 : 1));
  const lower = (name: string, from: number, to: number) =>
    Array.from({ length: Math.max(0, from - to + 1) }, (_, index) =>
      formatPlatform(parsePlatform(`${os}/${name}/v${from - index}`)),
    );
  const others = {
    amd64: () => [...lower('amd64', version - 1, 1), `${os}/386`],
    arm: () => lower('arm', version - 1, 5),
    arm64: () => [...lower('arm64', version - 1, 8), ...lower('arm', 8, 5)],
  };
  const isKnown = (name: string): name is keyof typeof others => Object.hasOwn(others, name);
  return [formatPlatform(platform), ...(isKnown(architecture) ? others[architecture]() : [])];
}
