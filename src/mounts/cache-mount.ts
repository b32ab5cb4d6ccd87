/** A stage of a Dockerfile, with a digest that tells it from others with the same name. */
export interface StageReference {
  readonly name: string;
  /** The digest of the text of everything that the stage is built from. */
  readonly digest: string;
}

/** The owner and the permissions that a mount is created with. */
export interface Ownership {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/**
 * A cache mount, described by its identity: the cache id and the directory that it starts from. If
 * two mounts differ in any field, the builder keeps two directories. The options target, sharing
 * and ro are not part of the identity (`dispatchRunMounts` in BuildKit's Dockerfile frontend).
 */
export interface CacheMount {
  readonly id: string;
  /** The build argument BUILDKIT_CACHE_MOUNT_NS; absent: none. */
  readonly namespace?: string;
  /** The image whose directory the mount starts from; absent: an empty directory, or a stage's. */
  readonly from?: string;
  /** The stage of a Dockerfile whose directory the mount starts from. */
  readonly stage?: StageReference;
  /** The directory in the image or stage, absolute and cleaned; absent: the root. */
  readonly source?: string;
  /**
   * Present if at least one of uid, gid and mode is given. The others are then 0, 0 and 0755. Even
   * if all three have these values, the mount is not the same as a mount without them. Absent if
   * there is a `source`, because BuildKit then ignores all three.
   */
  readonly ownership?: Ownership;
}

/** A string that is equal for two mounts if, and only if, they are one mount for BuildKit. */
export function identityOf(mount: CacheMount): string {
  const { id, namespace = null, from = null, source = null } = mount;
  const stage = mount.stage ? valuesOfStage(mount.stage) : null;
  const ownership = mount.ownership ? valuesOfOwnership(mount.ownership) : null;
  // All fields count, and their order must stay, because the builder keeps the snapshots under a
  // digest of this string (scratch-dockerfile.ts).
  const fields = { id, namespace, from, stage, source, ownership };
  return JSON.stringify(Object.values(fields satisfies Record<keyof CacheMount, unknown>));
}

function valuesOfStage({ name, digest }: StageReference): unknown[] {
  return Object.values({ name, digest } satisfies Record<keyof StageReference, unknown>);
}

function valuesOfOwnership({ uid, gid, mode }: Ownership): unknown[] {
  return Object.values({ uid, gid, mode } satisfies Record<keyof Ownership, unknown>);
}

/** Whether two lists have the same mounts, in whatever order. */
export function areSameMounts(some: readonly CacheMount[], others: readonly CacheMount[]): boolean {
  const listOf = (mounts: readonly CacheMount[]) => mounts.map(identityOf).sort().join();
  return listOf(some) === listOf(others);
}

/** Describes a mount for people: its id, and the options that are part of its identity. */
export function describeMount(mount: CacheMount): string {
  const { namespace, source, ownership } = mount;
  const from = mount.from ?? mount.stage?.name;
  const options = [
    ...(namespace === undefined ? [] : [`namespace=${namespace}`]),
    ...(from === undefined ? [] : [`from=${from}`]),
    ...(source === undefined ? [] : [`source=${source}`]),
    ...(ownership ? renderOwnership(ownership) : []),
  ];
  return options.length > 0 ? `${mount.id} (${options.join(',')})` : mount.id;
}

/** The options of a `--mount` flag that stand for the ownership. */
export function renderOwnership({ uid, gid, mode }: Ownership): string[] {
  return [`uid=${uid}`, `gid=${gid}`, `mode=0${mode.toString(8)}`];
}
