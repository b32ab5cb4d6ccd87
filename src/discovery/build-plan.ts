/** The text of a Dockerfile, and where it is from. */
export type DockerfileText =
  | { readonly path: string; readonly text: string }
  | { readonly path: string; readonly text: undefined; readonly trouble: string }
  /** It stands in a bake file. */
  | { readonly path: undefined; readonly text: string };

/** One build of one target, with all that decides which mounts it has. */
export interface Build {
  /** The Dockerfile, for messages. */
  readonly file: string;
  readonly dockerfile: DockerfileText;
  /** Path of the build context. */
  readonly context: string;
  /** The stage; undefined: the last one. */
  readonly target: string | undefined;
  readonly buildArgs: ReadonlyMap<string, string>;
  /** At least one. */
  readonly platforms: readonly string[];
  /** Named contexts: a path, an address, or `target:` and the bake target of another of the builds. */
  readonly contexts: ReadonlyMap<string, string>;
  /** The name of the target in a bake definition. */
  readonly bakeTarget: string | undefined;
  /** A bake or Compose file beside it, which may be what is built. */
  readonly rival?: string | undefined;
}

/** The same builds with a mark for the value of each variable that has none. */
export interface MissingVariables {
  readonly nameOfMark: ReadonlyMap<string, string>;
  readonly builds: readonly Build[];
}

/** The builds that are meant, and what is to be said of them. */
export interface BuildPlan {
  readonly workspace: string;
  readonly builds: readonly Build[];
  /** Those that were given for all of them, or for the first; undefined: the runner's own. */
  readonly platforms: readonly string[] | undefined;
  /** Undefined: no bake definition is meant. */
  readonly bake: BakeSources | undefined;
  readonly notices: readonly string[];
  readonly warnings: readonly string[];
  /** What may be the matter if the mounts do not fit. */
  readonly hint: string | undefined;
  /** Undefined if all variables have a value. */
  readonly missing: MissingVariables | undefined;
}

/** What a bake definition is read from; paths are absolute. */
export interface BakeSources {
  /** The directory that bake runs in. */
  readonly directory: string;
  /** The bake and Compose files below the workspace. */
  readonly definitions: readonly string[];
  readonly dockerfiles: readonly string[];
  /** Dockerfiles that stand in a bake file. */
  readonly texts: readonly string[];
  /** The build contexts. */
  readonly contexts: readonly string[];
  /** Those that the targets are built for. */
  readonly platforms: readonly string[];
}
