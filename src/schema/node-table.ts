import { boundsCheckSql, boundsSql, partitionKeySql } from '../catalog/bounds-sql.ts';
import { type ColocationGroup, type GroupShard, type KeyColumn, leafSchema } from '../catalog/snapshot.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { guardParentSql, guardReferenceSql } from './guard.ts';
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
import { type ConstraintShape, columnsOf, type IndexShape, type StatisticsShape, type TableShape } from './table-shape.ts';
import { divideKeys } from './unique-keys.ts';

/**
 * A distributed table on a node: the parent under the table's own name, and the leaves that live there. It is made in two
 * parts, for rows are copied faster, and without firing triggers, while nothing but columns and CHECKs is there.
 */
export interface NodeTable {
  readonly shape: TableShape;
  readonly schema: SchemaShape;
  readonly group: ColocationGroup;
  readonly keys: readonly KeyColumn[];
  /** Their attribute numbers. */
  readonly key: readonly number[];
  /** The shards that live on this node. */
  readonly shards: readonly GroupShard[];
}

export const defaultCheckName = 'pgherd_default';

export function parentName({ shape }: NodeTable): string {
  return quoteQualified(shape.schema, shape.name);
}

export function leafName({ shape }: NodeTable, shard: GroupShard): string {
  return quoteQualified(leafSchema(shard.index, shape.schema), shape.name);
}

export function leafNames(table: NodeTable): string[] {
  return table.shards.map((shard) => leafName(table, shard));
}

/** Part one: parent and empty leaves, ready for COPY. */
export function createNodeTableSql(table: NodeTable): string[] {
  const { shape, key, group } = table;
  const parent = parentName(table);
  const checks = shape.constraints.filter((constraint) => constraint.type === 'c' && constraint.validated);
  const elements = [...shape.columns.map((column) => columnSql(column, key.includes(column.attnum))), ...checks.map(checkSql)];
  const keyNames = columnsOf(shape, key).map((column) => column.name);
  return [
    `CREATE TABLE ${parent} (${elements.join(', ')}) PARTITION BY ${partitionKeySql(group.method, keyNames)}`,
    ...shape.columns.flatMap((column) => columnStorageSql(parent, column)),
    ...table.shards.flatMap((shard) => createLeafSql(table, shard)),
  ];
}

export function createLeafSql(table: NodeTable, shard: GroupShard): string[] {
  const { shape, schema } = table;
  const leaf = leafName(table, shard);
  const unlogged = shape.persistence === 'u' ? 'UNLOGGED ' : '';
  const method = shape.accessMethod && shape.accessMethod !== 'heap' ? ` USING ${quoteIdentifier(shape.accessMethod)}` : '';
  const options = shape.options.length > 0 ? ` WITH (${optionList(shape.options)})` : '';
  return [
    ...leafSchemaSql(shard.index, schema),
    `CREATE ${unlogged}TABLE ${leaf} PARTITION OF ${parentName(table)} ${boundsSql(shard.bounds)}${method}${options}`,
    ...(shard.bounds.kind === 'default' ? defaultCheckSql(table, shard) : []),
    ...shape.columns.flatMap((column) => [...columnStorageSql(leaf, column), ...columnStatisticsSql(leaf, column)]),
  ];
}

/** What keeps a DEFAULT leaf from taking rows that belong to a shard on another node. */
export function defaultCheckSql(table: NodeTable, shard: GroupShard): string[] {
  const others = table.group.shards.filter((other) => other.index !== shard.index).map((other) => other.bounds);
  const check = boundsCheckSql(table.keys[0]!, others);
  return check ? [`ALTER TABLE ${leafName(table, shard)} ADD CONSTRAINT ${defaultCheckName} CHECK (${check})`] : [];
}

/** Who may use the table's schema may use its leaves' schema; the leaves' own privileges are the table's. */
export function leafSchemaSql(index: number, schema: SchemaShape): string[] {
  const name = quoteIdentifier(leafSchema(index, schema.name));
  return [`CREATE SCHEMA IF NOT EXISTS ${name}`, ...schema.usage.map((role) => `GRANT USAGE ON SCHEMA ${name} TO ${granteeSql(role)}`)];
}

/** Part two: all that is checked or built once the rows are there. */
export function finishNodeTableSql(table: NodeTable): string[] {
  return [...keysSql(table), ...foreignKeysSql(table), ...settingsSql(table)];
}

function keysSql(table: NodeTable): string[] {
  const keys = divideKeys(table.shape, table.key);
  return [
    ...keys.constraints.filter((constraint) => constraint.index).flatMap((constraint) => indexConstraintSql(table, constraint)),
    ...keys.indexes.flatMap((index) => indexSql(table, index)),
    ...keys.lookups.flatMap((lookup) => nodeIndexSql(table, lookup.name, lookup.definition, false)),
    ...table.shape.constraints
      .filter((constraint) => constraint.type === 'c' && !constraint.validated)
      .map((constraint) => `ALTER TABLE ${parentName(table)} ADD ${checkSql(constraint)}`),
  ];
}

/** The parent's index only holds the leaves' together, each of which has the name that the index has on the shell. */
export function indexSql(table: NodeTable, index: IndexShape): string[] {
  return [
    ...nodeIndexSql(table, index.name, index.definition, index.unique),
    ...leafIndexFlagsSql(table, index.name, index.clustered, index.replicaIdentity),
  ];
}

export function nodeIndexSql(table: NodeTable, name: string, definition: string, unique: boolean): string[] {
  const create = `CREATE ${unique ? 'UNIQUE ' : ''}INDEX ${quoteIdentifier(name)} ON`;
  return [
    ...leafNames(table).map((leaf) => `${create} ${leaf} ${definition}`),
    `${create} ONLY ${parentName(table)} ${definition}`,
    ...attachSql(table, name),
  ];
}

/** PRIMARY KEY and UNIQUE; an exclusion constraint stands on the leaves alone, which is enough when it has the key in it. */
export function indexConstraintSql(table: NodeTable, constraint: ConstraintShape): string[] {
  const add = `ADD CONSTRAINT ${quoteIdentifier(constraint.name)} ${constraint.definition}`;
  const options = constraint.index!.options;
  const onLeaves = table.shards.flatMap((shard) => {
    const leaf = leafName(table, shard);
    const index = quoteQualified(leafSchema(shard.index, table.shape.schema), constraint.name);
    return [
      `ALTER TABLE ${leaf} ${add}`,
      ...(options.length > 0 ? [`ALTER INDEX ${index} SET (${optionList(options)})`] : []),
    ];
  });
  const onParent =
    constraint.type === 'x' ? [] : [`ALTER TABLE ONLY ${parentName(table)} ${add}`, ...attachSql(table, constraint.name)];
  const { clustered, replicaIdentity } = constraint.index!;
  return [...onLeaves, ...onParent, ...leafIndexFlagsSql(table, constraint.name, clustered, replicaIdentity)];
}

function attachSql(table: NodeTable, name: string): string[] {
  const { schema } = table.shape;
  const parent = quoteQualified(schema, name);
  return table.shards.map(
    (shard) => `ALTER INDEX ${parent} ATTACH PARTITION ${quoteQualified(leafSchema(shard.index, schema), name)}`,
  );
}

function leafIndexFlagsSql(table: NodeTable, name: string, clustered: boolean, replicaIdentity: boolean): string[] {
  return leafNames(table).flatMap((leaf) => [
    ...(clustered ? [`ALTER TABLE ${leaf} CLUSTER ON ${quoteIdentifier(name)}`] : []),
    ...(replicaIdentity ? [`ALTER TABLE ${leaf} REPLICA IDENTITY USING INDEX ${quoteIdentifier(name)}`] : []),
  ]);
}

export function foreignKeysSql(table: NodeTable): string[] {
  return table.shape.constraints
    .filter((constraint) => constraint.type === 'f')
    .map((constraint) => foreignKeySql(parentName(table), constraint));
}

/** NOT VALID foreign keys of partitioned tables came with PostgreSQL 18, so on nodes they are always validated. */
export function foreignKeySql(relation: string, constraint: ConstraintShape): string {
  const definition = constraint.definition.replace(/ NOT VALID$/, '');
  return `ALTER TABLE ${relation} ADD CONSTRAINT ${quoteIdentifier(constraint.name)} ${definition}`;
}

function settingsSql(table: NodeTable): string[] {
  const { shape } = table;
  const relations = [parentName(table), ...leafNames(table)];
  return [
    ...replicaIdentitySql(leafNames(table), shape),
    ...shape.triggers.flatMap((trigger) => triggerSql(parentName(table), trigger)),
    ...shape.statistics.flatMap((statistics) => statisticsSql(table, statistics)),
    ...relations.flatMap((relation) => accessSql(relation, shape)),
    ...commentsSql(shape),
    ...guardParentSql(shape),
  ];
}

export function replicaIdentitySql(relations: readonly string[], shape: TableShape): string[] {
  const kind = shape.replicaIdentity === 'f' ? 'FULL' : shape.replicaIdentity === 'n' ? 'NOTHING' : null;
  return kind ? relations.map((relation) => `ALTER TABLE ${relation} REPLICA IDENTITY ${kind}`) : [];
}

export function triggerSql(relation: string, trigger: TableShape['triggers'][number]): string[] {
  const alter = (state: string) => [`ALTER TABLE ${relation} ${state} TRIGGER ${quoteIdentifier(trigger.name)}`];
  const states = { O: [], D: alter('DISABLE'), R: alter('ENABLE REPLICA'), A: alter('ENABLE ALWAYS') };
  return [trigger.definition, ...states[trigger.enabled]];
}

/** Statistics are not inherited: each leaf has its own, in its schema. */
export function statisticsSql(table: NodeTable, statistics: StatisticsShape): string[] {
  const create = (name: string, relation: string) => [
    `CREATE STATISTICS ${name} ${statistics.definition} FROM ${relation}`,
    ...(statistics.target === null ? [] : [`ALTER STATISTICS ${name} SET STATISTICS ${statistics.target}`]),
  ];
  return [
    ...create(quoteQualified(statistics.schema, statistics.name), parentName(table)),
    ...table.shards.flatMap((shard) =>
      create(quoteQualified(leafSchema(shard.index, table.shape.schema), statistics.name), leafName(table, shard)),
    ),
  ];
}

/** A reference table on a node, without its rows. */
export function createReferenceSql(shape: TableShape): string[] {
  const name = quoteQualified(shape.schema, shape.name);
  const checks = shape.constraints.filter((constraint) => constraint.type === 'c' && constraint.validated);
  const elements = [...shape.columns.map((column) => columnSql(column, false)), ...checks.map(checkSql)];
  const unlogged = shape.persistence === 'u' ? 'UNLOGGED ' : '';
  const options = shape.options.length > 0 ? ` WITH (${optionList(shape.options)})` : '';
  return [
    `CREATE ${unlogged}TABLE ${name} (${elements.join(', ')})${options}`,
    ...shape.columns.flatMap((column) => [...columnStorageSql(name, column), ...columnStatisticsSql(name, column)]),
  ];
}

export function finishReferenceSql(shape: TableShape): string[] {
  const name = quoteQualified(shape.schema, shape.name);
  const later = shape.constraints.filter((constraint) => !(constraint.type === 'c' && constraint.validated));
  return [
    ...later.flatMap((constraint) => referenceConstraintSql(shape, constraint)),
    ...shape.indexes.flatMap((index) => referenceIndexSql(shape, index)),
    ...replicaIdentitySql([name], shape),
    ...shape.triggers.filter(runsOnCopies).flatMap((trigger) => triggerSql(name, trigger)),
    ...shape.statistics.map(
      (statistics) => `CREATE STATISTICS ${quoteQualified(statistics.schema, statistics.name)} ${statistics.definition} FROM ${name}`,
    ),
    ...accessSql(name, shape),
    ...commentsSql(shape),
    ...guardReferenceSql(shape),
  ];
}

/** A BEFORE row trigger makes the row what it is, on every copy; any other acts elsewhere, so on the coordinator alone. */
export function runsOnCopies(trigger: TableShape['triggers'][number]): boolean {
  return trigger.before && trigger.row;
}

export function referenceConstraintSql(shape: TableShape, constraint: ConstraintShape): string[] {
  const { index } = constraint;
  const name = quoteQualified(shape.schema, shape.name);
  const add = `ALTER TABLE ${name} ADD CONSTRAINT ${quoteIdentifier(constraint.name)} ${constraint.definition}`;
  if (!index) return [add];
  const indexName = quoteQualified(shape.schema, constraint.name);
  const options = index.options.length > 0 ? [`ALTER INDEX ${indexName} SET (${optionList(index.options)})`] : [];
  return [add, ...options, ...referenceIndexFlagsSql(name, constraint.name, index.clustered, index.replicaIdentity)];
}

export function referenceIndexSql(shape: TableShape, index: IndexShape): string[] {
  const name = quoteQualified(shape.schema, shape.name);
  return [
    `CREATE ${index.unique ? 'UNIQUE ' : ''}INDEX ${quoteIdentifier(index.name)} ON ${name} ${index.definition}`,
    ...referenceIndexFlagsSql(name, index.name, index.clustered, index.replicaIdentity),
  ];
}

function referenceIndexFlagsSql(relation: string, index: string, clustered: boolean, identity: boolean): string[] {
  return [
    ...(clustered ? [`ALTER TABLE ${relation} CLUSTER ON ${quoteIdentifier(index)}`] : []),
    ...(identity ? [`ALTER TABLE ${relation} REPLICA IDENTITY USING INDEX ${quoteIdentifier(index)}`] : []),
  ];
}

/** The schema of a table as a node must have it. Schemas are propagated when they are made; this one may be older than the herd. */
export function ensureSchemaSql(schema: SchemaShape): string[] {
  const name = quoteIdentifier(schema.name);
  return [`CREATE SCHEMA IF NOT EXISTS ${name}`, ...schema.usage.map((role) => `GRANT USAGE ON SCHEMA ${name} TO ${granteeSql(role)}`)];
}
