import {
  type CatalogSnapshot,
  type DistributedTable,
  type DistributionMethod,
  isKeyed,
  isOnOneNode,
  type NodeEntry,
  type NodeId,
} from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import type { SqlRunner } from '../core/runner.ts';
import { settled } from '../core/settled.ts';
import { arrayText } from './array-text.ts';
import { withServersKeys } from './foreign-key-rules.ts';
import type { HerdTransaction } from './herd.ts';
import { nodeKeysSql } from './node-index.ts';
import type { NodeTable } from './node-relations.ts';
import { createNodeTableSql, ensureSchemaSql, nodeLinksSql } from './node-table.ts';
import { ownerOf, runAll } from './owner.ts';
import { describeSchemas, type SchemaShape } from './schema-shape.ts';
import type { TableShape } from './table-shape.ts';

export interface TableRecord {
  readonly oid: number;
  readonly method: DistributionMethod | 'reference';
  readonly key: readonly number[];
  readonly groupId: number | null;
}

/** Writes a table and its shards into the catalog. */
export async function recordTable(runner: SqlRunner, table: TableRecord): Promise<void> {
  const catalog = ownerOf(runner);
  await catalog.query(
    'INSERT INTO pgherd.dist_table (relation, method, key_columns, colocation_id) VALUES ($1, $2, $3, $4)',
    [String(table.oid), table.method, arrayText(table.key), table.groupId === null ? null : String(table.groupId)],
  );
  const shards =
    table.groupId === null
      ? 'SELECT $1::oid, 0 WHERE $2::integer IS NULL'
      : 'SELECT $1::oid, shard_index FROM pgherd.group_shard WHERE colocation_id = $2::integer ORDER BY shard_index';
  await catalog.query(`INSERT INTO pgherd.shard (relation, shard_index) ${shards}`, [
    String(table.oid),
    table.groupId === null ? null : String(table.groupId),
  ]);
}

/** Every active node has every distributed table, though perhaps no shard of it: so DDL is the same everywhere. */
export function activeNodes(snapshot: CatalogSnapshot): NodeEntry[] {
  return snapshot.nodes.filter((node) => node.active);
}

export function nodeTable(shape: TableShape, schema: SchemaShape, table: DistributedTable, node: NodeId): NodeTable {
  const { distribution } = table;
  const plain = { shape, schema, group: null, keys: [], key: [], shards: [] };
  if (distribution.kind === 'reference') return { ...plain, form: 'copy' };
  const { group, keys } = distribution;
  if (!isKeyed(distribution)) return { ...plain, form: isOnOneNode(distribution) ? 'whole' : 'spread' };
  const shards = group.shards.filter((shard) => shard.nodeId === node);
  return { shape, schema, form: 'leaves', group, keys, key: keys.map((key) => key.attnum), shards };
}

export async function schemaOf(runner: SqlRunner, shape: TableShape): Promise<SchemaShape> {
  const [schema] = await describeSchemas(runner, [shape.schema]);
  assert(schema, `schema ${shape.schema} is missing`);
  return schema;
}

/** Runs work on all active nodes at once; the first failure is thrown once all have ended, so that none is left running. */
export async function onNodes<T>(
  tx: Pick<HerdTransaction, 'node'>,
  snapshot: CatalogSnapshot,
  work: (node: SqlRunner, entry: NodeEntry) => Promise<T>,
): Promise<T[]> {
  return settled(activeNodes(snapshot).map(async (entry) => work(await tx.node(entry.id), entry)));
}

export { runAll } from './owner.ts';

/** A table that is being distributed has its keys checked with it. */
function withValidKeys(shape: TableShape): TableShape {
  return {
    ...shape,
    constraints: shape.constraints.map((each) => (each.type === 'f' ? { ...each, validated: true } : each)),
  };
}

/** Builds a recorded table on the nodes. `fill` copies its rows, while nothing but columns and CHECKs is there. */
export async function placeTable(
  tx: Pick<HerdTransaction, 'coordinator' | 'node'>,
  described: TableShape,
  snapshot: CatalogSnapshot,
  fill: (table: DistributedTable) => Promise<void>,
): Promise<void> {
  const shape = withServersKeys(withValidKeys(described), snapshot);
  const table = snapshot.relationsByOid.get(shape.oid)?.distributed;
  assert(table, `table ${shape.name} was just recorded`);
  const schema = await schemaOf(tx.coordinator, shape);
  await onNodes(tx, snapshot, (node, { id }) =>
    runAll(node, [...ensureSchemaSql(schema), ...createNodeTableSql(nodeTable(shape, schema, table, id))]),
  );
  await fill(table);
  await onNodes(tx, snapshot, (node, { id }) => {
    const onNode = nodeTable(shape, schema, table, id);
    return runAll(node, [...nodeKeysSql(onNode), ...nodeLinksSql(onNode)]);
  });
}
