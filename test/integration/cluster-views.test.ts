import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

let herd: TestHerd;
let client: pg.Client;
const notices: string[] = [];

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  client = new pg.Client({ connectionString: herd.url });
  client.on('notice', (notice) => notices.push(notice.message ?? ''));
  await client.connect();
  await client.query('CREATE TABLE distributed_items (id int PRIMARY KEY, v text)');
  await client.query("SELECT create_distributed_table('distributed_items', 'id', shard_count := 8)");
  await client.query('CREATE INDEX items_v ON distributed_items (v)');
  await client.query("INSERT INTO distributed_items SELECT g, 'v' || g FROM generate_series(1, 100) g");
  await client.query('CREATE TABLE here (x int)');
  await client.query('INSERT INTO here VALUES (1)');
}, 120_000);

afterAll(async () => {
  await client?.end();
  await herd?.stop();
});

const rows = async (sql: string, values?: unknown[]) => (await client.query(sql, values)).rows;

describe('unqualified statistics are those of all servers', () => {
  test('pg_stat_activity has the sessions of every server, and says which', async () => {
    const found = await rows('SELECT DISTINCT nodename FROM pg_stat_activity ORDER BY 1');
    expect(found.map((row) => row.nodename)).toEqual(['coordinator', 'worker1', 'worker2']);
    const [own] = await rows(
      'SELECT a.datname, a.datid = d.oid AS same FROM pg_stat_activity a JOIN pg_database d USING (datname) WHERE pid = pg_backend_pid()',
    );
    expect(own).toEqual({ datname: 'postgres', same: true });
  });

  test('pg_catalog.pg_stat_activity is the coordinator’s own', async () => {
    const { fields } = await client.query('SELECT * FROM pg_catalog.pg_stat_activity LIMIT 0');
    expect(fields.map((field) => field.name)).not.toContain('nodename');
  });

  test('the extended protocol describes the added columns', async () => {
    const found = await rows('SELECT nodename, pid FROM pg_stat_activity WHERE nodename = $1 AND pid IS NOT NULL', [
      'worker2',
    ]);
    expect(found.length).toBeGreaterThan(0);
  });

  test('a connection without application_name is called after what it serves', async () => {
    const anonymous = new pg.Client({ connectionString: herd.url });
    await anonymous.connect();
    await anonymous.query('BEGIN');
    await anonymous.query('SELECT count(*) FROM distributed_items');
    await anonymous.query('SELECT 1');
    const found = await rows("SELECT DISTINCT nodename FROM pg_stat_activity WHERE application_name = 'coordinator'");
    expect(found).toEqual([{ nodename: 'coordinator' }]);
    expect((await anonymous.query('SHOW application_name')).rows).toEqual([{ application_name: '' }]);
    await anonymous.query("SET application_name = 'mine'");
    expect((await anonymous.query('SHOW application_name')).rows).toEqual([{ application_name: 'mine' }]);
    expect(await rows("SELECT 1 AS one FROM pg_stat_activity WHERE application_name = 'mine' LIMIT 1")).toHaveLength(1);
    await anonymous.end();
  });

  test('pg_stat_user_tables and pg_stat_user_indexes show one row for each table and server', async () => {
    await client.query('SELECT v FROM distributed_items WHERE id = 7');
    await expect
      .poll(
        () =>
          rows(
            "SELECT nodename, n_tup_ins::int AS inserted, relid = 'distributed_items'::regclass AS same, schemaname FROM pg_stat_user_tables WHERE tablename = 'distributed_items' ORDER BY 1",
          ),
        { timeout: 20_000, interval: 1_000 },
      )
      .toEqual([
        { nodename: 'worker1', inserted: expect.any(Number), same: true, schemaname: 'public' },
        { nodename: 'worker2', inserted: expect.any(Number), same: true, schemaname: 'public' },
      ]);
    await expect
      .poll(
        async () =>
          (
            await rows("SELECT sum(n_tup_ins)::int AS n FROM pg_stat_user_tables WHERE relname = 'distributed_items'")
          )[0].n,
        {
          timeout: 20_000,
          interval: 1_000,
        },
      )
      .toBe(100);
    const local = "SELECT nodename, n_tup_ins::int AS n FROM pg_stat_user_tables WHERE relname = 'here'";
    const expected = [{ nodename: 'coordinator', n: 1 }];
    await expect.poll(() => rows(local), { timeout: 20_000, interval: 1_000 }).toEqual(expected);
    const indexes = await rows(
      "SELECT DISTINCT schemaname, tablename, indexname FROM pg_stat_user_indexes WHERE tablename = 'distributed_items' ORDER BY 3",
    );
    expect(indexes).toEqual([
      { schemaname: 'public', tablename: 'distributed_items', indexname: 'distributed_items_pkey' },
      { schemaname: 'public', tablename: 'distributed_items', indexname: 'items_v' },
    ]);
    expect(await rows("SELECT 1 FROM pg_stat_user_tables WHERE schemaname LIKE 'pgherd%'")).toEqual([]);
  });

  test('pg_stat_statements finds the statements that the nodes ran, under older names too', async () => {
    const found = await rows(
      `SELECT nodename, sum(calls)::int AS calls, bool_and(total_time = total_exec_time AND mean_time = mean_exec_time) AS same
      FROM pg_stat_statements WHERE query LIKE '%distributed_items%' AND nodename <> 'coordinator' GROUP BY 1 ORDER BY 1`,
    );
    expect(found.map(({ nodename, same }) => ({ nodename, same }))).toEqual([
      { nodename: 'worker1', same: true },
      { nodename: 'worker2', same: true },
    ]);
    await client.query('CREATE EXTENSION IF NOT EXISTS pg_stat_statements');
    expect(notices.at(-1)).toMatch(/pg_stat_statements already/);
  });

  test('pg_stat_statements_reset forgets the statements of all servers, for those who may', async () => {
    const counted =
      "SELECT count(*)::int AS n FROM pg_stat_statements WHERE query LIKE '%distributed_items%' AND nodename <> 'coordinator'";
    await client.query('SELECT count(v) FROM distributed_items');
    expect((await rows(counted))[0].n).toBeGreaterThan(0);
    await client.query('SELECT pg_stat_statements_reset(userid := 1)');
    expect((await rows(counted))[0].n).toBeGreaterThan(0);
    await client.query('SELECT pg_stat_statements_reset()');
    expect((await rows(counted))[0].n).toBe(0);
    await client.query('SELECT count(v) FROM distributed_items');
  });

  test('pg_stat_replication is there', async () => {
    expect(await rows('SELECT nodename, state FROM pg_stat_replication')).toEqual([]);
  });

  test('a view over them is cluster-wide, for whoever reads it, and a CTE of the same name is no such view', async () => {
    await client.query('CREATE VIEW busy AS SELECT nodename, pid FROM pg_stat_activity');
    expect((await rows('SELECT DISTINCT nodename FROM busy')).length).toBe(3);
    expect(await rows('WITH pg_stat_activity AS (SELECT 1 AS x) SELECT * FROM pg_stat_activity')).toEqual([{ x: 1 }]);
    await client.query('CREATE TABLE snapshot_of_it AS SELECT * FROM pg_stat_activity');
    expect((await rows('SELECT DISTINCT nodename FROM snapshot_of_it')).length).toBe(3);
  });

  test('an ordinary role sees what it may see', async () => {
    await client.query('CREATE ROLE nobody_special LOGIN');
    const other = new pg.Client({ connectionString: herd.url.replace('postgres@', 'nobody_special@') });
    await other.connect();
    const { rows: found } = await other.query("SELECT DISTINCT query FROM pg_stat_activity WHERE usename = 'postgres'");
    expect(found).toEqual([{ query: '<insufficient privilege>' }]);
    const { rows: statements } = await other.query(
      "SELECT count(*)::int AS n FROM citus_stat_statements WHERE query LIKE '%distributed_items%'",
    );
    expect(statements).toEqual([{ n: 0 }]);
    await other.end();
  });
});

describe('Citus’s statistics', () => {
  test('citus_shard_statistics measures statements by shard', async () => {
    for (let i = 0; i < 3; i++) await client.query('SELECT v FROM distributed_items WHERE id = 7');
    const [shard] = await rows("SELECT get_shard_id_for_distribution_column('distributed_items', 7) AS id");
    const found = await rows(
      'SELECT * FROM citus_shard_statistics WHERE table_name = $1::regclass ORDER BY avg_query_time DESC',
      ['distributed_items'],
    );
    expect(found).toHaveLength(8);
    const own = found.find((row) => row.shard_id === shard.id);
    expect(Number(own.calls)).toBeGreaterThanOrEqual(4);
    expect(own.avg_query_time).toBeGreaterThan(0);
    expect(own.max_query_time).toBeGreaterThanOrEqual(own.avg_query_time);
    expect(own.shard_count).toBe('8');
    expect(Number(own.shard_size)).toBeGreaterThan(0);
    const least = Math.min(...found.map((row) => Number(row.calls)));
    expect(Number(own.calls) - least).toBeGreaterThanOrEqual(3);
  });

  test('citus_stat_statements shows texts without literals', async () => {
    const found = await rows(
      "SELECT query, executor, calls::int AS calls FROM citus_stat_statements WHERE query LIKE 'SELECT v FROM distributed_items%'",
    );
    expect(found).toEqual([
      { query: 'SELECT v FROM distributed_items WHERE id = $1', executor: 'single shard', calls: expect.any(Number) },
    ]);
  });

  test('citus_stat_activity numbers processes over all servers', async () => {
    const found = await rows(
      'SELECT global_pid, nodeid, pid, is_worker_query FROM citus_stat_activity WHERE nodeid > 0 AND pid IS NOT NULL LIMIT 1',
    );
    expect(found[0].global_pid).toBe(String(found[0].nodeid * 10_000_000_000 + found[0].pid));
    expect(found[0].is_worker_query).toBe(true);
    expect(await rows('SELECT 1 FROM citus_dist_stat_activity WHERE nodeid > 0')).toEqual([]);
  });

  test('citus_lock_waits shows who waits for whom on a node', async () => {
    const [a, b] = [new pg.Client({ connectionString: herd.url }), new pg.Client({ connectionString: herd.url })];
    await Promise.all([a.connect(), b.connect()]);
    await a.query('BEGIN');
    await a.query("UPDATE distributed_items SET v = 'a' WHERE id = 7");
    const waiting = b.query("UPDATE distributed_items SET v = 'b' WHERE id = 7");
    await expect
      .poll(() => rows('SELECT blocked_statement FROM citus_lock_waits'), { timeout: 20_000, interval: 200 })
      .toEqual([{ blocked_statement: expect.stringContaining('distributed_items') }]);
    await a.query('COMMIT');
    await waiting;
    await Promise.all([a.end(), b.end()]);
  });
});
