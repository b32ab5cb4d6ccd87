/** What the input save is in a workflow, for whatever has started the run. */
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { readExtractInputs } from '../../../src/inputs/read-inputs.js';
import { readSurroundings } from '../../../src/lib/surroundings.js';

/** All events that start a workflow (docs.github.com, "Events that trigger workflows"). */
const events = [
  ...['branch_protection_rule', 'check_run', 'check_suite', 'create', 'delete', 'deployment'],
  ...['deployment_status', 'discussion', 'discussion_comment', 'fork', 'gollum', 'image_version'],
  ...['issue_comment', 'issues', 'label', 'merge_group', 'milestone', 'page_build', 'public'],
  ...['pull_request', 'pull_request_review', 'pull_request_review_comment'],
  ...['pull_request_target', 'push', 'registry_package', 'release', 'repository_dispatch'],
  ...['schedule', 'status', 'watch', 'workflow_call', 'workflow_dispatch', 'workflow_run'],
];

const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
const excepted = /^ *save: \$\{\{ github\.event_name != '(\w+)' \}\}$/m.exec(readme)?.[1];

/** The value of `save` in the workflow, and whether it saves. */
const ways: Readonly<Record<string, (event: string) => [value: string, saves: boolean]>> = {
  'not given': () => ['', true],
  true: () => ['true', true],
  false: () => ['false', false],
  "the README's condition": (event) => [String(event !== excepted), event !== 'pull_request'],
};

test.each(
  events.flatMap((event) => Object.keys(ways).map((way): [string, string] => [event, way])),
)('at %s, save: %s', (event, way) => {
  const [value, saves] = ways[way]?.(event) ?? ['', false];
  const surroundings = { ...readSurroundings(), env: { GITHUB_EVENT_NAME: event } };
  const inputs = readExtractInputs((name) => (name === 'save' ? value : ''), surroundings);
  expect(inputs.save).toBe(saves);
});
