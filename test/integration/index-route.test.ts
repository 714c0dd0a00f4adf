import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

let herd: TestHerd;
const clients: pg.Client[] = [];
let client: pg.Client;

beforeAll(async () => {
  herd = await startHerd({ nodes: 3, version: process.env['PGHERD_TEST_POSTGRES'] === '15' ? 15 : 18 });
  client = await connect();
  await client.query(
    'CREATE TABLE person (id integer, mail text UNIQUE, n integer NOT NULL DEFAULT 0, UNIQUE (id, n))',
  );
  await client.query("SELECT create_distributed_table('person', 'id')");
  await client.query("INSERT INTO person SELECT g, 'm' || g FROM generate_series(1, 60) g");
}, 120_000);

afterAll(async () => {
  for (const each of clients) await each.end();
  await herd.stop();
});

async function connect(): Promise<pg.Client> {
  const made = new pg.Client({ connectionString: herd.url });
  await made.connect();
  clients.push(made);
  return made;
}

test('EXPLAIN says that the unique index is asked first', async () => {
  const { rows } = await client.query("EXPLAIN SELECT * FROM person WHERE mail = 'm7'");
  expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toContain('unique index person_mail_key is asked first');
});

test('a row is read, changed and deleted by its unique value while the table is locked on all other nodes', async () => {
  const nodes = await Promise.all(
    herd.nodes.map(async ({ host, port }) => {
      const node = new pg.Client({ connectionString: `postgresql://postgres@${host}:${port}/postgres` });
      await node.connect();
      return node;
    }),
  );
  const reader = await connect();
  await reader.query("SET statement_timeout = '10s'");
  for (const node of nodes) {
    const { rowCount } = await node.query("SELECT FROM person WHERE mail = 'm7'");
    await node.query('BEGIN');
    if (rowCount === 0) await node.query('LOCK TABLE person IN ACCESS EXCLUSIVE MODE');
  }
  const rows = async (sql: string, values: string[] = []) => (await reader.query(sql, values)).rows;
  expect(await rows('SELECT id FROM person WHERE mail = $1', ['m7'])).toEqual([{ id: 7 }]);
  expect(await rows("SELECT upper(mail) AS u FROM person p WHERE 'm7' = p.mail AND n = 0 FOR UPDATE")).toEqual([
    { u: 'M7' },
  ]);
  expect(await rows('UPDATE person SET n = n + 1 WHERE mail = $1 RETURNING id, n', ['m7'])).toEqual([{ id: 7, n: 1 }]);
  expect((await reader.query("DELETE FROM person WHERE mail = 'm7'")).rowCount).toBe(1);
  for (const node of nodes) await node.end();
});

test('what is asked by a unique value gives what all nodes give', async () => {
  for (const [sql, count] of [
    ["SELECT id FROM person WHERE mail = 'nobody'", 0],
    ["SELECT id FROM person WHERE mail = 'm10' AND n > 5", 0],
    ["SELECT id FROM person WHERE mail = 'm10' OFFSET 1", 0],
    ["SELECT count(*) FROM person WHERE mail = 'm10'", 1],
    ["SELECT p.id FROM person p JOIN person q USING (n) WHERE p.mail = 'm10' AND q.mail = 'm11'", 1],
    ["SELECT id FROM person WHERE mail IN ('m10', 'm11')", 2],
    ['SELECT id FROM person WHERE mail IS NULL', 0],
    ["UPDATE person SET id = 3000 WHERE mail = 'm12'", 1],
    ["SELECT id FROM person WHERE mail = 'm12' AND id = 3000", 1],
    ["DELETE FROM person WHERE mail = 'm13' AND n = 1", 0],
  ] as const) {
    expect([sql, (await client.query(sql)).rowCount]).toEqual([sql, count]);
  }
});

test('a transaction finds its own rows by the unique value, and not those that it has deleted', async () => {
  await client.query('BEGIN');
  await client.query("INSERT INTO person VALUES (1000, 'own')");
  expect((await client.query("SELECT id FROM person WHERE mail = 'own'")).rows).toEqual([{ id: 1000 }]);
  await client.query("UPDATE person SET mail = 'other' WHERE mail = 'own'");
  expect((await client.query("SELECT id FROM person WHERE mail = 'own'")).rows).toEqual([]);
  expect((await client.query("SELECT id FROM person WHERE mail = 'other'")).rows).toEqual([{ id: 1000 }]);
  await client.query("UPDATE person SET id = 2000 WHERE mail = 'other'");
  expect((await client.query("SELECT id FROM person WHERE mail = 'other'")).rows).toEqual([{ id: 2000 }]);
  await client.query("DELETE FROM person WHERE mail = 'other'");
  expect((await client.query("SELECT id FROM person WHERE mail = 'other'")).rows).toEqual([]);
  await client.query('ROLLBACK');
});

test('a row that moves between nodes all the time is found by every read', async () => {
  const mover = await connect();
  const readers = await Promise.all([connect(), connect(), connect()]);
  await client.query("INSERT INTO person VALUES (500, 'mover')");
  let moving = true;
  const moves = (async () => {
    for (let i = 0; i < 60; i++)
      await mover.query(`UPDATE person SET id = ${500 + ((i * 7) % 40)} WHERE mail = 'mover'`);
    moving = false;
  })();
  let missed = 0;
  let reads = 0;
  await Promise.all(
    readers.map(async (reader) => {
      while (moving) {
        const { rows } = await reader.query("SELECT id FROM person WHERE mail = 'mover'");
        reads += 1;
        if (rows.length !== 1) missed += 1;
      }
    }),
  );
  await moves;
  expect(reads).toBeGreaterThan(20);
  expect(missed).toBe(0);
}, 60_000);
