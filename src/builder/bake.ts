import { array, object, string } from '../lib/json.js';
import type { Surroundings } from '../lib/surroundings.js';
import { askDocker } from './buildx.js';

/** What decides which builds `docker buildx bake` runs; all as docker/bake-action takes them. */
export interface BakeInputs {
  readonly files: readonly string[];
  readonly targets: readonly string[];
  readonly set: readonly string[];
  readonly vars: readonly string[];
}

/** A target of a bake definition, or a service of a Compose file, with all that it inherits. */
export interface BakeTarget {
  readonly name: string;
  /** A path, from the directory that bake runs in, or an address. */
  readonly context: string;
  /** From the context, or `cwd://` and a path from the directory that bake runs in. */
  readonly dockerfile: string;
  /** The text that takes the Dockerfile's place. */
  readonly inline: string | undefined;
  readonly args: ReadonlyMap<string, string>;
  readonly target: string | undefined;
  readonly platforms: readonly string[];
  /** Named contexts: a path, an address, or `target:` and the name of a target. */
  readonly contexts: ReadonlyMap<string, string>;
}

export interface BakeDefinition {
  readonly targets: readonly BakeTarget[];
  /** The variables that have no value here, though the definition uses them. */
  readonly unset: readonly string[];
}

/** buildx does not know a flag, or does not tell a field, that is needed. */
export class OldBuildxError extends Error {
  override readonly name = 'OldBuildxError';
}

/**
 * Reads a definition with `docker buildx bake --print`: nothing is built, and no network is needed.
 *
 * What has no part in the mounts is put out of the way first: secrets and SSH keys may be made only
 * before the build, and `--print` fails without them (toBuildOpt in buildx's bake.go); of an output
 * that is a file, some versions make it.
 *
 * @param surroundings those that bake runs in: the directory, and the variables
 * @throws Error with buildx's own last line if it cannot be read; {@link OldBuildxError}
 */
export async function readBakeDefinition(
  inputs: BakeInputs,
  surroundings: Surroundings,
): Promise<BakeDefinition> {
  const print = (...harmless: readonly string[]) =>
    askDocker(surroundings, [
      ...['buildx', 'bake', ...bakeFlags(inputs, harmless), '--print'],
      ...inputs.targets,
    ]);
  let printed = await print(...harmlessSettings, '*.ssh=');
  // An older buildx takes an empty list of keys for the default one, which there may not be.
  if (printed.exitCode !== 0) printed = await print(...harmlessSettings);
  if (printed.exitCode !== 0) {
    throw /^(?:ERROR: )?unknown flag: --var$/m.test(printed.stderr)
      ? new OldBuildxError('it does not know --var, which came with version 0.31')
      : new Error(readError(printed.stderr));
  }
  return { targets: parseBake(printed.stdout), unset: parseUnset(printed.stderr) };
}

/**
 * The variables of a definition in HCL or JSON that have no value, or an empty one; none if buildx
 * cannot tell.
 */
export async function listEmptyVariables(
  inputs: BakeInputs,
  surroundings: Surroundings,
): Promise<readonly string[]> {
  const files = inputs.files.map((file) => `--file=${file}`);
  const args = ['buildx', 'bake', ...files, '--list=type=variables,format=json'];
  const listed = await askDocker(surroundings, args);
  try {
    return listed.exitCode === 0 ? parseEmptyVariables(listed.stdout) : [];
  } catch {
    return [];
  }
}

const harmlessSettings = [
  '*.secrets=id=buildkit-cache-mounts,env=BUILDKIT_CACHE_MOUNTS_NO_SECRET',
  '*.output=type=cacheonly',
];

/** The settings that are put out of the way: they are added up, so that one of ours would not do. */
const harmful = /^[^=.]*\.(?:secrets?|ssh|output|push|load)(?:\.[^=]*)?\+?=/;

function bakeFlags({ files, set, vars }: BakeInputs, harmless: readonly string[]): string[] {
  const settings = [...set.filter((each) => !harmful.test(each)), ...harmless];
  return [
    ...files.map((file) => `--file=${file}`),
    ...settings.map((setting) => `--set=${setting}`),
    ...vars.map((variable) => `--var=${variable}`),
  ];
}

/** @throws Error, or {@link OldBuildxError}, on anything that is no answer of `bake --print` */
export function parseBake(text: string): BakeTarget[] {
  const { target } = object(JSON.parse(text), 'definition');
  if (target === undefined) throw new OldBuildxError('it tells no targets of the definition');
  return Object.entries(object(target, 'target')).map(([name, value]) => parseTarget(name, value));
}

function parseTarget(name: string, value: unknown): BakeTarget {
  const fields = object(value, name);
  const { context, dockerfile, args, target, platforms, contexts } = fields;
  const inline = fields['dockerfile-inline'];
  if (context === undefined || (dockerfile === undefined && inline === undefined)) {
    const missing = context === undefined ? 'context' : 'dockerfile';
    throw new OldBuildxError(`it does not tell the field ${missing} of the target ${name}`);
  }
  return {
    name,
    context: string(context, 'context'),
    dockerfile: dockerfile === undefined ? 'Dockerfile' : string(dockerfile, 'dockerfile'),
    inline: inline === undefined ? undefined : withoutEscapes(string(inline, 'dockerfile-inline')),
    args: new Map([...parseMap(args, 'args')].map(([key, each]) => [key, withoutEscapes(each)])),
    target: target === undefined || target === '' ? undefined : string(target, 'target'),
    platforms:
      platforms === undefined
        ? []
        : array(platforms, 'platforms').map((each) => string(each, 'platforms[]')),
    contexts: parseMap(contexts, 'contexts'),
  };
}

/**
 * What is printed is a definition again, in which a variable would be replaced (Target.MarshalJSON in
 * buildx's bake.go, from version 0.23 on; before, `$${` stood for itself, which nobody writes).
 */
function withoutEscapes(text: string): string {
  return text.replace(/\$\$\{/g, () => '${').replace(/%%\{/g, '%{');
}

/** An argument that is null is not given. */
function parseMap(value: unknown, name: string): Map<string, string> {
  const entries = Object.entries(value === undefined ? {} : object(value, name));
  return new Map(
    entries.flatMap(([key, each]): [string, string][] =>
      each === null ? [] : [[key, String(each)]],
    ),
  );
}

/** What buildx says of a Compose file's variables (its composeEnv, by compose-go's template). */
export function parseUnset(stderr: string): string[] {
  const names = [...stderr.matchAll(/The \\?"([^"\\]+)\\?" variable is not set/g)];
  return [...new Set(names.map(([, name = '']) => name))];
}

/** @throws Error on anything that is no answer of `bake --list` */
export function parseEmptyVariables(text: string): string[] {
  const listed: unknown = JSON.parse(text);
  return (listed === null ? [] : array(listed, 'variables')).flatMap((each) => {
    const { name, type, value } = object(each, 'variable');
    const isText = type === undefined || type === 'string';
    return isText && (value === undefined || value === '') ? string(name, 'name') : [];
  });
}

/** The last thing that buildx says, in its own words; HCL's errors are of one line, too. */
function readError(stderr: string): string {
  const error = /^ERROR: ([\s\S]*)$/m.exec(stderr)?.[1] ?? stderr.trim().split('\n').at(-1);
  return error?.trim() || 'docker buildx bake says nothing';
}
