/** How much has gone between buildx and the builder, by the builder's own progress lines. */

export interface Transfers {
  readonly toBuilder: number;
  readonly fromBuilder: number;
}

const units: Readonly<Record<string, number>> = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 };

/**
 * Adds up the last amount of each transfer in the log of `--progress=plain`: `transferring …` is what
 * comes in, `copying files …` and `sending tarball …` is what goes out.
 */
export function readTransfers(log: string): Transfers {
  const last = new Map<string, number>();
  for (const line of log.split('\n')) {
    const [, step = '', verb = '', amount = '', unit = ''] =
      /^#(\d+) (transferring|copying files|sending tarball)\b.*?\s([\d.]+)([kMG]?B)\b/.exec(line) ??
      [];
    const direction = verb === 'transferring' ? 'in' : 'out';
    const scale = units[unit];
    if (scale !== undefined) last.set(`${direction} ${step}`, Number(amount) * scale);
  }
  const sum = (direction: string) =>
    [...last].reduce((total, [name, bytes]) => total + (name.startsWith(direction) ? bytes : 0), 0);
  return { toBuilder: sum('in '), fromBuilder: sum('out ') };
}
