import { expect, test } from '@jest/globals';
import { parseDockerfile } from '../../../src/dockerfile/parser.js';
import { commandOf } from '../../../src/dockerfile/run-command.js';

/** What BuildKit v0.32.2 gives to the shell, or to the system. */
test.each<[lines: readonly string[], command: string]>([
  [['RUN go build'], 'go build'],
  [
    ['RUN --mount=type=cache,target=/c \\', '  # comment', '  go build \\', '  ./...'],
    'go build   ./...',
  ],
  [['RUN ["go", "build", "a b"]'], 'go build a b'],
  [['RUN [ "a" = "b" ] || go'], '[ "a" = "b" ] || go'],
  [['RUN <<EOF', 'go build', 'go vet', 'EOF'], 'go build\ngo vet'],
  [['RUN --network=none \\', '  <<-"E"', '\tgo build', '\tE'], 'go build'],
  [['RUN <<EOF', '#!/usr/bin/env python', 'print()', 'EOF'], '/dev/pipes/EOF'],
  [['RUN cat <<EOF >/a', 'text', 'EOF'], 'cat <<EOF >/a\ntext\nEOF'],
  [['RUN echo $((1 << 2))'], 'echo $((1 << 2))'],
])('%j', (lines, command) => {
  const { instructions } = parseDockerfile(['FROM a', ...lines, 'RUN other'].join('\n'));
  const run = instructions[1];
  expect(run && commandOf(run)).toBe(command);
});
