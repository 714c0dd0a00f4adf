import { boundsCheckSql, boundsSql, partitionKeySql } from '../catalog/bounds-sql.ts';
import { type ColocationGroup, type GroupShard, type KeyColumn, leafSchema } from '../catalog/snapshot.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { guardParentSql } from './guard.ts';
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
  type IndexShape,
  type StatisticsShape,
  type TableShape,
} from './table-shape.ts';
import { divideKeys } from './unique-keys.ts';

/**
 * A distributed table on a node: the parent under the table's own name, and the leaves that live there. It is made in three
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
  const elements = [
    ...shape.columns.map((column) => columnSql(column, key.includes(column.attnum))),
    ...checks.map(checkSql),
  ];
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
  return [
    ...leafSchemaSql(shard.index, schema),
    `CREATE ${unlogged}TABLE ${leaf} PARTITION OF ${parentName(table)} ${boundsSql(shard.bounds)}${leafOptions(shape)}`,
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
  return [
    `CREATE SCHEMA IF NOT EXISTS ${name}`,
    ...schema.usage.map((role) => `GRANT USAGE ON SCHEMA ${name} TO ${granteeSql(role)}`),
  ];
}

/** Part two: keys and indexes, built once the rows are there. */
export function nodeKeysSql(table: NodeTable): string[] {
  const keys = divideKeys(table.shape, table.key);
  return [
    ...keys.constraints
      .filter((constraint) => constraint.index)
      .flatMap((constraint) => indexConstraintSql(table, constraint)),
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
  const onParent = `ALTER TABLE ONLY ${parentName(table)} ${addConstraint(constraint)}`;
  return [
    ...leafConstraintSql(table, constraint),
    ...(constraint.type === 'x' ? [] : [onParent, ...attachSql(table, constraint.name)]),
  ];
}

function leafConstraintSql(table: NodeTable, constraint: ConstraintShape): string[] {
  const { options, clustered, replicaIdentity } = constraint.index!;
  const onLeaves = table.shards.flatMap((shard) => {
    const index = quoteQualified(leafSchema(shard.index, table.shape.schema), constraint.name);
    return [
      `ALTER TABLE ${leafName(table, shard)} ${addConstraint(constraint)}`,
      ...(options.length > 0 ? [`ALTER INDEX ${index} SET (${optionList(options)})`] : []),
    ];
  });
  return [...onLeaves, ...leafIndexFlagsSql(table, constraint.name, clustered, replicaIdentity)];
}

function addConstraint(constraint: ConstraintShape): string {
  return `ADD CONSTRAINT ${quoteIdentifier(constraint.name)} ${constraint.definition}`;
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

/** Part three: what may need other tables to be there, and what watches over the finished table. */
export function nodeLinksSql(table: NodeTable): string[] {
  return [...foreignKeysSql(table), ...settingsSql(table)];
}

function foreignKeysSql(table: NodeTable): string[] {
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
  const parent = parentName(table);
  return [
    ...shape.triggers.flatMap((trigger) => triggerSql(parent, trigger)),
    ...shape.statistics.flatMap((statistics) => statisticsSql(table, statistics)),
    ...accessSql(parent, shape),
    ...commentsSql(shape),
    ...table.shards.flatMap((shard) => leafSettingsSql(table, shard)),
    ...guardParentSql(shape),
  ];
}

/** What a leaf does not take from its parent. */
function leafSettingsSql(table: NodeTable, shard: GroupShard): string[] {
  const leaf = leafName(table, shard);
  return [...replicaIdentitySql([leaf], table.shape), ...accessSql(leaf, table.shape)];
}

/**
 * A leaf for a parent that is in use. Made apart and attached, so that its indexes get their right names; foreign keys and
 * triggers are the parent's and come with attaching.
 */
export function addLeafSql(table: NodeTable, shard: GroupShard): string[] {
  const { shape } = table;
  const alone = { ...table, shards: [shard] };
  const leaf = leafName(table, shard);
  const parent = parentName(table);
  const unlogged = shape.persistence === 'u' ? 'UNLOGGED ' : '';
  const like = `LIKE ${parent} INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING COMPRESSION`;
  const keys = divideKeys(shape, table.key);
  return [
    ...leafSchemaSql(shard.index, table.schema),
    `CREATE ${unlogged}TABLE ${leaf} (${like})${leafOptions(shape)}`,
    ...shape.columns.flatMap((column) => columnStatisticsSql(leaf, column)),
    ...(shard.bounds.kind === 'default' ? defaultCheckSql(table, shard) : []),
    ...keys.constraints
      .filter((constraint) => constraint.index)
      .flatMap((constraint) => leafConstraintSql(alone, constraint)),
    ...[...keys.indexes, ...keys.lookups.map((lookup) => ({ ...lookup, unique: false }))].map(
      ({ name, definition, unique }) =>
        `CREATE ${unique ? 'UNIQUE ' : ''}INDEX ${quoteIdentifier(name)} ON ${leaf} ${definition}`,
    ),
    ...keys.indexes.flatMap((index) => leafIndexFlagsSql(alone, index.name, index.clustered, index.replicaIdentity)),
    `ALTER TABLE ${parent} ATTACH PARTITION ${leaf} ${boundsSql(shard.bounds)}`,
    ...shape.statistics.flatMap((statistics) => leafStatisticsSql(table, shard, statistics)),
    ...leafSettingsSql(table, shard),
  ];
}

function leafOptions(shape: TableShape): string {
  const method =
    shape.accessMethod && shape.accessMethod !== 'heap' ? ` USING ${quoteIdentifier(shape.accessMethod)}` : '';
  return `${method}${shape.options.length > 0 ? ` WITH (${optionList(shape.options)})` : ''}`;
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
  return [
    ...createStatisticsSql(quoteQualified(statistics.schema, statistics.name), parentName(table), statistics),
    ...table.shards.flatMap((shard) => leafStatisticsSql(table, shard, statistics)),
  ];
}

function leafStatisticsSql(table: NodeTable, shard: GroupShard, statistics: StatisticsShape): string[] {
  const name = quoteQualified(leafSchema(shard.index, table.shape.schema), statistics.name);
  return createStatisticsSql(name, leafName(table, shard), statistics);
}

export function createStatisticsSql(name: string, relation: string, statistics: StatisticsShape): string[] {
  return [
    `CREATE STATISTICS ${name} ${statistics.definition} FROM ${relation}`,
    ...(statistics.target === null ? [] : [`ALTER STATISTICS ${name} SET STATISTICS ${statistics.target}`]),
  ];
}

/** The schema of a table as a node must have it. Schemas are propagated when they are made; this one may be older than the herd. */
export function ensureSchemaSql(schema: SchemaShape): string[] {
  const name = quoteIdentifier(schema.name);
  return [
    `CREATE SCHEMA IF NOT EXISTS ${name}`,
    ...schema.usage.map((role) => `GRANT USAGE ON SCHEMA ${name} TO ${granteeSql(role)}`),
  ];
}
