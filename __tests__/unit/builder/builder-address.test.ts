import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { addressBuilder, readCurrentBuilder } from '../../../src/builder/builder-address.js';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'address-'));
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

const first = { Name: 'b0', Endpoint: 'tcp://one:1', Platforms: null, Files: { a: 'YQ==' } };
const second = { Name: 'b1', Endpoint: 'tcp://two:1', DriverOpts: { key: '/key' } };
const builder = { Name: 'Both', Driver: 'remote', Nodes: [first, second], Dynamic: false };

async function writeOwn(directory: string, content: unknown = builder): Promise<void> {
  await mkdir(join(directory, 'instances'), { recursive: true });
  await writeFile(join(directory, 'instances', 'both'), JSON.stringify(content));
}

const at = (env: Record<string, string>, home = '/none') => ({ env, home });
const found = { name: 'Both', node: 'b1', nodes: 2 };

test('one node is addressed by a configuration in which the builder has just that', async () => {
  const own = join(root, 'own');
  await writeOwn(own);
  const directory = join(root, 'new');
  const address = await addressBuilder(undefined, found, at({ BUILDX_CONFIG: own }), directory);
  expect(address).toEqual({ name: 'Both', configuration: directory });
  const file = join(directory, 'instances', 'both');
  expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ ...builder, Nodes: [second] });
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  // The user's is as it was.
  expect(JSON.parse(await readFile(join(own, 'instances', 'both'), 'utf8'))).toEqual(builder);
});

test.each([
  ['BUILDX_CONFIG', '.'],
  ['DOCKER_CONFIG', 'buildx'],
  ['HOME', '.docker/buildx'],
])('the configuration of buildx is found by %s', async (variable, place) => {
  await writeOwn(join(root, place));
  const environment = variable === 'HOME' ? at({}, root) : at({ [variable]: root });
  const address = await addressBuilder(undefined, found, environment, join(root, 'new'));
  expect(address.configuration).toBe(join(root, 'new'));
});

test('a builder of one node is addressed as it was asked for', async () => {
  await writeOwn(root);
  const one = { ...found, nodes: 1 };
  const environment = at({ BUILDX_CONFIG: root });
  for (const asked of [undefined, 'both']) {
    const address = await addressBuilder(asked, one, environment, join(root, 'new'));
    expect(address).toEqual({ name: asked });
  }
});

test.each([
  ['there is no file', undefined],
  ['the file is no object', []],
  ['the node is not told of', { ...builder, Nodes: [first] }],
  ['two nodes have its name', { ...builder, Nodes: [second, second] }],
  ['the nodes are no array', { ...builder, Nodes: null }],
  ['a node has no name', { ...builder, Nodes: [{}, second] }],
])('all nodes are addressed if %s', async (_, content) => {
  if (content !== undefined) await writeOwn(root, content);
  const address = await addressBuilder(
    'Both',
    found,
    at({ BUILDX_CONFIG: root }),
    join(root, 'new'),
  );
  expect(address).toEqual({ name: 'Both' });
});

test.each<[name: string, current: unknown, env: Record<string, string>, builder: unknown]>([
  ['the one that was chosen for the engine', { Name: 'b', Key: 'unix:///e.sock' }, {}, 'b'],
  [
    'not one that was chosen for another engine',
    { Name: 'b', Key: 'unix:///f.sock' },
    {},
    undefined,
  ],
  ['the one that was chosen for all engines', { Name: 'b', Key: 'other', Global: true }, {}, 'b'],
  [
    'the one that was chosen for the context',
    { Name: 'b', Key: 'c' },
    { DOCKER_HOST: '', DOCKER_CONTEXT: 'c' },
    'b',
  ],
  [
    'the one that was chosen for the current context',
    { Name: 'b', Key: 'd' },
    { DOCKER_HOST: '' },
    'b',
  ],
  [
    'the one that the environment names',
    { Name: 'b', Key: 'unix:///e.sock' },
    { BUILDX_BUILDER: 'x' },
    'x',
  ],
  [
    "the context's own if none was chosen for it",
    { Name: 'b', Key: 'unix:///e.sock' },
    { DOCKER_HOST: '', DOCKER_CONTEXT: 'c' },
    'c',
  ],
  [
    "none, as it is the default context's own",
    undefined,
    { DOCKER_HOST: '', DOCKER_CONTEXT: 'default' },
    undefined,
  ],
  ["none, as that is the engine's own", { Name: '', Key: 'unix:///e.sock' }, {}, undefined],
  ['none, as the file is none of buildx', ['b'], {}, undefined],
])('the current builder is %s', async (_, current, env, builder) => {
  await mkdir(join(root, 'buildx'));
  await writeFile(join(root, 'buildx', 'current'), JSON.stringify(current ?? null));
  await writeFile(join(root, 'config.json'), '{"currentContext":"d"}');
  const place = at({ DOCKER_CONFIG: root, DOCKER_HOST: 'unix:///e.sock', ...env });
  expect(await readCurrentBuilder(place)).toBe(builder);
});

test('the current builder of the default context is that of the usual socket', async () => {
  await mkdir(join(root, '.docker', 'buildx'), { recursive: true });
  const current = { Name: 'b', Key: 'unix:///var/run/docker.sock', Global: false };
  await writeFile(join(root, '.docker', 'buildx', 'current'), JSON.stringify(current));
  expect(await readCurrentBuilder(at({}, root))).toBe('b');
  expect(await readCurrentBuilder(at({}))).toBeUndefined();
});

test('the current builder cannot be told if there are defaults', async () => {
  await mkdir(join(root, 'buildx', 'defaults'), { recursive: true });
  await writeFile(join(root, 'buildx', 'defaults', '0123'), 'b');
  const place = at({ DOCKER_CONFIG: root, DOCKER_CONTEXT: 'c' });
  expect(await readCurrentBuilder(place)).toBeUndefined();
});
