import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { imageKey, type KnownImages } from '../../../src/dockerfile/base-image.js';
import {
  type Discovery,
  type DiscoveryOptions,
  discoverMounts,
} from '../../../src/dockerfile/declared-mounts.js';
import { InputError } from '../../../src/lib/errors.js';
import { type CacheMount, describeMount } from '../../../src/mounts/cache-mount.js';
import { runnerPlatform } from '../../../src/mounts/platform.js';

interface Given extends Partial<Omit<DiscoveryOptions, 'buildArgs'>> {
  readonly buildArgs?: Readonly<Record<string, string>>;
}

function discover(lines: string | readonly string[], given: Given = {}): Discovery {
  return discoverMounts(typeof lines === 'string' ? lines : lines.join('\n'), {
    file: 'Dockerfile',
    target: undefined,
    platforms: ['linux/amd64'],
    ...given,
    buildArgs: new Map(Object.entries(given.buildArgs ?? {})),
  });
}

/** The mounts of a Dockerfile that has no problems, as a person would name them. */
function find(lines: string | readonly string[], given: Given = {}): string[] {
  const { mounts, problems } = discover(lines, given);
  expect(problems).toEqual([]);
  return mounts.map(describeMount);
}

function problemsOf(lines: readonly string[], given: Given = {}): readonly string[] {
  return discover(lines, given).problems;
}

/** A RUN with a mount of this id. */
const run = (id: string) => `RUN --mount=type=cache,target=/c,id=${id} go`;

describe('a mount', () => {
  test.each<[flag: string, mount: CacheMount]>([
    ['type=cache,target=/c', { id: '/c' }],
    ['type=cache,target=/c/x/', { id: '/c/x' }],
    ['type=cache,target=c/x', { id: 'c/x' }],
    ['type=cache,target=./c', { id: 'c' }],
    ['type=cache,dst=/c', { id: '/c' }],
    ['type=cache,destination=/c', { id: '/c' }],
    ['type=cache,target=/c,id=go', { id: 'go' }],
    ['id=go,target=/c,type=cache', { id: 'go' }],
    ['type=cache,target=/c,id=/x/', { id: '/x/' }],
    ['type=cache,target=/c,id=', { id: '/c' }],
    ['TYPE=Cache,Target=/c,ID=Go', { id: 'Go' }],
    ['type=cache,target=/c,ro', { id: '/c' }],
    ['type=cache,target=/c,readonly=false,rw=1', { id: '/c' }],
    ['type=cache,target=/c,sharing=locked', { id: '/c' }],
    ['type=cache,target=/c,sharing=Private', { id: '/c' }],
    ['type=cache,target=/c,uid=1000', { id: '/c', ownership: { uid: 1000, gid: 0, mode: 0o755 } }],
    ['type=cache,target=/c,gid=7', { id: '/c', ownership: { uid: 0, gid: 7, mode: 0o755 } }],
    ['type=cache,target=/c,mode=0700', { id: '/c', ownership: { uid: 0, gid: 0, mode: 0o700 } }],
    ['type=cache,target=/c,uid=0', { id: '/c', ownership: { uid: 0, gid: 0, mode: 0o755 } }],
    ['type=cache,target=/c,from=alpine:3', { id: '/c', from: 'alpine:3' }],
    ['type=cache,target=/c,from=alpine,source=/x', { id: '/c', from: 'alpine', source: '/x' }],
    ['type=cache,target=/c,from=alpine,src=x/', { id: '/c', from: 'alpine', source: '/x' }],
    ['type=cache,target=/c,from=scratch', { id: '/c' }],
    ['type=cache,target=/c,source=/x', { id: '/c' }],
    ['type=cache,target=/c,source=/x,uid=1', { id: '/c' }],
    ['type=cache,target=/c,from=scratch,source=/x', { id: '/c' }],
    ['type=cache,target=/c,env=A', { id: '/c' }],
    ['type=cache,target=/.', { id: '/' }],
    // One image has several names.
    ['type=cache,target=/c,from=alpine:latest', { id: '/c', from: 'alpine' }],
    ['type=cache,target=/c,from=docker.io/library/alpine', { id: '/c', from: 'alpine' }],
    [
      'type=cache,target=/c,from=docker.io/a/b:1,source=/x',
      { id: '/c', from: 'a/b:1', source: '/x' },
    ],
    ['type=cache,target=/c,from=No/Image', { id: '/c', from: 'No/Image' }],
    // The last of several values counts.
    ['type=cache,target=/a,target=/c', { id: '/c' }],
    ['type=cache,target=/a,dst=/c', { id: '/c' }],
    ['type=cache,id=a,id=b,target=/c', { id: 'b' }],
    ['type=bind,type=cache,target=/c', { id: '/c' }],
    ['type=cache,uid=1,target=/c,uid=2', { id: '/c', ownership: { uid: 2, gid: 0, mode: 0o755 } }],
    // The three layers of quotes.
    ['type=cache,target=/c,id="a b"', { id: 'a b' }],
    ["type=cache,target=/c,id='a b'", { id: 'a b' }],
    ['"type=cache,target=/c,id=a b"', { id: 'a b' }],
    ['type=cache,target=/c,id=a\\ b', { id: 'a b' }],
    [`type=cache,target=/c,'"id=a,b"'`, { id: 'a,b' }],
    ['type=cache,target=/c,\\"id=a,b\\"', { id: 'a,b' }],
    [`type=cache,target=/c,'"id=say ""x"""'`, { id: 'say x' }],
    [`type=cache,target=/c,id=\\'a\\'`, { id: 'a' }],
    [`type=cache,target=/c,id=\\\\\\'a\\\\\\'`, { id: "'a'" }],
    ['type=cache,target=/c,id=\\\\$A', { id: '$A' }],
    [`type=cache,target=/c,id=\\'\\$A\\'`, { id: '$A' }],
    ['type=cache,target=/c,id=a=b', { id: 'a=b' }],
    ['type=cache,target=/c,id=ü', { id: 'Ã¼' }],
  ])('%s', (flag, mount) => {
    const { mounts, problems } = discover(['FROM scratch', `RUN --mount=${flag} go`]);
    expect(problems).toEqual([]);
    expect(mounts).toEqual([mount]);
  });

  test.each([
    'type=bind,source=x,target=/c',
    'target=/c',
    'type=tmpfs,target=/c,size=1g',
    'type=secret,id=$UNKNOWN,required',
    'type=ssh,mode=0600',
    'type=cache,target=/c,type=bind',
    'source=.,target=/src',
  ])('of another type is none: %s', (flag) => {
    expect(find(['FROM golang', `RUN --mount=${flag} go`])).toEqual([]);
  });

  test('can be one of several in a RUN, in the order of the file', () => {
    expect(
      find([
        'FROM golang',
        'RUN --mount=type=cache,target=/b \\',
        '    # the module cache',
        '    --mount=type=bind,source=.,target=/src --network=none \\',
        '',
        '    --mount=type=cache,id=a,target=/a,uid=1 \\',
        '    go build',
        'run --mount=type=cache,target=/0 true',
      ]),
    ).toEqual(['/b', 'a (uid=1,gid=0,mode=0755)', '/0']);
  });

  test('is found once, though several stages use it', () => {
    expect(
      find([
        'FROM golang AS a',
        run('go'),
        'RUN --mount=type=cache,target=go,sharing=locked go',
        'FROM golang',
        'COPY --from=a /x /x',
        run('go'),
        'RUN --mount=type=cache,id=go,target=/other,ro go',
        'RUN --mount=type=cache,id=go,target=/c,uid=1 go',
      ]),
    ).toEqual(['go', 'go (uid=1,gid=0,mode=0755)']);
  });

  test('is lost to no heredoc with white space before its word', () => {
    const body = ['from os import path', run('no'), 'PY'];
    const lines = ['FROM golang', 'RUN python << "PY" && x', ...body, run('y')];
    expect(find(lines)).toEqual(['y']);
  });

  test('is none in the body of a heredoc', () => {
    const lines = [
      'FROM golang',
      'RUN --mount=type=cache,target=/c <<EOF',
      run('x'),
      'EOF',
      run('y'),
    ];
    expect(find(lines)).toEqual(['/c', 'y']);
  });

  test('is none in a comment, a CMD, or behind the command', () => {
    expect(
      find([
        'FROM golang',
        `# ${run('a')}`,
        `CMD ${run('b')}`,
        `RUN go ${run('c').slice(4)}`,
        run('d'),
      ]),
    ).toEqual(['d']);
  });

  test('without any, or without a stage', () => {
    expect(find('FROM golang\nRUN go')).toEqual([]);
    expect(find('')).toEqual([]);
    expect(find(run('a'))).toEqual([]);
  });
});

describe('the namespace', () => {
  test('is that of the build argument', () => {
    const given = { buildArgs: { BUILDKIT_CACHE_MOUNT_NS: 'ns' } };
    const { mounts } = discover(
      ['FROM a', run('go'), 'RUN --mount=type=cache,target=/x go'],
      given,
    );
    expect(mounts).toEqual([
      { id: 'go', namespace: 'ns' },
      { id: '/x', namespace: 'ns' },
    ]);
  });

  test('is none where it is empty, or only declared', () => {
    const lines = [
      'ARG BUILDKIT_CACHE_MOUNT_NS=a',
      'FROM a',
      'ARG BUILDKIT_CACHE_MOUNT_NS=b',
      run('go'),
    ];
    expect(find(lines)).toEqual(['go']);
    expect(find(lines, { buildArgs: { BUILDKIT_CACHE_MOUNT_NS: '' } })).toEqual(['go']);
  });
});

describe('ARG and ENV', () => {
  test.each<[name: string, lines: string[], ids: string[], buildArgs?: Record<string, string>]>([
    ['a default', ['FROM a', 'ARG A=1', run('x$A')], ['x1']],
    ['an override', ['FROM a', 'ARG A=1', run('x$A')], ['x2'], { A: '2' }],
    ['an empty override', ['FROM a', 'ARG A=1', run('x${A}y')], ['xy'], { A: '' }],
    ['without a default', ['FROM a', 'ARG A', run('x$A')], ['x2'], { A: '2' }],
    ['an empty default', ['FROM a', 'ARG A=', run('x${A}y')], ['xy']],
    ['what comes later', ['FROM a', 'ARG A=1', run('$A'), 'ARG A=2', run('$A')], ['1', '2']],
    [
      'an override of both',
      ['FROM a', 'ARG A=1', run('$A'), 'ARG A=2', run('$A')],
      ['3'],
      { A: '3' },
    ],
    ['quotes in a default', ['FROM a', `ARG A="b c"'d'`, run('$A')], ['b cd']],
    ['several in one', ['FROM a', 'ARG A=1 B="2 3" C', run('$A-$B-$C')], ['1-2 3-4'], { C: '4' }],
    ['one that builds on another', ['FROM a', 'ARG A=1', 'ARG B=$A-${A:-x}', run('$B')], ['1-1']],
    ['one that builds on its neighbour', ['FROM a', 'ARG A=1 B=x$A', run('$B')], ['x1']],
    ['a build argument that nothing declares', ['FROM scratch', run('x$A')], ['x'], { A: '1' }],
    ['in single quotes, where it stays', ['FROM a', "ARG A='$B'", run('$A')], ['$B']],
    ['a global one', ['ARG A=1', 'FROM a', 'ARG A', run('$A')], ['1']],
    ['a global one, overridden', ['ARG A=1', 'FROM a', 'ARG A', run('$A')], ['2'], { A: '2' }],
    ['a global one with another default', ['ARG A=1', 'FROM a', 'ARG A=2', run('$A')], ['2']],
    ['a global one that is not declared again', ['ARG A=1', 'FROM scratch', run('x$A')], ['x']],
    [
      'global ones that build on each other',
      ['ARG A=1 B=x$A', 'FROM a', 'ARG B', run('$B')],
      ['x1'],
    ],
    ['a global one without a value', ['ARG A', 'FROM a', 'ARG A=2', run('$A')], ['2']],
    [
      'a stage’s own is not that of the next',
      ['FROM scratch AS s', 'ARG A=1', 'FROM scratch', run('x$A')],
      ['x'],
    ],
    ['ENV', ['FROM a', 'ENV A=1', run('$A')], ['1']],
    ['ENV with a variable in its name', ['FROM a', 'ARG A=B', 'ENV X$A=1', run('$XB')], ['1']],
    ['ENV in its older form', ['FROM a', 'ENV A b  "c d"', run('$A')], ['b  c d']],
    ['ENV, several in one', ['FROM a', 'ENV A=1 B="2 3" C=4\\ 5', run('$A-$B-$C')], ['1-2 3-4 5']],
    ['ENV does not see its neighbour', ['FROM scratch', 'ENV A=1 B=x$A', run('$B')], ['x']],
    ['ENV sees what stood before', ['FROM a', 'ENV A=0', 'ENV A=1 B=x$A', run('$A$B')], ['1x0']],
    ['ENV is not overridden', ['FROM a', 'ENV A=1', run('$A')], ['1'], { A: '2' }],
    ['ENV from an ARG', ['FROM a', 'ARG A=1', 'ENV B=x$A', run('$B')], ['x1']],
    ['ENV behind an ARG', ['FROM a', 'ARG A=1', 'ENV A=2', run('$A')], ['2'], { A: '3' }],
    ['ENV before an ARG with a value', ['FROM a', 'ENV A=2', 'ARG A=1', run('$A')], ['1']],
    ['ENV before an ARG without', ['FROM a', 'ENV A=2', 'ARG A', run('$A')], ['2']],
    [
      'ENV over several lines',
      ['FROM a', 'ENV A=1 \\', '  # comment', '  B=2', run('$A$B')],
      ['12'],
    ],
    ['PATH, where no image sets it', ['FROM scratch', run('${PATH##*:}')], ['/bin']],
    [
      'in target, from and source',
      ['FROM a', 'ARG A=7', 'RUN --mount=type=cache,target=/c$A,from=b$A,source=/$A go'],
      ['/c7 (from=b7,source=/7)'],
    ],
    [
      'in uid',
      ['FROM a', 'ARG A=7', 'RUN --mount=type=cache,target=/c,uid=$A,gid=1$A,mode=07${A}0 go'],
      ['/c (uid=7,gid=17,mode=0770)'],
    ],
    ['in type', ['FROM a', 'ARG A=cache', 'RUN --mount=type=$A,target=/c go'], ['/c']],
    [
      'that is empty in an id',
      ['FROM a', 'ARG A=', 'RUN --mount=type=cache,target=/c,id=$A go'],
      ['/c'],
    ],
    ['whose value has a comma', ['FROM a', 'ARG A="a,uid=1"', run('$A')], ['a,uid=1']],
    ['whose value is not ASCII', ['FROM a', 'ARG A=ü', run('$A')], ['ü']],
    [
      'with the escape directive',
      ['# escape=`', 'FROM a', 'ARG A=`$x', 'ARG B="C:\\go"', run('$A-$B')],
      ['$x-C:\\go'],
    ],
    [
      'with an expansion',
      ['FROM a', 'ARG V=v1.22.3', run('${V#v}-${V%.*}-${V/./_}-${V:+y}')],
      ['1.22.3-v1.22-v1_22.3-y'],
    ],
  ])('%s', (_, lines, ids, buildArgs = {}) => {
    expect(find(lines, { buildArgs })).toEqual(ids);
  });

  test('their values are handed on', () => {
    const { args } = discover(
      [
        'ARG G=1',
        'ARG H',
        'FROM a AS s',
        'ARG A=$G',
        'ARG G',
        'ARG A2',
        'ENV E=1',
        'FROM s',
        'ARG A=3 B=4',
      ],
      { buildArgs: { B: 'b', UNUSED: 'x' } },
    );
    expect(args).toEqual([
      new Map([
        ['G', '1'],
        ['A', '3'],
        ['B', 'b'],
      ]),
    ]);
  });

  test.each<[lines: string[], id: string]>([
    [['FROM golang', 'ARG A=1', 'ARG A=$A-x', run('$A')], '1-x'],
    [['FROM golang', 'ENV A=1', 'ARG A=${A:-0}-x', run('$A')], '1-x'],
  ])('an ARG can build on what it was before: %j', (lines, id) => {
    expect(find(lines)).toEqual([id]);
  });

  test('of several ENVs only the one that cannot be known is lost', () => {
    expect(find(['FROM golang', 'ENV A=1 B=$HOME', run('$A')])).toEqual(['1']);
  });

  test('an ARG without a value is named where an ENV brings it into a mount', () => {
    const { mounts, problems } = discover(['FROM golang', 'ARG A', 'ENV B=x$A', run('$B')]);
    expect(mounts).toEqual([{ id: 'x' }]);
    expect(problems).toEqual([expect.stringMatching(/\$A has no value/)]);
  });

  test('what is not needed for a mount is not named', () => {
    expect(
      find(['FROM golang', 'ARG A', 'ENV X=$HOME Y=$GOPATH/x', `LABEL a="$UNKNOWN"`, run('go')]),
    ).toEqual(['go']);
  });

  // The problem is noted when the ENV is read, not when a mount needs it.
  test('an ARG without a value that only an ENV uses is not named', () => {
    expect(find(['FROM golang', 'ARG SHA', 'ENV SHA=$SHA', run('go')])).toEqual(['go']);
  });

  test('an alternative that counts for nothing is no matter', () => {
    expect(find(['FROM scratch', 'ARG A=go', run('${A:-$B}')])).toEqual(['go']);
  });

  test('not even one that an image may set', () => {
    expect(find(['FROM golang', 'ARG A=go', run('${A:-$HOME}')])).toEqual(['go']);
  });

  test('of several ARGs only the one that cannot be known is lost', () => {
    expect(find(['FROM golang', 'ARG A=1 B=$HOME', run('$A')])).toEqual(['1']);
  });

  test('an older value does not stand for one that cannot be known', () => {
    const { mounts, problems } = discover(['FROM golang', 'ENV B=old', 'ARG A B=$HOME', run('$B')]);
    expect(mounts).toEqual([]);
    expect(problems).toHaveLength(1);
  });
});

describe('predefined arguments', () => {
  const all = ['TARGET', 'BUILD'].flatMap((prefix) =>
    ['PLATFORM', 'OS', 'ARCH', 'VARIANT'].map((name) => `${prefix}${name}`),
  );
  const architecture = runnerPlatform().split('/')[1];

  test.each<[platform: string, values: string]>([
    ['linux/amd64', 'linux/amd64|linux|amd64|'],
    ['linux/arm64', 'linux/arm64|linux|arm64|'],
    ['linux/arm/v6', 'linux/arm/v6|linux|arm|v6'],
    ['linux/arm64/v8', 'linux/arm64|linux|arm64|'],
  ])('for %s', (platform, values) => {
    const names = all.slice(0, 4);
    const lines = ['FROM a', ...names.map((name) => `ARG ${name}`)];
    const text = names.map((name) => `\${${name}}`).join('|');
    expect(find([...lines, run(text)], { platforms: [platform] })).toEqual([values]);
  });

  test('are none in a stage that does not declare them', () => {
    expect(find(['FROM scratch', run('x$TARGETARCH')])).toEqual(['x']);
  });

  test('are there in a FROM', () => {
    expect(
      find([
        'FROM scratch AS build-amd64',
        run('amd64'),
        'FROM scratch AS build-arm64',
        run('arm64'),
        'FROM build-$TARGETARCH',
      ]),
    ).toEqual(['amd64']);
  });

  test('can be used by other global arguments', () => {
    expect(find(['ARG A=x-$TARGETARCH', 'FROM a', 'ARG A', run('$A')])).toEqual(['x-amd64']);
  });

  test('the builder’s own platform is the runner’s', () => {
    const lines = [
      'FROM --platform=$BUILDPLATFORM a',
      'ARG BUILDPLATFORM',
      'ARG BUILDARCH',
      'ARG TARGETARCH',
    ];
    expect(
      find([...lines, run('$BUILDPLATFORM-$BUILDARCH-$TARGETARCH')], {
        platforms: ['linux/s390x'],
      }),
    ).toEqual([`linux/${architecture}-${architecture}-s390x`]);
  });

  test('can be overridden', () => {
    const given = { buildArgs: { TARGETARCH: 'x' } };
    expect(find(['FROM a', 'ARG TARGETARCH', run('$TARGETARCH')], given)).toEqual(['x']);
    expect(find(['FROM a', 'ARG TARGETARCH=y', run('$TARGETARCH')])).toEqual(['y']);
    expect(find(['ARG TARGETARCH=z', 'FROM a', 'ARG TARGETARCH', run('$TARGETARCH')])).toEqual([
      'z',
    ]);
  });

  test.each<[name: string, lines: string[], target: string | undefined, id: string]>([
    ['the target', ['FROM a AS b', 'ARG TARGETSTAGE', run('$TARGETSTAGE'), 'FROM c'], 'b', 'b'],
    [
      'the last stage',
      ['FROM a AS Last', 'ARG TARGETSTAGE', run('$TARGETSTAGE')],
      undefined,
      'last',
    ],
    ['none', ['FROM a', 'ARG TARGETSTAGE', run('$TARGETSTAGE')], undefined, 'default'],
  ])('TARGETSTAGE is the name of %s', (_, lines, target, id) => {
    expect(find(lines, { target })).toEqual([id]);
  });

  test('TARGETOSVERSION and BUILDOSVERSION are empty', () => {
    const lines = [
      'FROM a',
      'ARG TARGETOSVERSION',
      'ARG BUILDOSVERSION',
      run('x${TARGETOSVERSION}y$BUILDOSVERSION'),
    ];
    expect(find(lines)).toEqual(['xy']);
  });
});

describe('several platforms', () => {
  const platforms = ['linux/amd64', 'linux/arm64'];

  test('give a mount each, where the id depends on them', () => {
    const lines = ['FROM a', 'ARG TARGETARCH', run('go'), run('go-$TARGETARCH')];
    expect(find(lines, { platforms })).toEqual(['go', 'go-amd64', 'go-arm64']);
  });

  test('decide which stages are needed', () => {
    const lines = [
      ...['FROM a AS build-amd64', run('x')],
      ...['FROM a AS build-arm64', run('y')],
      ...['FROM a AS build-s390x', run('z')],
      'FROM build-$TARGETARCH',
    ];
    expect(find(lines, { platforms })).toEqual(['x', 'y']);
  });

  test('name a problem once', () => {
    expect(problemsOf(['FROM a', run('$HOME')], { platforms })).toHaveLength(1);
  });
});

describe('stages', () => {
  const three = [
    'FROM golang AS first',
    run('1'),
    'FROM golang AS second',
    run('2'),
    'FROM scratch AS third',
    run('3'),
  ];

  test('only what the last one needs counts', () => {
    expect(find(three)).toEqual(['3']);
  });

  test.each([
    ['first', ['1']],
    ['second', ['2']],
    ['SECOND', ['2']],
    ['third', ['3']],
  ])('only what the target %s needs counts', (target, ids) => {
    expect(find(three, { target })).toEqual(ids);
  });

  test.each<[need: string[], ids: string[]]>([
    [['COPY --from=first /x /x'], ['1', '3']],
    [['COPY --from=FIRST /x /x'], ['1', '3']],
    [['COPY --from=0 /x /x'], ['1', '3']],
    [['COPY --from=1 /x /x'], ['2', '3']],
    [['COPY --chown=1 --from=first --chmod=1 /x /x'], ['1', '3']],
    [
      ['COPY --from=first /x /x', 'COPY --from=second /x /x'],
      ['1', '2', '3'],
    ],
    [['COPY --from=first --link /x /x'], ['1', '3']],
    [['COPY --from=alpine /x /x'], ['3']],
    [['COPY --from=7 /x /x'], ['3']],
    [['COPY first /x'], ['3']],
    [['RUN --mount=type=bind,from=first,target=/x go'], ['1', '3']],
    [['RUN --mount=from=Second,target=/x go'], ['2', '3']],
    [['RUN --mount=from=0,target=/x go'], ['3']],
    [
      ['RUN --mount=type=bind,from=second,target=/x --mount=from=first,target=/y go'],
      ['1', '2', '3'],
    ],
    [['RUN --mount=type=bind,from=alpine,target=/x go'], ['3']],
    [['RUN --mount=FROM=first,target=/x go'], ['1', '3']],
    [['RUN --mount=type=TMPFS,from=first,target=/x go'], ['3']],
    [['RUN --mount=from=first,target=/x,type=tmpfs go'], ['3']],
    [['RUN --mount=type=ssh,from=first go'], ['3']],
    [['RUN --mount=type=tmpfs,from=first,target=/x,type=bind go'], ['1', '3']],
  ])('%j is a need', (need, ids) => {
    expect(find([...three, ...need])).toEqual(ids);
  });

  // The flag --link takes the next word for its value.
  test.each<[need: string[], ids: string[]]>([
    [['COPY --link --from=first /x /x'], ['1', '3']],
    [['COPY --link --from=0 /x /x'], ['1', '3']],
    [['COPY --chown=1 --link --from=second /x /x'], ['2', '3']],
  ])('%j is a need', (need, ids) => {
    expect(find([...three, ...need])).toEqual(ids);
  });

  test('needs have needs', () => {
    expect(
      find([
        'FROM a AS unneeded',
        run('0'),
        'FROM a AS base',
        run('1'),
        'FROM base AS child',
        run('2'),
        'FROM b AS build',
        'COPY --from=child /x /x',
        run('3'),
        'FROM scratch',
        'COPY --from=build /x /x',
      ]),
    ).toEqual(['1', '2', '3']);
  });

  test('of two with one name, the last before it counts', () => {
    const lines = ['FROM a AS x', run('1'), 'FROM x AS x', run('2'), 'FROM x', run('3')];
    expect(find(lines)).toEqual(['1', '2', '3']);
  });

  test('a stage inherits the variables of its parent', () => {
    const lines = [
      'FROM scratch AS parent',
      'ARG A=1',
      'ENV B=2',
      'FROM parent AS child',
      'ENV C=$A$B',
      'ARG A',
      'FROM child',
      run('$A-$B-$C'),
    ];
    expect(find(lines)).toEqual(['1-2-12']);
  });

  test('a stage that copies from another inherits nothing', () => {
    const lines = [
      'FROM scratch AS a',
      'ENV A=1',
      'FROM scratch',
      'COPY --from=a /x /x',
      run('x$A'),
    ];
    expect(find(lines)).toEqual(['x']);
  });

  test('the base can be a global argument', () => {
    const lines = [
      'ARG BASE=one',
      'FROM a AS one',
      run('1'),
      'FROM a AS two',
      run('2'),
      'FROM ${BASE:-two}',
    ];
    expect(find(lines)).toEqual(['1']);
    expect(find(lines, { buildArgs: { BASE: 'two' } })).toEqual(['2']);
    expect(find(lines, { buildArgs: { BASE: '' } })).toEqual(['2']);
  });

  test('a flag or a platform before the base is no part of it', () => {
    const lines = ['FROM a AS b', run('1'), 'FROM --platform=linux/arm64 b as c', run('2')];
    expect(find(lines)).toEqual(['1', '2']);
  });

  test.each<[target: string, lines: string[], message: string]>([
    [
      'x',
      ['FROM a AS b', 'FROM c AS D'],
      'Input target: Dockerfile has no stage "x"; it has b, d.',
    ],
    ['x', ['FROM a'], 'Input target: Dockerfile has no stage "x".'],
    ['9', ['FROM a'], 'Input target: Dockerfile has no stage "9".'],
    ['0', ['FROM a'], 'Input target: Dockerfile has no stage "0".'],
    ['x', [], 'Input target: Dockerfile has no stage "x".'],
  ])('a target that does not exist is an error: %s in %j', (target, lines, message) => {
    expect(() => discover(lines, { target })).toThrow(InputError);
    expect(() => discover(lines, { target })).toThrow(message);
  });
});

describe('a stage without files of its own', () => {
  const mount = (options: string) => `RUN --mount=type=cache,id=m,target=/c,${options} go`;
  const metadata = [
    ...[
      'ARG A',
      'ENV B=1',
      'LABEL c=d',
      'USER 7',
      'WORKDIR /',
      'CMD x',
      'ENTRYPOINT x',
      'EXPOSE 1',
    ],
    ...[
      'VOLUME /x',
      'MAINTAINER m',
      'SHELL ["s"]',
      'STOPSIGNAL 9',
      'HEALTHCHECK NONE',
      'ONBUILD RUN x',
    ],
  ];

  test.each<[name: string, stages: string[], mounts: CacheMount[]]>([
    ['empty', ['FROM scratch AS s', ...metadata], [{ id: 'm' }]],
    ['empty, of another platform', ['FROM --platform=linux/s390x scratch AS s'], [{ id: 'm' }]],
    ['empty, by its parent', ['FROM scratch AS p', 'ENV A=1', 'FROM p AS s'], [{ id: 'm' }]],
    ['an image', ['FROM alpine:latest AS s', ...metadata], [{ id: 'm', from: 'alpine' }]],
    ['an image, by its parent', ['FROM a/b:1 AS p', 'FROM p AS s'], [{ id: 'm', from: 'a/b:1' }]],
    ['an image of a variable', ['FROM a:$TARGETARCH AS s'], [{ id: 'm', from: 'a:amd64' }]],
    [
      'an image of the platform that is built for',
      ['FROM --platform=$TARGETPLATFORM a AS s'],
      [{ id: 'm', from: 'a' }],
    ],
  ])('is what it starts from: %s', (_, stages, mounts) => {
    const {
      mounts: found,
      problems,
      stages: seeds,
    } = discover([...stages, 'FROM golang', mount('from=S')]);
    expect(problems).toEqual([]);
    expect(found).toEqual(mounts);
    expect(seeds).toBeUndefined();
  });

  test('is one mount with what it starts from', () => {
    const stages = ['FROM scratch AS empty', 'FROM alpine AS image', 'FROM golang'];
    expect(
      find([...stages, mount('from=empty,source=/x'), mount('uid=1'), mount('from=empty,uid=1')]),
    ).toEqual(['m', 'm (uid=1,gid=0,mode=0755)']);
    expect(
      find([
        ...stages,
        ...['image', 'alpine', 'alpine:latest', 'docker.io/library/alpine'].map((each) =>
          mount(`from=${each}`),
        ),
      ]),
    ).toEqual(['m (from=alpine)']);
  });

  test.each<[name: string, stages: string[]]>([
    ['it copies', ['FROM scratch AS s', 'COPY x /']],
    ['it has a working directory', ['FROM alpine AS s', 'WORKDIR /x']],
    ['its parent copies', ['FROM alpine AS p', 'ADD x /', 'FROM p AS s']],
    ['the platform is another one', ['FROM --platform=linux/s390x alpine AS s']],
  ])('is a stage by itself if %s', (_, stages) => {
    const { mounts } = discover([...stages, 'FROM golang', mount('from=s')]);
    expect(mounts).toEqual([{ id: 'm', stage: { name: 's', digest: expect.any(String) } }]);
  });

  test('is no stage by its parent’s trigger', () => {
    const lines = [
      'FROM a AS p',
      'ONBUILD COPY x /',
      'FROM p AS s',
      'FROM golang',
      mount('from=s'),
    ];
    expect(problemsOf(lines)).toEqual([expect.stringContaining('ONBUILD in line 2')]);
  });
});

describe('what an image may set by ENV', () => {
  const child = ['FROM golang:1 AS p', 'ARG GOPATH=/p', run('$GOPATH'), 'FROM p'];

  test('counts for more than an ARG of the parent stage, which is said', () => {
    const { mounts, problems } = discover([...child, run('$GOPATH-x')]);
    expect(mounts).toEqual([{ id: '/p' }, { id: '/p-x' }]);
    expect(problems).toEqual([
      expect.stringMatching(
        /^Dockerfile:5: \$GOPATH is an ARG of the stage .* if the image golang:1 sets GOPATH/,
      ),
    ]);
  });

  test('counts for less than an ARG with a value, an ENV, or the parent’s ENV', () => {
    expect(find([...child, 'ARG GOPATH=/c', run('$GOPATH')])).toEqual(['/p', '/c']);
    expect(find([...child, 'ENV GOPATH=/e', run('$GOPATH')])).toEqual(['/p', '/e']);
    expect(find(['FROM golang AS p', 'ENV A=e', 'ARG A=a', 'FROM p', run('$A')])).toEqual(['e']);
    const buildArgs = { GOPATH: '/b' };
    expect(find([...child, 'ARG GOPATH', run('$GOPATH')], { buildArgs })).toEqual(['/b']);
  });

  test('is none in a stage from scratch', () => {
    expect(find(['FROM scratch AS p', 'ARG A=/p', 'FROM p', run('$A')])).toEqual(['/p']);
  });

  test.each(['$GOPATH/x', '${GOPATH:-/d}/x', '${GOPATH-/d}/x', '/x${GOPATH:+/y}'])(
    'is the value of an ARG without one, which is said: %s',
    (word) => {
      const { mounts, problems } = discover(['FROM golang:1', 'ARG GOPATH', run(word)]);
      expect(mounts).toEqual([{ id: word.includes('/d') ? '/d/x' : '/x' }]);
      expect(problems).toEqual([
        expect.stringMatching(
          /^Dockerfile:3: \$GOPATH has no value here.* the image golang:1 sets it/,
        ),
      ]);
    },
  );

  test('is named once for each mount that is left out, with the mount and the remedy', () => {
    const flags = ['type=cache,target=$GOPATH/pkg/mod', 'type=cache,target=$GOPATH/build'];
    const lines = ['FROM golang:1', `RUN ${flags.map((flag) => `--mount=${flag}`).join(' ')} go`];
    const platforms = ['linux/amd64', 'linux/arm64'];
    expect(problemsOf(lines, { platforms })).toEqual(
      flags.map(
        (flag) =>
          `Dockerfile:2: a mount is left out: $GOPATH may be set by the image golang:1, which is not looked into: name the mount in the input cache-mounts (with all others), or set GOPATH by ENV in the Dockerfile (--mount=${flag})`,
      ),
    );
  });
});

/** The images that are known, by name: for the platform linux/amd64. */
function imagesOf(
  configs: Readonly<Record<string, Readonly<Record<string, string>> | string>>,
  onBuild: readonly string[] = [],
  platform = 'linux/amd64',
): KnownImages {
  return new Map(
    Object.entries(configs).map(([name, config]) => [
      imageKey({ name, platform }),
      typeof config === 'string' ? config : { env: new Map(Object.entries(config)), onBuild },
    ]),
  );
}

describe('the configuration of a base image', () => {
  const go = imagesOf({ 'golang:1': { GOPATH: '/go', PATH: '/go/bin' } });

  test.each<[name: string, lines: readonly string[], ids: readonly string[]]>([
    ['gives the variables', [run('$GOPATH/pkg')], ['/go/pkg']],
    ['gives a target', ['RUN --mount=type=cache,target=$GOPATH/pkg/ go'], ['/go/pkg']],
    ['has all that are set', [run('home-$HOME')], ['home-']],
    ['gives variables through ENV', ['ENV A=$GOPATH/a', run('$A')], ['/go/a']],
    ['gives them to stages that start from it', ['FROM base', run('$GOPATH')], ['/go']],
    ['hides an ARG of the stage before', ['ARG GOPATH=/x', 'FROM base', run('$GOPATH')], ['/go']],
    ['hides no ARG of the same stage', ['ARG GOPATH=/x', run('$GOPATH')], ['/x']],
    ['counts for an ARG without a value', ['ARG GOPATH', run('${GOPATH:-/d}')], ['/go']],
    ['has a PATH', [run('$PATH')], ['/go/bin']],
  ])('%s', (_, lines, ids) => {
    expect(find(['FROM golang:1 AS base', ...lines], { images: go })).toEqual(ids);
  });

  test('has BuildKit’s PATH if it has none', () => {
    expect(find(['FROM a', run('$PATH')], { images: imagesOf({ a: {} }) })).toEqual([
      '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ]);
  });

  test('is that of the platform of the stage', () => {
    const images = new Map([
      ...imagesOf({ a: { KIND: 'x86' } }),
      ...imagesOf({ a: { KIND: 'arm' } }, [], 'linux/arm64'),
    ]);
    const platforms = ['linux/amd64', 'linux/arm64/v8'];
    expect(find(['FROM a', run('$KIND')], { images, platforms })).toEqual(['x86', 'arm']);
    const fixed = ['FROM --platform=linux/arm64 a', run('$KIND')];
    expect(find(fixed, { images, platforms })).toEqual(['arm']);
  });

  test('brings ONBUILD into the stage that starts from it, and into no later one', () => {
    const images = imagesOf({ a: {} }, ['ENV X=x', run('$X')]);
    const lines = ['FROM a AS base', run('own-$X'), 'FROM base', run('last')];
    const { mounts, declared } = discover(lines, { images });
    expect(mounts.map(({ id }) => id)).toEqual(['x', 'own-x', 'last']);
    expect([...declared.values()].map(({ onBuildOf }) => onBuildOf)).toEqual([
      'a',
      undefined,
      undefined,
    ]);
  });

  test('counts for a named context, too', () => {
    const contexts = new Map([['base', { kind: 'image', image: 'a:1' } as const]]);
    const images = imagesOf({ 'a:1': { X: 'x' } }, [run('on-build')]);
    expect(find(['FROM base', run('$X')], { images, contexts })).toEqual(['on-build', 'x']);
  });

  test('that cannot be read is told with the reason', () => {
    const images = imagesOf({ 'golang:1': 'no such host' });
    expect(problemsOf(['FROM golang:1', run('$A')], { images })).toEqual([
      expect.stringContaining(
        '$A may be set by the image golang:1, which cannot be looked up (no such host): name',
      ),
    ]);
    expect(problemsOf(['FROM golang:1', 'ARG A', run('${A:-a}')], { images })).toEqual([
      expect.stringContaining('counts, and that cannot be looked up (no such host): give A'),
    ]);
  });
});

describe('the images that are wanted', () => {
  test.each<[name: string, lines: readonly string[], wanted: readonly string[]]>([
    ['none without a variable', ['FROM a', run('x')], []],
    ['none for what is known', ['FROM a', 'ARG X=1', 'ENV Y=$X', run('$X$Y')], []],
    ['none beside an id', ['FROM a', 'RUN --mount=type=cache,id=x,target=$X go'], []],
    ['none for another kind of mount', ['FROM a', 'RUN --mount=type=bind,target=$X go'], []],
    ['none for a stage that is not built', ['FROM a', run('$X'), 'FROM b', run('x')], []],
    ['none for an alternative that does not count', ['FROM a', 'ENV A=1', run('${A:-$X}')], []],
    ['none of scratch', ['FROM scratch', run('$X')], []],
    ['none that is no name', ['FROM A:b:c', run('$X')], []],
    [
      'that of an id',
      [`FROM a:1@sha256:${'0'.repeat(64)}`, run('$X')],
      [`a:1@sha256:${'0'.repeat(64)}`],
    ],
    ['that of a target', ['FROM a', 'RUN --mount=type=cache,target=$X/y go'], ['a']],
    ['that of an ENV', ['FROM a', 'ENV Y=$X', run('$Y')], ['a']],
    ['that of a stage before', ['FROM a AS b', 'FROM b', run('$X')], ['a']],
    ['that of an ARG in doubt', ['FROM a', 'ARG X', run('${X:-1}')], ['a']],
    ['that of an inherited ARG', ['FROM a AS b', 'ARG X=1', 'FROM b', run('$X')], ['a']],
  ])('are %s', (_, lines, wanted) => {
    expect(discover(lines).wanted).toEqual(
      wanted.map((name) => ({ name, platform: 'linux/amd64' })),
    );
    const images = imagesOf(Object.fromEntries(wanted.map((name) => [name, 'gone'])));
    expect(discover(lines, { images }).wanted).toEqual([]);
  });
});

describe('a mount that is left out', () => {
  /** Its gap, its template and its command. */
  function leftOut(lines: readonly string[], given: Given = {}) {
    const { declared } = discover(lines, given);
    return [...declared.values()].flatMap(({ leftOut: each }) => each ?? []);
  }

  test('is described by what is known of it', () => {
    const buildArgs = { APP: 'web', BUILDKIT_CACHE_MOUNT_NS: 'n' };
    const lines = [
      `FROM docker.io/library/golang:1@sha256:${'0'.repeat(64)}`,
      'ARG APP',
      'ENV CACHE=${GOPATH}/cache-$APP',
      'RUN --mount=type=cache,target=$CACHE//x/,uid=1000,sharing=locked \\',
      '  go build',
    ];
    const id = '${GOPATH}/cache-web/x';
    expect(leftOut(lines, { buildArgs })).toEqual([
      {
        gap: { image: 'golang', id },
        template: { id, namespace: 'n', ownership: { uid: 1000, gid: 0, mode: 0o755 } },
        command: 'go build',
        message: expect.stringMatching(/^Dockerfile:4: .*GOPATH/),
      },
    ]);
  });

  test('has the same gap whether or not the image was to be looked up', () => {
    const lines = ['FROM golang:1', run('go-$GOPATH')];
    const images = imagesOf({ 'golang:1': 'no such host' });
    const gaps = [leftOut(lines), leftOut(lines, { images })].map(([each]) => each?.gap);
    expect(gaps).toEqual(Array(2).fill({ image: 'golang', id: 'go-$GOPATH' }));
  });

  test('is not described if too little is known', () => {
    for (const options of ['id=x,uid=$X', 'id=$X,sharing=$Y', 'id=$X,mode=$Y']) {
      const lines = ['FROM a', `RUN --mount=type=cache,target=/c,${options} go`];
      expect(leftOut(lines)).toEqual([]);
      expect(problemsOf(lines)).toHaveLength(1);
    }
  });
});

describe('what another frontend reads may bring mounts that are not seen, which is said', () => {
  const notSeen = 'mounts that it brings are not seen: name them in the input cache-mounts';

  test.each<[lines: string[], problem: string]>([
    [
      ['# syntax=devthefuture/dockerfile-x', 'FROM a'],
      'Dockerfile:1: the frontend devthefuture/dockerfile-x ',
    ],
    [
      ['#!/x', '# check=skip=all', '# Syntax = ghcr.io/x/y:1 z', 'FROM a'],
      'Dockerfile:3: the frontend ghcr.io/x/y:1 ',
    ],
    [['// syntax=x/y', 'FROM a'], 'Dockerfile:1: the frontend x/y '],
    [
      ['# syntax=evil/docker/dockerfile-x', 'FROM a'],
      'Dockerfile:1: the frontend evil/docker/dockerfile-x ',
    ],
    [
      ['FROM a', 'INCLUDE x', 'include y'],
      "Dockerfile:2: BuildKit's own Dockerfile has no instruction INCLUDE; ",
    ],
    [
      ['FROM a', 'INCLUDE+ x'],
      "Dockerfile:2: BuildKit's own Dockerfile has no instruction INCLUDE+; ",
    ],
    [['A', 'B', 'C', 'D', 'E', 'FROM a'], 'has no instruction A, B, C, 2 more; '],
    [['FROM a', 'RUN\u00a0x'], 'has no instruction RUN\u00a0X; '],
  ])('%j', (lines, problem) => {
    const { mounts, problems } = discover([...lines, run('m')]);
    expect(problems).toContainEqual(expect.stringContaining(problem));
    expect(problems[0]).toContain(notSeen);
    expect(mounts).toEqual([{ id: 'm' }]);
  });

  test('by a build argument too', () => {
    expect(problemsOf(['FROM a'], { buildArgs: { BUILDKIT_SYNTAX: 'x/y' } })).toEqual([
      expect.stringContaining('Dockerfile:1: the frontend x/y is not'),
    ]);
  });

  test.each([
    ...['docker/dockerfile', 'docker/dockerfile:1', 'docker/dockerfile:1.7-labs'],
    ...['docker.io/docker/dockerfile:1', 'docker/dockerfile-upstream:master'],
    ...[
      'registry.example.org/hub/docker/dockerfile:1',
      `docker/dockerfile:1@sha256:${'0'.repeat(64)}`,
    ],
  ])('not of its own: %s', (frontend) => {
    expect(find([`# syntax=${frontend}`, 'FROM a', run('m')])).toEqual(['m']);
    expect(find(['FROM a', '# syntax=x/y', run('m')])).toEqual(['m']);
  });

  test('nor of any instruction of its own', () => {
    const names =
      'ADD CMD COPY ENTRYPOINT EXPOSE HEALTHCHECK LABEL MAINTAINER SHELL STOPSIGNAL USER VOLUME WORKDIR';
    const lines = names.split(' ').flatMap((name) => [`${name} x`, `${name.toLowerCase()} x`]);
    expect(find(['FROM a', ...lines, run('m')])).toEqual(['m']);
  });
});

test('what tells a scanner is no variable', () => {
  expect(
    find(['FROM scratch', 'ARG BUILDKIT_SBOM_SCAN_STAGE=a', run('x$BUILDKIT_SBOM_SCAN_STAGE')]),
  ).toEqual(['x']);
});

describe('a FROM that names no image without an ARG', () => {
  test.each<[lines: string[], problem: string]>([
    [
      ['FROM image:${A}'],
      'Dockerfile:1: $A has no value, so that "FROM image:${A}" names no image',
    ],
    [
      ['ARG A', 'FROM image:$A AS x'],
      'Dockerfile:2: $A has no value, so that "FROM image:$A AS x"',
    ],
    [['FROM $A'], 'Dockerfile:1: $A has no value'],
    [['FROM $A/$B:1'], 'Dockerfile:1: $A and $B have no value'],
    [['FROM ${A%x}:1'], 'Dockerfile:1: $A has no value'],
    [['FROM image:$A', 'FROM scratch'], 'Dockerfile:1: $A has no value'],
  ])('%j', (lines, problem) => {
    const { mounts, problems } = discover([...lines, run('m')]);
    expect(problems).toEqual([expect.stringContaining(problem)]);
    expect(problems[0]).toMatch(/BuildKit refuses it: is it missing in build-args\?$/);
    expect(mounts).toEqual([{ id: 'm' }]);
  });

  test.each([
    'image$A',
    'image:v$A',
    'image:${A:-1}',
    'image:$B',
    'golang${A:+:1}',
    '$STAGE',
    'Image:1',
  ])('is none: FROM %s', (base) => {
    const lines = ['ARG B=1', 'ARG STAGE=a__', 'FROM golang AS a__', `FROM ${base}`, run('m')];
    expect(find(lines)).toEqual(['m']);
  });
});

describe('ONBUILD', () => {
  test('runs in the stages that start from it, before their own instructions', () => {
    expect(
      find([
        'FROM golang AS base',
        'ENV A=1',
        'ONBUILD ARG B=$A$A',
        `ONBUILD ${run('on-$B')}`,
        run('base'),
        'FROM base',
        run('own-$B'),
      ]),
    ).toEqual(['base', 'on-11', 'own-11']);
  });

  test('does not run in its own stage, nor in a grandchild', () => {
    const lines = ['FROM golang AS base', `ONBUILD ${run('on')}`, run('base')];
    expect(find(lines)).toEqual(['base']);
    expect(find([...lines, 'FROM base AS child', 'FROM child', run('last')])).toEqual([
      'base',
      'on',
      'last',
    ]);
  });

  test('can need a stage', () => {
    expect(
      find([
        'FROM golang AS a',
        run('a'),
        'FROM golang AS base',
        'ONBUILD COPY --from=a /x /x',
        'FROM base',
        run('b'),
      ]),
    ).toEqual(['a', 'b']);
  });

  test('is named by its own line', () => {
    expect(problemsOf(['FROM golang AS base', `onbuild ${run('$X')}`, 'FROM base'])).toEqual([
      expect.stringContaining('Dockerfile:2: '),
    ]);
  });
});

describe('a problem is named with file and line, and the rest still works', () => {
  test.each<[name: string, lines: string[], problem: string | RegExp, ids: string[]]>([
    [
      'a variable that an image may set',
      ['FROM golang:1', run('$HOME'), run('b')],
      'Dockerfile:2: a mount is left out: $HOME may be set by the image golang:1, which is not looked into',
      ['b'],
    ],
    [
      'a variable of an image, through stages and ENV',
      ['FROM golang:1 AS a', 'ENV X=1', 'FROM a', '', run('$X'), run('$GOPATH')],
      'Dockerfile:6: a mount is left out: $GOPATH may be set by the image golang:1, which',
      ['1'],
    ],
    [
      'an image that a variable names',
      ['ARG V=1.22', 'FROM golang:$V', run('$HOME')],
      'Dockerfile:3: a mount is left out: $HOME may be set by the image golang:1.22, which',
      [],
    ],
    [
      'an ENV that depends on an image',
      ['FROM golang', 'ENV C=$HOME/.cache', 'ENV D=1', run('$C'), run('$D')],
      /^Dockerfile:4: a mount is left out: \$HOME may be set/,
      ['1'],
    ],
    [
      'an alternative to what an image may set',
      ['FROM golang', run('${HOME:-x}')],
      /^Dockerfile:2: a mount is left out: \$HOME may be set/,
      [],
    ],
    [
      'an ARG without a value',
      ['FROM scratch', 'ARG A', '# comment', 'RUN \\', '  --mount=type=cache,target=/c,id=x$A go'],
      'Dockerfile:4: $A has no value here, so it is empty: is it missing in build-args?',
      ['x'],
    ],
    [
      'an ARG without a value, of a parent stage',
      ['FROM golang AS a', 'ARG A', 'FROM a', run('x$A')],
      'Dockerfile:4: $A has no value here, so it is empty: is it missing in build-args?',
      ['x'],
    ],
    [
      'an unknown option',
      ['FROM a', 'RUN --mount=type=cache,target=/c,size=1g go', run('b')],
      'Dockerfile:2: a mount is left out: unknown option "size"',
      ['b'],
    ],
    [
      'an option without a value',
      ['FROM a', 'RUN --mount=type=cache,target go'],
      'Dockerfile:2: a mount is left out: the option target has no value',
      [],
    ],
    [
      'a bad uid',
      ['FROM a', 'ARG U=root', 'RUN --mount=type=cache,target=/c,uid=$U go'],
      'Dockerfile:3: a mount is left out: uid=root is no decimal number',
      [],
    ],
    [
      'a bad mode of sharing',
      ['FROM a', 'RUN --mount=type=cache,target=/c,sharing=none go'],
      'Dockerfile:2: a mount is left out: sharing=none is unknown',
      [],
    ],
    [
      'neither id nor target',
      ['FROM a', 'RUN --mount=type=cache go'],
      'Dockerfile:2: a mount is left out: neither id nor target is given',
      [],
    ],
    [
      'a stray quote',
      ['FROM a', 'RUN --mount=type=cache,id=a\\"b,target=/c go', run('b')],
      'Dockerfile:2: a mount is left out: a quote inside a field',
      ['b'],
    ],
    [
      'one mount of two',
      ['FROM a', 'RUN --mount=type=cache,target=/a,uid=x --mount=type=cache,target=/b go'],
      'Dockerfile:2: a mount is left out: uid=x',
      ['/b'],
    ],
    [
      'a quote that does not end',
      ['FROM a', 'ARG A=1', run("\\'$A")],
      "Dockerfile:3: a mount is left out: the quote ' is not closed",
      [],
    ],
    [
      'a substitution that is not valid',
      ['FROM a', 'ARG A=1', run('${A^^}')],
      'Dockerfile:3: a mount is left out: a substitution ${…} in "${A^^}" is not valid',
      [],
    ],
    [
      'a value that is asked for',
      ['FROM scratch', 'ARG A', run('${A:?gone}')],
      'Dockerfile:3: a mount is left out: A: gone',
      [],
    ],
    [
      'a wrong global argument',
      ['ARG A=${B', 'ARG C=1', 'FROM scratch', 'ARG C', run('$C')],
      'Dockerfile:1: "}" is missing',
      ['1'],
    ],
    ['a wrong base', ['FROM ${B', run('b')], 'Dockerfile:1: "}" is missing', ['b']],
  ])('%s', (_, lines, problem, ids) => {
    const { mounts, problems } = discover(lines);
    expect(problems).toEqual([
      typeof problem === 'string'
        ? expect.stringContaining(problem)
        : expect.stringMatching(problem),
    ]);
    expect(mounts.map(({ id }) => id)).toEqual(ids);
  });

  test('the file is named as it was given', () => {
    const given = { file: 'app/a.Dockerfile' };
    expect(problemsOf(['FROM a', run('$X')], given)[0]).toMatch(/^app\/a\.Dockerfile:2: /);
    expect(() => discover('FROM a', { ...given, target: 'x' })).toThrow('app/a.Dockerfile has no');
  });

  test('what a stage that is not needed cannot resolve is no matter', () => {
    expect(find(['FROM golang AS unneeded', run('$HOME'), 'FROM golang', run('b')])).toEqual(['b']);
  });

  test('with each alternative, an ARG without a value is no problem', () => {
    const lines = ['FROM scratch', 'ARG A', run('${A:-x}'), run('${A-y}'), run('${A:+no}z')];
    expect(find(lines)).toEqual(['x', 'y', 'z']);
  });
});

describe('a mount that starts from a stage', () => {
  const cheap = ['FROM alpine AS seed', 'COPY x /seed/'];
  const mount = 'RUN --mount=type=cache,target=/c,from=seed,source=/seed go';

  test('is found, with the text that the stage is made of', () => {
    const { mounts, problems, stages } = discover([...cheap, 'FROM golang', mount]);
    expect(problems).toEqual([]);
    expect(mounts).toEqual([
      {
        id: '/c',
        source: '/seed',
        stage: { name: 'seed', digest: expect.stringMatching(/^\w{64}$/) },
      },
    ]);
    expect(stages).toEqual({ head: '# escape=\\', stages: cheap.join('\n') });
  });

  test('has the stages that its stage needs, and no other', () => {
    const { problems, stages } = discover([
      '# escape=`',
      'ARG BASE=alpine',
      '# comment',
      'ARG V=1',
      'FROM $BASE AS other',
      'RUN other',
      'FROM $BASE AS parent',
      'ARG V',
      'WORKDIR /x',
      'FROM scratch AS files',
      'COPY <<EOF /x',
      'hello',
      'EOF',
      'FROM parent AS seed',
      'ADD x `',
      '  /x',
      'COPY --from=files /x /x',
      'FROM golang',
      'RUN --mount=type=cache,target=/c,from=Seed go',
    ]);
    expect(problems).toEqual([]);
    expect(stages).toEqual({
      head: '# escape=`\nARG BASE=alpine\nARG V=1',
      stages: [
        ...['FROM $BASE AS parent', 'ARG V', 'WORKDIR /x'],
        ...['FROM scratch AS files', 'COPY <<EOF /x', 'hello', 'EOF'],
        ...['FROM parent AS seed', 'ADD x `\n  /x', 'COPY --from=files /x /x'],
      ].join('\n'),
    });
  });

  test('is another one for another text', () => {
    const identities = [cheap, [...cheap, 'ENV A=1'], ['ARG A=1', ...cheap]].map(
      (lines) => discover([...lines, 'FROM golang', mount]).mounts[0]?.stage?.digest,
    );
    expect(new Set(identities).size).toBe(3);
  });

  test('is found once, with and without an owner', () => {
    const lines = [...cheap, 'FROM golang', mount, mount, mount.replace('source=/seed', 'uid=1')];
    expect(find(lines)).toEqual([
      '/c (from=seed,source=/seed)',
      '/c (from=seed,uid=1,gid=0,mode=0755)',
    ]);
  });

  test('its namespace is kept', () => {
    const given = { buildArgs: { BUILDKIT_CACHE_MOUNT_NS: 'ns' } };
    expect(find([...cheap, 'FROM golang', mount], given)).toEqual([
      '/c (namespace=ns,from=seed,source=/seed)',
    ]);
  });

  test('no stage is handed on where none is started from', () => {
    expect(discover([...cheap, 'FROM golang', 'COPY --from=seed /x /x', run('a')]).stages).toBe(
      undefined,
    );
  });

  test.each<[name: string, stages: string[], costly: string]>([
    ['runs a command', ['FROM alpine AS seed', 'RUN make'], 'RUN in line 2'],
    [
      'starts from one that does',
      ['FROM alpine AS p', 'RUN make', 'FROM p AS seed'],
      'RUN in line 2',
    ],
    [
      'copies from one that does',
      ['FROM a AS b', 'RUN x', 'FROM c AS seed', 'COPY --from=b /x /x'],
      'RUN in line 2',
    ],
    ['downloads', ['FROM alpine AS seed', 'ADD https://example.org/x /x'], 'ADD in line 2'],
    ['clones', ['FROM alpine AS seed', '', 'ADD git@example.org:a/b.git /x'], 'ADD in line 3'],
    [
      'has triggers from its parent',
      ['FROM a AS p', 'ONBUILD RUN x', 'FROM p AS seed'],
      'ONBUILD in line 2',
    ],
  ])('is left out where the stage %s', (_, stages, costly) => {
    const lines = [...stages, 'FROM golang', mount, run('b')];
    const { mounts, problems, stages: handedOn } = discover(lines);
    expect(mounts).toEqual([{ id: 'b' }]);
    expect(problems).toEqual([
      expect.stringMatching(
        `^Dockerfile:${stages.length + 2}: a mount is left out: it starts from the stage \\w+, .*${costly}`,
      ),
    ]);
    expect(handedOn).toBeUndefined();
  });
});

test('a Dockerfile of ten thousand stages', () => {
  const stages = Array.from({ length: 10_000 }, (_, at) => [
    `FROM ${at === 0 ? 'golang' : `s${at - 1}`} AS s${at}`,
  ]);
  expect(find([...stages.flat(), run('x')])).toEqual(['x']);
});

test('the name of a stage is a name', () => {
  const lines = ['FROM scratch AS a,target=/x', 'COPY x /', 'FROM b', run('m,from=a')];
  expect(find(lines)).toEqual(['m (from=a)']);
});

describe('any text', () => {
  const word = fc.constantFrom(
    ...[
      'FROM',
      'RUN',
      'ARG',
      'ENV',
      'COPY',
      'ONBUILD',
      'as',
      'a',
      'b',
      'scratch',
      '0',
      '--',
      '<<EOF',
    ],
    ...[
      '--mount=type=cache,',
      'target=/c',
      'id=',
      '$A',
      '${A:-',
      '}',
      '${B',
      ',from=a',
      ',uid=',
      '=',
      '"',
      "'",
    ],
    ...[
      '--from=a',
      '--from=',
      '\\',
      '\\\n',
      '`',
      '# escape=`\n',
      '# x\n',
      ',',
      'A',
      'B=1',
      '\r\n',
      '\t',
      '\uFEFF',
    ],
  );
  const piece = fc.oneof(
    { weight: 6, arbitrary: word },
    { weight: 3, arbitrary: fc.constantFrom('\n', ' ') },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 4 }) },
  );
  const line = fc.constantFrom(
    ...[
      'FROM scratch AS a',
      'FROM a',
      'FROM golang AS b',
      'ARG A=1',
      'ENV B=$A',
      'COPY --from=a /x /x',
    ],
    ...['RUN --mount=type=cache,target=/c,from=a x', run('$A'), run('${B:-x}'), 'ONBUILD ARG A=$B'],
  );
  const anyText = fc
    .array(
      fc.oneof(
        piece,
        line.map((each) => `\n${each}\n`),
      ),
    )
    .map((pieces) => pieces.join(''));
  const given = fc.record({
    target: fc.constantFrom(undefined, 'a', 'b', '1', 'x'),
    platforms: fc.constantFrom(['linux/amd64'], ['linux/arm', 'x']),
    buildArgs: fc.constantFrom({}, { A: 'a' }, { A: '', BUILDKIT_CACHE_MOUNT_NS: 'n' }),
  });

  test('gives mounts with an id and problems with a line, or an InputError', () => {
    let found = 0;
    fc.assert(
      fc.property(anyText, given, (text, options) => {
        try {
          const { mounts, problems } = discover(text, options);
          expect(mounts.map(({ id }) => id)).not.toContain('');
          for (const problem of problems) expect(problem).toMatch(/^Dockerfile:\d+: \S/);
          found += mounts.length;
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
        }
      }),
      { numRuns: 3000 },
    );
    expect(found).toBeGreaterThan(20);
  });

  test('none of it depends on the line breaks', () => {
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        expect(discover(lines.join('\r\n'))).toEqual(discover(lines));
      }),
    );
  });
});

test('an ENV hides an ARG of the same name in the stages that start from it', () => {
  const text = [
    'FROM scratch AS first',
    'ENV A=env',
    'ARG A=arg',
    'RUN --mount=type=cache,target=/c,id=$A-here go',
    'FROM first',
    'RUN --mount=type=cache,target=/c,id=$A-there go',
  ].join('\n');
  const { mounts } = discoverMounts(text, {
    file: 'Dockerfile',
    target: undefined,
    buildArgs: new Map(),
    platforms: ['linux/amd64'],
  });
  expect(mounts).toEqual([{ id: 'arg-here' }, { id: 'env-there' }]);
});

test('the escape token of the Dockerfile is that of its flags too', () => {
  const text = '# escape=`\nFROM scratch\nRUN --mount=type=cache,id=C:\\x`y,target=/c go';
  const { mounts } = discoverMounts(text, {
    file: 'Dockerfile',
    target: undefined,
    buildArgs: new Map(),
    platforms: ['linux/amd64'],
  });
  expect(mounts).toEqual([{ id: 'C:\\xy' }]);
});
