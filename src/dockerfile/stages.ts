/*
 * Mirrors frontend/dockerfile/dockerfile2llb/convert.go of BuildKit v0.32.2: which stages there are and
 * which of them a target needs; and parseFrom in frontend/dockerfile/instructions/parse.go.
 */
import { posix } from 'node:path';
import { parseCsvRecord } from './csv.js';
import { familiarName } from './image-name.js';
import { cut } from './mount-options.js';
import { findContext, type NamedContexts, type ResolvedContext } from './named-contexts.js';
import { type Dockerfile, type Instruction, parseInstruction } from './parser.js';

/** A stage of a Dockerfile. */
export interface Stage {
  /** In lower case, as BuildKit compares them. */
  readonly name: string | undefined;
  readonly from: Instruction;
  /** The stage that this one starts from; undefined: an image. */
  readonly parent: Stage | undefined;
  /** What it starts from, if that is no stage. */
  readonly image: string;
  /** As its FROM gives it; undefined: the one that is built for. */
  readonly platform: string | undefined;
  readonly instructions: readonly Instruction[];
  /** The named build context that this stage is; its own instructions are then not run. */
  readonly context?: ResolvedContext | undefined;
  /** What the image that it starts from has for it in ONBUILD, if that is known. */
  readonly onBuild?: readonly string[];
}

/** Tells an image's ONBUILD, if it is known; the platform is as in a stage. */
export type FindOnBuild = (image: string, platform: string | undefined) => readonly string[];

/** Stages as text: what stands before the first of them in their Dockerfile, and they themselves. */
export interface StageText {
  readonly head: string;
  readonly stages: string;
}

/** Stages of the user's Dockerfile that mounts start from, with all that a build of them needs. */
export interface SeedStages extends StageText {
  /** Path of the build context. */
  readonly context: string;
  readonly buildArgs: Readonly<Record<string, string>>;
  /** The content of the Dockerfile's own ignore file; empty if there is none. */
  readonly ignore: string;
  /** Named build contexts: a path or an address by name. */
  readonly namedContexts: Readonly<Record<string, string>>;
}

/**
 * @param expand expands a FROM's words with the global arguments
 * @param contexts a named build context takes the place of the stage of its name, and of the image
 *   (buildDispatchStates and resolveBaseImage)
 */
export function readStages(
  instructions: readonly Instruction[],
  expand: (word: string, line: number) => string,
  contexts: NamedContexts = new Map(),
  findOnBuild: FindOnBuild = () => [],
): Stage[] {
  const stages: (Stage & { instructions: Instruction[] })[] = [];
  for (const instruction of instructions) {
    if (instruction.keyword !== 'FROM') {
      stages.at(-1)?.instructions.push(instruction);
      continue;
    }
    const { base, name } = splitFrom(instruction.text);
    const image = expand(base, instruction.line);
    const [flag] = valuesOf('platform', instruction.flags);
    const platform = flag === undefined ? undefined : expand(flag, instruction.line);
    const stage = { name, from: instruction, parent: undefined, image, platform, instructions: [] };
    const replacement = name === undefined ? undefined : findContext(contexts, name);
    if (replacement !== undefined) {
      stages.push({ ...stage, context: replacement });
      continue;
    }
    const context = image === 'scratch' ? undefined : findContext(contexts, image);
    const named = context && { ...stage, name: undefined, context };
    const parent = findStage(stages, image) ?? named;
    const isOfImage = parent === undefined || (parent === named && context?.kind === 'image');
    const baseImage = context?.kind === 'image' ? context.image : image;
    const onBuild = isOfImage ? findOnBuild(baseImage, platform) : [];
    stages.push({ ...stage, parent, instructions: [], onBuild });
  }
  return stages;
}

function splitFrom(text: string): { base: string; name: string | undefined } {
  const [base = '', as = '', name = ''] = text.split(/[\t\v\f\r ]+/);
  // BuildKit takes no other; and it stands as it is in our own Dockerfile.
  const isValid = as.toLowerCase() === 'as' && /^[a-z][a-z0-9_.-]*$/i.test(name);
  return { base, name: isValid ? name.toLowerCase() : undefined };
}

/** The names of a Dockerfile's stages. */
export function stageNames({ instructions }: Dockerfile): string[] {
  return instructions.flatMap(({ keyword, text }) =>
    keyword === 'FROM' ? (splitFrom(text).name ?? []) : [],
  );
}

/** The name of the last stage, which is the default target. */
export function lastStageName(instructions: readonly Instruction[]): string | undefined {
  const last = instructions.filter(({ keyword }) => keyword === 'FROM').at(-1);
  return last && splitFrom(last.text).name;
}

/** Of several stages of one name the last counts. */
export function findStage(stages: readonly Stage[], name: string): Stage | undefined {
  const wanted = name.toLowerCase();
  return stages.findLast((stage) => stage.name === wanted);
}

/** The stages that a stage needs, itself too, in the order of the file: parents come first. */
export function neededStages(stages: readonly Stage[], goal: Stage | undefined): Stage[] {
  const needed = new Set<Stage>();
  const queue = goal ? [goal] : [];
  for (let stage = queue.pop(); stage; stage = queue.pop()) {
    if (needed.has(stage)) continue;
    needed.add(stage);
    const sources = allInstructions(stage).flatMap((instruction) => {
      const find = instruction.keyword === 'COPY' ? findSource : findStage;
      return sourcesOf(instruction).map((name) => find(stages, name));
    });
    queue.push(...[stage.parent, ...sources].filter((each) => each !== undefined));
  }
  return stages.filter((stage) => needed.has(stage));
}

/** What a COPY's `from` means: as findStage, or by its place in the file. */
function findSource(stages: readonly Stage[], name: string): Stage | undefined {
  return findStage(stages, name) ?? (/^\d+$/.test(name) ? stages[Number(name)] : undefined);
}

/** A stage's own instructions, behind those that its image or parent stage has for it in ONBUILD. */
export function allInstructions(stage: Stage): Instruction[] {
  const { parent, instructions, context } = stage;
  if (context !== undefined) return [];
  const inherited =
    parent?.context?.kind === 'build' ? parent.context.instructions : parent?.instructions;
  const triggers = (inherited ?? []).flatMap(({ keyword, text, flags, line }) => {
    if (keyword !== 'ONBUILD' || flags.length > 0) return [];
    return parseInstruction(text, line);
  });
  return [...imageInstructions(stage), ...triggers, ...instructions];
}

/** What the image that a stage starts from has for it in ONBUILD; they come first of all. */
export function imageInstructions({ onBuild = [], from, context }: Stage): Instruction[] {
  return context === undefined ? onBuild.map((text) => parseInstruction(text, from.line)) : [];
}

/** What a mount starts from, other than a stage that has files of its own. */
export type PlainOrigin = { readonly kind: 'nothing' } | { readonly kind: 'image'; image: string };

/**
 * What each stage is if none of its instructions makes a file: the image that it starts from, or nothing.
 *
 * @param stages in the order of the file: parents come first
 * @param isTarget whether a platform is the one that is built for: of another one it is another image
 * @returns without the stages that make files
 */
export function plainOrigins(
  stages: readonly Stage[],
  isTarget: (platform: string) => boolean,
): ReadonlyMap<Stage, PlainOrigin> {
  const origins = new Map<Stage, PlainOrigin>();
  const add = (stage: Stage) => {
    if (allInstructions(stage).some(makesFiles)) return;
    const { parent } = stage;
    // A named build context is a parent that is no stage of the file.
    if (parent?.context !== undefined && !origins.has(parent)) add(parent);
    const origin = parent ? origins.get(parent) : originOfFirst(stage, isTarget);
    if (origin) origins.set(stage, origin);
  };
  for (const stage of stages) add(stage);
  return origins;
}

/** What a stage starts from that has no parent. */
function originOfFirst(
  { context, platform, image: base }: Stage,
  isTarget: (platform: string) => boolean,
): PlainOrigin | undefined {
  if (context !== undefined && context.kind !== 'image') return undefined;
  const image = context?.image ?? base;
  if (image === 'scratch') return { kind: 'nothing' };
  if (platform !== undefined && !isTarget(platform)) return undefined;
  return imageOrigin(image);
}

export function imageOrigin(image: string): PlainOrigin {
  return { kind: 'image', image: familiarName(image) ?? image };
}

function makesFiles({ keyword, text }: Instruction): boolean {
  if (keyword === 'WORKDIR') return posix.normalize(text) !== '/';
  return !['ONBUILD', 'HEALTHCHECK', 'STOPSIGNAL'].includes(keyword) && !metadata.has(keyword);
}

/** The stages or images that an instruction reads from. */
function sourcesOf({ keyword, flags }: Instruction): string[] {
  if (keyword === 'COPY') return valuesOf('from', flags);
  if (keyword !== 'RUN') return [];
  return mountFlags(flags).flatMap((value) => {
    try {
      const fields = parseCsvRecord(value);
      const type = lastValue(fields, 'type')?.toLowerCase() ?? 'bind';
      // The others do not read what they name.
      return ['tmpfs', 'ssh', 'secret'].includes(type) ? [] : (lastValue(fields, 'from') ?? []);
    } catch {
      return []; // named when the stage is walked
    }
  });
}

/** The values of all --mount flags. */
export function mountFlags(flags: readonly string[]): string[] {
  return valuesOf('mount', flags);
}

function valuesOf(name: string, flags: readonly string[]): string[] {
  return flags.flatMap((flag) => (flag.startsWith(`${name}=`) ? flag.slice(name.length + 1) : []));
}

/** The value of an option in the fields of a --mount flag: the last one counts. */
export function lastValue(fields: readonly string[], option: string): string | undefined {
  return fields
    .map(cut)
    .filter(([key]) => key.toLowerCase() === option)
    .at(-1)?.[1];
}

/**
 * The text of the stages of these names and of those that they need: built with the same context,
 * they are the same to BuildKit.
 *
 * @throws Error if they do more than copy local files
 */
export function renderStages(
  { instructions, escapeToken }: Dockerfile,
  stages: readonly Stage[],
  names: readonly string[],
  contexts: NamedContexts = new Map(),
): StageText {
  const found = new Set(names.flatMap((name) => neededStages(stages, findStage(stages, name))));
  const needed = stages.filter((stage) => found.has(stage));
  const parts: string[] = [];
  for (const stage of needed) {
    const build = findBuild(stage, contexts);
    if (build !== undefined) {
      throw new Error(
        `it starts from the stage ${stage.name ?? ''}, which needs the bake target ${build}; that is not supported`,
      );
    }
    if (stage.context !== undefined) {
      parts.push(stage.from.source);
      continue;
    }
    const costly = stage.instructions.find((instruction) => !isCheap(instruction));
    if (costly) {
      throw new Error(
        `it starts from the stage ${stage.name ?? ''}, which would have to be built again and does more than copy local files (${costly.keyword} in line ${costly.line}); that is not supported`,
      );
    }
    parts.push(stage.from.source, ...stage.instructions.map(({ source }) => source));
  }
  const firstFrom = instructions.findIndex(({ keyword }) => keyword === 'FROM');
  const head = instructions.slice(0, firstFrom).map(({ source }) => source);
  return { head: [`# escape=${escapeToken}`, ...head].join('\n'), stages: parts.join('\n') };
}

/** The other build, by its name, whose result a stage needs itself. */
function findBuild(stage: Stage, contexts: NamedContexts): string | undefined {
  const copied = allInstructions(stage)
    .flatMap(sourcesOf)
    .map((name) => findContext(contexts, name));
  const used = [stage.context, stage.parent?.context, ...copied];
  return used.flatMap((context) => (context?.kind === 'build' ? context.name : []))[0];
}

/** Needs only files of the build context, and little time. */
function isCheap({ keyword, text }: Instruction): boolean {
  // What a variable stands for may be an address.
  if (keyword === 'ADD') return !/:\/\/|git@|\$/.test(text);
  return cheapInstructions.has(keyword);
}

/** These make no file, and need no time. */
const metadata = new Set(
  'ARG ENV USER LABEL SHELL CMD ENTRYPOINT EXPOSE VOLUME MAINTAINER'.split(' '),
);

const cheapInstructions = new Set([...metadata, 'COPY', 'WORKDIR']);
