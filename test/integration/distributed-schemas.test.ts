import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

let herd: TestHerd;
let client: pg.Client;
const notices: string[] = [];
const rows = async (sql: string, values: unknown[] = []) =>
  (await client.query({ text: sql, rowMode: 'array', values })).rows;
const plan = async (sql: string) => (await rows(`EXPLAIN ${sql}`)).join('\n');
/** Rows of a table on each node, asked of the nodes themselves. */
async function onNodes(table: string) {
  const counts = [];
  for (const { host, port } of herd.nodes) {
    const direct = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
    await direct.connect();
    counts.push(Number((await direct.query(`SELECT count(*) FROM ${table}`)).rows[0].count));
    await direct.end();
  }
  return counts;
}

beforeAll(async () => {
  herd = await startHerd({ nodes: 3 });
  client = new pg.Client({ connectionString: herd.url });
  client.on('notice', (notice) => notices.push(notice.message ?? ''));
  await client.connect();
  await client.query(`CREATE SCHEMA t1; CREATE TABLE t1.users (id serial PRIMARY KEY, email text UNIQUE, boss int REFERENCES t1.users);
    CREATE TABLE t1.orders (id bigserial PRIMARY KEY, user_id int NOT NULL REFERENCES t1.users ON DELETE CASCADE, total numeric);
    INSERT INTO t1.users (email) SELECT 'u' || g FROM generate_series(1, 10) g;
    INSERT INTO t1.orders (user_id, total) SELECT 1 + g % 10, g FROM generate_series(1, 40) g`);
}, 120_000);

afterAll(async () => {
  await client?.end();
  await herd?.stop();
});

test('all tables of a distributed schema go to one node, with their keys', async () => {
  await client.query("SELECT citus_schema_distribute('t1')");
  const counts = await onNodes('t1.orders');
  expect(counts.filter((count) => count === 40)).toHaveLength(1);
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(40);
  expect(await rows('SELECT count(*)::int FROM t1.users')).toEqual([[10]]);
  await expect(client.query("INSERT INTO t1.users (email) VALUES ('u3')")).rejects.toMatchObject({
    code: '23505',
    constraint: 'users_email_key',
  });
  await expect(client.query('INSERT INTO t1.orders (user_id) VALUES (999)')).rejects.toMatchObject({ code: '23503' });
  notices.length = 0;
  await client.query("SELECT citus_schema_distribute('t1')");
  expect(notices.join()).toMatch(/already distributed/);
});

test('statements inside the schema run on its node, whatever their shape', async () => {
  for (const sql of [
    'SELECT u.email, sum(o.total) FROM t1.users u JOIN t1.orders o ON o.user_id = u.id GROUP BY u.email ORDER BY 2 DESC',
    'SELECT rank() OVER (ORDER BY total) FROM t1.orders',
    'WITH RECURSIVE c AS (SELECT id, boss FROM t1.users UNION SELECT u.id, u.boss FROM t1.users u JOIN c ON c.boss = u.id) SELECT count(*) FROM c',
    'SELECT * FROM t1.users u WHERE NOT EXISTS (SELECT FROM t1.orders o WHERE o.total > u.id * 5)',
    'UPDATE t1.orders o SET total = total + u.id FROM t1.users u WHERE u.id = o.user_id',
    'DELETE FROM t1.orders WHERE total < 0',
  ])
    expect(await plan(sql), sql).toMatch(/Rung: single shard/);
  const top = await rows(
    'SELECT u.email, sum(o.total)::int FROM t1.users u JOIN t1.orders o ON o.user_id = u.id GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1',
  );
  expect(top).toEqual([['u1', 10 + 20 + 30 + 40]]);
  await client.query('BEGIN');
  await client.query('INSERT INTO t1.orders (user_id, total) VALUES (1, 1000) RETURNING id');
  expect(await rows('SELECT max(total)::int FROM t1.orders')).toEqual([[1000]]);
  await client.query('ROLLBACK');
  expect(await rows('SELECT max(total)::int FROM t1.orders')).toEqual([[40]]);
  await client.query("DELETE FROM t1.users WHERE email = 'u10'");
  expect(await rows('SELECT count(*)::int FROM t1.orders')).toEqual([[36]]);
});

test('tables that come later join, those that leave come back', async () => {
  await client.query('CREATE TABLE t1.notes (order_id bigint REFERENCES t1.orders, note text)');
  await client.query("INSERT INTO t1.notes SELECT id, 'n' FROM t1.orders WHERE user_id = 1");
  expect((await onNodes('t1.notes')).filter((count) => count > 0)).toHaveLength(1);
  await client.query('CREATE TABLE t1.copied AS SELECT * FROM t1.orders');
  expect(await onNodes('t1.copied')).toEqual(await onNodes('t1.orders'));
  await client.query('CREATE TABLE public.mover (x int); INSERT INTO public.mover VALUES (1)');
  await client.query('ALTER TABLE public.mover SET SCHEMA t1');
  expect(await rows("SELECT citus_table_type FROM citus_tables WHERE table_name = 't1.mover'::regclass")).toEqual([
    ['schema'],
  ]);
  await client.query('ALTER TABLE t1.mover SET SCHEMA public');
  expect(await rows("SELECT citus_table_type FROM citus_tables WHERE table_name = 'public.mover'::regclass")).toEqual(
    [],
  );
  expect(await rows('SELECT x FROM public.mover')).toEqual([[1]]);
  await client.query('SET search_path = t1');
  await client.query('CREATE TABLE unqualified (x int)');
  await client.query('CREATE TEMP TABLE passing (x int)');
  await client.query('RESET search_path');
  expect(await rows("SELECT citus_table_type FROM citus_tables WHERE table_name = 't1.unqualified'::regclass")).toEqual(
    [['schema']],
  );
  await client.query('BEGIN');
  await client.query('CREATE TABLE t1.undone (x int)');
  await client.query('INSERT INTO t1.undone VALUES (1)');
  await client.query('ROLLBACK');
  expect(await rows("SELECT to_regclass('t1.undone')")).toEqual([[null]]);
  await client.query('ALTER TABLE t1.notes ADD COLUMN at timestamptz DEFAULT now(), ADD UNIQUE (order_id, note)');
  await client.query('CREATE INDEX CONCURRENTLY notes_at ON t1.notes (at)');
  expect(await rows('SELECT count(*)::int FROM t1.notes WHERE at IS NOT NULL')).toEqual([[4]]);
});

test('with citus.enable_schema_based_sharding new schemas are distributed, each on another node', async () => {
  await client.query('SET citus.enable_schema_based_sharding = on');
  await client.query('CREATE SCHEMA t2');
  await client.query('CREATE SCHEMA t3');
  await client.query('RESET citus.enable_schema_based_sharding');
  await client.query('CREATE SCHEMA t4');
  for (const name of ['t2', 't3']) {
    await client.query(`CREATE TABLE ${name}.users (id serial PRIMARY KEY, email text)`);
    await client.query(`INSERT INTO ${name}.users (email) SELECT 'u' || g FROM generate_series(1, 5) g`);
  }
  const places = await rows(
    "SELECT table_name::text, nodename FROM citus_shards WHERE citus_table_type = 'schema' AND table_name::text LIKE '%.users' ORDER BY 1",
  );
  expect(places.map(([name]) => name)).toEqual(['t1.users', 't2.users', 't3.users']);
  expect(new Set(places.map(([, node]) => node)).size).toBe(3);
  expect(await rows('SELECT schema_name::text, schema_owner FROM citus_schemas ORDER BY 1')).toEqual([
    ['t1', 'postgres'],
    ['t2', 'postgres'],
    ['t3', 'postgres'],
  ]);
});

test('statements across schemas are right', async () => {
  expect(await rows('SELECT count(*)::int FROM t1.users a JOIN t2.users b USING (email)')).toEqual([[5]]);
  expect(
    await rows('SELECT count(*)::int FROM t1.users a LEFT JOIN t3.users b USING (email) WHERE b.id IS NULL'),
  ).toEqual([[4]]);
  await client.query('CREATE TABLE ref (id int PRIMARY KEY); INSERT INTO ref VALUES (1), (2)');
  await client.query("SELECT create_reference_table('ref')");
  expect(await plan('SELECT * FROM t2.users JOIN ref USING (id)')).toMatch(/single shard/);
  expect(await rows('SELECT count(*)::int FROM t2.users JOIN ref USING (id)')).toEqual([[2]]);
  await client.query('CREATE TABLE spread (id int, v int)');
  await client.query("SELECT create_distributed_table('spread', 'id')");
  await client.query('INSERT INTO spread SELECT id, id * 10 FROM t1.users');
  expect(await rows('SELECT sum(v)::int FROM spread JOIN t2.users USING (id)')).toEqual([[150]]);
  await client.query('INSERT INTO t3.users (email) SELECT email FROM t1.users WHERE id = 7');
  expect(await rows("SELECT count(*)::int FROM t3.users WHERE email = 'u7'")).toEqual([[1]]);
  await client.query('UPDATE t2.users SET email = a.email FROM t1.users a WHERE a.id = 9 AND t2.users.id = 1');
  expect(await rows('SELECT email FROM t2.users WHERE id = 1')).toEqual([['u9']]);
  await client.query('BEGIN');
  await client.query("UPDATE t1.users SET email = 'both' WHERE id = 1");
  await client.query("UPDATE t2.users SET email = 'both' WHERE id = 2");
  await client.query('COMMIT');
  expect(
    await rows("SELECT count(*)::int FROM t1.users a JOIN t2.users b ON a.email = b.email AND a.email = 'both'"),
  ).toEqual([[1]]);
});

test('COPY goes to the schema’s node, and a dropped schema is forgotten', async () => {
  await client.query('CREATE TABLE t3.loaded AS SELECT g AS x FROM generate_series(1, 100) g');
  expect((await onNodes('t3.loaded')).sort()).toEqual([0, 0, 100]);
  await client.query('DROP SCHEMA t3 CASCADE');
  expect(await rows('SELECT schema_name::text FROM citus_schemas ORDER BY 1')).toEqual([['t1'], ['t2']]);
  await client.query('DROP TABLE t2.users');
  await client.query('CREATE TABLE t2.again (x int)');
  await client.query('INSERT INTO t2.again VALUES (1)');
  expect((await onNodes('t2.again')).sort()).toEqual([0, 0, 1]);
});

test('citus_schema_undistribute brings everything back', async () => {
  await client.query("SELECT citus_schema_undistribute('t1')");
  expect(await rows("SELECT count(*)::int FROM citus_tables WHERE citus_table_type = 'schema'")).toEqual([[1]]);
  expect(await rows('SELECT count(*)::int FROM t1.orders')).toEqual([[36]]);
  await expect(client.query("INSERT INTO t1.users (email) VALUES ('u3')")).rejects.toMatchObject({ code: '23505' });
  await expect(client.query("SELECT citus_schema_undistribute('t1')")).rejects.toMatchObject({ code: '55000' });
});

test('what cannot be distributed is refused', async () => {
  await expect(client.query("SELECT citus_schema_distribute('public')")).rejects.toMatchObject({ code: '42P17' });
  await client.query('CREATE SCHEMA mixed; CREATE TABLE mixed.d (id int)');
  await client.query("SELECT create_distributed_table('mixed.d', 'id')");
  await expect(client.query("SELECT citus_schema_distribute('mixed')")).rejects.toMatchObject({ code: '42P16' });
  await client.query('CREATE ROLE tenant LOGIN');
  const other = new pg.Client({ connectionString: herd.url.replace('postgres@', 'tenant@') });
  await other.connect();
  await expect(other.query("SELECT citus_schema_distribute('t4')")).rejects.toMatchObject({ code: '42501' });
  await other.end();
});
