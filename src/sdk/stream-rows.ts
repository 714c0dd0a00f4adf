import { PortalRows, type TextRow } from '../backend/portal-rows.ts';
import type { ServerConnection } from '../backend/server-connection.ts';
import { decodeRow, type Row } from './decode-value.ts';
import { commonShape } from './distributed-query.ts';
import { mergeOrdered, type RowSource, type SortKey } from './ordered-merge.ts';
import { connect, type Statement } from './run-statement.ts';
import type { Shard } from './shard-server.ts';

export interface StreamOptions {
  /** Absent: one shard's rows after the other's. */
  readonly orderedBy?: readonly SortKey[];
  /** Rows of each shard that are held here at a time. */
  readonly batchRows: number;
  readonly retries: number;
  readonly signal?: AbortSignal | undefined;
}

interface OpenStream {
  readonly shard: Shard;
  readonly connection: ServerConnection;
  readonly portal: PortalRows;
}

/**
 * The rows of all shards in bounded memory: a batch of each. Statements run on all shards at once and wait for whoever reads. Leaving
 * the loop early ends them.
 */
export async function* streamRows(
  shards: readonly Shard[],
  statement: Statement,
  options: StreamOptions,
): AsyncGenerator<Row> {
  const connections: { shard: Shard; connection: ServerConnection }[] = [];
  const streams: OpenStream[] = [];
  const cancel = () => {
    for (const { connection } of connections) connection.cancel().catch(() => {});
  };
  options.signal?.addEventListener('abort', cancel, { once: true });
  try {
    const opened = await Promise.allSettled(
      shards.map(async (shard) => {
        const connection = await connect(shard.primary, options);
        connections.push({ shard, connection });
        streams.push({ shard, connection, portal: await PortalRows.open(connection, statement, options.batchRows) });
      }),
    );
    for (const each of opened) if (each.status === 'rejected') throw each.reason;
    streams.sort((a, b) => a.shard.id - b.shard.id);
    const shape = commonShape(streams.map(({ portal }) => portal.shape));
    const sources = streams.map(({ shard, portal }) => rowSource(shard.id, portal));
    const rows = options.orderedBy ? mergeOrdered(shape, options.orderedBy, sources) : concatenate(sources);
    for await (const row of rows) yield decodeRow(shape, row);
  } finally {
    options.signal?.removeEventListener('abort', cancel);
    await Promise.all(streams.map(({ portal }) => portal.close()));
    for (const { shard, connection } of connections) shard.primary.release(connection);
  }
}

async function* concatenate(sources: readonly RowSource[]): AsyncGenerator<TextRow> {
  for (const source of sources) {
    for (let row = await source.next(); row !== undefined; row = await source.next()) yield row;
  }
}

function rowSource(shard: number, portal: PortalRows): RowSource {
  let batch: readonly TextRow[] = [];
  let at = 0;
  return {
    shard,
    async next() {
      if (at === batch.length) {
        batch = await portal.next();
        at = 0;
      }
      return batch[at++];
    },
  };
}
