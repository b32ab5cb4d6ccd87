import { join, parse, resolve } from 'node:path';
import { parseArgs } from 'node:util';

export interface Options {
  readonly runs: number;
  readonly scale: number;
  /** The names of the data sets, all by default. */
  readonly sets: readonly string[] | undefined;
  /** The directory of another version of the actions, to compare with. */
  readonly other: string | undefined;
  /** In megabytes a second: the set `registry` is measured, on a remote builder behind such a link. */
  readonly link: number | undefined;
  readonly json: string | undefined;
  readonly markdown: string | undefined;
}

/** In about two minutes on two cores; fewer and smaller than what conclusions can be drawn from. */
const quick = { set: ['go-build', 'fixed'], scale: '0.25', runs: '3' };

/** @throws Error with the reason where the arguments make no sense */
export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      set: { type: 'string', multiple: true },
      runs: { type: 'string' },
      scale: { type: 'string' },
      other: { type: 'string' },
      link: { type: 'string' },
      json: { type: 'string' },
      markdown: { type: 'string' },
      // for the script that starts this one
      store: { type: 'string' },
    },
  });
  const { set, runs, scale, link } = { ...(values.quick ? quick : {}), ...values };
  return {
    runs: positive('runs', runs ?? '5'),
    scale: positive('scale', scale ?? '1'),
    sets: link === undefined ? set : ['registry'],
    other: values.other === undefined ? undefined : resolve(callersDirectory(), values.other),
    link: link === undefined ? undefined : positive('link', link),
    json: outputFile(values.json),
    markdown: outputFile(values.markdown),
  };
}

/** The script that starts this one has left it. */
function callersDirectory(): string {
  return process.env.INIT_CWD ?? '.';
}

/** (It may be started for several builders.) */
function outputFile(name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  const { dir, name: stem, ext } = parse(resolve(callersDirectory(), name));
  return join(dir, `${stem}${process.env.BENCH_SUFFIX ?? ''}${ext}`);
}

function positive(name: string, text: string): number {
  const number = Number(text);
  if (number > 0 && (name !== 'runs' || Number.isInteger(number))) return number;
  throw new Error(`--${name} takes a number above 0, not ${text}`);
}
