import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

/** Materialized views over distributed tables: filled and refreshed by PostgreSQL itself, through the way back. */

let herd: TestHerd;
let db: pg.Client;

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  db = new pg.Client({ host: '127.0.0.1', port: herd.port, user: 'postgres', database: 'postgres' });
  await db.connect();
  for (const statement of setUp.split(';\n')) await db.query(statement);
});
afterAll(async () => {
  await db?.end();
  await herd?.stop();
});

const setUp = `CREATE TABLE orders (id int PRIMARY KEY, cust int, total numeric);
CREATE TABLE customers (cust int PRIMARY KEY, name text);
SELECT create_distributed_table('orders', 'id');
SELECT create_distributed_table('customers', 'cust');
INSERT INTO orders SELECT i, i % 10, i FROM generate_series(1, 100) i;
INSERT INTO customers SELECT i, 'c' || i FROM generate_series(0, 9) i;
CREATE VIEW named AS SELECT o.id, c.name, o.total FROM orders o JOIN customers c USING (cust);
CREATE MATERIALIZED VIEW sums AS SELECT cust, sum(total) AS total, count(*) AS n FROM orders GROUP BY cust;
CREATE UNIQUE INDEX ON sums (cust);
CREATE MATERIALIZED VIEW later AS SELECT name, max(total) AS most FROM named GROUP BY name WITH NO DATA`;

async function outcome(sql: string): Promise<string> {
  try {
    const { rows } = await db.query({ text: sql, rowMode: 'array' });
    return rows.map((row) => row.join('|')).join(', ');
  } catch (error) {
    return `${(error as pg.DatabaseError).code} ${(error as Error).message}`;
  }
}

test('is filled when it is made, and shows its definition', async () => {
  expect(await outcome('SELECT * FROM sums WHERE cust < 3 ORDER BY cust')).toBe('0|550|10, 1|460|10, 2|470|10');
  expect(await outcome("SELECT pg_get_viewdef('sums')")).toMatch(/FROM orders\s+GROUP BY (orders\.)?cust/);
});

test('REFRESH sees what was written since, REFRESH CONCURRENTLY too', async () => {
  await db.query('UPDATE orders SET total = total + 1 WHERE cust = 1');
  expect(await outcome('SELECT total FROM sums WHERE cust = 1')).toBe('460');
  await db.query('REFRESH MATERIALIZED VIEW sums');
  expect(await outcome('SELECT total FROM sums WHERE cust = 1')).toBe('470');
  await db.query('DELETE FROM orders WHERE cust = 2');
  await db.query('REFRESH MATERIALIZED VIEW CONCURRENTLY sums');
  expect(await outcome('SELECT count(*) FROM sums')).toBe('9');
});

test('in a transaction it sees the own writes, and a rollback undoes it', async () => {
  await db.query('BEGIN');
  await db.query('DELETE FROM orders WHERE cust = 3');
  await db.query('REFRESH MATERIALIZED VIEW sums');
  expect(await outcome('SELECT count(*) FROM sums')).toBe('8');
  await db.query('ROLLBACK');
  expect(await outcome('SELECT count(*) FROM sums')).toBe('9');
});

test('in a transaction that has changed the schema it is refused', async () => {
  await db.query('BEGIN; ALTER TABLE orders ADD COLUMN x int');
  expect(await outcome('REFRESH MATERIALIZED VIEW sums')).toMatch(/^0A000 .*PH051/);
  await db.query('ROLLBACK');
});

test('WITH NO DATA, over a view that joins tables of different nodes', async () => {
  expect(await outcome('SELECT * FROM later')).toMatch(/^55000/);
  await db.query('REFRESH MATERIALIZED VIEW later');
  expect(await outcome("SELECT * FROM later WHERE name IN ('c0', 'c9') ORDER BY 1")).toBe('c0|100, c9|99');
  expect(await outcome('SELECT count(*) FROM orders o JOIN later l ON l.most = o.total')).toBe('9');
});
