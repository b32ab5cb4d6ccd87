/** A stage, with what tells it from others of its name. */
export interface StageReference {
  readonly name: string;
  /** Of the text of all that it is built from. */
  readonly digest: string;
}

/** Owner and permissions that a mount is created with. */
export interface Ownership {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/**
 * A cache mount by what BuildKit tells it from others by: its cache id and the directory that it
 * starts from. Two mounts that differ in any field are two directories on the builder; target,
 * sharing and ro are no part of it (`dispatchRunMounts` in BuildKit's Dockerfile frontend).
 */
export interface CacheMount {
  readonly id: string;
  /** The build argument BUILDKIT_CACHE_MOUNT_NS; absent: none. */
  readonly namespace?: string;
  /** The image whose directory the mount starts from; absent: an empty one, or a stage's. */
  readonly from?: string;
  /** The stage of a Dockerfile whose directory the mount starts from. */
  readonly stage?: StageReference;
  /** Directory in the image or stage, absolute and cleaned; absent: its root. */
  readonly source?: string;
  /**
   * Present as soon as one of uid, gid and mode is given, the others then being 0, 0 and 0755; even
   * where all have these values, the mount is another than one without them. Absent beside
   * `source`, where BuildKit ignores all three.
   */
  readonly ownership?: Ownership;
}

/** A string that is equal for two mounts just when BuildKit holds them for one. */
export function identityOf(mount: CacheMount): string {
  const { id, namespace = null, from = null, source = null } = mount;
  const stage = mount.stage ? valuesOfStage(mount.stage) : null;
  const ownership = mount.ownership ? valuesOfOwnership(mount.ownership) : null;
  // All fields count, in this order: the builder keeps snapshots by a digest of it (scratch-dockerfile.ts).
  const fields = { id, namespace, from, stage, source, ownership };
  return JSON.stringify(Object.values(fields satisfies Record<keyof CacheMount, unknown>));
}

function valuesOfStage({ name, digest }: StageReference): unknown[] {
  return Object.values({ name, digest } satisfies Record<keyof StageReference, unknown>);
}

function valuesOfOwnership({ uid, gid, mode }: Ownership): unknown[] {
  return Object.values({ uid, gid, mode } satisfies Record<keyof Ownership, unknown>);
}

/** A mount as a person would name it: the id, and the options that make it another mount. */
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
