import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

let herd: TestHerd;
let client: pg.Client;
const notices: string[] = [];

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  client = await connect();
  client.on('notice', (notice) => notices.push(notice.message ?? ''));
  await client.query('CREATE TABLE items (id int PRIMARY KEY, v text)');
  await client.query("SELECT create_distributed_table('items', 'id', shard_count := 4)");
  await client.query("INSERT INTO items SELECT g, 'v' || g FROM generate_series(1, 100) g");
}, 120_000);

afterAll(async () => {
  await client?.end();
  await herd?.stop();
});

async function connect(user = 'postgres'): Promise<pg.Client> {
  const other = new pg.Client({ connectionString: herd.url.replace('postgres@', `${user}@`) });
  other.on('error', () => {});
  await other.connect();
  return other;
}

const rows = async (sql: string, values?: unknown[]) => (await client.query(sql, values)).rows;

/** Of the processes that run a statement with this text, one for each node. */
async function processes(text: string): Promise<string[]> {
  const sql =
    "SELECT min(global_pid) AS global_pid FROM citus_stat_activity WHERE state = 'active' AND nodeid > 0 AND query LIKE $1 GROUP BY nodeid ORDER BY 1";
  return (await rows(sql, [`%${text}%`])).map((row) => row.global_pid);
}

async function untilOnBothNodes(text: string): Promise<string[]> {
  await expect.poll(async () => (await processes(text)).length, { timeout: 20_000, interval: 100 }).toBe(2);
  return processes(text);
}

/** A statement that waits on both nodes for rows that `holder` has locked. */
async function waitingStatement(text: string) {
  const [holder, waiter] = [await connect(), await connect()];
  await holder.query("BEGIN; UPDATE items SET v = 'held'");
  const outcome = waiter.query(`UPDATE items SET v = '${text}'`).catch((error: unknown) => error);
  const found = await untilOnBothNodes(text);
  const end = async () => {
    await holder.query('ROLLBACK');
    await Promise.all([holder.end(), waiter.end().catch(() => {})]);
  };
  return { found, outcome, waiter, end };
}

test('cancelling one node’s process cancels the statement on all nodes, and its session goes on', async () => {
  const { found, outcome, waiter, end } = await waitingStatement('cancel me');
  expect(await rows('SELECT pg_cancel_backend($1)', [found[0]])).toEqual([{ pg_cancel_backend: true }]);
  expect(await outcome).toMatchObject({ code: '57014' });
  expect(await processes('cancel me')).toEqual([]);
  expect((await waiter.query('SELECT count(*)::int AS n FROM items')).rows).toEqual([{ n: 100 }]);
  await end();
});

test('ending one node’s process, found by the view, ends the session', async () => {
  const { outcome, waiter, end } = await waitingStatement('end me');
  await client.query(
    "SELECT pg_catalog.pg_terminate_backend(global_pid) FROM citus_stat_activity WHERE nodeid = 2 AND query LIKE '%end me%' AND state = 'active'",
  );
  expect(await outcome).toMatchObject({ code: '57P01' });
  await expect(waiter.query('SELECT 1')).rejects.toThrow();
  expect(await processes('end me')).toEqual([]);
  await end();
});

test('a process of the coordinator is signalled together with the nodes that work for it', async () => {
  const { outcome, end } = await waitingStatement('by the coordinator');
  const holder = await connect();
  await holder.query('BEGIN; SELECT 1');
  const [{ pid }] = (await holder.query('SELECT pg_backend_pid() AS pid')).rows;
  const sleeping = holder.query('SELECT pg_sleep(60)').catch((error: unknown) => error);
  await expect
    .poll(
      () => rows("SELECT 1 AS one FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'"),
      {
        timeout: 20_000,
        interval: 50,
      },
    )
    .toEqual([{ one: 1 }]);
  expect(await rows(`SELECT pg_cancel_backend(${pid})`)).toEqual([{ pg_cancel_backend: true }]);
  expect(await sleeping).toMatchObject({ code: '57014' });
  await client.query(
    "SELECT pg_cancel_backend(global_pid) FROM citus_stat_activity WHERE nodeid = 1 AND query LIKE '%by the coordinator%' AND state = 'active'",
  );
  expect(await outcome).toMatchObject({ code: '57014' });
  await holder.end();
  await end();
});

test('only those may signal whom PostgreSQL lets', async () => {
  await client.query('CREATE ROLE bystander LOGIN');
  const { found, outcome, end } = await waitingStatement('not mine');
  const bystander = await connect('bystander');
  await expect(bystander.query('SELECT pg_cancel_backend($1::bigint)', [found[0]])).rejects.toMatchObject({
    code: '42501',
  });
  expect(await processes('not mine')).toHaveLength(2);
  await client.query('SELECT pg_cancel_backend($1)', [found[1]]);
  expect(await outcome).toMatchObject({ code: '57014' });
  await bystander.end();
  await end();
});

test('what is not there is told: a process, a node, a column', async () => {
  await client.query('SELECT pg_cancel_backend(10000000001)');
  expect(notices.at(-1)).toBe('PID 1 is not a PostgreSQL backend process on worker1');
  expect(await rows('SELECT pg_cancel_backend(990000000001)')).toEqual([{ pg_cancel_backend: false }]);
  expect(notices.at(-1)).toMatch(/there is no node 99/);
  await expect(client.query('SELECT pg_cancel_backend(1), nothing')).rejects.toMatchObject({ position: '30' });
});

test('citus_shard_sizes has a row for each shard, as a view and as a function', async () => {
  const sizes = await rows('SELECT shard_id, size FROM citus_shard_sizes ORDER BY 1');
  expect(sizes.map((row) => row.shard_id)).toEqual([102008, 102009, 102010, 102011]);
  expect(sizes.every((row) => Number(row.size) > 0)).toBe(true);
  expect(await rows('SELECT * FROM citus_shard_sizes() ORDER BY 1')).toEqual(sizes);
});
