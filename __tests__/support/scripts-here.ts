/** The scripts that run in the builder, with the machine's own programs on directories here. */
import { execFile } from 'node:child_process';
import {
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  packedFileName,
  placeScript,
  restoredFileName,
  type ScriptName,
} from '../../src/builder/in-builder/scripts.js';
import { type MountReport, parseReports } from '../../src/builder/mount-report.js';

const execute = promisify(execFile);

/** One mount, the mount 0. */
export interface ScriptsHere {
  readonly mount: string;
  /** The file of the permit to pack, which is not there. */
  readonly permit: string;
  /** A directory beside it, `../../outside`, for links that lead out of it; it has the file `kept`. */
  readonly outside: string;
  /** A new builder: nothing is in the mount. */
  empty(): Promise<void>;
  /** Runs shell commands in the mount. */
  change(script: string): Promise<void>;
  /** Packs the mount. @returns the file, and whether it holds only what has changed. */
  pack(argument?: string): Promise<{ readonly file: string; readonly report: MountReport }>;
  /** Puts archives where the script that unpacks looks for them. */
  placeArchives(files: readonly string[]): Promise<void>;
  /** Those that are there. */
  archives(): readonly string[];
  /** Runs one of the scripts as the build does. */
  run(name: ScriptName, argument: string): Promise<MountReport>;
  /**
   * The same, but kills the script when it is about to start its nth program.
   *
   * @returns undefined: it was killed
   */
  runCut(name: ScriptName, argument: string, nth: number): Promise<MountReport | undefined>;
  dispose(): Promise<void>;
}

/**
 * Puts a script into a directory of its name below a root, and has it look for mounts, archives and
 * all else below that root.
 *
 * @param excludes as for placeScript
 */
export async function placeScriptHere(
  name: ScriptName,
  root: string,
  excludes?: ReadonlyMap<number, string>,
): Promise<void> {
  const directory = join(root, name);
  await placeScript(name, directory, excludes);
  for (const file of await readdir(directory)) {
    if (!file.endsWith('.sh')) continue;
    const text = await readFile(join(directory, file), 'utf8');
    const here = text
      .replaceAll(/\/(mounts|seeds|archives|snapshots|plans)\//g, `${root}/$1/`)
      .replaceAll(' /permit ', ` ${root}/permit `);
    await writeFile(join(directory, file), here);
  }
}

export async function placeScriptsHere(): Promise<ScriptsHere> {
  const root = await mkdtemp(join(tmpdir(), 'scripts-'));
  const out = join(root, 'out');
  const mount = join(root, 'mounts/0');
  const outside = join(root, 'outside');
  await mkdir(out);
  await mkdir(outside);
  await writeFile(join(outside, 'kept'), 'kept');
  for (const name of ['pack', 'unpack'] as const) await placeScriptHere(name, root);
  const cutting = await placeCutting(root);
  let serial = 0;
  let placed: readonly string[] = [];

  /** @returns undefined: there is no report */
  async function start(name: ScriptName, argument: string, env: NodeJS.ProcessEnv) {
    await rm(join(out, 'report'), { force: true });
    // In a session of its own, because a script that is cut kills its process group.
    const command = ['--wait', '/bin/sh', join(root, name, 'run.sh'), argument];
    await execute('setsid', command, { cwd: out, env }).catch(() => undefined);
    const text = await readFile(join(out, 'report'), 'utf8').catch(() => '');
    return parseReports(text).get(0);
  }

  async function run(name: ScriptName, argument: string): Promise<MountReport> {
    const report = await start(name, argument, process.env);
    if (report === undefined) throw new Error('There is no report');
    return report;
  }

  return {
    mount,
    permit: join(root, 'permit'),
    outside,
    run,
    empty: async () => {
      for (const name of ['mounts', 'snapshots']) {
        await rm(join(root, name), { recursive: true, force: true });
        await mkdir(join(root, name, '0'), { recursive: true });
      }
    },
    change: async (script) => {
      await execute('sh', ['-c', `cd "$1"\n${script}`, 'sh', mount]);
    },
    pack: async (argument = '0:1') => {
      const report = await run('pack', argument);
      const file = join(root, `saved-${serial++}`);
      if (report.result === 'packed' || report.result === 'changed') {
        await rename(join(out, packedFileName(0, report.compression)), file);
      }
      return { file, report };
    },
    archives: () => placed,
    placeArchives: async (files) => {
      placed = files;
      const directory = join(root, 'archives');
      await rm(directory, { recursive: true, force: true });
      await mkdir(directory);
      for (const [place, file] of files.entries()) {
        await copyFile(file, join(directory, restoredFileName(0, place, 'zstd')));
      }
    },
    runCut: async (name, argument, nth) => {
      await writeFile(join(root, 'left'), String(nth));
      const path = `${cutting}:${process.env.PATH}`;
      return start(name, argument, { ...process.env, PATH: path });
    },
    dispose: () => rm(root, { recursive: true }),
  };
}

/** @returns a directory with programs that count how often one of them is started */
async function placeCutting(root: string): Promise<string> {
  const directory = join(root, 'cutting');
  await mkdir(directory);
  for (const program of ['tar', 'mkdir', 'mv', 'rm']) {
    const { stdout } = await execute('which', [program]);
    const script = `#!/bin/sh
read -r left <'${root}/left'
[ "$left" != 1 ] || kill -KILL 0
echo $((left - 1)) >'${root}/left'
exec ${stdout.trim()} "$@"
`;
    await writeFile(join(directory, program), script, { mode: 0o755 });
  }
  return directory;
}
