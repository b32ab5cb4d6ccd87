import { describe, expect, test } from '@jest/globals';
import { familiarName } from '../../../src/dockerfile/image-name.js';

const digest = `sha256:${'0a'.repeat(32)}`;

describe('the shortest name of an image', () => {
  test.each([
    ['alpine', 'alpine'],
    ['alpine:latest', 'alpine'],
    ['docker.io/alpine', 'alpine'],
    ['docker.io/library/alpine:latest', 'alpine'],
    ['index.docker.io/library/alpine', 'alpine'],
    ['library/alpine', 'alpine'],
    ['alpine:3', 'alpine:3'],
    ['docker.io/library/alpine:3', 'alpine:3'],
    ['docker.io/a/b:latest', 'a/b'],
    ['library/a/b', 'library/a/b'],
    ['localhost/a', 'localhost/a'],
    ['localhost:5000/a:latest', 'localhost:5000/a'],
    ['registry.example.org/library/a', 'registry.example.org/library/a'],
    ['Registry/a', 'Registry/a'],
    ['[::1]:5000/a', '[::1]:5000/a'],
    [`alpine@${digest}`, `alpine@${digest}`],
    [`docker.io/library/alpine:latest@${digest}`, `alpine:latest@${digest}`],
    // A shorter one would be another image, or none.
    ['docker.io/localhost/a', 'docker.io/localhost/a'],
    ['docker.io/a.b/c', 'docker.io/a.b/c'],
    ['docker.io/library/scratch', 'docker.io/library/scratch'],
  ])('%s', (name, short) => {
    expect(familiarName(name)).toBe(short);
    expect(familiarName(short)).toBe(short);
  });
});

describe('what BuildKit refuses is no name', () => {
  test.each([
    ...['', 'Alpine', 'a/B', 'alpine:', ':1', 'alpine:$A', 'alpine:.1', 'a b', '/a', 'a/', 'a//b'],
    ...['-a', 'a-', 'a..b', 'a___b', 'alpine@', 'alpine@sha256:00', `alpine@${digest}0`, 'a:1:2'],
    ...['a:b/c:1:2', `${'0'.repeat(64)}`, `a${'b'.repeat(255)}`, `a:${'1'.repeat(129)}`, 'a\n'],
  ])('%j', (name) => {
    expect(familiarName(name)).toBeUndefined();
  });
});
