import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ServerConnection } from '../../src/backend/server-connection.ts';
import { type MonitorFlags, monitor } from '../../src/cli/monitor.ts';
import { pgError } from '../../src/core/errors.ts';
import { collect } from '../../src/monitor/collect.ts';
import type { Report } from '../../src/monitor/report.ts';
import { startHerd, type TestHerd } from '../harness/herd.ts';
import { startStandbyOf, type TestServer } from '../harness/postgres.ts';

const scratch = join(tmpdir(), `pgherd-monitor-${process.pid}`);
let herd: TestHerd;
/** Without what a busy test machine may be rightly told of. */
const calmFile = `${scratch}-calm.yaml`;
let standby: TestServer;
let client: pg.Client;

beforeAll(async () => {
  writeFileSync(
    calmFile,
    'monitor: { alerts: { slowQueries: { severity: off }, staleStatistics: { severity: off } } }',
  );
  herd = await startHerd({ nodes: 2 });
  client = await connect(herd.url);
  await client.query('CREATE TABLE distributed_items (id int PRIMARY KEY, v text)');
  await client.query("SELECT create_distributed_table('distributed_items', 'id', shard_count := 4)");
  await client.query("INSERT INTO distributed_items SELECT g, 'v' || g FROM generate_series(1, 1000) g");
  standby = await startStandbyOf(herd.byName.get('worker1')!, 'standby1');
}, 120_000);

afterAll(async () => {
  await client?.end();
  await standby?.stop();
  await herd?.stop();
  for (const suffix of ['.yaml', '-calm.yaml', '.jsonl']) rmSync(`${scratch}${suffix}`, { force: true });
});

async function connect(connectionString: string): Promise<pg.Client> {
  const opened = new pg.Client({ connectionString });
  opened.on('error', () => {});
  await opened.connect();
  return opened;
}

const urlOf = (server: { readonly port: number }) => `postgresql://postgres@127.0.0.1:${server.port}/postgres`;

interface Outcome {
  readonly reports: Report[];
  readonly text: string;
  readonly warnings: readonly string[];
  readonly isWell: boolean;
}

async function run(
  flags: Partial<MonitorFlags>,
  looks = 1,
  between?: (look: number) => Promise<void>,
): Promise<Outcome> {
  const lines: string[] = [];
  const warnings: string[] = [];
  const stop = new AbortController();
  let pending = Promise.resolve();
  const print = (line: string) => {
    lines.push(line);
    if (lines.length >= looks) stop.abort();
    else if (between) pending = between(lines.length);
  };
  const all = { data: '', url: herd.url, interval: 1, lang: 'en' as const, config: calmFile, ...flags };
  const isWell = await monitor(all, { print, warn: (line) => warnings.push(line) }, stop.signal);
  await pending;
  return { reports: all.json ? lines.map((line) => JSON.parse(line)) : [], text: lines.join('\n'), warnings, isWell };
}

const report = async (flags: Partial<MonitorFlags> = {}) => {
  const { reports, isWell } = await run({ once: true, json: true, ...flags });
  return { ...reports[0]!, isWell };
};

function rulesFile(yaml: string): string {
  writeFileSync(`${scratch}.yaml`, yaml);
  return `${scratch}.yaml`;
}

const alertsOf = (found: Report) => found.alerts.map(({ kind, subject }) => `${kind} ${subject}`.trim());

/** The source document's script, over the same rows. */
async function byTheScript(pattern: string) {
  const rows = async (sql: string, values?: unknown[]) => (await client.query(sql, values)).rows;
  const nodes = await rows('SELECT nodename, nodeport, isactive, noderole FROM pg_dist_node ORDER BY nodename');
  const shards = await rows(
    'SELECT nodename, COUNT(*) AS n, SUM(shard_size) AS size FROM citus_shards GROUP BY nodename ORDER BY size DESC, 1',
  );
  const [performance] = await rows(
    'SELECT COUNT(*) AS n, AVG(total_time) AS average, MAX(total_time) AS longest FROM pg_stat_statements WHERE query LIKE $1',
    [pattern],
  );
  const active = nodes.filter((node) => node.isactive).length;
  return {
    score: (active / nodes.length) * 100,
    nodes: nodes.map((n) => ({ name: n.nodename, port: n.nodeport, active: n.isactive, role: n.noderole })),
    shards: shards.map((s) => ({ node: s.nodename, count: Number(s.n), size: Number(s.size) })),
    performance: {
      ...{ total_queries: Number(performance.n), avg_query_time: performance.average },
      max_query_time: performance.longest,
    },
  };
}

test('a report says what the source document’s script would say, and that all is well', async () => {
  const pattern = '%INSERT INTO %distributed_items%';
  const expected = await byTheScript(pattern);
  const found = await report({ config: rulesFile(`monitor: { statements: '${pattern}' }`) });
  expect(found.health_score).toBe(expected.score);
  expect(found.cluster_health.nodes).toEqual(expected.nodes.map((node) => ({ ...node, reachable: true })));
  expect(found.cluster_health.shards).toEqual(expected.shards);
  expect(found.cluster_health.performance).toMatchObject({
    total_queries: expected.performance.total_queries,
    avg_query_time: expect.closeTo(expected.performance.avg_query_time, 6),
    max_query_time: expect.closeTo(expected.performance.max_query_time, 6),
  });
  expect(expected.performance.total_queries).toBeGreaterThan(0);
  expect(found.cluster_health.servers?.map(({ name, reachable }) => [name, reachable])).toEqual([
    ...[['coordinator', true] as const, ['worker1', true] as const, ['worker2', true] as const],
  ]);
  expect(found.alerts).toEqual([]);
  expect(found.isWell).toBe(true);
  expect(Object.keys(found.unseen)).toEqual(['disks']);
});

test('a standby that has stopped replaying is told in bytes, with what to do, until it has caught up', async () => {
  const onStandby = await connect(urlOf(standby));
  await expect
    .poll(async () => (await report()).replication_status.replication_lag, { timeout: 20_000, interval: 500 })
    .toMatchObject([{ node: 'worker1', application: 'standby1', state: 'streaming', replay_lag: 0 }]);
  await onStandby.query('SELECT pg_wal_replay_pause()');
  await client.query("INSERT INTO distributed_items SELECT g, 'v' || g FROM generate_series(1001, 40000) g");
  const lagging = await report();
  const [lag] = lagging.replication_status.replication_lag!;
  expect(lag!.replay_lag).toBeGreaterThan(1_000_000);
  expect(lag!.sent_lag).toBeLessThan(lag!.replay_lag!);
  expect(alertsOf(lagging)).toEqual(['replayLag worker1/standby1@127.0.0.1']);
  expect(lagging.alerts[0]!.advice).toMatch(/pg_is_wal_replay_paused/);
  await onStandby.query('SELECT pg_wal_replay_resume()');
  await expect.poll(async () => alertsOf(await report()), { timeout: 20_000, interval: 300 }).toEqual([]);
  await onStandby.end();
});

test('slow queries are told with text, calls, times and rows, by the servers and for the whole statement', async () => {
  await client.query('SELECT count(*) FROM (SELECT pg_sleep(0.3)) s');
  await client.query('SELECT id FROM distributed_items WHERE id = 7 AND pg_sleep(0.3) IS NOT NULL');
  const rules = rulesFile('monitor: { alerts: { slowQueries: { meanMs: 250, severity: info } } }');
  const found = await report({ config: rules });
  const slow = found.slow_queries!.filter(({ query }) => /pg_sleep/.test(query));
  expect(new Set(slow.map(({ node }) => node))).toEqual(
    new Set(['router', 'coordinator', expect.stringMatching(/^worker[12]$/)]),
  );
  expect(
    slow.every((query) => query.mean_time > 250 && query.calls === 1 && query.total_time === query.mean_time),
  ).toBe(true);
  expect(slow.map(({ mean_time }) => mean_time)).toEqual(
    [...slow.map(({ mean_time }) => mean_time)].sort((a, b) => b - a),
  );
  expect(found.alerts.find(({ kind }) => kind === 'slowQueries')).toMatchObject({ severity: 'info' });
  expect((await report()).slow_queries!.filter(({ query }) => /pg_sleep/.test(query))).toEqual([]);
});

test('locks, open transactions, transactions in doubt, stale statistics and connections are told by server', async () => {
  await client.query("UPDATE distributed_items SET v = 'new' WHERE id > 500");
  const [holder, waiter] = [await connect(herd.url), await connect(herd.url)];
  await holder.query("BEGIN; UPDATE distributed_items SET v = 'held' WHERE id = 1");
  const waiting = waiter.query("UPDATE distributed_items SET v = 'waits' WHERE id = 1");
  const node = await connect(urlOf(herd.byName.get('worker2')!));
  await node.query("BEGIN; CREATE TABLE doubtful (x int); PREPARE TRANSACTION 'somebody''s'");
  const rules = rulesFile(`monitor:
  alerts:
    lockWait: { ageMs: 1 }
    longTransaction: { ageMs: 1 }
    transactionInDoubt: { ageMs: 1 }
    connections: { share: 0.001 }
    staleStatistics: { minRows: 1, changedShare: 0 }`);
  const kinds = async () => [...new Set((await report({ config: rules })).alerts.map(({ kind }) => kind))].sort();
  await expect
    .poll(kinds, { timeout: 30_000, interval: 500 })
    .toEqual(['connections', 'lockWait', 'longTransaction', 'staleStatistics', 'transactionInDoubt']);
  const found = await report({ config: rules, lang: 'zh' });
  expect(found.alerts.find(({ kind }) => kind === 'transactionInDoubt')).toMatchObject({
    ...{ subject: 'worker2', details: { gid: "somebody's" } },
    message: expect.stringContaining('悬而未决'),
  });
  expect(found.alerts.find(({ kind }) => kind === 'lockWait')!.details['blockingQuery']).toMatch(/held/);
  await node.query("ROLLBACK PREPARED 'somebody''s'");
  await holder.query('ROLLBACK');
  await waiting;
  await Promise.all([holder.end(), waiter.end(), node.end()]);
});

test('a node that dies and comes back makes one alert with a beginning and an end, in the log and at the webhook', async () => {
  const bodies: { events: { event: string; kind: string; subject: string }[] }[] = [];
  let refusals = 1;
  const hook = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    if (refusals-- > 0) response.statusCode = 503;
    else bodies.push(JSON.parse(text));
    response.end();
  });
  hook.listen(0, '127.0.0.1');
  await once(hook, 'listening');
  const worker = herd.byName.get('worker2')!;
  await worker.crash();
  const flags = {
    ...{ json: true as const, log: `${scratch}.jsonl` },
    webhook: `http://127.0.0.1:${(hook.address() as AddressInfo).port}/alerts`,
  };
  const { reports, warnings } = await run(flags, 5, async (look) => {
    if (look === 2) await worker.restart();
  });
  expect(reports[0]!.unseen).toEqual({ disks: expect.any(String) });
  expect(reports[0]).toMatchObject({
    health_score: 50,
    cluster_health: { shards: [{ node: 'worker1' }, { node: 'worker2', size: 0 }] },
    alerts: [{ kind: 'nodeDown', subject: 'worker2', severity: 'critical' }],
  });
  expect(alertsOf(reports[1]!)).toEqual(['nodeDown worker2']);
  expect(reports.at(-1)).toMatchObject({ health_score: 100, alerts: [] });
  const logged = readFileSync(`${scratch}.jsonl`, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(logged.map(({ event, kind, subject }) => `${event} ${kind} ${subject}`)).toEqual([
    'begin nodeDown worker2',
    'end nodeDown worker2',
  ]);
  expect(bodies.flatMap(({ events }) => events.map(({ event }) => event))).toEqual(['begin', 'end']);
  expect(warnings).toEqual([expect.stringContaining('it answered 503')]);
  hook.close();
});

test('whatever it watches may be away, or be no herd at all', async () => {
  const gone = await report({ url: 'postgresql://postgres@127.0.0.1:1/postgres' });
  expect(gone).toMatchObject({ health_score: 0, isWell: false, alerts: [{ kind: 'clusterUnreachable' }] });
  const plain = await report({ url: urlOf(herd.byName.get('worker1')!) });
  expect(plain.health_score).toBeNull();
  expect(plain.cluster_health.servers).toMatchObject([{ name: 'server', reachable: true }]);
  expect(plain.replication_status.replication_lag).toHaveLength(1);
  expect(Object.keys(plain.unseen)).toEqual(expect.arrayContaining(['nodes', 'shards', 'pools']));
});

test('a cluster without pgherd’s own views is seen by those that Citus has', async () => {
  const connection = await ServerConnection.open(
    {
      label: 'router',
      host: '127.0.0.1',
      port: herd.port,
      database: 'postgres',
      user: 'postgres',
      secret: { kind: 'none' },
      tls: null,
    },
    new Map(),
  );
  const asThere = {
    query: (sql: string, parameters?: readonly (string | null)[]) => {
      const missing = /pgherd_\w+|nodename FROM pg_stat|SELECT nodename, (?:query|count)/.exec(sql);
      if (missing) return Promise.reject(pgError('undefinedTable', `relation "${missing[0]}" does not exist`));
      return connection.query(sql, parameters);
    },
  };
  const options = { slowMeanMs: 1_000, statementPattern: '%', diskOf: null };
  const seen = await collect(asThere, Date.now(), options);
  connection.close();
  expect(seen.servers).toMatchObject({
    kind: 'seen',
    value: [
      { name: 'coordinator', answer: { kind: 'facts' } },
      { name: 'worker1', answer: { kind: 'facts', facts: { standbys: [{ name: 'standby1' }] } } },
      { name: 'worker2', answer: { kind: 'facts' } },
    ],
  });
  expect(seen.nodes).toMatchObject({ kind: 'seen', value: [{ reachable: true }, { reachable: true }] });
  expect(seen.statements).toMatchObject({ kind: 'seen', value: { byNode: [] } });
  expect(seen.shards.kind).toBe('seen');
  expect(seen.pools.kind).toBe('unseen');
});

test('a report for people is in their language', async () => {
  const english = await run({ once: true });
  expect(english.text).toMatch(/health score: 100\.0 %\nactive nodes: 2\/2/);
  expect(english.text).toMatch(/worker1 +standby1 127\.0\.0\.1 +streaming/);
  const chinese = await run({ once: true, lang: 'zh' });
  expect(chinese.text).toMatch(/健康评分: 100\.0 %\n活跃节点: 2\/2/);
});

test('a threshold that does not exist is a fault with its line', async () => {
  const wrong = rulesFile('monitor:\n  alerts:\n    replayLag: { bites: 5 }');
  await expect(report({ config: wrong })).rejects.toThrow(
    /yaml:3: monitor\.alerts\.replayLag\.bites: there is no such key/,
  );
});
