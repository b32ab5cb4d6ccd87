/** The results as tables of text cells, to be printed or written as Markdown. */
import { formatBytes, formatCount } from '../../../src/console/format.js';
import type { Machine } from './machine.js';
import type { CommitRun, CommitsResult } from './measure-commits.js';
import { type FixedMeasure, fixedMeasures } from './measure-fixed.js';
import {
  type IncrementalMeasure,
  type IncrementalResult,
  incrementalMeasures,
} from './measure-incremental.js';
import { type RegistryMeasure, type RegistryResult, registryMeasures } from './measure-registry.js';
import type { Measure, SetResult } from './measure-set.js';
import { type Phase, phases } from './phases.js';
import type { StepResources } from './resources.js';
import type { Samples } from './statistics.js';
import type { ActionName } from './step.js';

export interface BenchResult {
  readonly machine: Machine;
  readonly runs: number;
  readonly scale: number;
  readonly sets: readonly SetResult[];
  readonly incremental: IncrementalResult | undefined;
  readonly registry: RegistryResult | undefined;
  readonly commits: CommitsResult | undefined;
  readonly fixed: Samples<FixedMeasure> | undefined;
}

export interface Table {
  readonly title: string;
  readonly rows: readonly (readonly string[])[];
}

/** The columns of one direction: which measures they come from. */
const directions = [
  {
    title: 'Extract',
    action: 'extract',
    whole: 'extract',
    store: 'extractStore',
    floor: 'floorPack',
    files: ['filesExtract', 'filesExtractStore'],
    other: ['otherExtract', 'otherExtractStore'],
    copy: 'copyExtract',
    plain: 'plainSave',
  },
  {
    title: 'Inject',
    action: 'inject',
    whole: 'inject',
    store: 'injectStore',
    floor: 'floorUnpack',
    files: ['filesInject', 'filesInjectStore'],
    other: ['otherInject', 'otherInjectStore'],
    copy: 'copyInject',
    plain: 'plainRestore',
  },
] as const;

export function tablesOf(result: BenchResult): Table[] {
  const { sets, incremental, registry, commits, fixed } = result;
  return [
    { title: 'Machine', rows: [['part', 'kind or version'], ...Object.entries(result.machine)] },
    { title: 'Data', rows: dataRows(sets) },
    ...directions.map((direction) => ({
      title: `${direction.title}, seconds (medians of ${result.runs})`,
      rows: secondsRows(sets, direction),
    })),
    ...directions.map((direction) => ({
      title: `${direction.title} beside another version, seconds without the store`,
      rows: otherRows(sets, direction),
    })),
    ...directions.map((direction) => ({
      title: `How ${direction.title.toLowerCase()} grows, seconds without the store`,
      rows: growthRows(sets, direction),
    })),
    ...directions.map(({ title, action }) => ({
      title: `Where the time of ${title.toLowerCase()} goes, seconds (of the median run)`,
      rows: phaseRows(sets, action),
    })),
    { title: 'Memory, transfers, disk', rows: resourceRows(sets) },
    ...(incremental
      ? [
          {
            title: `Of go-build, only what has changed, seconds (medians of ${result.runs})`,
            rows: incrementalRows(incremental),
          },
          { title: 'The same, sizes of the saved entries', rows: savedRows(incremental) },
        ]
      : []),
    ...(registry
      ? [
          {
            title: `In a registry, seconds (medians of ${result.runs}): ${registry.what}`,
            rows: registryRows(registry),
          },
        ]
      : []),
    ...(commits
      ? [{ title: 'A Go project, commit by commit: seconds and bytes', rows: commitRows(commits) }]
      : []),
    ...(fixed ? [{ title: 'Fixed costs, seconds', rows: fixedRows(fixed) }] : []),
  ].filter(({ rows }) => rows.length > 1);
}

export function renderMarkdown(tables: readonly Table[]): string {
  return tables
    .map(({ title, rows }) => {
      const [head = [], ...body] = rows;
      const rule = head.map((_, column) => (column === 0 ? '---' : '--:'));
      const lines = [head, rule, ...body].map((cells) => `| ${cells.join(' | ')} |`);
      return `### ${title}\n\n${lines.join('\n')}\n`;
    })
    .join('\n');
}

function dataRows(sets: readonly SetResult[]): string[][] {
  return [
    ['set', 'files', 'bytes', 'archive of the floor', 'ratio', 'copying loses'],
    ...sets.map(({ name, files, bytes, floorArchiveBytes, copyLoses }) => [
      name,
      formatCount(files),
      formatBytes(bytes),
      formatBytes(floorArchiveBytes),
      ratio(bytes, floorArchiveBytes),
      copyLoses ?? '–',
    ]),
  ];
}

function secondsRows(
  sets: readonly SetResult[],
  { whole, store, floor, copy, plain }: (typeof directions)[number],
): string[][] {
  return [
    [
      ...['set', 'floor', 'ours', 'store', 'without store', '÷ floor'],
      ...['copying', 'plain store', 'ours ÷ copying', 'store ÷ plain store'],
    ],
    ...sets.map(({ name, seconds }) => {
      const of = (measure: Measure) => seconds.median(measure);
      const own = minus(of(whole), of(store));
      return [
        ...[name, cell(of(floor)), cell(of(whole)), cell(of(store)), cell(own)],
        ...[ratio(own, of(floor)), cell(of(copy)), cell(of(plain))],
        ...[ratio(of(whole), of(copy)), ratio(of(store), of(plain))],
      ];
    }),
  ];
}

/** Nothing to tell where no other version was measured. */
function otherRows(
  sets: readonly SetResult[],
  { whole, store, files, other }: (typeof directions)[number],
): string[][] {
  const compared = sets.filter(({ seconds }) => seconds.median(other[0]) !== undefined);
  return [
    ['set', 'ours', 'stream: false', 'the other', 'ours ÷ the other', 'stream: false ÷ the other'],
    ...compared.map(({ name, seconds }) => {
      const own = (pair: readonly [Measure, Measure]) =>
        minus(seconds.median(pair[0]), seconds.median(pair[1]));
      const [ours, ofFiles, ofOther] = [own([whole, store]), own(files), own(other)];
      return [
        ...[name, cell(ours), cell(ofFiles), cell(ofOther)],
        ...[ratio(ours, ofOther), ratio(ofFiles, ofOther)],
      ];
    }),
  ];
}

/** The sets of one shape, smallest first; nothing to tell where there are fewer than two. */
function growthRows(
  sets: readonly SetResult[],
  { whole, store, floor }: (typeof directions)[number],
): string[][] {
  const sizes = sets
    .filter(({ name }) => name.startsWith('go-build'))
    .sort((a, b) => a.bytes - b.bytes);
  if (sizes.length < 2) return [];
  return [
    ['set', 'bytes', 'floor', 'floor per GB', 'ours', 'ours per GB'],
    ...sizes.map(({ name, bytes, seconds }) => {
      const least = seconds.median(floor);
      const own = minus(seconds.median(whole), seconds.median(store));
      const perGigabyte = (value: number | undefined) => ratio(value, bytes / 1e9);
      return [
        ...[name, formatBytes(bytes), cell(least), perGigabyte(least)],
        ...[cell(own), perGigabyte(own)],
      ];
    }),
  ];
}

function phaseRows(sets: readonly SetResult[], action: ActionName): string[][] {
  const used = phases.filter((phase) => sets.some((set) => set.phases[action][phase]));
  return [
    ['set', ...used, 'whole'],
    ...sets.map((set) => {
      const own: Partial<Record<Phase, number>> = set.phases[action];
      const whole = used.reduce((sum, phase) => sum + (own[phase] ?? 0), 0);
      return [set.name, ...used.map((phase) => cell(own[phase])), cell(whole)];
    }),
  ];
}

function resourceRows(sets: readonly SetResult[]): string[][] {
  const names = {
    extract: 'extract',
    inject: 'inject',
    copyExtract: 'extract by copying',
    copyInject: 'inject by copying',
  } as const;
  const row = (set: string, step: string, resources: StepResources) => [
    ...[set, step, bytesCell(resources.nodePeakBytes)],
    bytesCell(resources.transfers.toBuilder),
    bytesCell(resources.transfers.fromBuilder),
    bytesCell(resources.runnerDisk.peakBytes),
    bytesCell(resources.builderDisk?.peakBytes),
    bytesCell(resources.builderDisk?.restBytes),
  ];
  return [
    [
      ...['set', 'step', 'node peak', 'to the builder', 'from the builder'],
      ...['peak runner disk', 'peak builder disk', 'builder disk afterwards'],
    ],
    ...sets.flatMap(({ name, resources }) =>
      (['extract', 'copyExtract', 'inject', 'copyInject'] as const).flatMap((step) => {
        const own = resources[step];
        return own ? [row(name, names[step], own)] : [];
      }),
    ),
  ];
}

function incrementalRows({ seconds }: IncrementalResult): string[][] {
  const wholeOf = (measure: IncrementalMeasure) =>
    measure.endsWith('Extract') ? 'fullExtract' : 'fullInject';
  const measures = Object.keys(incrementalMeasures) as IncrementalMeasure[];
  return [
    ['what', 'seconds', '÷ everything'],
    ...measures.map((measure) => [
      incrementalMeasures[measure],
      cell(seconds.median(measure)),
      ratio(seconds.median(measure), seconds.median(wholeOf(measure))),
    ]),
  ];
}

function registryRows({ seconds }: RegistryResult): string[][] {
  const serviceOf = (measure: RegistryMeasure) =>
    measure.endsWith('Extract') ? 'serviceExtract' : 'serviceInject';
  const measures = Object.keys(registryMeasures) as RegistryMeasure[];
  return [
    ['what', 'seconds', '÷ the cache service'],
    ...measures.map((measure) => [
      registryMeasures[measure],
      cell(seconds.median(measure)),
      ratio(seconds.median(measure), seconds.median(serviceOf(measure))),
    ]),
  ];
}

function savedRows({ bytes }: IncrementalResult): string[][] {
  const row = (what: string, size: number, whole: number) => [
    ...[what, formatBytes(size), ratio(size, whole)],
  ];
  return [
    ['what', 'size', '÷ everything'],
    row('everything', bytes.full, bytes.full),
    row('1% of the files changed', bytes.changed, bytes.full),
    row('nothing changed', bytes.unchanged, bytes.full),
    row('ten runs together (÷ ten times everything)', bytes.tenRuns, bytes.full * 10),
  ];
}

function commitRows({ incremental, full }: CommitsResult): string[][] {
  const total = (runs: readonly CommitRun[], measure: keyof CommitRun) =>
    runs.reduce((sum, run) => sum + run[measure], 0);
  const seconds = (run: CommitRun) => [cell(run.inject), cell(run.extract)];
  const bytes = (run: CommitRun) => [formatBytes(run.downloaded), formatBytes(run.uploaded)];
  const sum = (runs: readonly CommitRun[]): CommitRun => ({
    inject: total(runs, 'inject'),
    downloaded: total(runs, 'downloaded'),
    extract: total(runs, 'extract'),
    uploaded: total(runs, 'uploaded'),
  });
  const row = (name: string, a: CommitRun, b: CommitRun) => [
    ...[name, ...seconds(a), ...bytes(a), ...seconds(b), ...bytes(b)],
  ];
  return [
    [
      ...['commit', 'inject', 'extract', 'down', 'up'],
      ...['inject in full', 'extract in full', 'down in full', 'up in full'],
    ],
    ...incremental.flatMap((run, commit) => {
      const other = full[commit];
      return other ? [row(commit === 0 ? 'first' : String(commit), run, other)] : [];
    }),
    row('together', sum(incremental), sum(full)),
  ];
}

function fixedRows(fixed: Samples<FixedMeasure>): string[][] {
  return [
    ['what', 'seconds'],
    ...Object.entries(fixedMeasures).map(([measure, title]) => [
      title,
      fixed.median(measure as FixedMeasure)?.toFixed(3) ?? '–',
    ]),
  ];
}

function minus(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a - b;
}

function cell(seconds: number | undefined): string {
  return seconds === undefined ? '–' : seconds.toFixed(2);
}

function bytesCell(bytes: number | undefined): string {
  return bytes === undefined ? '–' : formatBytes(bytes);
}

function ratio(a: number | undefined, b: number | undefined): string {
  return a === undefined || b === undefined || b === 0 ? '–' : (a / b).toFixed(2);
}
