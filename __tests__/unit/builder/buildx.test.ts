import { expect, test } from '@jest/globals';
import { parseInspect } from '../../../src/builder/buildx.js';

test('the docker driver', () => {
  expect(
    parseInspect(`Name:   default
Driver: docker

Nodes:
Name:             default
Endpoint:         default
Status:           running
BuildKit version: v0.25.1
Platforms:        linux/amd64, linux/amd64/v2, linux/amd64/v3, linux/386
GC Policy rule#0:
 All:            false
 Filters:        type==source.local,type==exec.cachemount,type==source.git.checkout
 Keep Duration:  48h0m0s
 Max Used Space: 3.346GiB
GC Policy rule#1:
 All:            true
 Reserved Space: 24.21GiB
`),
  ).toEqual({
    name: 'default',
    driver: 'docker',
    nodes: [
      {
        name: 'default',
        status: 'running',
        platforms: ['linux/amd64', 'linux/amd64/v2', 'linux/amd64/v3', 'linux/386'],
        declared: [],
        buildkit: 'v0.25.1',
        endpoint: 'default',
        error: undefined,
      },
    ],
  });
});

test('docker-container with several nodes, platforms that were set, labels, a configuration', () => {
  expect(
    parseInspect(`Name:          multi
Driver:        docker-container
Last Activity: 2026-01-17 18:29:20 +0000 UTC

Nodes:
Name:                  multi0
Endpoint:              unix:///var/run/docker.sock
Driver Options:        env.X="Error: none" network="host"
Status:                running
BuildKit daemon flags: --allow-insecure-entitlement network.host
BuildKit version:      v0.18.2
Platforms:             linux/amd64*, linux/arm/v7*, linux/amd64/v2, linux/386
Labels:
 org.mobyproject.buildkit.worker.executor: oci
 Platforms:                                linux/other
Devices:
 Name:      vendor/class=name
 On-Demand: true
GC Policy rule#0:
 All: false
File#buildkitd.toml:
 > debug = true
 > 
 > Endpoint: x

Name:                  multi1
Endpoint:              ssh://ubuntu@192.0.2.1
Status:                running
BuildKit daemon flags: --allow-insecure-entitlement network.host
BuildKit version:      v0.10.3
Platforms:             linux/arm64*, linux/arm/v6

Name:     multi2
Endpoint: ssh://ubuntu@192.0.2.2
Error:    no route to host
`),
  ).toEqual({
    name: 'multi',
    driver: 'docker-container',
    nodes: [
      {
        name: 'multi0',
        status: 'running',
        platforms: ['linux/amd64', 'linux/arm/v7', 'linux/amd64/v2', 'linux/386'],
        declared: ['linux/amd64', 'linux/arm/v7'],
        buildkit: 'v0.18.2',
        endpoint: 'unix:///var/run/docker.sock',
        error: undefined,
      },
      {
        name: 'multi1',
        status: 'running',
        platforms: ['linux/arm64', 'linux/arm/v6'],
        declared: ['linux/arm64'],
        buildkit: 'v0.10.3',
        endpoint: 'ssh://ubuntu@192.0.2.1',
        error: undefined,
      },
      {
        name: 'multi2',
        status: '',
        platforms: [],
        declared: [],
        buildkit: 'unknown',
        endpoint: 'ssh://ubuntu@192.0.2.2',
        error: 'no route to host',
      },
    ],
  });
});

test('an older buildx', () => {
  expect(
    parseInspect(`Name:   old
Driver: docker

Nodes:
Name:      old
Endpoint:  old
Status:    running
Buildkit:  v0.8.2+eeb7b65
Platforms: linux/amd64, linux/arm64
`),
  ).toEqual({
    name: 'old',
    driver: 'docker',
    nodes: [
      {
        name: 'old',
        status: 'running',
        platforms: ['linux/amd64', 'linux/arm64'],
        declared: [],
        buildkit: 'v0.8.2+eeb7b65',
        endpoint: 'old',
        error: undefined,
      },
    ],
  });
});

test('the first node with an error', () => {
  expect(
    parseInspect(`Name:          b
Driver:        docker-container
Last Activity: 2026-01-17 18:29:20 +0000 UTC

Nodes:
Name:     b0
Endpoint: unix:///var/run/docker.sock
Error:    Cannot connect to the Docker daemon at unix:///var/run/docker.sock.
`),
  ).toEqual({
    name: 'b',
    driver: 'docker-container',
    nodes: [
      {
        name: 'b0',
        status: '',
        platforms: [],
        declared: [],
        buildkit: 'unknown',
        endpoint: 'unix:///var/run/docker.sock',
        error: 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock.',
      },
    ],
  });
});

// The error at the head is lost where there is no node.
test('no engine', () => {
  expect(
    parseInspect(`Name:   default
Driver: 
Error:  Cannot connect to the Docker daemon at tcp://192.0.2.1:1. Is it running?
`),
  ).toMatchObject({
    name: 'default',
    driver: '',
    nodes: [],
    error: 'Cannot connect to the Docker daemon at tcp://192.0.2.1:1. Is it running?',
  });
});

test('a node that does not run', () => {
  expect(
    parseInspect(`Name:          b
Driver:        remote
Last Activity: 2026-01-17 18:29:20 +0000 UTC

Nodes:
Name:     b0
Endpoint: tcp://192.0.2.1:1234
Status:   inactive
`),
  ).toMatchObject({
    name: 'b',
    driver: 'remote',
    nodes: [{ status: 'inactive', platforms: [], error: undefined }],
  });
});

test('nothing', () => {
  expect(parseInspect('')).toEqual({
    name: '',
    driver: '',
    nodes: [],
  });
});
