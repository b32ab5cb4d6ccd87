/** Builders that are gone, misnamed, too old, or none at all. */
import { which } from '@actions/io';
import { expect, test } from '@jest/globals';
import { docker, listFiles } from '../support/engine.js';
import { warned } from '../support/expectations.js';
import { describeWithOwnEngine, useOwnEngine } from '../support/own-engine.js';
import { leftovers, pathWith, useScenario } from '../support/scenario.js';

const scenario = useScenario();
const withOwnEngine = describeWithOwnEngine();
const inputs = { 'cache-mounts': 'm', key: 'k-2', 'restore-keys': 'k-' };
const ofExtract = { 'cache-mounts': 'm', key: 'k-2' };

/** A docker that answers some commands by itself: the cases of a shell's `case "$*"`. */
async function fakeDocker(cases: string): Promise<{ PATH: string }> {
  const real = await which('docker', true);
  const script = `real=${real}\ncase "$*" in\n${cases}\nesac\nexec "$real" "$@"`;
  return { PATH: await pathWith(scenario.directory, 'docker', script) };
}

withOwnEngine('a builder that nobody has named, and that is gone at extract', () => {
  const engine = useOwnEngine();
  const { newJob, save, expectWhole } = scenario.on(engine);

  test.each([
    ['after a hit', 'k-1'],
    ['after a miss', undefined],
  ])(
    '%s is no reason to save what another one has',
    async (_, savedKey) => {
      const before = await engine.builder.run({ id: 'm' }, `echo 1 >/c/file${listFiles}`);
      if (savedKey !== undefined) await save('m', savedKey);
      const host = `host=${engine.env.DOCKER_HOST}`;
      await docker(['context', 'create', 'current', '--docker', host], engine.env);
      const job = await newJob();
      // It is the one that buildx uses then; later that is "default", which has such a mount too.
      const env = { DOCKER_HOST: '', DOCKER_CONTEXT: 'current' };
      const injected = await job.runAction('inject', inputs, { env });
      expect(injected).toMatchObject({ exitCode: 0, annotations: [] });
      expect(injected.outputs['cache-matched-key']).toBe(savedKey);
      await docker(['context', 'rm', '--force', 'current'], engine.env);
      const extracted = await job.runAction('extract', {});
      expect(extracted).toMatchObject({
        ...warned(
          /^There is no builder "current" .* is gone\. .*behind docker\/setup-buildx-action/,
        ),
        outputs: { saved: 'false' },
      });
      expect(extracted.log).not.toMatch(/kept as restored|on the builder/);
      expect(await leftovers(job)).toEqual([]);
      expect(scenario.service.keys()).toEqual(savedKey === undefined ? [] : [savedKey]);
      if (savedKey !== undefined) await expectWhole(savedKey, before);
    },
    120_000,
  );
});

test('mounts that are gone are not called kept if nothing is saved', async () => {
  await scenario.builder.run({ id: 'm' }, 'echo 1 >/c/file');
  await scenario.save('m', 'k-1');
  const job = await scenario.newJob();
  await job.runAction('inject', inputs);
  await scenario.builder.empty();
  const result = await job.runAction('extract', {});
  expect(result).toMatchObject({
    exitCode: 0,
    outputs: { saved: 'false', reason: expect.stringMatching(/^no mount holds any file; .*setup/) },
  });
  expect(result.log).toMatch(/^absent +m/m);
  expect(result.log + result.summary + result.outputs.reason).not.toMatch(/kept/);
});

test('BUILDX_BUILDER that names no builder is said to be the cause', async () => {
  const env = { BUILDX_BUILDER: 'nope' };
  expect(await scenario.runAction('extract', ofExtract, { env })).toMatchObject({
    ...warned(
      /^The environment variable BUILDX_BUILDER names the builder "nope", and there is none/,
    ),
    outputs: { saved: 'false' },
  });
});

test.each([
  [
    'without buildx',
    'version|--version|"buildx version") echo "podman version 4.9.3"; exit 0 ;;\n*) echo "Error: unrecognized command \\`podman $*\\`" >&2; exit 125 ;;',
  ],
  [
    'with the buildx that is buildah',
    '"buildx version") echo "buildah 1.33.7"; exit 0 ;;\n*) echo "Error: unknown flag: --bootstrap" >&2; exit 125 ;;',
  ],
])(
  'a docker that is Podman, %s, is told so',
  async (_, cases) => {
    const env = await fakeDocker(cases);
    expect(await scenario.runAction('extract', ofExtract, { env })).toMatchObject({
      ...warned(/^The "docker" of this runner is Podman, which is not supported/),
      outputs: { saved: 'false' },
    });
  },
  60_000,
);

test('a list without ids, as BuildKit before 0.12 gives it, is not taken for one without mounts', async () => {
  const before = await scenario.builder.run({ id: 'm' }, `echo 1 >/c/file${listFiles}`);
  const env = await fakeDocker(
    [
      `"buildx inspect"*) "$real" "$@" | sed -E 's/^(BuildKit version:[ ]*).*/\\1v0.11.6/'; exit ;;`,
      `"buildx du"*) "$real" "$@" | sed -E 's/ with id [^,]*"//'; exit ;;`,
    ].join('\n'),
  );
  const job = await scenario.newJob({ env });
  const saved = await job.runAction('extract', ofExtract);
  expect(saved).toMatchObject({ outputs: { saved: 'true' }, annotations: [] });
  expect(saved.log).toMatch(
    /cannot be listed \(BuildKit v0\.11\.6 does not tell their ids.*not checked/,
  );
  await scenario.builder.empty();
  const hit = await job.runAction('inject', { ...inputs, key: 'k-3' });
  expect(hit.outputs['cache-matched-key']).toBe('k-2');
  expect(await scenario.builder.run({ id: 'm' }, listFiles)).toBe(before);
  // What has changed since cannot be told; all of it is saved.
  const again = await job.runAction('extract', {});
  expect(again).toMatchObject({ outputs: { saved: 'true' }, annotations: [] });
  expect(again.log).toMatch(/^packed +m /m);
});

test('a BuildKit without named contexts is told by its version, and what is needed', async () => {
  const env = await fakeDocker(
    `"buildx inspect"*) "$real" "$@" | sed -E 's/^(BuildKit version:[ ]*).*/\\1v0.8.2+eeb7b65/'; exit ;;`,
  );
  expect(await scenario.runAction('extract', ofExtract, { env })).toMatchObject({
    ...warned(/runs BuildKit v0\.8\.2\+eeb7b65, which is too old.*0\.12 or later is needed/),
    outputs: { saved: 'false' },
  });
});

test('buildx before 0.15, without patterns for descriptions, leaves no archives either', async () => {
  await scenario.builder.run({ id: 'm' }, 'echo 1 >/c/file');
  const env = await fakeDocker(
    '*"--filter=description~="*) echo "ERROR: unsupported operator \\"~==\\"" >&2; exit 1 ;;\n*--format=json*) exit 125 ;;',
  );
  const saved = await scenario.runAction(
    'extract',
    { 'cache-mounts': 'm\nn', key: 'k-1' },
    { env },
  );
  // The second mount is looked for among what stands in for mounts, which takes a pattern too.
  expect(saved).toMatchObject({ outputs: { saved: 'true' } });
  expect(saved.log).toMatch(/no cache mount "n" on the builder/);
  const job = await scenario.newJob({ env });
  await scenario.builder.dropMounts();
  await job.runAction('inject', inputs);
  await scenario.builder.run({ id: 'm' }, 'echo 2 >/c/more');
  const again = await job.runAction('extract', {});
  expect(again).toMatchObject({ outputs: { saved: 'true' } });
  expect(again.log).not.toMatch(/keeps a copy/);
  const left = await docker(['buildx', 'du', '--verbose']);
  expect(left).not.toMatch(
    /local source for buildkit-cache-mounts|: +mount .* \/buildkit-cache-mounts\/run\.sh/,
  );
});

test('a tar that is not GNU tar is said to be the cause at inject too', async () => {
  await scenario.builder.run({ id: 'm' }, 'echo 1 >/c/file');
  await scenario.save('m', 'k-1');
  const PATH = await pathWith(
    scenario.directory,
    'tar',
    'case "$1" in --version) echo "tar (busybox) 1.35.0" ;; *) echo "tar: unrecognized option" >&2; exit 1 ;; esac',
  );
  const injected = await scenario.runAction('inject', inputs, { env: { PATH } });
  expect(injected).toMatchObject({ exitCode: 0, outputs: { 'cache-hit': 'false' } });
  expect(injected.annotations.at(-1)?.message).toMatch(
    /could not be restored.*GNU tar is needed, and the runner's tar is not GNU tar but tar \(busybox\) 1\.35\.0\./,
  );
});
