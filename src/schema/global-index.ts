import type { CatalogSnapshot, DistributedTable, NodeId } from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import { PgError, unsupported } from '../core/errors.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { arrayText } from './array-text.ts';
import { defaultShardCount, hashBounds, joinGroup } from './colocation.ts';
import { describeTables } from './describe-table.ts';
import { type DistributionKey, keyOfColumns } from './distribution-key.ts';
import { guardShellSql } from './guard.ts';
import type { HerdTransaction } from './herd.ts';
import { ownerOf } from './owner.ts';
import { placeTable, recordTable, runAll } from './place-table.ts';
import { granteeSql } from './relation-sql.ts';
import { type ColumnShape, columnsOf, type Grant, type TableShape } from './table-shape.ts';
import { type GlobalKey, uniqueColumns } from './unique-keys.ts';

/**
 * A global unique index (DESIGN 6) is a hidden table, distributed by the unique columns, that holds them and the
 * distribution columns of the row they are from. Rows of a partial index are those that satisfy its predicate; unless
 * NULLS NOT DISTINCT, rows with a null among the unique columns are left out: they collide with nothing.
 */
export interface GlobalIndexOwner {
  readonly shape: TableShape;
  readonly key: DistributionKey;
  readonly shardCount: number;
}

/** `pgherd_gui_public`: an index is unique by name in its schema, so it keeps its name in this one. */
export function hiddenSchema(userSchema: string): string {
  return `pgherd_gui_${userSchema}`;
}

/** Makes the hidden table, empty, everywhere. Its rows are copied by the caller: see hiddenRowsSql(). */
export async function createGlobalIndex(tx: HerdTransaction, owner: GlobalIndexOwner, key: GlobalKey): Promise<void> {
  const schema = hiddenSchema(owner.shape.schema);
  const name = `key_${key.oid}`;
  await ownerOf(tx.coordinator).query(hiddenTableSql(owner, key, schema, name).join(';\n'));
  const { rows } = await tx.coordinator.query(`SELECT $1::regclass::oid`, [quoteQualified(schema, name)]);
  const oid = Number(rows[0]![0]);
  const [shape] = await describeTables(tx.coordinator, [oid]);
  assert(shape, 'the hidden table was just made');
  const hiddenKey = await hashKey(tx, owner, key, shape);
  const shardCount = owner.shardCount > 0 ? owner.shardCount : defaultShardCount;
  const wish = {
    method: 'hash',
    key: hiddenKey,
    bounds: hashBounds(shardCount),
    colocateWith: 'default',
    nodes: null,
  } as const;
  const groupId = await joinGroup(tx, await tx.snapshot(), wish);
  await recordTable(tx.coordinator, { oid, method: 'hash', key: hiddenKey.attnums, groupId });
  await ownerOf(tx.coordinator).query(
    `INSERT INTO pgherd.global_index (relation, index_name, columns, predicate, nulls_not_distinct, hidden_schema, hidden_name, expressions)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8::json)`,
    [
      String(owner.shape.oid),
      key.name,
      arrayText(key.columns),
      key.predicate,
      key.nullsNotDistinct ? 't' : 'f',
      schema,
      name,
      expressionsJson(key),
    ],
  );
  // Its rows are checked against keys only: no expression of the user's is evaluated as the owner.
  const byOwner = { coordinator: tx.coordinator, node: async (id: NodeId) => ownerOf(await tx.node(id)) };
  await placeTable(byOwner, shape, await tx.snapshot(), async () => {});
  await runAll(tx.coordinator, guardShellSql(shape));
}

async function hashKey(
  tx: HerdTransaction,
  owner: GlobalIndexOwner,
  key: GlobalKey,
  shape: TableShape,
): Promise<DistributionKey> {
  const attnums = key.columns.map((_, i) => i + 1);
  try {
    return await keyOfColumns(tx.coordinator, shape, attnums, 'hash');
  } catch (error) {
    if (!(error instanceof PgError)) throw error;
    throw unsupported(
      'PH032',
      `"${key.name}" of table "${owner.shape.name}" is unique without the distribution column`,
      {
        detail: error.message,
      },
    );
  }
}

function hiddenTableSql(
  { shape, key: distribution }: GlobalIndexOwner,
  key: GlobalKey,
  schema: string,
  name: string,
): string[] {
  const table = quoteQualified(schema, name);
  const unique = uniqueColumns(shape, key);
  const columns = hiddenColumns(shape, key, distribution.attnums);
  const list = unique.map((column) => quoteIdentifier(column.name)).join(', ');
  const index = quoteIdentifier(key.name);
  const nulls = key.nullsNotDistinct ? ' NULLS NOT DISTINCT' : '';
  const { constraint } = key;
  return [
    `CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`,
    `GRANT USAGE ON SCHEMA ${quoteIdentifier(schema)} TO PUBLIC`,
    `CREATE ${shape.persistence === 'u' ? 'UNLOGGED ' : ''}TABLE ${table} (${columns.map(hiddenColumnSql).join(', ')})`,
    constraint
      ? `ALTER TABLE ${table} ADD CONSTRAINT ${index} ${constraint.kind}${constraint.kind === 'UNIQUE' ? nulls : ''} (${list})${constraint.suffix}`
      : `CREATE UNIQUE INDEX ${index} ON ${table} (${list})${nulls}`,
    ...hiddenGrantsSql(shape, table),
  ];
}

/** The unique columns, then the distribution columns that are not among them. */
export function hiddenColumns(shape: TableShape, unique: GlobalKey, key: readonly number[]): ColumnShape[] {
  const others = key.filter((attnum) => !unique.columns.includes(attnum));
  return [...uniqueColumns(shape, unique), ...columnsOf(shape, others)];
}

/** As the catalog has them; null: all are plain columns. */
export function expressionsJson({ expressions }: GlobalKey): string | null {
  return expressions.some((each) => each !== null)
    ? JSON.stringify(expressions.map((each) => each?.sql ?? null))
    : null;
}

function hiddenColumnSql(column: ColumnShape): string {
  const collation = column.collation ? ` COLLATE ${column.collation}` : '';
  return `${quoteIdentifier(column.name)} ${column.type}${collation}${column.notNull ? ' NOT NULL' : ''}`;
}

/** Whoever changes rows of the table changes the hidden rows with them. */
export function hiddenGrantsSql(shape: TableShape, table: string): string[] {
  const grants = shape.grants ?? [];
  const granted = (privileges: readonly string[]) => [
    ...new Set(grants.filter((grant: Grant) => privileges.includes(grant.privilege)).map((grant) => grant.grantee)),
  ];
  const readers = granted(['SELECT']).map((role) => `GRANT SELECT ON ${table} TO ${granteeSql(role)}`);
  const writers = granted(['INSERT', 'UPDATE', 'DELETE']).map(
    (role) => `GRANT SELECT, INSERT, UPDATE, DELETE ON ${table} TO ${granteeSql(role)}`,
  );
  return [`ALTER TABLE ${table} OWNER TO ${quoteIdentifier(shape.owner)}`, ...readers, ...writers];
}

/** The hidden rows that belong to the rows of `from`. */
export function hiddenRowsSql(
  shape: TableShape,
  key: GlobalKey,
  columns: readonly ColumnShape[],
  from: string,
): string {
  const value = ({ name }: ColumnShape, place: number) => {
    const expression = key.expressions[place];
    return expression ? `(${expression.sql})` : quoteIdentifier(name);
  };
  const list = columns.map((column, i) => `${value(column, i)} AS ${quoteIdentifier(column.name)}`).join(', ');
  const present = key.nullsNotDistinct
    ? []
    : uniqueColumns(shape, key).flatMap((column, i) => (column.notNull ? [] : [`${value(column, i)} IS NOT NULL`]));
  const conditions = [...present, ...(key.predicate ? [`(${key.predicate})`] : [])];
  return `SELECT ${list} FROM ${from}${conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : ''}`;
}

/** The hidden tables of a table, as the catalog has them. */
export function hiddenTables(table: DistributedTable, snapshot: CatalogSnapshot): DistributedTable[] {
  if (table.distribution.kind === 'reference') return [];
  return table.distribution.globalIndexes.flatMap(
    (index) => snapshot.relations.get(index.hiddenSchema)?.get(index.hiddenName)?.distributed ?? [],
  );
}
