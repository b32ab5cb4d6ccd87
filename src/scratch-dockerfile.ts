import { type CacheMount, renderOwnership } from './cache-mount.js';

/** What the RUNs of the scratch Dockerfile run in. */
export type ScratchBase =
  | {
      /** An empty image, into which directories of the build context are mounted. */
      readonly kind: 'runner';
      /** Their names in `tools` of the build context, and at the container's root. */
      readonly directories: readonly string[];
    }
  | { readonly kind: 'image'; readonly image: string };

/** One mount, and what its script is told beside the index. */
export interface ScratchRun {
  readonly index: number;
  readonly mount: CacheMount;
  readonly scriptArguments: readonly string[];
}

export interface ScratchDockerfile {
  readonly text: string;
  readonly buildArgs: Readonly<Record<string, string>>;
}

/** Directory, in what the build puts out, with all that the scripts have written. */
export const outputDirectory = 'out';

/**
 * Renders the Dockerfile of a scratch build: one RUN for each mount, which runs
 * `scripts/run.sh INDEX ARGUMENTS…` of the build context, with the mount at `/mounts/INDEX` and the
 * archives of the build context at `/archives`.
 *
 * - Each RUN has one mount only: it holds one lock at a time and so cannot wait for another build
 *   that waits for it.
 * - `sharing=locked`, the only mode that neither forks a mount that is in use nor sees it half
 *   written.
 * - Ids, sources and images are build arguments: an ARG's value is taken as it is, whereas a
 *   flag's text passes a lexer, a CSV reader and a shell-like expansion.
 *
 * @param nonce a value never used before: BuildKit does not run again what it has already run, and
 *   `--no-cache` would wipe the mounts
 */
export function renderScratchDockerfile(
  base: ScratchBase,
  runs: readonly ScratchRun[],
  options: { readonly nonce: string; readonly withArchives: boolean },
): ScratchDockerfile {
  const buildArgs: Record<string, string> = { NONCE: options.nonce };
  const argument = (name: string, value: string) => {
    buildArgs[name] = value;
    return name;
  };
  const images = new Map<string, string>();
  for (const { mount } of runs) {
    if (mount.from !== undefined && !images.has(mount.from)) {
      images.set(mount.from, argument(`FROM_${images.size}`, mount.from));
    }
  }
  const lines: string[] = [...images.values()].map((name) => `ARG ${name}`);
  if (base.kind === 'image') {
    lines.push(`ARG ${argument('UTILITY_IMAGE', base.image)}`);
  }
  for (const name of images.values()) {
    lines.push(`FROM $${name} AS ${stageName(name)}`);
  }
  lines.push(`FROM ${base.kind === 'image' ? '$UTILITY_IMAGE' : 'scratch'} AS work`);
  if (base.kind === 'image') {
    lines.push('USER 0:0');
  }
  lines.push(`WORKDIR /${outputDirectory}`, 'ARG NONCE');
  for (const { index, mount, scriptArguments } of runs) {
    const id = argument(`ID_${index}`, mount.id);
    const source =
      mount.source === undefined ? undefined : argument(`SOURCE_${index}`, mount.source);
    lines.push(`ARG ${id}`, ...(source === undefined ? [] : [`ARG ${source}`]));
    const from = mount.from === undefined ? undefined : images.get(mount.from);
    const flags = [
      ...(base.kind === 'runner'
        ? base.directories.map((name) => `type=bind,source=tools/${name},target=/${name}`)
        : []),
      'type=bind,source=scripts,target=/scripts',
      ...(options.withArchives ? ['type=bind,source=archives,target=/archives'] : []),
      [
        `type=cache,id=$${id},target=/mounts/${index},sharing=locked`,
        ...(from === undefined ? [] : [`from=${stageName(from)}`]),
        ...(source === undefined ? [] : [`source=$${source}`]),
        ...(mount.ownership === undefined ? [] : renderOwnership(mount.ownership)),
      ].join(','),
    ];
    const command = ['/bin/sh', '/scripts/run.sh', String(index), ...scriptArguments];
    lines.push(
      `RUN ${flags.map((flag) => `--mount=${flag}`).join(' \\\n    ')} \\\n    ${JSON.stringify(command)}`,
    );
  }
  if (base.kind === 'image') {
    // Without this the whole image would be put out; the runner's tools are only mounted.
    lines.push('FROM scratch', `COPY --from=work /${outputDirectory} /${outputDirectory}`);
  }
  return { text: `${lines.join('\n')}\n`, buildArgs };
}

function stageName(argument: string): string {
  return argument.toLowerCase();
}
