import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';
import { connectRaw } from '../oracle/client.ts';

/* Reads over all shards that come again and again, while what they depend on changes or something stands in their way. */

let herd: TestHerd;
let client: pg.Client;
let other: pg.Client;

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  client = await connectRaw(herd.url);
  other = await connectRaw(herd.url);
  await client.query('CREATE TABLE t (id int PRIMARY KEY, v int, note text)');
  await client.query("SELECT create_distributed_table('t', 'id')");
  await client.query("INSERT INTO t SELECT g, g % 10, repeat('n', 200) FROM generate_series(1, 9000) g");
  await client.query('CREATE ROLE reader');
  await client.query('CREATE ROLE stranger');
  await client.query('GRANT USAGE ON SCHEMA public TO reader, stranger');
  await client.query('GRANT SELECT ON t TO reader');
});

afterAll(async () => {
  await client?.end();
  await other?.end();
  await herd?.stop();
});

beforeEach(async () => {
  await client.query('ROLLBACK');
  await client.query('RESET ALL');
  await client.query('RESET ROLE');
});

const total = { name: 'total', text: 'SELECT count(*) AS n, sum(v) AS v FROM t WHERE id >= $1' };

/** Prepared, and as texts that differ in their number. */
async function totals(by: pg.Client, low: number): Promise<unknown[]> {
  const found: unknown[] = [];
  for (let i = 0; i < 3; i++) {
    found.push((await by.query({ ...total, values: [low] })).rows[0]);
    found.push((await by.query(`SELECT count(*) AS n, sum(v) AS v FROM t WHERE id >= ${low}`)).rows[0]);
  }
  return found;
}

const six = <T>(each: T): T[] => Array.from({ length: 6 }, () => each);

test('privileges and policies are those of the role at that moment', async () => {
  const all = { n: '9000', v: '40500' };
  expect(await totals(client, 1)).toEqual(six(all));
  await client.query('SET ROLE reader');
  expect(await totals(client, 1)).toEqual(six(all));
  await client.query('SET ROLE stranger');
  for (let i = 0; i < 3; i++) {
    await expect(client.query({ ...total, values: [1] })).rejects.toMatchObject({ code: '42501' });
    await expect(client.query('SELECT count(*) AS n, sum(v) AS v FROM t WHERE id >= 1')).rejects.toMatchObject({
      code: '42501',
    });
  }
  await client.query('RESET ROLE');
  await client.query('CREATE POLICY small ON t FOR SELECT TO reader USING (v < 1)');
  await client.query('ALTER TABLE t ENABLE ROW LEVEL SECURITY');
  await client.query('SET ROLE reader');
  expect(await totals(client, 1)).toEqual(six({ n: '900', v: '0' }));
  await client.query('RESET ROLE');
  await client.query('ALTER TABLE t DISABLE ROW LEVEL SECURITY');
  await client.query('SET ROLE reader');
  expect(await totals(client, 1)).toEqual(six(all));
  await client.query('RESET ROLE');
  await client.query('REVOKE SELECT ON t FROM reader');
  await client.query('SET ROLE reader');
  await expect(client.query({ ...total, values: [1] })).rejects.toMatchObject({ code: '42501' });
  await client.query('RESET ROLE');
  await client.query('GRANT SELECT ON t TO reader');
});

test('answers that are too large to travel inside a statement are the same', async () => {
  for (let i = 0; i < 3; i++) {
    const { rows } = await client.query({
      name: 'all',
      text: 'SELECT id, note FROM t WHERE v < $1 ORDER BY id',
      values: [10],
    });
    expect(rows.map(({ id }) => id)).toEqual(Array.from({ length: 9000 }, (_, place) => String(place + 1)));
    const passed = await client.query({ name: 'rows', text: 'SELECT id, note FROM t WHERE v < $1', values: [10] });
    expect(new Set(passed.rows.map(({ id }) => id)).size).toBe(9000);
    const few = await client.query({
      name: 'all',
      text: 'SELECT id, note FROM t WHERE v < $1 ORDER BY id',
      values: [0],
    });
    expect(few.rows).toEqual([]);
  }
});

/** Keeps everybody from the table on one node until it is told to end. */
async function lockOnNode(place: number): Promise<() => Promise<void>> {
  const { host, port } = herd.nodes[place]!;
  const node = await connectRaw(`postgresql://postgres@${host}:${port}/postgres`);
  await node.query('BEGIN');
  await node.query('LOCK TABLE t IN ACCESS EXCLUSIVE MODE');
  return () => node.end();
}

const afterMs = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('a lock on one node delays snapshots, and commits that wait for them go first', async () => {
  await client.query('CREATE TABLE two (id int PRIMARY KEY, v int)');
  await client.query("SELECT create_distributed_table('two', 'id')");
  await client.query('INSERT INTO two SELECT g, 0 FROM generate_series(1, 20) g');
  await totals(client, 2);
  const unlock = await lockOnNode(0);
  const reading = client.query({ ...total, values: [8991] });
  let hasCommitted = false;
  const writing = other.query('UPDATE two SET v = 1').then(() => {
    hasCommitted = true;
  });
  await afterMs(1_500);
  const hadCommitted = hasCommitted;
  await unlock();
  expect((await reading).rows).toEqual([{ n: '10', v: '45' }]);
  await writing;
  expect(hadCommitted).toBe(true);
  expect(await totals(client, 8991)).toEqual(six({ n: '10', v: '45' }));
});

test('a cancel request ends it while it waits, and the next one runs', async () => {
  await totals(client, 3);
  for (const place of [0, 1]) {
    const unlock = await lockOnNode(place);
    const reading = client.query({ ...total, values: [1] });
    reading.catch(() => {});
    await afterMs(200);
    const canceler = new pg.Client({ connectionString: herd.url });
    // biome-ignore lint/suspicious/noExplicitAny: pg has no types for it
    (canceler as any).cancel(client, (client as any)._activeQuery ?? (client as any).activeQuery);
    await expect(reading).rejects.toMatchObject({ code: '57014', message: 'canceling statement due to user request' });
    await unlock();
    expect(await totals(client, 8991)).toEqual(six({ n: '10', v: '45' }));
  }
});

test('each run counts, under the text that the client has written', async () => {
  const text = 'SELECT count(*) AS counted FROM t WHERE v = 4 AND id > 5';
  const calls = async () => {
    const { rows } = await client.query(
      "SELECT sum(calls) AS calls, count(*) AS n, max(executor) AS rung FROM citus_stat_statements WHERE query LIKE '%AS counted FROM%'",
    );
    return rows[0];
  };
  for (let i = 1; i <= 5; i++) {
    await client.query(text.replace('5', String(i)));
    expect(await calls()).toEqual({ calls: String(i), n: '1', rung: 'two phases' });
  }
});
