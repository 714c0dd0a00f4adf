import type { ServerConnection } from '../backend/server-connection.ts';
import { pgError } from '../core/errors.ts';
import type { QueryResult } from '../core/runner.ts';
import { decodeRow, type Row } from './decode-value.ts';
import { encodeParameter, type Parameter } from './encode-parameter.ts';
import type { Shard } from './shard-server.ts';
import { type TimeLimit, withinTime } from './time-limit.ts';

export interface QueryOutcome<R> {
  readonly rows: readonly R[];
  /** Rows that were read or changed. */
  readonly rowCount: number;
  /** `SELECT`, `INSERT`, … */
  readonly command: string;
}

export interface ShardTransaction {
  readonly shard: number;
  query<R extends object = Row>(sql: string, parameters?: readonly Parameter[]): Promise<QueryOutcome<R>>;
}

/** A transaction's part on one shard: a connection of its own, from BEGIN to its end. */
export interface ShardPart {
  readonly shard: Shard;
  readonly connection: ServerConnection;
  readonly transaction: ShardTransaction;
}

export type IsolationLevel = 'read committed' | 'repeatable read' | 'serializable';

const levels: Readonly<Record<IsolationLevel, string>> = {
  'read committed': 'READ COMMITTED',
  'repeatable read': 'REPEATABLE READ',
  serializable: 'SERIALIZABLE',
};

/** BEGIN leaves with the first statement's packet. */
export async function beginPart(
  shard: Shard,
  connection: ServerConnection,
  { isolation, limit }: { readonly isolation: IsolationLevel; readonly limit: TimeLimit },
): Promise<ShardPart> {
  await connection.query(`BEGIN ISOLATION LEVEL ${levels[isolation]}`);
  return { shard, connection, transaction: queriesOn(shard.id, connection, limit) };
}

export function queriesOn(shard: number, connection: ServerConnection, limit: TimeLimit): ShardTransaction {
  return {
    shard,
    query: async <R extends object>(sql: string, parameters: readonly Parameter[] = []) => {
      const values = parameters.map(encodeParameter);
      return outcomeOf<R>(await withinTime(connection, limit, () => connection.query(sql, values)));
    },
  };
}

export function outcomeOf<R extends object>(result: QueryResult): QueryOutcome<R> {
  const words = result.tag.split(' ');
  const count = Number(words.at(-1));
  return {
    rows: result.rows.map((row) => decodeRow(result, row) as R),
    rowCount: Number.isNaN(count) ? 0 : count,
    command: words[0] ?? '',
  };
}

/** Rolls back and gives the connection back. Never rejects: what can't be rolled back is closed, which does the same. */
export async function abandonPart({ shard, connection }: Pick<ShardPart, 'shard' | 'connection'>): Promise<void> {
  if (connection.transactionStatus !== 'I') await connection.query('ROLLBACK').catch(() => {});
  shard.primary.release(connection);
}

/** How an end of a part went. */
export type PartEnd =
  | { readonly kind: 'done' }
  /** The server said no: the part is rolled back. */
  | { readonly kind: 'refused'; readonly error: unknown }
  /** Nobody knows. */
  | { readonly kind: 'lost'; readonly error: unknown };

/** Runs COMMIT, or PREPARE TRANSACTION. In a failed transaction PostgreSQL answers ROLLBACK to both, and no error. */
export async function endPart(
  { connection }: Pick<ShardPart, 'connection'>,
  sql: string,
  limit: TimeLimit,
): Promise<PartEnd> {
  try {
    const { tag } = await withinTime(connection, limit, () => connection.query(sql));
    if (tag !== 'ROLLBACK') return { kind: 'done' };
    const message = 'a statement of the transaction had failed: it was rolled back';
    return { kind: 'refused', error: pgError('inFailedSqlTransaction', message) };
  } catch (error) {
    return { kind: connection.closed ? 'lost' : 'refused', error };
  }
}
