/*
 * What one server says of itself, as one JSON object: the same SQL wherever it runs, so that `pgherd_servers` here and
 * run_command_on_all_nodes() on another kind of cluster tell the same. Sizes in bytes, times in milliseconds.
 */

const maxListed = 10;
const maxTextLength = 200;

const cut = (text: string) => `left(${text}, ${maxTextLength})`;
const sinceMs = (moment: string) => `round(extract(epoch FROM clock_timestamp() - ${moment}) * 1000)::bigint`;
const intervalMs = (value: string) => `round(extract(epoch FROM ${value}) * 1000, 1)`;

/** A standby counts from what it has replayed: it may have standbys of its own. */
const ownLsn = 'CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END';
const behind = (lsn: string) => `greatest(pg_wal_lsn_diff(${ownLsn}, r.${lsn}), 0)`;

const standbysSql = `SELECT json_agg(json_build_object('name', r.application_name, 'client', host(r.client_addr), 'state', r.state,
    'sync', r.sync_state, 'sent_bytes', ${behind('sent_lsn')}, 'write_bytes', ${behind('write_lsn')},
    'flush_bytes', ${behind('flush_lsn')}, 'replay_bytes', ${behind('replay_lsn')}, 'write_ms', ${intervalMs('r.write_lag')},
    'flush_ms', ${intervalMs('r.flush_lag')}, 'replay_ms', ${intervalMs('r.replay_lag')}) ORDER BY r.application_name, r.pid)
  FROM pg_catalog.pg_stat_replication r`;

const preparedSql = `SELECT json_agg(json_build_object('gid', p.gid, 'owner', p.owner, 'age_ms', ${sinceMs('p.prepared')}) ORDER BY p.prepared)
  FROM (SELECT * FROM pg_catalog.pg_prepared_xacts x WHERE x.database = current_database() ORDER BY x.prepared LIMIT ${maxListed}) p`;

const longTransactionsSql = `SELECT json_agg(json_build_object('pid', a.pid, 'age_ms', ${sinceMs('a.xact_start')}, 'state', a.state,
    'user', a.usename, 'application', a.application_name, 'query', ${cut('a.query')}) ORDER BY a.xact_start)
  FROM (SELECT * FROM pg_catalog.pg_stat_activity s WHERE s.backend_type = 'client backend' AND s.xact_start IS NOT NULL
    AND s.pid <> pg_backend_pid() ORDER BY s.xact_start LIMIT ${maxListed}) a`;

/** pg_blocking_pids() stops the lock manager for a moment: only waiting processes are asked for. */
const lockWaitsSql = `SELECT json_agg(json_build_object('pid', w.pid, 'age_ms', ${sinceMs('w.waitstart')}, 'query', ${cut('w.query')},
    'blocking', w.blocking, 'blocking_query', (SELECT ${cut('b.query')} FROM pg_catalog.pg_stat_activity b WHERE b.pid = w.blocking[1]))
    ORDER BY w.waitstart)
  FROM (SELECT a.pid, a.query, coalesce(min(l.waitstart), a.query_start) AS waitstart, pg_blocking_pids(a.pid) AS blocking
    FROM pg_catalog.pg_stat_activity a JOIN pg_catalog.pg_locks l ON l.pid = a.pid AND NOT l.granted
    WHERE a.wait_event_type = 'Lock' GROUP BY a.pid, a.query, a.query_start ORDER BY 3 LIMIT ${maxListed}) w`;

const staleTablesSql = `SELECT json_agg(json_build_object('table', t.name, 'changed', t.changed, 'live', t.live) ORDER BY t.changed DESC)
  FROM (SELECT regexp_replace(u.schemaname, '^pgherd_s[0-9]+_', '') || '.' || u.relname AS name,
      sum(u.n_mod_since_analyze) AS changed, sum(u.n_live_tup) AS live
    FROM pg_catalog.pg_stat_user_tables u WHERE u.schemaname !~ '^pgherd(_|$)' OR u.schemaname ~ '^pgherd_s[0-9]+_'
    GROUP BY 1 HAVING sum(u.n_mod_since_analyze) > 0 ORDER BY 2 DESC LIMIT ${maxListed}) t`;

const orNone = (sql: string) => `coalesce((${sql}), '[]'::json)`;

export const serverFactsSql = `SELECT json_build_object(
  'version', current_setting('server_version'),
  'up_ms', ${sinceMs('pg_postmaster_start_time()')},
  'in_recovery', pg_is_in_recovery(),
  'connections', (SELECT count(*) FROM pg_catalog.pg_stat_activity a WHERE a.backend_type = 'client backend'),
  'max_connections', current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer,
  'active', (SELECT count(*) FROM pg_catalog.pg_stat_activity a WHERE a.backend_type = 'client backend' AND a.state = 'active' AND a.pid <> pg_backend_pid()),
  'transactions', (SELECT d.xact_commit + d.xact_rollback FROM pg_catalog.pg_stat_database d WHERE d.datname = current_database()),
  'database_bytes', pg_database_size(current_database()),
  'data_directory', CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE') THEN current_setting('data_directory') END,
  'xid_age', (SELECT max(age(d.datfrozenxid)) FROM pg_catalog.pg_database d),
  'standbys', ${orNone(standbysSql)},
  'prepared', ${orNone(preparedSql)},
  'long_transactions', ${orNone(longTransactionsSql)},
  'lock_waits', ${orNone(lockWaitsSql)},
  'stale_tables', ${orNone(staleTablesSql)})`;
