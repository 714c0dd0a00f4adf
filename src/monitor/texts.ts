import { percent, short, size, time } from './details.ts';
import type { Finding } from './findings.ts';
import type { AlertKind, Severity } from './rules.ts';
import { alertTextsZh, severityWordsZh } from './texts-zh.ts';

export const languages = ['en', 'zh'] as const;
export type Language = (typeof languages)[number];

export interface AlertText {
  /** What is the matter. */
  readonly message: string;
  /** What to do about it. */
  readonly advice: string;
}

export type Details = Finding['details'];
export type AlertTexts = Readonly<Record<AlertKind, (subject: string, details: Details) => AlertText>>;

export function alertText({ kind, subject, details }: Finding, language: Language): AlertText {
  return (language === 'zh' ? alertTextsZh : alertTextsEn)[kind](subject, details);
}

export function severityWord(severity: Severity, language: Language): string {
  return language === 'zh' ? severityWordsZh[severity] : severity;
}

const alertTextsEn: AlertTexts = {
  clusterUnreachable: (_, { why }) => ({
    message: `the cluster can't be reached: ${why}`,
    advice: 'Look at the router: pgherd status, and its log; then at the coordinator. pgherd up starts both.',
  }),
  nodeDown: (node, { why }) => ({
    message: why === 'inactive' ? `node ${node} is switched off` : `node ${node} is down: ${why}`,
    advice:
      why === 'inactive'
        ? 'SELECT citus_activate_node(…) switches it on again.'
        : 'Start its PostgreSQL and read its log; the embedded herd does so itself. Statements that need its shards fail with 08006 until then.',
  }),
  nodeFlapping: (node, { changes, windowMs }) => ({
    message: `node ${node} went up or down ${changes} times within ${time(windowMs)}`,
    advice: 'Read its log for crashes (out of memory, disk) and look at the network between it and the router.',
  }),
  replayLag: (standby, { bytes, ms }) => ({
    message: `standby ${standby} is ${size(bytes)}${ms === undefined ? '' : `, ${time(ms)},`} behind in replay`,
    advice:
      'Where sent lags, look at the network; where only replay lags, at long queries on the standby (hot_standby_feedback, max_standby_streaming_delay), at pg_is_wal_replay_paused() and at its disk.',
  }),
  slowQueries: (_, { count, query, meanMs }) => ({
    message: `${count} slow queries; the slowest takes ${time(meanMs)}: ${short(query)}`,
    advice:
      'EXPLAIN ANALYZE it through the router: a filter on the distribution column, an index, or co-location of joined tables mostly helps. After a fix, SELECT pg_stat_statements_reset() and citus_stat_statements_reset().',
  }),
  transactionInDoubt: (server, { count, ageMs, gid }) => ({
    message: `${count} prepared transactions in doubt on ${server}, the oldest for ${time(ageMs)}: ${gid}`,
    advice:
      'SELECT * FROM pgherd_transactions says why. Those called pgherd:… are settled by recovery once the coordinator and their node answer; never touch them by hand. Others are a client’s: COMMIT PREPARED or ROLLBACK PREPARED.',
  }),
  longTransaction: (server, { ageMs, pid, state, query }) => ({
    message: `a transaction has been open on ${server} for ${time(ageMs)} (pid ${pid}, ${state}): ${short(query)}`,
    advice:
      'It keeps locks and dead rows. End its client, or SELECT pg_terminate_backend(global_pid) FROM citus_stat_activity; SET idle_in_transaction_session_timeout guards against it.',
  }),
  lockWait: (server, { ageMs, pid, query, blocking, blockingQuery }) => ({
    message: `pid ${pid} on ${server} has waited ${time(ageMs)} for a lock: ${short(query)}`,
    advice: `It waits for pid ${blocking} (${short(blockingQuery)}). Let that one commit, or cancel it: SELECT * FROM citus_lock_waits has the global pids.`,
  }),
  poolExhausted: (pool, { waiting, maxConnections }) => ({
    message: `${waiting} sessions wait for one of the ${maxConnections} connections of pool ${pool}`,
    advice: 'Shorten transactions, or raise pools.maxConnectionsPerPool (and max_connections of the servers).',
  }),
  connections: (server, { connections, maxConnections }) => ({
    message: `${server} has ${connections} of ${maxConnections} connections (${percent(connections, maxConnections)})`,
    advice:
      'Find who holds them: SELECT usename, application_name, count(*) FROM pg_stat_activity GROUP BY 1, 2. Let clients use the router’s pools, or raise max_connections: pgherd gpconfig -c max_connections.',
  }),
  shardImbalance: (node, { bytes, averageBytes }) => ({
    message: `node ${node} holds ${size(bytes)} of shards; the average is ${size(averageBytes)}`,
    advice:
      'SELECT table_name, nodename, sum(shard_size) FROM citus_shards GROUP BY 1, 2 shows by which table. Few large key values mean another distribution column; otherwise move shards.',
  }),
  diskFull: (server, { freeBytes, totalBytes }) => ({
    message: `the disk of ${server} has ${size(freeBytes)} free of ${size(totalBytes)}`,
    advice:
      'Free space before PostgreSQL stops: drop what is not needed, look at pg_wal (inactive replication slots keep it: SELECT * FROM pg_replication_slots) and at old logs, or enlarge the disk.',
  }),
  staleStatistics: (server, { count, table, changed }) => ({
    message: `${count} tables on ${server} have stale statistics, the worst ${table} with ${changed} changed rows`,
    advice: 'ANALYZE them; if it comes again, see whether autovacuum is on and keeps up.',
  }),
  wraparound: (server, { xidAge }) => ({
    message: `the oldest transaction id on ${server} is ${xidAge} old; at about 2,100,000,000 it stops writing`,
    advice:
      'VACUUM FREEZE its tables now; end old transactions, prepared transactions and replication slots, which keep VACUUM from it.',
  }),
};
