/** Dockerfiles with all that can decide which cache mounts a build has, each made from a seed. */
import type { Example } from './oracle.js';
import { createRandom, type Random } from './random.js';

/** The image that some of them begin with; the others are `FROM scratch`, with `COPY tools /`. */
export const generatedBaseImage = 'registry.example/tools:1';

/** Behind the number in the ids of mounts that nothing can be written to. */
const readOnlyMark = 'ro';

/** Whether a mount with this id in a generated Dockerfile stays empty. */
export function staysEmpty(id: string): boolean {
  return new RegExp(`s\\d+z(?:/t)?\\d+${readOnlyMark}`).test(id);
}

/** The Dockerfile in the making. */
interface Draft {
  readonly random: Random;
  /** In each of its mounts' ids, and in no other Dockerfile's: `s17z`. */
  readonly tag: string;
  /** The escape character that its `escape` directive declares. */
  readonly escapeToken: string;
  /** Every variable has been declared: what an image sets is not known from the Dockerfile. */
  readonly isImageBased: boolean;
  readonly stages: string[];
  /** Stages that a RUN works in. */
  readonly runnable: string[];
  readonly sharing: string | undefined;
  /** Mounts that may be used again, as option texts by identity. */
  readonly mounts: MountText[];
  readonly buildArgs: Map<string, string>;
  readonly lineBreak: string;
  count: number;
}

interface MountText {
  readonly name: string;
  readonly flag: string;
}

const variables = ['A', 'B', 'CACHE_DIR', 'v2', '_x', 'Mixed'];
const numbers = ['UID_', 'gid'];
const predefined = [
  ...['TARGETPLATFORM', 'TARGETARCH', 'TARGETOS', 'TARGETVARIANT', 'TARGETSTAGE'],
  ...['BUILDPLATFORM', 'BUILDARCH', 'BUILDOS', 'BUILDVARIANT'],
];
const values = [
  ...[
    'go',
    'v1.22.3',
    'cache/mod/x',
    'linux',
    'a.b.c',
    'x-y_z',
    'one two',
    'ünï',
    '日本',
    'ab*cd?e',
  ],
  ...['a/b/a/b', 'go-build-go', '', 'a,b', '$A', '${B}', "it's", 'quo"te', 'back\\slash', 'a\\\\b'],
  ...['x=y', '#', ' lead', '/abs/', 'é🎉', '`tick`', '%41', '{}', '~', '!', 'A', 'a}b'],
];
const plain = [
  ...[
    'go',
    'build',
    'v1',
    '1.2',
    'x-y',
    'a_b',
    'mod',
    'cache',
    'a',
    'ab',
    '+',
    '@',
    '%',
    '~',
    '^',
    ':',
  ],
];
const patterns = [
  ...[
    '*',
    '?',
    '*/',
    '/*',
    'v',
    'go',
    'a',
    '*.',
    '.*',
    'c*',
    '*-',
    '-*',
    'a*b',
    '?b',
    '[a]',
    'x',
    '(',
    '+',
  ],
  ...['\\*', '\\?', '*o', '??', '', 'l*n', '日', 'ü', '.'],
];

/** Makes the Dockerfile of a seed, always the same one; its name is in each of its mounts' ids. */
export function generateDockerfile(seed: number, platform: string): Example {
  const random = createRandom(seed);
  const draft: Draft = {
    random,
    tag: `s${seed}z`,
    escapeToken: random.chance(0.15) ? '`' : '\\',
    isImageBased: random.chance(0.25),
    stages: [],
    runnable: [],
    sharing: random.pick([undefined, undefined, 'shared', 'locked', 'LOCKED', '"locked"']),
    mounts: [],
    buildArgs: new Map(),
    lineBreak: random.chance(0.06) ? '\r\n' : '\n',
    count: 0,
  };
  const isCross = random.chance(0.2);
  const lines = [...head(draft), ...firstStage(draft, isCross)];
  for (let rest = 1 + random.below(3); rest > 0; rest--) lines.push(...stage(draft));
  if (random.chance(0.4)) lines.push(...resultStage(draft));
  return {
    name: draft.tag,
    text: `${lines.join('\n')}\n`.replaceAll('\n', draft.lineBreak),
    target: chooseTarget(draft),
    buildArgs: overrides(draft),
    platforms: isCross ? crossPlatforms(random, platform) : [platform],
  };
}

function crossPlatforms(random: Random, platform: string): string[] {
  const others = ['linux/arm64', 'linux/arm/v7', 'linux/arm64/v8', 'linux/386', 'linux/s390x'];
  const other = random.pick(others);
  return random.chance(0.5) ? [other] : [platform, other];
}

function chooseTarget({ random, stages }: Draft): string | undefined {
  if (random.chance(0.65)) return undefined;
  const name = random.pick(stages);
  return random.pick([name, name.toUpperCase()]);
}

/** What the build command gives, for some that are declared and some that are not. */
function overrides({ random, buildArgs }: Draft): ReadonlyMap<string, string> {
  for (const name of [...variables, ...predefined.slice(0, 2)]) {
    if (random.chance(0.25)) buildArgs.set(name, random.pick(values));
  }
  if (random.chance(0.1)) buildArgs.set('HTTP_PROXY', 'http://proxy.example:3128');
  for (const name of numbers) {
    if (random.chance(0.25)) buildArgs.set(name, String(random.below(5000)));
  }
  if (random.chance(0.1)) {
    buildArgs.set('BUILDKIT_CACHE_MOUNT_NS', random.pick(['ns', 'a/b', 'n s', '/n/']));
  }
  return buildArgs;
}

// --- the parts of the file ---

function head(draft: Draft): string[] {
  const { random } = draft;
  const directive =
    draft.escapeToken === '`'
      ? [random.pick(['# escape=`', '#escape=`', '# Escape = `'])]
      : random.chance(0.1)
        ? ['# escape=\\']
        : [];
  const comment = random.chance(0.3) ? ['# a comment with --mount=type=cache,target=/no'] : [];
  const globals = Array.from({ length: random.below(4) }, () =>
    closed(argument(draft, true), draft),
  );
  return [...directive, ...comment, ...globals, ...(random.chance(0.3) ? [''] : [])];
}

/** The stage that all others get their programs from. */
function firstStage(draft: Draft, isCross: boolean): string[] {
  const { random } = draft;
  const body = instructions(draft, 0.5);
  draft.stages.push('tools');
  draft.runnable.push('tools');
  const platform = isCross ? '--platform=$BUILDPLATFORM ' : '';
  if (!draft.isImageBased) {
    return [`FROM ${platform}scratch AS tools`, 'COPY tools /', ...body];
  }
  return [
    `FROM ${platform}${generatedBaseImage} ${random.pick(['AS', 'as'])} tools`,
    ...variables.map((name) => `ENV ${name}=${quoteWord(random.pick(values), draft)}`),
    ...predefined.map((name) => `ARG ${name}=none`),
    ...numbers.map((name) => `ENV ${name}=${random.below(3000)}`),
    ...body,
  ];
}

function stage(draft: Draft): string[] {
  const { random } = draft;
  const name = `${random.pick(['build', 'deps', 'test', 'x.y'])}-${draft.stages.length}`;
  const parent = random.chance(0.7)
    ? (draft.runnable.at(-1) ?? 'tools')
    : random.pick(draft.runnable);
  const spelled = random.pick([parent, parent, `\${NOT_SET_ANYWHERE:-${parent}}`]);
  const keyword = random.pick(['FROM', 'FROM', 'from', 'From']);
  const body = instructions(draft, 1);
  draft.stages.push(name);
  draft.runnable.push(name);
  return [
    ...(random.chance(0.5) ? [''] : []),
    `${keyword} ${spelled} ${random.pick(['AS', 'as', 'As'])} ${name}`,
    ...body,
  ];
}

/** As images are often made: nothing but what other stages have built. */
function resultStage(draft: Draft): string[] {
  const { random } = draft;
  const sources = draft.runnable.filter(() => random.chance(0.5));
  const copies = sources.map((name) => copyFrom(draft, name));
  draft.stages.push('result');
  return ['FROM scratch AS result', ...copies, 'LABEL a=b'];
}

function copyFrom({ random, stages }: Draft, name: string): string {
  const spelled = random.pick([name, name, String(stages.indexOf(name))]);
  return `COPY --from=${spelled} /bin/sentinel /copied/`;
}

function instructions(draft: Draft, share: number): string[] {
  const { random } = draft;
  const count = Math.round(share * (2 + random.below(4)));
  return Array.from({ length: count }, () => closed(instruction(draft), draft));
}

/** An escape character at the end of the line would take the next line into this one. */
function closed(line: string, { escapeToken }: Draft): string {
  const [, escapes = ''] = (escapeToken === '`' ? /(`*)[ \t]*$/ : /(\\*)[ \t]*$/).exec(line) ?? [];
  return escapes.length % 2 === 0 ? line : `${line}x`;
}

function instruction(draft: Draft): string {
  const { random } = draft;
  const kind = random.below(100);
  if (kind < 45) return run(draft);
  if (kind < 65) return argument(draft, false);
  if (kind < 80) return environment(draft);
  if (kind < 84) return `WORKDIR ${random.pick(['/w', 'sub', '/deep/er'])}`;
  if (kind < 88 && draft.runnable.length > 0) return copyFrom(draft, random.pick(draft.runnable));
  if (kind < 91)
    return `ONBUILD ${random.chance(0.5) ? onBuildRun(draft) : argument(draft, false)}`;
  if (kind < 95 && !hasCrLf(draft)) return fileFromHeredoc(draft);
  return random.pick([
    '# just a comment',
    '',
    'LABEL note="--mount=type=cache,target=/label"',
    'EXPOSE 80',
  ]);
}

/**
 * BuildKit reads the flags of an ONBUILD with a backslash for escape character, whatever the file
 * declares.
 */
function onBuildRun(draft: Draft): string {
  if (draft.escapeToken === '\\') return run(draft, 'sentinel');
  const name = `${draft.tag}onbuild${draft.count++}`;
  return `RUN --mount=type=cache,\\"id=${name}\\",target=/${name} sentinel`;
}

function hasCrLf({ lineBreak }: Draft): boolean {
  return lineBreak !== '\n';
}

/** Its body is no instruction, whatever it looks like. */
function fileFromHeredoc({ random }: Draft): string {
  const [opening, end] = random.pick([
    ['<<EOF', 'EOF'],
    ["<<'EOF'", 'EOF'],
    ['<<"END"', 'END'],
    ['<<-EOF', '\tEOF'],
  ]) as [string, string];
  return [
    `COPY ${opening} /heredoc`,
    'RUN --mount=type=cache,target=/heredoc true',
    'FROM scratch',
    'ARG A=heredoc',
    end,
  ].join('\n');
}

function argument(draft: Draft, isGlobal: boolean): string {
  const { random } = draft;
  const keyword = random.pick(['ARG', 'ARG', 'arg']);
  if (random.chance(0.25)) {
    return `${keyword} ${random.pick(['HTTP_PROXY', ...predefined, ...predefined])}${
      random.chance(0.15) ? '=own' : ''
    }`;
  }
  const names = random.chance(0.2)
    ? [random.pick(variables), random.pick(variables)]
    : [random.pick(variables)];
  const words = names.map((name) =>
    random.chance(isGlobal ? 0.15 : 0.35) ? name : `${name}=${word(draft, 2)}`,
  );
  return `${keyword} ${words.join(random.pick([' ', '  ', ` ${draft.escapeToken}\n  `]))}`;
}

function environment(draft: Draft): string {
  const { random } = draft;
  if (random.chance(0.1)) return `ENV ${random.pick(variables)} ${word(draft, 1)} and more`;
  if (random.chance(0.1)) return `ENV ${random.pick(numbers)}=${random.below(3000)}`;
  const pair = (): string => `${random.pick(variables)}=${word(draft, 2)}`;
  return `ENV ${random.chance(0.3) ? `${pair()} ${pair()}` : pair()}`;
}

// --- RUN ---

function run(draft: Draft, fixedCommand?: string): string {
  const { random } = draft;
  const flags = Array.from({ length: 1 + (random.chance(0.35) ? 1 + random.below(3) : 0) }, () =>
    // Stages that are built at the same time may have the mounts of an ONBUILD.
    newMount(draft, fixedCommand === undefined && random.chance(0.06)),
  );
  const known = new Set(flags.map(({ name }) => name));
  if (draft.mounts.length > 0 && random.chance(0.3)) {
    const again = random.pick(draft.mounts);
    if (!known.has(again.name)) flags.push(again);
  }
  const texts = flags.map(({ flag }) => flag);
  if (random.chance(0.15)) texts.splice(random.below(texts.length + 1), 0, decoy(draft));
  draft.mounts.push(...flags.filter(({ name }) => !name.includes('private')));
  const keyword = random.pick(['RUN', 'RUN', 'RUN', 'run', 'Run']);
  // A backslash that escapes a quote in a flag makes BuildKit overlook a heredoc behind it.
  const withHeredoc = !hasCrLf(draft) && !/[\\`]/.test(texts.join());
  const program = fixedCommand ?? command(draft, withHeredoc);
  return `${keyword} ${texts.map((text) => `${text}${separator(draft)}`).join('')}${program}`;
}

/** A flag that makes no cache mount. */
function decoy({ random, runnable }: Draft): string {
  return random.pick([
    '--network=none',
    '--mount=type=tmpfs,target=/tmpfs',
    '--mount=type=secret,id=nothing,target=/secret',
    ...runnable.map((name) => `--mount=type=bind,from=${name},target=/bound`),
    ...runnable.slice(0, 1).map((name) => `--mount=from=${name},target=/bound,readonly`),
    '--mount=type=bind,target=/context',
  ]);
}

function separator({ random, escapeToken }: Draft): string {
  const comment = '    # --mount=type=cache,target=/comment\n';
  return random.pick([
    ' ',
    ' ',
    ` ${escapeToken}\n    `,
    ` ${escapeToken}\n    `,
    `  ${escapeToken}  \n\t`,
    ` ${escapeToken}\n${comment}    `,
    ` ${escapeToken}\n${comment}#\n  # two ${escapeToken}\n    `,
    ` ${escapeToken}\n\n    `,
  ]);
}

function command(draft: Draft, withHeredoc: boolean): string {
  const { random } = draft;
  const choice = random.below(10);
  if (choice === 0) return '["sentinel", "--mount=type=cache,target=/exec"]';
  if (choice === 1)
    return `sentinel &&${draft.escapeToken}\n  # comment\n  : --mount=type=cache,target=/argument`;
  if (choice > 3 || !withHeredoc) return 'sentinel';
  return random.pick([
    '<<EOF\nsentinel\n: RUN --mount=type=cache,target=/heredoc\nEOF',
    "sh <<'EOF' && true\nsentinel\n# --mount=type=cache,target=/heredoc \\\nEOF",
    '<<-EOF\n\tsentinel\n\t: --mount=type=cache,target=/heredoc\n\tEOF',
    'cat <<A <<B && sentinel\nFROM scratch\nA\nRUN --mount=type=cache,target=/b\nB',
  ]);
}

function newMount(draft: Draft, isPrivate: boolean): MountText {
  const { random, tag } = draft;
  const number = draft.count++;
  const isReadOnly = random.chance(0.06);
  const own = `${number}${isReadOnly ? readOnlyMark : ''}`;
  const name = `${isPrivate ? 'private' : 'mount'}${number}`;
  const fields = [
    `${key(draft, 'type')}=${random.chance(0.05) ? '"cache"' : random.pick(['cache', 'cache', 'cache', 'CACHE'])}`,
    `${targetKey(draft)}=${targetText(draft, own)}`,
    ...(random.chance(0.65) ? [`${key(draft, 'id')}=${idText(draft, own)}`] : []),
    ...(random.chance(0.03) ? [`id=`] : []),
    ...ownership(draft),
    ...sharing(draft, isPrivate),
    ...(isReadOnly ? [random.pick(['ro', 'readonly', 'ro=true', 'readonly=1', 'RO'])] : []),
    ...(!isReadOnly && random.chance(0.04) ? [random.pick(['rw', 'rw=true', 'ro=false'])] : []),
  ];
  if (!fields.join().includes(tag)) throw new Error(`no tag in ${fields.join()}`);
  return { name, flag: mountFlag(draft, shuffle(fields, random)) };
}

function targetKey(draft: Draft): string {
  return key(draft, draft.random.pick(['target', 'target', 'dst', 'destination']));
}

function key({ random }: Draft, name: string): string {
  return random.chance(0.08)
    ? random.pick([name.toUpperCase(), `${name[0]?.toUpperCase()}${name.slice(1)}`])
    : name;
}

function targetText(draft: Draft, own: string): string {
  const { random, tag } = draft;
  const start = random.pick(['/', '/', '/', '/', '', './', '//', '/./']);
  const end = random.pick(['', '', '', '/', '//', '/.']);
  const middle = random.chance(0.3) ? `/${word(draft, 1)}` : '';
  return `${start}${tag}/t${own}${middle}${end}`;
}

function idText(draft: Draft, mark: string): string {
  const { random, tag } = draft;
  const own = `${tag}${mark}`;
  return random.pick([
    () => own,
    () => `${own}-${word(draft, 2)}`,
    // Right behind a `$NAME` it would belong to the name.
    () => `${word(draft, 2)}.${own}`,
    () => `${word(draft, 2)}-${own}/${word(draft, 1)}`,
    () => `"${own} ${doubleQuoted(draft, 1)}"`,
    () => `/${own}/`,
  ])();
}

function ownership(draft: Draft): string[] {
  const { random, isImageBased } = draft;
  if (random.chance(0.6)) return [];
  const owner = (variable: string): string =>
    random.pick([
      '0',
      '1000',
      '1001',
      '0100',
      `\${${variable}:-1000}`,
      `\${${variable}:+7}0`,
      '"1000"',
    ]);
  const modes = [
    '0755',
    '755',
    '0700',
    '1777',
    '02775',
    '"0750"',
    isImageBased ? '711' : '${NOT_SET_ANYWHERE:-0711}',
    '7',
  ];
  return [
    ...(random.chance(0.6) ? [`${key(draft, 'uid')}=${owner('UID_')}`] : []),
    ...(random.chance(0.4) ? [`${key(draft, 'gid')}=${owner('gid')}`] : []),
    ...(random.chance(0.4) ? [`${key(draft, 'mode')}=${random.pick(modes)}`] : []),
  ];
}

/** One mode for all mounts of a file that can be in use at once: a mix of modes forks a mount. */
function sharing(draft: Draft, isPrivate: boolean): string[] {
  const mode = isPrivate ? 'private' : draft.sharing;
  return mode === undefined ? [] : [`${key(draft, 'sharing')}=${mode}`];
}

function shuffle<T>(items: readonly T[], random: Random): T[] {
  const rest = [...items];
  return items.flatMap(() => rest.splice(random.below(rest.length), 1));
}

// --- the three layers that an option passes: first written as a word, then CSV, then for the lexer ---

function mountFlag(draft: Draft, fields: readonly string[]): string {
  const { random } = draft;
  const record = fields.map((field) => csvField(field, random)).join(',');
  const text = lexerText(record, draft);
  // Within a flag, a line may only be broken where the next begins without white space.
  const broken =
    random.chance(0.06) && !/[\\`\s"']/.test(text)
      ? text.replace(',', `,${draft.escapeToken}\n${random.chance(0.3) ? '# in a flag\n' : ''}`)
      : text;
  return `--mount=${broken}`;
}

function csvField(field: string, random: Random): string {
  if (!/[",\r\n]/.test(field) && !random.chance(0.05)) return field;
  return `"${field.replaceAll('"', '""')}"`;
}

function lexerText(text: string, { random, escapeToken }: Draft): string {
  const isPlain = !/[\s"'\\`]/.test(text);
  if (isPlain ? random.chance(0.85) : random.chance(0.01)) return text;
  const escaped = (special: RegExp): string =>
    [...text]
      .map((char) => (special.test(char) || char === escapeToken ? escapeToken + char : char))
      .join('');
  return random.pick([
    () => escaped(/[\s"']/),
    () => `"${escaped(/"/)}"`,
    () => `'${escaped(/'/)}'`,
  ])();
}

// --- words ---

/** A word as BuildKit's shell-like lexer reads it, with quotes, escapes and variables. */
function word(draft: Draft, depth: number): string {
  const { random } = draft;
  const parts = Array.from({ length: 1 + random.below(3) }, () => part(draft, depth));
  return parts.join('');
}

function part(draft: Draft, depth: number): string {
  const { random, escapeToken } = draft;
  const kind = random.below(20);
  if (kind < 7) return random.pick(plain);
  if (kind < 8) return random.pick(['ü', '日本', 'é', '🎉']);
  if (kind < 9) {
    return `${escapeToken}${random.pick([' ', '$', '"', "'", escapeToken, 'n', 'a', ',', '}', '*'])}`;
  }
  if (kind < 11) return singleQuoted(draft);
  if (kind < 13) return `"${doubleQuoted(draft, depth)}"`;
  return depth > 0 ? variable(draft, depth) : `$${variableName(draft)}`;
}

function singleQuoted({ random }: Draft): string {
  const text = random.pick([
    'a b',
    '$A',
    '${B:-x}',
    'q"q',
    'back\\slash',
    'co,mma',
    '',
    '}',
    'é',
    '`',
  ]);
  return `'${text}'`;
}

function doubleQuoted(draft: Draft, depth: number): string {
  const { random, escapeToken } = draft;
  const piece = (): string =>
    random.pick([
      () => random.pick(plain),
      () => random.pick(['a b', "it's", 'co,mma', '', '}', 'é']),
      () => `${escapeToken}${random.pick(['"', '$', escapeToken, 'n', "'", ' '])}`,
      () => (depth > 0 ? variable(draft, depth - 1) : `$${variableName(draft)}`),
    ])();
  return Array.from({ length: 1 + random.below(2) }, piece).join('');
}

function variableName({ random, isImageBased }: Draft): string {
  if (random.chance(0.2)) return random.pick(predefined);
  if (!isImageBased && random.chance(0.06)) return random.pick(['NOT_SET_ANYWHERE', 'PATH']);
  return random.pick(variables);
}

function variable(draft: Draft, depth: number): string {
  const { random } = draft;
  const name = variableName(draft);
  const inner = (): string => (depth > 1 ? word(draft, depth - 1) : random.pick([...plain, '']));
  const pattern = (): string =>
    random.chance(0.15) ? `$${variableName(draft)}` : random.pick(patterns);
  const replaced = (): string =>
    random.pick(['a', 'o', '.', 'go', '*', '?', '\\/', 'a*', 'b', '-', '日']);
  return random.pick([
    // A digit or letter after it would belong to the name.
    () => `$${name}${random.pick(['', '.', '-', '/'])}`,
    () => `\${${name}}`,
    () => `\${${name}}`,
    () => `\${${name}:-${inner()}}`,
    () => `\${${name}-${inner()}}`,
    () => `\${${name}:+${inner()}}`,
    () => `\${${name}+${inner()}}`,
    () => `\${${name}#${pattern()}}`,
    () => `\${${name}##${pattern()}}`,
    () => `\${${name}%${pattern()}}`,
    () => `\${${name}%%${pattern()}}`,
    () => `\${${name}/${replaced()}/${inner()}}`,
    () => `\${${name}//${replaced()}/${inner()}}`,
    () => `\${${name}:-\${${variableName(draft)}}}`,
  ])();
}

/** A value as one word. */
function quoteWord(value: string, { escapeToken }: Draft): string {
  const escaped = [...value].map((char) =>
    /["$]/.test(char) || char === escapeToken ? `${escapeToken}${char}` : char,
  );
  return `"${escaped.join('')}"`;
}
