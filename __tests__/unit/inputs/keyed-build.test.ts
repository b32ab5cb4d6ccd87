import { describe, expect, test } from '@jest/globals';
import { keyedBuildOf } from '../../../src/inputs/keyed-build.js';
import { runnerPlatform } from '../../../src/mounts/platform.js';
import { noMountInputs } from '../../support/no-mount-inputs.js';

const build = (inputs: Partial<typeof noMountInputs>) =>
  keyedBuildOf({ ...noMountInputs, ...inputs }, '/w');

describe('the names of a build', () => {
  test('are, without inputs, those of what is then built', () => {
    expect(build({})).toEqual({
      names: { context: ['.'], file: ['Dockerfile'], target: [], platform: [runnerPlatform()] },
      files: ['/w/Dockerfile'],
      contexts: ['/w'],
    });
  });

  test.each<[what: string, a: object, b: object]>([
    ['the context is written out', {}, { context: '.' }],
    ['the context has a slash behind it', { context: 'a' }, { context: './a/' }],
    ['the context is absolute', { context: 'a' }, { context: '/w/a' }],
    ['the Dockerfile is written out', { context: 'a' }, { context: 'a', files: ['a/Dockerfile'] }],
    ['Dockerfiles are in another order', { files: ['a', 'b'] }, { files: ['b', 'a'] }],
    ['the target has capitals', { targets: ['Test'] }, { targets: ['test'] }],
    ['platforms are in another order', { platforms: ['x', 'y'] }, { platforms: ['y', 'x', 'y'] }],
    ['the platform is written out', {}, { platforms: [runnerPlatform()] }],
    ['there are build arguments', {}, { buildArgs: new Map([['COMMIT', 'c0ffee']]) }],
  ])('are the same where %s', (_, a, b) => {
    expect(build(b).names).toEqual(build(a).names);
  });
});

test.each([
  ['https://github.com/o/r.git#main', 'https://github.com/o/r.git'],
  ['https://github.com/o/r.git#c0ffee:sub', 'https://github.com/o/r.git#:sub'],
  ['https://github.com/o/r.git?ref=main', 'https://github.com/o/r.git'],
  ['https://user:token@github.com/o/r.git', 'https://github.com/o/r.git'],
  ['git@github.com:o/r.git#main', 'git@github.com:o/r.git'],
])('of the address %s, what stays the same is in the names', (context, name) => {
  expect(build({ context, files: ['sub/Dockerfile'] })).toEqual({
    names: { context: [name], file: ['sub/Dockerfile'], target: [], platform: [runnerPlatform()] },
    files: [],
    contexts: [],
  });
});

describe('of a bake definition', () => {
  const sources = {
    directory: '/w/deploy',
    definitions: ['/w/deploy/docker-bake.hcl', '/w/deploy/compose.yml'],
    dockerfiles: ['/w/api/Dockerfile'],
    texts: ['FROM scratch'],
    contexts: ['/w/deploy', '/w/api'],
    platforms: [runnerPlatform()],
  };
  const bake = (targets: string[], set: string[] = [], platforms = sources.platforms) =>
    keyedBuildOf({ ...noMountInputs, bake: { ...noMountInputs.bake, targets, set } }, '/w', {
      ...sources,
      platforms,
    });

  test('the names are those of its files and targets, and its Dockerfiles are hashed', () => {
    expect(bake(['web', 'api', 'web'])).toEqual({
      names: {
        context: ['deploy'],
        bake: ['deploy/compose.yml', 'deploy/docker-bake.hcl'],
        target: ['api', 'web'],
        platform: [],
      },
      files: ['/w/deploy/docker-bake.hcl', '/w/deploy/compose.yml', '/w/api/Dockerfile'],
      contexts: ['/w/deploy', '/w/api'],
      texts: ['FROM scratch'],
    });
  });

  test('settings, which often name the commit or the time, are not in the names', () => {
    expect(bake(['api'], ['*.tags=app:c0ffee'])).toEqual(bake(['api']));
  });

  test.each<[names: string[], platforms: string[]]>([
    [[], [runnerPlatform()]],
    [[], []],
    [['linux/riscv64'], ['linux/riscv64']],
    [['linux/riscv64', runnerPlatform()].sort(), [runnerPlatform(), 'linux/riscv64']],
  ])('the names are of the platforms %j, if it is built for %j', (names, platforms) => {
    expect(bake(['api'], [], platforms).names.platform).toEqual(names);
  });
});
