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
import { useBuilderBehindLink } from './slow-link.js';
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
  const builder =
    bench.link === undefined
      ? { env: {}, remove: await useRunnersNetwork() }
      : await useBuilderBehindLink(bench.link);
  const registry = await startRegistry();
  try {
    const content = await prepareContent(bench, set, image, directory);
    const seconds = await withCacheService((service) =>
      measure(bench, { content, env: builder.env, service, registry }),
    );
    return { what: content.what, seconds };
  } finally {
    await registry.close();
    await builder.remove();
    await rm(directory, { recursive: true, force: true });
  }
}

/** What is in the mount. */
interface Content {
  readonly what: string;
  fill(): Promise<void>;
}

async function prepareContent(
  bench: Bench,
  set: DataSet,
  image: string | undefined,
  directory: string,
): Promise<Content> {
  const { link, mounts, say } = bench;
  if (link !== undefined) {
    const what = `300 MB that cannot be compressed, a remote builder behind a link of ${link} MB/s`;
    const script = 'dd if=/dev/urandom of=/c/big bs=1M count=300 2>/dev/null';
    return { what, fill: () => mounts.change(mountId, script) };
  }
  const what = image === undefined ? set.description : "Go's build cache of its standard library";
  say(`registry: making ${what}`);
  const packed =
    image === undefined
      ? await packSet(set, directory)
      : await packGoCache(bench, image, directory);
  return { what, fill: () => mounts.fill(mountId, packed) };
}

interface Places {
  readonly content: Content;
  /** Of the steps. */
  readonly env: Readonly<Record<string, string>>;
  readonly service: CacheService;
  readonly registry: PlainRegistry;
}

/** The two take turns. */
async function measure(
  bench: Bench,
  { content, env, service, registry }: Places,
): Promise<Samples<RegistryMeasure>> {
  const seconds = new Samples<RegistryMeasure>();
  const { mounts } = bench;
  for (let index = 0; index < bench.runs; index++) {
    const run = new Samples<RegistryMeasure>();
    const add = (measure: RegistryMeasure, value: number) => {
      for (const samples of [run, seconds]) samples.add(measure, value);
    };
    for (const store of ['service', 'registry'] as const) {
      const key = randomUUID();
      const tag = `127.0.0.1:${registry.port}/bench:run-${index}`;
      const place = store === 'service' ? { key } : { key, registry: tag };
      const inputs = { 'cache-mounts': mountId, ...place };
      const step = (action: ActionName) =>
        inNewJob(service, (job) => measureStep(job, action, inputs, env));
      await mounts.emptyBuilder();
      await content.fill();
      const extract = await step('extract');
      checkStep(extract.result, { saved: 'true' });
      add(`${store}Extract`, extract.seconds);
      await mounts.emptyBuilder();
      const inject = await step('inject');
      checkStep(inject.result, { 'cache-hit': 'true' });
      add(`${store}Inject`, inject.seconds);
    }
    const ratios = `extract ${ratioOf(run, 'Extract')}, inject ${ratioOf(run, 'Inject')}`;
    bench.say(`registry: run ${index + 1} of ${bench.runs}, ÷ the cache service: ${ratios}`);
  }
  return seconds;
}

function ratioOf(run: Samples<RegistryMeasure>, step: 'Extract' | 'Inject'): string {
  const [ours = 0, theirs = 0] = [run.median(`registry${step}`), run.median(`service${step}`)];
  return (ours / theirs).toFixed(2);
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
