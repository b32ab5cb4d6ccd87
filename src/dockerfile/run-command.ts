import { splitShellWords } from './expand-variables.js';
import type { Instruction } from './parser.js';

/**
 * The command of a RUN as BuildKit's records name it, without the shell in front (dispatchRun in
 * convert.go, getRefCacheDirNoCache in solver/llbsolver/mounts).
 */
export function commandOf({ text, source }: Pick<Instruction, 'text' | 'source'>): string {
  const words = parseWords(text);
  if (words !== undefined) return words.join(' ');
  const lines = source.split('\n');
  const opening = lines.findIndex((line) => line.includes('<<'));
  if (!text.includes('<<') || opening < 0 || opening === lines.length - 1) return text;
  const body = lines.slice(opening + 1);
  const [, dash, word] = /^<<(-?)\s*(\S+)$/.exec(text) ?? [];
  // The shell gets the heredocs with their ends.
  if (word === undefined) return [text, ...body].join('\n');
  const script = body.slice(0, -1).map((line) => (dash ? line.replace(/^\t+/, '') : line));
  const [name = word] = splitShellWords(word, 'neither');
  return script[0]?.startsWith('#!') ? `/dev/pipes/${name}` : script.join('\n');
}

/** The words of a RUN in exec form. */
function parseWords(text: string): string[] | undefined {
  try {
    const words: unknown = JSON.parse(text);
    const isOfTexts = Array.isArray(words) && words.every((word) => typeof word === 'string');
    return isOfTexts ? words : undefined;
  } catch {
    return undefined;
  }
}
