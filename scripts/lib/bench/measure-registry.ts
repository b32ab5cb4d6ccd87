/** What it costs to keep a mount in a registry, beside the cache service: both on this machine. */
import { randomUUID } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CacheService } from '../../../__tests__/support/cache-service.js';
import { builderKind, useRunnersNetwork } from '../../../__tests__/support/engine.js';
import { type PlainRegistry, startRegistry } from '../../../__tests__/support/registry.js';
import { run } from './command.js';
import type { DataSet } from './data-sets.js';
import { archiveName, dockerfileOf, exec, type PackedTree, packTree } from './mount.js';
import { Samples } from './statistics.js';
import { type ActionName, checkStep, inNewJob, measureStep, withCacheService } from './step.js';
import type { Bench } from './subject.js';
import { writeTree } from './tree.js';

export const registryMeasures = {
  serviceExtract: 'extract, the cache service',
  registryExtract: 'extract, a registry',
  serviceInject: 'inject, the cache service',
  registryInject: 'inject, a registry',
} as const;

export type RegistryMeasure = keyof typeof registryMeasures;

export interface RegistryResult {
  readonly what: string;
  readonly seconds: Samples<RegistryMeasure>;
}

const mountId = 'bench';

/** Why it cannot be measured on this builder; undefined: it can. */
export function whyNoRegistry(): string | undefined {
  return builderKind() === 'classic'
    ? 'the classic image store pushes no archives to a registry (--store container or containerd)'
    : undefined;
}

/**
 * @param set what is in the mount, if there is no Go
 * @param image the files of the image golang:1, with which a real build cache of Go is made
 */
export async function measureRegistry(
  bench: Bench,
  set: DataSet,
  image: string | undefined,
): Promise<RegistryResult> {
  const directory = join(bench.workDirectory, 'registry');
  await mkdir(directory);
  // The registry is on the loopback. (The cache service is used from the same builder.)
  const removeBuilder = await useRunnersNetwork();
  const registry = await startRegistry();
  try {
    const what = image === undefined ? set.description : "Go's build cache of its standard library";
    bench.say(`registry: making ${what}`);
    const packed =
      image === undefined
        ? await packSet(set, directory)
        : await packGoCache(bench, image, directory);
    const seconds = await withCacheService((service) => measure(bench, packed, service, registry));
    return { what, seconds };
  } finally {
    await registry.close();
    await removeBuilder();
    await rm(directory, { recursive: true, force: true });
  }
}

/** The two take turns. */
async function measure(
  bench: Bench,
  packed: PackedTree,
  service: CacheService,
  registry: PlainRegistry,
): Promise<Samples<RegistryMeasure>> {
  const seconds = new Samples<RegistryMeasure>();
  const { mounts } = bench;
  for (let index = 0; index < bench.runs; index++) {
    for (const store of ['service', 'registry'] as const) {
      const key = randomUUID();
      const tag = `127.0.0.1:${registry.port}/bench:run-${index}`;
      const place = store === 'service' ? { key } : { key, registry: tag };
      const inputs = { 'cache-mounts': mountId, ...place };
      const step = (action: ActionName) =>
        inNewJob(service, (job) => measureStep(job, action, inputs));
      await mounts.emptyBuilder();
      await mounts.fill(mountId, packed);
      const extract = await step('extract');
      checkStep(extract.result, { saved: 'true' });
      seconds.add(`${store}Extract`, extract.seconds);
      await mounts.emptyBuilder();
      const inject = await step('inject');
      checkStep(inject.result, { 'cache-hit': 'true' });
      seconds.add(`${store}Inject`, inject.seconds);
    }
    bench.say(`registry: run ${index + 1} of ${bench.runs}`);
  }
  return seconds;
}

async function packSet(set: DataSet, directory: string): Promise<PackedTree> {
  const tree = join(directory, 'tree');
  await writeTree(tree, set);
  return packTree(tree, join(directory, 'packed'));
}

/** For several machines, so that there is more of it. */
const architectures = 'amd64 arm64 riscv64';

async function packGoCache(
  { mounts }: Bench,
  image: string,
  directory: string,
): Promise<PackedTree> {
  const file = join(directory, 'Dockerfile');
  const build = `for each in ${architectures}; do CGO_ENABLED=0 GOARCH=$each /usr/local/go/bin/go build std; done`;
  const flags = `--mount=type=cache,id=${mountId},target=/root/.cache/go-build`;
  await writeFile(file, `FROM golang:1\nENV HOME=/root\nRUN ${flags} ${build}\n`);
  await run('docker', [
    ...['buildx', 'build', '--progress=plain', '--network=none', '--output=type=cacheonly'],
    ...[`--build-context=golang:1=${image}`, '--file', file, directory],
  ]);
  const packed = join(directory, 'packed');
  const pack = `cd /c && mkdir /packed && tar -c --posix . | zstd -q -T0 -1 >/packed/${archiveName}`;
  const dockerfile = dockerfileOf(
    `RUN --mount=type=cache,id=${mountId},target=/c ${exec('/bin/sh', '-euc', pack)}`,
    'FROM scratch',
    'COPY --from=0 /packed /',
  );
  await mounts.build(dockerfile, [`--output=${packed}`]);
  return { context: packed };
}
