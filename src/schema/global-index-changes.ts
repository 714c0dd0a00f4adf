import type { DistributedTable } from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import { unsupported } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { storedColumns } from './distribute.ts';
import { keyOfColumns, placingColumns } from './distribution-key.ts';
import { createGlobalIndex, expressionsJson, hiddenColumns, hiddenGrantsSql, hiddenRowsSql } from './global-index.ts';
import type { HerdTransaction } from './herd.ts';
import { ownerOf } from './owner.ts';
import { onNodes, runAll } from './place-table.ts';
import { columnsOf, type TableShape } from './table-shape.ts';
import { forgetTables } from './undistribute.ts';
import { divideKeys, type GlobalKey } from './unique-keys.ts';

/**
 * Lets the hidden shells on the coordinator follow a change of their owner: keys dropped and renamed, columns renamed,
 * owner and grants. The hidden tables on the nodes follow their shells like any table. New keys: makeGlobalIndexes().
 */
export async function followGlobalIndexes(
  tx: HerdTransaction,
  table: DistributedTable,
  before: TableShape,
  after: TableShape,
): Promise<void> {
  const { distribution } = table;
  if (distribution.kind === 'reference' || distribution.globalIndexes.length === 0) return;
  const snapshot = await tx.snapshot();
  const key = distribution.keys.map((column) => column.attnum);
  const placing = placingColumns(distribution);
  const [was, is] = [divideKeys(before, placing).global, divideKeys(after, placing).global];
  for (const index of distribution.globalIndexes) {
    const old = was.find((candidate) => candidate.name === index.name);
    assert(old, `global index ${index.name} belongs to a key of the table`);
    const kept = is.find((candidate) => candidate.oid === old.oid);
    const hidden = quoteQualified(index.hiddenSchema, index.hiddenName);
    if (!kept) {
      const entry = snapshot.relations.get(index.hiddenSchema)?.get(index.hiddenName)?.distributed;
      assert(entry, `the hidden table of ${index.name} is distributed`);
      await onNodes(tx, snapshot, (node) => node.query(`DROP TABLE ${hidden}`));
      await dropGlobalIndexes(tx.coordinator, [entry]);
      await forgetTables(tx.coordinator, [entry.oid]);
      await ownerOf(tx.coordinator).query('DELETE FROM pgherd.global_index WHERE relation = $1 AND index_name = $2', [
        String(table.oid),
        index.name,
      ]);
      continue;
    }
    checkSameTypes(before, after, [...kept.columns, ...key], index.name);
    await runAll(tx.coordinator, [
      ...renamedColumns(
        before,
        after,
        hiddenColumns(before, old, key).map((column) => column.attnum),
      ).map(([from, to]) => `ALTER TABLE ${hidden} RENAME COLUMN ${quoteIdentifier(from)} TO ${quoteIdentifier(to)}`),
      ...(kept.name === old.name
        ? []
        : [`ALTER INDEX ${quoteQualified(index.hiddenSchema, old.name)} RENAME TO ${quoteIdentifier(kept.name)}`]),
      ...(JSON.stringify([before.grants, before.owner]) === JSON.stringify([after.grants, after.owner])
        ? []
        : hiddenGrantsSql(after, hidden)),
      ...nullabilitySql(
        before,
        after,
        hidden,
        hiddenColumns(after, kept, key).map((column) => column.attnum),
      ),
    ]);
    await ownerOf(tx.coordinator).query(
      'UPDATE pgherd.global_index SET index_name = $3, predicate = $4, expressions = $5::json WHERE relation = $1 AND index_name = $2',
      [String(table.oid), old.name, kept.name, kept.predicate, expressionsJson(kept)],
    );
  }
}

function checkSameTypes(before: TableShape, after: TableShape, attnums: readonly number[], index: string): void {
  const types = (shape: TableShape) =>
    columnsOf(shape, attnums)
      .map((column) => `${column.type} ${column.collation}`)
      .join();
  if (types(before) === types(after)) return;
  throw unsupported('PH008', `the type of a column of global unique index "${index}" cannot be changed`, {
    hint: 'Drop the unique constraint, change the type, and add the constraint again.',
  });
}

function renamedColumns(before: TableShape, after: TableShape, attnums: readonly number[]): [string, string][] {
  return attnums.flatMap((attnum) => {
    const [[from], [to]] = [columnsOf(before, [attnum]), columnsOf(after, [attnum])];
    return from && to && from.name !== to.name ? [[from.name, to.name] as [string, string]] : [];
  });
}

function nullabilitySql(before: TableShape, after: TableShape, hidden: string, attnums: readonly number[]): string[] {
  return attnums.flatMap((attnum) => {
    const [[was], [is]] = [columnsOf(before, [attnum]), columnsOf(after, [attnum])];
    // What was SET NOT NULL holds no null already; hidden rows need no check of their own.
    return was?.notNull && is && !is.notNull
      ? [`ALTER TABLE ${hidden} ALTER COLUMN ${quoteIdentifier(is.name)} DROP NOT NULL`]
      : [];
  });
}

/** The shells; their tables on the nodes are the caller's. */
export async function dropGlobalIndexes(runner: SqlRunner, hidden: readonly DistributedTable[]): Promise<void> {
  await runAll(
    runner,
    hidden.map((table) => `DROP TABLE ${quoteQualified(table.schema, table.name)}`),
  );
}

/** New unique keys over rows that are on the nodes: their values come to the coordinator and go to the hidden tables' shards. */
export async function makeGlobalIndexes(
  tx: HerdTransaction,
  table: DistributedTable,
  shape: TableShape,
  keys: readonly GlobalKey[],
): Promise<void> {
  const { distribution } = table;
  if (distribution.kind === 'reference' || keys.length === 0) return;
  const { group } = distribution;
  const attnums = distribution.keys.map((column) => column.attnum);
  const key = await keyOfColumns(tx.coordinator, shape, attnums, group.method);
  const shardCount = group.method === 'hash' ? group.shards.length : 0;
  const isNew = await tx.snapshot();
  const entry = isNew.relationsByOid.get(table.oid)?.distributed;
  assert(entry, 'the table is still distributed');
  for (const globalKey of keys) {
    await createGlobalIndex(tx, { shape, key, shardCount }, globalKey);
    const snapshot = await tx.snapshot();
    const hiddenName = `key_${globalKey.oid}`;
    const hidden = [...snapshot.relationsByOid.values()].find(
      (relation) => relation.name === hiddenName && relation.schema.startsWith('pgherd_gui_'),
    )?.distributed;
    assert(hidden, 'the hidden table was just made');
    await tx.coordinator.query(temporaryRowsSql(shape, storedColumns(shape, null)));
    await tx.gatherRows(entry, 'pg_temp.pgherd_rows', storedColumns(shape, null));
    const columns = hiddenColumns(shape, globalKey, attnums);
    await tx.copyRows(
      hiddenRowsSql(shape, globalKey, columns, 'pg_temp.pgherd_rows'),
      hidden,
      columns.map((column) => column.name),
    );
    await tx.coordinator.query('DROP TABLE pg_temp.pgherd_rows');
  }
}

/** The coordinator is never prepared, so it may have temporary tables. Generated columns are computed as in the table. */
function temporaryRowsSql(shape: TableShape, stored: readonly string[]): string {
  const columns = shape.columns.map((column) => {
    const collation = column.collation ? ` COLLATE ${column.collation}` : '';
    const generated = stored.includes(column.name) ? '' : ` GENERATED ALWAYS AS (${column.default}) STORED`;
    return `${quoteIdentifier(column.name)} ${column.type}${collation}${generated}`;
  });
  return `CREATE TEMPORARY TABLE pgherd_rows (${columns.join(', ')}) ON COMMIT DROP`;
}
