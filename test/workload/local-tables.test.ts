import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

/*
 * Transfers between a distributed table and one of the coordinator's own, while readers in READ COMMITTED blocks add both up: what a
 * statement reads on the coordinator is of the same moment as what it reads on nodes.
 */

const accounts = 12;
const total = accounts * 100;
const reads = 40;

let herd: TestHerd;

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  const client = await connect();
  await client.query('CREATE TABLE account (id integer PRIMARY KEY, balance bigint NOT NULL)');
  await client.query("SELECT create_distributed_table('account', 'id')");
  await client.query(`INSERT INTO account SELECT g, 100 FROM generate_series(1, ${accounts}) g`);
  await client.query('CREATE TABLE till (balance bigint NOT NULL)');
  await client.query('INSERT INTO till VALUES (0)');
  await client.query('CREATE TABLE other (id integer PRIMARY KEY, n integer)');
  await client.query("SELECT create_distributed_table('other', 'id')");
  await client.query('INSERT INTO other SELECT g, 0 FROM generate_series(1, 40) g');
  await client.end();
});

afterAll(() => herd?.stop());

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: herd.url });
  await client.connect();
  return client;
}

const both = 'SELECT a.balance + t.balance AS sum FROM (SELECT sum(balance) AS balance FROM account) a, till t';

interface Reader {
  readonly name: string;
  readonly settings?: string;
  /** What the block has done before it reads. */
  readonly before?: (turn: number) => string;
  readonly sql?: string;
  /** DECLARE does the reading. */
  readonly cursor?: true;
}

const readers: readonly Reader[] = [
  { name: 'moved rows' },
  { name: 'a gather', settings: 'SET pgherd.force_rung = gather' },
  {
    name: 'a gather in a block that has written',
    before: (turn) => `UPDATE other SET n = n + 1 WHERE id = ${1 + (turn % 40)}`,
  },
  { name: 'a gather with values of the session', sql: both.replace('AS sum', 'AS sum, now() AS at') },
  { name: 'a cursor', cursor: true },
];

test('no total over a distributed table and a local one is wrong', async () => {
  let isOver = false;
  let transfers = 0;
  const write = async (seed: number) => {
    const client = await connect();
    for (let turn = seed; !isOver; turn++) {
      await client.query('BEGIN');
      await client.query('UPDATE account SET balance = balance - 1 WHERE id = $1', [1 + (turn % accounts)]);
      await client.query('UPDATE till SET balance = balance + 1');
      await client.query('COMMIT');
      transfers += 1;
    }
    await client.end();
  };
  const read = async ({ name, settings = 'SELECT', before, sql = both, cursor }: Reader) => {
    const client = await connect();
    await client.query(settings);
    let wrong = 0;
    for (let turn = 0; turn < reads; turn++) {
      await client.query('BEGIN');
      if (before) await client.query(before(turn));
      if (cursor) await client.query(`DECLARE c CURSOR FOR ${sql}`);
      const { rows } = await client.query(cursor ? 'FETCH ALL FROM c' : sql);
      if (Number(rows[0].sum) !== total) wrong += 1;
      await client.query('COMMIT');
    }
    await client.end();
    return [name, wrong] as const;
  };
  const writers = [1, 5, 9].map(write);
  const counts = await Promise.all(readers.map(read));
  isOver = true;
  await Promise.all(writers);
  expect(Object.fromEntries(counts)).toEqual(Object.fromEntries(readers.map(({ name }) => [name, 0])));
  expect(transfers).toBeGreaterThan(10);
}, 300_000);
