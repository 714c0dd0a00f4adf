import type { CatalogSnapshot, DistributedTable, NodeEntry } from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import { PgError, pgError } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { segmentFunctionSql } from '../sql/segment-function.ts';
import { admitNode } from './admit-node.ts';
import { bootstrapNode } from './bootstrap.ts';
import { describeTables } from './describe-table.ts';
import { notice, storedColumns } from './distribute.ts';
import { renewDelegates } from './distributed-functions.ts';
import { withServersKeys } from './foreign-key-rules.ts';
import type { HerdTransaction, NodeAddress } from './herd.ts';
import { makeKeyWatches } from './key-watches.ts';
import { nodeKeysSql } from './node-index.ts';
import { createNodeTableSql, ensureSchemaSql, nodeLinksSql } from './node-table.ts';
import { ownerOf } from './owner.ts';
import { nodeTable, onNodes, runAll, schemaOf } from './place-table.ts';
import { attempt } from './savepoint.ts';
import {
  describeAllSchemas,
  describeExtensions,
  describeObjects,
  describeRoles,
  type SharedObject,
} from './shared-objects.ts';
import type { TableShape } from './table-shape.ts';

/** citus_set_coordinator_host(): where other programs find the coordinator; shown in pg_dist_node. */
export async function setCoordinatorHost(tx: HerdTransaction, host: string, port: number): Promise<void> {
  await tx.coordinator.query(
    `INSERT INTO pgherd.meta VALUES ('coordinator_host', $1), ('coordinator_port', $2)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
    [host, String(port)],
  );
  tx.changed();
}

/** citus_add_node(): the node gets all that tables depend on, and every reference table. Gives its id; a known node's is unchanged. */
export async function addNode(tx: HerdTransaction, name: string, port: number): Promise<number> {
  const known = findNode(await tx.snapshot(), tx, name, port);
  if (known) return known.id;
  return addNodeAt(tx, await freeName(tx.coordinator, name, port), tx.resolveAddress(name, port));
}

/** A node that the catalog has neither by this name nor at this address. */
export async function addNodeAt(tx: HerdTransaction, name: string, address: NodeAddress): Promise<number> {
  const { rows } = await tx.coordinator.query(
    'INSERT INTO pgherd.node (name, host, port) VALUES ($1, $2, $3) RETURNING node_id',
    [name, address.host, String(address.port)],
  );
  const id = Number(rows[0]![0]);
  tx.changed();
  const node = await tx.node(id);
  const extensions = await describeExtensions(tx.coordinator);
  const version = await admitNode(
    tx,
    node,
    extensions.map((extension) => extension.name),
  );
  await tx.coordinator.query(
    'UPDATE pgherd.node SET server_version_num = $2 WHERE node_id = $1',
    [id, version].map(String),
  );
  await fillNode(tx, id);
  await numberSegments(tx);
  await renewDelegates(tx);
  return id;
}

/** Each node knows its number, `gp_segment_id`. They count from 0, so that one that leaves changes those of others. */
async function numberSegments(tx: HerdTransaction): Promise<void> {
  await onNodes(tx, await tx.snapshot(), (node, { index }) => ownerOf(node).query(segmentFunctionSql(index)));
}

/** A node is called by its name; a second one of the same name (another port) by name and port. */
async function freeName(runner: SqlRunner, name: string, port: number): Promise<string> {
  const { rows } = await runner.query('SELECT FROM pgherd.node WHERE name = $1', [name]);
  return rows.length === 0 ? name : `${name}:${port}`;
}

/** By its name, or by where it is. */
export function findNode(
  snapshot: CatalogSnapshot,
  tx: HerdTransaction,
  name: string,
  port: number,
): NodeEntry | undefined {
  const address = tx.resolveAddress(name, port);
  return snapshot.nodes.find((node) => node.host === address.host && node.port === address.port);
}

function knownNode(snapshot: CatalogSnapshot, tx: HerdTransaction, name: string, port: number): NodeEntry {
  const node = findNode(snapshot, tx, name, port);
  if (node) return node;
  throw pgError('undefinedObject', `node at "${name}:${port}" does not exist`);
}

/** citus_remove_node(): refused while the node holds shards. What is left on it of ours is dropped, if it can be reached. */
export async function removeNode(tx: HerdTransaction, name: string, port: number): Promise<void> {
  await removeKnownNode(tx, knownNode(await tx.snapshot(), tx, name, port));
}

export async function removeKnownNode(tx: HerdTransaction, node: NodeEntry): Promise<void> {
  const snapshot = await tx.snapshot();
  await checkHoldsNoShards(tx.coordinator, node, 'removed');
  if (node.active) await emptyReachableNode(tx, snapshot, node);
  await tx.coordinator.query('DELETE FROM pgherd.node WHERE node_id = $1', [String(node.id)]);
  tx.changed();
  await numberSegments(tx);
}

async function emptyReachableNode(tx: HerdTransaction, snapshot: CatalogSnapshot, node: NodeEntry): Promise<void> {
  try {
    await dropTables(await tx.node(node.id), snapshot);
  } catch (error) {
    if (!(error instanceof PgError) || !error.code.startsWith('08')) throw error;
    const message = `node "${node.name}" could not be reached: copies of reference tables are left on it`;
    tx.notice({ severity: 'WARNING', code: '01000', message, detail: error.message });
  }
}

async function dropTables(node: SqlRunner, snapshot: CatalogSnapshot): Promise<void> {
  const names = allTables(snapshot).map((table) => quoteQualified(table.schema, table.name));
  if (names.length > 0) await node.query(`DROP TABLE IF EXISTS ${names.join(', ')} CASCADE`);
}

function allTables(snapshot: CatalogSnapshot): DistributedTable[] {
  return [...snapshot.relationsByOid.values()]
    .flatMap((relation) => relation.distributed ?? [])
    .sort((a, b) => a.oid - b.oid);
}

async function checkHoldsNoShards(runner: SqlRunner, node: NodeEntry, what: string): Promise<void> {
  const { rows } = await runner.query('SELECT count(*) FROM pgherd.group_shard WHERE node_id = $1', [String(node.id)]);
  if (rows[0]![0] === '0') return;
  throw pgError('objectNotInPrerequisiteState', `node "${node.name}" holds shards and cannot be ${what}`, {
    hint: 'Move its shards to other nodes, or undistribute their tables, first.',
  });
}

/** citus_disable_node(): nothing is sent to the node any more. */
export async function disableNode(tx: HerdTransaction, name: string, port: number): Promise<void> {
  const node = knownNode(await tx.snapshot(), tx, name, port);
  await checkHoldsNoShards(tx.coordinator, node, 'disabled');
  await tx.coordinator.query('UPDATE pgherd.node SET active = false WHERE node_id = $1', [String(node.id)]);
  tx.changed();
}

/** citus_activate_node(): what the node missed meanwhile is unknown, so its tables are made anew. */
export async function activateNode(tx: HerdTransaction, name: string, port: number): Promise<number> {
  const snapshot = await tx.snapshot();
  const node = knownNode(snapshot, tx, name, port);
  if (node.active) return node.id;
  await tx.coordinator.query('UPDATE pgherd.node SET active = true WHERE node_id = $1', [String(node.id)]);
  tx.changed();
  await dropTables(await tx.node(node.id), snapshot);
  await fillNode(tx, node.id);
  await numberSegments(tx);
  await renewDelegates(tx);
  return node.id;
}

/** A node without tables of ours gets everything: guards, roles, schemas, extensions, types, functions, tables. */
async function fillNode(tx: HerdTransaction, id: number): Promise<void> {
  const node = await tx.node(id);
  await bootstrapNode(node);
  await runAll(node, await describeRoles(tx.coordinator));
  await runAll(node, await describeAllSchemas(tx.coordinator));
  await runAll(
    node,
    (await describeExtensions(tx.coordinator)).map((extension) => extension.sql),
  );
  await copyObjects(tx, node, await describeObjects(tx.coordinator));
  await makeTables(tx, node, id);
}

/** Objects may depend on others that were changed later: rounds go on as long as one succeeds. */
async function copyObjects(tx: HerdTransaction, node: SqlRunner, objects: readonly SharedObject[]): Promise<void> {
  await node.query('SET LOCAL check_function_bodies = off');
  let waiting = objects;
  let failures = new Map<SharedObject, PgError>();
  for (;;) {
    failures = new Map();
    for (const object of waiting) {
      const result = await attempt(node, () => node.query(object.sql));
      // A type that is there already, from the node's earlier life in the herd.
      if (result.kind === 'failed' && result.error.code !== '42710') failures.set(object, result.error);
    }
    if (failures.size === 0 || failures.size === waiting.length) break;
    waiting = [...failures.keys()];
  }
  for (const [object, error] of failures) {
    notice(tx, `${object.label} stays on the coordinator only: ${error.message}`);
  }
}

/** First all tables with their rows and keys, then what ties them together. */
async function makeTables(tx: HerdTransaction, node: SqlRunner, id: number): Promise<void> {
  const snapshot = await tx.snapshot();
  const tables = allTables(snapshot);
  const shapes = await describeTables(
    tx.coordinator,
    tables.map((table) => table.oid),
  );
  const links: string[] = [];
  for (const described of shapes) {
    const shape = withServersKeys(described, snapshot);
    const table = tables.find((candidate) => candidate.oid === shape.oid);
    assert(table, 'only tables of the catalog were described');
    const schema = await schemaOf(tx.coordinator, shape);
    const onNode = nodeTable(shape, schema, table, id);
    await runAll(node, [...ensureSchemaSql(schema), ...createNodeTableSql(onNode)]);
    if (table.distribution.kind === 'reference') await copyReference(tx, id, shape, table);
    await runAll(node, nodeKeysSql(onNode));
    links.push(...nodeLinksSql(onNode));
  }
  await runAll(node, links);
  await makeKeyWatches(tx, node);
}

async function copyReference(
  tx: HerdTransaction,
  id: number,
  shape: TableShape,
  table: DistributedTable,
): Promise<void> {
  // Writers wait: the copy must not miss what commits meanwhile.
  await tx.coordinator.query(`LOCK TABLE ${shape.quotedName} IN SHARE ROW EXCLUSIVE MODE`);
  const columns = storedColumns(shape, null);
  await tx.copyToAll(`SELECT ${columns.map(quoteIdentifier).join(', ')} FROM ${shape.quotedName}`, table, columns, id);
}
