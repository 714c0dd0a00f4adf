import type { ConnectionPool } from '../backend/pool.ts';
import type { ServerConnection } from '../backend/server-connection.ts';
import type { QueryResult } from '../core/runner.ts';
import { settled } from '../core/settled.ts';
import { isUnavailable, wasRolledBack, withRetries } from './retry.ts';
import { type Shard, withConnection } from './shard-server.ts';
import { type TimeLimit, withinTime } from './time-limit.ts';

export interface Statement {
  readonly sql: string;
  readonly parameters: readonly (string | null)[];
}

/** How one statement is run. */
export interface RunOptions extends TimeLimit {
  /**
   * `write` may change rows: it is sent once, and only connecting is repeated. `read` runs in a READ ONLY transaction and is repeated
   * after failures that may pass. `replica` is a read that may be behind, on the replicas in turn, and on the primary when they fail.
   */
  readonly access: 'write' | 'read' | 'replica';
  readonly retries: number;
}

export async function runOnShard(shard: Shard, statement: Statement, options: RunOptions): Promise<QueryResult> {
  if (options.access === 'write') {
    const connection = await connect(shard.primary, options);
    try {
      return await withinTime(connection, options, () => connection.query(statement.sql, statement.parameters));
    } finally {
      shard.primary.release(connection);
    }
  }
  const pools = options.access === 'replica' ? inTurn(shard) : [shard.primary];
  return withRetries(Math.max(options.retries, pools.length - 1), isTransient, (attempt) => {
    const pool = pools[Math.min(attempt, pools.length - 1)]!;
    const read = (connection: ServerConnection) =>
      withinTime(connection, options, () => readOnly(connection, statement));
    return withConnection(pool, read, options.signal);
  });
}

/** Nothing has been sent yet: connecting may be repeated whatever comes after. */
export function connect(
  pool: ConnectionPool,
  { retries, signal }: Pick<RunOptions, 'retries' | 'signal'>,
): Promise<ServerConnection> {
  const free = pool.tryAcquire();
  return free ? Promise.resolve(free) : withRetries(retries, isUnavailable, () => pool.acquire(signal));
}

const isTransient = (error: unknown) => isUnavailable(error) || wasRolledBack(error);

/** Three exchanges, sent together. */
async function readOnly(connection: ServerConnection, { sql, parameters }: Statement): Promise<QueryResult> {
  const [, result] = await settled([
    connection.query('BEGIN READ ONLY'),
    connection.query(sql, parameters),
    connection.query('COMMIT'),
  ]);
  return result!;
}

function inTurn({ replicas, primary, turn }: Shard): ConnectionPool[] {
  const start = replicas.length === 0 ? 0 : turn.next++ % replicas.length;
  return [...replicas.slice(start), ...replicas.slice(0, start), primary];
}
