import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { CacheMount } from '../../src/cache-mount.js';
import { renderScratchDockerfile, type ScratchBase } from '../../src/scratch-dockerfile.js';

const runnerBase: ScratchBase = { kind: 'runner', directories: ['bin', 'lib64'] };
const imageBase: ScratchBase = { kind: 'image', image: 'debian:12' };

function render(base: ScratchBase, mounts: readonly CacheMount[], withArchives = true) {
  return renderScratchDockerfile(
    base,
    mounts.map((mount, index) => ({ index, mount, argument: `${index}.tar.zst` })),
    { nonce: 'unique', withArchives },
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
      text: String.raw`ARG FROM_0
ARG FROM_1
FROM $FROM_0 AS from_0
FROM $FROM_1 AS from_1
FROM scratch AS work
WORKDIR /out
ARG NONCE
ARG ID_0
RUN --mount=type=bind,source=tools/bin,target=/bin \
    --mount=type=bind,source=tools/lib64,target=/lib64 \
    --mount=type=bind,source=scripts,target=/scripts \
    --mount=type=bind,source=archives,target=/archives \
    --mount=type=cache,target=/mounts/0,sharing=locked,id=$ID_0,uid=1000,gid=7,mode=0750 \
    ["/bin/sh","/scripts/run.sh","0.tar.zst"]
ARG SOURCE_1
ARG ID_1
RUN --mount=type=bind,source=tools/bin,target=/bin \
    --mount=type=bind,source=tools/lib64,target=/lib64 \
    --mount=type=bind,source=scripts,target=/scripts \
    --mount=type=bind,source=archives,target=/archives \
    --mount=type=cache,target=/mounts/1,sharing=locked,id=$ID_1,from=from_0,source=$SOURCE_1 \
    --mount=type=bind,target=/seeds/1,from=from_0,source=$SOURCE_1 \
    ["/bin/sh","/scripts/run.sh","1.tar.zst"]
ARG ID_2
RUN --mount=type=bind,source=tools/bin,target=/bin \
    --mount=type=bind,source=tools/lib64,target=/lib64 \
    --mount=type=bind,source=scripts,target=/scripts \
    --mount=type=bind,source=archives,target=/archives \
    --mount=type=cache,target=/mounts/2,sharing=locked,id=$ID_2,from=from_1,uid=0,gid=0,mode=0755 \
    ["/bin/sh","/scripts/run.sh","2.tar.zst"]
ARG ID_3
RUN --mount=type=bind,source=tools/bin,target=/bin \
    --mount=type=bind,source=tools/lib64,target=/lib64 \
    --mount=type=bind,source=scripts,target=/scripts \
    --mount=type=bind,source=archives,target=/archives \
    --mount=type=cache,target=/mounts/3,sharing=locked,id=$ID_3,from=from_0 \
    --mount=type=bind,target=/seeds/3,from=from_0 \
    ["/bin/sh","/scripts/run.sh","3.tar.zst"]
`,
      buildArgs: {
        NONCE: 'unique',
        FROM_0: 'node:20',
        FROM_1: 'debian:12',
        ID_0: 'go',
        ID_1: 'npm',
        SOURCE_1: '/root/.npm',
        ID_2: 'apt',
        ID_3: 'more',
      },
    });
  });

  test('for an image, without archives', () => {
    expect(render(imageBase, [{ id: 'go', from: 'node:20' }], false)).toEqual({
      text: String.raw`ARG FROM_0
ARG UTILITY_IMAGE
FROM $FROM_0 AS from_0
FROM $UTILITY_IMAGE AS work
USER 0:0
WORKDIR /out
ARG NONCE
ARG ID_0
RUN --mount=type=bind,source=scripts,target=/scripts \
    --mount=type=cache,target=/mounts/0,sharing=locked,id=$ID_0,from=from_0 \
    --mount=type=bind,target=/seeds/0,from=from_0 \
    ["/bin/sh","/scripts/run.sh","0.tar.zst"]
FROM scratch
COPY --from=work /out /out
`,
      buildArgs: { NONCE: 'unique', FROM_0: 'node:20', UTILITY_IMAGE: 'debian:12', ID_0: 'go' },
    });
  });

  test('keeps a mount’s place in the list where others are left out', () => {
    const { text, buildArgs } = renderScratchDockerfile(
      runnerBase,
      [{ index: 7, mount: { id: 'go' }, argument: '7' }],
      { nonce: 'unique', withArchives: false },
    );
    expect(text).toContain('type=cache,target=/mounts/7,sharing=locked,id=$ID_7 ');
    expect(text).toContain('["/bin/sh","/scripts/run.sh","7"]');
    expect(buildArgs).toEqual({ NONCE: 'unique', ID_7: 'go' });
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
  const commands = text.split('\n').filter((line) => line.startsWith('    ["/bin/sh"'));
  expect(commands).toHaveLength(runs);
  for (const [index, run] of text.split('\nRUN ').slice(1).entries()) {
    const mounted = [...run.matchAll(/target=\/mounts\/(\d+),/g)].map(([, place]) => place);
    const given = mounted.map((place) => `${place}.tar.zst`);
    expect(commands[index]).toBe(`    ${JSON.stringify(['/bin/sh', '/scripts/run.sh', ...given])}`);
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
      { nonce: id, withArchives: true },
    );
  const { text } = write('a', 'b', 'c', 'd');
  const anyText = fc.string({ unit: 'binary', minLength: 1 });
  fc.assert(
    fc.property(anyText, anyText, anyText, anyText, (id, from, source, image) => {
      expect(write(id, from, source, image)).toEqual({
        text,
        buildArgs: {
          NONCE: id,
          FROM_0: from,
          UTILITY_IMAGE: image,
          ID_0: id,
          SOURCE_0: source,
          ID_1: id,
        },
      });
    }),
  );
});
