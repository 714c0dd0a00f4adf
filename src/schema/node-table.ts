import { boundsCheckSql, boundsSql, partitionKeySql } from '../catalog/bounds-sql.ts';
import { type GroupShard, leafSchema } from '../catalog/snapshot.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { guardParentSql, guardReferenceSql } from './guard.ts';
import { nodeKeysOfLeafSql } from './node-index.ts';
import { type Holder, holders, leafName, type NodeTable, parentName, relationNames } from './node-relations.ts';
import { byOwner } from './owner.ts';
import {
  accessSql,
  checkSql,
  columnSql,
  columnStatisticsSql,
  columnStorageSql,
  commentsSql,
  granteeSql,
  optionList,
} from './relation-sql.ts';
import type { SchemaShape } from './schema-shape.ts';
import {
  type ConstraintShape,
  columnsOf,
  type StatisticsShape,
  type TableShape,
  type TriggerShape,
} from './table-shape.ts';

export const defaultCheckName = 'pgherd_default';

/** Part one: parent and empty leaves, ready for COPY. */
export function createNodeTableSql(table: NodeTable): string[] {
  const { shape, key, group } = table;
  const parent = parentName(table);
  const checks = shape.constraints.filter((constraint) => constraint.type === 'c' && constraint.validated);
  const elements = [
    ...shape.columns.map((column) => columnSql(column, key.includes(column.attnum))),
    ...checks.map(checkSql),
  ].join(', ');
  const keyNames = columnsOf(shape, key).map((column) => column.name);
  return [
    group === null || group.method === 'random'
      ? `CREATE ${unlogged(shape)}TABLE ${parent} (${elements})${storageSql(shape)}`
      : `CREATE TABLE ${parent} (${elements}) PARTITION BY ${partitionKeySql(group.method, keyNames)}`,
    ...shape.columns.flatMap((column) => columnStorageSql(parent, column)),
    ...(group === null ? shape.columns.flatMap((column) => columnStatisticsSql(parent, column)) : []),
    ...table.shards.flatMap((shard) => leafSchemaSql(shard.index, table.schema)),
    ...table.shards.flatMap((shard) => createLeafSql(table, shard)),
  ];
}

function createLeafSql(table: NodeTable, shard: GroupShard): string[] {
  const { shape } = table;
  const leaf = leafName(table, shard);
  return [
    `CREATE ${unlogged(shape)}TABLE ${leaf} PARTITION OF ${parentName(table)} ${boundsSql(shard.bounds)}${storageSql(shape)}`,
    ...defaultCheckSql(table, shard),
    ...shape.columns.flatMap((column) => [...columnStorageSql(leaf, column), ...columnStatisticsSql(leaf, column)]),
  ];
}

function unlogged(shape: TableShape): string {
  return shape.persistence === 'u' ? 'UNLOGGED ' : '';
}

function storageSql(shape: TableShape): string {
  const method =
    shape.accessMethod && shape.accessMethod !== 'heap' ? ` USING ${quoteIdentifier(shape.accessMethod)}` : '';
  return `${method}${shape.options.length > 0 ? ` WITH (${optionList(shape.options)})` : ''}`;
}

/** What keeps a DEFAULT leaf from taking rows that belong to a shard on another node. */
export function defaultCheckSql(table: NodeTable, shard: GroupShard): string[] {
  if (shard.bounds.kind !== 'default' || table.group === null) return [];
  const others = table.group.shards.filter((other) => other.index !== shard.index).map((other) => other.bounds);
  const check = boundsCheckSql(table.keys[0]!, others);
  return check ? [`ALTER TABLE ${leafName(table, shard)} ADD CONSTRAINT ${defaultCheckName} CHECK (${check})`] : [];
}

/** Who may use the table's schema may use its leaves' schema; the leaves' own privileges are the table's. */
export function leafSchemaSql(index: number, schema: SchemaShape): string[] {
  return usableSchemaSql(leafSchema(index, schema.name), schema);
}

/** The schema of a table on a node. Schemas are propagated when they are made; this one may be older than the herd. */
export function ensureSchemaSql(schema: SchemaShape): string[] {
  return usableSchemaSql(schema.name, schema);
}

function usableSchemaSql(name: string, schema: SchemaShape): string[] {
  const quoted = quoteIdentifier(name);
  return [byOwner(`CREATE SCHEMA IF NOT EXISTS ${quoted}`), ...schemaGrantsSql(quoted, schema)];
}

/** Whoever may use a schema, or make tables in it, may do so in its leaves' schemas. */
export function schemaGrantsSql(quoted: string, { owner, usage, create }: SchemaShape): string[] {
  return [
    byOwner(`GRANT USAGE, CREATE ON SCHEMA ${quoted} TO ${quoteIdentifier(owner)}`),
    ...usage.map((role) => byOwner(`GRANT USAGE ON SCHEMA ${quoted} TO ${granteeSql(role)}`)),
    ...create.map((role) => byOwner(`GRANT CREATE ON SCHEMA ${quoted} TO ${granteeSql(role)}`)),
  ];
}

/** Part three: what may need other tables to be there, and what watches over the finished table. */
export function nodeLinksSql(table: NodeTable): string[] {
  const { shape } = table;
  const parent = parentName(table);
  return [
    ...shape.constraints
      .filter((constraint) => constraint.type === 'f')
      .map((constraint) => foreignKeySql(parent, constraint)),
    ...shape.triggers
      .filter((trigger) => runsOnNodes(table, trigger))
      .flatMap((trigger) => triggerSql(parent, trigger)),
    ...shape.statistics.flatMap((statistics) => statisticsSql(table, statistics)),
    ...holders(table).flatMap(({ relation }) => replicaIdentitySql(relation, shape)),
    ...relationNames(table).flatMap((relation) => accessSql(relation, shape)),
    ...commentsSql(shape),
    ...(table.form === 'copy' ? guardReferenceSql(shape) : guardParentSql(shape)),
  ];
}

/** NOT VALID foreign keys of partitioned tables came with PostgreSQL 18, so on nodes they are always validated. */
export function foreignKeySql(relation: string, constraint: ConstraintShape): string {
  const definition = constraint.definition.replace(/ NOT VALID$/, '');
  return `ALTER TABLE ${relation} ADD CONSTRAINT ${quoteIdentifier(constraint.name)} ${definition}`;
}

/**
 * Statement triggers fire on the coordinator. On a reference table, a BEFORE row trigger makes the row what it is, on every copy; any
 * other acts elsewhere, so on the coordinator alone.
 */
export function runsOnNodes(table: NodeTable, trigger: TriggerShape): boolean {
  return trigger.row && (table.form !== 'copy' || trigger.before);
}

export function triggerSql(relation: string, trigger: TriggerShape): string[] {
  return [trigger.definition, ...(trigger.enabled === 'O' ? [] : triggerStateSql(relation, trigger))];
}

export function triggerStateSql(relation: string, trigger: TriggerShape): string[] {
  const state = { O: 'ENABLE', D: 'DISABLE', R: 'ENABLE REPLICA', A: 'ENABLE ALWAYS' }[trigger.enabled];
  return [`ALTER TABLE ${relation} ${state} TRIGGER ${quoteIdentifier(trigger.name)}`];
}

export function replicaIdentitySql(relation: string, shape: TableShape): string[] {
  const kind = { f: 'FULL', n: 'NOTHING', d: null, i: null }[shape.replicaIdentity];
  return kind ? [`ALTER TABLE ${relation} REPLICA IDENTITY ${kind}`] : [];
}

/** Statistics are not inherited: each leaf has its own, in its schema. */
export function statisticsSql(table: NodeTable, statistics: StatisticsShape): string[] {
  return [
    ...createStatisticsSql(quoteQualified(statistics.schema, statistics.name), parentName(table), statistics),
    ...(table.group === null ? [] : holders(table).flatMap((holder) => holderStatisticsSql(holder, statistics))),
  ];
}

function holderStatisticsSql({ relation, schema }: Holder, statistics: StatisticsShape): string[] {
  return createStatisticsSql(quoteQualified(schema, statistics.name), relation, statistics);
}

function createStatisticsSql(name: string, relation: string, statistics: StatisticsShape): string[] {
  return [
    `CREATE STATISTICS ${name} ${statistics.definition} FROM ${relation}`,
    ...(statistics.target === null ? [] : [`ALTER STATISTICS ${name} SET STATISTICS ${statistics.target}`]),
  ];
}

/**
 * A leaf for a parent that is in use. Made apart and attached, so that its indexes get their right names; foreign keys and
 * triggers are the parent's and come with attaching.
 */
export function addLeafSql(table: NodeTable, shard: GroupShard): string[] {
  const { shape } = table;
  const alone = { ...table, shards: [shard] };
  const [holder] = holders(alone);
  const leaf = leafName(table, shard);
  const parent = parentName(table);
  const like = `LIKE ${parent} INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING COMPRESSION`;
  return [
    ...leafSchemaSql(shard.index, table.schema),
    `CREATE ${unlogged(shape)}TABLE ${leaf} (${like})${storageSql(shape)}`,
    ...shape.columns.flatMap((column) => columnStatisticsSql(leaf, column)),
    ...defaultCheckSql(table, shard),
    ...nodeKeysOfLeafSql(alone),
    `ALTER TABLE ${parent} ATTACH PARTITION ${leaf} ${boundsSql(shard.bounds)}`,
    ...shape.statistics.flatMap((statistics) => holderStatisticsSql(holder!, statistics)),
    ...replicaIdentitySql(leaf, shape),
    ...accessSql(leaf, shape),
  ];
}
