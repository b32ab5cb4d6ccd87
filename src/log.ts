import * as core from '@actions/core';
import type { Builder } from './buildx.js';
import { type CacheMount, describeMount } from './cache-mount.js';
import { formatBytes, formatSeconds, formatTable, plural } from './format.js';
import type { Archive } from './manifest.js';
import type { MountList } from './mount-list.js';
import type { Toolkit } from './toolkit.js';

/** One mount's line in the closing table. */
export interface MountRow {
  readonly mount: CacheMount;
  /** What was done with it, in a word or a few. */
  readonly state: string;
  readonly archive?: Pick<Archive, 'files' | 'bytes' | 'compressedBytes'>;
  readonly seconds?: number;
}

let stage = 'reading the inputs';

/** Runs one stage of the step, in a group of the log. */
export async function logStage<T>(title: string, work: () => Promise<T>): Promise<T> {
  stage = title;
  return core.group(title, work);
}

/** Where the step stands. */
export function currentStage(): string {
  return stage;
}

/**
 * Prints text that may hold anything, such as the names of files in a cache that others can write
 * to. The runner takes a line that begins with `::`, or holds `##[`, for a command to itself: not
 * these.
 */
export function logText(text: string): void {
  core.info(
    text
      .replace(/^([^\S\r\n]|\x85)*::/gm, (start) => `${start.slice(0, -1)} :`)
      .replaceAll('##[', '## ['),
  );
}

/** The mounts as they were understood, and all that the user should know of them. */
export function logMounts({ mounts, notices, warnings }: MountList): void {
  for (const notice of notices) core.notice(notice);
  for (const warning of warnings) core.warning(warning);
  logGroup(`Cache mounts (${mounts.length})`, mounts.map(describeMount));
}

export function logBuilder(builder: Builder, toolkit: Toolkit): void {
  if (builder.nodes > 1) {
    core.warning(
      `The builder ${builder.name} has ${builder.nodes} nodes, each with cache mounts of its own; the node of ${builder.platforms[0]} is used. The first line of the input platforms decides.`,
    );
  }
  logGroup(
    'Builder',
    formatTable([
      ['builder', builder.name],
      ['driver', builder.driver],
      ['platforms', builder.platforms.join(', ')],
      ['BuildKit', builder.buildkit],
      ['buildx', builder.buildx],
      ['Docker', builder.docker],
      ['programs', toolkit.description],
    ]),
  );
}

/** The closing table, which stands outside of all groups: what a person looks for first. */
export function logRows(rows: readonly MountRow[]): void {
  const cells = rows.map(({ mount, state, archive, seconds }) => [
    state,
    describeMount(mount),
    ...(archive
      ? [
          plural(archive.files, 'file'),
          formatBytes(archive.bytes),
          `${formatBytes(archive.compressedBytes)} compressed`,
        ]
      : ['', '', '']),
    seconds === undefined ? '' : formatSeconds(seconds),
  ]);
  for (const line of formatTable(cells)) {
    logText(line);
  }
}

function logGroup(title: string, lines: readonly string[]): void {
  core.startGroup(title);
  for (const line of lines) {
    logText(line);
  }
  core.endGroup();
}
