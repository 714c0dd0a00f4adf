import type { NodeShards, Observation, Part, ServerFacts, ServerState } from './observation.ts';
import { seenIn } from './observation.ts';
import type { AlertKind, Rules, Severity } from './rules.ts';

/** A cause for an alert, at one moment. */
export interface Finding {
  readonly kind: AlertKind;
  /** What it is about: a server, a standby, a table; empty: the cluster. With `kind` it names the alert. */
  readonly subject: string;
  readonly severity: Severity;
  /** Figures and names for the text. */
  readonly details: Readonly<Record<string, string | number>>;
}

/** What was seen before that matters now. */
export interface Memory {
  /** When each node changed between up and down, oldest first. Milliseconds. */
  readonly changes: ReadonlyMap<string, readonly number[]>;
  readonly up: ReadonlyMap<string, boolean>;
}

export const noMemory: Memory = { changes: new Map(), up: new Map() };

/** The part of an observation that a kind of alert is judged by: unseen, nothing can be said of it. */
export const judgedBy: Readonly<Record<AlertKind, Part | 'cluster'>> = {
  clusterUnreachable: 'cluster',
  nodeDown: 'nodes',
  nodeFlapping: 'nodes',
  replayLag: 'servers',
  slowQueries: 'slowQueries',
  transactionInDoubt: 'servers',
  longTransaction: 'servers',
  lockWait: 'servers',
  poolExhausted: 'pools',
  connections: 'servers',
  shardImbalance: 'shards',
  diskFull: 'disks',
  staleStatistics: 'servers',
  wraparound: 'servers',
};

type Cause = Omit<Finding, 'severity' | 'kind'>;
type Judge<K extends AlertKind> = (seen: Observation, rule: Rules[K], memory: Memory) => readonly Cause[];

/** All that is wrong with what was seen. Pure. */
export function findingsOf(observation: Observation, rules: Rules, memory: Memory): Finding[] {
  return (Object.keys(judges) as AlertKind[]).flatMap((kind) => {
    const rule = rules[kind];
    const { severity } = rule;
    if (severity === 'off') return [];
    const judge = judges[kind] as Judge<AlertKind>;
    return judge(observation, rule, memory).map((cause) => ({ kind, severity, ...cause }));
  });
}

export function remember(memory: Memory, observation: Observation, rules: Rules): Memory {
  const nodes = seenIn(observation.nodes);
  if (nodes === null) return memory;
  const { atMs } = observation;
  const known = nodes.filter(({ reachable }) => reachable !== null);
  const up = new Map(known.map(({ name, reachable }) => [name, reachable === true]));
  const changes = new Map(
    known.map(({ name }) => {
      const recent = (memory.changes.get(name) ?? []).filter((ms) => ms > atMs - rules.nodeFlapping.windowMs);
      const before = memory.up.get(name);
      return [name, before !== undefined && before !== up.get(name) ? [...recent, atMs] : recent];
    }),
  );
  return { changes, up };
}

const judges: { readonly [K in AlertKind]: Judge<K> } = {
  clusterUnreachable: ({ cluster }) =>
    cluster.kind === 'unreachable' ? [{ subject: '', details: { why: cluster.why } }] : [],
  nodeDown: (seen) => {
    const servers = new Map((seenIn(seen.servers) ?? []).map((server) => [server.id, server]));
    return (seenIn(seen.nodes) ?? [])
      .filter(({ reachable, active }) => reachable === false || !active)
      .map(({ id, name, active }) => ({
        subject: name,
        details: { why: active ? whyOf(servers.get(id)) : 'inactive' },
      }));
  },
  nodeFlapping: (_, { changes, windowMs }, memory) =>
    [...memory.changes]
      .filter(([, times]) => times.length >= changes)
      .map(([subject, times]) => ({ subject, details: { changes: times.length, windowMs } })),
  replayLag: (seen, { bytes, ms }) =>
    onServers(seen, ({ standbys }, server) =>
      standbys
        .filter(({ replayBytes, replayMs }) => {
          const behind = replayBytes ?? 0;
          return behind > bytes || (behind > 0 && (replayMs ?? 0) > ms);
        })
        .map(({ name, client, replayBytes, replayMs }) => ({
          subject: `${server}/${name}${client === null ? '' : `@${client}`}`,
          details: { bytes: replayBytes ?? 0, ...(replayMs === null ? {} : { ms: replayMs }) },
        })),
    ),
  slowQueries: (seen, { meanMs }) => {
    const slow = (seenIn(seen.slowQueries) ?? []).filter((query) => query.meanMs > meanMs);
    const [worst] = slow;
    if (worst === undefined) return [];
    return [{ subject: '', details: { count: slow.length, query: worst.query, meanMs: worst.meanMs } }];
  },
  transactionInDoubt: (seen, { ageMs }) =>
    onServers(seen, ({ prepared }, server) => oldest(server, prepared, ageMs, ({ gid }) => ({ gid }))),
  longTransaction: (seen, { ageMs }) =>
    onServers(seen, ({ longTransactions }, server) =>
      oldest(server, longTransactions, ageMs, ({ pid, state, query }) => ({ pid, state, query })),
    ),
  lockWait: (seen, { ageMs }) =>
    onServers(seen, ({ lockWaits }, server) =>
      oldest(server, lockWaits, ageMs, ({ pid, query, blocking, blockingQuery }) => ({
        ...{ pid, query, blocking: blocking.join(', '), blockingQuery: blockingQuery ?? '' },
      })),
    ),
  poolExhausted: (seen, { waiting }) =>
    (seenIn(seen.pools) ?? [])
      .filter((pool) => pool.waiting >= waiting)
      .map((pool) => ({
        subject: `${pool.server}/${pool.role}`,
        details: { waiting: pool.waiting, maxConnections: pool.maxConnections },
      })),
  connections: (seen, { share }) =>
    onServers(seen, ({ connections, maxConnections }, server) =>
      connections < share * maxConnections ? [] : [{ subject: server, details: { connections, maxConnections } }],
    ),
  shardImbalance: (seen, { ratio, minBytes }) => {
    const holding = reachableShards(seen);
    const sum = holding.reduce((bytes, node) => bytes + node.bytes, 0);
    const fullest = holding.reduce<NodeShards | null>(
      (max, node) => (max && max.bytes >= node.bytes ? max : node),
      null,
    );
    const average = sum / holding.length;
    if (fullest === null || holding.length < 2 || sum < minBytes || fullest.bytes <= ratio * average) return [];
    return [{ subject: fullest.node, details: { bytes: fullest.bytes, averageBytes: average } }];
  },
  diskFull: (seen, { freeShare }) =>
    (seenIn(seen.disks) ?? [])
      .filter(({ freeBytes, totalBytes }) => freeBytes < freeShare * totalBytes)
      .map(({ server, freeBytes, totalBytes }) => ({ subject: server, details: { freeBytes, totalBytes } })),
  staleStatistics: (seen, { changedShare, minRows }) =>
    onServers(seen, ({ staleTables }, server) => {
      const stale = staleTables.filter(({ changed, live }) => changed >= minRows && changed > changedShare * live);
      const [worst] = stale;
      if (worst === undefined) return [];
      return [{ subject: server, details: { count: stale.length, table: worst.table, changed: worst.changed } }];
    }),
  wraparound: (seen, rule) =>
    onServers(seen, ({ xidAge }, server) => (xidAge < rule.xidAge ? [] : [{ subject: server, details: { xidAge } }])),
};

function onServers(seen: Observation, judge: (facts: ServerFacts, server: string) => readonly Cause[]): Cause[] {
  return (seenIn(seen.servers) ?? []).flatMap(({ name, answer }) =>
    answer.kind === 'facts' ? judge(answer.facts, name) : [],
  );
}

function whyOf(server: ServerState | undefined): string {
  return server?.answer.kind === 'none' ? server.answer.why : '';
}

/** One alert for a server however many there are: the oldest stands for them. The list is the oldest first. */
function oldest<T extends { readonly ageMs: number }>(
  server: string,
  list: readonly T[],
  ageMs: number,
  details: (item: T) => Readonly<Record<string, string | number>>,
): Cause[] {
  const old = list.filter((item) => item.ageMs >= ageMs);
  const [first] = old;
  return first ? [{ subject: server, details: { count: old.length, ageMs: first.ageMs, ...details(first) } }] : [];
}

/** Sizes on a node that is down are not known, and are no imbalance. */
function reachableShards(seen: Observation): readonly NodeShards[] {
  const down = new Set(
    (seenIn(seen.nodes) ?? []).filter(({ reachable }) => reachable === false).map(({ name }) => name),
  );
  return (seenIn(seen.shards) ?? []).filter(({ node }) => !down.has(node));
}
