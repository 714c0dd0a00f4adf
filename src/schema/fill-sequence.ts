import type { CatalogSnapshot, DistributedTable } from '../catalog/snapshot.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import type { HerdTransaction } from './herd.ts';
import { triggerStateSql } from './node-table.ts';
import { onNodes, runAll } from './place-table.ts';
import type { ColumnShape, TableShape } from './table-shape.ts';

/**
 * Gives the rows that are there values of a new column whose default draws from a sequence: the coordinator evaluates the
 * default once per row, and each node gets its part of the values.
 */
export async function fillFromSequence(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  table: DistributedTable,
  shape: TableShape,
  column: ColumnShape,
): Promise<void> {
  const name = quoteQualified(shape.schema, shape.name);
  const quoted = quoteIdentifier(column.name);
  // In PostgreSQL no trigger fires when a new column is filled.
  const begin = shape.triggers.length > 0 ? `ALTER TABLE ${name} DISABLE TRIGGER USER` : 'SELECT';
  const finish = [
    ...shape.triggers.flatMap((trigger) => triggerStateSql(name, trigger)),
    ...(column.notNull ? [`ALTER TABLE ${name} ALTER COLUMN ${quoted} SET NOT NULL`] : []),
  ];
  if (table.distribution.kind === 'reference') return fillCopies(tx, snapshot, shape, column, begin, finish);
  const expression = await defaultExpression(tx, shape, column);
  const counts = await onNodes(tx, snapshot, async (node, { id }) => {
    const { rows } = await node.query(`SELECT count(*) FROM ${name}`);
    return { id, count: rows[0]![0]! };
  });
  for (const { id, count } of counts) {
    const { rows } = await tx.coordinator.query(
      `SELECT coalesce(array_agg(v ORDER BY i), '{}') FROM (SELECT i, ${expression} AS v FROM generate_series(1, $1::bigint) i) v`,
      [count],
    );
    const node = await tx.node(id);
    await node.query(begin);
    await node.query(
      `UPDATE ${name} t SET ${quoted} = v.value FROM unnest($1::${column.type}[]) WITH ORDINALITY v(value, place)
      JOIN (SELECT tableoid AS leaf, ctid AS address, row_number() OVER () AS place FROM ${name}) r USING (place)
      WHERE t.tableoid = r.leaf AND t.ctid = r.address`,
      [rows[0]![0]!],
    );
    await runAll(node, finish);
  }
}

/** The coordinator's copy has its values already; those of the nodes take them over, by the primary key. */
async function fillCopies(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  shape: TableShape,
  column: ColumnShape,
  begin: string,
  finish: readonly string[],
): Promise<void> {
  const name = quoteQualified(shape.schema, shape.name);
  const quoted = quoteIdentifier(column.name);
  const others = shape.columns
    .filter((other) => other.attnum !== column.attnum)
    .map((other) => quoteIdentifier(other.name));
  const { rows } = await tx.coordinator.query(`SELECT coalesce(json_agg(t), '[]') FROM ${name} t`);
  const equal = others.map((other) => `t.${other} IS NOT DISTINCT FROM r.${other}`).join(' AND ') || 'true';
  await onNodes(tx, snapshot, async (node) => {
    await node.query(begin);
    await node.query(
      `UPDATE ${name} t SET ${quoted} = r.${quoted} FROM json_populate_recordset(NULL::${name}, $1) r WHERE ${equal}`,
      [rows[0]![0]!],
    );
    await runAll(node, finish);
  });
}

async function defaultExpression(tx: HerdTransaction, shape: TableShape, column: ColumnShape): Promise<string> {
  if (column.identity === '') return column.default!;
  const { rows } = await tx.coordinator.query(
    "SELECT format('nextval(%L::regclass)', pg_get_serial_sequence($1, $2))",
    [quoteQualified(shape.schema, shape.name), column.name],
  );
  return rows[0]![0]!;
}
