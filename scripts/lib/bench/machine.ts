/** What the numbers were measured on. */
import { readFile } from 'node:fs/promises';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { basename } from 'node:path';
import { run } from './command.js';

export type Machine = Readonly<Record<string, string>>;

export async function describeMachine(directory: string): Promise<Machine> {
  const [docker, buildx, inspect, info, tar, zstd] = await Promise.all([
    firstLine('docker', ['version', '--format', '{{.Server.Version}}']),
    firstLine('docker', ['buildx', 'version']),
    run('docker', ['buildx', 'inspect']).then(({ stdout }) => stdout),
    firstLine('docker', ['info', '--format', '{{.Driver}} {{.DriverStatus}}']),
    firstLine('tar', ['--version']),
    firstLine('zstd', ['--version']),
  ]);
  const processors = cpus();
  const [load = 0] = loadavg();
  return {
    processor: `${processors[0]?.model.trim() ?? 'unknown'}, ${processors.length} cores`,
    memory: `${(totalmem() / 1e9).toFixed(0)} GB`,
    kernel: release(),
    disk: await describeDisk(directory),
    'buildx driver': /^Driver:\s*(.*)$/m.exec(inspect)?.[1] ?? 'unknown',
    'image store': `${info.includes('io.containerd.snapshotter') ? 'containerd' : 'classic'}, ${info.split(' ')[0]}`,
    Docker: docker,
    buildx: /\sv?(\d+\.\d\S*)/.exec(buildx)?.[1] ?? buildx,
    BuildKit: /^BuildKit(?: version)?:\s*(.*)$/m.exec(inspect)?.[1] ?? 'unknown',
    tar: tar.replace(/^tar /, ''),
    zstd: /v[\d.]+/.exec(zstd)?.[0] ?? zstd,
    node: process.version,
    // Well above 0, the numbers say little.
    'load at the start': load.toFixed(1),
  };
}

/** The file system, and whether the kernel takes the disk for one that turns. */
async function describeDisk(directory: string): Promise<string> {
  try {
    const { stdout } = await run('df', ['--output=fstype,source', directory]);
    const [type = '', source = ''] = (stdout.trim().split('\n').at(-1) ?? '').split(/\s+/);
    return `${type}, ${await describeDevice(basename(source))}`;
  } catch {
    return 'unknown';
  }
}

async function describeDevice(name: string): Promise<string> {
  // A partition has no queue of its own; that of its disk is one level up.
  for (const path of [`/sys/class/block/${name}/queue`, `/sys/class/block/${name}/../queue`]) {
    const rotational = await readFile(`${path}/rotational`, 'utf8').catch(() => undefined);
    if (rotational === undefined) continue;
    const kind = rotational.trim() === '0' ? 'solid state' : 'rotational';
    return name.startsWith('vd') ? `virtual disk, said to be ${kind}` : kind;
  }
  return 'device unknown';
}

async function firstLine(command: string, args: readonly string[]): Promise<string> {
  const { stdout } = await run(command, args);
  return stdout.split('\n')[0] ?? '';
}
