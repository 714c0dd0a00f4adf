import { collectResult } from '../backend/collect-result.ts';
import type { DistributedTable, GlobalIndex, NodeId } from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import { pgError } from '../core/errors.ts';
import { settled } from '../core/settled.ts';
import type { MotionColumn } from '../plan/plan.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import type { ExecutionContext } from './context.ts';
import { rowsAsUnnest } from './rendered-rows.ts';
import { createRowRouter } from './route-rows.ts';
import { encodeRendered } from './statement-bytes.ts';
import { textTuples, tupleOf, tupleValues } from './text-tuples.ts';

/**
 * Keeps global unique indexes (DESIGN 6): for each, a hidden distributed table holds the unique value and the owner's key, on the
 * node that the value's hash names; its own unique index refuses duplicates. It is written in the transaction of the change.
 *
 * What a change did is learnt from columns added to its RETURNING list, as text.
 */
export function globalIndexesOf(table: DistributedTable): readonly GlobalIndex[] {
  return table.distribution.kind === 'distributed' ? table.distribution.globalIndexes : [];
}

/** The indexed columns and the distribution columns, each once: what has to be known of a changed row. */
export function indexedColumns(table: DistributedTable): string[] {
  assert(table.distribution.kind === 'distributed', 'only distributed tables have global indexes');
  const names = new Set<string>();
  for (const index of globalIndexesOf(table)) for (const column of index.columns) names.add(column);
  for (const key of table.distribution.keys) names.add(key.name);
  return [...names];
}

/** The end of a RETURNING list that yields `indexedColumns` as text, and for each partial index whether the row is in it. */
export function returningIndexed(table: DistributedTable): { readonly sql: string; readonly count: number } {
  const columns = indexedColumns(table).map((name) => `${quoteIdentifier(name)}::text`);
  const predicates = globalIndexesOf(table).map((index) => `(${index.predicate ?? 'true'})::text`);
  return { sql: [...columns, ...predicates].join(', '), count: columns.length + predicates.length };
}

/** Entries for rows that are new; a duplicate raises 23505 under the user's own index name. */
export async function addEntries(
  table: DistributedTable,
  rows: readonly Buffer[],
  context: ExecutionContext,
): Promise<void> {
  for (const [place, index] of globalIndexesOf(table).entries()) {
    await changeEntries(table, index, place, rows, context, (hidden, names, item) => {
      const list = names.map(quoteIdentifier).join(', ');
      return `INSERT INTO ${hidden} (${list}) SELECT ${item.casts} FROM ${item.sql}`;
    });
  }
}

/** Removes the entries of rows that were deleted, or that are about to change. */
export async function removeEntries(
  table: DistributedTable,
  rows: readonly Buffer[],
  context: ExecutionContext,
): Promise<void> {
  for (const [place, index] of globalIndexesOf(table).entries()) {
    await changeEntries(table, index, place, rows, context, (hidden, names, item) => {
      const match = names.map((name) => `h.${quoteIdentifier(name)} IS NOT DISTINCT FROM r.${quoteIdentifier(name)}`);
      return `DELETE FROM ${hidden} AS h USING (SELECT ${item.casts} FROM ${item.sql}) AS r WHERE ${match.join(' AND ')}`;
    });
  }
}

/** Which of these rows of the table have a value that an index has already, by their places. */
export async function conflictingRows(
  table: DistributedTable,
  index: GlobalIndex,
  columns: readonly MotionColumn[],
  rows: readonly Buffer[],
  context: ExecutionContext,
): Promise<Set<number>> {
  const hidden = hiddenTable(index, context);
  const places = index.columns.map((name) => columns.findIndex((column) => column.name === name));
  const found = new Set<number>();
  if (!index.nullsNotDistinct && places.includes(-1)) return found;
  const unique = index.columns.map((name, i): MotionColumn => {
    const entry = table.columns.find((column) => column.name === name)!;
    return columns[places[i]!] ?? { name, typeOid: entry.typeOid, typeName: 'text', collation: null, viaText: true };
  });
  const ordinal: MotionColumn = { name: 'pgherd_i', typeOid: 25, typeName: 'text', collation: null, viaText: true };
  const keys: Buffer[] = [];
  for (const [i, row] of rows.entries()) {
    const fields = tupleValues(row);
    const values = places.map((place) => (place < 0 ? null : (fields[place] ?? null)));
    if (index.nullsNotDistinct || !values.includes(null)) keys.push(tupleOf([...values, Buffer.from(String(i))]));
  }
  if (keys.length === 0) return found;
  const travelling = [...unique, ordinal];
  const byNode = await groupByNode(hidden, travelling, keys, context);
  const match = unique.map(({ name, viaText }) => {
    const type = hidden.columns.find((column) => column.name === name)?.typeName ?? 'text';
    const value = `x.${quoteIdentifier(name)}${viaText ? `::${type}` : ''}`;
    return `h.${quoteIdentifier(name)} ${index.nullsNotDistinct ? 'IS NOT DISTINCT FROM' : '='} ${value}`;
  });
  await settled(
    [...byNode].map(async ([node, tuples]) => {
      const connection = await context.transaction.join(node, context.signal);
      const item = rowsAsUnnest(tuples, travelling, 'x', 1);
      const sql = `SELECT x.pgherd_i FROM ${item.sql} JOIN ${quoteQualified(hidden.schema, hidden.name)} AS h ON ${match.join(' AND ')}`;
      const answer = await collectResult(connection, encodeRendered({ sql, values: item.values }, [], false));
      for (const [place] of answer.rows) found.add(Number(place));
    }),
  );
  return found;
}

interface EntriesItem {
  readonly sql: string;
  /** The columns, cast from text to their types and named. */
  readonly casts: string;
}

async function changeEntries(
  table: DistributedTable,
  index: GlobalIndex,
  place: number,
  rows: readonly Buffer[],
  context: ExecutionContext,
  write: (hidden: string, names: readonly string[], item: EntriesItem) => string,
): Promise<void> {
  const hidden = hiddenTable(index, context);
  const names = indexedColumns(table);
  const wanted = hidden.columns.map((column) => names.indexOf(column.name));
  const predicateAt = names.length + place;
  const entries: (string | null)[][] = [];
  for (const row of rows) {
    const values = tupleValues(row);
    if (values[predicateAt]?.toString() !== 'true') continue;
    const entry = wanted.map((at) => values[at]?.toString() ?? null);
    const unique = index.columns.map((name) => values[names.indexOf(name)] ?? null);
    // NULLs are distinct from each other: such a row conflicts with none.
    if (!index.nullsNotDistinct && unique.includes(null)) continue;
    entries.push(entry);
  }
  if (entries.length === 0) return;
  const columns = hidden.columns.map(
    (column): MotionColumn => ({
      name: column.name,
      typeOid: column.typeOid,
      typeName: column.typeName,
      collation: column.collation,
      viaText: true,
    }),
  );
  const byNode = await groupByNode(hidden, columns, textTuples(entries), context);
  const name = quoteQualified(hidden.schema, hidden.name);
  const columnNames = columns.map((column) => column.name);
  const casts = columns
    .map((column) => `x.${quoteIdentifier(column.name)}::${column.typeName} AS ${quoteIdentifier(column.name)}`)
    .join(', ');
  await settled(
    [...byNode].map(async ([node, tuples]) => {
      const connection = await context.transaction.join(node, context.signal);
      context.transaction.markWritten(node);
      const item = rowsAsUnnest(tuples, columns, 'x', 1);
      const sql = write(name, columnNames, { sql: item.sql, casts });
      await collectResult(connection, encodeRendered({ sql, values: item.values }, [], false));
    }),
  );
}

/** Rows by the node they belong to. */
export async function groupByNode(
  table: DistributedTable,
  columns: readonly MotionColumn[],
  rows: readonly Buffer[],
  context: ExecutionContext,
): Promise<Map<NodeId, Buffer[]>> {
  const router = createRowRouter(table, columns, context);
  const byNode = new Map<NodeId, Buffer[]>();
  for (const row of rows) {
    const found = router.nodeOf(row);
    const node = typeof found === 'number' ? found : await found;
    const group = byNode.get(node);
    if (group) group.push(row);
    else byNode.set(node, [row]);
  }
  return byNode;
}

function hiddenTable(index: GlobalIndex, context: ExecutionContext): DistributedTable {
  const relation = context.snapshot.relations.get(index.hiddenSchema)?.get(index.hiddenName);
  if (!relation?.distributed) {
    throw pgError('internalError', `the hidden table of unique index "${index.name}" is missing from the catalog`);
  }
  return relation.distributed;
}
