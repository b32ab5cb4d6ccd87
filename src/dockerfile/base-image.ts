/*
 * What the configuration of an image decides in a build that starts from it; mirrors
 * frontend/dockerfile/dockerfile2llb/convert.go of BuildKit v0.32.2 (toDispatchState).
 */
import { familiarName, withoutTag } from './image-name.js';

/** An image that a stage starts from, for one platform. */
export interface BaseImage {
  /** As it is written in the Dockerfile, with the arguments in it expanded. */
  readonly name: string;
  readonly platform: string;
}

/** The part of an image's configuration that decides about cache mounts. */
export interface ImageConfig {
  readonly env: ReadonlyMap<string, string>;
  /** Instructions for the stage that starts from the image. */
  readonly onBuild: readonly string[];
}

/**
 * The configurations that were looked up, by imageKey; a text says why one could not be read. An
 * image that is not here was not looked up.
 */
export type KnownImages = ReadonlyMap<string, ImageConfig | string>;

export function imageKey({ name, platform }: BaseImage): string {
  return JSON.stringify([name, platform]);
}

/** An image whose own variables are not known. */
export interface UnknownImage {
  /** For messages. */
  readonly name: string;
  /** What to look up; undefined: it cannot be looked up, or that was tried. */
  readonly lookUp?: BaseImage | undefined;
  /** Why it could not be looked up. */
  readonly trouble?: string | undefined;
}

/** Only what is in a registry can be looked up. */
export function unknownImage(image: BaseImage, trouble?: string): UnknownImage {
  const { name } = image;
  const isInRegistry = familiarName(name) !== undefined;
  return { name, trouble, lookUp: isInRegistry && trouble === undefined ? image : undefined };
}

/** Why the image's variables are not known, behind "that" or "which". */
export function explainUnknown({ trouble }: UnknownImage): string {
  return trouble === undefined ? 'is not looked into' : `cannot be looked up (${trouble})`;
}

/** The name without tag and digest, which stays the same when the image is renewed. */
export function repositoryOf(name: string): string {
  return withoutTag(familiarName(name) ?? name);
}

/** The variables that a stage begins with. BuildKit sees to it that PATH is set. */
export function variablesOf({ env }: ImageConfig): Map<string, string> {
  return new Map([['PATH', defaultPath], ...env]);
}

/** BuildKit's own PATH. */
export const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
