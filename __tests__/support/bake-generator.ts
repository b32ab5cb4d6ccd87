/** Bake definitions with all that can decide which cache mounts their builds have, from a seed. */
import { createRandom, type Random } from './random.js';

/** A definition, and how it is built. */
export interface BakeExample {
  /** In each of its mounts' ids, and in no other example's. */
  readonly tag: string;
  readonly files: Readonly<Record<string, string>>;
  /** Empty: what buildx finds by itself. */
  readonly bakeFiles: readonly string[];
  readonly targets: readonly string[];
  readonly set: readonly string[];
  /** What inject and the build have in their environments. */
  readonly env: Readonly<Record<string, string>>;
}

interface Target {
  readonly name: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

interface Draft {
  readonly random: Random;
  readonly tag: string;
  readonly files: Record<string, string>;
  readonly env: Record<string, string>;
  /** Variables of the definition, with their defaults. */
  readonly variables: Map<string, string>;
  count: number;
}

/** A value of HCL that is no text: a variable, or a template. */
class Expression {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
}

const args = ['A', 'B', 'VERSION', 'NAME'];
const words = ['go', 'v1.2', 'x-y', 'deps', 'a.b', ''];

/** Makes the example of a seed, always the same one. */
export function generateBake(seed: number): BakeExample {
  const random = createRandom(seed);
  const draft: Draft = {
    random,
    tag: `b${seed}k`,
    files: {},
    env: {},
    variables: new Map(),
    count: 0,
  };
  return random.chance(0.3) ? composeExample(draft) : bakeExample(draft);
}

// --- HCL and JSON ---

function bakeExample(draft: Draft): BakeExample {
  const { random, files, variables, env, tag } = draft;
  for (const name of ['FLAVOUR', 'REGION'].filter(() => random.chance(0.7))) {
    variables.set(name, random.pick(words));
    if (random.chance(0.5)) env[name] = random.pick(words);
  }
  const targets = makeTargets(draft);
  const built = targets.filter(({ name }) => !name.startsWith('_'));
  const listed = built.filter(() => random.chance(0.8));
  const inDefault = (listed.length > 0 ? listed : built).map(({ name }) => name);
  const groups: Record<string, string[]> = { default: ['inner'], inner: inDefault };
  if (random.chance(0.5)) groups.default = inDefault;
  const isJson = random.chance(0.4);
  const main = isJson ? 'docker-bake.json' : 'docker-bake.hcl';
  files[main] = isJson ? toJson(variables, groups, targets) : toHcl(variables, groups, targets);
  // Of a matrix, the name is that of no target.
  const [name] = built.filter(({ fields }) => !fields.matrix).map((target) => target.name);
  const override =
    name !== undefined && random.chance(0.4) ? 'docker-bake.override.json' : undefined;
  if (name !== undefined && override !== undefined) {
    files[override] = JSON.stringify({ target: { [name]: { args: { A: 'overridden' } } } });
  }
  const isNamed = random.chance(0.5);
  const all = override === undefined ? [main] : [main, override];
  return {
    tag,
    files,
    bakeFiles: isNamed ? all.map((file) => random.pick([file, `./${file}`, `cwd://${file}`])) : [],
    targets: random.chance(0.3) ? [random.pick(['inner', ...built.map(({ name }) => name)])] : [],
    set: random.chance(0.3)
      ? [
          random.pick([
            '*.args.A=set,by hand',
            `${built[0]?.name}.args.B=set`,
            '*.platform=linux/arm64',
          ]),
        ]
      : [],
    env,
  };
}

function makeTargets(draft: Draft): Target[] {
  const { random } = draft;
  const bases = ['_one', '_two'].filter(() => random.chance(0.6));
  const targets: Target[] = bases.map((name, index) => ({
    name,
    fields: {
      ...(index > 0 && random.chance(0.5) ? { inherits: bases.slice(0, 1) } : {}),
      args: someArgs(draft),
      ...(random.chance(0.2) ? { platforms: ['linux/arm64'] } : {}),
    },
  }));
  for (let count = 1 + random.below(3); count > 0; count--) {
    targets.push(makeTarget(draft, targets, bases));
  }
  return targets;
}

function makeTarget(draft: Draft, before: readonly Target[], bases: readonly string[]): Target {
  const { random } = draft;
  const number = draft.count++;
  const others = before.filter(({ name, fields }) => !name.startsWith('_') && !fields.matrix);
  const base = random.chance(0.5) && others.length > 0 ? random.pick(others).name : undefined;
  const isMatrix = random.chance(0.25);
  const { dockerfile, stages } = makeDockerfile(draft, base !== undefined);
  const name = `t${number}`;
  const directory = random.pick(['.', '.', `dir${number}`]);
  const isInline = random.chance(0.3);
  const path = random.pick(['Dockerfile', `${name}.Dockerfile`, `deep/${name}`]);
  if (!isInline) draft.files[`${directory}/${number}/${path}`] = dockerfile;
  else draft.files[`${directory}/keep`] = '';
  const inherits = bases.filter(() => random.chance(0.5));
  return {
    name,
    fields: {
      ...(isMatrix
        ? { name: new Expression(`"${name}-\${kind}"`), matrix: { kind: ['x', 'y'] } }
        : {}),
      ...(inherits.length > 0 ? { inherits } : {}),
      ...(directory === '.' ? {} : { context: directory }),
      ...(isInline
        ? { 'dockerfile-inline': dockerfile }
        : directory === '.' && random.chance(0.3)
          ? { dockerfile: `cwd://${number}/${path}` }
          : { dockerfile: `${number}/${path}` }),
      args: {
        ...someArgs(draft),
        ...(isMatrix ? { NAME: new Expression(`"${random.pick(words)}\${kind}"`) } : {}),
      },
      ...(stages.length > 0 && random.chance(0.4) ? { target: random.pick(stages) } : {}),
      // (Not every image store takes several at once.)
      ...(random.chance(0.15) ? { platforms: ['linux/arm64'] } : {}),
      contexts: {
        tools: 'tools-directory',
        ...(base === undefined ? {} : { base: `target:${base}` }),
        ...(stages.length > 1 && random.chance(0.15)
          ? { [stages[0] ?? '']: 'tools-directory' }
          : {}),
      },
    },
  };
}

function someArgs({ random, variables }: Draft): Record<string, unknown> {
  const entries = args
    .filter(() => random.chance(0.4))
    .map((name): [string, unknown] => {
      const [variable] = [...variables.keys()].filter(() => random.chance(0.5));
      if (variable === undefined) return [name, random.pick([...words, '${literal}', '%{x}'])];
      return [
        name,
        random.chance(0.5)
          ? new Expression(`"\${${variable}}"`)
          : new Expression(`"p-\${${variable}}-s"`),
      ];
    });
  return Object.fromEntries(entries);
}

/** @param hasBase whether it may start from another target, the context `base` */
function makeDockerfile(
  draft: Draft,
  hasBase: boolean,
): { readonly dockerfile: string; readonly stages: readonly string[] } {
  const { random } = draft;
  const lines = ['ARG VERSION=global', 'FROM --platform=$BUILDPLATFORM scratch AS first'];
  lines.push('COPY --from=tools / /');
  const stages: string[] = [];
  for (let count = 1 + random.below(2); count > 0; count--) {
    const name = `${random.pick(['build', 'test'])}${stages.length}`;
    const parents = ['first', ...(hasBase ? ['base', 'base'] : []), ...stages.slice(-1)];
    lines.push(`FROM ${random.pick(parents)} AS ${name}`, ...instructions(draft));
    stages.push(name);
  }
  return { dockerfile: `${lines.join('\n')}\n`, stages };
}

function instructions(draft: Draft): string[] {
  const { random } = draft;
  const lines = args
    .filter(() => random.chance(0.6))
    .map((name) =>
      random.chance(0.4) ? `ARG ${name}` : `ARG ${name}=${random.pick(['own', ''])}`,
    );
  if (random.chance(0.3)) lines.push('ARG TARGETARCH');
  if (random.chance(0.5)) lines.push(`ENV ${random.pick(['KIND', 'A'])}=${idPart(draft)}`);
  const runs = Array.from({ length: 1 + random.below(2) }, () => run(draft));
  if (random.chance(0.15)) runs.push(`ONBUILD ${run(draft)}`);
  return [...lines, ...runs];
}

function run(draft: Draft): string {
  const { random, tag } = draft;
  const owner = random.pick(['', '', ',uid=1000', ',mode=0700']);
  const id = `${tag}${draft.count++}-${idPart(draft)}`;
  return `RUN --network=none --mount=type=cache,target=/c,id=${id}${owner} ["/bin/sh", "-c", ":"]`;
}

function idPart({ random }: Draft): string {
  const name = random.pick([...args, 'KIND', 'TARGETARCH']);
  return random.pick([`$${name}`, `\${${name}}`, `\${${name}:-none}`, `\${${name}:+some}`, 'x']);
}

// --- how it is written ---

function toJson(
  variables: ReadonlyMap<string, string>,
  group: Readonly<Record<string, string[]>>,
  targets: readonly Target[],
): string {
  const plain = (value: unknown): unknown => {
    if (value instanceof Expression) return JSON.parse(value.source) as unknown;
    if (typeof value === 'string') return escapeTemplate(value);
    if (Array.isArray(value)) return value.map(plain);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
  };
  const defaults = [...variables].map(([name, text]) => [name, { default: text }]);
  return JSON.stringify({
    // An empty list of them is an error.
    ...(variables.size > 0 ? { variable: Object.fromEntries(defaults) } : {}),
    group: Object.fromEntries(
      Object.entries(group).map(([name, each]) => [name, { targets: each }]),
    ),
    target: Object.fromEntries(targets.map(({ name, fields }) => [name, plain(fields)])),
  });
}

function toHcl(
  variables: ReadonlyMap<string, string>,
  groups: Readonly<Record<string, string[]>>,
  targets: readonly Target[],
): string {
  const value = (each: unknown): string => {
    if (each instanceof Expression) return each.source;
    if (typeof each === 'string') return JSON.stringify(escapeTemplate(each));
    if (Array.isArray(each)) return `[${each.map(value).join(', ')}]`;
    const entries = Object.entries(each as Record<string, unknown>);
    return `{\n${entries.map(([key, item]) => `    "${key}" = ${value(item)}\n`).join('')}  }`;
  };
  const block = (kind: string, name: string, fields: Readonly<Record<string, unknown>>) =>
    `${kind} "${name}" {\n${Object.entries(fields)
      .map(([key, each]) => `  ${key} = ${value(each)}\n`)
      .join('')}}\n`;
  return [
    ...[...variables].map(([name, text]) => block('variable', name, { default: text })),
    ...Object.entries(groups).map(([name, each]) => block('group', name, { targets: each })),
    ...targets.map(({ name, fields }) => block('target', name, fields)),
  ].join('');
}

/** What HCL would replace; a Dockerfile's own variables are not among it. */
function escapeTemplate(text: string): string {
  return text.replaceAll('${', () => '$${').replaceAll('%{', '%%{');
}

// --- Compose ---

function composeExample(draft: Draft): BakeExample {
  const { random, files, env, tag } = draft;
  for (const name of ['FLAVOUR', 'PASSED'].filter(() => random.chance(0.7))) {
    env[name] = random.pick(words.filter((word) => word !== ''));
  }
  const services: Record<string, unknown> = { db: { image: 'db' } };
  for (let count = 1 + random.below(3); count > 0; count--) {
    const names = Object.keys(services).filter((name) => name !== 'db');
    const base = random.chance(0.4) && names.length > 0 ? random.pick(names) : undefined;
    const number = draft.count++;
    const { dockerfile, stages } = makeDockerfile(draft, base !== undefined);
    const isInline = random.chance(0.3);
    files[`s${number}/${isInline ? 'keep' : 'Dockerfile'}`] = isInline ? '' : dockerfile;
    services[`s${number}`] = {
      build: {
        context: `./s${number}`,
        ...(isInline ? { dockerfile_inline: dockerfile.replaceAll('$', () => '$$') } : {}),
        ...(random.chance(0.3) ? { target: random.pick(stages) } : {}),
        args: composeArgs(draft),
        additional_contexts: {
          tools: 'tools-directory',
          ...(base === undefined ? {} : { base: `service:${base}` }),
        },
      },
    };
  }
  const file = random.pick(['compose.yaml', 'compose.yml', 'docker-compose.yml']);
  // JSON is YAML.
  files[file] = JSON.stringify({ services }, undefined, 2);
  return {
    tag,
    files,
    bakeFiles: random.chance(0.4) ? [file] : [],
    targets: [],
    set: random.chance(0.2) ? ['*.args.A=set'] : [],
    env,
  };
}

function composeArgs({ random }: Draft): unknown {
  const value = (): string =>
    random.pick([...words, '${FLAVOUR}', 'x-${FLAVOUR:-none}', '${PASSED:-y}', '$$plain']);
  const given = args.filter(() => random.chance(0.5));
  return random.chance(0.3)
    ? [...given.map((name) => `${name}=${value()}`), 'PASSED']
    : Object.fromEntries(given.map((name) => [name, value()]));
}
