import { formatBytes, formatCount, formatSeconds, plural } from '../console/format.js';
import { type ArchiveSize, totalOf } from '../entry/manifest.js';
import { describeMount } from '../mounts/cache-mount.js';
import type { Figure } from './figures.js';
import type { MountRow } from './result-table.js';

export interface Summary {
  /** The result of the step, in a few words. */
  readonly title: string;
  /** What the cache brings. */
  readonly lead?: string;
  /** Names with their values, such as the keys. */
  readonly facts: readonly (readonly [name: string, value: string])[];
  /** Sizes and times. */
  readonly figures: readonly Figure[];
  readonly rows: readonly MountRow[];
  /** Facts that the user would not expect. */
  readonly remarks: readonly string[];
}

/**
 * Renders the summary of a step for the job's page. It is HTML, because some names of mounts cannot
 * stand in a table of Markdown.
 */
export function renderSummary({ title, lead, facts, figures, rows, remarks }: Summary): string {
  const lines = [`<h3>${asText(title)}</h3>`];
  if (lead !== undefined) lines.push(`<p>${asText(lead)}</p>`);
  const items = [
    ...facts.map(([name, value]) => `${asText(name)}: <code>${asText(value)}</code>`),
    ...figures.map(([name, value]) => `${asText(name)}: ${asText(value)}`),
  ];
  if (items.length > 0) {
    lines.push(`<p>${items.join('<br>')}</p>`);
  }
  if (rows.length > 0) lines.push(...renderTable(rows));
  if (remarks.length > 0) {
    lines.push('<ul>', ...remarks.map((remark) => `<li>${asProse(remark)}</li>`), '</ul>');
  }
  return `${lines.join('\n')}\n`;
}

/**
 * Each mount has its size in the cache, if that is known. A column in which nothing stands is left
 * out.
 */
function renderTable(rows: readonly MountRow[]): string[] {
  const isOfSave = rows.some(({ cached }) => cached);
  const header = ['Cache mount', 'State', 'Files', 'Size', 'Compressed'];
  const headings = [...header, ...(isOfSave ? ['Saved'] : []), 'Time'];
  const cells = rows.map((row) => cellsOf(row, isOfSave));
  const counted = rows.filter((row) => sizeOf(row));
  if (counted.length > 1) cells.push(cellsOfTotal(counted, isOfSave));
  const isUsed = headings.map((_, column) => cells.some((each) => each[column] !== ''));
  const only = (each: readonly string[]) => each.filter((_, column) => isUsed[column]);
  return [
    '<table>',
    tableRow('th', only(headings)),
    ...cells.map((each) => tableRow('td', only(each))),
    '</table>',
  ];
}

function sizeOf({ archive, cached }: MountRow): ArchiveSize | undefined {
  return cached ?? archive;
}

/** What this run has put into the cache. */
function savedOf({ archive, cached }: MountRow): number {
  return cached && archive ? archive.compressedBytes : 0;
}

function cellsOf(row: MountRow, isOfSave: boolean): string[] {
  const { mount, state, cached, seconds } = row;
  return [
    `<code>${asName(describeMount(mount))}</code>`,
    asText(state),
    ...sizeCells(sizeOf(row)),
    ...(isOfSave ? [cached ? formatBytes(savedOf(row)) : ''] : []),
    seconds === undefined ? '' : formatSeconds(seconds),
  ];
}

function sizeCells(size: ArchiveSize | undefined): string[] {
  if (size === undefined) return ['', '', ''];
  return [formatCount(size.files), formatBytes(size.bytes), formatBytes(size.compressedBytes)];
}

/** There is no sum of times, because the step takes longer; its own times are above the table. */
function cellsOfTotal(rows: readonly MountRow[], isOfSave: boolean): string[] {
  const saved = rows.reduce((total, row) => total + savedOf(row), 0);
  return [
    '<strong>Total</strong>',
    plural(rows.length, 'mount'),
    ...sizeCells(totalOf(rows.flatMap((row) => sizeOf(row) ?? []))),
    ...(isOfSave ? [formatBytes(saved)] : []),
    '',
  ];
}

/** Numbers stand on the right, each with its unit. Without `align`, a heading is in the middle. */
function tableRow(element: 'th' | 'td', cells: readonly string[]): string {
  const left = element === 'th' ? ' align="left"' : '';
  const rendered = cells.map(
    (cell, column) =>
      `<${element}${column > 1 ? ' align="right" nowrap' : left}>${cell}</${element}>`,
  );
  return `<tr>${rendered.join('')}</tr>`;
}

/** A longer name would push the numbers out of sight if it could only be broken at a hyphen. */
const WHOLE_NAME = 40;

function asName(name: string): string {
  const text = asText(name);
  return name.length > WHOLE_NAME ? text.replace(/[/,](?=.)/g, '$&<wbr>') : text;
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
