import { describe, expect, test } from '@jest/globals';
import { parseReferences } from '../../../src/inputs/registry-references.js';
import { InputError } from '../../../src/lib/errors.js';

const digest = `sha256:${'0'.repeat(64)}`;

describe('the references of the input registry', () => {
  test('are taken in their order, each once', () => {
    const lines = ['ghcr.io/o/app:b', 'ghcr.io/o/app:a', 'ghcr.io/o/app:b'];
    expect(parseReferences(lines)).toEqual(['ghcr.io/o/app:b', 'ghcr.io/o/app:a']);
    expect(parseReferences([])).toEqual([]);
  });

  test.each([
    'ghcr.io/octo-org/app:mounts-main',
    'localhost:5000/app:1.2_x',
    '127.0.0.1:5000/a/b/c:latest',
    '[::1]:5000/a:b',
    'octo-org/app:mounts',
    '123.dkr.ecr.eu-central-1.amazonaws.com/app:mounts',
    'registry.example.com/group/project/cache:Mounts',
  ])('%s stays as it is', (reference) => {
    expect(parseReferences([reference])).toEqual([reference]);
  });

  test.each([
    ['ghcr.io/o/app:mounts-feature/x', 'ghcr.io/o/app:mounts-feature-x'],
    ['localhost:5000/app:12/merge', 'localhost:5000/app:12-merge'],
    ['o/app:a@b#c:d+e', 'o/app:a-b-c-d-e'],
    [`o/app:${'x'.repeat(200)}`, `o/app:${'x'.repeat(128)}`],
  ])('what no tag may have is replaced: %s', (line, reference) => {
    expect(parseReferences([line])).toEqual([reference]);
  });

  test.each([
    ['ghcr.io/o/app', /has no tag/],
    ['localhost:5000/app', /has no tag/],
    ['app', /has no tag/],
    [`ghcr.io/o/app@${digest}`, /has a digest/],
    [`ghcr.io/o/app:main@${digest}`, /has a digest/],
    [
      'type=registry,ref=ghcr.io/o/app:main',
      /has options.*: give just ghcr\.io\/o\/app:main\. Give/,
    ],
    ['ref=ghcr.io/o/app:main,mode=max', /give just ghcr\.io\/o\/app:main\. Give/],
    ['type=registry', /give just the reference/],
    ['ghcr.io/Octo-Org/app:main', /has capital letters/],
    ['https://ghcr.io/o/app:main', /is no image reference/],
    ['ghcr.io/o/app:', /has no tag/],
    ['ghcr.io/o/app:.main', /is no image reference/],
    ['ghcr.io/o/app:the main', /is no image reference/],
    ['ghcr.io//app:main', /is no image reference/],
  ])('%s is refused, with the right form', (line, message) => {
    const parse = () => parseReferences([line]);
    expect(parse).toThrow(InputError);
    expect(parse).toThrow(message);
    expect(parse).toThrow(/^Input registry: ".*Give a reference with a tag, such as ghcr\.io\//s);
  });
});
