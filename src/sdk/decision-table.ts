import type { ConnectionPool } from '../backend/pool.ts';
import type { ServerConnection } from '../backend/server-connection.ts';
import { pgError } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { withConnection } from './shard-server.ts';

/*
 * A distributed transaction is decided by one row on its home shard, whose primary key lets exactly one decision win: its maker inserts
 * 'commit' in the home shard's own part of the transaction, recovery inserts 'abort'. A maker that took longer than `maxOpenInterval`
 * can't decide any more, so that an 'abort' may be forgotten after `keepInterval`, which is much longer.
 */
const maxOpenInterval = '1 hour';
const keepInterval = '1 day';

const lockKey = 0x70677364;

const createSql = `
BEGIN;
SELECT pg_advisory_xact_lock(${lockKey}), set_config('client_min_messages', 'warning', true);
CREATE SCHEMA IF NOT EXISTS pgherd_sdk;
CREATE TABLE IF NOT EXISTS pgherd_sdk.decision (
  gid text PRIMARY KEY,
  outcome text NOT NULL CHECK (outcome IN ('commit', 'abort')),
  participants integer[] NOT NULL,
  decided_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMIT`;

/** In a transaction of its own, where it isn't there yet. */
export function ensureDecisionTable(pool: ConnectionPool): Promise<void> {
  return withConnection(pool, async (connection) => {
    const { rows } = await connection.query("SELECT to_regclass('pgherd_sdk.decision') IS NULL");
    if (rows[0]?.[0] === 't') await connection.query(createSql);
  });
}

/** Within the home shard's part; its COMMIT decides. What a lost server acknowledged must be there after its restart. */
export async function recordCommit(home: SqlRunner, gid: string, participants: readonly number[]): Promise<void> {
  await home.query(`SELECT set_config('synchronous_commit', 'on', true)
    WHERE current_setting('synchronous_commit') IN ('off', 'local')`);
  const { tag } = await home.query(
    `INSERT INTO pgherd_sdk.decision (gid, outcome, participants)
      SELECT $1, 'commit', $2::integer[] WHERE clock_timestamp() - now() < interval '${maxOpenInterval}'
      ON CONFLICT (gid) DO NOTHING`,
    [gid, `{${participants.join(',')}}`],
  );
  if (tag === 'INSERT 0 1') return;
  const message = `recovery was faster, or the transaction was open for more than ${maxOpenInterval}: it is rolled back`;
  throw pgError('serializationFailure', message, { hint: 'Run the transaction again.' });
}

/** Recording the opposite tells which decision won. An insert that meets one under way waits for its end. */
export async function askDecision(home: ServerConnection, gid: string): Promise<'commit' | 'abort'> {
  await home.query("SELECT set_config('synchronous_commit', 'on', false)");
  await home.query(
    `INSERT INTO pgherd_sdk.decision (gid, outcome, participants) VALUES ($1, 'abort', '{}') ON CONFLICT (gid) DO NOTHING`,
    [gid],
  );
  const { rows } = await home.query('SELECT outcome FROM pgherd_sdk.decision WHERE gid = $1', [gid]);
  await home.query('RESET synchronous_commit');
  return rows[0]?.[0] === 'commit' ? 'commit' : 'abort';
}

/** Once every participant has been told. */
export async function forgetDecision(home: SqlRunner, gid: string): Promise<void> {
  await home.query('DELETE FROM pgherd_sdk.decision WHERE gid = $1', [gid]);
}

export interface OldDecision {
  readonly gid: string;
  readonly participants: readonly number[];
}

/** Decisions that are old enough to be forgotten, if nothing of theirs is prepared any more. */
export async function oldDecisions(home: SqlRunner, prefix: string): Promise<OldDecision[]> {
  const { rows } = await home.query(
    `SELECT gid, array_to_string(participants, ',') FROM pgherd_sdk.decision
      WHERE decided_at < now() - interval '${keepInterval}' AND starts_with(gid, $1)`,
    [prefix],
  );
  return rows.map(([gid, participants]) => ({
    gid: gid!,
    participants: participants === '' ? [] : participants!.split(',').map(Number),
  }));
}
