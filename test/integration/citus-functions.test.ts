import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

let herd: TestHerd;
let client: pg.Client;
const notices: string[] = [];
const rows = async (sql: string) => (await client.query({ text: sql, rowMode: 'array' })).rows;
const groupOf = async (table: string) =>
  (await rows(`SELECT colocation_id FROM citus_tables WHERE table_name = '${table}'::regclass`))[0]![0];

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  client = new pg.Client({ connectionString: herd.url });
  client.on('notice', (notice) => notices.push(notice.message ?? ''));
  await client.connect();
  await client.query(
    'CREATE TABLE a (id int PRIMARY KEY, v int); CREATE TABLE b (id int PRIMARY KEY, v int); CREATE TABLE r (x int PRIMARY KEY)',
  );
  await client.query("SELECT create_distributed_table('a', 'id', shard_count := 4)");
  await client.query("SELECT create_distributed_table('b', 'id', colocate_with := 'a')");
  await client.query("SELECT create_reference_table('r')");
  await client.query(
    'INSERT INTO a SELECT g, g FROM generate_series(1, 20) g; INSERT INTO b SELECT g, g FROM generate_series(1, 20) g; INSERT INTO r VALUES (1), (2)',
  );
}, 120_000);

afterAll(async () => {
  await client?.end();
  await herd?.stop();
});

test('run_command_on_shards and its kin run a command for each shard', async () => {
  const shards = await rows("SELECT * FROM run_command_on_shards('a', 'SELECT count(*) FROM %s')");
  expect(shards).toHaveLength(4);
  expect(shards.map((row) => row[1])).toEqual([true, true, true, true]);
  expect(shards.reduce((sum, row) => sum + Number(row[2]), 0)).toBe(20);
  const placements = await rows(
    "SELECT nodename, count(*)::int FROM run_command_on_placements('a', 'ANALYZE %s') GROUP BY 1 ORDER BY 1",
  );
  expect(placements).toEqual([
    ['worker1', 2],
    ['worker2', 2],
  ]);
  const pairs = await rows(
    "SELECT shardid1, shardid2, success, result FROM run_command_on_colocated_placements('a', 'b', 'SELECT count(*) FROM %1$s JOIN %2$s USING (id)')",
  );
  expect(pairs).toHaveLength(4);
  expect(pairs.reduce((sum, row) => sum + Number(row[3]), 0)).toBe(20);
  expect(await rows("SELECT success, result FROM run_command_on_shards('r', 'SELECT count(*) FROM %s')")).toEqual([
    [true, '2'],
  ]);
  const failing = await rows("SELECT success, result FROM run_command_on_shards('a', 'SELECT nothing FROM %s')");
  expect(failing.every(([success, result]) => success === false && /nothing/.test(result))).toBe(true);
  expect(await rows("SELECT nodeid, result FROM run_command_on_coordinator('SELECT 7')")).toEqual([[0, '7']]);
});

test('update_distributed_table_colocation breaks and makes co-location without moving rows', async () => {
  const together = await groupOf('a');
  expect(await groupOf('b')).toBe(together);
  await client.query("SELECT update_distributed_table_colocation('b', colocate_with := 'none')");
  expect(await groupOf('b')).not.toBe(together);
  expect(await rows('SELECT count(*)::int FROM a JOIN b USING (id)')).toEqual([[20]]);
  expect((await rows('EXPLAIN SELECT count(*) FROM a JOIN b USING (id)')).join()).not.toMatch(
    /Rung: two phases \(partial/,
  );
  await client.query("SELECT update_distributed_table_colocation('b', colocate_with := 'a')");
  expect(await groupOf('b')).toBe(together);
  expect((await rows('EXPLAIN SELECT count(*) FROM a JOIN b USING (id)')).join()).toMatch(/two phases/);
  expect(await rows('SELECT count(*)::int FROM a JOIN b USING (id)')).toEqual([[20]]);
});

test('update_distributed_table_colocation refuses what would move rows', async () => {
  await client.query('CREATE TABLE c (id int, t text)');
  await client.query("SELECT create_distributed_table('c', 'id', shard_count := 6)");
  await expect(client.query("SELECT update_distributed_table_colocation('c', 'a')")).rejects.toMatchObject({
    code: '55000',
    hint: expect.stringContaining('alter_distributed_table'),
  });
  await client.query('ALTER TABLE b ADD CONSTRAINT b_a FOREIGN KEY (id) REFERENCES a');
  await expect(client.query("SELECT update_distributed_table_colocation('b', 'none')")).rejects.toMatchObject({
    code: '55000',
    message: expect.stringContaining('b_a'),
  });
  await client.query('ALTER TABLE b DROP CONSTRAINT b_a');
});

test('alter_distributed_table wants to know what becomes of co-located tables', async () => {
  await expect(client.query("SELECT alter_distributed_table('a', shard_count := 6)")).rejects.toMatchObject({
    code: '22023',
    message: 'cascade_to_colocated parameter is necessary',
  });
  await expect(client.query("SELECT alter_distributed_table('a', shard_count := 4)")).rejects.toMatchObject({
    code: '22023',
  });
  await expect(client.query("SELECT alter_distributed_table('a', distribution_column := 'id')")).rejects.toMatchObject({
    code: '22023',
  });
  await client.query("SELECT alter_distributed_table('a', shard_count := 6, cascade_to_colocated := true)");
  expect(await groupOf('a')).toBe(await groupOf('b'));
  await client.query("SELECT alter_distributed_table('a', shard_count := 4, cascade_to_colocated := false)");
  expect(await groupOf('a')).not.toBe(await groupOf('b'));
  expect(await rows('SELECT count(*)::int FROM a JOIN b USING (id)')).toEqual([[20]]);
});

test('process ids over all servers', async () => {
  expect(
    await rows(
      'SELECT citus_calculate_gpid(3, 77), citus_nodeid_for_gpid(30000000077), citus_pid_for_gpid(30000000077)',
    ),
  ).toEqual([['30000000077', 3, 77]]);
  expect(
    await rows('SELECT citus_is_coordinator(), citus_coordinator_nodeid(), citus_backend_gpid() = pg_backend_pid()'),
  ).toEqual([[true, 0, true]]);
  expect(await rows('SELECT citus_nodename_for_nodeid(1)')).toEqual([['worker1']]);
});

test('the health of the nodes, and what needs no doing', async () => {
  expect(await rows('SELECT to_nodename, result FROM citus_check_cluster_node_health() ORDER BY 1')).toEqual([
    ['worker1', true],
    ['worker2', true],
  ]);
  notices.length = 0;
  await client.query('CREATE TABLE here (x int)');
  await client.query("SELECT citus_add_local_table_to_metadata('here')");
  expect(notices.join()).toMatch(/changes nothing/);
});

test('citus_stat_statements_reset forgets', async () => {
  await client.query('SELECT count(*) FROM a WHERE id = 1');
  const counted = "SELECT count(*)::int FROM citus_stat_statements WHERE query LIKE 'SELECT count(*) FROM a WHERE id%'";
  expect(await rows(counted)).toEqual([[1]]);
  await client.query('SELECT citus_stat_statements_reset()');
  expect(await rows(counted)).toEqual([[0]]);
});
