import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';
import { pgherd } from '../harness/pgherd-command.ts';

let herd: TestHerd;
let client: pg.Client;

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  client = new pg.Client({ connectionString: herd.url });
  await client.connect();
});

afterAll(async () => {
  await client.end();
  await herd.stop();
});

test.each(['ecommerce', 'finance'])('the demo %s makes rows that its own queries find', async (name) => {
  const outcome = await pgherd(['demo', name, '--rows', '3000', '--json', '--url', herd.url]);
  expect(outcome.stderr).toContain('pgherd: 0 % ');
  const { tables, queries } = JSON.parse(outcome.stdout);
  for (const { table, rows } of tables) {
    expect((await client.query(`SELECT count(*)::int AS rows FROM ${table}`)).rows).toEqual([{ rows }]);
  }
  for (const { sql } of queries) expect((await client.query(sql)).rows.length).toBeGreaterThan(0);
  const again = await pgherd(['demo', name, '--url', herd.url]);
  expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('which is there already\nWith --replace') });
});

test('its rows go together: orders cost what their goods do, payments pay orders, some accounts are suspicious', async () => {
  const one = async (sql: string) => Object.values((await client.query(sql)).rows[0])[0];
  expect(
    await one(
      'SELECT count(*)::int FROM orders o JOIN products p USING (product_id) WHERE o.amount = o.quantity * p.price',
    ),
  ).toBe(3000);
  expect(
    await one('SELECT count(*)::int FROM payments p JOIN orders o USING (user_id, order_id) WHERE p.amount = o.amount'),
  ).toBe(2700);
  expect(await one('SELECT count(*)::int FROM financial_transactions WHERE risk_score > 0.8')).toBeGreaterThan(20);
  expect(await one("SELECT count(*)::int FROM citus_tables WHERE citus_table_type = 'distributed'")).toBe(4);
});

test('on a plain PostgreSQL server the tables are ordinary ones', async () => {
  const { host, port } = herd.nodes[0]!;
  const url = `postgresql://postgres@${host}:${port}/template1`;
  expect(await pgherd(['demo', 'finance', '--rows', '10', '--url', url])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('financial_transactions: 10 rows'),
  });
});
