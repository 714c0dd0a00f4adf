import type { DistributedTable } from '../catalog/snapshot.ts';
import type { MotionColumn, SqlTemplate } from '../plan/plan.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import type { ExecutionContext } from './context.ts';
import { conflictingRows, globalIndexesOf, indexedColumns } from './global-index.ts';
import { hasReturning } from './insert-rows.ts';
import { tupleOf, tupleValues } from './text-tuples.ts';

/**
 * The SQL of a change that may insert, update and delete, with what global indexes need of each row at the end of its RETURNING list: as
 * it is and as it was, and which of the two there is.
 */
export function withOldAndNew(sql: SqlTemplate, table: DistributedTable): SqlTemplate {
  const of = (version: string) => indexedColumns(table).map((name) => `${version}.${quoteIdentifier(name)}::text`);
  const exists = ['new', 'old'].map((version) => `(${version}.tableoid IS NOT NULL)::text`);
  const added = [...of('new'), ...of('old'), ...exists].join(', ');
  return [...sql, hasReturning(sql) ? `, ${added}` : ` RETURNING ${added}`];
}

export function oldAndNewCount(table: DistributedTable): number {
  return 2 * indexedColumns(table).length + 2;
}

/** Entries of rows as they are, and of rows as they were. */
export function oldAndNewEntries(
  table: DistributedTable,
  added: readonly Buffer[],
): { readonly before: Buffer[]; readonly after: Buffer[] } {
  const width = indexedColumns(table).length;
  const isIn = globalIndexesOf(table).map(() => Buffer.from('true'));
  const before: Buffer[] = [];
  const after: Buffer[] = [];
  for (const tuple of added) {
    const values = tupleValues(tuple);
    const [isNew, isOld] = values.slice(2 * width).map((value) => value?.toString() === 'true');
    if (isNew) after.push(tupleOf([...values.slice(0, width), ...isIn]));
    if (isOld) before.push(tupleOf([...values.slice(width, 2 * width), ...isIn]));
  }
  return { before, after };
}

/**
 * The rows in parts that are inserted one after another: within a part no two rows have the same value in one of these indexes, so
 * that what the indexes have can be looked up for a whole part at once.
 */
export function withoutRepeats(
  table: DistributedTable,
  places: readonly number[],
  columns: readonly MotionColumn[],
  rows: readonly Buffer[],
): Buffer[][] {
  const indexes = places.map((place) => globalIndexesOf(table)[place]!);
  const seen = new Map<string, number>();
  const parts: Buffer[][] = [];
  for (const row of rows) {
    const fields = tupleValues(row);
    const keys = indexes.map(({ name, columns: unique }) => {
      const values = unique.map((each) => fields[columns.findIndex((column) => column.name === each)] ?? null);
      return values.includes(null) ? null : `${name} ${tupleOf(values).toString('latin1')}`;
    });
    const known = keys.flatMap((key) => (key === null ? [] : [seen.get(key) ?? 0]));
    // Behind every earlier row that it may conflict with.
    const part = Math.max(0, ...known);
    for (const key of keys) if (key !== null) seen.set(key, part + 1);
    const list = parts[part];
    if (list) list.push(row);
    else parts[part] = [row];
  }
  return parts;
}

/** The rows that conflict with none of these indexes. */
export async function withoutConflicts(
  table: DistributedTable,
  places: readonly number[],
  columns: readonly MotionColumn[],
  rows: readonly Buffer[],
  context: ExecutionContext,
): Promise<Buffer[]> {
  const found = new Set<number>();
  for (const place of places) {
    const index = globalIndexesOf(table)[place]!;
    for (const row of await conflictingRows(table, index, columns, rows, context)) found.add(row);
  }
  return rows.filter((_, i) => !found.has(i));
}
