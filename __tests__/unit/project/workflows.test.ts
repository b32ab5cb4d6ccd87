import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  convertWorkflowTemplate,
  NoOperationTraceWriter,
  parseWorkflow,
} from '@actions/workflow-parser';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { isScalar, parse, parseDocument, visit } from 'yaml';

type Fields = Readonly<Record<string, unknown>>;

/** A step, or a job that calls a workflow. */
interface Use {
  readonly uses: string;
  readonly with: Fields;
}

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const workflows = filesOf('.github/workflows', /\.ya?ml$/);
const forms = filesOf('.github/ISSUE_TEMPLATE', /\.ya?ml$/).filter((name) => !/config/.test(name));
const documents = ['README.md', 'CONTRIBUTING.md', ...filesOf('docs', /\.md$/)];

/** As the documents name this repository: OWNER/REPO until `scripts/set-repository` has set it. */
const repository = String(parseFields(read('package.json')).repository).replace(/^github:/, '');

/** As GitHub's syntax has them, as far as we have needed them. */
const known = {
  workflow: ['name', 'on', 'permissions', 'concurrency', 'env', 'defaults', 'jobs'],
  job: [
    ...['name', 'needs', 'if', 'permissions', 'runs-on', 'timeout-minutes', 'strategy', 'env'],
    ...['uses', 'with', 'steps', 'outputs', 'concurrency', 'continue-on-error'],
  ],
  step: [
    ...['name', 'id', 'if', 'uses', 'with', 'run', 'shell', 'env', 'working-directory'],
    ...['continue-on-error', 'timeout-minutes'],
  ],
};

function filesOf(directory: string, pattern: RegExp): string[] {
  if (!existsSync(join(root, directory))) return [];
  return readdirSync(join(root, directory))
    .filter((name) => pattern.test(name))
    .map((name) => `${directory}/${name}`);
}

function read(name: string): string {
  return readFileSync(join(root, name), 'utf8');
}

/** @throws Error for what YAML or GitHub would not take, duplicate keys among it */
function parseFields(text: string): Fields {
  const value: unknown = parse(text, { strict: true });
  if (!isFields(value)) throw new Error('It is no mapping.');
  return value;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fieldsOf(value: unknown): Fields {
  if (value === undefined) return {};
  if (!isFields(value)) throw new Error(`It is no mapping: ${JSON.stringify(value)}`);
  return value;
}

function listOf(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(fieldsOf) : [];
}

function jobsOf(workflow: string): [name: string, job: Fields][] {
  return Object.entries(fieldsOf(parseFields(read(workflow)).jobs)).map(([name, job]) => [
    name,
    fieldsOf(job),
  ]);
}

/** All that has a `uses`, however deep it stands. */
function usesIn(value: unknown): Use[] {
  if (Array.isArray(value)) return value.flatMap(usesIn);
  if (!isFields(value)) return [];
  const own =
    typeof value.uses === 'string' ? [{ uses: value.uses, with: fieldsOf(value.with) }] : [];
  return [...own, ...Object.values(value).flatMap(usesIn)];
}

/** Each `uses` with the comment behind it. */
function usesWithComments(text: string): { uses: string; comment: string }[] {
  const found: { uses: string; comment: string }[] = [];
  visit(parseDocument(text), {
    Pair(_, { key, value }) {
      if (isScalar(key) && key.value === 'uses' && isScalar(value)) {
        found.push({ uses: String(value.value), comment: value.comment?.trim() ?? '' });
      }
    },
  });
  return found;
}

/** What is wrong with what an action of ours is given. */
function findWrongInputs(directory: string, given: Fields): string[] {
  const inputs = fieldsOf(parseFields(read(join(directory, 'action.yml'))).inputs);
  const required = Object.keys(inputs).filter((name) => fieldsOf(inputs[name]).required === true);
  return [
    ...Object.keys(given).flatMap((name) => (name in inputs ? [] : `there is no input ${name}`)),
    ...required.flatMap((name) => (name in given ? [] : `the input ${name} is missing`)),
  ];
}

/** Outputs of steps that an expression names, where the job has no such step or output. */
function findWrongOutputs(job: Fields): string[] {
  const steps = new Map(listOf(job.steps).map((step) => [step.id, String(step.uses ?? '')]));
  const names = JSON.stringify(job).matchAll(/\bsteps\.([\w-]+)\.outputs\.([\w-]+)/g);
  return [...names].flatMap(([text, id = '', output = '']) => {
    const uses = steps.get(id);
    if (uses === undefined) return text;
    if (!uses.startsWith('./')) return [];
    const { outputs } = parseFields(read(join(uses, 'action.yml')));
    return output in fieldsOf(outputs) ? [] : text;
  });
}

/** What GitHub's own parser has against a workflow: keys, values, expressions and contexts. */
async function findErrors(name: string, content: string): Promise<string[]> {
  const { context, value } = parseWorkflow({ name, content }, new NoOperationTraceWriter());
  if (value) await convertWorkflowTemplate(context, value);
  return context.errors.getErrors().map(({ message }) => message);
}

function isReadOnly(permissions: unknown): boolean {
  return (
    isFields(permissions) &&
    Object.values(permissions).every((access) => access === 'read' || access === 'none')
  );
}

test('there are the workflows, forms and documents that the tests below are about', () => {
  expect(workflows.map((name) => name.replace(/.*\//, '')).sort()).toEqual(
    expect.arrayContaining(['check-dist.yml', 'ci.yml', 'release.yml']),
  );
  expect(forms.length).toBeGreaterThanOrEqual(2);
  expect(documents.flatMap(snippetsOf).flatMap(({ text }) => usesIn(parse(text)))).not.toEqual([]);
});

describe.each(workflows)('%s', (workflow) => {
  const text = read(workflow);
  const all = parseFields(text);
  const jobs = jobsOf(workflow);

  test('is one for the parser of GitHub', async () => {
    expect(await findErrors(workflow, text)).toEqual([]);
  });

  test('has only keys that GitHub knows', () => {
    const unknown = [
      ...Object.keys(all).filter((key) => !known.workflow.includes(key)),
      ...jobs.flatMap(([, job]) => Object.keys(job).filter((key) => !known.job.includes(key))),
      ...jobs
        .flatMap(([, { steps }]) => listOf(steps))
        .flatMap((step) => Object.keys(step).filter((key) => !known.step.includes(key))),
    ];
    expect(unknown).toEqual([]);
    expect(jobs.length).toBeGreaterThan(0);
  });

  test('can only read, but for the job that releases', () => {
    expect(isReadOnly(all.permissions)).toBe(true);
    for (const [name, { permissions }] of jobs) {
      if (workflow.endsWith('/release.yml') && name === 'release') {
        expect(permissions).toEqual({ contents: 'write' });
      } else if (permissions !== undefined) {
        expect([name, isReadOnly(permissions)]).toEqual([name, true]);
      }
    }
  });

  test('keeps no credentials', () => {
    for (const [name, job] of jobs) {
      const checkouts = usesIn(job).filter(({ uses }) => uses.startsWith('actions/checkout@'));
      for (const checkout of checkouts) {
        expect([name, checkout.with['persist-credentials']]).toEqual([name, false]);
      }
    }
  });

  test('pins the actions of others by commit, with the version as a comment', () => {
    const found = usesWithComments(text);
    expect(found.length).toBe(usesIn(all).length);
    for (const { uses, comment } of found) {
      if (uses.startsWith('./')) continue;
      expect(`${uses} # ${comment}`).toMatch(/^[\w.-]+(\/[\w.-]+)+@[0-9a-f]{40} # v\d+(\.\d+)*$/);
    }
  });

  test('gives what is used from this repository only what it declares, and all it requires', () => {
    const wrong = usesIn(all)
      .filter(({ uses }) => uses.startsWith('./'))
      .flatMap((use) => {
        if (!existsSync(join(root, use.uses))) return [`${use.uses} is not there`];
        if (/\.ya?ml$/.test(use.uses)) {
          const on = fieldsOf(parseFields(read(use.uses)).on);
          const inputs = fieldsOf(fieldsOf(on.workflow_call ?? undefined).inputs);
          return [
            ...('workflow_call' in on ? [] : [`${use.uses} cannot be called`]),
            ...Object.keys(use.with).filter((name) => !(name in inputs)),
          ];
        }
        return findWrongInputs(use.uses, use.with).map((problem) => `${use.uses}: ${problem}`);
      });
    expect(wrong).toEqual([]);
  });

  test('names only steps and outputs that are there', () => {
    for (const [name, job] of jobs) {
      expect([name, findWrongOutputs(job)]).toEqual([name, []]);
    }
    const names = jobs.map(([name]) => name);
    expect(names).toEqual(expect.arrayContaining(jobs.flatMap(([, { needs }]) => needs ?? [])));
  });

  test('starts only scripts that are there', () => {
    const started = [...text.matchAll(/(?<![\w/.])(?:\.\/)?((?:\.github\/)?scripts\/[\w./-]+)/g)];
    for (const [, name = ''] of started)
      expect([name, existsSync(join(root, name))]).toEqual([name, true]);
  });

  test('gives each job a time limit', () => {
    for (const [name, job] of jobs) {
      // A called workflow has those of its own jobs.
      if (typeof job.uses === 'string' && job.uses.startsWith('./')) continue;
      expect([name, typeof job['timeout-minutes']]).toEqual([name, 'number']);
    }
  });

  test('puts no expression into a script, but into its environment', () => {
    const scripts = jobs.flatMap(([, { steps }]) => listOf(steps)).flatMap(({ run }) => run ?? []);
    for (const script of scripts) expect(script).not.toContain('${{');
  });

  test('does not run the code of a pull request with the rights of the repository', () => {
    const on = all.on;
    const events = isFields(on) ? Object.keys(on) : [on].flat();
    expect(events).not.toEqual(expect.arrayContaining(['pull_request_target']));
    expect(events).not.toEqual(expect.arrayContaining(['workflow_run']));
  });
});

test('an action of others is used in one version only', () => {
  const versions = new Map<string, Set<string>>();
  for (const { uses, comment } of workflows.flatMap((name) => usesWithComments(read(name)))) {
    const [action = '', commit] = uses.split('@');
    if (commit === undefined) continue;
    versions.set(action, (versions.get(action) ?? new Set()).add(`${commit} ${comment}`));
  }
  expect([...versions].filter(([, { size }]) => size !== 1)).toEqual([]);
});

test('the workflow of the tests runs the command of the README', () => {
  const runs = jobsOf('.github/workflows/ci.yml').flatMap(([, { steps }]) =>
    listOf(steps).map(({ run }) => String(run ?? '')),
  );
  expect(runs.filter((run) => /^\.\/scripts\/test\b/.test(run))).toHaveLength(1);
  expect(read('README.md')).toContain('```sh\n./scripts/test\n```');
});

test('the two runs of the actions have the same builders and the same key', () => {
  const jobs = Object.fromEntries(jobsOf('.github/workflows/ci.yml'));
  const { actions, 'actions-again': again } = jobs;
  expect(actions?.strategy).toBeDefined();
  expect(again?.strategy).toEqual(actions?.strategy);
  expect(again?.env).toEqual(actions?.env);
});

describe.each(forms)('%s', (file) => {
  const form = parseFields(read(file));

  test('has a name, a description and a body of fields that GitHub knows', () => {
    expect(form.name).toEqual(expect.stringMatching(/\S/));
    expect(form.description).toEqual(expect.stringMatching(/\S/));
    const body = listOf(form.body);
    expect(body.length).toBeGreaterThan(0);
    for (const { type, attributes, ...rest } of body) {
      expect(['markdown', 'input', 'textarea', 'dropdown', 'checkboxes']).toContain(type);
      const { label, value, options } = fieldsOf(attributes);
      expect(type === 'markdown' ? value : label).toEqual(expect.stringMatching(/\S/));
      if (type === 'dropdown')
        expect(options).toEqual(expect.arrayContaining([expect.any(String)]));
      expect(['id', 'validations']).toEqual(expect.arrayContaining(Object.keys(rest)));
    }
    const ids = body.flatMap(({ id }) => id ?? []);
    expect(new Set(ids).size).toBe(ids.length);
    const labels = body.map(({ attributes }) => fieldsOf(attributes).label ?? Symbol('none'));
    expect(new Set(labels).size).toBe(labels.length);
  });
});

test('the form for bugs asks for what the steps print and set, by its name', () => {
  const bug = read('.github/ISSUE_TEMPLATE/bug.yml');
  const printed = ['fill-mounts.ts', 'pack-mounts.ts', 'result-table.ts', 'inject.ts', 'extract.ts']
    .map((name) => read(`src/steps/${name}`))
    .join('\n');
  for (const group of [
    'Cache mounts',
    'Builder',
    'Unpack into the builder',
    'Pack out of the builder',
  ]) {
    expect(bug).toContain(`"${group}"`);
    expect(printed).toMatch(new RegExp(`(logStage|logGroup)\\(\\s*['\`]${group}`));
  }
  for (const action of ['inject', 'extract']) {
    for (const output of Object.keys(fieldsOf(parseFields(read(`${action}/action.yml`)).outputs))) {
      expect(bug).toContain(output);
    }
  }
});

test('the chooser of forms points to the security policy', () => {
  const links = listOf(parseFields(read('.github/ISSUE_TEMPLATE/config.yml')).contact_links);
  expect(links.length).toBeGreaterThan(0);
  for (const { name, url, about } of links) {
    expect([name, about]).toEqual([expect.stringMatching(/\S/), expect.stringMatching(/\S/)]);
    expect(url).toEqual(expect.stringMatching(/^https:\/\//));
  }
  expect(links.map(({ url }) => url)).toContainEqual(expect.stringMatching(/\/SECURITY\.md$/));
  expect(existsSync(join(root, 'SECURITY.md'))).toBe(true);
});

test('Dependabot looks after the packages and the actions, each week, in groups', () => {
  const { version, updates } = parseFields(read('.github/dependabot.yml'));
  expect(version).toBe(2);
  expect(listOf(updates).map((update) => update['package-ecosystem'])).toEqual([
    'npm',
    'github-actions',
  ]);
  for (const { directory, schedule, groups } of listOf(updates)) {
    expect([directory, schedule]).toEqual(['/', { interval: 'weekly' }]);
    expect(Object.keys(fieldsOf(groups)).length).toBeGreaterThan(0);
  }
});

interface Snippet {
  readonly where: string;
  readonly text: string;
}

/** The fenced snippets of YAML, without the indentation of a list that they stand in. */
function snippetsOf(document: string): Snippet[] {
  const lines = read(document).split('\n');
  const snippets: Snippet[] = [];
  for (let index = 0; index < lines.length; index++) {
    const [, indent = '', fence = ''] = /^(\s*)(`{3,}|~{3,})ya?ml\b/.exec(lines[index] ?? '') ?? [];
    if (fence === '') continue;
    const first = index + 1;
    do index++;
    while (index < lines.length && lines[index]?.trim() !== fence);
    const body = lines
      .slice(first, index)
      .map((line) => line.replace(new RegExp(`^${indent}`), ''));
    snippets.push({ where: `${document}:${first}`, text: body.join('\n') });
  }
  return snippets;
}

/**
 * A snippet with what is left out around it: jobs, steps, or inputs of docker/build-push-action.
 * Undefined: it is for another CI system.
 */
function completeWorkflow(text: string): string | undefined {
  const value: unknown = parse(text);
  const indent = (depth: number) => text.replace(/^(?=.)/gm, ' '.repeat(depth));
  const job = 'on: push\njobs:\n  job:\n    runs-on: ubuntu-24.04\n    steps:\n';
  if (Array.isArray(value)) return `${job}${indent(6)}`;
  const fields = fieldsOf(value);
  if (isFields(fields.jobs)) return 'on' in fields ? text : `on: push\n${text}`;
  if (Object.values(fields).some((field) => typeof field === 'object')) return undefined;
  return `${job}      - uses: docker/build-push-action@v7\n        with:\n${indent(10)}`;
}

test('all snippets but those for GitLab and of a Compose file are for GitHub', () => {
  const others = documents
    .flatMap(snippetsOf)
    .filter(({ text }) => completeWorkflow(text) === undefined);
  expect(others.map(({ where }) => where)).toEqual([
    expect.stringMatching(/^docs\/other-ci\.md:/),
    expect.stringMatching(/^docs\/other-ci\.md:/),
    expect.stringMatching(/^docs\/recipes\.md:/),
  ]);
});

test('the parser of GitHub finds what is wrong', async () => {
  const wrong = [
    '- uses: a/b@v1\n  inputs:\n    key: a',
    '- uses: a/b@v1\n  with: key',
    '- run: a\n  uses: a/b@v1',
    '- uses: a/b@v1\n  with:\n    key: ${{ hashfiles }}',
    '- uses: a/b@v1\n  with:\n    key: ${{ matrix.a',
    'jobs:\n  a:\n    strategy:\n      matrix: { a: [1] }\n    steps:\n      - run: a',
  ];
  for (const text of wrong) {
    expect([text, await findErrors('wrong', completeWorkflow(text) ?? '')]).toEqual([
      text,
      [expect.any(String)],
    ]);
  }
});

describe.each(documents)('%s', (document) => {
  const snippets = snippetsOf(document);

  test('has only snippets that the parser of GitHub takes', async () => {
    for (const { where, text } of snippets) {
      const workflow = completeWorkflow(text);
      if (workflow === undefined) continue;
      expect([where, await findErrors(where, workflow)]).toEqual([where, []]);
    }
  });

  test('has only YAML that parses', () => {
    for (const { where, text } of snippets) {
      const { errors, warnings } = parseDocument(text, { strict: true });
      expect([where, errors, warnings]).toEqual([where, [], []]);
    }
  });

  test('gives our actions only inputs that they declare, and all that they require', () => {
    const wrong = snippets.flatMap(({ where, text }) =>
      usesIn(parse(text)).flatMap((use) => {
        const [name = '', version] = use.uses.split('@');
        if (name !== repository && !name.startsWith(`${repository}/`)) return [];
        const directory = name.slice(repository.length + 1);
        // The action at the root may not be there yet.
        if (directory === '' && !existsSync(join(root, 'action.yml'))) return [];
        if (!existsSync(join(root, directory, 'action.yml'))) {
          return [`${where}: ${use.uses} is not there`];
        }
        return [
          ...(version === majorTag() ? [] : [`is used as ${version}, not as ${majorTag()}`]),
          ...findWrongInputs(directory, use.with),
        ].map((problem) => `${where}: ${use.uses}: ${problem}`);
      }),
    );
    expect(wrong).toEqual([]);
  });

  test('names only outputs that our actions have', () => {
    for (const { where, text } of snippets) {
      const all: unknown = parse(text);
      const jobs = isFields(all) && isFields(all.jobs) ? Object.values(all.jobs) : [{ steps: all }];
      for (const { steps } of jobs.map(fieldsOf)) {
        const local = listOf(steps).map((step) => ({
          ...step,
          ...(typeof step.uses === 'string' && { uses: localName(step.uses) }),
        }));
        expect([where, findWrongOutputs({ steps: local })]).toEqual([where, []]);
      }
    }
  });
});

function majorTag(): string {
  return `v${String(parseFields(read('package.json')).version).replace(/\..*/, '')}`;
}

function localName(uses: string): string {
  return uses.startsWith(`${repository}/`)
    ? `./${uses.slice(repository.length + 1).replace(/@.*/, '')}`
    : uses;
}

test('the README names the licence of package.json, and LICENSE is its text', () => {
  expect(parseFields(read('package.json')).license).toBe('Apache-2.0');
  expect(read('README.md')).toContain('[Apache License 2.0](LICENSE)');
  expect(read('LICENSE')).toMatch(/^\s*Apache License\n\s*Version 2\.0,/);
});

describe('CONTRIBUTING.md', () => {
  const text = read('CONTRIBUTING.md');

  test('names only files that are there', () => {
    const names = [...text.matchAll(/`([\w-]+\.ts)`/g)].map(([, name = '']) => name);
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      expect([name, existsSync(join(root, 'src', name))]).toEqual([name, true]);
    }
  });

  test('names only commands of npm that are there', () => {
    const { scripts } = parseFields(read('package.json'));
    const names = [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, name]) => name);
    expect(Object.keys(fieldsOf(scripts))).toEqual(expect.arrayContaining(names));
    expect(names.length).toBeGreaterThan(0);
  });
});

describe('release-notes', () => {
  const directories: string[] = [];
  afterEach(() => {
    for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
  });

  function notes(changelog: string, version: string): string {
    const directory = mkdtempSync(join(tmpdir(), 'notes-'));
    directories.push(directory);
    writeFileSync(join(directory, 'CHANGELOG.md'), changelog);
    return execFileSync(join(root, '.github/scripts/release-notes'), [version], {
      cwd: directory,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  const changelog = [
    ...['# Changelog', '', '## [Unreleased]', '', '## [1.10.0] - 2026-02-01', '', '### Added', ''],
    ...[
      '- Ten.',
      '',
      '## [1.1.0] - 2026-01-31',
      '',
      '- One.',
      '',
      '[1.1.0]: https://x.example',
      '',
    ],
  ].join('\n');

  test('prints what is said of just that version', () => {
    expect(notes(changelog, '1.10.0')).toBe('### Added\n\n- Ten.\n');
    expect(notes(changelog, '1.1.0')).toBe('- One.\n');
  });

  test.each([
    ['that is not there', changelog, '1.1.1'],
    ['whose name is only like it', changelog, '1x10.0'],
    ['that has no date yet', changelog.replace('2026-01-31', 'Unreleased'), '1.1.0'],
    ['of which nothing is said', changelog.replace('- One.', ''), '1.1.0'],
  ])('fails for a version %s', (_, text, version) => {
    expect(() => notes(text, version)).toThrow('CHANGELOG.md');
  });

  test('finds the version of package.json in the changelog, once it has a date', () => {
    const version = String(parseFields(read('package.json')).version);
    const dated = read('CHANGELOG.md').replace(
      new RegExp(`^(## \\[${version.replaceAll('.', '\\.')}\\] - ).*`, 'm'),
      '$12026-01-31',
    );
    expect(notes(dated, version)).toContain('### ');
  });
});

describe('the workflow of a release', () => {
  const jobs = Object.fromEntries(jobsOf('.github/workflows/release.yml'));
  const steps = listOf(jobs.release?.steps);
  const position = (name: string) => steps.findIndex((step) => step.name === name);

  /** The clone of the job; `origin` beside it is what GitHub has. */
  let clone: string;
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'release-'));
    clone = join(directory, 'clone');
    const origin = join(directory, 'origin');
    execFileSync('git', ['init', '--quiet', '--bare', origin]);
    execFileSync('git', ['clone', '--quiet', origin, clone], { stdio: 'ignore' });
    mkdirSync(join(directory, 'bin'));
    mkdirSync(join(directory, 'temp'));
    // Does in origin what the REST API would do, unless it shall refuse.
    writeFileSync(
      join(directory, 'bin/gh'),
      `#!/usr/bin/env bash
set -eu
printf '%s\\n' "$*" >>${directory}/calls
[ "$1" = api ] || exit "\${GH_STATUS-0}"
if [ -n "\${GH_REFUSES-}" ]; then echo "gh: $GH_REFUSES (HTTP 422)" >&2; exit 1; fi
create='^api --silent --method POST repos/octo/cache/git/refs -f ref=(refs/tags/v[0-9]+) -f sha=([0-9a-f]{40})$'
update='^api --silent --method PATCH repos/octo/cache/git/(refs/tags/v[0-9]+) -F force=true -f sha=([0-9a-f]{40})$'
[[ $* =~ $create ]] || [[ $* =~ $update ]]
git -C ${origin} show-ref --verify --quiet "\${BASH_REMATCH[1]}" && is=PATCH || is=POST
[[ $4 = "$is" ]] || { echo "gh: wrong method" >&2; exit 1; }
git -C ${origin} update-ref "\${BASH_REMATCH[1]}" "\${BASH_REMATCH[2]}"
`,
      { mode: 0o755 },
    );
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  function git(...args: string[]): string {
    const identity = ['-c', 'user.name=a', '-c', 'user.email=a@b.example'];
    return execFileSync('git', [...identity, ...args], {
      cwd: clone,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  }

  /** A commit in origin with tags. @returns the commit */
  function commitAs(...tags: string[]): string {
    git('commit', '--quiet', '--allow-empty', '--message', tags.join());
    // Annotated, as a maintainer's may be; the major tag then is not.
    for (const tag of tags) git('tag', '--annotate', '--message', tag, tag);
    git('push', '--quiet', '--force', '--tags', 'origin');
    return git('rev-parse', 'HEAD');
  }

  /** Plays a step as GitHub does, whose shell is `bash -e`. */
  function play(name: string, tag: string, environment: Readonly<Record<string, string>> = {}) {
    const script = join(directory, 'step.sh');
    writeFileSync(script, String(steps[position(name)]?.run));
    const { status, stdout, stderr } = spawnSync('bash', ['-e', script], {
      cwd: clone,
      encoding: 'utf8',
      env: {
        ...process.env,
        PATH: `${join(directory, 'bin')}:${process.env.PATH}`,
        GITHUB_REF_NAME: tag,
        GITHUB_REPOSITORY: 'octo/cache',
        RUNNER_TEMP: join(directory, 'temp'),
        ...environment,
      },
    });
    return { status, stdout, stderr };
  }

  const calls = () => {
    const file = join(directory, 'calls');
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
  };
  const moved = () => git('ls-remote', 'origin', 'refs/tags/v1').split('\t')[0];
  const move = 'Move the major tag';
  const create = 'Create the release';

  test('begins when CI and the check of dist/ have passed for the commit', () => {
    expect(jobs.release?.needs).toEqual(['dist', 'ci']);
    expect(jobs.release?.if).toBeUndefined();
    expect(jobs.ci).toEqual({ uses: './.github/workflows/ci.yml' });
    expect(jobs.dist).toEqual({ uses: './.github/workflows/check-dist.yml' });
    for (const [, job] of ['ci.yml', 'check-dist.yml'].flatMap((name) =>
      jobsOf(`.github/workflows/${name}`),
    )) {
      expect(JSON.stringify(job)).not.toContain('continue-on-error');
    }
  });

  test('makes the release first, and then moves the major tag, without a push', () => {
    expect(position(create)).toBeGreaterThan(position('The documents name the repository'));
    expect(position('The documents name the repository')).toBeGreaterThan(0);
    expect(position(move)).toBe(position(create) + 1);
    expect(steps.filter((step) => 'if' in step || 'continue-on-error' in step)).toEqual([]);
    for (const { run } of steps) expect(String(run)).not.toMatch(/^\s*git push/m);
  });

  test('makes the major tag for its first release', () => {
    const commit = commitAs('v1.0.0');
    expect(play(move, 'v1.0.0')).toMatchObject({ status: 0, stderr: '' });
    expect(moved()).toBe(commit);
    expect(calls()).toEqual([expect.stringContaining('POST')]);
  });

  test('moves the major tag to a newer release, also where it is annotated', () => {
    commitAs('v1', 'v1.9.0', 'v2.0.0', 'v1.9.1-rc');
    const commit = commitAs('v1.10.0');
    expect(play(move, 'v1.10.0')).toMatchObject({ status: 0, stderr: '' });
    expect(moved()).toBe(commit);
    expect(calls()).toEqual([expect.stringContaining('PATCH')]);
  });

  test('leaves the major tag where there is a newer release, or where it is there', () => {
    commitAs('v1.9.0');
    const commit = commitAs('v1', 'v1.10.0');
    const before = moved();
    expect(play(move, 'v1.9.0')).toMatchObject({
      status: 0,
      stdout: '::notice::v1 stays at v1.10.0, which is newer.\n',
    });
    expect(play(move, 'v1.10.0')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining(`v1 is at ${commit} already`),
    });
    expect(moved()).toBe(before);
    expect(calls()).toEqual([]);
  });

  test('fails with the command to run by hand where GitHub refuses, and that command works', () => {
    commitAs('v1', 'v1.0.0');
    const commit = commitAs('v1.1.0');
    const before = moved();
    const refused = play(move, 'v1.1.0', { GH_REFUSES: 'Reference cannot be updated' });
    expect(refused).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/^::error::v1\.1\.0 is released, .*\n$/),
      stderr: expect.stringContaining('Reference cannot be updated'),
    });
    expect(moved()).toBe(before);
    const [, command = ''] = /Run in a clone: (.*)\n$/.exec(refused.stdout) ?? [];
    execFileSync('bash', ['-e', '-c', command], { cwd: clone, stdio: 'ignore' });
    expect(moved()).toBe(commit);
    // Then a repetition of the job, with a clone of its own, has nothing to do.
    git('fetch', '--quiet', '--tags', '--force', 'origin');
    expect(play(move, 'v1.1.0', { GH_REFUSES: 'no' }).status).toBe(0);
  });

  test('makes a release once', () => {
    expect(play(create, 'v1.0.0', { GH_STATUS: '0' }).stdout).toContain('there already');
    expect(calls()).toEqual(['release view v1.0.0']);
    expect(play(create, 'v1.0.0', { GH_STATUS: '1' }).status).toBe(1);
    expect(calls().slice(1)).toEqual([
      'release view v1.0.0',
      expect.stringMatching(/^release create v1\.0\.0 --verify-tag .*--notes-file .*\/notes\.md$/),
    ]);
  });

  test('stops where the documents have a placeholder for the repository', () => {
    mkdirSync(join(clone, 'scripts'));
    cpSync(join(root, 'scripts/set-repository'), join(clone, 'scripts/set-repository'));
    writeFileSync(join(clone, 'README.md'), '- uses: OWNER/REPO@v1\n');
    writeFileSync(
      join(clone, 'package.json'),
      '{\n  "repository": "github:OWNER/REPO",\n  "a": 1\n}\n',
    );
    git('add', '.');
    const check = 'The documents name the repository';
    const stopped = play(check, 'v1.0.0');
    expect(stopped).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/^::error::Run "scripts\/set-repository octo\/cache",/),
      stderr: expect.stringContaining('README.md:1:'),
    });
    const [, command = ''] = /Run "(.*?)"/.exec(stopped.stdout) ?? [];
    execFileSync('bash', ['-e', '-c', command], { cwd: clone, stdio: 'ignore' });
    expect(play(check, 'v1.0.0')).toEqual({ status: 0, stdout: '', stderr: '' });
  });
});
