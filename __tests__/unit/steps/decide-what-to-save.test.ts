import { describe, expect, test } from '@jest/globals';
import type { MountReport } from '../../../src/builder/mount-report.js';
import type { Archive } from '../../../src/entry/manifest.js';
import { type Decision, decide, type MountFacts } from '../../../src/steps/decide-what-to-save.js';
import { listToMove, type ReuseFacts, reuseArchives } from '../../../src/steps/reuse-archives.js';

function archive(number: number, entryKey: string, compressedBytes: number): Archive {
  const file = `${String(number).padStart(32, '0')}.tar.zst`;
  const size = { files: 1, bytes: 10 * compressedBytes, compressedBytes };
  return { file, entryKey, compression: 'zstd', ...size, sha256: '0'.repeat(64) };
}

const mount = { id: 'go' };
const full = archive(1, 'k-1', 1000);
const contents = { compression: 'zstd', files: 1, bytes: 10, seconds: 1 } as const;

/** All that each column of the table below can say. */
const columns = {
  report: {
    absent: { exists: false, report: undefined },
    silent: { exists: true, report: undefined },
    failed: { exists: true, report: { result: 'failed', seconds: 1 } },
    unusable: { exists: true, report: { result: 'unusable', missing: 'GNU tar', seconds: 1 } },
    empty: { exists: true, report: { result: 'empty', seconds: 1 } },
    packed: { exists: true, report: { result: 'packed', ...contents } },
    obstacle: {
      exists: true,
      report: { result: 'packed', obstacle: 'size', ...contents, bytes: 1_000_000 },
    },
    changed: { exists: true, report: { result: 'changed', ...contents } },
    unchanged: { exists: true, report: { result: 'unchanged', seconds: 1 } },
  } satisfies Record<string, { exists: boolean; report: MountReport | undefined }>,
  restored: {
    nothing: { restored: undefined, lateKey: undefined },
    'by inject': { restored: { mount, archive: full }, lateKey: undefined },
    late: { restored: { mount, archive: full }, lateKey: 'k-1' },
  },
  refer: { may: { mayRefer: true }, 'may not': { mayRefer: false } },
  hand: { whole: { atHand: [full] }, gone: { atHand: [] } },
  age: {
    same: { age: 'as inject left it' },
    remade: { age: 'made since' },
    unknown: { age: 'unknown' },
  },
  why: { why: { whyInFull: 'it is so' }, no: { whyInFull: undefined } },
} as const;

/** `*` stands for whatever there is; each combination has just one line. */
const table = `
report        | restored  | refer   | hand  | age    | why | becomes           | state                        | reused | message

absent        | nothing   | *       | *     | *      | *   | empty             | absent                       | -      | -
absent        | by inject | may     | *     | *      | *   | kept as restored  | absent, kept as restored     | named  | kept, absent
absent        | by inject | may not | whole | *      | *   | kept as restored  | absent, kept as restored     | moved  | kept, absent
absent        | by inject | may not | gone  | *      | *   | lost              | absent                       | -      | lost, absent
absent        | late      | may     | *     | *      | *   | kept as restored  | absent, kept as restored     | named  | late, absent
absent        | late      | may not | whole | *      | *   | kept as restored  | absent, kept as restored     | moved  | late, absent
absent        | late      | may not | gone  | *      | *   | lost              | absent                       | -      | lost, absent

empty         | nothing   | *       | *     | *      | *   | empty             | empty                        | -      | -
empty         | by inject | may     | *     | *      | *   | kept as restored  | empty, kept as restored      | named  | kept, empty
empty         | by inject | may not | whole | *      | *   | kept as restored  | empty, kept as restored      | moved  | kept, empty
empty         | by inject | may not | gone  | *      | *   | lost              | empty                        | -      | lost, empty
empty         | late      | may     | *     | *      | *   | kept as restored  | empty, kept as restored      | named  | late, empty
empty         | late      | may not | whole | *      | *   | kept as restored  | empty, kept as restored      | moved  | late, empty
empty         | late      | may not | gone  | *      | *   | lost              | empty                        | -      | lost, empty

silent/failed | nothing   | *       | *     | *      | *   | lost              | failed                       | -      | failed
unusable      | nothing   | *       | *     | *      | *   | lost              | failed                       | -      | unusable
silent/failed/unusable | by inject | may     | *     | * | * | kept as restored | failed, kept as restored    | named  | kept, failed
silent/failed/unusable | by inject | may not | whole | * | * | kept as restored | failed, kept as restored    | moved  | kept, failed
silent/failed/unusable | by inject | may not | gone  | * | * | lost             | failed                      | -      | lost, failed
silent/failed/unusable | late      | may     | *     | * | * | kept as restored | failed, kept as restored    | named  | late, failed
silent/failed/unusable | late      | may not | whole | * | * | kept as restored | failed, kept as restored    | moved  | late, failed
silent/failed/unusable | late      | may not | gone  | * | * | lost             | failed                      | -      | lost, failed

packed        | *         | *       | *     | same/unknown | no | packed            | packed                       | -      | -
packed/obstacle | *       | *       | *     | same/unknown | why | packed            | packed                       | -      | in full
obstacle      | *         | *       | *     | same/unknown | no | packed            | packed                       | -      | too much
packed/obstacle | *       | *       | *     | remade | *   | packed            | packed                       | -      | remade

unchanged     | nothing   | *       | *     | *      | *   | lost              | unchanged                    | -      | base lost
unchanged     | by inject/late | may | *    | *      | *   | unchanged         | unchanged                    | named  | -
unchanged     | by inject/late | may not | whole | * | *   | unchanged         | unchanged                    | moved  | -
unchanged     | by inject/late | may not | gone  | * | *   | lost              | unchanged                    | -      | base lost

changed       | nothing   | *       | *     | *      | *   | lost              | changed                      | -      | base lost
changed       | by inject/late | may | *    | *      | *   | delta on restored | changes packed (1 of at most 5) | named | -
changed       | by inject/late | may not | whole | * | *   | delta on restored | changes packed (1 of at most 5) | moved | -
changed       | by inject/late | may not | gone  | * | *   | lost              | changed                      | -      | base lost
`;

const causes =
  'A build with no-cache has wiped it, the builder has dropped it (low disk), or the build has emptied it; if it is to be empty, use another key prefix.';

const messages: Readonly<Record<string, [level: string, text: string]>> = {
  'kept, absent': [
    'warning',
    `The cache mount go was filled by inject and is absent now: what inject has restored is kept. ${causes}`,
  ],
  'kept, empty': [
    'warning',
    `The cache mount go was filled by inject and is empty now: what inject has restored is kept. ${causes}`,
  ],
  'kept, failed': [
    'warning',
    'The cache mount go could not be packed: what inject has restored is kept.',
  ],
  'late, absent': [
    'warning',
    'The cache mount go is absent, and inject could not restore k-1: what that holds of it is kept.',
  ],
  'late, empty': [
    'warning',
    'The cache mount go is empty, and inject could not restore k-1: what that holds of it is kept.',
  ],
  'late, failed': [
    'warning',
    'The cache mount go could not be packed, and inject could not restore k-1: what that holds of it is kept.',
  ],
  'lost, absent': [
    'warning',
    `The cache mount go was filled by inject and is absent now, and what inject has restored is not at hand any more. ${causes}`,
  ],
  'lost, empty': [
    'warning',
    `The cache mount go was filled by inject and is empty now, and what inject has restored is not at hand any more. ${causes}`,
  ],
  'lost, failed': [
    'warning',
    `The cache mount go was filled by inject and is failed now, and what inject has restored is not at hand any more. ${causes}`,
  ],
  failed: ['warning', 'The cache mount go could not be packed (the log says why).'],
  unusable: ['warning', 'The cache mount go could not be packed: there is no GNU tar.'],
  'base lost': [
    'warning',
    'What inject has restored of the cache mount go is not at hand any more, and what has changed since is of no use without it.',
  ],
  'in full': ['log', 'The cache mount go is saved in full: it is so.'],
  'too much': ['log', 'The cache mount go is saved in full: too much of it has changed.'],
  remade: [
    'notice',
    'The cache mount go is not the one that inject has filled: it was made anew since, by a build with no-cache or after the builder had dropped it. It is saved as it is now.',
  ],
};

const names = Object.keys(columns) as (keyof typeof columns)[];

const [, ...lines] = table
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => line.split('|').map((cell) => cell.trim()));

/** Every combination of what the columns can say, a word for each. */
const combinations = names.reduce<string[][]>(
  (some, name) =>
    some.flatMap((words) => Object.keys(columns[name]).map((word) => [...words, word])),
  [[]],
);

function factsOf(words: readonly string[]): MountFacts {
  const said = names.map((name, index) => {
    const meanings: Readonly<Record<string, Partial<MountFacts>>> = columns[name];
    return meanings[words[index] ?? ''];
  });
  return Object.assign({ mount, maximum: 5 }, ...said);
}

function linesFor(words: readonly string[]): string[][] {
  return lines.filter((line) =>
    words.every((word, index) => line[index] === '*' || line[index]?.split('/').includes(word)),
  );
}

function summarize(decision: Decision): unknown {
  const { becomes, state, message } = decision;
  const moved = 'reused' in decision ? decision.reused.map(({ isMoved }) => isMoved) : [];
  const reused = moved.map((isMoved) => (isMoved ? 'moved' : 'named')).join() || '-';
  return { becomes, state, reused, message: message && [message.level, message.text] };
}

test('the table has each combination once, and no line that none of them has', () => {
  expect(combinations).toHaveLength(9 * 3 * 2 * 2 * 3 * 2);
  const counts = combinations.map((words) => [words.join(), linesFor(words).length]);
  expect(counts.filter(([, count]) => count !== 1)).toEqual([]);
  const used = new Set(combinations.flatMap(linesFor));
  expect(lines.filter((line) => !used.has(line))).toEqual([]);
  const told = new Set(lines.map((line) => line.at(-1)));
  expect(Object.keys(messages).filter((name) => !told.has(name))).toEqual([]);
});

test.each(lines.map((line) => [line.join(' | '), line] as const))('%s', (_, line) => {
  const [becomes, state, reused, message = ''] = line.slice(names.length);
  const matching = combinations.filter((words) => linesFor(words).includes(line));
  for (const words of matching) {
    const expected = { becomes, state, reused, message: messages[message] };
    if (message !== '-') expect(expected.message).toBeDefined();
    expect({ words, ...Object(summarize(decide(factsOf(words)))) }).toEqual({ words, ...expected });
  }
});

test('that all of a tiny mount was packed needs no line, unless it was decided before', () => {
  const report = { result: 'packed', obstacle: 'size', ...contents, bytes: 999_999 } as const;
  const facts = factsOf(['obstacle', 'by inject', 'may', 'whole', 'same', 'no']);
  expect(decide({ ...facts, report }).message).toBeUndefined();
  expect(decide({ ...facts, report: { ...report, obstacle: 'tar' } }).message).toBeDefined();
  expect(decide({ ...facts, report, whyInFull: 'it is so' }).message).toBeDefined();
});

test.each([
  [
    'absent',
    undefined,
    'absent',
    `The cache mount go was filled by inject and is absent now. ${causes}`,
  ],
  [
    'empty',
    undefined,
    'empty',
    `The cache mount go was filled by inject and is empty now. ${causes}`,
  ],
  ['failed', undefined, 'failed', 'The cache mount go could not be packed (the log says why).'],
  ['unusable', 'k-1', 'failed', 'The cache mount go could not be packed: there is no GNU tar.'],
  ['empty', 'k-1', 'empty', 'The cache mount go is empty, and inject could not restore k-1.'],
] as const)(
  'nothing of a mount that is %s is kept if nothing is saved',
  (builder, lateKey, state, text) => {
    const words = [builder, 'by inject', 'may', 'whole', 'same', 'no'];
    const decision = decide({ ...factsOf(words), lateKey });
    expect(decision).toMatchObject({ ifNothingIsSaved: { state, text } });
  },
);

test.each([
  ['absent', 'may', 'gone', 'kept as restored', 'log', 'What was saved is kept.'],
  ['empty', 'may not', 'whole', 'kept as restored', 'log', 'What was saved is kept.'],
  ['absent', 'may not', 'gone', 'lost', 'warning', 'What was saved is not at hand any more.'],
] as const)(
  'a mount that was begun anew, and is %s: %s refer, archives %s',
  (builder, refer, hand, becomes, level, end) => {
    const restored = { mount, archive: full, exceeds: 1 };
    const decision = decide({
      ...factsOf([builder, 'by inject', refer, hand, 'unknown', 'no']),
      restored,
    });
    const start = `The cache mount go was begun anew, and is ${builder} now: the build has not filled it.`;
    expect(decision).toMatchObject({ becomes, message: { level, text: `${start} ${end}` } });
    if (decision.becomes === 'kept as restored') {
      expect(decision.ifNothingIsSaved).toEqual({ state: builder, text: start });
    }
  },
);

describe('of what was restored with changes', () => {
  const older = archive(2, 'k-2', 50);
  const newer = archive(3, 'k-3', 60);
  const newest = archive(4, 'k-3', 40);
  const large = archive(5, 'k-3', 41);
  const packed: MountReport = { result: 'packed', ...contents };
  const changed: MountReport = { result: 'changed', ...contents };
  const unchanged: MountReport = { result: 'unchanged', seconds: 1 };

  function reuse(deltas: readonly Archive[], facts: ReuseFacts): unknown {
    const restored = { mount, archive: full, deltas };
    const reused = reuseArchives(restored, facts);
    return {
      toLookAt: listToMove(restored, facts),
      moved: reused?.flatMap((each) => (each.isMoved ? each.archive : [])) ?? 'lost',
    };
  }

  const all = [full, older, newer, newest];
  test.each<
    [
      name: string,
      deltas: Archive[],
      facts: ReuseFacts,
      toLookAt: Archive[],
      moved: Archive[] | 'lost',
    ]
  >([
    [
      'small ones of the last entry are saved again with the next',
      [older, newer, newest],
      { report: changed, mayRefer: true, atHand: [newer, newest] },
      [newer, newest],
      [newer, newest],
    ],
    [
      'they are named if they are not at hand',
      [older, newer, newest],
      { report: changed, mayRefer: true, atHand: [newer] },
      [newer, newest],
      [newer],
    ],
    [
      'they are named if they are larger than a tenth of the whole together',
      [older, newer, large],
      { report: changed, mayRefer: true, atHand: [newer, large] },
      [],
      [],
    ],
    [
      'all are named if nothing has changed',
      [older, newer, newest],
      { report: unchanged, mayRefer: true, atHand: all },
      [],
      [],
    ],
    [
      'all are named if the mount is gone',
      [older, newer, newest],
      { report: undefined, mayRefer: true, atHand: all },
      [],
      [],
    ],
    [
      'all are moved if none may be named',
      [older, newer, newest],
      { report: unchanged, mayRefer: false, atHand: all },
      all,
      all,
    ],
    [
      'without one of them the others are of no use',
      [older, newer, newest],
      { report: unchanged, mayRefer: false, atHand: [full, older, newer] },
      all,
      'lost',
    ],
    [
      'none is looked at if the mount was packed in full',
      [older, newer, newest],
      { report: packed, mayRefer: false, atHand: [] },
      [],
      'lost', // nobody asks
    ],
  ])('%s', (_, deltas, facts, toLookAt, moved) => {
    expect(reuse(deltas, facts)).toEqual({ toLookAt, moved });
  });

  test('the next is counted with them', () => {
    const restored = { mount, archive: full, deltas: [older, newer] };
    const facts = { report: changed, restored, mayRefer: true, atHand: [], maximum: 5 };
    const others = {
      exists: true,
      age: 'unknown' as const,
      whyInFull: undefined,
      lateKey: undefined,
    };
    expect(decide({ mount, ...facts, ...others }).state).toBe('changes packed (3 of at most 5)');
  });
});
