import { familiarName } from '../dockerfile/image-name.js';
import { InputError } from '../lib/errors.js';

const form = 'Give a reference with a tag, such as ghcr.io/octo-org/app:mounts-main';

/** The longest tag that registries take. */
const longestTag = 128;

/**
 * Reads the lines of the input registry: references, each with a tag. A tag is often made of the name
 * of a branch. So each sign that no tag may have becomes a hyphen, such as the slash in
 * `feature/x`, or in `12/merge`, which GitHub calls the branch of a pull request.
 *
 * @throws InputError that names the line and the right form
 */
export function parseReferences(lines: readonly string[]): string[] {
  return [...new Set(lines.map(parseReference))];
}

function parseReference(line: string): string {
  const wrong = (why: string) => new InputError(`Input registry: "${line}" ${why}. ${form}.`);
  if (/(^|,)\s*(type|ref)=/.test(line)) {
    const [, reference] = /(?:^|,)\s*ref=([^,]*)/.exec(line) ?? [];
    const remedy = reference ? `give just ${reference}` : 'give just the reference';
    throw wrong(`has options, as cache-to has them: ${remedy}`);
  }
  if (/@sha(256|384|512):/.test(line)) {
    throw wrong('has a digest, which always names the same: what is saved needs a tag that moves');
  }
  const { repository, tag } = splitTag(line);
  if (tag === '') {
    throw wrong('has no tag, and would stand for the image that is called latest');
  }
  const reference = `${repository}:${tag.replace(/[^\s\w.-]/g, '-').slice(0, longestTag)}`;
  if (familiarName(reference) !== undefined) return reference;
  const isOfCase = familiarName(reference.toLowerCase()) !== undefined && /[A-Z]/.test(repository);
  throw wrong(
    isOfCase
      ? 'has capital letters in the name of the repository, which registries do not take'
      : 'is no image reference',
  );
}

/** The tag begins behind the first colon that is not the one before the registry's port. */
function splitTag(text: string): { readonly repository: string; readonly tag: string } {
  const [, repository = text, tag = ''] =
    /^([^/]*\/[^:]*|[^/:]*(?=:[^/]*$)):([\s\S]*)$/.exec(text) ?? [];
  return { repository, tag };
}
