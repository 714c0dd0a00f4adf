import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { startHerd, type TestHerd } from '../harness/herd.ts';
import { startStandbyOf, type TestServer } from '../harness/postgres.ts';

const token = 'a token of enough length';
const deploy = join(import.meta.dirname, '..', '..', 'deploy');
let herd: TestHerd;
let standby: TestServer;
let client: pg.Client;

beforeAll(async () => {
  herd = await startHerd({ nodes: 2, http: { guard: { kind: 'token', token }, tls: null } });
  client = new pg.Client({ connectionString: herd.url });
  await client.connect();
  await client.query('CREATE TABLE items (id int PRIMARY KEY, v text)');
  await client.query("SELECT create_distributed_table('items', 'id', shard_count := 4)");
  standby = await startStandbyOf(herd.byName.get('worker1')!, 'standby1');
}, 120_000);

afterAll(async () => {
  await client?.end();
  await standby?.stop();
  await herd?.stop();
});

const ask = (path: string, headers: Record<string, string> = { authorization: `Bearer ${token}` }) =>
  fetch(`http://127.0.0.1:${herd.httpPort}${path}`, { headers });

/** Samples by name and labels as they stand in the text: `pgherd_plans_total{rung="local"}`. */
async function metrics(): Promise<Map<string, number>> {
  const text = await (await ask('/metrics')).text();
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

test('health and readiness are told to everybody, metrics to those who have the token', async () => {
  expect((await ask('/healthz', {})).status).toBe(200);
  expect(await (await ask('/readyz', {})).text()).toBe('ready\n');
  expect((await ask('/metrics', {})).status).toBe(401);
  expect((await ask('/metrics', { authorization: 'Bearer another' })).status).toBe(401);
  expect((await ask('/metrics')).headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
});

test('statements are counted by class, rung and stage, and failures by class of SQLSTATE', async () => {
  const before = await metrics();
  for (let id = 0; id < 5; id++) await client.query('INSERT INTO items VALUES ($1, $2)', [id, 'x']);
  await client.query('SELECT v FROM items WHERE id = 1');
  await client.query('BEGIN; UPDATE items SET v = v; COMMIT');
  await expect(client.query('SELECT 1 / 0')).rejects.toThrow('division');
  const after = await metrics();
  const grown = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0);
  expect(grown('pgherd_statements_total{class="insert"}')).toBe(5);
  expect(grown('pgherd_statements_total{class="update"}')).toBe(1);
  expect(grown('pgherd_statements_total{class="transaction"}')).toBe(2);
  expect(grown('pgherd_statement_errors_total{sqlstate_class="22"}')).toBe(1);
  expect(grown('pgherd_plans_total{rung="single shard"}')).toBeGreaterThanOrEqual(1);
  for (const stage of ['parse', 'plan', 'run', 'commit', 'statement']) {
    const count = `pgherd_stage_duration_seconds_count{stage="${stage}"}`;
    expect(grown(count), stage).toBeGreaterThanOrEqual(1);
    const bucket = (le: string) => after.get(`pgherd_stage_duration_seconds_bucket{stage="${stage}",le="${le}"}`)!;
    expect(bucket('+Inf')).toBe(after.get(count));
    expect(bucket('60')).toBeLessThanOrEqual(bucket('+Inf'));
    expect(bucket('0.001')).toBeLessThanOrEqual(bucket('0.01'));
    expect(after.get(`pgherd_stage_duration_seconds_sum{stage="${stage}"}`)).toBeGreaterThan(0);
  }
});

test('nodes, servers, shard groups, pools and standbys have their figures', async () => {
  const wanted = [
    ...['pgherd_node_up{node="worker1"} 1', 'pgherd_server_up{server="coordinator"} 1', 'pgherd_health_score 100'],
    'pgherd_standby_lag_bytes{server="worker1",standby="standby1@127.0.0.1",stage="replay"} 0',
  ];
  const text = async () => [...(await metrics())].map(([name, value]) => `${name} ${value}`);
  await expect.poll(text, { timeout: 40_000, interval: 1_000 }).toEqual(expect.arrayContaining(wanted));
  const found = await metrics();
  const group = [...found.keys()].filter((name) => name.startsWith('pgherd_shard_group_shards{'));
  expect(group.map((name) => found.get(name))).toEqual([2, 2]);
  expect(found.get('pgherd_pool_max{server="worker1",role="postgres"}')).toBe(40);
  expect(found.get('pgherd_server_traffic_bytes_total{server="worker1",direction="sent"}')).toBeGreaterThan(0);
  expect(found.get('pgherd_clients')).toBeGreaterThanOrEqual(1);
});

test('the dashboard for Grafana and the rules for Prometheus name only metrics and labels that exist', async () => {
  const text = await (await ask('/metrics')).text();
  const known = new Set(
    [...text.matchAll(/^# TYPE (\w+) (\w+)/gm)].flatMap(([, name, type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name!],
    ),
  );
  const labels = new Set([...text.matchAll(/[{,](\w+)="/g)].map(([, label]) => label!));
  const { panels } = JSON.parse(readFileSync(join(deploy, 'grafana', 'pgherd.json'), 'utf8'));
  const { groups } = parse(readFileSync(join(deploy, 'prometheus', 'alerts.yml'), 'utf8'));
  const expressions: string[] = [
    ...panels.flatMap((panel: { targets: { expr: string }[] }) => panel.targets.map(({ expr }) => expr)),
    ...groups.flatMap((group: { rules: { expr: string }[] }) => group.rules.map(({ expr }) => expr)),
  ];
  expect(expressions.length).toBeGreaterThan(30);
  const named = new Set(expressions.flatMap((expression) => expression.match(/\bpgherd_\w+/g) ?? []));
  expect([...named].filter((name) => !known.has(name))).toEqual([]);
  const grouped = expressions.flatMap((expression) =>
    [...expression.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list]) => list!.split(/, */)),
  );
  expect(
    grouped.filter((label) => !labels.has(label) && !['instance', 'kind', 'sqlstate_class'].includes(label)),
  ).toEqual([]);
});

test('a router whose coordinator is away is not ready, and says so', async () => {
  await herd.byName.get('coordinator')!.crash();
  const answer = await ask('/readyz', {});
  expect(answer.status).toBe(503);
  expect(await answer.text()).toMatch(/not ready: .*coordinator/);
  expect((await ask('/healthz', {})).status).toBe(200);
  await herd.byName.get('coordinator')!.restart();
  await expect.poll(async () => (await ask('/readyz', {})).status, { timeout: 20_000, interval: 300 }).toBe(200);
});
