import type { Builder } from '../builder/buildx.js';
import type { Toolkit } from '../builder/runner-programs.js';
import { notify, print, warn } from '../console/console.js';
import { formatBytes, formatSeconds, formatTable, plural } from '../console/format.js';
import { logGroup } from '../console/log.js';
import type { MountList } from '../discovery/mount-list.js';
import type { ArchiveSize } from '../entry/manifest.js';
import type { Hashed, Keys } from '../inputs/generated-key.js';
import { type CacheMount, describeMount } from '../mounts/cache-mount.js';

/** One mount's line in the closing table. */
export interface MountRow {
  readonly mount: CacheMount;
  /** The result, in a few words. */
  readonly state: string;
  /** What this step has packed or unpacked. */
  readonly archive?: ArchiveSize;
  /** All that the cache holds of the mount after extract. */
  readonly cached?: ArchiveSize;
  readonly seconds?: number;
}

export interface MountOutcome {
  readonly row: MountRow;
  /** A fact that the user would not expect. */
  readonly remark?: string;
}

/** Shows the mounts as they were understood, and all that the user should know of them. */
export function logMounts({ mounts, notices, warnings }: MountList): void {
  for (const notice of notices) notify(notice);
  for (const warning of warnings) warn(warning);
  logGroup(`Cache mounts (${mounts.length})`, mounts.map(describeMount));
}

export function logBuilder(builder: Builder, toolkit: Toolkit): void {
  if (builder.nodes > 1) {
    warn(
      `The builder ${builder.name} has ${builder.nodes} nodes, each with cache mounts of its own; the node of ${builder.platforms[0]} is used (${builder.node}), as buildx builds there for the first of the input platforms, or on the first node without that input.`,
    );
  }
  logGroup(
    'Builder',
    formatTable([
      ['builder', builder.name],
      ['driver', builder.driver],
      ...(builder.nodes > 1 ? [['node', builder.node]] : []),
      ['platforms', builder.platforms.join(', ')],
      ['BuildKit', builder.buildkit],
      ['programs', toolkit.description],
    ]),
  );
}

/** Shows the keys that were not found, and the parts of a made key. */
export function logMiss({ key, restoreKeys, hashes }: Keys): void {
  const hashed = ({ hash, of }: Hashed, name: string) =>
    (of.length > 0 ? of : ['nothing']).map((each, index) =>
      index === 0 ? [name, hash, each] : ['', '', each],
    );
  logGroup('What was looked for', [
    ...formatTable([['key', key], ...restoreKeys.map((each) => ['beginning with', each])]),
    ...(hashes === undefined
      ? []
      : [
          'The hashes in the generated key:',
          ...formatTable([
            ...hashed(hashes.build, 'build'),
            ...hashed(hashes.mounts, 'mounts'),
            ...hashed(hashes.files, 'files'),
          ]),
        ]),
  ]);
}

/** Prints the closing table outside of all groups, because people look for it first. */
export function logRows(rows: readonly MountRow[]): void {
  const cells = rows.map(({ mount, state, archive, cached, seconds }) => {
    const size = archive ?? cached;
    return [
      state,
      describeMount(mount),
      ...(size
        ? [
            plural(size.files, 'file'),
            formatBytes(size.bytes),
            `${formatBytes(size.compressedBytes)} compressed`,
          ]
        : ['', '', '']),
      seconds === undefined ? '' : formatSeconds(seconds),
    ];
  });
  for (const line of formatTable(cells)) {
    print(line);
  }
}
