import type { CatalogSnapshot, DistributedTable } from '../catalog/snapshot.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { arrayText } from './array-text.ts';
import type { HerdTransaction } from './herd.ts';
import { triggerStateSql } from './node-table.ts';
import { onNodes, runAll } from './place-table.ts';
import type { ColumnShape, TableShape } from './table-shape.ts';

/**
 * Gives the rows that are there the values of new columns which no node can find by itself: see columnsToFill(). As in
 * PostgreSQL, no trigger fires.
 */
export async function fillColumns(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  table: DistributedTable,
  shape: TableShape,
  columns: readonly ColumnShape[],
): Promise<void> {
  if (columns.length === 0) return;
  const name = quoteQualified(shape.schema, shape.name);
  const alter = `ALTER TABLE ${name}`;
  const pause = shape.triggers.map((trigger) => `${alter} DISABLE TRIGGER ${quoteIdentifier(trigger.name)}`);
  await onNodes(tx, snapshot, (node) => runAll(node, pause));
  if (table.distribution.kind === 'reference') await fillCopies(tx, snapshot, name, columns);
  else for (const column of columns) await fillShards(tx, snapshot, shape, column);
  const finish = [
    ...shape.triggers.flatMap((trigger) => triggerStateSql(name, trigger)),
    ...columns
      .filter((column) => column.notNull)
      .map((column) => `${alter} ALTER COLUMN ${quoteIdentifier(column.name)} SET NOT NULL`),
  ];
  await onNodes(tx, snapshot, (node) => runAll(node, finish));
}

/** The coordinator evaluates the default once per row, and each node gets its part of the values. */
async function fillShards(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  shape: TableShape,
  column: ColumnShape,
): Promise<void> {
  const name = quoteQualified(shape.schema, shape.name);
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
    await node.query(
      `UPDATE ${name} t SET ${quoteIdentifier(column.name)} = v.value
      FROM unnest($1::${column.type}[]) WITH ORDINALITY v(value, place)
      JOIN (SELECT tableoid AS leaf, ctid AS address, row_number() OVER () AS place FROM ${name}) r USING (place)
      WHERE t.tableoid = r.leaf AND t.ctid = r.address`,
      [rows[0]![0]!],
    );
  }
}

async function defaultExpression(tx: HerdTransaction, shape: TableShape, column: ColumnShape): Promise<string> {
  if (column.identity === '') return column.default!;
  const { rows } = await tx.coordinator.query(
    "SELECT format('nextval(%L::regclass)', pg_get_serial_sequence($1, $2))",
    [quoteQualified(shape.schema, shape.name), column.name],
  );
  return rows[0]![0]!;
}

/**
 * The coordinator's copy has its values already, and the nodes' take them over. Rows are matched by all their older columns;
 * rows that are equal in these may change places.
 */
async function fillCopies(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  name: string,
  columns: readonly ColumnShape[],
): Promise<void> {
  const names = columns.map((column) => column.name);
  const list = names.map(quoteIdentifier).join(', ');
  const older = 'to_jsonb(s) - $1::text[]';
  const numbered = `SELECT s.ctid AS address, (${older})::text AS k, row_number() OVER (PARTITION BY ${older} ORDER BY s.ctid) AS n, to_json(s) AS v FROM ${name} s`;
  const { rows } = await tx.coordinator.query(
    `SELECT coalesce(json_agg(json_build_object('k', r.k, 'n', r.n, 'v', r.v)), '[]') FROM (${numbered}) r`,
    [arrayText(names)],
  );
  await onNodes(tx, snapshot, (node) =>
    node.query(
      `UPDATE ${name} t SET (${list}) = ROW(${names.map((column) => `p.${quoteIdentifier(column)}`).join(', ')})
      FROM (${numbered}) r JOIN json_to_recordset($2::json) x(k text, n bigint, v json) USING (k, n)
      CROSS JOIN LATERAL json_populate_record(NULL::${name}, x.v) p WHERE t.ctid = r.address`,
      [arrayText(names), rows[0]![0]!],
    ),
  );
}
