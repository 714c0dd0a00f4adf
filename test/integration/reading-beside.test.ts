import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { CopyOut } from '../drivers/copy.ts';
import { startHerd, type TestHerd } from '../harness/herd.ts';
import { connectRaw } from '../oracle/client.ts';

/* Queries whose rows move, in READ COMMITTED blocks: read beside the block where nobody can tell. */

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
  await client.query('CREATE TABLE l (k int, v int)');
  await client.query('INSERT INTO l SELECT g, g FROM generate_series(1, 5) g');
  await client.query('CREATE TABLE r (k int PRIMARY KEY, v int)');
  await client.query("SELECT create_reference_table('r')");
  await client.query('INSERT INTO r SELECT g, g FROM generate_series(1, 5) g');
});

afterAll(async () => {
  await client?.end();
  await other?.end();
  await herd?.stop();
});

beforeEach(async () => {
  await client.query('ROLLBACK');
  await client.query('RESET ALL');
});

async function rung(sql: string): Promise<string> {
  const { rows } = await client.query(`EXPLAIN ${sql}`);
  return /Rung: ([a-z ]+)/.exec(rows.map((row) => row['QUERY PLAN']).join('\n'))?.[1]?.trim() ?? '';
}

test('rows move between nodes in a block as outside of one', async () => {
  expect(await rung(joined)).toBe('staged');
  const outside = (await client.query(joined)).rows;
  await client.query('BEGIN');
  expect(await rung(joined)).toBe('staged');
  expect((await client.query(joined)).rows).toEqual(outside);
  expect((await client.query({ text: `${joined} WHERE a.v > $1`, values: [0] })).rows).toEqual(outside);
  await client.query('COMMIT');
});

test('what the block has written is seen, before and after a savepoint', async () => {
  await client.query('BEGIN');
  await client.query(joined);
  await client.query('SAVEPOINT s');
  await client.query('UPDATE b SET v = v + 1 WHERE id = 7');
  expect(await rung(joined)).toBe('staged');
  expect((await client.query(joined)).rows).toEqual([{ n: '160', v: '3284' }]);
  await client.query('ROLLBACK TO s');
  expect((await client.query(joined)).rows).toEqual([{ n: '160', v: '3280' }]);
  await client.query('ROLLBACK');
});

test('each statement of the block sees what was committed before it', async () => {
  await client.query('BEGIN');
  await client.query(joined);
  await other.query('UPDATE b SET v = v + 1 WHERE id IN (1, 2, 3)');
  expect((await client.query(joined)).rows).toEqual([{ n: '160', v: '3292' }]);
  await other.query('UPDATE b SET v = v - 1 WHERE id IN (1, 2, 3)');
  expect((await client.query(joined)).rows).toEqual([{ n: '160', v: '3280' }]);
  await client.query('COMMIT');
});

test.each([
  ['SELECT FOR UPDATE on one node', 'SELECT * FROM a WHERE id = 1 FOR UPDATE', 'staged'],
  ['LOCK TABLE', 'LOCK TABLE a IN ACCESS EXCLUSIVE MODE', 'staged'],
  ['TRUNCATE', 'TRUNCATE r', 'staged'],
  ['DDL', 'ALTER TABLE b ADD COLUMN w int', 'gather'],
  ['a temporary table', 'CREATE TEMPORARY TABLE scratch (k int)', 'gather'],
])('after %s the block reads on its own connections', async (_, sql, expected) => {
  await client.query('BEGIN');
  await client.query(sql);
  expect(await rung(joined)).toBe(expected);
  expect((await client.query(joined)).rows).toEqual([{ n: '160', v: '3280' }]);
  await client.query('ROLLBACK');
  await client.query('DISCARD ALL');
});

test('a session with a temporary table moves rows between nodes in its blocks, and gathers what is joined with it', async () => {
  await client.query('CREATE TEMPORARY TABLE scratch (k int)');
  await client.query('INSERT INTO scratch VALUES (3)');
  await client.query('BEGIN');
  expect(await rung(joined)).toBe('staged');
  expect((await client.query(joined)).rows).toEqual([{ n: '160', v: '3280' }]);
  expect(await rung(`${joined} JOIN scratch s ON s.k = a.k`)).toBe('gather');
  expect((await client.query(`${joined} JOIN scratch s ON s.k = a.k`)).rows).toEqual([{ n: '16', v: '288' }]);
  await client.query('ROLLBACK');
  await client.query('DISCARD ALL');
});

test('cursors and COPY of a query move rows between nodes too', async () => {
  const sql = 'SELECT a.id, b.v AS "V" FROM a JOIN b ON a.k = b.k WHERE a.v < 3 AND b.v < 20 ORDER BY b.v, a.id';
  const expected = (await client.query(sql)).rows;
  expect(expected).toHaveLength(4);
  await client.query('BEGIN');
  expect(await rung(`DECLARE c CURSOR FOR ${sql}`)).toBe('staged');
  await client.query(`DECLARE c SCROLL CURSOR FOR ${sql}`);
  await client.query({ text: `DECLARE d CURSOR WITH HOLD FOR ${sql.replace('3', '$1')}`, values: [3] });
  await client.query('UPDATE b SET v = 0');
  expect((await client.query('FETCH ALL FROM c')).rows).toEqual(expected);
  expect((await client.query('FETCH FIRST FROM c')).rows).toEqual(expected.slice(0, 1));
  expect(await rung(`DECLARE e CURSOR FOR ${sql}`)).toBe('staged');
  await client.query(`DECLARE e CURSOR FOR ${sql}`);
  expect((await client.query('FETCH ALL FROM e')).rows.map(({ V }) => V)).toEqual(Array(160 / 20).fill('0'));
  await client.query('ROLLBACK');
  await client.query(`DECLARE h CURSOR WITH HOLD FOR ${sql}`);
  expect((await client.query('FETCH ALL FROM h')).rows).toEqual(expected);
  await client.query('CLOSE h');
  await client.query('DISCARD ALL');
  for (const block of [false, true]) {
    if (block) await client.query('BEGIN');
    const text = await client.query(new CopyOut(`COPY (${sql}) TO STDOUT (FORMAT csv, HEADER)`)).done;
    expect(String(text).trim().split('\n')).toEqual(['id,V', ...expected.map(({ id, V }) => `${id},${V}`)]);
    if (block) await client.query('COMMIT');
  }
});

test('what was written on the coordinator alone keeps only its own tables from being read beside', async () => {
  const withLocal = `${joined} JOIN l ON l.k = b.v`;
  await client.query('BEGIN');
  expect(await rung(withLocal)).toBe('staged');
  const before = (await client.query(withLocal)).rows;
  await client.query('INSERT INTO l VALUES (6, 6)');
  expect(await rung(joined)).toBe('staged');
  expect(await rung(withLocal)).toBe('gather');
  const after = (await client.query(withLocal)).rows;
  expect(Number(after[0].n)).toBe(Number(before[0].n) + 4);
  await client.query('ROLLBACK');
});

test('now() is that of the block, and settings are those of the block', async () => {
  const shown = `SELECT now() AS t, current_setting('DateStyle') AS s, '2026-03-04'::date::text AS d
    FROM a JOIN b ON a.k = b.k WHERE a.v = 1 AND b.v = 11`;
  await client.query('BEGIN');
  await client.query("SET LOCAL DateStyle = 'German'");
  const { rows } = await client.query('SELECT now() AS t');
  expect(await rung(shown)).toBe('staged');
  expect((await client.query(shown)).rows).toEqual([{ ...rows[0], s: 'German, DMY', d: '04.03.2026' }]);
  const withLocal = `SELECT now() AS t, l.v FROM a JOIN b ON a.k = b.k JOIN l ON l.k = b.k WHERE a.v = 1 AND b.v = 11`;
  expect((await client.query(withLocal)).rows).toEqual([{ ...rows[0], v: '1' }]);
  await client.query('COMMIT');
  expect((await client.query('SHOW DateStyle')).rows).toEqual([{ DateStyle: 'ISO, MDY' }]);
});

test('a role of the block reads with its own rights, beside it too', async () => {
  await client.query('CREATE ROLE reader');
  await client.query('GRANT SELECT ON a TO reader');
  await client.query('BEGIN');
  await client.query('SET LOCAL ROLE reader');
  await expect(client.query(joined)).rejects.toMatchObject({ code: '42501' });
  await client.query('ROLLBACK');
  await client.query('GRANT SELECT ON b TO reader');
  await client.query('BEGIN');
  await client.query('SET LOCAL ROLE reader');
  expect(await rung(joined)).toBe('staged');
  expect((await client.query(joined)).rows).toEqual([{ n: '160', v: '3280' }]);
  await client.query('COMMIT');
});

test('an error beside the block fails the block, and ROLLBACK TO leads on', async () => {
  await client.query('BEGIN READ ONLY');
  await client.query('SAVEPOINT s');
  await expect(client.query(`SELECT 1 / (a.v - a.v) FROM a JOIN b ON a.k = b.k`)).rejects.toMatchObject({
    code: '22012',
  });
  await expect(client.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
  await client.query('ROLLBACK TO s');
  expect((await client.query(joined)).rows).toEqual([{ n: '160', v: '3280' }]);
  expect((await client.query('COMMIT')).command).toBe('COMMIT');
});

test('a time limit and a cancel request reach what runs beside the block', async () => {
  const slow = `SELECT count(*) FROM a JOIN b ON a.k = b.k, generate_series(1, 3000000) g`;
  await client.query('BEGIN');
  expect(await rung(slow)).toBe('staged');
  await client.query('SET LOCAL statement_timeout = 200');
  await expect(client.query(slow)).rejects.toMatchObject({ code: '57014' });
  await client.query('ROLLBACK');
  await client.query('BEGIN');
  const outcome = client.query(slow).catch((error) => error.code);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const canceler = new pg.Client({ connectionString: herd.url });
  // biome-ignore lint/suspicious/noExplicitAny: the cancel request is not among the published types
  (canceler as any).cancel(client, (client as any)._activeQuery ?? (client as any).activeQuery);
  expect(await outcome).toBe('57014');
  await client.query('ROLLBACK');
});

test('who waits for the block to end does not stand in its way', async () => {
  await client.query('BEGIN');
  await client.query(joined);
  await client.query('SELECT count(*) FROM b');
  await other.query('BEGIN');
  const waiting = other.query('LOCK TABLE b IN ACCESS EXCLUSIVE MODE');
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect((await client.query(joined)).rows).toEqual([{ n: '160', v: '3280' }]);
  await client.query('COMMIT');
  await waiting;
  await other.query('COMMIT');
});

test('LOCK TABLE keeps others from a distributed table, also through a view, and is refused outside of a block', async () => {
  await expect(client.query('LOCK TABLE a')).rejects.toMatchObject({ code: '25P01' });
  await client.query('CREATE VIEW av AS SELECT a.id, l.v FROM a JOIN l ON l.k = a.k');
  await other.query("SET lock_timeout = '200ms'");
  for (const what of ['a', 'av', 'l, a']) {
    await client.query('BEGIN');
    await client.query(`LOCK TABLE ${what} IN EXCLUSIVE MODE`);
    await expect(other.query('UPDATE a SET v = v WHERE id = 3')).rejects.toMatchObject({ code: '55P03' });
    expect((await other.query('SELECT count(*) AS n FROM a')).rows).toEqual([{ n: '40' }]);
    await client.query('COMMIT');
    await other.query('UPDATE a SET v = v WHERE id = 3');
  }
  await other.query('BEGIN');
  await other.query('UPDATE a SET v = v WHERE id = 3');
  await client.query('BEGIN');
  await expect(client.query('LOCK TABLE a IN SHARE MODE NOWAIT')).rejects.toMatchObject({ code: '55P03' });
  await client.query('ROLLBACK');
  await other.query('ROLLBACK; RESET lock_timeout');
});

test('a change in WITH ends with its block, whatever the rest of the statement reads', async () => {
  const changes = [
    'WITH gone AS (DELETE FROM a WHERE v > 30 RETURNING id) SELECT count(*) FROM r',
    'WITH gone AS (UPDATE a SET v = -1 RETURNING id) SELECT count(*) FROM l JOIN b ON l.k = b.k',
    'WITH added AS (INSERT INTO a SELECT id + 1000, k, v FROM b RETURNING id) SELECT count(*) FROM r WHERE k IN (SELECT k FROM b)',
  ];
  const state = async () => (await other.query('SELECT count(*), sum(v) FROM a')).rows;
  const before = await state();
  for (const sql of changes) {
    await client.query('BEGIN');
    await client.query(sql);
    expect(await state()).toEqual(before);
    await client.query('ROLLBACK');
    expect(await state()).toEqual(before);
  }
});
