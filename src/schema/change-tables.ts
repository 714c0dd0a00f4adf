import type { CatalogSnapshot, DistributedTable } from '../catalog/snapshot.ts';
import { unsupported } from '../core/errors.ts';
import type { QueryResult } from '../core/runner.ts';
import { quoteQualified } from '../sql/quote.ts';
import { type ColumnChanges, columnsToFill } from './column-changes.ts';
import { describeTables } from './describe-table.ts';
import { placingColumns } from './distribution-key.ts';
import { fillColumns } from './fill-columns.ts';
import { withServersKeys } from './foreign-key-rules.ts';
import { hiddenTables } from './global-index.ts';
import { dropGlobalIndexes, followGlobalIndexes, makeGlobalIndexes } from './global-index-changes.ts';
import { restoreGuards } from './guard.ts';
import type { HerdTransaction } from './herd.ts';
import { arrangeKeyWatches } from './key-watches.ts';
import { nodeTable, onNodes, runAll, schemaOf } from './place-table.ts';
import { checkPolicies } from './policy-rules.ts';
import type { SchemaShape } from './schema-shape.ts';
import { changeTable, type TableChanges } from './table-changes.ts';
import { checkDistributable, checkOrdinary } from './table-rules.ts';
import type { TableShape } from './table-shape.ts';
import { forgetTables } from './undistribute.ts';
import { divideKeys } from './unique-keys.ts';

export interface TableStatement {
  /** Distributed and reference tables that the statement may change. */
  readonly scope: readonly number[];
  /** Carries the statement out on the coordinator. */
  readonly run: () => Promise<QueryResult>;
  readonly columns: (before: readonly TableShape[]) => ReadonlyMap<number, ColumnChanges>;
}

const noChanges: ColumnChanges = { using: new Map() };

/** A change of one table, once the coordinator has made it. */
interface Change {
  readonly table: DistributedTable;
  readonly before: TableShape;
  readonly after: TableShape;
  readonly schema: SchemaShape;
}

/** Runs a statement on the coordinator, and lets the tables on the nodes follow what it did to their shells. */
export async function changeTables(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  statement: TableStatement,
): Promise<QueryResult> {
  const tables = statement.scope.map((oid) => snapshot.relationsByOid.get(oid)!.distributed!);
  const hidden = tables.flatMap((table) => hiddenTables(table, snapshot));
  const all = [...tables, ...hidden];
  const before = await describeTables(
    tx.coordinator,
    all.map((table) => table.oid),
  );
  const columns = statement.columns(before);
  const result = await statement.run();
  const owners = await describeTables(tx.coordinator, statement.scope);
  const shapeOf = (shapes: readonly TableShape[], oid: number) => shapes.find((shape) => shape.oid === oid);
  await dropTables(
    tx,
    snapshot,
    tables.filter((table) => !shapeOf(owners, table.oid)),
  );
  for (const table of tables) {
    const [was, is] = [shapeOf(before, table.oid)!, shapeOf(owners, table.oid)];
    if (is && !same(was, is)) await followGlobalIndexes(tx, table, was, is);
  }
  const after = await describeTables(
    tx.coordinator,
    all.map((table) => table.oid),
  );
  const changes: Change[] = [];
  for (const shape of after) {
    const was = shapeOf(before, shape.oid)!;
    if (same(was, shape)) continue;
    const table = all.find((candidate) => candidate.oid === shape.oid)!;
    checkStillFits(table, was, shape, snapshot);
    changes.push({
      table,
      before: withServersKeys(was, snapshot),
      after: withServersKeys(shape, snapshot),
      schema: await schemaOf(tx.coordinator, shape),
    });
  }
  tx.changed();
  if (changes.length > 0) await followOnNodes(tx, snapshot, changes, columns);
  const kindOf = (oid: number) => all.find((table) => table.oid === oid)!.distribution.kind;
  await restoreGuards(
    tx.coordinator,
    after.map((shape) => ({ table: shape, kind: kindOf(shape.oid) })),
  );
  await arrangeKeyWatches(tx, { checksRows: true });
  return result;
}

function same(a: TableShape, b: TableShape): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function checkStillFits(
  table: DistributedTable,
  before: TableShape,
  after: TableShape,
  snapshot: CatalogSnapshot,
): void {
  const { distribution } = table;
  if (distribution.kind === 'reference') {
    checkOrdinary(after);
    checkPolicies({ shape: after, distribution: null }, snapshot);
    return;
  }
  const key = distribution.keys.map((column) => column.attnum);
  for (const attnum of key) checkKeyColumn(attnum, before, after);
  if (after.schema.startsWith('pgherd_')) return;
  // An index that is being built, or could not be, stands in nobody's way.
  checkDistributable({ ...after, indexes: after.indexes.filter((index) => index.valid) }, placingColumns(distribution));
  checkPolicies({ shape: after, distribution: { key, groupId: distribution.group.id } }, snapshot);
}

function checkKeyColumn(attnum: number, before: TableShape, after: TableShape): void {
  const find = (shape: TableShape) => shape.columns.find((column) => column.attnum === attnum);
  const [was, is] = [find(before)!, find(after)];
  const what = `column "${was.name}" of table "${before.name}" is its distribution column`;
  if (!is) throw unsupported('PH035', `${what} and cannot be dropped`);
  if (was.type !== is.type || was.collation !== is.collation)
    throw unsupported('PH035', `${what}: its type cannot be changed`);
  const generation = (column: typeof is) => (column.generated === '' ? '' : `${column.generated}${column.default}`);
  if (was.name === is.name && generation(was) !== generation(is)) {
    throw unsupported('PH035', `${what}: how it is generated cannot be changed`);
  }
}

async function followOnNodes(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  changes: readonly Change[],
  columns: ReadonlyMap<number, ColumnChanges>,
): Promise<void> {
  const run = (pick: (part: TableChanges) => readonly string[]) =>
    onNodes(tx, snapshot, (node, { id }) =>
      runAll(
        node,
        changes.flatMap(({ table, before, after, schema }) =>
          pick(changeTable(before, nodeTable(after, schema, table, id), columns.get(after.oid) ?? noChanges)),
        ),
      ),
    );
  await run((part) => part.first);
  await run((part) => part.columns);
  for (const { table, before, after } of changes) {
    const isReference = table.distribution.kind === 'reference';
    await fillColumns(tx, snapshot, table, after, columnsToFill(before, after, isReference));
  }
  await run((part) => part.keys);
  await run((part) => part.last);
  for (const { table, before, after } of changes) {
    const { distribution } = table;
    if (distribution.kind === 'distributed' && !after.schema.startsWith('pgherd_')) {
      const key = placingColumns(distribution);
      const known = new Set(divideKeys(before, key).global.map((global) => global.oid));
      const added = divideKeys(after, key).global.filter((global) => !known.has(global.oid));
      await makeGlobalIndexes(tx, table, after, added);
    }
  }
}

/** Shells that a statement has dropped: their tables on the nodes, hidden tables and rows of the catalog go too. */
async function dropTables(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  tables: readonly DistributedTable[],
): Promise<void> {
  if (tables.length === 0) return;
  const hidden = tables.flatMap((table) => hiddenTables(table, snapshot));
  const names = [...tables, ...hidden].map((table) => quoteQualified(table.schema, table.name)).join(', ');
  // CASCADE takes foreign keys only, which the coordinator has dropped already, or it would have refused.
  await onNodes(tx, snapshot, (node) => node.query(`DROP TABLE IF EXISTS ${names} CASCADE`));
  await dropGlobalIndexes(tx.coordinator, hidden);
  await forgetTables(
    tx.coordinator,
    [...tables, ...hidden].map((table) => table.oid),
  );
}
