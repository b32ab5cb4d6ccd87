import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { debug, print } from '../console/console.js';
import { withoutTag } from '../dockerfile/image-name.js';
import type { RegistryTrouble } from '../entry/stores/store.js';
import { startProgram } from '../lib/child-process.js';
import { object, string } from '../lib/json.js';
import { variablesFor } from './builder-address.js';
import { lastLine, namedBuilder } from './buildx.js';
import { explainTrouble } from './registry-access.js';
import type { RepeatableBuild } from './scratch-build.js';
import { putOutTarget, renderPutOutDockerfile } from './scratch-dockerfile.js';

// By its ending, bake knows that it is no Compose file.
const definitionFile = 'push.json';
const metadataFile = 'pushed.json';

export interface PushDestination {
  /** The tag of the entry; the archives go into its repository. */
  readonly reference: string;
  /** Whether images are pushed without a tag, which an engine's own builder cannot do. */
  readonly byDigest: boolean;
}

/**
 * Has the builder push archives that have stayed in it. The build that has packed them is run once
 * more, by `docker buildx bake`, with a target for each of them. All of it but the last step of each
 * target comes out of the build cache.
 *
 * @param files their names in the output of the build
 * @returns the digests of the images, in the order of the files; or the trouble, which may also be
 *   that the builder has not kept them
 */
export async function putOut(
  build: RepeatableBuild,
  destination: PushDestination,
  files: readonly string[],
): Promise<readonly string[] | RegistryTrouble> {
  const { directory, ignore, text } = build;
  if (ignore !== '') {
    // BuildKit looks for the ignore file beside the Dockerfile, so the Dockerfile must be a file.
    await writeFile(join(directory, 'Dockerfile'), renderPutOutDockerfile(text, files));
  }
  await writeFile(join(directory, definitionFile), renderBakeFile(build, destination, files));
  const trouble = await bake(build);
  if (trouble !== undefined) return trouble;
  return parsePushed(await readFile(join(directory, metadataFile), 'utf8'), files.length);
}

/** Renders a file of bake in JSON. One target has all that they share, and is not built itself. */
export function renderBakeFile(
  build: Omit<RepeatableBuild, 'surroundings' | 'builder'>,
  destination: PushDestination,
  files: readonly string[],
): string {
  const { text, ignore, platform, directory, context, name, namedContexts, buildArgs } = build;
  const dockerfile =
    ignore === ''
      ? { 'dockerfile-inline': escapeTemplate(renderPutOutDockerfile(text, files)) }
      : { dockerfile: escapeTemplate(join(directory, 'Dockerfile')) };
  const shared = {
    ...dockerfile,
    context: escapeTemplate(context),
    contexts: escapeAll(namedContexts),
    args: escapeAll({ ...buildArgs, BUILDKIT_BUILD_NAME: name }),
    network: 'none',
    ...(platform === undefined ? {} : { platforms: [platform] }),
    output: [describeOutput(destination)],
  };
  const targets = files.map((_, index) => [
    putOutTarget(index),
    { inherits: ['shared'], target: putOutTarget(index) },
  ]);
  const group = { default: { targets: files.map((_, index) => putOutTarget(index)) } };
  return JSON.stringify({ group, target: { shared, ...Object.fromEntries(targets) } });
}

/** The archive is compressed already; and an engine is to keep no image of it. */
function describeOutput({ reference, byDigest }: PushDestination): string {
  const name = byDigest ? withoutTag(reference) : helperTag(reference);
  const options = ['oci-mediatypes=true', 'store=false', 'compression=uncompressed'];
  return [
    'type=image',
    `name=${name}`,
    'push=true',
    `push-by-digest=${byDigest}`,
    ...options,
  ].join();
}

/** All archives are pushed to this tag, where it takes one. Nobody looks for anything there. */
function helperTag(reference: string): string {
  const tag = reference.slice(withoutTag(reference).length + 1);
  return `${withoutTag(reference)}:${tag.slice(0, 120)}-archive`;
}

/** Bake expands variables in what it reads. */
function escapeTemplate(text: string): string {
  return text.replace(/([$%])\{/g, '$1$1{');
}

function escapeAll(texts: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(texts);
  return Object.fromEntries(entries.map(([name, text]) => [name, escapeTemplate(text)]));
}

async function bake({
  surroundings,
  builder,
  directory,
}: RepeatableBuild): Promise<RegistryTrouble | undefined> {
  const flags = ['--progress=plain', '--provenance=false', '--sbom=false'];
  const files = [`--file=${definitionFile}`, `--metadata-file=${metadataFile}`];
  const args = ['buildx', 'bake', ...namedBuilder(builder.name), ...flags, ...files];
  debug(`docker ${args.join(' ')}`);
  const command = startProgram(surroundings, 'docker', args, {
    cwd: directory,
    env: {
      ...variablesFor(builder),
      SOURCE_DATE_EPOCH: undefined,
      TMPDIR: directory,
      // The context of the user's stages may be anywhere. It is we who have written what bake reads.
      BUILDX_BAKE_ENTITLEMENTS_FS: '0',
      // Only the digests are of interest.
      BUILDX_METADATA_PROVENANCE: 'disabled',
    },
  });
  const exit = new Promise<number>((resolve, reject) => {
    command.once('error', reject);
    command.once('close', (code) => resolve(code ?? -1));
  });
  let last = '';
  for (const input of [command.stdout, command.stderr]) {
    createInterface({ input }).on('line', (line) => {
      if (line.trim() !== '') last = line;
      print(line);
    });
  }
  command.stdin.end();
  const exitCode = await exit;
  return exitCode === 0 ? undefined : explain(lastLine({ exitCode, stdout: '', stderr: last }));
}

function explain(why: string): RegistryTrouble {
  // The RUN was to run again, and has no permit.
  return /secret .*not found/.test(why)
    ? { kind: 'failed', why: 'the builder has not kept what it has packed' }
    : explainTrouble(why);
}

/** @throws Error on anything that is not what bake writes */
export function parsePushed(text: string, count: number): string[] {
  const pushed = object(JSON.parse(text), 'metadata');
  return Array.from({ length: count }, (_, index) => {
    const target = object(pushed[putOutTarget(index)], putOutTarget(index));
    return string(target['containerimage.digest'], 'containerimage.digest');
  });
}
