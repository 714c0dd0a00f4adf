import type { CatalogSnapshot, NodeEntry } from '../catalog/snapshot.ts';
import { isOwnSchema } from '../catalog/snapshot.ts';
import { pgError } from '../core/errors.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import { inReferenceOrder } from './alter-distribution.ts';
import { addGroupShard, shardNodes } from './colocation.ts';
import { createDistributedTable, notice } from './distribute.ts';
import type { HerdTransaction } from './herd.ts';
import { ownerOf } from './owner.ts';
import { undistributeAll } from './undistribute.ts';

/*
 * Schema-based sharding: all tables of a distributed schema are on one node, whole. Such a schema has a co-location group of its own,
 * with one shard, and pgherd.dist_schema says which. Tables that come into the schema later join it (settleSchemas).
 */

interface Schema {
  readonly oid: number;
  readonly name: string;
}

/** citus_schema_distribute() */
export async function distributeSchema(tx: HerdTransaction, name: string): Promise<void> {
  const schema = await ownedSchema(tx, name);
  const snapshot = await tx.snapshot();
  if (snapshot.distributedSchemas.has(schema.name)) {
    return notice(tx, `schema "${schema.name}" is already distributed, nothing to do`);
  }
  const here = [...(snapshot.relations.get(schema.name)?.values() ?? [])];
  const other = here.find(({ distributed }) => distributed?.distribution.kind === 'distributed');
  if (other) {
    throw pgError('invalidTableDefinition', `schema "${schema.name}" has distributed table "${other.name}"`, {
      hint: 'undistribute_table() it first.',
    });
  }
  const node = await emptiestNode(tx, snapshot);
  const catalog = ownerOf(tx.coordinator);
  const { rows } = await catalog.query(
    `INSERT INTO pgherd.colocation_group (method, shard_count, key_families, joinable) VALUES ('random', 1, '{}', 'f')
    RETURNING colocation_id`,
  );
  const group = Number(rows[0]![0]);
  await addGroupShard(tx.coordinator, group, 0, node.id, { kind: 'random' });
  await catalog.query('INSERT INTO pgherd.dist_schema (schema_oid, colocation_id) VALUES ($1, $2)', [
    String(schema.oid),
    String(group),
  ]);
  tx.changed();
  await settleSchemas(tx);
}

/** citus_schema_undistribute() */
export async function undistributeSchema(tx: HerdTransaction, name: string): Promise<void> {
  const schema = await ownedSchema(tx, name);
  const snapshot = await tx.snapshot();
  const group = snapshot.distributedSchemas.get(schema.name);
  if (group === undefined) {
    throw pgError('objectNotInPrerequisiteState', `schema "${schema.name}" is not distributed`);
  }
  const tables = tablesOf(snapshot, group);
  if (tables.length > 0) await undistributeAll(tx, snapshot, tables);
  await forgetSchemas(tx, [schema.oid]);
}

/**
 * Brings tables to where their schema is: those that have come into a distributed schema go to its node, those that have left one come
 * back to the coordinator. After each statement that may have done either.
 */
export async function settleSchemas(tx: HerdTransaction): Promise<void> {
  const { rows: gone } = await tx.coordinator.query(`SELECT d.schema_oid FROM pgherd.dist_schema d
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.oid = d.schema_oid)`);
  if (gone.length > 0)
    await forgetSchemas(
      tx,
      gone.map(([oid]) => Number(oid)),
    );
  const snapshot = await tx.snapshot();
  const groups = new Map([...snapshot.distributedSchemas].map(([schema, group]) => [group, schema]));
  const left = [...snapshot.relationsByOid.values()].filter(({ schema, distributed }) => {
    const { distribution } = distributed ?? {};
    return distribution?.kind === 'distributed' && (groups.get(distribution.group.id) ?? schema) !== schema;
  });
  if (left.length > 0)
    await undistributeAll(
      tx,
      snapshot,
      left.map(({ oid }) => oid).sort((a, b) => a - b),
    );
  const { rows } = await tx.coordinator.query(`SELECT c.oid, d.colocation_id, format('%I.%I', n.nspname, c.relname)
    FROM pgherd.dist_schema d
    JOIN pg_catalog.pg_namespace n ON n.oid = d.schema_oid
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p')
    WHERE NOT EXISTS (SELECT FROM pgherd.dist_table t WHERE t.relation = c.oid) ORDER BY c.oid`);
  const arrived = rows.map(([oid, group, name]) => ({
    table: { oid: Number(oid) },
    group: Number(group),
    name: name!,
  }));
  for (const { name, group } of await inReferenceOrder(tx, arrived)) {
    const arguments_ = { table: name, column: '', method: 'random', colocateWith: 'none' } as const;
    await createDistributedTable(tx, { ...arguments_, shardCount: null, shardBounds: null, groupId: group });
  }
}

function tablesOf(snapshot: CatalogSnapshot, group: number): number[] {
  return [...snapshot.relationsByOid.values()]
    .filter(({ distributed }) => {
      const distribution = distributed?.distribution;
      return distribution?.kind === 'distributed' && distribution.group.id === group;
    })
    .map(({ oid }) => oid)
    .sort((a, b) => a - b);
}

async function forgetSchemas(tx: HerdTransaction, oids: readonly number[]): Promise<void> {
  const catalog = ownerOf(tx.coordinator);
  for (const oid of oids) {
    await catalog.query('DELETE FROM pgherd.dist_schema WHERE schema_oid = $1', [String(oid)]);
  }
  await catalog.query(`DELETE FROM pgherd.colocation_group g
    WHERE NOT EXISTS (SELECT FROM pgherd.dist_table t WHERE t.colocation_id = g.colocation_id)
      AND NOT EXISTS (SELECT FROM pgherd.dist_schema d WHERE d.colocation_id = g.colocation_id)`);
  tx.changed();
}

/** As for ALTER SCHEMA. */
async function ownedSchema(tx: HerdTransaction, name: string): Promise<Schema> {
  const { rows } = await tx.coordinator.query(
    `SELECT n.oid, n.nspname, pg_catalog.pg_has_role(n.nspowner, 'USAGE') FROM pg_catalog.pg_namespace n
    WHERE n.oid = $1::regnamespace`,
    [name],
  );
  const [oid, own, isOwner] = rows[0]!;
  const reserved = own === 'public' || own === 'information_schema' || own!.startsWith('pg_') || isOwnSchema(own!);
  if (reserved) throw pgError('invalidObjectDefinition', `schema ${quoteIdentifier(own!)} cannot be distributed`);
  if (isOwner !== 't') throw pgError('insufficientPrivilege', `must be owner of schema ${own}`);
  return { oid: Number(oid), name: own! };
}

/** The one that has the fewest schemas. */
async function emptiestNode(tx: HerdTransaction, snapshot: CatalogSnapshot): Promise<NodeEntry> {
  const nodes = await shardNodes(tx.coordinator, snapshot);
  const placed = [...snapshot.distributedSchemas.values()].map(
    (group) => snapshot.groups.get(group)?.shards[0]?.nodeId,
  );
  const load = (node: NodeEntry) => placed.filter((id) => id === node.id).length;
  return nodes.reduce((least, node) => (load(node) < load(least) ? node : least));
}
