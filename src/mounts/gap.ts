import { type CacheMount, identityOf } from './cache-mount.js';

/**
 * A place in a Dockerfile that declares a cache mount, of which only the base image tells the id. It
 * stays the same whether the image can be looked up or not, so that the mount of one run is found
 * again in the next.
 */
export interface Gap {
  /** The image without tag and digest. */
  readonly image: string;
  /** The id as far as it is known, such as `$GOPATH/pkg/mod`. */
  readonly id: string;
  /** The image itself declares the mount, by ONBUILD; nothing in the Dockerfile shows it. */
  readonly onBuild?: true;
}

/** A mount, and the gap that it was found for. */
export interface MountOfGap {
  readonly mount: CacheMount;
  readonly gap: Gap;
}

/** A mount that is left out because its id is not known. */
export interface LeftOutMount {
  readonly gap: Gap;
  /** The mount but for its id, in the place of which the gap's stands. */
  readonly template: CacheMount;
  /** The RUN's command, as a record of the builder may name it. */
  readonly command: string;
  /** What to tell the user. */
  readonly message: string;
}

export function isSameGap(one: Gap, other: Gap): boolean {
  return one.image === other.image && one.id === other.id && one.onBuild === other.onBuild;
}

/** Whether a mount can be the one that was left out: it differs in the unknown part of the id alone. */
export function fitsTemplate(mount: CacheMount, { gap, template }: LeftOutMount): boolean {
  const { id, stage } = template;
  // Without the image, the stage is not known either, and it would have to be built.
  if (stage !== undefined) return false;
  return identityOf({ ...mount, id }) === identityOf(template) && fitsPattern(mount.id, gap.id);
}

/** Whether the variables in a pattern can have values that make it this id. */
function fitsPattern(id: string, pattern: string): boolean {
  let from = 0;
  const parts = splitAtVariables(pattern);
  const last = parts.pop() ?? '';
  if (parts.length === 0) return id === last;
  for (const [index, part] of parts.entries()) {
    const at = id.indexOf(part, from);
    if (at < 0 || (index === 0 && at > 0)) return false;
    from = at + part.length;
  }
  return id.length - last.length >= from && id.endsWith(last);
}

/** The texts between the variables, of which one can hold others: `${A:-${B}}`. */
export function splitAtVariables(pattern: string): string[] {
  const parts = [''];
  let depth = 0;
  for (const [token] of pattern.matchAll(/\$\{|\$[\p{L}\p{Nd}_]+|[\s\S]/gu)) {
    const isVariable = token.length > 1 && token.startsWith('$');
    if (depth === 0 && isVariable) parts.push('');
    else if (depth === 0) parts.push(parts.pop() + token);
    if (token === '${') depth++;
    if (token === '}' && depth > 0) depth--;
  }
  return parts;
}
