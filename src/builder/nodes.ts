import { formatPlatform, type Platform, parsePlatform } from '../mounts/platform.js';

/** One of the machines that a builder consists of. */
export interface BuilderNode {
  readonly name: string;
  /** `running`, or one word that says why it is not running; empty if buildx does not tell. */
  readonly status: string;
  /** The platforms that it runs, its own first, such as `linux/amd64`. */
  readonly platforms: readonly string[];
  /** The platforms among them that were given to `docker buildx create`. */
  readonly declared: readonly string[];
  readonly buildkit: string;
  /** The URL of its engine, or the name of the context that has it. */
  readonly endpoint: string;
  /** The reason why it cannot be used. */
  readonly error: string | undefined;
}

/**
 * Finds the node that buildx chooses for a build (build/resolver/driver.go of buildx 0.36; the same
 * since 0.13):
 *
 * - If the build names no platform, the first node.
 * - Otherwise the best node for which exactly this platform was declared.
 * - If there is none, the best node that can run the platform in any way.
 * - If no node can, the first node.
 *
 * @param platform the platform of the build; undefined if the build names none
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

/** Finds the first node that fits, unless a later node fits the wanted platform more exactly. */
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

/** The platforms that a platform can run, itself first (`Only` of containerd's platforms). */
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
