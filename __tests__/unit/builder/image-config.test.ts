import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { chooseManifest, lookUpImages, parseConfig } from '../../../src/builder/image-config.js';
import { imageKey } from '../../../src/dockerfile/base-image.js';
import { readSurroundings } from '../../../src/lib/surroundings.js';

const manifestOf = (digest: string, architecture: string, variant?: string, os = 'linux') => ({
  digest,
  platform: { os, architecture, variant },
});

const listed = [
  manifestOf('amd64', 'amd64'),
  manifestOf('amd64v3', 'amd64', 'v3'),
  manifestOf('arm64', 'arm64', 'v8'),
  manifestOf('armv6', 'arm', 'v6'),
  manifestOf('armv5', 'arm', 'v5'),
  manifestOf('windows', 'amd64', undefined, 'windows'),
  manifestOf('attestation', 'unknown', undefined, 'unknown'),
  { digest: 'none' },
];

test.each<[platform: string, digest: string | undefined]>([
  ['linux/amd64', 'amd64'],
  ['linux/amd64/v2', 'amd64'],
  ['linux/amd64/v4', 'amd64v3'],
  ['linux/arm64', 'arm64'],
  ['linux/arm64/v8', 'arm64'],
  ['linux/arm/v7', 'armv6'],
  ['linux/arm/v5', 'armv5'],
  ['linux/s390x', undefined],
  ['windows/amd64', 'windows'],
])('for %s the manifest %s is taken', (platform, digest) => {
  expect(chooseManifest(listed, platform)).toBe(digest);
});

test('a configuration without variables is one', () => {
  const nothing = { env: new Map(), onBuild: [] };
  for (const config of [{}, { Env: null, OnBuild: null }, undefined]) {
    expect(parseConfig({ config })).toEqual(nothing);
  }
  expect(parseConfig({ config: { Env: ['A=b=c', 'D='], OnBuild: ['RUN x'] } })).toEqual({
    env: new Map([
      ['A', 'b=c'],
      ['D', ''],
    ]),
    onBuild: ['RUN x'],
  });
});

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'image-config-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

/** Looks up with a docker that answers as told, by the last argument, and notes what it was asked. */
async function lookUp(
  answers: Readonly<Record<string, unknown>>,
  images: readonly (readonly [name: string, platform: string])[],
  { builder, timeout }: { readonly builder?: string; readonly timeout?: number } = {},
) {
  const script = [
    '#!/bin/sh',
    `echo "$@" >>${directory}/asked`,
    'for last; do :; done',
    'case "$*" in *format*) last="$last formatted" ;; esac',
    'case $last in',
    'silent) exec sleep 5 ;;',
    ...Object.entries(answers).map(
      ([name, answer]) => `'${name}') echo '${JSON.stringify(answer)}' ;;`,
    ),
    '*) echo "ERROR: $last: not found" >&2; exit 1 ;;',
    'esac',
  ];
  await writeFile(join(directory, 'docker'), script.join('\n'));
  await chmod(join(directory, 'docker'), 0o755);
  const path = process.env.PATH;
  process.env.PATH = `${directory}:${path}`;
  try {
    const surroundings = readSurroundings();
    const wanted = images.map(([name, platform]) => ({ name, platform }));
    const known = await lookUpImages(surroundings, builder, wanted, timeout);
    const asked = await readFile(join(directory, 'asked'), 'utf8').catch(() => '');
    return {
      found: wanted.map((image) => known.get(imageKey(image))),
      asked: asked.trim().split('\n').sort(),
    };
  } finally {
    process.env.PATH = path;
  }
}

const configOf = (value: string) => ({ config: { Env: [`A=${value}`] } });
const known = (value: string) => ({ env: new Map([['A', value]]), onBuild: [] });
const manifest = (digest: string) => ({ config: { digest } });
const inspect = (...rest: string[]) => ['buildx', 'imagetools', 'inspect', ...rest].join(' ');

test('of an index, only the manifests and configurations of the platforms are fetched', async () => {
  const answers = {
    'host:5/golang:1': { manifests: listed },
    'host:5/golang@amd64': manifest('c1'),
    'host:5/golang@arm64': manifest('c2'),
    'host:5/golang@c1': configOf('one'),
    'host:5/golang@c2': configOf('two'),
  };
  const platforms = ['linux/amd64', 'linux/arm64', 'linux/s390x'];
  const images = platforms.map((platform) => ['host:5/golang:1', platform] as const);
  expect(await lookUp(answers, images, { builder: 'mine' })).toEqual({
    found: [known('one'), known('two'), 'it has no platform linux/s390x'],
    asked: Object.keys(answers)
      .map((name) => inspect('--builder=mine', '--raw', name))
      .sort(),
  });
});

test('an image without an index serves for any platform', async () => {
  const answers = { 'golang:1@sha': manifest('c'), 'golang@c': configOf('x') };
  expect(await lookUp(answers, [['golang:1@sha', 'linux/arm64']])).toMatchObject({
    found: [known('x')],
  });
});

test('a registry that gives no configuration by its digest is asked for it in another way', async () => {
  const answers = { golang: manifest('c'), 'golang formatted': configOf('x') };
  expect(await lookUp(answers, [['golang', 'linux/amd64']])).toMatchObject({ found: [known('x')] });
});

test('what cannot be read has a reason, and the others are read', async () => {
  const answers = { one: manifest('c'), 'one@c': configOf('x'), text: 'no object' };
  const images = ['one', 'gone', 'text'].map((name) => [name, 'linux/amd64'] as const);
  const { found } = await lookUp(answers, images);
  expect(found).toEqual([known('x'), 'gone: not found', expect.stringContaining('not valid')]);
});

test('a registry that never answers is not waited for', async () => {
  const { found } = await lookUp({}, [['silent', 'linux/amd64']], { timeout: 100 });
  expect(found).toEqual([expect.stringMatching(/^no answer within /)]);
});
