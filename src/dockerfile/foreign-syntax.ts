import { familiarName } from './image-name.js';
import type { Dockerfile } from './parser.js';

/** The instructions of BuildKit v0.32.2 (frontend/dockerfile/command/command.go). */
const instructionNames = new Set(
  'ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER VOLUME WORKDIR'.split(
    ' ',
  ),
);

/**
 * What there is in a Dockerfile that another frontend than BuildKit's own reads, such as one with an
 * `INCLUDE`: it may bring mounts that are not seen here.
 *
 * @returns what is to be said of it, each with the line
 */
export function findForeignSyntax(
  { syntax, instructions }: Dockerfile,
  buildArgs: ReadonlyMap<string, string>,
): { readonly line: number; readonly message: string }[] {
  const remedy =
    'mounts that it brings are not seen: name them in the input cache-mounts (with all others)';
  const given = buildArgs.get('BUILDKIT_SYNTAX');
  const frontend = given ? { value: given, line: 1 } : syntax;
  const unknown = instructions.filter(({ keyword }) => !instructionNames.has(keyword));
  const names = [...new Set(unknown.map(({ keyword }) => keyword))];
  const shown = [...names.slice(0, 3), ...(names.length > 3 ? [`${names.length - 3} more`] : [])];
  return [
    ...(frontend && !isOwn(frontend.value)
      ? [
          {
            line: frontend.line,
            message: `the frontend ${frontend.value} is not BuildKit's own; ${remedy}`,
          },
        ]
      : []),
    ...(unknown[0]
      ? [
          {
            line: unknown[0].line,
            message: `BuildKit's own Dockerfile has no instruction ${shown.join(', ')}; ${remedy}`,
          },
        ]
      : []),
  ];
}

/** docker/dockerfile, and the copies of it that registries hold under this name. */
function isOwn(frontend: string): boolean {
  const name = familiarName(frontend) ?? '';
  return /^(?:[^@]*\/)?docker\/dockerfile(?:-upstream)?(?:[:@]|$)/.test(name);
}
