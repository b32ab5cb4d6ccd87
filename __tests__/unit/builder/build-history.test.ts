import { describe, expect, test } from '@jest/globals';
import { isCachedMount, parseHistory, parseProgress } from '../../../src/builder/build-history.js';

/** Two lines of buildx 0.29.1 with BuildKit 0.25.2, the second changed to one that still runs. */
const listed = `{"cached_steps":4,"completed_at":"2026-11-27T23:36:28.324469037Z","completed_steps":7,"created_at":"2026-11-27T23:36:28.281147295Z","name":"ctx2","ref":"b/b0/njiyq85qkb2jn8o8c3cgkxdoy","status":"Completed","total_steps":7}
{"cached_steps":0,"completed_steps":3,"created_at":"2026-11-27T23:36:26.23658334Z","name":"","ref":"b/b0/sg2g","status":"Running","total_steps":7}
`;

test('the history of a builder', () => {
  expect(parseHistory(listed)).toEqual([
    {
      ref: 'b/b0/njiyq85qkb2jn8o8c3cgkxdoy',
      name: 'ctx2',
      status: 'Completed',
      startedAt: Date.UTC(2026, 10, 27, 23, 36, 28, 281),
      endedAt: Date.UTC(2026, 10, 27, 23, 36, 28, 324),
      cachedSteps: 4,
    },
    {
      ref: 'b/b0/sg2g',
      name: '',
      status: 'Running',
      startedAt: Date.UTC(2026, 10, 27, 23, 36, 26, 236),
      endedAt: undefined,
      cachedSteps: 0,
    },
  ]);
  expect(parseHistory('')).toEqual([]);
});

test.each([
  'BUILD ID   NAME',
  '[]',
  '{"ref":"a","status":"Completed"}',
  '{"ref":"a","status":"Completed","created_at":"yesterday"}',
  '{"created_at":"2026-11-27T23:36:26Z","status":"Completed"}',
])('no history: %s', (text) => {
  expect(() => parseHistory(text)).toThrow();
});

test('the steps of a build, each as often as its progress is told', () => {
  const progress = `{"vertexes":[{"digest":"sha256:1","name":"[x 1/2] COPY tools /"},{"name":"[x 2/2] RUN --mount=type=cache,target=/c make"}]}
{"vertexes":[{"digest":"sha256:1","name":"[x 1/2] COPY tools /","cached":true}]}
{"statuses":[{"id":"x"}]}
`;
  expect(parseProgress(progress)).toEqual([
    { name: '[x 1/2] COPY tools /', isCached: false },
    { name: '[x 2/2] RUN --mount=type=cache,target=/c make', isCached: false },
    { name: '[x 1/2] COPY tools /', isCached: true },
  ]);
});

describe('a RUN with a cache mount that the layer cache has answered', () => {
  test.each([
    ['[x 2/2] RUN --mount=type=cache,target=/c make', true],
    ['[x 2/2] RUN --network=none --mount=target=/c,type=cache make', true],
    [
      '[x 2/2] RUN --mount=type=bind,target=/s --mount=type=cache,target=/c <<E (echo\nhello)',
      true,
    ],
    ['RUN --mount=type=cache,target=/c make', true],
    ['[x 2/2] RUN make', false],
    ['[x 2/2] RUN --mount=type=bind,target=/c make', false],
    ['[x 2/2] RUN --mount=type=bind,target=/c echo type=cache', false],
    ['[x 1/2] COPY --from=cache /a /b', false],
  ])('%s: %s', (name, expected) => {
    expect(isCachedMount({ name, isCached: true })).toBe(expected);
    expect(isCachedMount({ name, isCached: false })).toBe(false);
  });
});
