import { repositoryOf } from '../dockerfile/base-image.js';
import type { DeclaredMount, Discovery } from '../dockerfile/declared-mounts.js';
import { identityOf } from '../mounts/cache-mount.js';
import type { Gap, LeftOutMount, MountOfGap } from '../mounts/gap.js';

/** What depends on variables that only base images set. */
export interface Gaps {
  /** The mounts that are not found, as an image could not be looked up. */
  readonly leftOut: readonly LeftOutMount[];
  /** The mounts that are found, as the images were looked up. */
  readonly ofGaps: readonly MountOfGap[];
  /** All gaps of the Dockerfiles, whether the images were looked up or not. */
  readonly gaps: readonly Gap[];
}

export const noGaps: Gaps = { leftOut: [], ofGaps: [], gaps: [] };

/** A Dockerfile, as it is read without any base image, and with those that were looked up. */
export interface ReadTwice {
  readonly plain: Discovery;
  readonly full: Discovery;
}

export function findGaps(discoveries: readonly ReadTwice[]): Gaps {
  const leftOut = new Map<string, LeftOutMount>();
  const ofGaps = new Map<string, MountOfGap>();
  const gaps = new Map<string, Gap>();
  for (const { plain, full } of discoveries) {
    for (const { leftOut: each } of plain.declared.values()) {
      if (each) gaps.set(JSON.stringify(each.gap), each.gap);
    }
    for (const [place, declared] of full.declared) {
      const { mount, leftOut: each } = declared;
      if (each) leftOut.set(JSON.stringify(each), each);
      const gap = gapOf(declared, plain.declared.get(place));
      if (mount && gap) ofGaps.set(JSON.stringify([identityOf(mount), gap]), { mount, gap });
    }
  }
  return {
    leftOut: [...leftOut.values()],
    ofGaps: [...ofGaps.values()],
    gaps: [...gaps.values()],
  };
}

function gapOf(
  { mount, onBuildOf }: DeclaredMount,
  plain: DeclaredMount | undefined,
): Gap | undefined {
  if (mount === undefined || onBuildOf === undefined) return plain?.leftOut?.gap;
  return { image: repositoryOf(onBuildOf), id: mount.id, onBuild: true };
}
