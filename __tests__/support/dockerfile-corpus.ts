/** Dockerfiles as projects have them, but that their programs are all the one of the tests. */
import { readFile } from 'node:fs/promises';
import type { Example } from './oracle.js';

/** How they are built, where that is not just `docker build .`. */
const variants: Readonly<Record<string, readonly Partial<Example>[]>> = {
  apk: [{ buildArgs: new Map([['ALPINE', '3.19']]) }, {}],
  'apt-multiarch': [{ platforms: ['linux/arm64', 'linux/arm/v7'] }],
  bazel: [{ buildArgs: new Map([['UID', '501']]) }],
  ccache: [{ buildArgs: new Map([['BUILD_TYPE', 'Debug']]) }],
  dotnet: [{}, { platforms: ['linux/arm64'], target: 'build' }],
  elixir: [{ buildArgs: new Map([['MIX_ENV', 'dev']]) }],
  go: [{}, { target: 'test' }],
  'go-cross': [{}, { platforms: ['linux/arm/v7'], target: 'bin-windows' }],
  maven: [{}, { target: 'development' }],
  'npm-user': [{}, { buildArgs: new Map([['UID', '1001']]) }],
  'pnpm-monorepo': [{}, { buildArgs: new Map([['APP', 'api']]) }],
  poetry: [
    { buildArgs: new Map([['GROUPS', 'main,docs']]) },
    { target: 'Development', buildArgs: new Map([['GROUPS', '']]) },
  ],
  'rust-chef': [{ buildArgs: new Map([['TOOLCHAIN', '1.80']]) }],
  sccache: [{ buildArgs: new Map([['VERSION', '2.0']]) }],
  unneeded: [{ target: 'release' }, {}],
};

const names = [
  ...['apk', 'apt', 'apt-multiarch', 'bazel', 'bundler', 'ccache', 'composer', 'dotnet', 'elixir'],
  ...['go', 'go-cross', 'gradle', 'maven', 'npm', 'npm-user', 'pip', 'pnpm', 'pnpm-monorepo'],
  ...['poetry', 'rust', 'rust-chef', 'sccache', 'unneeded', 'uv', 'yarn'],
];

/** Everything that they are `FROM`, or copy from, and that is no stage. */
export const corpusImages = [
  ...['alpine:3.19', 'alpine:3.20', 'composer:lts', 'debian:bookworm', 'debian:bookworm-slim'],
  ...['eclipse-temurin:21-jdk-jammy', 'eclipse-temurin:21-jre-jammy', 'elixir:1.16'],
  ...[
    'gcr.io/bazel-public/bazel:7.0.0',
    'gcr.io/distroless/cc',
    'gcr.io/distroless/static:nonroot',
  ],
  ...['ghcr.io/astral-sh/uv:0.4', 'golang:1.22', 'golang:1.22-alpine', 'gradle:8-jdk21'],
  ...['mcr.microsoft.com/dotnet/aspnet:8.0-alpine', 'mcr.microsoft.com/dotnet/sdk:8.0-alpine'],
  ...['node:20', 'node:20-slim', 'node:20.11.0-alpine', 'php:8.3-apache', 'python:3.12'],
  ...['python:3.12-slim', 'python:3.12-slim-bookworm', 'ruby:3.3.0-slim', 'rust:1.79', 'rust:1.80'],
  ...['rust:1.79-slim-bookworm', 'ubuntu:24.04'],
];

/** What their builds expect in the context. */
export const corpusFiles = [
  ...['Cargo.lock', 'Cargo.toml', 'build.gradle', 'composer.json', 'composer.lock', 'go.mod'],
  ...['go.sum', 'mvnw', 'package-lock.json', 'package.json', 'pom.xml', 'pyproject.toml'],
  ...['requirements.txt', 'settings.gradle', 'src/main', 'uv.lock', 'yarn.lock', '.mvn/wrapper'],
];

/** Each with a namespace of its own, as many have mounts of the same id. */
export async function readCorpus(platform: string): Promise<Example[]> {
  const examples = await Promise.all(
    names.map(async (name) => {
      const file = new URL(`dockerfile-corpus/${name}.Dockerfile`, import.meta.url);
      const text = await readFile(file, 'utf8');
      return (variants[name] ?? [{}]).map((variant, index): Example => {
        const unique = index === 0 ? name : `${name}-${index + 1}`;
        const { buildArgs = [], target, platforms = [platform] } = variant;
        return {
          name: unique,
          text,
          target,
          platforms,
          buildArgs: new Map([...buildArgs, ['BUILDKIT_CACHE_MOUNT_NS', unique]]),
        };
      });
    }),
  );
  return examples.flat();
}
