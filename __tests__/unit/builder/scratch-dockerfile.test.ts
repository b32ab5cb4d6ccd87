import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  renderScratchDockerfile,
  type ScratchBase,
} from '../../../src/builder/scratch-dockerfile.js';
import type { StageText } from '../../../src/dockerfile/stages.js';
import type { CacheMount } from '../../../src/mounts/cache-mount.js';

const runnerBase: ScratchBase = { kind: 'runner', directories: ['bin', 'lib64'] };
const imageBase: ScratchBase = { kind: 'image', image: 'debian:12' };

function render(
  base: ScratchBase,
  mounts: readonly CacheMount[],
  withArchives = true,
  seedStages?: StageText,
) {
  return renderScratchDockerfile(
    base,
    mounts.map((mount, index) => ({ index, mount, argument: `${index}.tar.zst` })),
    { nonce: 'unique', withArchives, seedStages },
  );
}

describe('the text', () => {
  test('for the runner’s own programs, and mounts of every kind', () => {
    const mounts: CacheMount[] = [
      { id: 'go', ownership: { uid: 1000, gid: 7, mode: 0o750 } },
      { id: 'npm', from: 'node:20', source: '/root/.npm' },
      { id: 'apt', from: 'debian:12', ownership: { uid: 0, gid: 0, mode: 0o755 } },
      { id: 'more', from: 'node:20' },
    ];
    expect(render(runnerBase, mounts)).toEqual({
      text: `ARG CACHE_MOUNT_FROM_0
ARG CACHE_MOUNT_FROM_1
FROM $CACHE_MOUNT_FROM_0 AS buildkit-cache-mounts-from-0
FROM $CACHE_MOUNT_FROM_1 AS buildkit-cache-mounts-from-1
FROM buildkit-cache-mounts AS buildkit-cache-mounts-files
FROM scratch AS buildkit-cache-mounts-work
WORKDIR /out
ARG CACHE_MOUNT_NONCE
ARG CACHE_MOUNT_ID_0
RUN --mount=type=bind,from=buildkit-cache-mounts-files,source=tools/bin,target=/bin --mount=type=bind,from=buildkit-cache-mounts-files,source=tools/lib64,target=/lib64 --mount=type=bind,from=buildkit-cache-mounts-files,source=scripts,target=/buildkit-cache-mounts --mount=type=bind,from=buildkit-cache-mounts-files,source=archives,target=/archives --mount=type=cache,target=/mounts/0,sharing=locked,id=$CACHE_MOUNT_ID_0,uid=1000,gid=7,mode=0750 ["/bin/sh","/buildkit-cache-mounts/run.sh","0.tar.zst"]
ARG CACHE_MOUNT_SOURCE_1
ARG CACHE_MOUNT_ID_1
RUN --mount=type=bind,from=buildkit-cache-mounts-files,source=tools/bin,target=/bin --mount=type=bind,from=buildkit-cache-mounts-files,source=tools/lib64,target=/lib64 --mount=type=bind,from=buildkit-cache-mounts-files,source=scripts,target=/buildkit-cache-mounts --mount=type=bind,from=buildkit-cache-mounts-files,source=archives,target=/archives --mount=type=cache,target=/mounts/1,sharing=locked,id=$CACHE_MOUNT_ID_1,from=buildkit-cache-mounts-from-0,source=$CACHE_MOUNT_SOURCE_1 --mount=type=bind,target=/seeds/1,from=buildkit-cache-mounts-from-0,source=$CACHE_MOUNT_SOURCE_1 ["/bin/sh","/buildkit-cache-mounts/run.sh","1.tar.zst"]
ARG CACHE_MOUNT_ID_2
RUN --mount=type=bind,from=buildkit-cache-mounts-files,source=tools/bin,target=/bin --mount=type=bind,from=buildkit-cache-mounts-files,source=tools/lib64,target=/lib64 --mount=type=bind,from=buildkit-cache-mounts-files,source=scripts,target=/buildkit-cache-mounts --mount=type=bind,from=buildkit-cache-mounts-files,source=archives,target=/archives --mount=type=cache,target=/mounts/2,sharing=locked,id=$CACHE_MOUNT_ID_2,from=buildkit-cache-mounts-from-1,uid=0,gid=0,mode=0755 ["/bin/sh","/buildkit-cache-mounts/run.sh","2.tar.zst"]
ARG CACHE_MOUNT_ID_3
RUN --mount=type=bind,from=buildkit-cache-mounts-files,source=tools/bin,target=/bin --mount=type=bind,from=buildkit-cache-mounts-files,source=tools/lib64,target=/lib64 --mount=type=bind,from=buildkit-cache-mounts-files,source=scripts,target=/buildkit-cache-mounts --mount=type=bind,from=buildkit-cache-mounts-files,source=archives,target=/archives --mount=type=cache,target=/mounts/3,sharing=locked,id=$CACHE_MOUNT_ID_3,from=buildkit-cache-mounts-from-0 --mount=type=bind,target=/seeds/3,from=buildkit-cache-mounts-from-0 ["/bin/sh","/buildkit-cache-mounts/run.sh","3.tar.zst"]
`,
      buildArgs: {
        CACHE_MOUNT_NONCE: 'unique',
        CACHE_MOUNT_FROM_0: 'node:20',
        CACHE_MOUNT_FROM_1: 'debian:12',
        CACHE_MOUNT_ID_0: 'go',
        CACHE_MOUNT_ID_1: 'npm',
        CACHE_MOUNT_SOURCE_1: '/root/.npm',
        CACHE_MOUNT_ID_2: 'apt',
        CACHE_MOUNT_ID_3: 'more',
      },
      namedContexts: {},
    });
  });

  test('archives that the builder pulls, each image once, and only for the mounts that need it', () => {
    const [one, two] = ['r/app@sha256:1', 'r/app@sha256:2'];
    const { text, namedContexts } = renderScratchDockerfile(
      runnerBase,
      [
        { index: 0, mount: { id: 'go' }, argument: '0', pulled: [{ image: one, file: 'a' }] },
        {
          ...{ index: 1, mount: { id: 'npm' }, argument: '1' },
          pulled: [
            { image: two, file: 'b' },
            { image: one, file: 'c' },
          ],
        },
        { index: 2, mount: { id: 'apt' }, argument: '2' },
      ],
      { nonce: 'unique', withArchives: false, seedStages: undefined },
    );
    expect(namedContexts).toEqual({
      'buildkit-cache-mounts-archive-0': 'docker-image://r/app@sha256:1',
      'buildkit-cache-mounts-archive-1': 'docker-image://r/app@sha256:2',
    });
    const runs = text.split('\n').filter((line) => line.startsWith('RUN '));
    const mount = (image: number, file: string) =>
      ` --mount=type=bind,from=buildkit-cache-mounts-archive-${image},source=archive,target=/archives/${file}`;
    expect(runs.map((run) => run.match(/ --mount=\S+source=archive\S+/g))).toEqual([
      [mount(0, 'a')],
      [mount(1, 'b'), mount(0, 'c')],
      null,
    ]);
  });

  test.each([runnerBase, imageBase])(
    'if archives stay, a RUN needs the permit, and only the report is put out',
    (base) => {
      const { text } = renderScratchDockerfile(
        base,
        [{ index: 0, mount: { id: 'go' }, argument: '0' }],
        { nonce: 'unique', withArchives: false, stays: true, seedStages: undefined },
      );
      expect(text).toMatch(
        /^RUN .*--mount=type=secret,id=buildkit-cache-mounts-permit,target=\/permit,required=true /m,
      );
      expect(text).toMatch(
        /\nFROM scratch\nCOPY --from=buildkit-cache-mounts-work \/out\/report \/out\/report\n$/,
      );
    },
  );

  test('a mount that has a plan, and one that has none', () => {
    const { text } = renderScratchDockerfile(
      runnerBase,
      [
        { index: 0, mount: { id: 'go' }, argument: '0', withPlan: true },
        { index: 2, mount: { id: 'npm' }, argument: '2', withPlan: false },
      ],
      { nonce: 'unique', withArchives: false, seedStages: undefined },
    );
    const runs = text.split('\n').filter((line) => line.startsWith('RUN '));
    expect(runs.map((run) => run.match(/ --mount=type=secret\S+/g))).toEqual([
      [' --mount=type=secret,id=buildkit-cache-mounts-plan-0,target=/plans/0'],
      null,
    ]);
  });

  test('for an image, without archives', () => {
    expect(render(imageBase, [{ id: 'go', from: 'node:20' }], false)).toEqual({
      text: `ARG CACHE_MOUNT_FROM_0
ARG CACHE_MOUNT_UTILITY_IMAGE
FROM $CACHE_MOUNT_FROM_0 AS buildkit-cache-mounts-from-0
FROM buildkit-cache-mounts AS buildkit-cache-mounts-files
FROM $CACHE_MOUNT_UTILITY_IMAGE AS buildkit-cache-mounts-work
USER 0:0
WORKDIR /out
ARG CACHE_MOUNT_NONCE
ARG CACHE_MOUNT_ID_0
RUN --mount=type=bind,from=buildkit-cache-mounts-files,source=scripts,target=/buildkit-cache-mounts --mount=type=cache,target=/mounts/0,sharing=locked,id=$CACHE_MOUNT_ID_0,from=buildkit-cache-mounts-from-0 --mount=type=bind,target=/seeds/0,from=buildkit-cache-mounts-from-0 ["/bin/sh","/buildkit-cache-mounts/run.sh","0.tar.zst"]
FROM scratch
COPY --from=buildkit-cache-mounts-work /out /out
`,
      buildArgs: {
        CACHE_MOUNT_NONCE: 'unique',
        CACHE_MOUNT_FROM_0: 'node:20',
        CACHE_MOUNT_UTILITY_IMAGE: 'debian:12',
        CACHE_MOUNT_ID_0: 'go',
      },
      namedContexts: {},
    });
  });

  test('for mounts that start from stages of the user’s Dockerfile', () => {
    const mounts: CacheMount[] = [
      { id: 'a', stage: { name: 'seed', digest: 'abc' }, source: '/x y' },
      {
        id: 'b',
        stage: { name: 'seed', digest: 'abc' },
        ownership: { uid: 1, gid: 0, mode: 0o755 },
      },
    ];
    const stages = {
      head: '# escape=`\nARG BASE=scratch',
      stages: 'FROM $BASE AS seed\nCOPY x `\n  /x',
    };
    expect(render({ kind: 'runner', directories: [] }, mounts, false, stages)).toEqual({
      text: `# escape=\`
ARG BASE=scratch
FROM $BASE AS seed
COPY x \`
  /x
FROM buildkit-cache-mounts AS buildkit-cache-mounts-files
FROM scratch AS buildkit-cache-mounts-work
WORKDIR /out
ARG CACHE_MOUNT_NONCE
ARG CACHE_MOUNT_SOURCE_0
ARG CACHE_MOUNT_ID_0
RUN --mount=type=bind,from=buildkit-cache-mounts-files,source=scripts,target=/buildkit-cache-mounts --mount=type=cache,target=/mounts/0,sharing=locked,id=$CACHE_MOUNT_ID_0,from=seed,source=$CACHE_MOUNT_SOURCE_0 --mount=type=bind,target=/seeds/0,from=seed,source=$CACHE_MOUNT_SOURCE_0 ["/bin/sh","/buildkit-cache-mounts/run.sh","0.tar.zst"]
ARG CACHE_MOUNT_ID_1
RUN --mount=type=bind,from=buildkit-cache-mounts-files,source=scripts,target=/buildkit-cache-mounts --mount=type=cache,target=/mounts/1,sharing=locked,id=$CACHE_MOUNT_ID_1,from=seed,uid=1,gid=0,mode=0755 ["/bin/sh","/buildkit-cache-mounts/run.sh","1.tar.zst"]
`,
      buildArgs: {
        CACHE_MOUNT_NONCE: 'unique',
        CACHE_MOUNT_SOURCE_0: '/x y',
        CACHE_MOUNT_ID_0: 'a',
        CACHE_MOUNT_ID_1: 'b',
      },
      namedContexts: {},
    });
  });

  test('says the namespace by the build argument that BuildKit has for it', () => {
    const plain = render(runnerBase, [{ id: 'go' }]);
    expect(render(runnerBase, [{ id: 'go', namespace: 'a/b' }])).toEqual({
      text: plain.text,
      buildArgs: { ...plain.buildArgs, BUILDKIT_CACHE_MOUNT_NS: 'a/b' },
      namedContexts: {},
    });
  });

  test('keeps a mount’s place in the list where others are left out', () => {
    const { text, buildArgs } = renderScratchDockerfile(
      runnerBase,
      [{ index: 7, mount: { id: 'go' }, argument: '7' }],
      { nonce: 'unique', withArchives: false, seedStages: undefined },
    );
    expect(text).toContain('type=cache,target=/mounts/7,sharing=locked,id=$CACHE_MOUNT_ID_7 ');
    expect(text).toContain('["/bin/sh","/buildkit-cache-mounts/run.sh","7"]');
    expect(buildArgs).toEqual({ CACHE_MOUNT_NONCE: 'unique', CACHE_MOUNT_ID_7: 'go' });
  });
});

test.each([
  [1, 1],
  [16, 16],
  [17, 9],
  [33, 11],
  [200, 16],
])('%d mounts are in %d RUNs, each mount in one', (count, runs) => {
  const ids = Array.from({ length: count }, (_, index) => `id-${index}`);
  const { text, buildArgs } = render(
    runnerBase,
    ids.map((id) => ({ id })),
  );
  const lines = text.split('\n').filter((line) => line.startsWith('RUN '));
  expect(lines).toHaveLength(runs);
  for (const run of lines) {
    const mounted = [...run.matchAll(/target=\/mounts\/(\d+),/g)].map(([, place]) => place);
    const given = mounted.map((place) => `${place}.tar.zst`);
    const command = JSON.stringify(['/bin/sh', '/buildkit-cache-mounts/run.sh', ...given]);
    expect(run.slice(run.indexOf(' ['))).toBe(` ${command}`);
  }
  expect([...text.matchAll(/,id=\$(\w+)/g)].map(([, name = '']) => buildArgs[name])).toEqual(ids);
});

test('no id, source, image or nonce is ever part of the text, only of the build arguments', () => {
  const write = (id: string, from: string, source: string, image: string) =>
    renderScratchDockerfile(
      { kind: 'image', image },
      [
        { index: 0, mount: { id, from, source }, argument: '0' },
        { index: 1, mount: { id, from }, argument: '1' },
      ],
      { nonce: id, withArchives: true, seedStages: undefined },
    );
  const { text } = write('a', 'b', 'c', 'd');
  const anyText = fc.string({ unit: 'binary', minLength: 1 });
  fc.assert(
    fc.property(anyText, anyText, anyText, anyText, (id, from, source, image) => {
      expect(write(id, from, source, image)).toEqual({
        text,
        namedContexts: {},
        buildArgs: {
          CACHE_MOUNT_NONCE: id,
          CACHE_MOUNT_FROM_0: from,
          CACHE_MOUNT_UTILITY_IMAGE: image,
          CACHE_MOUNT_ID_0: id,
          CACHE_MOUNT_SOURCE_0: source,
          CACHE_MOUNT_ID_1: id,
        },
      });
    }),
  );
});
