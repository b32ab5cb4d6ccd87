import { describe, expect, test } from '@jest/globals';
import { parsePushed, renderBakeFile } from '../../../src/builder/put-out.js';

const build = {
  ...{ platform: 'linux/amd64', directory: '/step', context: 'context', name: 'ours', ignore: '' },
  namedContexts: { 'buildkit-cache-mounts': 'context' },
  buildArgs: { CACHE_MOUNT_ID_0: '$' + '{GOPATH}/%{x}/$plain', CACHE_MOUNT_NONCE: 'n' },
  text: 'FROM scratch AS buildkit-cache-mounts-work\n',
};

const to = { reference: 'r/app:main', byDigest: true };

describe('the file for bake', () => {
  test('has a target for each archive, which pushes it alone, by its digest', () => {
    const { group, target } = JSON.parse(renderBakeFile(build, to, ['0.tar.zst', '3.tar.gz']));
    const names = ['buildkit-cache-mounts-archive-0', 'buildkit-cache-mounts-archive-1'];
    expect(group.default.targets).toEqual(names);
    for (const name of names) {
      expect(target[name]).toEqual({ inherits: ['shared'], target: name });
    }
    expect(target.shared).toEqual({
      'dockerfile-inline': `FROM scratch AS buildkit-cache-mounts-work
FROM scratch AS buildkit-cache-mounts-archive-0
COPY --from=buildkit-cache-mounts-work /out/0.tar.zst /archive
FROM scratch AS buildkit-cache-mounts-archive-1
COPY --from=buildkit-cache-mounts-work /out/3.tar.gz /archive
`,
      context: 'context',
      contexts: { 'buildkit-cache-mounts': 'context' },
      args: {
        // As bake reads it, this is what it was.
        CACHE_MOUNT_ID_0: '$$' + '{GOPATH}/%%{x}/$plain',
        CACHE_MOUNT_NONCE: 'n',
        BUILDKIT_BUILD_NAME: 'ours',
      },
      network: 'none',
      platforms: ['linux/amd64'],
      output: [
        'type=image,name=r/app,push=true,push-by-digest=true,oci-mediatypes=true,store=false,compression=uncompressed',
      ],
    });
  });

  test('names a tag of ours for an engine, which cannot push by digest', () => {
    const nameFor = (tag: string) => {
      const destination = { reference: `r:5000/app:${tag}`, byDigest: false };
      const { shared } = JSON.parse(renderBakeFile(build, destination, ['0'])).target;
      return /name=([^,]*),push=true,push-by-digest=false,/.exec(shared.output[0])?.[1];
    };
    expect(nameFor('main')).toBe('r:5000/app:main-archive');
    expect(nameFor('x'.repeat(128))).toBe(`r:5000/app:${'x'.repeat(120)}-archive`);
  });

  test('names the Dockerfile if that has an ignore file beside it', () => {
    const text = renderBakeFile({ ...build, ignore: '*\n', platform: undefined }, to, ['0']);
    const { shared } = JSON.parse(text).target;
    expect(shared.dockerfile).toBe('/step/Dockerfile');
    expect(Object.keys(shared)).not.toContain('dockerfile-inline');
    expect(Object.keys(shared)).not.toContain('platforms');
  });
});

describe('what bake has pushed', () => {
  const text = JSON.stringify({
    'buildkit-cache-mounts-archive-1': { 'containerimage.digest': 'sha256:1' },
    'buildkit-cache-mounts-archive-0': { 'containerimage.digest': 'sha256:0' },
  });

  test('is known in the order of the archives', () => {
    expect(parsePushed(text, 2)).toEqual(['sha256:0', 'sha256:1']);
  });

  test('must be all', () => {
    expect(() => parsePushed(text, 3)).toThrow('archive-2');
    expect(() => parsePushed('{"buildkit-cache-mounts-archive-0":{}}', 1)).toThrow('digest');
  });
});
