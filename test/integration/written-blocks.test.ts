import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { limits } from '../../src/core/limits.ts';
import { startHerd, type TestHerd } from '../harness/herd.ts';
import { connectRaw } from '../oracle/client.ts';

/* Queries whose rows move between nodes, in READ COMMITTED blocks that have written there: on the block's own connections. */

let herd: TestHerd;
let client: pg.Client;
let other: pg.Client;

const joined = 'SELECT count(*) AS n, sum(b.v) AS v FROM a JOIN b ON a.k = b.k';

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  client = await connectRaw(herd.url);
  other = await connectRaw(herd.url);
  for (const name of ['a', 'b']) {
    await client.query(`CREATE TABLE ${name} (id int PRIMARY KEY, k int, v int)`);
    await client.query(`SELECT create_distributed_table('${name}', 'id')`);
    await client.query(`INSERT INTO ${name} SELECT g, g % 10, g FROM generate_series(1, 40) g`);
  }
});

afterAll(async () => {
  await client?.end();
  await other?.end();
  await herd?.stop();
});

beforeEach(async () => {
  await client.query('ROLLBACK');
});

async function rung(sql: string): Promise<string> {
  const { rows } = await client.query(`EXPLAIN ${sql}`);
  return /Rung: ([a-z ]+)/.exec(rows.map((row) => row['QUERY PLAN']).join('\n'))?.[1]?.trim() ?? '';
}

test('rows that the block has written move between nodes', async () => {
  await client.query('BEGIN');
  await client.query('UPDATE b SET v = v + 1 WHERE id = 7');
  expect(await rung(joined)).toBe('staged');
  expect((await client.query(joined)).rows).toEqual([{ n: '160', v: '3284' }]);
  await client.query('SAVEPOINT s');
  await client.query('DELETE FROM a WHERE k = 7');
  expect((await client.query(joined)).rows).toEqual([{ n: '144', v: '2928' }]);
  await client.query('ROLLBACK TO s');
  expect((await client.query({ text: `${joined} WHERE a.v > $1`, values: [0] })).rows).toEqual([
    { n: '160', v: '3284' },
  ]);
  await client.query('ROLLBACK');
  expect((await client.query(joined)).rows).toEqual([{ n: '160', v: '3280' }]);
});

test('a block that has written on both nodes, and read so, is committed', async () => {
  await client.query('BEGIN');
  await client.query('UPDATE a SET v = v + 1; UPDATE b SET v = v + 1');
  expect((await client.query(joined)).rows).toEqual([{ n: '160', v: '3440' }]);
  await client.query('UPDATE a SET v = v - 1; UPDATE b SET v = v - 1');
  await client.query('COMMIT');
  expect((await client.query(joined)).rows).toEqual([{ n: '160', v: '3280' }]);
});

test('each statement of the block sees what was committed before it', async () => {
  await client.query('BEGIN');
  await client.query('UPDATE b SET v = v + 1 WHERE id = 7');
  await client.query(joined);
  await other.query('UPDATE b SET v = v + 1 WHERE id IN (1, 2, 3)');
  expect((await client.query(joined)).rows).toEqual([{ n: '160', v: '3296' }]);
  await client.query('ROLLBACK');
  await other.query('UPDATE b SET v = v - 1 WHERE id IN (1, 2, 3)');
});

test('queries in several steps give in the block what they give after it', async () => {
  await client.query('CREATE TABLE r (k int PRIMARY KEY, v int)');
  await client.query("SELECT create_reference_table('r')");
  await client.query('INSERT INTO r SELECT g, g FROM generate_series(1, 5) g');
  const queries = [
    'SELECT a.id, b.id AS other FROM a JOIN b ON a.k = b.v ORDER BY 1, 2',
    'SELECT a.id, b.id AS other FROM a LEFT JOIN b ON a.v = b.k ORDER BY 1, 2 LIMIT 50',
    'SELECT a.id FROM a WHERE a.v > (SELECT avg(v) FROM b) ORDER BY 1',
    'SELECT a.id FROM a WHERE a.v = (SELECT max(v) FROM b WHERE b.id < 0) ORDER BY 1',
    'SELECT a.id FROM a WHERE a.v IN (SELECT k FROM b WHERE v > 20) ORDER BY 1',
    'SELECT a.id FROM a WHERE NOT EXISTS (SELECT FROM b WHERE b.k = a.v AND b.id > 3) ORDER BY 1',
    'SELECT a.id, (SELECT count(*) FROM b WHERE b.k = a.v) AS n FROM a ORDER BY 1',
    'WITH w AS (SELECT k, sum(v) AS v FROM b GROUP BY k) SELECT a.id, w.v FROM a JOIN w ON w.k = a.v ORDER BY 1',
    'SELECT a.k, count(*) AS n FROM a JOIN b ON a.k = b.v JOIN r ON r.k = b.k GROUP BY 1 ORDER BY 1',
    'SELECT x.id FROM a x JOIN a y ON x.v = y.k JOIN b ON b.k = y.v ORDER BY 1',
    'SELECT a.id, x.v FROM a LEFT JOIN LATERAL (SELECT v FROM b WHERE b.k = a.v ORDER BY v DESC LIMIT 1) x ON true ORDER BY 1',
    'SELECT * FROM a NATURAL JOIN (SELECT k, v AS w FROM b) q ORDER BY id, w FETCH FIRST 9 ROWS WITH TIES',
    `WITH RECURSIVE d AS (SELECT k FROM b WHERE id = 1 UNION SELECT d.k + 1 FROM d JOIN b ON b.k = d.k)
      SELECT a.id, d.k, b.id AS other FROM a JOIN d ON d.k = a.v JOIN b ON b.k = d.k ORDER BY 1, 2, 3`,
    'SELECT v FROM a UNION SELECT v.k FROM (SELECT b.k FROM b JOIN a ON a.k = b.v) v ORDER BY 1',
  ];
  await client.query('BEGIN');
  await client.query(
    'UPDATE b SET v = v + 2 WHERE id % 3 = 0; DELETE FROM a WHERE id = 5; INSERT INTO a VALUES (5, 3, NULL)',
  );
  const inside = [];
  for (const sql of queries) {
    expect(await rung(sql), sql).toBe('staged');
    inside.push((await client.query(sql)).rows);
  }
  await client.query('COMMIT');
  for (const [place, sql] of queries.entries()) expect(inside[place], sql).toEqual((await client.query(sql)).rows);
  await client.query('UPDATE b SET v = v - 2 WHERE id % 3 = 0; UPDATE a SET k = 5, v = 5 WHERE id = 5');
});

test('values of all types travel whole, whatever the settings of the session', async () => {
  const types = {
    f: ['float8', "(0.1 + 0.2, 1e300, 'NaN')"],
    r: ['real', "(0.1, 3.4e38, '-Infinity')"],
    n: ['numeric(12,3)', '(1.5, -0.001, NULL)'],
    d: ['date', "('2026-03-04', '0044-03-15 BC', 'infinity')"],
    z: ['timestamptz', "('2026-03-29 00:30:00.123456+00', '1890-01-01 00:00+00', '-infinity')"],
    t: ['timestamp', "('2026-03-04 05:06:07.000001', NULL, '0001-01-01')"],
    i: ['interval', "('-1 day +02:03:04.5', '1 mon -3 days', '-00:00:00.000001')"],
    c: ['char(4)', "('a', 'b\"', '')"],
    s: ['text', "('NULL', E'\\\\{,}\"', E'line\\n')"],
    y: ['bytea', "('\\x00ff', '', NULL)"],
    j: ['jsonb', '(\'{"a": [1, null]}\', \'"x"\', NULL)'],
    g: ['daterange', "('[2026-01-02,2026-02-03)', 'empty', NULL)"],
    a: ['int[]', "('{1,NULL,3}', '{}', '{{1,2},{3,4}}')"],
    b: ['bool', '(true, false, NULL)'],
    w: ['time with time zone', "('05:06:07+02', '23:59:59.999999-03:30', NULL)"],
  } as const;
  const list = Object.entries(types).map(([name, [type]]) => `${name} ${type}`);
  await client.query(`CREATE TABLE many (id int, ${list.join(', ')})`);
  await client.query("SELECT create_distributed_table('many', 'id')");
  const values = Object.values(types).map(([type, texts]) => `(ARRAY[${texts.slice(1, -1)}]::${type}[])`);
  const picked = Object.entries(types).map(([name, [type]], i) =>
    name === 'a'
      ? "(CASE g WHEN 1 THEN '{1,NULL,3}' WHEN 2 THEN '{}' ELSE '{{1,2},{3,4}}' END)::int[]"
      : `(${values[i]})[g]::${type}`,
  );
  await client.query(`INSERT INTO many SELECT g, ${picked.join(', ')} FROM generate_series(1, 3) g`);
  const columns = Object.keys(types).map((name) => `m.${name}::text AS ${name}`);
  const sql = `SELECT a.id, ${columns.join(', ')} FROM a, many m WHERE a.v = m.id AND a.v < 4 ORDER BY 1`;
  const settings = [
    "SET LOCAL DateStyle = 'SQL, DMY'; SET LOCAL IntervalStyle = 'sql_standard'; SET LOCAL extra_float_digits = 0",
    "SET LOCAL DateStyle = 'Postgres, MDY'; SET LOCAL TimeZone = 'Asia/Kolkata'; SET LOCAL bytea_output = 'escape'",
    "SET LOCAL DateStyle = 'German'; SET LOCAL IntervalStyle = 'postgres_verbose'; SET LOCAL extra_float_digits = -3",
  ];
  for (const set of settings) {
    const answers = [];
    for (const first of ['SELECT 1', 'UPDATE a SET v = v WHERE id = 1; UPDATE many SET id = id']) {
      await client.query('BEGIN');
      await client.query(set);
      await client.query(first.replace('UPDATE many SET id = id', 'UPDATE many SET b = b'));
      expect(await rung(sql)).toBe('staged');
      answers.push((await client.query(sql)).rows);
      await client.query('ROLLBACK');
    }
    expect(answers[0]).toHaveLength(3);
    expect(answers[1]).toEqual(answers[0]);
  }
});

test('rows that are too many to travel so, and tables of the coordinator, are gathered', async () => {
  await client.query('CREATE TABLE l (k int, v int)');
  await client.query('INSERT INTO l SELECT g, g FROM generate_series(1, 5) g');
  await client.query('BEGIN');
  await client.query('UPDATE b SET v = v + 1 WHERE id = 7');
  expect(await rung(`${joined} JOIN l ON l.k = b.v`)).toBe('gather');
  const before = limits.maxShippedBytes;
  Object.assign(limits, { maxShippedBytes: 100 });
  try {
    expect((await client.query(joined)).rows).toEqual([{ n: '160', v: '3284' }]);
    const { rows } = await client.query(`EXPLAIN (ANALYZE, COSTS OFF) ${joined}`);
    expect(rows[0]['QUERY PLAN']).toMatch(/^Rung: gather/);
  } finally {
    Object.assign(limits, { maxShippedBytes: before });
  }
  const { rows } = await client.query(`EXPLAIN (ANALYZE, COSTS OFF) ${joined}`);
  expect(rows[0]['QUERY PLAN']).toMatch(/^Rung: staged/);
  await client.query('ROLLBACK');
});

test('an error in a later step fails the block, and ROLLBACK TO leads on', async () => {
  await client.query('BEGIN');
  await client.query('UPDATE b SET v = v + 1 WHERE id = 7');
  await client.query('SAVEPOINT s');
  await expect(client.query('SELECT 1 / (a.v - a.v + b.v - b.v) FROM a JOIN b ON a.k = b.k')).rejects.toMatchObject({
    code: '22012',
  });
  await expect(client.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
  await client.query('ROLLBACK TO s');
  expect((await client.query(joined)).rows).toEqual([{ n: '160', v: '3284' }]);
  expect((await client.query('COMMIT')).command).toBe('COMMIT');
  await client.query('UPDATE b SET v = v - 1 WHERE id = 7');
});

test('cursors and COPY of a query move rows in such a block too', async () => {
  const sql = 'SELECT a.id, b.v FROM a JOIN b ON a.k = b.k WHERE a.v < 3 AND b.v < 20 ORDER BY b.v, a.id';
  await client.query('BEGIN');
  await client.query('UPDATE b SET v = v WHERE id = 7');
  expect(await rung(`DECLARE c CURSOR FOR ${sql}`)).toBe('staged');
  await client.query(`DECLARE c CURSOR FOR ${sql}`);
  await client.query('UPDATE b SET v = 0');
  const { rows } = await client.query('FETCH ALL FROM c');
  expect(rows).toHaveLength(4);
  await client.query('ROLLBACK');
  expect((await client.query(sql)).rows).toEqual(rows);
});

test('what is transferred between tables meanwhile is counted once', async () => {
  const total =
    'SELECT (SELECT sum(a.v) FROM a JOIN b ON a.id = b.k * 4 + 1) AS x, (SELECT sum(v) FROM a) + (SELECT sum(v) FROM b) AS v';
  let ended = false;
  const transfers = (async () => {
    for (let i = 0; !ended; i++) {
      await other.query('BEGIN');
      await other.query(`UPDATE a SET v = v - 1 WHERE id = ${1 + (i % 40)}`);
      await other.query(`UPDATE b SET v = v + 1 WHERE id = ${1 + ((i * 7) % 40)}`);
      await other.query('COMMIT');
    }
  })();
  await client.query('BEGIN');
  await client.query('INSERT INTO a VALUES (1000, 0, 0)');
  expect(await rung(total)).toBe('staged');
  for (let i = 0; i < 25; i++) expect((await client.query(total)).rows[0].v).toBe('1640');
  await client.query('ROLLBACK');
  ended = true;
  await transfers;
});

test('CREATE TABLE AS and SELECT INTO are computed on the nodes, in such a block too', async () => {
  const query = 'SELECT a.id, b.v FROM a JOIN b ON a.k = b.k';
  for (const first of ['SELECT 1', 'UPDATE b SET v = v WHERE id = 7']) {
    await client.query('BEGIN');
    await client.query(first);
    expect(await rung(`CREATE TABLE made AS ${query}`)).toBe('staged');
    expect(await client.query(`CREATE TABLE made AS ${query}`)).toMatchObject({ command: 'SELECT', rowCount: 160 });
    expect((await client.query('SELECT count(*) AS n FROM made')).rows).toEqual([{ n: '160' }]);
    await client.query('ROLLBACK');
  }
  const { rows } = await client.query(`EXPLAIN (ANALYZE, COSTS OFF) CREATE TABLE made AS ${query}`);
  expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toMatch(/^Rung: staged[\s\S]*Fill the new table made/);
  expect((await client.query('SELECT count(*) AS n FROM made')).rows).toEqual([{ n: '160' }]);
  await client.query(`DROP TABLE made; SELECT id, v AS made INTO made FROM (${query}) q WHERE id < 5`);
  expect((await client.query('SELECT count(*) AS n FROM made')).rows).toEqual([{ n: '16' }]);
  await client.query('DROP TABLE made');
});
