import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

let herd: TestHerd;
let client: pg.Client;

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  client = new pg.Client({ connectionString: herd.url });
  await client.connect();
  await client.query('CREATE TABLE parent (id integer PRIMARY KEY, mail text UNIQUE)');
  await client.query(
    'CREATE TABLE child (id integer PRIMARY KEY, pid integer REFERENCES parent DEFERRABLE INITIALLY DEFERRED, now integer REFERENCES parent)',
  );
  await client.query("SELECT create_distributed_table('parent', 'id')");
  await client.query("SELECT create_distributed_table('child', 'id')");
  await client.query(`CREATE FUNCTION add_child(child_id int, late int, early int) RETURNS void LANGUAGE plpgsql AS
    'BEGIN INSERT INTO child VALUES (child_id, late, early); END'`);
  await client.query(`CREATE FUNCTION add_parent(parent_id int, its_mail text) RETURNS void LANGUAGE plpgsql AS
    'BEGIN INSERT INTO parent VALUES (parent_id, its_mail); END'`);
}, 120_000);

afterAll(async () => {
  await client.end();
  await herd.stop();
});

function outcome(sql: string): Promise<string> {
  return client.query(sql).then(
    () => 'done',
    (error) => error.code as string,
  );
}

test('what a function writes is checked as what its caller writes', async () => {
  await client.query('BEGIN');
  expect(await outcome('SELECT add_child(1, NULL, 77)')).toBe('23503');
  await client.query('ROLLBACK');
  await client.query('BEGIN');
  expect(await outcome('SELECT add_child(1, 1, NULL)')).toBe('done');
  expect(await outcome('COMMIT')).toBe('23503');
  await client.query('BEGIN');
  expect(await outcome('SELECT add_child(1, 1, NULL)')).toBe('done');
  expect(await outcome("SELECT add_parent(1, 'a')")).toBe('done');
  expect(await outcome('COMMIT')).toBe('done');
  await client.query('BEGIN');
  expect(await outcome("SELECT add_parent(2, 'a')")).toBe('23505');
  await client.query('ROLLBACK');
  expect((await client.query('SELECT id, pid FROM child')).rows).toEqual([{ id: 1, pid: 1 }]);
});
