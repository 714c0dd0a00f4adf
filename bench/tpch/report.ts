import { median } from '../median.ts';
import type { Measured } from './measure.ts';
import type { Moved } from './traffic.ts';

export interface Summary {
  /** Of the medians of those queries that both sides answered alike, in seconds. */
  readonly plainSeconds: number;
  readonly herdSeconds: number;
  readonly compared: number;
  readonly equal: number;
}

export function summarize(measured: readonly Measured[]): Summary {
  const timed = measured.filter((each) => each.herdMs.length > 0);
  const sum = (side: 'plainMs' | 'herdMs') => timed.reduce((total, each) => total + median(each[side]), 0) / 1000;
  return {
    plainSeconds: sum('plainMs'),
    herdSeconds: sum('herdMs'),
    compared: timed.length,
    equal: measured.filter((each) => each.difference === undefined).length,
  };
}

const heading = [
  'query',
  'plain s',
  'herd s',
  'ratio',
  'rows',
  'rows to coord',
  'MB to coord',
  'rows moved',
  'MB to nodes',
  'rung',
  'why',
];
const rightAligned = new Set([
  'plain s',
  'herd s',
  'ratio',
  'rows',
  'rows to coord',
  'MB to coord',
  'rows moved',
  'MB to nodes',
]);

/** As text for a terminal: a line per query, then the sums. */
export function describe(measured: readonly Measured[]): string {
  const { plainSeconds, herdSeconds, compared, equal } = summarize(measured);
  const lines = measured.map((each) => {
    const [plain, herd] = [median(each.plainMs), median(each.herdMs)];
    const cells = [`Q${each.query}`, seconds(plain), seconds(herd), ratio(herd, plain), String(each.rows)];
    const toCoordinator = [String(each.rowsToCoordinator), megabytes(each.moved.toCoordinator)];
    const toNodes = [String(each.rowsToNodes), megabytes(each.moved.toNodes)];
    return [
      ...cells,
      ...toCoordinator,
      ...toNodes,
      each.rung,
      each.difference === undefined ? each.reason : `DIFFERS: ${each.difference}`,
    ];
  });
  const sums = ['sum', seconds(plainSeconds * 1000), seconds(herdSeconds * 1000), ratio(herdSeconds, plainSeconds)];
  const total = (what: keyof Moved) => megabytes(measured.reduce((sum, each) => sum + each.moved[what], 0));
  const movedSums = ['', total('toCoordinator'), '', total('toNodes')];
  const table = [
    heading,
    ...lines,
    [...sums, '', ...movedSums, '', `${compared} timed, ${equal} of ${measured.length} equal`],
  ];
  const widths = heading.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  return table.map((row) => aligned(row, widths)).join('\n');
}

const maxReasonChars = 90;

function aligned(row: readonly string[], widths: readonly number[]): string {
  const cells = row.map((cell, column) =>
    rightAligned.has(heading[column]!) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
  );
  cells[cells.length - 1] = row.at(-1)!.slice(0, maxReasonChars);
  return cells.join('  ').trimEnd();
}

function seconds(ms: number): string {
  return Number.isNaN(ms) ? '-' : (ms / 1000).toFixed(3);
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(3);
}

function ratio(herd: number, plain: number): string {
  return Number.isNaN(herd / plain) ? '-' : (herd / plain).toFixed(2);
}
