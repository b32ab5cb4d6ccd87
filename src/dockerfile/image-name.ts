/*
 * Mirrors normalize.go and regexp.go of github.com/distribution/reference v0.6.0, by which BuildKit
 * v0.32.2 reads the names of images.
 */

/**
 * The shortest name of an image: `alpine` for `alpine:latest` and `docker.io/library/alpine`, so that
 * one image has one name.
 *
 * @returns undefined if BuildKit refuses the name
 */
export function familiarName(name: string): string | undefined {
  if (/^[a-f0-9]{64}$/.test(name)) return undefined;
  const { domain, path } = splitDomain(name);
  const { repository, suffix } = splitRepository(path);
  const isValid =
    namePattern.test(`${domain}/${repository}`) &&
    suffixPattern.test(suffix) &&
    repository === repository.toLowerCase() &&
    domain.length + 1 + repository.length <= 255;
  if (!isValid) return undefined;
  return shorten(domain, repository) + (suffix === ':latest' ? '' : suffix);
}

/** The name of an image without its tag and digest. */
export function withoutTag(name: string): string {
  return name.replace(/@.*$/, '').replace(/:[^:/]*$/, '');
}

function splitRepository(path: string): { repository: string; suffix: string } {
  const [repository = ''] = /^[^:@]*/.exec(path) ?? [];
  return { repository, suffix: path.slice(repository.length) };
}

function splitDomain(name: string): { domain: string; path: string } {
  const [, first = '', rest] = /^([^/]*)(?:\/([\s\S]*))?$/.exec(name) ?? [];
  if (rest === undefined) return { domain: 'docker.io', path: `library/${name}` };
  const isDomain = first === 'localhost' || /[.:]/.test(first) || first !== first.toLowerCase();
  const domain = isDomain ? first.replace(/^index\.docker\.io$/, 'docker.io') : 'docker.io';
  const path = isDomain ? rest : name;
  return { domain, path: domain === 'docker.io' && !path.includes('/') ? `library/${path}` : path };
}

function shorten(domain: string, repository: string): string {
  const whole = `${domain}/${repository}`;
  if (domain !== 'docker.io') return whole;
  const short = repository.replace(/^library\/(?=[^/]+$)/, '');
  // To BuildKit, this name alone is no image; and some repository may look like a registry.
  return short === 'scratch' || splitDomain(short).path !== repository ? whole : short;
}

const label = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const host = `(?:${label}(?:\\.${label})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const component = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const namePattern = new RegExp(`^(?:${host}/)?${component}(?:/${component})*$`);

/** A tag and a digest, each of which can be absent. */
const suffixPattern =
  /^(?::\w[\w.-]{0,127})?(?:@(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}))?$/;
