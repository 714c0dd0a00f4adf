import type { ServerConnection } from '../backend/server-connection.ts';
import { compileGroupRouter } from '../catalog/route.ts';
import type { Site } from '../catalog/site.ts';
import type { NodeId } from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import type { PgError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { StageMotion, StageTarget } from '../plan/plan.ts';
import { backend as message } from '../wire/message-types.ts';
import type { ExecutionContext } from './context.ts';
import type { AnswerSource } from './exchange.ts';
import { createTableSql, isReadOnly, type MotionRows, TableCopy } from './motion.ts';
import { joinAll } from './sources.ts';

/** Rows on nodes: in statements for them, or in temporary tables of theirs. */
export interface StagedRows {
  readonly kind: 'staged';
  at(site: Site | undefined): MotionRows;
}

/**
 * The rows can't be staged after all: too many, a key that only a server can route, or no way to read beside the transaction. The statement
 * is to be gathered instead.
 */
export class NotStageable extends Error {}

/**
 * Runs a fragment and brings its rows, undecoded, to nodes. They are held here until the fragment has ended, since the nodes it runs on
 * are those that the rows go to, over the same connections.
 */
export async function stageRows(
  sources: readonly AnswerSource[],
  motion: StageMotion,
  index: number,
  context: ExecutionContext,
): Promise<StagedRows> {
  const shares = createShares(motion.to, motion);
  await receiveAll(sources, (tuple) => shares.add(tuple));
  const { transaction } = context;
  const largest = Math.max(...shares.lists.map(({ bytes }) => bytes));
  const inline: StagedRows = { kind: 'staged', at: (site) => ({ kind: 'inline', rows: shares.of(site).rows }) };
  if (context.late) {
    if (largest > limits.maxShippedBytes) throw new NotStageable('too many rows to bring to nodes in settings');
    context.late.tellRows(index, (site) => shares.of(site).rows);
    return inline;
  }
  if (largest <= limits.maxInlineStageBytes) return inline;
  const connections = await joinAll(shares.nodes, context);
  // In a transaction that may write, a temporary table would stand in the way of PREPARE TRANSACTION; in a read-only one there is none.
  if (transaction.explicit || (await isReadOnly(connections[0]!))) {
    if (largest <= limits.maxShippedBytes) return inline;
    throw new NotStageable('too many rows to carry in statements, where no temporary table can be made');
  }
  const name = `pg_temp.${transaction.newTableName()}`;
  await Promise.all(
    connections.map((connection, i) => fillTable(connection, name, shares.of(shares.nodes[i]!), motion)),
  );
  return { kind: 'staged', at: () => ({ kind: 'table', table: name }) };
}

interface Share {
  rows: Buffer[];
  bytes: number;
}

interface Shares {
  readonly nodes: readonly NodeId[];
  readonly lists: readonly Share[];
  add(tuple: Buffer): void;
  of(site: Site | undefined): Share;
}

function createShares(to: StageTarget, { columns }: StageMotion): Shares {
  let total = 0;
  const put = (share: Share, tuple: Buffer) => {
    share.rows.push(tuple);
    share.bytes += tuple.length + 4;
    total += tuple.length + rowOverheadBytes;
    if (total > limits.maxStagedBytes) throw new NotStageable('too many rows to bring to nodes');
  };
  if (to.kind === 'broadcast') {
    const share: Share = { rows: [], bytes: 0 };
    return { nodes: to.nodes, lists: [share], add: (tuple) => put(share, tuple), of: () => share };
  }
  const byNode = new Map<NodeId, Share>(to.group.shards.map(({ nodeId }) => [nodeId, { rows: [], bytes: 0 }]));
  const nodes = [...byNode.keys()];
  const shareOfShard = new Map(to.group.shards.map(({ index, nodeId }) => [index, byNode.get(nodeId)!]));
  const [anywhere] = byNode.values();
  assert(anywhere, 'a group has nodes');
  const route = compileGroupRouter(to.group, to.keyColumns);
  const formats = to.keys.map((place) => (columns[place]?.viaText ? 0 : 1) as 0 | 1);
  return {
    nodes,
    lists: [...byNode.values()],
    add(tuple) {
      const shard = route(to.keys.map((place, i) => fieldAt(tuple, place, formats[i]!)));
      if (shard === 'ask') throw new NotStageable('a key that only a server can route');
      // A key that no shard takes matches nothing; the row may be kept for an outer join all the same.
      put(shard === 'none' ? anywhere : shareOfShard.get(shard)!, tuple);
    },
    of(site) {
      const share = byNode.get(site as NodeId);
      assert(share, 'redistributed rows are read where they are');
      return share;
    },
  };
}

/** What a row held in memory costs besides its bytes. */
const rowOverheadBytes = 100;

/** A field of a tuple as DataRow and binary COPY have it: a count, then lengths and bytes. */
function fieldAt(tuple: Buffer, place: number, format: 0 | 1) {
  let position = 2;
  for (let i = 0; i < place; i++) {
    const length = tuple.readInt32BE(position);
    position += 4 + Math.max(length, 0);
  }
  const length = tuple.readInt32BE(position);
  return length < 0 ? null : { format, bytes: tuple.subarray(position + 4, position + 4 + length) };
}

function receiveAll(sources: readonly AnswerSource[], take: (tuple: Buffer) => void): Promise<void> {
  return receiveDataRows(sources, (bytes, start, end) => take(Buffer.from(bytes.subarray(start + 5, end))));
}

/**
 * Runs sources in parallel and takes their DataRow messages, `bytes[start, end)`, good during the call. Throws what is thrown first, once
 * all have ended.
 */
export async function receiveDataRows(
  sources: readonly AnswerSource[],
  take: (bytes: Buffer, start: number, end: number) => void,
): Promise<void> {
  let failure: unknown = null;
  const row = (bytes: Buffer, start: number, end: number) => {
    if (failure !== null) return;
    try {
      take(bytes, start, end);
    } catch (error) {
      failure = error;
    }
  };
  const onFrame = (type: number, frame: Buffer) => {
    if (type === message.dataRow) row(frame, 0, frame.length);
  };
  const handler = Object.assign(onFrame, { row });
  const receive = async (source: AnswerSource) => {
    try {
      await source.run(handler);
    } catch (error) {
      failure ??= error as PgError;
    }
  };
  await Promise.all(sources.map(receive));
  if (failure !== null) throw failure;
}

async function fillTable(
  connection: ServerConnection,
  name: string,
  { rows }: Share,
  motion: StageMotion,
): Promise<void> {
  await connection.query(createTableSql({ name, columns: motion.columns, primaryKey: [] }));
  const copy = await TableCopy.open(connection, { name, lookupColumns: motion.lookupColumns });
  for (const row of rows) if (!copy.write(row)) await connection.drained();
  await copy.finish();
}
