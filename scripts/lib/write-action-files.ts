/** Writes the three action files and docs/inputs.md; part of `npm run build`. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderActionFiles } from './action-files.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

for (const [path, text] of renderActionFiles()) await writeFile(join(root, path), text);
