import type { Outcome, Result } from './outcome.ts';

/** How far the statement fixes the order of its rows: not at all, wholly, or in some output columns. */
export type RowOrder = 'none' | 'total' | { readonly columns: readonly number[] };

const floatTypes = new Set([700, 701]);
const relativeTolerance = 1e-12;

type Row = readonly (string | null)[];

/** Undefined when alike; otherwise one line that says what differs. */
export function compareOutcomes(expected: Outcome, got: Outcome, order: RowOrder): string | undefined {
  if (expected.kind === 'error' || got.kind === 'error') return compareErrors(expected, got);
  if (expected.command !== got.command) return `command tag ${expected.command} became ${got.command}`;
  const fields = compareFields(expected, got);
  if (fields !== undefined) return fields;
  if (expected.rowCount !== got.rowCount) return `row count ${expected.rowCount} became ${got.rowCount}`;
  return compareRows(expected, got, order);
}

function compareErrors(expected: Outcome, got: Outcome): string | undefined {
  const wanted = expected.kind === 'error' ? `SQLSTATE ${expected.sqlstate}` : 'success';
  const found = got.kind === 'error' ? `SQLSTATE ${got.sqlstate}` : 'success';
  if (wanted === found) return undefined;
  const expectedMessage = expected.kind === 'error' ? ` (${expected.message})` : '';
  const gotMessage = got.kind === 'error' ? ` (${got.message})` : '';
  return `${wanted}${expectedMessage} became ${found}${gotMessage}`;
}

function compareFields(expected: Result, got: Result): string | undefined {
  const describe = (result: Result) => result.fields.map((field) => `${field.name}:${field.type}`).join(' ');
  if (describe(expected) === describe(got)) return undefined;
  return `columns ${describe(expected)} became ${describe(got)}`;
}

function compareRows(expected: Result, got: Result, order: RowOrder): string | undefined {
  if (expected.rows.length !== got.rows.length)
    return `${expected.rows.length} rows became ${got.rows.length}; ${firstDifference(expected, got)}`;
  const isFloat = expected.fields.map((field) => floatTypes.has(field.type));
  if (order === 'total') return compareInSequence(expected.rows, got.rows, isFloat);
  if (order !== 'none') {
    // Equal numbers of different scales (1.0, 1.00) may stand in any order.
    const project = (row: Row) =>
      order.columns.map((column) => sortKey(row[column] ?? null, expected.fields[column]?.type));
    const projectedFloat = order.columns.map((column) => isFloat[column] ?? false);
    const disorder = compareInSequence(expected.rows.map(project), got.rows.map(project), projectedFloat);
    if (disorder !== undefined) return `order: ${disorder}`;
  }
  return compareInSequence(sorted(expected.rows, isFloat), sorted(got.rows, isFloat), isFloat);
}

const numericType = 1700;

function sortKey(value: string | null, type: number | undefined): string | null {
  return type === numericType && value?.includes('.') ? value.replace(/\.?0+$/, '') : value;
}

function compareInSequence(expected: readonly Row[], got: readonly Row[], isFloat: boolean[]): string | undefined {
  for (const [index, row] of expected.entries()) {
    const other = got[index]!;
    const same = row.every((value, column) => sameValue(value, other[column] ?? null, isFloat[column] ?? false));
    if (!same) return `row ${index + 1} ${JSON.stringify(row)} became ${JSON.stringify(other)}`;
  }
  return undefined;
}

function sameValue(a: string | null, b: string | null, isFloat: boolean): boolean {
  if (a === b) return true;
  if (a === null || b === null || !isFloat) return false;
  const x = Number(a);
  const y = Number(b);
  return Math.abs(x - y) <= relativeTolerance * Math.max(Math.abs(x), Math.abs(y));
}

/** Sorted by the exact columns first, so that floats that differ in their last digit don't part equal rows. */
function sorted(rows: readonly Row[], isFloat: boolean[]): Row[] {
  const keyed = rows.map((row) => {
    const exact = row.map((value, column) => (isFloat[column] && value !== null ? 'a float' : value));
    return { row, exact: JSON.stringify(exact), floats: row.filter((_, column) => isFloat[column]).map(Number) };
  });
  keyed.sort((a, b) => {
    if (a.exact !== b.exact) return a.exact < b.exact ? -1 : 1;
    for (const [index, float] of a.floats.entries()) {
      const difference = float - b.floats[index]!;
      if (difference !== 0 && !Number.isNaN(difference)) return difference;
    }
    return 0;
  });
  return keyed.map((entry) => entry.row);
}

function firstDifference(expected: Result, got: Result): string {
  const count = new Map<string, number>();
  for (const row of got.rows) count.set(JSON.stringify(row), (count.get(JSON.stringify(row)) ?? 0) + 1);
  for (const row of expected.rows) {
    const key = JSON.stringify(row);
    const left = count.get(key) ?? 0;
    if (left === 0) return `missing ${key}`;
    count.set(key, left - 1);
  }
  for (const [key, left] of count) if (left > 0) return `extra ${key}`;
  return 'no single row stands out';
}
