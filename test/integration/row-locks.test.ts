import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

describe('row locks over several nodes', () => {
  let herd: TestHerd;
  let one: pg.Client;
  let two: pg.Client;

  beforeAll(async () => {
    herd = await startHerd({ nodes: 3 });
    one = new pg.Client(herd.url);
    two = new pg.Client(herd.url);
    await Promise.all([one.connect(), two.connect()]);
    for (const sql of [
      'CREATE TABLE job (id int PRIMARY KEY, state text, weight int)',
      "SELECT create_distributed_table('job', 'id', shard_count => 6)",
      "INSERT INTO job SELECT g, 'open', g % 4 FROM generate_series(1, 30) g",
      'CREATE TABLE worker (id int PRIMARY KEY, weight int)',
      "SELECT create_distributed_table('worker', 'id', shard_count => 6, colocate_with => 'none')",
      'INSERT INTO worker SELECT g, g FROM generate_series(1, 3) g',
    ])
      await one.query(sql);
  }, 120_000);

  afterEach(async () => {
    await Promise.all([one.query('ROLLBACK'), two.query('ROLLBACK')]);
  });

  afterAll(async () => {
    await Promise.all([one?.end(), two?.end()]);
    await herd?.stop();
  });

  const ids = async (client: pg.Client, sql: string) => (await client.query(sql)).rows.map(({ id }) => id);

  test('SKIP LOCKED with LIMIT leaves rows to others, in their order', async () => {
    const next = (count: number) => `SELECT id FROM job ORDER BY id LIMIT ${count} FOR UPDATE SKIP LOCKED`;
    await one.query('BEGIN');
    await two.query('BEGIN');
    expect(await ids(one, next(3))).toEqual([1, 2, 3]);
    // Each of three nodes has locked three rows at most.
    const left = await ids(two, next(3));
    expect(left).toHaveLength(3);
    expect(left).toEqual([...left].sort((a, b) => a - b));
    expect(Math.min(...left)).toBeGreaterThan(3);
    expect(Math.max(...left)).toBeLessThanOrEqual(24);
    await one.query('ROLLBACK');
    await two.query('ROLLBACK');
    expect(await ids(two, next(2))).toEqual([1, 2]);
  });

  test('LIMIT without an order locks the rows that it gives, and no others', async () => {
    const take = 'SELECT id FROM job LIMIT $1 OFFSET $2 FOR UPDATE SKIP LOCKED';
    const left = 'SELECT id FROM job FOR UPDATE SKIP LOCKED';
    for (const [limit, offset] of [
      [1, 0],
      [4, 0],
      [25, 2],
      [0, 0],
      [40, 3],
    ] as const) {
      await one.query('BEGIN');
      await two.query('BEGIN');
      const { rows } = await one.query({ text: take, values: [limit, offset] });
      expect(rows).toHaveLength(Math.min(limit, 30 - offset));
      // PostgreSQL locks what OFFSET passes over, too.
      const others = await ids(two, left);
      expect(others).toHaveLength(limit === 0 ? 30 : Math.max(0, 30 - limit - offset));
      expect(rows.filter(({ id }) => others.includes(id))).toEqual([]);
      await one.query('ROLLBACK');
      await two.query('ROLLBACK');
    }
    expect(await ids(one, "SELECT id FROM job WHERE state = 'none' LIMIT 3 FOR UPDATE")).toEqual([]);
  });

  test('SKIP LOCKED in a subquery of a change takes each job once', async () => {
    const take = `UPDATE job SET state = 'taken' WHERE id IN
      (SELECT id FROM job WHERE state = 'open' ORDER BY weight, id LIMIT 4 FOR UPDATE SKIP LOCKED) RETURNING id`;
    await one.query('BEGIN');
    await two.query('BEGIN');
    const first = await ids(one, take);
    const second = await ids(two, take);
    expect([...first].sort((a, b) => a - b)).toEqual([4, 8, 12, 16]);
    expect(second).toHaveLength(4);
    expect(second.filter((id) => first.includes(id))).toEqual([]);
  });

  test('NOWAIT fails at once where another one holds a row, on any node', async () => {
    await one.query('BEGIN');
    await ids(one, 'SELECT id FROM job WHERE weight = 1 FOR UPDATE');
    await two.query('BEGIN');
    await expect(two.query('SELECT id FROM job FOR UPDATE NOWAIT')).rejects.toMatchObject({ code: '55P03' });
    await two.query('ROLLBACK');
    await two.query('BEGIN');
    expect(await ids(two, 'SELECT id FROM job WHERE weight = 2 ORDER BY id FOR UPDATE NOWAIT')).toEqual([
      2, 6, 10, 14, 18, 22, 26, 30,
    ]);
  });

  test('FOR UPDATE waits, and then sees what the other one has done', async () => {
    await one.query('BEGIN');
    await one.query("UPDATE job SET state = 'held' WHERE weight = 3");
    await two.query('BEGIN');
    const waiting = two.query("SELECT id FROM job WHERE weight = 3 AND state = 'open' ORDER BY id FOR UPDATE");
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await one.query('COMMIT');
    expect((await waiting).rows).toEqual([]);
    await two.query('ROLLBACK');
    await one.query("UPDATE job SET state = 'open'");
  });

  test('a join that is not on the distribution columns locks rows of the table that is named, and leaves the other alone', async () => {
    await one.query('BEGIN');
    const sql = 'SELECT j.id FROM job j JOIN worker w ON w.weight = j.weight WHERE w.id = 2 ORDER BY 1 FOR UPDATE OF j';
    expect(await ids(one, sql)).toEqual([2, 6, 10, 14, 18, 22, 26, 30]);
    await two.query('BEGIN');
    expect(await ids(two, 'SELECT id FROM job WHERE weight = 2 FOR UPDATE SKIP LOCKED')).toEqual([]);
    expect(await ids(two, 'SELECT id FROM worker ORDER BY id FOR UPDATE NOWAIT')).toEqual([1, 2, 3]);
  });
});
