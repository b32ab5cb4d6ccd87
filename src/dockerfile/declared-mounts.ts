/*
 * Mirrors frontend/dockerfile/dockerfile2llb/convert.go of BuildKit v0.32.2: the variables of each
 * stage, and what becomes of them; and convert_runmount.go, for what a mount starts from.
 */
import { createHash } from 'node:crypto';
import { InputError, messageOf } from '../lib/errors.js';
import { type CacheMount, identityOf } from '../mounts/cache-mount.js';
import type { LeftOutMount } from '../mounts/gap.js';
import { formatPlatform, parsePlatform, runnerPlatform } from '../mounts/platform.js';
import {
  type BaseImage,
  defaultPath,
  explainUnknown,
  imageKey,
  type KnownImages,
  repositoryOf,
  type UnknownImage,
  unknownImage,
  variablesOf,
} from './base-image.js';
import { parseCsvRecord } from './csv.js';
import { expandKnown, expandWord } from './expand-variables.js';
import { findForeignSyntax } from './foreign-syntax.js';
import { familiarName } from './image-name.js';
import {
  cleanPath,
  cut,
  type MountOptions,
  parseOptions,
  startFromNothing,
  toCacheMount,
} from './mount-options.js';
import {
  type BuildResult,
  type Doubt,
  findContext,
  type NamedContext,
  type NamedContexts,
  type ResolvedContext,
  resolveContexts,
  type Variable,
} from './named-contexts.js';
import { type Dockerfile, type Instruction, parseDockerfile, splitWords } from './parser.js';
import { commandOf } from './run-command.js';
import {
  allInstructions,
  findStage,
  imageInstructions,
  imageOrigin,
  lastStageName,
  lastValue,
  mountFlags,
  neededStages,
  type PlainOrigin,
  plainOrigins,
  readStages,
  renderStages,
  type Stage,
  type StageText,
} from './stages.js';

export interface DiscoveryOptions {
  /** The Dockerfile's name, for messages. */
  readonly file: string;
  /** The stage to build; undefined: the last one. */
  readonly target: string | undefined;
  readonly buildArgs: ReadonlyMap<string, string>;
  /** At least one. */
  readonly platforms: readonly string[];
  /** Named build contexts, by their names. */
  readonly contexts?: ReadonlyMap<string, NamedContext>;
  /** The base images that were looked up; by default none. */
  readonly images?: KnownImages;
  /** What names the target, for messages; by default the input `target`. */
  readonly targetOrigin?: string;
  /** What to ask if an ARG has no value; by default whether it is missing in `build-args`. */
  readonly argQuestion?: string;
}

export interface Discovery {
  /** Each identity once, in the order of the Dockerfile. */
  readonly mounts: readonly CacheMount[];
  /** What could not be resolved, each with file and line. */
  readonly problems: readonly string[];
  /** Where each mount is declared, and what is left out as only a base image tells its id. */
  readonly declared: ReadonlyMap<Place, DeclaredMount>;
  /** The images whose configuration would remove a doubt about a mount. */
  readonly wanted: readonly BaseImage[];
  /** For each platform, the values of all ARGs; if stages differ, the last. */
  readonly args: readonly ReadonlyMap<string, string>[];
  /** The stages that mounts start from. */
  readonly stages: StageText | undefined;
  /** The id of each mount, by its target. */
  readonly idOfTarget: ReadonlyMap<string, string>;
  /** By their names, the stages that have no files of their own. */
  readonly plainStages: ReadonlyMap<string, PlainOrigin>;
  /** What a build that starts from this one finds, by platform. */
  readonly results: ReadonlyMap<string, BuildResult>;
}

/** A platform, and a --mount flag of the Dockerfile; the same with and without the base images. */
export type Place = string;

export interface DeclaredMount {
  /** Undefined: it is left out. */
  readonly mount?: CacheMount;
  readonly leftOut?: LeftOutMount;
  /** The image that declares it by ONBUILD. */
  readonly onBuildOf?: string | undefined;
}

/**
 * Finds the cache mounts that a build of the Dockerfile uses, as BuildKit's frontend would
 * (dockerfile2llb): in the stages that the target needs, with variables as they stand at each RUN.
 *
 * @throws InputError if the target does not exist
 */
export function discoverMounts(text: string, options: DiscoveryOptions): Discovery {
  const dockerfile = parseDockerfile(text);
  const mounts = new Map<string, CacheMount>();
  const problems = new Set<string>();
  for (const { line, message } of findForeignSyntax(dockerfile, options.buildArgs)) {
    problems.add(`${options.file}:${line}: ${message}`);
  }
  const args: Environment[] = [];
  let stages: StageText | undefined;
  let plainStages: ReadonlyMap<string, PlainOrigin> = new Map();
  const idOfTarget = new Map<string, string>();
  const results = new Map<string, BuildResult>();
  const declared = new Map<Place, DeclaredMount>();
  const wanted: BaseImage[] = [];
  for (const platform of options.platforms) {
    const evaluation = evaluate(dockerfile, { ...options, platform });
    for (const [place, each] of evaluation.declared) {
      if (each.mount) mounts.set(identityOf(each.mount), each.mount);
      declared.set(`${platform} ${place}`, each);
    }
    wanted.push(...evaluation.wanted);
    for (const problem of evaluation.problems) problems.add(problem);
    for (const [target, id] of evaluation.idOfTarget) idOfTarget.set(target, id);
    args.push(evaluation.args);
    results.set(platform, evaluation.result);
    stages = evaluation.seedStages;
    plainStages = evaluation.plainStages;
  }
  const found = { mounts: [...mounts.values()], problems: [...problems], idOfTarget };
  return { ...found, declared, wanted, args, stages, plainStages, results };
}

type Environment = Map<string, string>;

interface Context extends Omit<DiscoveryOptions, 'platforms' | 'contexts'> {
  readonly platform: string;
  readonly images: KnownImages;
  readonly contexts: NamedContexts;
  readonly dockerfile: Dockerfile;
  readonly escapeToken: string;
  readonly globals: Environment;
  readonly stages: readonly Stage[];
  readonly plainStages: ReadonlyMap<string, PlainOrigin>;
  readonly declared: Map<Place, DeclaredMount>;
  readonly wanted: BaseImage[];
  readonly problems: string[];
  readonly args: Environment;
  readonly idOfTarget: Map<string, string>;
}

function evaluate(
  dockerfile: Dockerfile,
  options: Omit<DiscoveryOptions, 'platforms'> & { readonly platform: string },
): Pick<Context, 'declared' | 'wanted' | 'problems' | 'args' | 'idOfTarget' | 'plainStages'> & {
  readonly seedStages: StageText | undefined;
  readonly result: BuildResult;
} {
  const { escapeToken, instructions } = dockerfile;
  const problems: string[] = [];
  const expandGlobally = (word: string, line: number) => {
    try {
      return expandWord(word, (name) => globals.get(name), escapeToken);
    } catch (error) {
      problems.push(`${options.file}:${line}: ${messageOf(error)}`);
      return word;
    }
  };
  const globals = platformArgs(options, lastStageName(instructions));
  const args = readGlobalArgs(dockerfile, options.buildArgs, globals, expandGlobally);
  const contexts = resolveContexts(options.contexts ?? new Map(), options.platform);
  const { images = new Map() } = options;
  const stages = readStages(instructions, expandGlobally, contexts, (name, platform) => {
    const image = images.get(keyOf(name, platform ?? options.platform));
    return image === undefined || typeof image === 'string' ? [] : image.onBuild;
  });
  const plainStages = findPlainStages(stages, contexts, options.platform);
  const common = { dockerfile, escapeToken, globals, stages, plainStages, problems, args, images };
  const found = { declared: new Map(), wanted: [], idOfTarget: new Map() };
  const context: Context = { ...options, ...common, ...found, contexts };
  nameMissingArgs(context);
  const environments = new Map<Stage, StageEnvironment>();
  const goal = resolveTarget(context);
  for (const stage of neededStages(stages, goal)) {
    environments.set(stage, walkStage(stage, environments, context));
  }
  const seeds = [...context.declared.values()].flatMap(({ mount }) => mount?.stage?.name ?? []);
  const seedStages =
    seeds.length > 0 ? renderStages(dockerfile, stages, seeds, contexts) : undefined;
  return { ...context, seedStages, result: resultOf(goal, environments) };
}

/** BuildKit takes several spellings for one platform. */
function keyOf(name: string, platform: string): string {
  return imageKey({ name, platform: formatPlatform(parsePlatform(platform)) });
}

function resultOf(
  goal: Stage | undefined,
  environments: ReadonlyMap<Stage, StageEnvironment>,
): BuildResult {
  if (goal?.context?.kind === 'build') return goal.context;
  const environment = goal && environments.get(goal);
  return {
    env: environment?.env ?? new Map(),
    image: environment?.image,
    instructions: goal?.instructions ?? [],
  };
}

function findPlainStages(
  stages: readonly Stage[],
  contexts: NamedContexts,
  target: string,
): Map<string, PlainOrigin> {
  const format = (platform: string) => formatPlatform(parsePlatform(platform));
  const isTarget = (platform: string) => format(platform) === format(target);
  const plain = new Map<string, PlainOrigin>();
  for (const [name, context] of contexts) {
    if (context.kind === 'image') plain.set(name, imageOrigin(context.image));
  }
  const origins = plainOrigins(stages, isTarget);
  for (const stage of stages) {
    if (stage.name === undefined) continue;
    const origin = origins.get(stage);
    // Of several stages of one name the last counts.
    if (origin) plain.set(stage.name, origin);
    else plain.delete(stage.name);
  }
  return plain;
}

/** Names the ARGs without which a FROM names no image, so that BuildKit refuses the Dockerfile. */
function nameMissingArgs(discovery: Context): void {
  const { stages, globals, escapeToken, problems, file, argQuestion } = discovery;
  for (const { parent, context, image, from } of stages) {
    if (parent !== undefined || context !== undefined) continue;
    if (familiarName(image) !== undefined) continue;
    const missing = namesWithoutValue(from.text, globals, escapeToken).map((name) => `$${name}`);
    if (missing.length === 0) continue;
    problems.push(
      `${file}:${from.line}: ${missing.join(' and ')} ${missing.length > 1 ? 'have' : 'has'} no value, so that "FROM ${from.text}" names no image and BuildKit refuses it: ${argQuestion ?? missingArg}`,
    );
  }
}

function namesWithoutValue(text: string, globals: Environment, escapeToken: string): string[] {
  const names = new Set<string>();
  const lookup = (name: string, hasAlternative: boolean) => {
    if (!globals.has(name) && !hasAlternative) names.add(name);
    return globals.get(name);
  };
  try {
    expandWord(text, lookup, escapeToken);
  } catch {
    return []; // named when the stages were read
  }
  return [...names];
}

/** Adds the ARGs before the first stage to the global arguments; returns them alone, too. */
function readGlobalArgs(
  { instructions, escapeToken }: Dockerfile,
  buildArgs: ReadonlyMap<string, string>,
  globals: Environment,
  expand: (word: string, line: number) => string,
): Environment {
  const args: Environment = new Map();
  for (const { keyword, text, line } of instructions) {
    if (keyword === 'FROM') break;
    if (keyword !== 'ARG') continue;
    for (const [name, raw] of splitWords(text, escapeToken).map(cut)) {
      const value = buildArgs.get(name) ?? (raw === undefined ? undefined : expand(raw, line));
      if (value !== undefined) {
        globals.set(name, value);
        args.set(name, value);
      }
    }
  }
  return args;
}

/** The arguments that BuildKit defines by itself, for all but the stages; build-args override. */
function platformArgs(
  { platform, target, buildArgs }: Omit<DiscoveryOptions, 'platforms'> & { platform: string },
  lastStage: string | undefined,
): Environment {
  const describe = (prefix: string, text: string): [string, string][] => {
    const { os, architecture, variant } = parsePlatform(text);
    return [
      [`${prefix}PLATFORM`, formatPlatform({ os, architecture, variant })],
      [`${prefix}OS`, os],
      [`${prefix}OSVERSION`, ''],
      [`${prefix}ARCH`, architecture],
      [`${prefix}VARIANT`, variant],
    ];
  };
  const [, architecture] = runnerPlatform().split('/');
  const predefined: [string, string][] = [
    ...describe('BUILD', `linux/${architecture}`),
    ...describe('TARGET', platform),
    ['TARGETSTAGE', target ?? lastStage ?? 'default'],
  ];
  return new Map(predefined.map(([name, value]) => [name, buildArgs.get(name) ?? value]));
}

/** @throws InputError if there is no such stage */
function resolveTarget({ stages, target, file, targetOrigin }: Context): Stage | undefined {
  const goal = target === undefined ? stages.at(-1) : findStage(stages, target);
  if (goal === undefined && target !== undefined) {
    const names = stages.flatMap(({ name }) => name ?? []);
    throw new InputError(
      `${targetOrigin ?? 'Input target'}: ${file} has no stage "${target}"${names.length > 0 ? `; it has ${names.join(', ')}` : ''}.`,
    );
  }
  return goal;
}

/** The variables at the end of a stage. */
interface StageEnvironment {
  readonly variables: Map<string, Variable>;
  /** Those of them that ENV has set: in a stage that starts from this one, they hide its ARGs. */
  readonly env: Map<string, Variable>;
  /** ARGs that were declared and have no value, with what to ask then. */
  readonly unset: Map<string, string>;
  /** The image whose own variables are not known here. */
  readonly image: UnknownImage | undefined;
}

/** Goes through a stage with its variables, and collects the cache mounts of its RUNs. */
function walkStage(
  stage: Stage,
  environments: ReadonlyMap<Stage, StageEnvironment>,
  context: Context,
): StageEnvironment {
  const environment = startStage(stage, environments, context);
  const { escapeToken, stages } = context;
  const countOfImage = imageInstructions(stage).length;
  for (const [index, instruction] of allInstructions(stage).entries()) {
    const { keyword, text, flags, line } = instruction;
    if (keyword === 'ENV') {
      // All of them see the variables as they were before.
      const pairs = readPairs(text, escapeToken).map(([key, raw]): [string, Variable] => [
        expand(key, environment, escapeToken).value ?? key,
        expand(raw, environment, escapeToken),
      ]);
      for (const [key, variable] of pairs) {
        environment.variables.set(key, variable);
        environment.env.set(key, variable);
      }
    } else if (keyword === 'ARG') {
      for (const [name, raw] of splitWords(text, escapeToken).map(cut)) {
        declareArg(name, raw, environment, context);
      }
    } else if (keyword === 'RUN') {
      const isOfImage = index < countOfImage;
      const where = `${stages.indexOf(stage)} ${isOfImage ? `ONBUILD ${index}` : line}`;
      const onBuildOf = isOfImage ? imageOfStage(stage) : undefined;
      for (const [place, flag] of mountFlags(flags).entries()) {
        const run = { instruction, place: `${where} ${place}`, onBuildOf };
        readMount(flag, environment, run, context);
      }
    }
  }
  return environment;
}

/** The image that a stage starts from; a named context may stand for what its FROM says. */
function imageOfStage({ image, parent }: Stage): string {
  return parent?.context?.kind === 'image' ? parent.context.image : image;
}

function startStage(
  stage: Stage,
  environments: ReadonlyMap<Stage, StageEnvironment>,
  context: Context,
): StageEnvironment {
  const { parent, image } = stage;
  if (stage.context !== undefined) return startFromContext(stage.context, stage, context);
  const inherited =
    parent && (environments.get(parent) ?? startStage(parent, environments, context));
  if (inherited) {
    const { variables, env, unset } = inherited;
    const args = [...variables].filter(([name]) => !env.has(name));
    return {
      variables: new Map([...args.map((each) => doubtArg(each, inherited.image)), ...env]),
      env: new Map(env),
      unset: new Map(unset),
      image: inherited.image,
    };
  }
  return image === 'scratch' ? newEnvironment(emptyEnv) : startFromImage(image, stage, context);
}

function startFromImage(
  name: string,
  stage: Stage,
  { images, platform: target }: Context,
): StageEnvironment {
  const platform = formatPlatform(parsePlatform(stage.platform ?? target));
  const known = images.get(keyOf(name, platform));
  if (known === undefined || typeof known === 'string') {
    return newEnvironment([], unknownImage({ name, platform }, known));
  }
  const env = [...variablesOf(known)].map(([key, value]): [string, Variable] => [key, { value }]);
  return newEnvironment(env);
}

/** Of another build, as of an image, the ENVs are known, and not the ARGs. */
function startFromContext(
  named: ResolvedContext,
  stage: Stage,
  context: Context,
): StageEnvironment {
  switch (named.kind) {
    case 'directory':
      return newEnvironment(emptyEnv);
    case 'image':
      return startFromImage(named.image, stage, context);
    case 'build':
      return newEnvironment(named.env, named.image);
  }
}

function newEnvironment(
  env: Iterable<readonly [string, Variable]>,
  image?: UnknownImage,
): StageEnvironment {
  return { variables: new Map(env), env: new Map(env), unset: new Map(), image };
}

/** In a stage that starts from another one, the image's own ENV hides the other's ARG. */
function doubtArg(
  [name, variable]: [string, Variable],
  image: UnknownImage | undefined,
): [string, Variable] {
  if (image === undefined) return [name, variable];
  const message = `$${name} is an ARG of the stage that this one starts from; if the image ${image.name} sets ${name}, the image's value counts, and that ${explainUnknown(image)}: declare the ARG in this stage too, with its value`;
  return [name, { ...variable, doubt: variable.doubt ?? { message, lookUp: image.lookUp } }];
}

function declareArg(
  name: string,
  raw: string | undefined,
  environment: StageEnvironment,
  { buildArgs, globals, args, escapeToken, argQuestion }: Context,
): void {
  const given = buildArgs.get(name) ?? (raw === undefined ? globals.get(name) : undefined);
  if (given === undefined && raw === undefined) {
    environment.unset.set(name, argQuestion ?? missingArg);
    return;
  }
  // Scanners for bills of materials are told by these alone; they are no variables.
  if (name === 'BUILDKIT_SBOM_SCAN_CONTEXT' || name === 'BUILDKIT_SBOM_SCAN_STAGE') return;
  const variable =
    given === undefined ? expand(raw ?? '', environment, escapeToken) : { value: given };
  environment.variables.set(name, variable);
  if (variable.value !== undefined) args.set(name, variable.value);
}

/** The value of a variable is not known. */
class UnknownValueError extends Error {
  override readonly name = 'UnknownValueError';
  constructor(readonly doubt: Doubt) {
    super(doubt.message);
  }
}

/** Expands a word with what is known of a stage's variables. */
function expand(word: string, environment: StageEnvironment, escapeToken: string): Variable {
  const { variables, unset, image } = environment;
  let doubt: Doubt | undefined;
  const lookup = (name: string, hasAlternative: boolean) => {
    const variable = variables.get(name);
    if (variable) {
      doubt ??= variable.doubt;
      if (variable.value === undefined) {
        throw variable.doubt && new UnknownValueError(variable.doubt);
      }
    } else if (unset.has(name)) {
      doubt ??= doubtOfUnset(name, hasAlternative, image, unset.get(name));
    } else if (image !== undefined) {
      const message = `$${name} may be set by the image ${image.name}, which ${explainUnknown(image)}: name the mount in the input cache-mounts (with all others), or set ${name} by ENV in the Dockerfile`;
      throw new UnknownValueError({ message, lookUp: image.lookUp });
    }
    return variable?.value;
  };
  try {
    const value = expandWord(word, lookup, escapeToken);
    return { value, doubt };
  } catch (error) {
    const isUnknown = error instanceof UnknownValueError;
    return {
      value: undefined,
      doubt: isUnknown ? error.doubt : { message: messageOf(error) },
      pattern: isUnknown ? expandPartly(word, environment, escapeToken) : undefined,
    };
  }
}

/** The word with all that is known; what only the image may set stays as it is written. */
function expandPartly(
  word: string,
  { variables, image }: StageEnvironment,
  escapeToken: string,
): string {
  const lookup = (name: string) => {
    const variable = variables.get(name);
    return variable?.value ?? variable?.pattern ?? (image === undefined ? '' : undefined);
  };
  try {
    return expandKnown(word, lookup, escapeToken);
  } catch {
    return word;
  }
}

/** Why the value of an ARG that has none may not be what the build has. */
function doubtOfUnset(
  name: string,
  hasAlternative: boolean,
  image: UnknownImage | undefined,
  question = missingArg,
): Doubt | undefined {
  const empty = `$${name} has no value here, so it is empty: ${question}`;
  // If the word says what to do then, the ARG is meant to be left out.
  if (image === undefined) return hasAlternative ? undefined : { message: empty };
  const why = explainUnknown(image);
  const message = hasAlternative
    ? `$${name} has no value here; if the image ${image.name} sets it, the image's value counts, and that ${why}: give ${name} in build-args, or a default in the Dockerfile`
    : `${empty} (If the image ${image.name} sets it, the image's value counts, and that ${why}.)`;
  return { message, lookUp: image.lookUp };
}

const missingArg = 'is it missing in build-args?';

/** What is set if there is no image. */
const emptyEnv = new Map<string, Variable>([['PATH', { value: defaultPath }]]);

/** `KEY=VALUE …`, or the older `KEY VALUE`. */
function readPairs(text: string, escapeToken: string): [string, string][] {
  const words = splitWords(text, escapeToken);
  if (words[0]?.includes('=')) {
    return words.map(cut).map(([key, value]) => [key, value ?? '']);
  }
  const [, key = '', value = ''] = /^(\S+)\s+([\s\S]*)$/.exec(text) ?? [];
  return key === '' ? [] : [[key, value]];
}

/** The RUN that a --mount flag is of, and the place of the flag. */
interface MountFlag {
  readonly instruction: Instruction;
  readonly place: Place;
  readonly onBuildOf: string | undefined;
}

function readMount(
  flag: string,
  environment: StageEnvironment,
  { instruction, place, onBuildOf }: MountFlag,
  context: Context,
): void {
  const { escapeToken, idOfTarget, declared, wanted, problems, file } = context;
  const at = (message: string) => `${file}:${instruction.line}: ${message}`;
  const words = new Map<string, Variable>();
  const expandOption = (word: string) => {
    const variable = expand(word, environment, escapeToken);
    words.set(word, variable);
    if (variable.value === undefined) throw variable.doubt && new UnknownValueError(variable.doubt);
    return variable.value;
  };
  try {
    const all = parseCsvRecord(flag);
    const type = lastValue(all, 'type');
    if (type === undefined || expandOption(type).toLowerCase() !== 'cache') return;
    const isNamed = expandOption(lastValue(all, 'id') ?? '') !== '';
    const fields = isNamed ? withoutDoubtfulTarget(all, environment, escapeToken) : all;
    const options = parseOptions(fields, expandOption, 'last wins');
    const mount = toMount(options, context);
    if (options.target !== undefined) idOfTarget.set(cleanPath(options.target), mount.id);
    declared.set(place, { mount, onBuildOf });
    for (const { doubt } of words.values()) if (doubt) problems.push(at(doubt.message));
  } catch (error) {
    const message = at(`a mount is left out: ${messageOf(error)} (--mount=${flag})`);
    problems.push(message);
    if (!(error instanceof UnknownValueError)) return;
    const leftOut = describeLeftOut(flag, environment, instruction, message, context);
    if (leftOut !== undefined) declared.set(place, { leftOut, onBuildOf });
  } finally {
    wanted.push(...[...words.values()].flatMap(({ doubt }) => doubt?.lookUp ?? []));
  }
}

/** Beside an id, the target decides nothing, so that it does not matter if it is not known. */
function withoutDoubtfulTarget(
  fields: readonly string[],
  environment: StageEnvironment,
  escapeToken: string,
): string[] {
  return fields.filter((field) => {
    const [key, word = ''] = cut(field);
    if (!/^(?:target|dst|destination)$/i.test(key)) return true;
    const { value, doubt } = expand(word, environment, escapeToken);
    return value !== undefined && doubt?.lookUp === undefined;
  });
}

/** What is known of a mount whose id only the base image tells; undefined if that is too little. */
function describeLeftOut(
  flag: string,
  environment: StageEnvironment,
  instruction: Instruction,
  message: string,
  context: Context,
): LeftOutMount | undefined {
  const { image } = environment;
  if (image === undefined) return undefined;
  const expandOption = (word: string) => {
    const { value, pattern } = expand(word, environment, context.escapeToken);
    return value ?? pattern ?? word;
  };
  try {
    const options = parseOptions(parseCsvRecord(flag), expandOption, 'last wins');
    const template = toMount(options, context);
    const gap = { image: repositoryOf(image.name), id: template.id };
    return { gap, template, command: commandOf(instruction), message };
  } catch {
    return undefined;
  }
}

/** @throws Error if the options make no mount that is supported */
function toMount(options: MountOptions, context: Context): CacheMount {
  const namespace = context.buildArgs.get('BUILDKIT_CACHE_MOUNT_NS');
  return { ...withOrigin(toCacheMount(options), context), ...(namespace ? { namespace } : {}) };
}

/** What the name in `from` means: nothing, an image, or a stage with files of its own. */
function withOrigin(mount: CacheMount, context: Context): CacheMount {
  const { dockerfile, stages, plainStages, contexts } = context;
  if (mount.from === undefined) return mount;
  const stage = findStage(stages, mount.from);
  const named = stage === undefined ? findContext(contexts, mount.from) : stage.context;
  if (named !== undefined && named.kind !== 'image') {
    const what = named.kind === 'build' ? `the bake target ${named.name}` : 'a directory';
    throw new Error(
      `it starts from the build context ${mount.from}, which is ${what}; that is not supported`,
    );
  }
  const isPlain = stage === undefined || plainStages.has(mount.from.toLowerCase());
  return isPlain
    ? withPlainOrigin(mount, plainStages)
    : startFrom(stage, mount, dockerfile, stages, contexts);
}

/**
 * What the name in `from` means if it is not that of a stage with files of its own; an image has one
 * name, however it is written.
 */
export function withPlainOrigin(
  mount: CacheMount,
  plainStages: ReadonlyMap<string, PlainOrigin>,
): CacheMount {
  if (mount.from === undefined) return mount;
  const name = familiarName(mount.from) ?? mount.from;
  const origin = plainStages.get(mount.from.toLowerCase()) ?? plainStages.get(name);
  if (origin?.kind === 'nothing') return startFromNothing(mount);
  return { ...mount, from: origin?.image ?? name };
}

function startFrom(
  { name = '' }: Stage,
  mount: CacheMount,
  dockerfile: Dockerfile,
  stages: readonly Stage[],
  contexts: NamedContexts,
): CacheMount {
  const { from: _, ...others } = mount;
  const text = JSON.stringify(renderStages(dockerfile, stages, [name], contexts));
  return { ...others, stage: { name, digest: createHash('sha256').update(text).digest('hex') } };
}
