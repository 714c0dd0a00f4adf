import type { SqlRunner } from '../core/runner.ts';
import type { MeasuredStatement } from './query-trends.ts';

/* What the dashboard asks beside what the observatory sees, all through SQL. */

type Row = Readonly<Record<string, string | null>>;

async function ask(runner: SqlRunner, sql: string): Promise<Row[]> {
  const { columns, rows } = await runner.query(sql);
  return rows.map((row) => Object.fromEntries(columns.map((column, i) => [column, row[i] ?? null])));
}

/** Every copy of every shard, with the times that this router has measured. */
export async function tableShards(runner: SqlRunner) {
  const shards = await ask(
    runner,
    `SELECT s.table_name::text, s.shardid, s.nodename, s.shard_size, s.citus_table_type, s.colocation_id FROM citus_shards s ORDER BY 1, 2, 3`,
  );
  const times = await ask(runner, 'SELECT shard_id, calls, avg_query_time, max_query_time FROM citus_shard_statistics');
  const byShard = new Map(times.map((row) => [row['shard_id'], row]));
  return shards.map((shard) => {
    const measured = byShard.get(shard['shardid'] ?? '');
    return {
      ...{ table: shard['table_name'], shard: Number(shard['shardid']), node: shard['nodename'] },
      ...{ bytes: Number(shard['shard_size']), kind: shard['citus_table_type'], group: Number(shard['colocation_id']) },
      ...{ calls: Number(measured?.['calls'] ?? 0), meanMs: Number(measured?.['avg_query_time'] ?? 0) },
    };
  });
}

const maxMeasured = 50;

/** Whole statements as the router has measured them, those that have cost most. */
export async function measuredStatements(runner: SqlRunner): Promise<readonly MeasuredStatement[]> {
  const rows = await ask(
    runner,
    `SELECT queryid, query, executor, calls, total_time, max_time FROM citus_stat_statements ORDER BY total_time DESC LIMIT ${maxMeasured}`,
  );
  return rows.map((row) => ({
    ...{ id: row['queryid'] ?? '', query: row['query'] ?? '', rung: row['executor'] ?? '' },
    ...{ calls: Number(row['calls']), totalMs: Number(row['total_time']), maxMs: Number(row['max_time']) },
  }));
}

/** What is not idle on all servers, the longest first. */
export async function activity(runner: SqlRunner) {
  const rows = await ask(
    runner,
    `SELECT a.global_pid, a.nodeid, coalesce(n.name, 'coordinator') AS node, a.usename, a.application_name, a.state, a.wait_event_type,
      a.wait_event, a.query, round(extract(epoch FROM clock_timestamp() - a.query_start) * 1000)::bigint AS ms
    FROM citus_stat_activity a LEFT JOIN pgherd.node n ON n.node_id = a.nodeid
    WHERE a.backend_type = 'client backend' AND a.state <> 'idle' AND a.pid IS NOT NULL AND a.query NOT LIKE '%pgherd.live%'
      AND a.query NOT LIKE '%citus_stat_activity%' AND a.query NOT LIKE '%to_jsonb(s) AS doc%'
    ORDER BY a.query_start LIMIT 500`,
  );
  return rows.map((row) => ({
    ...{ globalPid: row['global_pid'], node: row['node'], user: row['usename'], application: row['application_name'] },
    ...{ state: row['state'], query: row['query'], ms: Number(row['ms']) },
    wait: row['wait_event'] === null ? null : `${row['wait_event_type']}: ${row['wait_event']}`,
  }));
}

export async function transactionsAndLocks(runner: SqlRunner) {
  const inDoubt = await ask(
    runner,
    `SELECT gid, nodename, owner, decision, why, round(extract(epoch FROM clock_timestamp() - since) * 1000)::bigint AS ms
    FROM pgherd_transactions ORDER BY since LIMIT 200`,
  );
  const waits = await ask(
    runner,
    `SELECT w.waiting_gpid, w.blocking_gpid, w.blocked_statement, w.current_statement_in_blocking_process, coalesce(n.name, 'coordinator') AS node
    FROM citus_lock_waits w LEFT JOIN pgherd.node n ON n.node_id = w.waiting_nodeid LIMIT 200`,
  );
  return {
    inDoubt: inDoubt.map((row) => ({
      ...{ gid: row['gid'], node: row['nodename'], owner: row['owner'], decision: row['decision'] },
      ...{ why: row['why'], ms: Number(row['ms']) },
    })),
    waits: waits.map((row) => ({
      ...{ waiting: row['waiting_gpid'], blocking: row['blocking_gpid'], node: row['node'] },
      ...{ waitingQuery: row['blocked_statement'], blockingQuery: row['current_statement_in_blocking_process'] },
    })),
  };
}

/** The newest first; `done` and `all` count nodes. */
export async function jobs(runner: SqlRunner) {
  const rows = await ask(
    runner,
    `SELECT j.job_id, j.kind, j.state, j.error, j.created_at, j.updated_at, j.finished_at,
      coalesce(((j.arguments->>'relation')::bigint)::oid::regclass::text, '') AS subject,
      jsonb_array_length(coalesce(j.progress->'nodes', '[]')) AS done, (SELECT count(*) FROM pgherd.node n WHERE n.active) AS all
    FROM pgherd.job j ORDER BY j.job_id DESC LIMIT 100`,
  );
  return rows.map((row) => ({
    ...{
      id: Number(row['job_id']),
      kind: row['kind'],
      state: row['state'],
      error: row['error'],
      subject: row['subject'],
    },
    ...{ created: row['created_at'], updated: row['updated_at'], finished: row['finished_at'] },
    ...{ done: Number(row['done']), all: Number(row['all']) },
  }));
}

/** Gives whether the request was passed on. */
export async function signal(runner: SqlRunner, globalPid: string, how: 'cancel' | 'terminate'): Promise<boolean> {
  const { rows } = await runner.query(`SELECT pg_${how}_backend($1::bigint)`, [globalPid]);
  return rows[0]?.[0] === 't';
}
