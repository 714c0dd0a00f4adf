import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { type LatencyCounts, latencyBoundsMs } from '../core/latency.ts';
import { healthScore } from './health.ts';
import { type Observation, type Seen, type ServerFacts, type Standby, seenIn } from './observation.ts';
import type { RouterReadings } from './router-readings.ts';
import { alertKinds } from './rules.ts';
import type { Look } from './watch.ts';

export interface MetricSources {
  readings(): RouterReadings;
  /** The last look at the cluster; null: there was none yet. */
  look(): Look | null;
  nowMs(): number;
}

/** Everything that `/metrics` tells. Nothing is counted here: values are taken over when they are asked for. */
export function createMetrics(sources: MetricSources): Registry {
  const registry = new Registry();
  routerMetrics(registry, sources);
  serverMetrics(registry, sources);
  clusterMetrics(registry, sources);
  processMetrics(registry);
  return registry;
}

type Labels = Readonly<Record<string, string>>;
type Values = readonly (readonly [labels: Labels, value: number | null])[];

interface Definition {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: string[];
}

function gauge(registry: Registry, definition: Definition, values: () => Values): void {
  new Gauge({
    ...{ labelNames: [], ...definition, registers: [registry] },
    collect() {
      this.reset();
      for (const [labels, value] of values()) if (value !== null) this.set(labels, value);
    },
  });
}

function counter(registry: Registry, definition: Definition, values: () => Values): void {
  new Counter({
    ...{ labelNames: [], ...definition, registers: [registry] },
    collect() {
      this.reset();
      for (const [labels, value] of values()) if (value !== null) this.inc(labels, value);
    },
  });
}

const stageMetric = 'pgherd_stage_duration_seconds';
const stageHelp = 'How long the stages of statements took in this router.';

/** A histogram that is counted elsewhere. */
class TakenHistogram extends Histogram<'stage'> {
  readonly #counts: () => Readonly<Record<string, LatencyCounts>>;

  constructor(registry: Registry, counts: () => Readonly<Record<string, LatencyCounts>>) {
    super({
      ...{ name: stageMetric, help: stageHelp },
      ...{ labelNames: ['stage'], buckets: latencyBoundsMs.map((ms) => ms / 1_000), registers: [registry] },
    });
    this.#counts = counts;
  }

  /** What the registry asks first; the package's types don't know it. */
  async getForPromString() {
    const values = Object.entries(this.#counts()).flatMap(([stage, counts]) => histogramValues(stage, counts));
    return { name: stageMetric, help: stageHelp, type: 'histogram', aggregator: 'sum', values };
  }
}

function histogramValues(stage: string, { buckets, count, sumMs }: LatencyCounts) {
  let below = 0;
  const cumulative = latencyBoundsMs.map((ms, i) => {
    below += buckets[i]!;
    return { metricName: `${stageMetric}_bucket`, labels: { stage, le: ms / 1_000 }, value: below };
  });
  return [
    ...cumulative,
    { metricName: `${stageMetric}_bucket`, labels: { stage, le: '+Inf' }, value: count },
    { metricName: `${stageMetric}_sum`, labels: { stage }, value: sumMs / 1_000 },
    { metricName: `${stageMetric}_count`, labels: { stage }, value: count },
  ];
}

function routerMetrics(registry: Registry, { readings }: MetricSources): void {
  const by = (label: string, counts: Iterable<readonly [string, number]>): Values =>
    [...counts].map(([name, count]) => [{ [label]: name }, count]);
  const pools = (figure: 'open' | 'busy' | 'waiting' | 'maxConnections') => (): Values =>
    readings().pools.map((pool) => [{ server: pool.server, role: pool.role }, pool[figure]]);
  new TakenHistogram(registry, () => readings().stages);
  counter(
    registry,
    { name: 'pgherd_statements_total', help: 'Statements that this router has carried out.', labelNames: ['class'] },
    () => by('class', Object.entries(readings().statements)),
  );
  counter(
    registry,
    { name: 'pgherd_statement_errors_total', help: 'Statements that failed.', labelNames: ['sqlstate_class'] },
    () => by('sqlstate_class', readings().errors),
  );
  counter(registry, { name: 'pgherd_plans_total', help: 'Plans by rung of the planner.', labelNames: ['rung'] }, () =>
    by('rung', readings().plans),
  );
  counter(
    registry,
    {
      ...{ name: 'pgherd_server_traffic_bytes_total', labelNames: ['server', 'direction'] },
      help: 'Bytes between sessions of this router and servers.',
    },
    () =>
      readings().traffic.flatMap(
        ({ server, sentBytes, receivedBytes }): Values => [
          [{ server, direction: 'sent' }, sentBytes],
          [{ server, direction: 'received' }, receivedBytes],
        ],
      ),
  );
  counter(
    registry,
    {
      ...{ name: 'pgherd_shared_statements_total', labelNames: ['server', 'outcome'] },
      help: 'Statements in line with others on one connection: answered there, or moved to another.',
    },
    () =>
      readings().sharing.flatMap(
        ({ server, answered, moved }): Values => [
          [{ server, outcome: 'answered' }, answered],
          [{ server, outcome: 'moved' }, moved],
        ],
      ),
  );
  gauge(registry, { name: 'pgherd_clients', help: 'Client sessions of this router.' }, () => [
    [{}, readings().clients],
  ]);
  const labelNames = ['server', 'role'];
  gauge(registry, { name: 'pgherd_pool_open', help: 'Open connections of a pool.', labelNames }, pools('open'));
  gauge(registry, { name: 'pgherd_pool_busy', help: 'Connections in use.', labelNames }, pools('busy'));
  gauge(
    registry,
    { name: 'pgherd_pool_waiting', help: 'Sessions that wait for a connection.', labelNames },
    pools('waiting'),
  );
  gauge(
    registry,
    { name: 'pgherd_pool_max', help: 'Most connections of a pool.', labelNames },
    pools('maxConnections'),
  );
}

function serverMetrics(registry: Registry, { look }: MetricSources): void {
  const servers = () => {
    const observation = look()?.observation;
    return observation === undefined ? [] : (seenIn(observation.servers) ?? []);
  };
  const figure = (name: string, help: string, value: (facts: ServerFacts) => number | null) =>
    gauge(registry, { name: `pgherd_server_${name}`, help, labelNames: ['server'] }, () =>
      servers().flatMap(
        ({ name: server, answer }): Values => (answer.kind === 'facts' ? [[{ server }, value(answer.facts)]] : []),
      ),
    );
  gauge(registry, { name: 'pgherd_server_up', help: '1: the server answers.', labelNames: ['server'] }, () =>
    servers().map(({ name, answer }) => [{ server: name }, answer.kind === 'facts' ? 1 : 0]),
  );
  gauge(
    registry,
    { name: 'pgherd_server_answer_seconds', help: 'How long the last look took.', labelNames: ['server'] },
    () => servers().map(({ name, answerMs }) => [{ server: name }, answerMs === null ? null : answerMs / 1_000]),
  );
  figure('connections', 'Client connections of the server.', (facts) => facts.connections);
  figure('max_connections', 'Most connections of ordinary roles.', (facts) => facts.maxConnections);
  figure('active', 'Statements that run.', (facts) => facts.active);
  figure('database_bytes', 'Size of the database.', (facts) => facts.databaseBytes);
  figure('xid_age', 'Age of the oldest transaction id.', (facts) => facts.xidAge);
  figure('prepared_transactions', 'Prepared transactions, at most 10.', (facts) => facts.prepared.length);
  figure('lock_waits', 'Processes that wait for a lock, at most 10.', (facts) => facts.lockWaits.length);
  figure('longest_transaction_seconds', 'Age of the oldest open transaction.', ({ longTransactions: [oldest] }) =>
    oldest ? oldest.ageMs / 1_000 : 0,
  );
  counter(
    registry,
    {
      ...{ name: 'pgherd_server_transactions_total', labelNames: ['server'] },
      help: 'Transactions that the server has ended.',
    },
    () =>
      servers().flatMap(
        ({ name, answer }): Values => (answer.kind === 'facts' ? [[{ server: name }, answer.facts.transactions]] : []),
      ),
  );
  const lags = (lag: (standby: Standby) => readonly (readonly [string, number | null])[]) => (): Values =>
    servers().flatMap(
      ({ name: server, answer }): Values =>
        answer.kind === 'none'
          ? []
          : answer.facts.standbys.flatMap((standby) =>
              lag(standby).map(([stage, value]) => [{ server, standby: standbyName(standby), stage }, value] as const),
            ),
    );
  const labelNames = ['server', 'standby', 'stage'];
  gauge(
    registry,
    { name: 'pgherd_standby_lag_bytes', help: 'How far a standby is behind.', labelNames },
    lags(({ sentBytes, writeBytes, flushBytes, replayBytes }) => [
      ...[['sent', sentBytes] as const, ['write', writeBytes] as const],
      ...[['flush', flushBytes] as const, ['replay', replayBytes] as const],
    ]),
  );
  gauge(
    registry,
    { name: 'pgherd_standby_lag_seconds', help: 'The same as time, while something is written.', labelNames },
    lags(({ writeMs, flushMs, replayMs }) =>
      [['write', writeMs] as const, ['flush', flushMs] as const, ['replay', replayMs] as const].map(
        ([stage, ms]) => [stage, ms === null ? null : ms / 1_000] as const,
      ),
    ),
  );
}

function standbyName({ name, client }: Standby): string {
  return client === null ? name : `${name}@${client}`;
}

function clusterMetrics(registry: Registry, { look, nowMs }: MetricSources): void {
  const seen = <T>(part: (observation: Observation) => Seen<T>): T | null => {
    const observation = look()?.observation;
    return observation === undefined ? null : seenIn(part(observation));
  };
  gauge(registry, { name: 'pgherd_health_score', help: 'Usable nodes of all nodes, in percent.' }, () => {
    const last = look();
    return last === null ? [] : [[{}, healthScore(last.observation)]];
  });
  gauge(registry, { name: 'pgherd_node_up', help: '1: the node can be used.', labelNames: ['node'] }, () =>
    (seen(({ nodes }) => nodes) ?? []).map(({ name, active, reachable }) => [
      { node: name },
      active && reachable !== false ? 1 : 0,
    ]),
  );
  const labelNames = ['group', 'node'];
  gauge(registry, { name: 'pgherd_shard_group_bytes', help: 'Size of shards, by co-location group.', labelNames }, () =>
    (seen(({ groups }) => groups) ?? []).map(({ group, node, bytes }) => [{ group, node }, bytes]),
  );
  gauge(registry, { name: 'pgherd_shard_group_shards', help: 'Shards, by co-location group.', labelNames }, () =>
    (seen(({ groups }) => groups) ?? []).map(({ group, node, count }) => [{ group, node }, count]),
  );
  gauge(registry, { name: 'pgherd_slow_queries', help: 'Slow queries, at most 10.' }, () => [
    [{}, seen(({ slowQueries }) => slowQueries)?.length ?? null],
  ]);
  gauge(registry, { name: 'pgherd_alerts', help: 'Open alerts of the monitor.', labelNames: ['kind'] }, () => {
    const open = [...(look()?.active.values() ?? [])];
    return alertKinds.map((kind) => [{ kind }, open.filter((alert) => alert.kind === kind).length]);
  });
  gauge(registry, { name: 'pgherd_observation_age_seconds', help: 'How old the figures of servers are.' }, () => {
    const last = look();
    return last === null ? [] : [[{}, (nowMs() - last.observation.atMs) / 1_000]];
  });
}

function processMetrics(registry: Registry): void {
  counter(registry, { name: 'pgherd_process_cpu_seconds_total', help: 'CPU time of this process.' }, () => {
    const { user, system } = process.cpuUsage();
    return [[{}, (user + system) / 1_000_000]];
  });
  gauge(registry, { name: 'pgherd_process_resident_bytes', help: 'Memory of this process.' }, () => [
    [{}, process.memoryUsage.rss()],
  ]);
}
