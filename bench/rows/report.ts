import { type Figures, medianOf } from './measure.ts';
import type { Row } from './row.ts';
import type { Stages } from './stages.ts';

export type Outcome =
  | { readonly kind: 'figures'; readonly row: Row; readonly figures: Figures }
  | { readonly kind: 'stages'; readonly row: Row; readonly stages: Stages }
  | { readonly kind: 'failed'; readonly row: Row; readonly message: string };

const heading = [
  'row',
  'plain',
  'PgBouncer',
  'pgherd',
  '/ plain',
  'goal',
  '/ PgB',
  'goal',
  'CPU µs',
  'PgB µs',
  'servers',
  'plain s.',
  'client',
  'MB',
  'PgB MB',
];

/** A table with a line for each row, and what does not fit into it below. */
export function describe(outcomes: readonly Outcome[]): string {
  const lines: string[][] = [];
  const below: string[] = [];
  for (const outcome of outcomes) {
    if (outcome.kind === 'stages') below.push(describeStages(outcome.stages));
    else if (outcome.kind === 'failed') below.push(`${outcome.row.name} failed: ${outcome.message}`);
    else lines.push(...linesOf(outcome.row, outcome.figures));
  }
  const table = [heading, ...lines];
  const widths = heading.map((_, column) => Math.max(...table.map((line) => line[column]!.length)));
  const text = table.map((line) =>
    line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  '),
  );
  return [...(lines.length > 0 ? [text.join('\n')] : []), ...below].join('\n\n');
}

function linesOf(row: Row, figures: Figures): string[][] {
  if (row.kind === 'latency') return (['p50Us', 'p99Us'] as const).map((figure) => latencyLine(row, figures, figure));
  const speed = row.kind === 'bulk' ? 'seconds' : 'perSecond';
  const unit =
    row.kind === 'bulk' ? (value: number) => `${value.toFixed(2)} s` : (value: number) => `${value.toFixed(0)}/s`;
  const { plain, pooler, herd } = sidesOf(figures);
  const cpu = (us: number) => (row.kind === 'bulk' ? `${(us / 1e6).toFixed(2)} s` : us.toFixed(0));
  return [
    [
      row.name,
      ...[plain, pooler, herd].map((runs) => shown(medianOf(runs, speed), unit)),
      shown(ratio(herd, plain), fixed),
      shown(row.goal ?? null, fixed),
      shown(ratio(herd, pooler), fixed),
      shown(row.poolerGoal ?? null, fixed),
      shown(medianOf(herd, 'cpuUs'), cpu),
      shown(medianOf(pooler, 'cpuUs'), cpu),
      shown(medianOf(herd, 'serversCpuUs'), cpu),
      shown(medianOf(plain, 'serversCpuUs'), cpu),
      shown(medianOf(herd, 'clientCpuUs'), cpu),
      shown(medianOf(herd, 'memoryBytes'), megabytes),
      shown(medianOf(pooler, 'memoryBytes'), megabytes),
    ],
  ];
}

function latencyLine(row: Row, figures: Figures, figure: 'p50Us' | 'p99Us'): string[] {
  const { plain, pooler, herd } = sidesOf(figures);
  const values = [plain, pooler, herd].map((runs) => shown(medianOf(runs, figure), (us) => `${us.toFixed(0)} µs`));
  const direct = medianOf(plain, figure);
  const ours = medianOf(herd, figure);
  const added = direct === null || ours === null ? '' : `+${(ours - direct).toFixed(0)} µs`;
  return [`${row.name} ${figure.slice(0, 3)}`, ...values, added, ...heading.slice(5).map(() => '')];
}

const sidesOf = ({ plain, pooler, herd }: Figures) => ({ plain, pooler, herd });
const fixed = (value: number) => value.toFixed(2);
const megabytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0);

function shown(value: number | null, format: (value: number) => string): string {
  return value === null ? '' : format(value);
}

/** How fast the first is, as a share of the second. */
export function ratio(first: Figures['herd'], second: Figures['herd']): number | null {
  const [above, below] = [medianOf(first, 'perSecond'), medianOf(second, 'perSecond')];
  return above === null || below === null ? null : above / below;
}

function describeStages(stages: Stages): string {
  const lines = stages
    .filter(({ share }) => share >= 0.005)
    .map(({ stage, share }) => `  ${stage.padEnd(40)}${(share * 100).toFixed(1).padStart(5)} %`);
  return ["the router's busy time", ...lines].join('\n');
}
