import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

describe('changes through views over distributed tables', () => {
  let herd: TestHerd;
  let client: pg.Client;

  beforeAll(async () => {
    herd = await startHerd({ nodes: 2 });
    client = new pg.Client(herd.url);
    await client.connect();
    for (const sql of [
      'CREATE ROLE clerk',
      'CREATE ROLE guest',
      'CREATE TABLE orders (customer int, id int, total int)',
      "SELECT create_distributed_table('orders', 'customer', shard_count => 4)",
      'INSERT INTO orders SELECT g % 7, g, g FROM generate_series(1, 40) g',
      'CREATE VIEW small AS SELECT * FROM orders WHERE total < 100 WITH CHECK OPTION',
      'GRANT SELECT, UPDATE ON orders TO clerk',
      'GRANT SELECT, UPDATE ON small TO guest',
    ])
      await client.query(sql);
  }, 120_000);

  afterAll(async () => {
    await client?.end();
    await herd?.stop();
  });

  async function as(role: string, sql: string): Promise<unknown> {
    await client.query(`SET ROLE ${role}`);
    try {
      return (await client.query(sql)).rowCount;
    } finally {
      await client.query('RESET ROLE');
    }
  }

  test('ask for privileges on the view, not only on its table', async () => {
    await expect(as('clerk', 'UPDATE small SET total = 1 WHERE id = 1')).rejects.toMatchObject({
      code: '42501',
      message: 'permission denied for view small',
    });
    await client.query('GRANT SELECT, UPDATE ON small TO clerk');
    expect(await as('clerk', 'UPDATE small SET total = 1 WHERE id = 1')).toBe(1);
    await expect(as('clerk', 'DELETE FROM small WHERE id = 1')).rejects.toMatchObject({ code: '42501' });
  });

  test('are refused to roles that have none on the table', async () => {
    await expect(as('guest', 'UPDATE small SET total = 1')).rejects.toMatchObject({
      code: '0A000',
      message: expect.stringContaining('PH038'),
    });
  });

  test('that fail the CHECK OPTION are undone on every node, in a transaction too', async () => {
    const sum = async () => (await client.query('SELECT sum(total)::int FROM orders')).rows[0].sum;
    const before = await sum();
    for (const sql of ['UPDATE small SET total = total + 70', 'UPDATE small SET total = 100 WHERE customer = 2']) {
      await expect(client.query(sql)).rejects.toMatchObject({
        code: '44000',
        message: 'new row violates check option for view "small"',
      });
      expect(await sum()).toBe(before);
    }
    await client.query('BEGIN');
    await client.query('UPDATE small SET total = total + 1');
    await expect(client.query('UPDATE small SET total = 500')).rejects.toMatchObject({ code: '44000' });
    await client.query('ROLLBACK');
    expect(await sum()).toBe(before);
  });

  test('return the view’s columns in text and in binary', async () => {
    const text = 'UPDATE small SET total = total WHERE id = $1 RETURNING *';
    for (const binary of [false, true]) {
      const { rows, fields } = await client.query({ text, values: [9], binary } as pg.QueryConfig);
      expect(fields.map(({ name }) => name)).toEqual(['customer', 'id', 'total']);
      expect(rows).toEqual([{ customer: 2, id: 9, total: 9 }]);
    }
  });

  test('EXPLAIN shows the change of the table', async () => {
    const { rows } = await client.query('EXPLAIN (ANALYZE, COSTS OFF) UPDATE small SET total = total');
    const shown = rows.map((row) => row['QUERY PLAN']).join('\n');
    expect(shown).toMatch(/^Rung: rows to shards \(.*; through the view small\)/);
    expect(shown).toContain('changed=40');
  });
});
