import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parseCacheMounts } from '../../../src/discovery/named-mounts.js';
import { type Discovery, discoverMounts } from '../../../src/dockerfile/declared-mounts.js';
import { parseDockerfile } from '../../../src/dockerfile/parser.js';
import { describeMount } from '../../../src/mounts/cache-mount.js';

/** A Dockerfile of docs/recipes.md, with the list that follows it. */
interface Recipe {
  /** The headings that it stands under. */
  readonly title: string;
  readonly ecosystem: string;
  readonly dockerfile: string;
  /** Each as a line of the input `cache-mounts`. */
  readonly mounts: readonly string[];
}

const ecosystems = [
  ...['Go', 'Rust', 'Node', 'Python', 'apt', 'apk', 'Maven', 'Gradle', 'ccache', '.NET', 'Ruby'],
  'PHP',
];

const keywords = ['FROM', 'ARG', 'ENV', 'WORKDIR', 'COPY', 'RUN', 'USER', 'CMD', 'ENTRYPOINT'];

const recipes = readRecipes(
  readFileSync(new URL('../../../docs/recipes.md', import.meta.url), 'utf8'),
);

function readRecipes(document: string): Recipe[] {
  return document.split(/^## /m).flatMap((section) => {
    const [ecosystem = ''] = section.split('\n');
    return section.split(/^### /m).flatMap((part) => {
      const [title = ''] = part.split('\n');
      const [, ...blocks] = part.split(/^```dockerfile$/m);
      return blocks.map((block): Recipe => {
        const [dockerfile = '', ...rest] = block.split(/^```$/m);
        const items = rest.join('').matchAll(/^- `([^`]+)`: /gm);
        return {
          title: [...new Set([ecosystem, title])].join(', '),
          ecosystem,
          dockerfile: dockerfile.trimStart(),
          mounts: [...items].map(([, line = '']) => line),
        };
      });
    });
  });
}

function discover({ dockerfile, title }: Recipe, platform: string, target?: string): Discovery {
  const options = { target, buildArgs: new Map<string, string>(), platforms: [platform] };
  return discoverMounts(dockerfile, { file: title, ...options });
}

test('there is a recipe for each ecosystem', () => {
  expect([...new Set(recipes.map(({ ecosystem }) => ecosystem))]).toEqual(ecosystems);
});

describe.each(recipes)('$title', (recipe) => {
  test('is a Dockerfile', () => {
    const { instructions } = parseDockerfile(recipe.dockerfile);
    const unknown = instructions.filter(({ keyword }) => !keywords.includes(keyword));
    expect(unknown).toEqual([]);
  });

  test.each(['linux/amd64', 'linux/arm64'])('has the mounts that it lists, for %s', (platform) => {
    const { mounts, problems, args } = discover(recipe, platform);
    expect(problems).toEqual([]);
    const listed = parseCacheMounts(recipe.mounts.join('\n'), (name) => args[0]?.get(name));
    expect(listed.notices).toEqual([]);
    expect(listed.mounts.map(describeMount)).toEqual(mounts.map(describeMount));
    expect(mounts).not.toEqual([]);
  });

  test('has no other mounts in its other stages', () => {
    const { instructions } = parseDockerfile(recipe.dockerfile);
    const stages = instructions.flatMap(({ keyword, text }) =>
      keyword === 'FROM' ? (/ AS (\S+)$/.exec(text)?.[1] ?? []) : [],
    );
    const listed = discover(recipe, 'linux/amd64').mounts.map(describeMount);
    for (const stage of stages) {
      const { mounts, problems } = discover(recipe, 'linux/amd64', stage);
      expect(problems).toEqual([]);
      expect(listed).toEqual(expect.arrayContaining(mounts.map(describeMount)));
    }
  });
});
