import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseCacheMounts } from '../../../src/discovery/named-mounts.js';
import {
  type CacheMount,
  describeMount,
  identityOf,
  renderOwnership,
} from '../../../src/mounts/cache-mount.js';
import { inCsvQuotes } from '../../support/csv.js';

/** The mount of a text that names just one. */
function parseOne(text: string): CacheMount {
  const { mounts, notices } = parseCacheMounts(text);
  expect(mounts).toHaveLength(1);
  expect(notices).toEqual([]);
  return mounts[0] as CacheMount;
}

function ownership(uid: number, gid: number, mode: number): Pick<CacheMount, 'ownership'> {
  return { ownership: { uid, gid, mode } };
}

describe('a line that is an id', () => {
  test.each([
    ['go', 'go'],
    ['cargo-registry', 'cargo-registry'],
    ['with space', 'with space'],
    ['  trimmed\t', 'trimmed'],
    ['/root/.cache/go-build', '/root/.cache/go-build'],
    ['/x/', '/x/'],
    ['//x/../y', '//x/../y'],
    ['$HOME', '$HOME'],
    ['back\\slash', 'back\\slash'],
    ["it's", "it's"],
    ['x=y', 'x=y'],
    ['ids=1', 'ids=1'],
    ['id', 'id'],
    ['type', 'type'],
    ['a#b', 'a#b'],
    ['-- mount', '-- mount'],
    ['日本', '日本'],
    ['"quoted"', 'quoted'],
    ['"a,b"', 'a,b'],
    ['"say ""x"""', 'say "x"'],
    ['" spaces "', ' spaces '],
    ['"#no comment"', '#no comment'],
    ['"id"', 'id'],
  ])('%s', (line, id) => {
    expect(parseOne(line)).toEqual({ id });
  });

  test.each(['go,/root/.cache', 'go,', 'go,x=y', '"go",/root/.cache', 'go,"/a,b"'])(
    'a second field changes nothing: %s',
    (line) => {
      expect(parseOne(line)).toEqual({ id: 'go' });
    },
  );

  test('any id can be written as a quoted CSV field, unless it reads as an option', () => {
    const option =
      /^(((type|id|target|dst|destination|sharing|from|source|src|uid|gid|mode)=)|((ro|rw|readonly|readwrite)(=|$)))/i;
    const anyId = fc
      .string({ unit: 'binary', minLength: 1 })
      .filter((id) => !id.includes('\n') && !option.test(id));
    fc.assert(
      fc.property(anyId, (id) => {
        expect(parseOne(inCsvQuotes(id))).toEqual({ id });
      }),
    );
  });
});

describe('a line that is options', () => {
  test.each<[line: string, mount: CacheMount]>([
    ['id=go', { id: 'go' }],
    ['target=/root/.cache', { id: '/root/.cache' }],
    ['id=go,target=/root/.cache', { id: 'go' }],
    ['target=/root/.cache,id=go', { id: 'go' }],
    ['type=cache,id=go', { id: 'go' }],
    ['TYPE=Cache,ID=Go,Target=/x', { id: 'Go' }],
    ['dst=/x', { id: '/x' }],
    ['destination=/x', { id: '/x' }],
    ['target=/x,dst=/x,id=a,id=a', { id: 'a' }],
    ['id=,target=/x', { id: '/x' }],
    ['id=a=b', { id: 'a=b' }],
    ['id= a ', { id: ' a' }],
    ['id=/', { id: '/' }],
    ['"id=a,b",target=/x', { id: 'a,b' }],
    ['target=/x,"id=say ""x"""', { id: 'say x' }],
    ["id='a b'", { id: 'a b' }],
    ["id='$HOME'", { id: '$HOME' }],
    ['id=\\$HOME', { id: '$HOME' }],
    ['id=a$', { id: 'a$' }],
    ['id=ü', { id: 'ü' }],
    ['id=${NAME:-y}', { id: 'y' }],
    ['id=a${NAME-}b', { id: 'ab' }],
    ['id=${NAME:+y}a', { id: 'a' }],
    ['id=a,target=/x/${NAME:-y}', { id: 'a' }],
    ['id=a,sharing=shared', { id: 'a' }],
    ['id=a,sharing=private', { id: 'a' }],
    ['id=a,sharing=LOCKED', { id: 'a' }],
    ['id=a,ro', { id: 'a' }],
    ['RW,id=a', { id: 'a' }],
    ['readonly=false,id=a', { id: 'a' }],
    ['id=a,readwrite=true', { id: 'a' }],
    ['id=a,from=alpine', { id: 'a', from: 'alpine' }],
    ['id=a,from=', { id: 'a' }],
    ['id=a,from=alpine,source=/x', { id: 'a', from: 'alpine', source: '/x' }],
    ['id=a,from=alpine,src=x/y/', { id: 'a', from: 'alpine', source: '/x/y' }],
    ['id=a,from=alpine,source=/../x/./y//', { id: 'a', from: 'alpine', source: '/x/y' }],
    ['id=a,from=alpine,source=/', { id: 'a', from: 'alpine' }],
    ['id=a,source=', { id: 'a' }],
    // Of nothing, a source is a directory of the mount itself.
    ['id=a,source=/x', { id: 'a' }],
    ['id=a,from=,source=/x,uid=1', { id: 'a' }],
    ['id=a,from=scratch,source=/x', { id: 'a' }],
    ['id=a,env=NAME', { id: 'a' }],
    ['ENV=NAME,target=/x', { id: '/x' }],
    ['target=/.', { id: '/' }],
    ['target=//', { id: '/' }],
    ['id=a,uid=1000', { id: 'a', ...ownership(1000, 0, 0o755) }],
    ['id=a,gid=7', { id: 'a', ...ownership(0, 7, 0o755) }],
    ['id=a,mode=0750', { id: 'a', ...ownership(0, 0, 0o750) }],
    ['id=a,mode=0', { id: 'a', ...ownership(0, 0, 0) }],
    ['id=a,uid=0', { id: 'a', ...ownership(0, 0, 0o755) }],
    ['id=a,uid=4294967295,gid=010', { id: 'a', ...ownership(4294967295, 10, 0o755) }],
    ['id=a,from=alpine,uid=1', { id: 'a', from: 'alpine', ...ownership(1, 0, 0o755) }],
    ['id=a,from=alpine,source=/x,uid=1', { id: 'a', from: 'alpine', source: '/x' }],
    [
      'id=go,target=/root/.cache,uid=1000,gid=1000,mode=0750,from=base,sharing=locked',
      { id: 'go', from: 'base', ...ownership(1000, 1000, 0o750) },
    ],
  ])('%s', (line, mount) => {
    expect(parseOne(line)).toEqual(mount);
  });

  test.each([
    ['/c/x/', '/c/x'],
    ['c/x', 'c/x'],
    ['./c/x/', 'c/x'],
    ['../x', '../x'],
    ['//c//x', '/c/x'],
    ['/a/../c/./x', '/c/x'],
    ['/../x', '/x'],
  ])('without an id, the cleaned target is the id: %s', (target, id) => {
    expect(parseOne(`target=${target}`)).toEqual({ id });
  });

  test('any id can be written with a backslash before each character', () => {
    const anyId = fc
      .string({ unit: 'binary', minLength: 1 })
      .filter((id) => !id.includes('\n') && !id.startsWith('\uFEFF'));
    fc.assert(
      fc.property(anyId, (id) => {
        expect(parseOne(inCsvQuotes(`id=${behindBackslashes(id)}`))).toEqual({ id });
      }),
    );
  });
});

describe('the variables in options', () => {
  const variables = new Map([
    ['NAME', 'go'],
    ['USER', '1000'],
    ['EMPTY', ''],
    ['COMMA', 'a,uid=1'],
    ['QUOTED', `"a' $NAME`],
    ['BASE', 'alpine'],
  ]);
  const parse = (text: string) => parseCacheMounts(text, (name) => variables.get(name)).mounts;

  test.each<[line: string, mount: CacheMount]>([
    ['id=$NAME', { id: 'go' }],
    ['id=${NAME}-build', { id: 'go-build' }],
    ['target=/c/$NAME/../x', { id: '/c/x' }],
    ['id=a,uid=$USER', { id: 'a', ...ownership(1000, 0, 0o755) }],
    ['id=a,from=$BASE,source=/$NAME', { id: 'a', from: 'alpine', source: '/go' }],
    ['id=x$EMPTY', { id: 'x' }],
    ['id=$EMPTY,target=/x', { id: '/x' }],
    ['id=$COMMA', { id: 'a,uid=1' }],
    ['id=$QUOTED', { id: `"a' $NAME` }],
    ["id='$NAME'", { id: '$NAME' }],
    ['id=\\$NAME', { id: '$NAME' }],
    ['id=${EMPTY:-${NAME}}', { id: 'go' }],
    ['--mount=type=cache,id=$NAME', { id: 'go' }],
    ['--mount=type=cache,id=\\$NAME', { id: 'go' }],
    ['--mount=type=cache,id=\\\\$NAME', { id: '$NAME' }],
  ])('%s', (line, mount) => {
    expect(parse(line)).toEqual([mount]);
  });

  test('are none in an id alone', () => {
    expect(parse('$NAME\n${NAME}')).toEqual([{ id: '$NAME' }, { id: '${NAME}' }]);
  });

  test('count for what is one mount', () => {
    expect(parse('id=$NAME\ngo')).toEqual([{ id: 'go' }]);
  });
});

const behindBackslashes = (text: string) => [...text].map((char) => `\\${char}`).join('');

describe('a line pasted from a Dockerfile is read as BuildKit reads the flag', () => {
  test.each<[line: string, mount: CacheMount]>([
    ['--mount=type=cache,target=/root/.cache', { id: '/root/.cache' }],
    ['--mount=id=a,target=/x', { id: 'a' }],
    ['RUN --mount=type=cache,target=/x', { id: '/x' }],
    ['run \t--mount=type=cache,target=/x \\', { id: '/x' }],
    ['--mount=type=cache,target=/x \\', { id: '/x' }],
    ['--mount=type=cache,target=/x\\', { id: '/x' }],
    ['--mount=type=cache,target=/x,uid=1000', { id: '/x', ...ownership(1000, 0, 0o755) }],
    ['--mount=type=cache,id="a b",target=/x', { id: 'a b' }],
    ["--mount=type=cache,id='a b'", { id: 'a b' }],
    ['--mount="type=cache,id=a b"', { id: 'a b' }],
    ['--mount=type=cache,"id=a b"', { id: 'a b' }],
    ['--mount=type=cache,id=a\\ b', { id: 'a b' }],
    ["--mount=type=cache,id='it\\\\\\'s'", { id: "it's" }],
    [`--mount=type=cache,'"id=a,b"'`, { id: 'a,b' }],
    ['--mount=type=cache,\\"id=a,b\\"', { id: 'a,b' }],
    ['--mount=type=cache,id=\\\\$HOME', { id: '$HOME' }],
    [`--mount=type=cache,id=a\\\\\\\\b`, { id: 'a\\b' }],
  ])('%s', (line, mount) => {
    expect(parseOne(line)).toEqual(mount);
  });

  test.each([
    ['ü', 'Ã¼'],
    ['é/日', 'Ã©/æ\u0097¥'],
    // The second byte of à is white space in Latin-1, and ends the flag.
    ['à', 'Ã'],
  ])('each byte of %s becomes a character', (written, id) => {
    expect(parseOne(`--mount=type=cache,id=${written}`)).toEqual({ id });
    expect(parseOne(`--mount=type=cache,target=${written}`)).toEqual({ id });
    expect(parseOne(`type=cache,id=${written}`)).toEqual({ id: written });
  });

  test('any printable ASCII id can be written through all three layers', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme-ascii', minLength: 1 }), (id) => {
        const flag = inCsvQuotes(`id=${behindBackslashes(id)}`);
        expect(parseOne(`--mount=type=cache,${behindBackslashes(flag)}`)).toEqual({ id });
      }),
    );
  });
});

describe('identity', () => {
  test.each([
    ['m', 'id=m'],
    ['m', 'm,/target'],
    ['m', '"m"'],
    ['m', 'id=m,target=/x,sharing=locked,ro'],
    ['/c/x', 'target=/c/x/'],
    ['id=m,target=/a', 'id=m,target=/b'],
    ['id=m,uid=1000', 'id=m,uid=1000,gid=0,mode=0755'],
    ['id=m,mode=755', 'mode=0755,id=m'],
    ['id=m,gid=01', 'id=m,gid=1'],
    ['id=m,from=a', 'id=m,from=a,source=/'],
    ['id=m,from=a,source=x/', 'id=m,from=a,source=/x'],
    ['id=m,from=a,source=x', 'id=m,from=a,source=x,uid=1000'],
  ])('%s and %s are one mount: a notice', (first, second) => {
    const { mounts, notices } = parseCacheMounts(`${first}\n\n${second}`);
    expect(mounts).toEqual([parseOne(first)]);
    expect(notices).toEqual([
      `line 3 names the same cache mount as line 1: ${describeMount(parseOne(second))}`,
    ]);
  });

  test.each([
    ['m', 'M'],
    ['x', '/x'],
    ['x', 'x/'],
    ['/x', '//x'],
    ['/x', '/x/'],
    ['id=/x/', 'target=/x/'],
    ['m', 'id=m,uid=0'],
    ['m', 'id=m,uid=0,gid=0,mode=0755'],
    ['id=m,uid=1', 'id=m,uid=2'],
    ['id=m,uid=1', 'id=m,gid=1'],
    ['id=m,gid=1', 'id=m,gid=2'],
    ['id=m,mode=0750', 'id=m,mode=0755'],
    ['m', 'id=m,from=a'],
    ['id=m,from=a', 'id=m,from=b'],
    ['id=m,from=a', 'id=m,from=a,source=/x'],
    ['id=m,from=a,source=/x', 'id=m,from=a,source=/y'],
    ['id=m,from=a', 'id=m,from=a,uid=0'],
  ])('%s and %s are two mounts', (first, second) => {
    const { mounts, notices } = parseCacheMounts(`${first}\n${second}`);
    expect(mounts).toEqual([parseOne(first), parseOne(second)]);
    expect(notices).toEqual([]);
    expect(new Set(mounts.map(identityOf)).size).toBe(2);
  });

  test('does not depend on how the fields are cut', () => {
    const tricky: CacheMount[] = [
      { id: 'a', from: 'b' },
      { id: 'a","b' },
      { id: 'a', from: 'b', source: '/c' },
      { id: 'a', from: 'b","/c' },
      { id: 'a', namespace: 'b' },
      { id: 'b/a' },
      { id: 'a', stage: { name: 'b', digest: 'c' } },
      { id: 'a', stage: { name: 'b', digest: 'd' } },
      { id: 'a', stage: { name: 'c', digest: 'c' } },
      { id: 'null' },
    ];
    expect(new Set(tricky.map(identityOf)).size).toBe(tricky.length);
  });

  test('is the same from version to version: a builder keeps snapshots by it', () => {
    const stage = { digest: 'd', name: 'n' };
    const all: CacheMount = {
      source: '/s',
      stage,
      namespace: 'ns',
      id: 'x',
      ...ownership(1, 2, 3),
    };
    expect(identityOf(all)).toBe('["x","ns",null,["n","d"],"/s",[1,2,3]]');
    expect(identityOf({ from: 'f', id: 'x' })).toBe('["x",null,"f",null,null,null]');
  });
});

describe('a wrong line', () => {
  const onlyAnOption = 'options can follow only an option: write id=a';
  test.each([
    ['""', 'the id is empty'],
    [',/x', 'the id is empty'],
    ['a,b,c', onlyAnOption],
    ['a,target=/x', onlyAnOption],
    ['a,RO', onlyAnOption],
    ['a"b', 'a quote inside a field'],
    ['"a', 'a quoted field must end with a quote'],
    ['id="a"', 'a quote inside a field'],
    ['id=a,b', 'unknown option "b"'],
    ['id=a,nope=1', 'unknown option "nope"'],
    ['id=a,size=1', 'unknown option "size"'],
    ['id=a,', 'unknown option ""'],
    ['id=a,--mount=b', 'unknown option "--mount"'],
    ['id=a,target', 'the option target has no value: write target=…'],
    ['id=a,env', 'the option env has no value: write env=…'],
    ['id=a,env=$NAME', 'the variable $NAME has no value'],
    ['uid=1000', 'neither id nor target is given'],
    ['type=cache', 'neither id nor target is given'],
    ['ro', 'neither id nor target is given'],
    ['id=', 'neither id nor target is given'],
    ['target=', 'neither id nor target is given'],
    ['target=/', 'target=/ cannot be a mount'],
    ['id=a,id=b', 'id is given twice, as "a" and as "b"'],
    ['target=/a,dst=/b', 'target is given twice, as "/a" and as "/b"'],
    ['from=x,id=a,src=/a,source=/b', 'source is given twice, as "/a" and as "/b"'],
    ['id=a,uid=1,UID=2', 'uid is given twice, as "1" and as "2"'],
    ['type=bind,id=a', 'type=bind is no cache mount'],
    ['id=a,type=tmpfs', 'type=tmpfs is no cache mount'],
    ['id=a,type=', 'type= is no cache mount'],
    ['id=a,sharing=none', 'sharing=none is unknown'],
    ['id=a,uid=', 'uid= is no decimal number'],
    ['id=a,uid=root', 'uid=root is no decimal number'],
    ['id=a,uid=-1', 'uid=-1 is no decimal number'],
    ['id=a,uid=4294967296', 'uid=4294967296 is no decimal number of 32 bits'],
    ['id=a,gid=1.5', 'gid=1.5 is no decimal number'],
    ['id=a,gid=0x1', 'gid=0x1 is no decimal number'],
    ['id=a,mode=0888', 'mode=0888 is no octal number'],
    ['id=a,mode=u+x', 'mode=u+x is no octal number'],
    ['id=a,mode=40000000000', 'mode=40000000000 is no octal number of 32 bits'],
    ['id=a,from=x,source=/y,uid=no', 'uid=no is no decimal number'],
    [
      'id=$NAME',
      'the variable $NAME has no value: give it in build-args, or write the value itself',
    ],
    ['id=a,target=/x/${NAME}', 'the variable $NAME has no value'],
    ['id=${NAME#x}', 'the variable $NAME has no value'],
    ['id=${NAME/x/y}', 'the variable $NAME has no value'],
    ['id=${NAME:-$OTHER}', 'the variable $OTHER has no value'],
    ['id=${NAME:?give a name}', 'NAME: give a name'],
    ['id=${NAME', '"}" is missing'],
    ['id=${NAME=x}', 'a substitution ${…} in "${NAME=x}" is not valid'],
    ['id=a,from=$BASE', 'the variable $BASE has no value'],
    ['id=a,uid=$UID', 'the variable $UID has no value'],
    ["id='a", "the quote ' is not closed"],
    ['--mount=', 'unknown option ""'],
    ['--mount=type=bind,target=/x', 'type=bind is no cache mount'],
    ['--mount=type=cache,id=$NAME', 'the variable $NAME has no value'],
    ['--mount=type=cache,id=\\$NAME', 'the variable $NAME has no value'],
    ['--mount=type=cache,id=a b', 'one mount a line: put "b" on a line of its own'],
    ['--mount=target=/a --mount=target=/b', 'put "--mount=target=/b" on a line of its own'],
  ])('%s', (line, message) => {
    expect(() => parseCacheMounts(`\n${line}`)).toThrow(`line 2 (${line}): `);
    expect(() => parseCacheMounts(`\n${line}`)).toThrow(message);
  });

  test('hides no other: all are listed, each with its number', () => {
    const text = 'good\nid=a,uid=x\n\n# comment\nuid=1\ngood\n  id=$X  \n';
    const message = [
      'line 2 (id=a,uid=x): uid=x is no decimal number of 32 bits',
      'line 5 (uid=1): neither id nor target is given: one of them must name the mount',
      'line 7 (id=$X): the variable $X has no value: give it in build-args, or write the value itself (a plain dollar sign is \\$)',
    ].join('\n');
    expect(() => parseCacheMounts(text)).toThrow(new Error(message));
  });
});

describe('the lines of the input', () => {
  test.each<[name: string, text: string, ids: string[]]>([
    ['none', '', []],
    ['blank ones', '\n  \n\t\n', []],
    ['comments', '# a\n  # b\n#\nc', ['c']],
    ['the order is kept', 'b\na\nc\n', ['b', 'a', 'c']],
    ['CRLF', 'a\r\n\r\n# c\r\ntarget=/x\r\n', ['a', '/x']],
  ])('%s', (_, text, ids) => {
    expect(parseCacheMounts(text)).toEqual({
      mounts: ids.map((id) => ({ id })),
      notices: [],
      paths: [],
    });
  });

  test('what follows an id is told of', () => {
    expect(parseCacheMounts('a\n\ngo,/x\n"b, c", /y\nid=z,target=/z').paths).toEqual([
      { id: 'go', path: '/x', line: 3 },
      { id: 'b, c', path: ' /y', line: 4 },
    ]);
  });

  test('a mount named three times is merged with two notices', () => {
    const { mounts, notices } = parseCacheMounts('id=m,uid=1\nother\nid=m,gid=0,uid=1\nuid=1,id=m');
    expect(mounts.map(({ id }) => id)).toEqual(['m', 'other']);
    expect(notices).toEqual([
      'line 3 names the same cache mount as line 1: m (uid=1,gid=0,mode=0755)',
      'line 4 names the same cache mount as line 1: m (uid=1,gid=0,mode=0755)',
    ]);
  });

  test('any text gives mounts with an id, or an error with a line number', () => {
    const piece = fc.oneof(
      fc.constantFrom(...['id=', 'target=', 'uid=', 'from=', '--mount=', ',', '"', "'", '\\', '$']),
      fc.constantFrom('\n', '\r\n', '#', ' '),
      fc.string({ unit: 'binary', maxLength: 5 }),
    );
    const anyText = fc.array(piece).map((pieces) => pieces.join(''));
    fc.assert(
      fc.property(anyText, (text) => {
        try {
          const { mounts } = parseCacheMounts(text);
          expect(mounts.map(({ id }) => id)).not.toContain('');
        } catch (error) {
          expect(String(error)).toMatch(/^Error: line \d+ \(/);
        }
      }),
    );
  });
});

test.each<[mount: CacheMount, text: string]>([
  [{ id: 'a b' }, 'a b'],
  [{ id: 'a', from: 'alpine', source: '/x' }, 'a (from=alpine,source=/x)'],
  [{ id: 'a', ...ownership(1000, 7, 0o50) }, 'a (uid=1000,gid=7,mode=050)'],
  [{ id: 'a', from: 'b', ...ownership(0, 0, 0) }, 'a (from=b,uid=0,gid=0,mode=00)'],
  [{ id: 'a', namespace: 'n', from: 'b' }, 'a (namespace=n,from=b)'],
  [{ id: 'a', stage: { name: 'seed', digest: 'abc' }, source: '/x' }, 'a (from=seed,source=/x)'],
])('%j is described as %s', (mount, text) => {
  expect(describeMount(mount)).toBe(text);
});

test('an ownership is rendered as the options of a flag', () => {
  expect(renderOwnership({ uid: 1000, gid: 0, mode: 0o2750 })).toEqual([
    'uid=1000',
    'gid=0',
    'mode=02750',
  ]);
});

describe('corners', () => {
  test.each(['constructor=1', '__proto__=1'])('%s is an id: no option has this name', (line) => {
    expect(parseOne(line)).toEqual({ id: line });
  });

  test.each([
    ['id=a,constructor=1', 'unknown option "constructor"'],
    ['id=a,ro=maybe', 'ro=maybe'],
    ['id=a,rw=', 'rw='],
    ['id=a,ro=$X', 'the variable $X has no value'],
    ['--mount=type=cache,id=a\rb', 'one mount a line'],
  ])('%s is refused', (line, message) => {
    expect(() => parseCacheMounts(line)).toThrow(message);
  });

  test.each([
    ['id=m', 'id=m,from=scratch'],
    ['id=m,mode=0755', 'id=m,mode=01755'],
  ])('%s and %s are one mount', (first, second) => {
    expect(parseCacheMounts(`${first}\n${second}`).mounts).toEqual([parseOne(first)]);
  });

  test('a line separator does not end a pasted line', () => {
    expect(parseOne('--mount=type=cache,id=a\u2028b')).toEqual({ id: 'aâ\u0080¨b' });
  });

  test('a target may be the working directory', () => {
    expect(parseOne('target=./')).toEqual({ id: '.' });
  });
});
