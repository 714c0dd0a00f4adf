import type { PoolSet } from '../backend/pool.ts';
import { serverTrafficName, transactionEventsName } from '../catalog/compatibility-sql.ts';
import { type CatalogSnapshot, type DistributedTable, shardSchema } from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import { PgError } from '../core/errors.ts';
import type { PeerRows } from '../session/peers.ts';
import type { StatementTimes } from '../session/statement-times.ts';
import { quoteLiteral, quoteQualified } from '../sql/quote.ts';
import type { ProtocolLog } from '../transaction/protocol-log.ts';
import type { CatalogKeeper } from './catalog-keeper.ts';
import type { ControlPlane } from './control-plane.ts';

/**
 * `pgherd.live_shard_size`: the bytes of every shard, asked of the nodes when a query reads them. Rows of (shard id, node id, bytes). Those of
 * a node that can't be reached are missing, and `warn` is told so.
 */
export async function liveShardSizes(
  control: ControlPlane,
  snapshot: CatalogSnapshot,
  warn: (message: string) => void,
): Promise<(string | null)[][]> {
  const byNode = new Map<number, string[]>();
  for (const relation of snapshot.relationsByOid.values()) {
    if (relation.distributed) collectLeaves(relation.distributed, snapshot, byNode);
  }
  const answers = await Promise.all(
    [...byNode].map(async ([node, values]) => {
      const sql = `SELECT shard_id, ${node}, pg_total_relation_size(to_regclass(leaf)) FROM (VALUES ${values.join(', ')}) AS v(shard_id, leaf)`;
      try {
        return (await control.node(node, snapshot).query(sql)).rows.map((row) => [...row]);
      } catch (error) {
        if (!(error instanceof PgError) || !error.code.startsWith('08')) throw error;
        const { name } = snapshot.nodes.find(({ id }) => id === node)!;
        warn(`the sizes of the shards on ${name} are missing: ${error.message}`);
        return [];
      }
    }),
  );
  return answers.flat();
}

function collectLeaves(table: DistributedTable, snapshot: CatalogSnapshot, byNode: Map<number, string[]>): void {
  const { distribution } = table;
  const add = (node: number, shardId: number, leaf: string) => {
    const values = byNode.get(node) ?? [];
    values.push(`(${shardId}::bigint, ${quoteLiteral(leaf)})`);
    byNode.set(node, values);
  };
  if (distribution.kind === 'reference') {
    for (const node of snapshot.nodes) add(node.id, distribution.shardId, quoteQualified(table.schema, table.name));
    return;
  }
  for (const shard of distribution.group.shards) {
    const shardId = distribution.shardIds[shard.index];
    if (shardId !== undefined) add(shard.nodeId, shardId, quoteQualified(shardSchema(table, shard.index), table.name));
  }
}

export interface TellingParts {
  readonly catalog: CatalogKeeper;
  readonly pools: PoolSet;
  readonly protocolLog: ProtocolLog;
  readonly times: StatementTimes;
}

/** What this worker tells from memory. */
export function toldRows(relation: string, role: string | null, parts: TellingParts): PeerRows {
  switch (relation) {
    case serverTrafficName:
      return serverTraffic(parts.pools);
    case transactionEventsName:
      return transactionEvents(parts.protocolLog);
    case 'live_pool':
      return poolRows(parts.pools);
    case 'live_shard_time':
      return parts.times.shardRows(parts.catalog.snapshot);
    default:
      assert(relation === 'live_statement', `${relation} is told by routers`);
      return parts.times.statementRows(role);
  }
}

/** The rows of all workers as those of one router. */
export function mergedRows(relation: string, told: readonly PeerRows[]): PeerRows {
  const rows = told.flat();
  switch (relation) {
    case transactionEventsName:
      return rows.toSorted(([a], [b]) => Number(a) - Number(b));
    case serverTrafficName:
      return summed(rows, 1, []);
    case 'live_pool':
      return summed(rows, 2, []);
    case 'live_shard_time':
      return summed(rows, 1, [3]);
    default:
      return summed(rows, 4, [6]);
  }
}

/** Rows with the same first fields become one: the others are added up, or the largest is taken. */
function summed(rows: PeerRows, keyFields: number, largest: readonly number[]): PeerRows {
  const byKey = new Map<string, (string | null)[]>();
  for (const row of rows) {
    const key = JSON.stringify(row.slice(0, keyFields));
    const sum = byKey.get(key);
    if (sum === undefined) {
      byKey.set(key, [...row]);
      continue;
    }
    for (let field = keyFields; field < row.length; field++) {
      const [a, b] = [Number(sum[field]), Number(row[field])];
      sum[field] = String(largest.includes(field) ? Math.max(a, b) : a + b);
    }
  }
  return [...byKey.values()];
}

/** `pgherd.server_traffic`: bytes to and from each server over the sessions' connections, since the router started. */
export function serverTraffic(pools: PoolSet): string[][] {
  const byServer = new Map<string, { sent: number; received: number }>();
  for (const { target, traffic } of pools) {
    const { sent, received } = traffic;
    const sum = byServer.get(target.label) ?? { sent: 0, received: 0 };
    byServer.set(target.label, { sent: sum.sent + sent, received: sum.received + received });
  }
  return [...byServer].map(([server, { sent, received }]) => [server, String(sent), String(received)]);
}

/** `pgherd.live_pool`: the sessions' connections to servers, by server and role. */
function poolRows(pools: PoolSet): string[][] {
  return [...pools].map(({ target, size, busy, waiting, maxConnections }) => [
    ...[target.label, target.user],
    ...[size, busy, waiting, maxConnections].map(String),
  ]);
}

/** `pgherd.live_transaction_event`: the last steps of this router's distributed commits. */
function transactionEvents(log: ProtocolLog): string[][] {
  return log.events.map(({ number, at, key, step, detail }) => [String(number), at.toISOString(), key, step, detail]);
}
