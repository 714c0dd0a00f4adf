import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

describe('a session of the router', () => {
  let herd: TestHerd;
  let client: pg.Client;

  beforeAll(async () => {
    herd = await startHerd({ nodes: 2 });
    client = new pg.Client(herd.url);
    await client.connect();
    for (const sql of [
      // So that tables and types have other OIDs on the nodes.
      'CREATE TABLE before (a int, b int)',
      'DROP TABLE before',
      "CREATE TYPE mood AS ENUM ('sad', 'glad')",
      'CREATE TABLE item (id int PRIMARY KEY, mood mood, word text)',
      "SELECT create_distributed_table('item', 'id')",
      "INSERT INTO item SELECT g, 'glad', repeat('x', 30) FROM generate_series(1, 60000) g",
    ])
      await client.query(sql);
  });

  afterAll(async () => {
    await client?.end();
    await herd?.stop();
  });

  const largeGather =
    'SELECT count(*)::int AS n, max(r)::int AS r FROM (SELECT word, row_number() OVER (ORDER BY id) AS r FROM item) x';
  const all = [{ n: 60_000, r: 60_000 }];

  test('describes rows by the coordinator’s tables and types, whichever server they come from', async () => {
    const oids = await client.query("SELECT 'item'::regclass::oid::int AS item, 'mood'::regtype::oid::int AS mood");
    for (const sql of [
      'SELECT mood FROM item WHERE id = 1',
      'SELECT mood FROM item',
      'SELECT mood FROM item ORDER BY id LIMIT 1',
    ]) {
      const [field] = (await client.query(sql)).fields;
      expect(field).toMatchObject({ tableID: oids.rows[0].item, dataTypeID: oids.rows[0].mood, columnID: 2 });
    }
  });

  test('gathers many rows several times in one transaction', async () => {
    await client.query('BEGIN');
    for (let time = 0; time < 3; time++) expect((await client.query(largeGather)).rows).toEqual(all);
    await client.query('COMMIT');
  });

  test('gathers many rows in a read-only transaction', async () => {
    for (const begin of ['BEGIN READ ONLY', 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY']) {
      await client.query(begin);
      expect((await client.query(largeGather)).rows).toEqual(all);
      await client.query('COMMIT');
    }
  });

  test('keeps several cursors over distributed tables open, in a read-only transaction too', async () => {
    for (const begin of ['BEGIN', 'BEGIN READ ONLY']) {
      await client.query(begin);
      await client.query('DECLARE up CURSOR FOR SELECT id FROM item ORDER BY id');
      await client.query('DECLARE down CURSOR FOR SELECT id FROM item ORDER BY id DESC');
      expect((await client.query('FETCH 2 FROM up')).rows).toEqual([{ id: 1 }, { id: 2 }]);
      expect((await client.query('FETCH 1 FROM down')).rows).toEqual([{ id: 60_000 }]);
      expect((await client.query('FETCH 1 FROM up')).rows).toEqual([{ id: 3 }]);
      await client.query('COMMIT');
    }
  });

  test('lets a cursor take parameters', async () => {
    await client.query('BEGIN');
    await client.query('DECLARE c CURSOR FOR SELECT id FROM item WHERE id > $1 ORDER BY id', [59_998]);
    expect((await client.query('FETCH ALL FROM c')).rows).toEqual([{ id: 59_999 }, { id: 60_000 }]);
    await client.query('COMMIT');
  });

  test('reports the position of an error in the client’s own text', async () => {
    for (const sql of [
      "SELECT word FROM item WHERE id = 'x'",
      "SELECT max(word), min(id) FROM item WHERE id < 10 OR id = 'x'",
    ])
      await expect(client.query(sql)).rejects.toMatchObject({
        code: '22P02',
        position: String(sql.indexOf("'x'") + 1),
      });
  });

  test('names a table’s own schema in an error of one of its shards', async () => {
    await expect(client.query("INSERT INTO item VALUES (7, 'sad')")).rejects.toMatchObject({
      ...{ code: '23505', schema: 'public', table: 'item', constraint: 'item_pkey' },
    });
  });
});
