import type { ActiveAlerts, Alert } from './alerts.ts';
import { shortText } from './figures.ts';
import { healthScore } from './health.ts';
import { type Observation, parts, type ServerState, type Standby, seenIn } from './observation.ts';
import { severities } from './rules.ts';
import { alertText, type Language } from './texts.ts';

const maxQueryLength = 200;

/** One report as JSON: snake case, ISO times, bytes and milliseconds. What could not be seen is null, and told in `unseen`. */
export function reportJson(seen: Observation, active: ActiveAlerts, language: Language) {
  const timestamp = new Date(seen.atMs).toISOString();
  const statements = seenIn(seen.statements);
  return {
    timestamp,
    health_score: healthScore(seen),
    cluster_health: {
      timestamp,
      nodes:
        seenIn(seen.nodes)?.map(({ name, port, active: isActive, role, reachable }) => ({
          ...{ name, port, active: isActive, role, reachable },
        })) ?? null,
      shards: seenIn(seen.shards)?.map(({ node, count, bytes }) => ({ node, count, size: bytes })) ?? null,
      performance: statements && {
        total_queries: statements.statements,
        total_calls: statements.calls,
        avg_query_time: statements.averageTotalMs,
        max_query_time: statements.maxTotalMs,
        by_node: statements.byNode.map(({ node, calls, meanMs }) => ({ node, calls, mean_time: meanMs })),
      },
      servers: seenIn(seen.servers)?.map(serverJson) ?? null,
      pools:
        seenIn(seen.pools)?.map(({ maxConnections, ...pool }) => ({ ...pool, max_connections: maxConnections })) ??
        null,
      disks:
        seenIn(seen.disks)?.map(({ server, freeBytes, totalBytes }) => ({
          ...{ server, free: freeBytes, total: totalBytes },
        })) ?? null,
    },
    replication_status: { timestamp, replication_lag: replicationLag(seen) },
    slow_queries:
      seenIn(seen.slowQueries)?.map(({ where, query, calls, totalMs, meanMs, rows }) => ({
        ...{ node: where, query: query.length > maxQueryLength ? `${query.slice(0, maxQueryLength)}...` : query },
        ...{ calls, total_time: totalMs, mean_time: meanMs, rows },
      })) ?? null,
    alerts: sorted(active).map((alert) => alertJson(alert, language)),
    unseen: unseenParts(seen),
  };
}

export type Report = ReturnType<typeof reportJson>;

export function alertJson(alert: Alert, language: Language) {
  const { kind, subject, severity, details, sinceMs } = alert;
  const since = new Date(sinceMs).toISOString();
  return { kind, subject, severity, since, ...alertText(alert, language), details };
}

/** The worst first, then the oldest. */
export function sorted(active: ActiveAlerts): Alert[] {
  const rank = (alert: Alert) => severities.indexOf(alert.severity);
  return [...active.values()].sort((a, b) => rank(a) - rank(b) || a.sinceMs - b.sinceMs);
}

/** By name of the part: why it could not be seen. */
export function unseenParts(seen: Observation): Record<string, string> {
  return Object.fromEntries(
    parts.flatMap((name) => {
      const part = seen[name];
      return part.kind === 'unseen' ? [[name, shortText(part.why, maxQueryLength)]] : [];
    }),
  );
}

function serverJson({ id, name, port, answerMs, answer }: ServerState) {
  if (answer.kind === 'none') return { id, name, port, reachable: false, error: answer.why };
  const { facts } = answer;
  return {
    ...{ id, name, port, reachable: true, version: facts.version, role: facts.inRecovery ? 'standby' : 'primary' },
    ...{ up_ms: facts.upMs, connections: facts.connections, max_connections: facts.maxConnections },
    ...{ answer_ms: answerMs, active: facts.active, database_size: facts.databaseBytes, xid_age: facts.xidAge },
  };
}

function replicationLag(seen: Observation) {
  const servers = seenIn(seen.servers);
  if (servers === null) return null;
  return servers.flatMap(({ name, answer }) =>
    answer.kind === 'facts' ? answer.facts.standbys.map((standby) => standbyJson(name, standby)) : [],
  );
}

function standbyJson(node: string, standby: Standby) {
  const { sentBytes, writeBytes, flushBytes, replayBytes, writeMs, flushMs, replayMs } = standby;
  return {
    ...{ node, application: standby.name, client: standby.client, state: standby.state, sync: standby.sync },
    ...{ sent_lag: sentBytes, write_lag: writeBytes, flush_lag: flushBytes, replay_lag: replayBytes },
    ...{ write_ms: writeMs, flush_ms: flushMs, replay_ms: replayMs },
  };
}
