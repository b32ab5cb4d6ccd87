import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { openConsole, printOutputs } from '../../../src/console/console.js';
import { InputError } from '../../../src/lib/errors.js';
import { readSurroundings, type Surroundings } from '../../../src/lib/surroundings.js';
import { extractMounts } from '../../../src/steps/extract.js';
import { readStates, writeState } from '../../../src/steps/handover.js';

const root = resolve(fileURLToPath(import.meta.url), '../../../..');

/** https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows */
const events = [
  ...['branch_protection_rule', 'check_run', 'check_suite', 'create', 'delete', 'deployment'],
  ...['deployment_status', 'discussion', 'discussion_comment', 'fork', 'gollum', 'image_version'],
  ...['issue_comment', 'issues', 'label', 'merge_group', 'milestone', 'page_build'],
  ...['public', 'pull_request', 'pull_request_review', 'pull_request_review_comment'],
  ...['pull_request_target', 'push', 'registry_package', 'release', 'repository_dispatch'],
  ...['schedule', 'status', 'watch', 'workflow_call', 'workflow_dispatch', 'workflow_run'],
];

// A step looks for programs that are not there, which takes its time on a busy machine.

let directory: string;
let printed: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'extract-'));
  printed = '';
  for (const stream of [process.stdout, process.stderr]) {
    jest.spyOn(stream, 'write').mockImplementation((text) => {
      printed += text;
      return true;
    });
  }
});

afterEach(async () => {
  jest.restoreAllMocks();
  await rm(directory, { recursive: true, maxRetries: 5 });
});

/** A runner without docker. */
function surroundingsOf(event: string): Surroundings {
  return {
    ...readSurroundings(),
    env: { PATH: '/nowhere', GITHUB_EVENT_NAME: event },
    isOnGitHub: false,
    workspace: directory,
    temporaryRoot: join(directory, 'temp'),
    summaryFile: undefined,
  };
}

/** @returns what extract has printed */
async function extractWith(
  surroundings: Surroundings,
  inputs: Readonly<Record<string, string>>,
): Promise<string> {
  openConsole(surroundings);
  await extractMounts(
    surroundings,
    (name) => inputs[name] ?? '',
    () => directory,
  );
  printOutputs();
  return printed;
}

/** @returns whether extract has begun to work */
async function extract(event: string, save: string): Promise<boolean> {
  const surroundings = surroundingsOf(event);
  openConsole(surroundings);
  await writeState(surroundings, { key: 'k', mounts: [{ id: 'm' }], restoreKeys: [] });
  const inputs = new Map(Object.entries({ directory: 'store', save }));
  let isWorking = false;
  await extractMounts(
    surroundings,
    (name) => inputs.get(name) ?? '',
    () => {
      isWorking = true;
      throw new Error('the runner has no room');
    },
  );
  printOutputs();
  return isWorking;
}

/** What the README's expression is, of an event. */
function evaluate(event: string): string {
  const text = readFileSync(join(root, 'README.md'), 'utf8');
  const name = /^ {4}save: \$\{\{ github\.event_name != '(\w+)' \}\}/m.exec(text)?.[1];
  expect(name).toBeDefined();
  return String(event !== name);
}

describe.each(events)('of an event %s', (event) => {
  test.each<[save: string, isSaved: boolean]>([
    ['', true],
    ['true', true],
    ['false', false],
    ['as in the README', event !== 'pull_request'],
  ])('save %j decides alone: %j', async (given, isSaved) => {
    const save = given === 'as in the README' ? evaluate(event) : given;
    expect(await extract(event, save)).toBe(isSaved);
    const line = 'Nothing is saved: save is false.\n';
    if (isSaved) expect(printed).not.toContain(line);
    else expect(printed.replaceAll(/^(saved|saved-bytes|reason)=.*\n/gm, '')).toBe(line);
    expect(printed).toMatch(/^saved=false$/m);
    // Nothing is left for a later extract to wonder about.
    expect(await readdir(join(directory, 'temp')).catch(() => [])).toEqual([]);
  });
});

describe('a build that went well stays so', () => {
  const state = (key: string) => ({
    key,
    job: '1/1/build',
    mounts: [{ id: key }],
    restoreKeys: [],
  });
  const inputs = { directory: 'store' };
  let surroundings: Surroundings;

  beforeEach(() => {
    surroundings = { ...surroundingsOf('push'), job: '1/1/build' };
  });

  test('if there are several injects, and the builder does not tell which is meant', async () => {
    await writeState(surroundings, state('a'));
    await writeState(surroundings, state('b'));
    const text = await extractWith(surroundings, inputs);
    expect(text).toMatch(
      /^warning: This job has several injects \([ab], [ab]\): give the input key/m,
    );
    expect(text).toMatch(/^reason=This job has several injects/m);
    // Each of them may still be extracted.
    expect(await readStates(surroundings)).toHaveLength(2);
  });

  test('if an earlier job has left something: that is none of this job', async () => {
    await writeState({ ...surroundings, job: '0/1/build' }, { ...state('old'), job: '0/1/build' });
    await writeState(surroundings, state('new'));
    const text = await extractWith(surroundings, inputs);
    expect(text).not.toContain('several injects');
    expect(text).toContain('Cache mounts (1)\nnew\n');
  });

  test('if no inject has run, and there is no Dockerfile', async () => {
    const text = await extractWith(surroundings, {});
    expect(text).toMatch(/^warning: No inject has run before in this job, .*no Dockerfile/m);
    expect(text).toMatch(/^saved=false$/m);
  });

  test('if no inject has run: the key is made of the Dockerfile', async () => {
    await writeFile(
      join(directory, 'Dockerfile'),
      'FROM a\nRUN --mount=type=cache,id=m,target=/c x',
    );
    const text = await extractWith(surroundings, inputs);
    expect(text).toContain('Cache mounts (1)\nm\n');
    expect(text).toMatch(/^warning: /m);
  });

  test('but a wrong input is an error', async () => {
    const wrong = extractWith(surroundings, { ...inputs, context: 'nowhere' });
    await expect(wrong).rejects.toThrow(InputError);
  });
});

test('what inject has left more than a day ago is removed by the next', async () => {
  const surroundings = surroundingsOf('push');
  const root = join(surroundings.temporaryRoot, 'buildkit-cache-mounts-state');
  await writeState(surroundings, { key: 'old', mounts: [], restoreKeys: [] });
  const [old = ''] = await readdir(root);
  const dayAgo = new Date(Date.now() - 25 * 60 * 60 * 1000);
  await utimes(join(root, old), dayAgo, dayAgo);
  await writeState(surroundings, { key: 'new', mounts: [], restoreKeys: [] });
  expect(await readStates(surroundings)).toMatchObject([{ key: 'new' }]);
  expect(await readdir(root)).toHaveLength(1);
});
