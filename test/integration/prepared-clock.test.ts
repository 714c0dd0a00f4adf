import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

let herd: TestHerd;

beforeAll(async () => {
  herd = await startHerd({ nodes: 1 });
  const client = await connect();
  await client.query('CREATE TABLE visit (id integer, at timestamptz)');
  await client.query("SELECT create_distributed_table('visit', 'id', shard_count := 4)");
  await client.end();
});

afterAll(() => herd?.stop());

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: herd.url });
  await client.connect();
  return client;
}

test('a statement that needs the time of its block can be prepared by every session anew, and shows one time', async () => {
  const text = 'INSERT INTO visit VALUES ($1, CURRENT_TIMESTAMP)';
  for (let session = 0; session < 4; session++) {
    const client = await connect();
    await client.query({ name: 'begin', text: 'BEGIN' });
    await client.query({ name: 'look', text: 'SELECT at FROM visit WHERE id = $1', values: [session] });
    await client.query({ name: 'visit', text, values: [session] });
    await client.query({ name: 'visit', text, values: [session] });
    await client.query('COMMIT');
    await client.end();
  }
  const client = await connect();
  const { rows } = await client.query(
    'SELECT id, count(*), count(DISTINCT at) AS times FROM visit GROUP BY id ORDER BY id',
  );
  expect(rows).toEqual([0, 1, 2, 3].map((id) => ({ id, count: '2', times: '1' })));
  await client.end();
});
