import type { DistributedTable } from '../catalog/snapshot.ts';
import type { MotionColumn, SqlTemplate } from '../plan/plan.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import type { ExecutionContext } from './context.ts';
import { conflictingRows, globalIndexesOf, indexedColumns, returningIndexed } from './global-index.ts';
import { hasReturning } from './insert-rows.ts';
import { tupleOf, tupleValues } from './text-tuples.ts';

/** The RETURNING list of INSERT … ON CONFLICT DO UPDATE: what global indexes need of each row, as it is and as it was. */
export function withUpsertReturning(tail: SqlTemplate, table: DistributedTable): SqlTemplate {
  const old = indexedColumns(table).map((name) => `old.${quoteIdentifier(name)}::text`);
  const added = [returningIndexed(table).sql, ...old, '(old.tableoid IS NOT NULL)::text'].join(', ');
  return [...tail, hasReturning(tail) ? `, ${added}` : ` RETURNING ${added}`];
}

export function upsertAdded(table: DistributedTable): number {
  return returningIndexed(table).count + indexedColumns(table).length + 1;
}

/** Entries of rows as they are, and of those that were updated as they were. */
export function upsertEntries(
  table: DistributedTable,
  added: readonly Buffer[],
): { before: Buffer[]; after: Buffer[] } {
  const count = returningIndexed(table).count;
  const width = indexedColumns(table).length;
  const isIn = globalIndexesOf(table).map(() => Buffer.from('true'));
  const before: Buffer[] = [];
  const after: Buffer[] = [];
  for (const tuple of added) {
    const values = tupleValues(tuple);
    after.push(tupleOf(values.slice(0, count)));
    if (values.at(-1)?.toString() === 'true') before.push(tupleOf([...values.slice(count, count + width), ...isIn]));
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
