import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { limits } from '../../src/core/limits.ts';
import { startHerd, type TestHerd } from '../harness/herd.ts';
import { connectRaw } from '../oracle/client.ts';

let herd: TestHerd;
let client: pg.Client;

beforeAll(async () => {
  herd = await startHerd();
  client = await connectRaw(herd.url);
  await client.query('CREATE TABLE ref (id int PRIMARY KEY, filler text)');
  await client.query("SELECT create_reference_table('ref')");
  await client.query("INSERT INTO ref SELECT i, repeat('x', 1000) FROM generate_series(1, 4000) i");
  await client.query('CREATE TABLE wide (id int, other int, filler text)');
  await client.query("SELECT create_distributed_table('wide', 'id')");
  await client.query("INSERT INTO wide SELECT g, g % 50, repeat('y', 200) FROM generate_series(1, 2000) g");
});

afterAll(async () => {
  await client?.end();
  await herd?.stop();
});

test('rows that the coordinator sends to itself may be too many to carry inline', async () => {
  const { rows } = await client.query(
    `WITH gone AS (DELETE FROM ref WHERE id < 3 RETURNING id)
     SELECT count(*) AS rows, sum(length(filler)) AS chars, (SELECT count(*) FROM gone) AS gone FROM ref`,
  );
  expect(rows).toEqual([{ rows: '4000', chars: '4000000', gone: '2' }]);
}, 30_000);

test('an error that all nodes report while a statement opens is told each time', async () => {
  await client.query('CREATE TABLE t (id int, v text)');
  await client.query("SELECT create_distributed_table('t', 'id')");
  for (let time = 0; time < 150; time++) {
    await expect(client.query({ text: "SELECT * FROM t WHERE v ~ '('", values: [] })).rejects.toMatchObject({
      code: '2201B',
    });
  }
}, 60_000);

test('a temporary table that shadows another is read with its own types', async () => {
  await client.query('CREATE TABLE place (id int, x numeric)');
  await client.query("SELECT create_distributed_table('place', 'id')");
  await client.query('INSERT INTO place SELECT g, g / 2.0 FROM generate_series(1, 20) g');
  await client.query('CREATE TABLE shadowed (x int)');
  await client.query('CREATE TEMPORARY TABLE shadowed (x numeric)');
  await client.query('INSERT INTO shadowed VALUES (1.5), (3)');
  for (const sql of [
    'SELECT id FROM place WHERE x IN (SELECT x FROM shadowed) ORDER BY id',
    'SELECT id FROM place WHERE EXISTS (SELECT FROM shadowed s WHERE s.x = place.x) ORDER BY id',
    'SELECT p.id FROM place p JOIN (SELECT x, count(*) AS c FROM shadowed GROUP BY x) q ON p.x = q.x ORDER BY p.id',
    'WITH q AS (SELECT DISTINCT x FROM shadowed) SELECT p.id FROM place p, q WHERE p.x = q.x ORDER BY p.id',
  ])
    expect((await client.query(sql)).rows, sql).toEqual([{ id: '3' }, { id: '6' }]);
  await client.query('DROP TABLE pg_temp.shadowed');
});

test('types that a transaction has changed are not remembered beyond it', async () => {
  const other = await connectRaw(herd.url);
  await client.query('CREATE TABLE fact (id int, k int)');
  await client.query("SELECT create_distributed_table('fact', 'id')");
  await client.query('INSERT INTO fact SELECT g, g % 5 FROM generate_series(1, 20) g');
  await client.query('CREATE TABLE dim (k int, v int)');
  await client.query('INSERT INTO dim VALUES (1, 1), (2, 2)');
  const sql = `SELECT x.v, count(*) FROM fact, (SELECT k, ARRAY[v] AS v FROM dim LIMIT 9) x WHERE fact.k = x.k GROUP BY 1 ORDER BY 1`;
  const values = async (reader: pg.Client) => (await reader.query(sql)).rows.map(({ v }) => v);
  expect(await values(other)).toEqual(['{1}', '{2}']);
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await client.query('ALTER TABLE dim ALTER COLUMN v TYPE numeric USING v + 0.5');
  expect(await values(client)).toEqual(['{1.5}', '{2.5}']);
  await client.query('ROLLBACK');
  expect(await values(other)).toEqual(['{1}', '{2}']);
  await client.query('ALTER TABLE dim ALTER COLUMN v TYPE numeric USING v + 0.5');
  expect(await values(other)).toEqual(['{1.5}', '{2.5}']);
  await other.end();
});

test('rows move between nodes where transactions are read-only by default', async () => {
  const reader = await connectRaw(herd.url);
  await reader.query('SET default_transaction_read_only = on');
  const sql =
    'SELECT count(*) AS n, max(length(a.filler || b.filler)) AS l FROM wide a JOIN wide b ON a.other = b.other';
  expect((await reader.query(sql)).rows).toEqual([{ n: '80000', l: '400' }]);
  await reader.end();
});

test('rows that are too many to bring to nodes are gathered, and EXPLAIN ANALYZE says so', async () => {
  const before = { ...limits };
  try {
    Object.assign(limits, { maxStagedBytes: 1_000 });
    const sql = 'SELECT count(*) AS n FROM wide a JOIN wide b ON a.other = b.other';
    expect((await client.query(sql)).rows).toEqual([{ n: '80000' }]);
    const { rows } = await client.query(`EXPLAIN (ANALYZE, COSTS OFF) ${sql}`);
    expect(rows[0]['QUERY PLAN']).toMatch(/^Rung: gather/);
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    expect((await client.query(sql)).rows).toEqual([{ n: '80000' }]);
    await client.query('COMMIT');
  } finally {
    Object.assign(limits, before);
  }
  const { rows } = await client.query(
    'EXPLAIN (COSTS OFF) SELECT count(*) FROM wide a JOIN wide b ON a.other = b.other',
  );
  expect(rows[0]['QUERY PLAN']).toMatch(/^Rung: staged/);
});

test('SERIALIZABLE by default is refused over several nodes, also where rows move between them', async () => {
  const strict = await connectRaw(herd.url);
  await strict.query("SET default_transaction_isolation = 'serializable'");
  const sql = 'SELECT count(*) FROM wide a JOIN wide b ON a.other = b.other';
  await expect(strict.query(sql)).rejects.toMatchObject({ code: '0A000', message: expect.stringContaining('PH012') });
  await strict.end();
});

test('rows that meet none of those brought before stay where they are', async () => {
  await client.query('CREATE TABLE middle (id int, m int, other int); CREATE TABLE few (id int, m int)');
  await client.query("SELECT create_distributed_table('middle', 'id'), create_distributed_table('few', 'id')");
  await client.query('INSERT INTO middle SELECT g, g % 100, g % 50 FROM generate_series(1, 1000) g');
  await client.query('INSERT INTO few VALUES (1, 3), (2, 5), (3, NULL); ANALYZE middle; ANALYZE few; ANALYZE wide');
  const sql = 'SELECT count(*) AS n FROM wide, middle, few WHERE wide.other = middle.other AND middle.m = few.m';
  expect((await client.query(sql)).rows).toEqual([{ n: '800' }]);
  const { rows } = await client.query(`EXPLAIN (ANALYZE) ${sql}`);
  const lines = rows.map((row) => row['QUERY PLAN']);
  const moved = lines.findIndex((line) => /^-> Motion \d: \w+ middle/.test(line));
  // Of a thousand; they may be aggregated besides.
  expect(Number(/actual rows=(\d+) /.exec(lines[moved + 2] ?? '')?.[1])).toBeLessThanOrEqual(20);
});
