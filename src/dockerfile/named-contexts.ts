import type { BaseImage, UnknownImage } from './base-image.js';
import { familiarName } from './image-name.js';
import type { Instruction } from './parser.js';

/** A variable of a stage. */
export interface Variable {
  /** Undefined if it cannot be known. */
  readonly value: string | undefined;
  readonly doubt?: Doubt | undefined;
  /** If the value is not known: what is known of it, such as `$GOPATH/pkg`. */
  readonly pattern?: string | undefined;
}

/** Why a value is not known, or may not be what the build has. */
export interface Doubt {
  readonly message: string;
  /** The image that may set the variable, if it can be looked up. */
  readonly lookUp?: BaseImage | undefined;
}

/** What another build has made, as far as a Dockerfile that starts from it can tell. */
export interface BuildResult {
  /** What its ENVs have set. */
  readonly env: ReadonlyMap<string, Variable>;
  /** The image whose own variables are not known here. */
  readonly image: UnknownImage | undefined;
  /** Of its last stage: it may hold an ONBUILD. */
  readonly instructions: readonly Instruction[];
}

/** A named build context, such as docker/build-push-action's `build-contexts` gives. */
export type NamedContext =
  | { readonly kind: 'directory' }
  | { readonly kind: 'image'; readonly image: string }
  /** Another target of the same bake definition, with its result for each of its platforms. */
  | {
      readonly kind: 'build';
      readonly name: string;
      readonly results: ReadonlyMap<string, BuildResult>;
    };

/** The same for one platform. */
export type ResolvedContext =
  | Exclude<NamedContext, { kind: 'build' }>
  | ({ readonly kind: 'build'; readonly name: string } & BuildResult);

export type NamedContexts = ReadonlyMap<string, ResolvedContext>;

/** What the contexts are for one of the platforms that are built for. */
export function resolveContexts(
  contexts: ReadonlyMap<string, NamedContext>,
  platform: string,
): NamedContexts {
  return new Map([...contexts].map(([name, context]) => [name, resolveContext(context, platform)]));
}

function resolveContext(context: NamedContext, platform: string): ResolvedContext {
  if (context.kind !== 'build') return context;
  const { kind, name, results } = context;
  // A build that names no platforms is the same for all.
  const result = results.get(platform) ?? [...results.values()][0];
  const { env = new Map(), image = undefined, instructions = [] } = result ?? {};
  return { kind, name, env, image, instructions };
}

/** Finds what a name means, as BuildKit does (Client.NamedContext in its dockerui). */
export function findContext(contexts: NamedContexts, name: string): ResolvedContext | undefined {
  return contexts.get(familiarName(name) ?? name);
}
