import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RouterOptions, type RunningRouter, startRouter } from '../../src/cli/serve.ts';
import { limits } from '../../src/core/limits.ts';
import { silentLog } from '../../src/core/log.ts';
import { drawPort, type HerdServers, startHerdServers } from '../harness/postgres.ts';

let servers: HerdServers;
let router: RunningRouter;
let client: pg.Client;

beforeAll(async () => {
  servers = await startHerdServers({ nodes: 4 });
  await open([0, 1]);
  await client.query('CREATE TABLE ref (id integer PRIMARY KEY)');
  await client.query('CREATE TABLE d (id integer PRIMARY KEY)');
  await client.query("SELECT create_reference_table('ref')");
  await client.query("SELECT create_distributed_table('d', 'id')");
  await client.query('INSERT INTO ref SELECT generate_series(1, 4)');
});

afterAll(async () => {
  await close();
  await servers.stop();
});

/** A router over some of the nodes, and a client of it. */
async function open(nodes: readonly number[]): Promise<void> {
  const login = ({ host, port }: { host: string; port: number }) => ({
    host,
    port,
    database: 'postgres',
    user: 'postgres',
  });
  const options: RouterOptions = {
    listen: { host: '127.0.0.1', port: await drawPort() },
    coordinator: login(servers.coordinator),
    nodes: nodes.map((index) => ({ name: servers.nodes[index]!.name, ...login(servers.nodes[index]!) })),
    auth: 'trust',
    addresses: {},
    defaultShardCount: 8,
    sharesHerd: true,
    maxConnectionsPerPool: limits.maxConnectionsPerPool,
    log: silentLog,
  };
  router = await startRouter(options);
  client = new pg.Client({ host: '127.0.0.1', port: router.port, user: 'postgres', database: 'postgres' });
  await client.connect();
}

async function close(): Promise<void> {
  await client.end();
  await router.stop();
}

const count = async (sql: string) => (await client.query(sql)).rows[0].count as number;

test('the configuration says how many shards a table gets, and citus.shard_count overrules it', async () => {
  expect(await count("SELECT count(*)::int FROM citus_shards WHERE table_name = 'd'")).toBe(8);
  await client.query('SET citus.shard_count = 3');
  await client.query('CREATE TABLE three (id integer PRIMARY KEY)');
  await client.query("SELECT create_distributed_table('three', 'id')");
  await client.query('RESET citus.shard_count');
  expect(await count("SELECT count(*)::int FROM citus_shards WHERE table_name = 'three'")).toBe(3);
});

test('sizes of shards come from the nodes', async () => {
  const { rows } = await client.query("SELECT sum(shard_size)::int AS bytes FROM citus_shards WHERE table_name = 'd'");
  const tables = await client.query("SELECT table_size FROM citus_tables WHERE table_name = 'd'");
  const pretty = await client.query('SELECT pg_size_pretty($1::bigint) AS size', [rows[0].bytes]);
  expect(rows[0].bytes).toBeGreaterThan(8 * 8192 - 1);
  expect(tables.rows).toEqual([{ table_size: pretty.rows[0].size }]);
});

test('a server that is added by its address gets the reference tables and can hold shards', async () => {
  const { host, port } = servers.nodes[2]!;
  await client.query('SELECT citus_add_node($1, $2)', [host, port]);
  const node = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
  await node.connect();
  expect((await node.query('SELECT count(*)::int FROM ref')).rows).toEqual([{ count: 4 }]);
  await node.end();
});

test('a node that the configuration gains is filled when the router starts', async () => {
  await close();
  await open([0, 1, 3]);
  await client.query('INSERT INTO ref VALUES (5)');
  await client.query('CREATE TABLE e (id integer PRIMARY KEY, r integer REFERENCES ref)');
  await client.query("SELECT create_distributed_table('e', 'id', colocate_with := 'none', shard_count := 16)");
  await client.query('INSERT INTO e SELECT g, 1 + g % 5 FROM generate_series(1, 100) g');
  expect(await count('SELECT count(*)::int FROM e JOIN ref ON r = ref.id')).toBe(100);
  const nodes = "SELECT count(DISTINCT nodename)::int FROM citus_shards WHERE table_name = 'e'";
  expect(await count(nodes)).toBe(4);
});

test('distributing a table with many rows says how far it is', async () => {
  await client.query('CREATE TABLE many AS SELECT g AS id FROM generate_series(1, 250000) g');
  const notices: string[] = [];
  client.on('notice', (notice) => notices.push(notice.message ?? ''));
  await client.query("SELECT create_distributed_table('many', 'id')");
  expect(notices.filter((notice) => /so far/.test(notice))).toEqual([
    'copied 100000 rows of table "many" so far',
    'copied 200000 rows of table "many" so far',
  ]);
  expect(await count('SELECT count(*)::int FROM many')).toBe(250_000);
});
