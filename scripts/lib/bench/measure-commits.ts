/** What it costs to carry a compiler's cache from commit to commit: in full, or what has changed. */
import { appendFile, cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CacheService } from '../../../__tests__/support/cache-service.js';
import { run } from './command.js';
import { checkStep, inNewJob, measureStep, withCacheService } from './step.js';
import type { Bench } from './subject.js';

/** What one run of CI has cost: seconds, and bytes between the runner and the cache service. */
export interface CommitRun {
  readonly inject: number;
  readonly downloaded: number;
  readonly extract: number;
  readonly uploaded: number;
}

export interface CommitsResult {
  readonly incremental: readonly CommitRun[];
  readonly full: readonly CommitRun[];
}

const example = fileURLToPath(new URL('../../../examples/go', import.meta.url));
const commits = 10;

/** Each commit adds a function to one of them, in turn. */
const changed = ['internal/api/api.go', 'internal/web/web.go', 'main.go'];

/** @param image the files of the image golang:1 where it cannot be pulled */
export async function measureCommits(
  bench: Bench,
  image: string | undefined,
): Promise<CommitsResult> {
  const project = join(bench.workDirectory, 'commits');
  await cp(example, project, { recursive: true });
  const result: Record<keyof CommitsResult, CommitRun[]> = { incremental: [], full: [] };
  await withCacheService((changes) =>
    withCacheService(async (everything) => {
      for (let commit = 0; commit <= commits; commit++) {
        if (commit > 0) {
          const file = changed[commit % changed.length] ?? '';
          await appendFile(
            join(project, file),
            `\nfunc commit${commit}() int { return ${commit} }\n`,
          );
        }
        const build = { bench, project, image, commit };
        result.incremental.push(await playRun(build, changes, 'true'));
        result.full.push(await playRun(build, everything, 'false'));
        bench.say(`commits: ${commit} of ${commits}`);
      }
    }),
  );
  await rm(project, { recursive: true });
  return result;
}

interface Build {
  readonly bench: Bench;
  readonly project: string;
  readonly image: string | undefined;
  readonly commit: number;
}

/** A run of CI on an emptied builder. */
async function playRun(
  { bench, project, image, commit }: Build,
  service: CacheService,
  incremental: string,
): Promise<CommitRun> {
  await bench.mounts.emptyBuilder();
  return inNewJob(service, async (job) => {
    const key = `go-${commit}`;
    const inject = await measureStep(job, 'inject', {
      ...{ 'cache-mounts': '/root/.cache/go-build', key, 'restore-keys': 'go-', incremental },
    });
    checkStep(inject.result, commit > 0 ? { 'cache-matched-key': `go-${commit - 1}` } : {});
    await run('docker', [
      ...['buildx', 'build', '--progress=plain', '--network=none'],
      ...(image === undefined ? [] : [`--build-context=golang:1=${image}`]),
      ...[`--output=${join(job.runnerTemp, 'image')}`, project],
    ]);
    const extract = await measureStep(job, 'extract', { incremental });
    checkStep(extract.result, { saved: 'true' });
    return {
      inject: inject.seconds,
      downloaded: downloadedBytes(inject.result.log),
      extract: extract.seconds,
      uploaded: service.sizeOf(key),
    };
  });
}

/** As the cache client says of each entry that it fetches. */
function downloadedBytes(log: string): number {
  const sizes = [...log.matchAll(/^Cache Size: .*\((\d+) B\)/gm)];
  return sizes.reduce((sum, [, bytes]) => sum + Number(bytes), 0);
}
