import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

let herd: TestHerd;
let client: pg.Client;
const notices: string[] = [];
const rows = async (sql: string) => (await client.query({ text: sql, rowMode: 'array' })).rows;

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  client = new pg.Client({ connectionString: herd.url });
  client.on('notice', (notice) => notices.push(notice.message ?? ''));
  await client.connect();
  await client.query('CREATE TABLE a (id int, other int); CREATE TABLE b (id int, other int)');
  await client.query("SELECT create_distributed_table('a', 'id', shard_count := 4)");
  await client.query("SELECT create_distributed_table('b', 'id', shard_count := 4)");
  await client.query('INSERT INTO a VALUES (1, 2), (3, 4); INSERT INTO b VALUES (1, 1), (2, 3)');
}, 120_000);

afterAll(async () => {
  await client?.end();
  await herd?.stop();
});

test('SHOW tells what nobody has set, and what somebody has', async () => {
  expect(await rows('SHOW citus.shard_count')).toEqual([['32']]);
  await client.query('SET citus.shard_count = 8');
  expect(await rows('SHOW citus.shard_count')).toEqual([['8']]);
  await client.query('CREATE TABLE eight (id int)');
  await client.query("SELECT create_distributed_table('eight', 'id', colocate_with := 'none')");
  expect(await rows("SELECT shard_count FROM citus_tables WHERE table_name = 'eight'::regclass")).toEqual([['8']]);
  await client.query('RESET citus.shard_count');
  expect(await rows('SHOW citus.shard_count')).toEqual([['32']]);
  expect(await rows('SHOW citus.multi_shard_modify_mode')).toEqual([['parallel']]);
  await expect(client.query('SHOW citus.nothing')).rejects.toMatchObject({ code: '42704' });
});

test('a setting that changes nothing says why, unless it asks for what is so already', async () => {
  notices.length = 0;
  await client.query("SET citus.multi_shard_modify_mode = 'parallel'");
  await client.query('SET citus.max_adaptive_executor_pool_size TO 16');
  await client.query('SET citus.enable_ddl_propagation = true');
  expect(notices).toEqual([]);
  await client.query("SET LOCAL citus.multi_shard_modify_mode TO 'sequential'");
  await client.query('SET citus.max_adaptive_executor_pool_size = 4');
  await client.query('SET citus.enable_ddl_propagation = off');
  expect(notices.filter((notice) => /is ignored: /.test(notice))).toHaveLength(3);
});

test("Greenplum's planner settings are accepted, shown, and say when they are ignored", async () => {
  notices.length = 0;
  await client.query('SET enable_groupagg = on');
  expect(notices).toEqual([]);
  expect(await rows('SHOW enable_groupagg')).toEqual([['on']]);
  await client.query('SET enable_groupagg TO off');
  expect(notices).toEqual([expect.stringContaining('"enable_groupagg" is ignored')]);
  expect(await rows('SHOW enable_groupagg')).toEqual([['off']]);
  await client.query('RESET enable_groupagg');
  expect(await rows('SHOW enable_groupagg')).toEqual([['on']]);
  await client.query('BEGIN');
  await client.query("SET LOCAL statement_mem = '500MB'");
  expect(await rows('SHOW statement_mem')).toEqual([['500MB']]);
  await client.query('ROLLBACK');
  expect(await rows('SHOW statement_mem')).toEqual([['125MB']]);
  await expect(client.query('SET enable_groupagg = sometimes')).rejects.toMatchObject({ code: '22023' });
  await expect(client.query('SET enable_nonsense = on')).rejects.toMatchObject({ code: '42704' });
});

test('names and values that there are not are errors', async () => {
  await expect(client.query('SET citus.shard_cuont = 8')).rejects.toMatchObject({
    code: '42602',
    detail: '"citus" is a reserved prefix.',
  });
  await expect(client.query("SET citus.multi_shard_modify_mode = 'sideways'")).rejects.toMatchObject({ code: '22023' });
  await expect(client.query('SET citus.shard_count = 0')).rejects.toMatchObject({ code: '22023' });
  await expect(client.query('SET citus.enable_repartition_joins = perhaps')).rejects.toMatchObject({ code: '22023' });
  await expect(client.query('SET citus.shard_replication_factor = 2')).rejects.toMatchObject({
    code: '0A000',
    message: expect.stringContaining('PH013'),
  });
  await client.query('SET citus.shard_replication_factor = 1');
});

test('citus.enable_repartition_joins = off refuses joins that move rows, and no others', async () => {
  const moving = 'SELECT a.id, b.id FROM a JOIN b ON a.id = b.other ORDER BY 1';
  const colocated = 'SELECT a.id FROM a JOIN b ON a.id = b.id';
  expect(await rows(moving)).toEqual([
    [1, 1],
    [3, 2],
  ]);
  await client.query('SET citus.enable_repartition_joins TO off');
  await expect(client.query(moving)).rejects.toMatchObject({
    code: '0A000',
    message: expect.stringContaining('PH045'),
  });
  expect(await rows(colocated)).toEqual([[1]]);
  expect(await rows('SELECT count(*)::int FROM a')).toEqual([[2]]);
  expect(await rows('SELECT max(a.other) FROM a JOIN b ON a.id = b.id')).toEqual([[2]]);
  await client.query('BEGIN');
  await client.query('SET LOCAL citus.enable_repartition_joins TO on');
  expect(await rows(moving)).toHaveLength(2);
  await client.query('COMMIT');
  await expect(client.query(moving)).rejects.toMatchObject({ code: '0A000' });
  await client.query('RESET citus.enable_repartition_joins');
  expect(await rows(moving)).toHaveLength(2);
});
