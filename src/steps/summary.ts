import { formatBytes, formatCount, formatSeconds, plural } from '../console/format.js';
import { describeMount } from '../mounts/cache-mount.js';
import type { MountRow } from './result-table.js';

export interface Summary {
  /** The result of the step, in a few words. */
  readonly title: string;
  /** Names with their values, such as the keys. */
  readonly facts: readonly (readonly [name: string, value: string])[];
  readonly rows: readonly MountRow[];
  /** Facts that the user would not expect. */
  readonly remarks: readonly string[];
}

/**
 * Renders the summary of a step for the job's page. It is HTML, because some names of mounts cannot
 * stand in a table of Markdown.
 */
export function renderSummary({ title, facts, rows, remarks }: Summary): string {
  const lines = [`<h3>${asText(title)}</h3>`];
  if (facts.length > 0) {
    const items = facts.map(([name, value]) => `${asText(name)}: <code>${asText(value)}</code>`);
    lines.push(`<p>${items.join('<br>')}</p>`);
  }
  if (rows.length > 0) lines.push(...renderTable(rows));
  if (remarks.length > 0) {
    lines.push('<ul>', ...remarks.map((remark) => `<li>${asProse(remark)}</li>`), '</ul>');
  }
  return `${lines.join('\n')}\n`;
}

function renderTable(rows: readonly MountRow[]): string[] {
  const header = ['Cache mount', 'State', 'Files', 'Size', 'Compressed', 'Time'];
  const lines = [tableRow('th', header), ...rows.map(renderRow)];
  const counted = rows.filter(({ archive }) => archive);
  if (counted.length > 1) lines.push(renderTotal(counted));
  return ['<table>', ...lines, '</table>'];
}

function renderRow({ mount, state, archive, seconds }: MountRow): string {
  return tableRow('td', [
    `<code>${asText(describeMount(mount))}</code>`,
    asText(state),
    ...(archive
      ? [
          formatCount(archive.files),
          formatBytes(archive.bytes),
          formatBytes(archive.compressedBytes),
        ]
      : ['', '', '']),
    seconds === undefined ? '' : formatSeconds(seconds),
  ]);
}

function renderTotal(rows: readonly MountRow[]): string {
  const sum = (value: (row: MountRow) => number | undefined) =>
    rows.reduce((total, row) => total + (value(row) ?? 0), 0);
  return tableRow('td', [
    '<strong>Total</strong>',
    plural(rows.length, 'mount'),
    formatCount(sum(({ archive }) => archive?.files)),
    formatBytes(sum(({ archive }) => archive?.bytes)),
    formatBytes(sum(({ archive }) => archive?.compressedBytes)),
    formatSeconds(sum(({ seconds }) => seconds)),
  ]);
}

/** Numbers stand on the right, each with its unit. */
function tableRow(element: 'th' | 'td', cells: readonly string[]): string {
  const rendered = cells.map(
    (cell, column) =>
      `<${element}${column > 1 ? ' align="right" nowrap' : ''}>${cell}</${element}>`,
  );
  return `<tr>${rendered.join('')}</tr>`;
}

/**
 * Text outside of `<code>` that may hold names. GitHub makes links, pictures and formulas of @name,
 * #1, :name: and $x$, but not across elements.
 */
function asProse(text: string): string {
  return asText(text).replace(/[@#$]|:(?=\S)/g, '<span>$&</span>');
}

/**
 * Any text as HTML. Control characters are escaped, because a blank line would end the table and
 * begin Markdown.
 */
function asText(text: string): string {
  return text
    .replace(/\p{Cc}/gu, (char) => JSON.stringify(char).slice(1, -1))
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
