/** Random changes to a directory, of all kinds that a mount may see. */
import type { Random } from './random.js';

const isRoot = process.getuid?.() === 0;

/** What may happen to the files of a mount; `a` and `b` are names of what is there, or of nothing. */
const mutations: readonly string[] = [
  'write a',
  'append a',
  'touch -r a ../stamp; append a; touch -r ../stamp a',
  'touch -d @$n.$n a',
  'touch -h -d @$n.5 a',
  'chmod 7$((n % 8))$((n / 8 % 8))5 a',
  // A mount with such a directory is saved in full.
  '{ [ -d a ] && [ $((n % 16)) != 0 ]; } || setfattr -n user.x -v $n a',
  'setfacl -m u:$n:rx a',
  'setfacl -d -m u:$n:rwx a',
  'setfacl -b a',
  'rm -f a',
  'rm -rf a',
  'rm -rf a; mkdir a',
  'rm -rf a; write a',
  'rm -rf a; ln -s b a',
  // Tar makes such links when it has unpacked all the rest.
  'rm -rf a; ln -s ../.b a',
  // Nothing is there, so that nothing is written through it, by whatever user.
  'rm -rf a; ln -s /nowhere/b a',
  'rm -rf a; mkfifo a',
  // Hard links of fifos are no links any more when tar has packed them, in whatever format.
  '[ -p b ] || { rm -rf a; ln b a; }',
  'mkdir -p a; write a/h; ln -f a/h b',
  'mv a b',
  'mv a ../t; mv b a; mv ../t b; rm -rf ../t',
  'mkdir -p a/d/d; write a/d/f; write a/d/d/f',
  'mkdir -p a; for i in 1 2 3 4 5; do write a/$i; done',
  'mkdir -p a; cp -a --remove-destination b a/',
  'cp -a --remove-destination b a',
  'rm -rf a; truncate -s 1M a; echo $n | dd of=a bs=1 seek=500000 conv=notrunc',
  ...(isRoot ? ['chown $n:$((n / 2)) a', 'chown -h $n a'] : []),
];

const names = [
  'a',
  'b',
  'c',
  'd',
  'e',
  'a/1',
  'a/d',
  'b/d/d',
  'c/d',
  'd/d/f',
  'e/2',
  '-x',
  'ü\n*',
  '.h',
  'b/ y',
];

// Nothing reads what is written to a fifo.
const functions = `
write() { [ -p "$1" ] || echo $n >"$1"; }
append() { [ -p "$1" ] || echo $n >>"$1"; }
`;

/**
 * Renders a shell script that changes the working directory, and needs the one above for a moment; some
 * of it fails, as what it names is not there.
 */
export function renderMutations(random: Random): string {
  const steps = Array.from({ length: 3 + random.below(10) }, () => {
    const script = random.pick(mutations).replaceAll(/\ba\b/g, `"$a"`).replaceAll(/\bb\b/g, `"$b"`);
    const values = `n=${random.below(1000)} a='./${random.pick(names)}' b='./${random.pick(names)}'`;
    return `${values}\n{ ${script}; } 2>/dev/null || :`;
  });
  return `${functions}${steps.join('\n')}\n`;
}
