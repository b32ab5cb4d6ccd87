import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import ts from 'typescript';

const source = join(dirname(fileURLToPath(import.meta.url)), '../../../src');

const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
);

/** The names that a parameter, or a variable, gives: more than one if it takes its value apart. */
function namesOf(name: ts.BindingName): string[] {
  if (ts.isIdentifier(name)) return [name.text];
  return name.elements.flatMap((each) => (ts.isBindingElement(each) ? namesOf(each.name) : []));
}

/** The variables that have the name of a parameter of a function around them. */
function findHidden(text: string, file: string): string[] {
  const tree = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const visit = (node: ts.Node, parameters: readonly string[]) => {
    const own = ts.isFunctionLike(node) ? node.parameters.flatMap(({ name }) => namesOf(name)) : [];
    if (ts.isVariableDeclaration(node)) {
      const hidden = namesOf(node.name).filter((name) => parameters.includes(name));
      const line = tree.getLineAndCharacterOfPosition(node.getStart()).line + 1;
      found.push(...hidden.map((name) => `${file}:${line}: ${name}`));
    }
    ts.forEachChild(node, (child) => visit(child, [...parameters, ...own]));
  };
  visit(tree, []);
  return found;
}

test('no variable hides a parameter', () => {
  expect(
    files.flatMap((file) => findHidden(readFileSync(join(source, file), 'utf8'), file)),
  ).toEqual([]);
});

test('a variable that hides one is seen', () => {
  const text =
    'function f({ a }, b) {\n  const c = 1;\n  return () => {\n    const [a] = [b];\n  };\n}';
  expect(findHidden(text, 'f.ts')).toEqual(['f.ts:4: a']);
});
