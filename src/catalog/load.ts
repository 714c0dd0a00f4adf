import { assert } from '../core/assert.ts';
import type { SqlRunner } from '../core/runner.ts';
import { classifyDefault } from './column-default.ts';
import type { DelegationRow } from './delegate-sql.ts';
import { buildDelegations } from './delegation.ts';
import { type ForeignKeyAction, isKeptByServers, type KeptForeignKey, sideOf } from './foreign-key.ts';
import { keyFamily } from './key-family.ts';
import {
  type ColumnRow,
  type ForeignKeyRow,
  type FunctionRow,
  type GroupRow,
  type KeyRow,
  type NodeRow,
  pinSettingsSql,
  type RelationRow,
  restoreSettingsSql,
  type SchemaRow,
  snapshotSql,
  type TableRow,
  type UserCodeRow,
} from './load-sql.ts';
import { joinEffects, sessionEffects } from './session-effects.ts';
import type {
  CatalogSnapshot,
  ColocationGroup,
  ColumnEntry,
  DistributedTable,
  Distribution,
  DistributionMethod,
  FunctionEffects,
  FunctionTraits,
  KeyColumn,
  NodeEntry,
  RelationEntry,
  RelationKind,
  ShardBounds,
  UserCode,
} from './snapshot.ts';
import { readTriggerType } from './statement-trigger.ts';

/**
 * Reads the catalog, as the runner's current transaction sees it: with its own uncommitted DDL. Such a snapshot belongs to
 * that transaction alone; after a rollback its version number may come again with other contents.
 */
export async function loadSnapshot(runner: SqlRunner, previous?: CatalogSnapshot): Promise<CatalogSnapshot> {
  const text = `${pinSettingsSql()};\n${snapshotSql(previous === undefined)}`;
  const { columns, rows } = await runner.query(text);
  const row = new Map(columns.map((column, i) => [column, rows[0]?.[i] ?? null]));
  const kept = row.get('kept');
  assert(kept, 'the catalog query has one row with the settings it found');
  await runner.query(restoreSettingsSql, [kept]);
  return buildSnapshot(row, previous);
}

type CatalogRow = ReadonlyMap<string, string | null>;

function buildSnapshot(row: CatalogRow, previous: CatalogSnapshot | undefined): CatalogSnapshot {
  const json = <T>(column: string): T => JSON.parse(row.get(column) ?? '[]') as T;
  const meta = json<Record<string, string>>('meta');
  const groups = buildGroups(json<GroupRow[]>('groups'));
  const relations = buildRelations(json<RelationRow[]>('relations'), json<TableRow[]>('tables'), groups);
  const nodes = json<NodeRow[]>('nodes');
  const relationsByOid = new Map(relations.map((relation) => [relation.oid, relation]));
  const foreignKeyRows = json<ForeignKeyRow[]>('foreign_keys');
  const foreignKeys = buildForeignKeys(foreignKeyRows, relationsByOid);
  return Object.freeze({
    version: Number(meta['version']),
    clusterId: meta['cluster_id'] ?? '',
    lowestServerVersion: Math.min(Number(row.get('version')), ...nodes.map((node) => node.version ?? Infinity)),
    nodes: Object.freeze(nodes.map(buildNode)),
    relations: bySchema(relations),
    relationsByOid,
    groups,
    distributedSchemas: new Map(json<SchemaRow[]>('schemas').map(({ name, colocationId }) => [name, colocationId])),
    foreignKeys,
    keptTables: findKeptTables(foreignKeyRows, foreignKeys, relations),
    delegations: buildDelegations(json<DelegationRow[]>('delegations')),
    functions: buildFunctions(json<FunctionRow[]>('functions'), systemFunctions(row, previous)),
    functionEffects: buildEffects(json<FunctionRow[]>('functions')),
    userCode: buildUserCode(json<UserCodeRow[]>('user_code')),
  });
}

function buildNode({ id, name, host, port, active }: NodeRow, index: number): NodeEntry {
  return Object.freeze({ id, index, name, host, port, active });
}

function buildGroups(rows: readonly GroupRow[]): ReadonlyMap<number, ColocationGroup> {
  const groups = rows.map(({ id, method, families, shards }) => {
    const slots = shards.map((shard) =>
      Object.freeze({ ...shard, bounds: Object.freeze(shard.bounds as ShardBounds) }),
    );
    slots.forEach((slot, i) => {
      assert(slot.index === i, `co-location group ${id} has no shard ${i}`);
    });
    return Object.freeze({ id, method: method as DistributionMethod, families, shards: Object.freeze(slots) });
  });
  return new Map(groups.map((group) => [group.id, group]));
}

function buildRelations(
  rows: readonly RelationRow[],
  tables: readonly TableRow[],
  groups: ReadonlyMap<number, ColocationGroup>,
): RelationEntry[] {
  const tableRows = new Map(tables.map((table) => [table.oid, table]));
  return rows.map((row) => {
    const { oid, schema, name, viewDefinition, viewOptions } = row;
    const columns = Object.freeze((row.columns ?? []).map(buildColumn));
    const tableRow = tableRows.get(oid);
    const distributed = tableRow ? buildTable(row, tableRow, columns, groups) : null;
    return Object.freeze({
      ...{ oid, schema, name, kind: relationKind(row.kind), columns, distributed, viewDefinition },
      ...(viewOptions ? { viewOptions } : {}),
      ...(row.hasTriggers ? { hasTriggers: true } : {}),
    });
  });
}

function relationKind(relkind: string): RelationKind {
  const kind = relationKinds[relkind];
  assert(kind, `pg_class.relkind is '${relkind}'`);
  return kind;
}

const relationKinds: Readonly<Record<string, RelationKind>> = {
  r: 'table',
  p: 'table',
  v: 'view',
  m: 'materialized view',
  S: 'sequence',
  f: 'foreign table',
  c: 'composite type',
  i: 'index',
  I: 'index',
};

function buildColumn(row: ColumnRow): ColumnEntry {
  const { name, attnum, typeOid, typmod, typeName, collation, notNull } = row;
  return Object.freeze({
    ...{ name, attnum, typeOid, typmod, typeName, collation, notNull },
    default: Object.freeze(classifyDefault(row)),
  });
}

function buildTable(
  relation: RelationRow,
  row: TableRow,
  columns: readonly ColumnEntry[],
  groups: ReadonlyMap<number, ColocationGroup>,
): DistributedTable {
  return Object.freeze({
    oid: relation.oid,
    schema: relation.schema,
    name: relation.name,
    columns,
    primaryKey: row.primaryKey,
    distribution: Object.freeze(buildDistribution(row, columns, groups)),
    hasRowTriggers: row.hasRowTriggers,
    statementTriggers: row.statementTriggers.map(readTriggerType),
    hasColumnGrants: row.hasColumnGrants,
    hasRowSecurity: relation.rowSecurity,
    estimatedRows: row.estimatedRows,
  });
}

function buildDistribution(
  row: TableRow,
  columns: readonly ColumnEntry[],
  groups: ReadonlyMap<number, ColocationGroup>,
): Distribution {
  const { method, colocationId, shardIds } = row;
  const globalIndexes = row.globalIndexes.map((index) => ({ ...index, expressions: index.expressions ?? [] }));
  if (method === 'reference') {
    const [shardId] = shardIds;
    assert(shardId !== undefined, `reference table ${row.oid} has no shard`);
    return { kind: 'reference', shardId };
  }
  const group = groups.get(colocationId ?? -1);
  assert(group, `co-location group ${colocationId} of table ${row.oid} is missing`);
  const keys = row.keys.map((key) => buildKey(key, columns));
  return { kind: 'distributed', method: group.method, keys, group, shardIds, globalIndexes };
}

function buildForeignKeys(
  rows: readonly ForeignKeyRow[],
  relations: ReadonlyMap<number, RelationEntry>,
): ReadonlyMap<number, KeptForeignKey> {
  const kept = rows.flatMap((row): KeptForeignKey[] => {
    const [child, parent] = [relations.get(row.child), relations.get(row.parent)];
    if (!child || !parent) return [];
    const tie = { ...row, child: sideOf(child.distributed), parent: sideOf(parent.distributed) };
    if (isKeptByServers(tie)) return [];
    const names = (relation: RelationEntry, attnums: readonly number[]) =>
      attnums.map((attnum) => relation.columns.find((column) => column.attnum === attnum)?.name ?? '');
    return [
      Object.freeze({
        ...{ oid: row.oid, name: row.name, child: row.child, parent: row.parent },
        childColumns: names(child, row.childColumns),
        parentColumns: names(parent, row.parentColumns),
        setColumns: names(child, row.setColumns),
        match: row.match === 'f' ? 'full' : 'simple',
        onUpdate: row.onUpdate as ForeignKeyAction,
        onDelete: row.onDelete as ForeignKeyAction,
        deferrable: row.deferrable,
        initiallyDeferred: row.deferred,
        validated: row.validated,
      }),
    ];
  });
  return new Map(kept.map((key) => [key.oid, key]));
}

/** The tables of such keys, and those whose changes spread to them by the actions that servers carry out. */
function findKeptTables(
  rows: readonly ForeignKeyRow[],
  kept: ReadonlyMap<number, KeptForeignKey>,
  relations: readonly RelationEntry[],
): ReadonlySet<number> {
  const found = new Set<number>();
  for (const { distributed } of relations) {
    const distribution = distributed?.distribution;
    if (distribution?.kind === 'distributed' && distribution.globalIndexes.length > 0) found.add(distributed!.oid);
  }
  for (const { child, parent } of kept.values()) found.add(child).add(parent);
  for (let size = -1; size !== found.size; ) {
    size = found.size;
    for (const { child, parent, onDelete, onUpdate } of rows) {
      const spreads = [onDelete, onUpdate].some((action) => action !== 'a' && action !== 'r');
      if (spreads && found.has(child)) found.add(parent);
    }
  }
  if (found.size === 0) return found;
  // A row trigger may write anything.
  for (const { distributed } of relations) if (distributed?.hasRowTriggers) found.add(distributed.oid);
  return found;
}

function buildKey(row: KeyRow, columns: readonly ColumnEntry[]): KeyColumn {
  const column = columns.find((candidate) => candidate.attnum === row.attnum);
  assert(column, `distribution column ${row.attnum} is missing`);
  const { name, attnum, typeName, collation } = column;
  const { typeOid, baseTypeName, bytewise } = row;
  return Object.freeze({ name, attnum, typeOid, typeName, family: keyFamily(baseTypeName), collation, bytewise });
}

function bySchema(relations: readonly RelationEntry[]): ReadonlyMap<string, ReadonlyMap<string, RelationEntry>> {
  const schemas = new Map<string, Map<string, RelationEntry>>();
  for (const relation of relations) {
    const schema = schemas.get(relation.schema) ?? new Map<string, RelationEntry>();
    schemas.set(relation.schema, schema.set(relation.name, relation));
  }
  return schemas;
}

function isSystemSchema(schema: string): boolean {
  return schema === 'pg_catalog' || schema === 'information_schema';
}

function systemFunctions(row: CatalogRow, previous: CatalogSnapshot | undefined): FunctionTraits[] {
  if (previous === undefined)
    return (JSON.parse(row.get('system_functions') ?? '[]') as FunctionRow[]).map(buildFunction);
  return [...previous.functions.values()].flat().filter((traits) => isSystemSchema(traits.schema));
}

function buildFunctions(
  rows: readonly FunctionRow[],
  system: readonly FunctionTraits[],
): ReadonlyMap<string, readonly FunctionTraits[]> {
  const functions = new Map<string, FunctionTraits[]>();
  for (const traits of [...system, ...rows.map(buildFunction)]) {
    const overloads = functions.get(traits.name);
    if (overloads) overloads.push(traits);
    else functions.set(traits.name, [traits]);
  }
  return functions;
}

function buildEffects(rows: readonly FunctionRow[]): FunctionEffects {
  const byName = sessionEffects(rows.flatMap(([, name, , , , , body]) => (body === null ? [] : [{ name, ...body }])));
  const triggers = rows.flatMap(([, name, , , , , , isTrigger]) => (isTrigger ? (byName.get(name) ?? []) : []));
  return { byName, triggers: joinEffects(triggers) };
}

function buildUserCode([row]: readonly UserCodeRow[]): UserCode {
  return Object.freeze({ operators: new Set(row?.operators), hasCasts: row?.hasCasts ?? true });
}

function buildFunction([schema, name, provolatile, prokind, returnsSet, strict]: FunctionRow): FunctionTraits {
  return Object.freeze({
    ...{ schema, name, returnsSet, strict },
    volatility: provolatile === 'i' ? 'immutable' : provolatile === 's' ? 'stable' : 'volatile',
    kind: prokind === 'a' ? 'aggregate' : prokind === 'w' ? 'window' : prokind === 'p' ? 'procedure' : 'function',
    userDefined: !isSystemSchema(schema),
  });
}
