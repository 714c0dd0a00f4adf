import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

let herd: TestHerd;
const clients: pg.Client[] = [];
let one: pg.Client;
let two: pg.Client;

beforeAll(async () => {
  herd = await startHerd({ nodes: 3 });
  one = await connect();
  two = await connect();
  await one.query('CREATE TABLE person (id integer PRIMARY KEY, mail text UNIQUE, n integer NOT NULL DEFAULT 0)');
  await one.query("SELECT create_distributed_table('person', 'id')");
}, 120_000);

afterAll(async () => {
  for (const client of clients) await client.end();
  await herd.stop();
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: herd.url });
  await client.connect();
  clients.push(client);
  return client;
}

/** Resolves to the SQLSTATE, or to 'done'. */
function outcome(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'done',
    (error) => error.code as string,
  );
}

/** Whether it is still under way after a while. */
async function waits(work: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  const later = new Promise((resolve) => setTimeout(() => resolve(pending), 1500));
  return (await Promise.race([work, later])) === pending;
}

const insert = (id: number, mail: string) => `INSERT INTO person VALUES (${id}, '${mail}')`;

test('who inserts a value that another is about to insert waits, and gets 23505 when the other commits', async () => {
  await one.query('BEGIN');
  await one.query(insert(1, 'a'));
  const second = outcome(two.query(insert(2, 'a')));
  expect(await waits(second)).toBe(true);
  await one.query('COMMIT');
  expect(await second).toBe('23505');
});

test('who waits for the value goes on when the other rolls back', async () => {
  await one.query('BEGIN');
  await one.query(insert(3, 'b'));
  const second = outcome(two.query(insert(4, 'b')));
  expect(await waits(second)).toBe(true);
  await one.query('ROLLBACK');
  expect(await second).toBe('done');
});

test('ON CONFLICT DO NOTHING waits too, and inserts nothing when the other commits', async () => {
  await one.query('BEGIN');
  await one.query(insert(5, 'c'));
  const second = two.query(`${insert(6, 'c')} ON CONFLICT DO NOTHING`);
  expect(await waits(second)).toBe(true);
  await one.query('COMMIT');
  expect((await second).rowCount).toBe(0);
  await one.query('BEGIN');
  await one.query(insert(7, 'd'));
  const third = two.query(`${insert(8, 'd')} ON CONFLICT (mail) DO NOTHING`);
  expect(await waits(third)).toBe(true);
  await one.query('ROLLBACK');
  expect((await third).rowCount).toBe(1);
});

const upsert = (id: number, mail: string) =>
  `${insert(id, mail)} ON CONFLICT (mail) DO UPDATE SET n = person.n + 1 RETURNING id, n`;

test('ON CONFLICT DO UPDATE waits for who inserts the value, and updates that row', async () => {
  await one.query('BEGIN');
  await one.query(upsert(20, 'u'));
  const second = two.query(upsert(21, 'u'));
  expect(await waits(second)).toBe(true);
  await one.query('COMMIT');
  expect((await second).rows).toEqual([{ id: 20, n: 1 }]);
  await one.query('BEGIN');
  await one.query(upsert(22, 'u'));
  const third = two.query(upsert(23, 'u'));
  expect(await waits(third)).toBe(true);
  await one.query('COMMIT');
  expect((await third).rows).toEqual([{ id: 20, n: 3 }]);
  await one.query('BEGIN');
  await one.query("DELETE FROM person WHERE mail = 'u'");
  const fourth = two.query(upsert(24, 'u'));
  expect(await waits(fourth)).toBe(true);
  await one.query('COMMIT');
  expect((await fourth).rows).toEqual([{ id: 24, n: 0 }]);
});

test('a row that a snapshot does not show is no row to update', async () => {
  await one.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await one.query('SELECT count(*) FROM person');
  await two.query(upsert(30, 'v'));
  expect(await outcome(one.query(upsert(31, 'v')))).toBe('40001');
  await one.query('ROLLBACK');
});

test('many clients count up under the same values', async () => {
  const workers = await Promise.all(Array.from({ length: 4 }, connect));
  await Promise.all(
    workers.map(async (client, w) => {
      for (let round = 0; round < 25; round++) await client.query(upsert(5000 + w * 100 + round, `w${round % 3}`));
    }),
  );
  const { rows } = await one.query(
    "SELECT count(*)::int AS rows, sum(n + 1)::int AS sum FROM person WHERE mail LIKE 'w%'",
  );
  expect(rows).toEqual([{ rows: 3, sum: 100 }]);
});

test('a value that another is about to give up is free once that has committed', async () => {
  await one.query('BEGIN');
  await one.query("DELETE FROM person WHERE mail = 'a'");
  const second = outcome(two.query(insert(9, 'a')));
  expect(await waits(second)).toBe(true);
  await one.query('COMMIT');
  expect(await second).toBe('done');
});

test('rows and entries of the index agree after many clients have changed them at once', async () => {
  const workers = await Promise.all(Array.from({ length: 6 }, connect));
  await Promise.all(
    workers.map(async (client, w) => {
      for (let round = 0; round < 25; round++) {
        const mail = `s${(round * 7 + w * 3) % 10}`;
        const id = 100 + ((round * 5 + w) % 30);
        const statements = [
          `INSERT INTO person VALUES (${id}, '${mail}') ON CONFLICT DO NOTHING`,
          `UPDATE person SET mail = '${mail}' WHERE id = ${id}`,
          `DELETE FROM person WHERE id = ${id}`,
          `UPDATE person SET id = id + 1000 WHERE mail = '${mail}' AND id < 1000`,
        ];
        await client.query(statements[(round + w) % statements.length]!).catch((error) => {
          if (!['23505', '40P01', '40001'].includes(error.code)) throw error;
        });
      }
    }),
  );
  const rows = await one.query("SELECT mail, id FROM person WHERE mail LIKE 's%' ORDER BY 1, 2");
  const [hidden] = (await one.query('SELECT hidden_schema, hidden_name FROM pgherd.global_index')).rows;
  const entries = await one.query(
    `SELECT mail, id FROM ${hidden.hidden_schema}.${hidden.hidden_name} WHERE mail LIKE 's%' ORDER BY 1, 2`,
  );
  expect(entries.rows).toEqual(rows.rows);
  expect(new Set(rows.rows.map(({ mail }) => mail)).size).toBe(rows.rows.length);
}, 120_000);
