import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ServerConnection } from '../../src/backend/server-connection.ts';
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

  test('a server that ends an idle connection ends no session with it', async () => {
    const [{ host, port }] = herd.nodes as [TestHerd['nodes'][number]];
    const target = { label: 'worker1', host, port, database: 'postgres', user: 'postgres', tls: null };
    const connection = await ServerConnection.open({ ...target, secret: { kind: 'none' } }, new Map());
    const node = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
    await node.connect();
    await node.query('SELECT pg_terminate_backend($1, 5000)', [connection.processId]);
    await node.end();
    while (!connection.closed) await new Promise((resolve) => setTimeout(resolve, 10));
    await expect(connection.query('SELECT 1')).rejects.toMatchObject({ fields: { severity: 'ERROR', code: '08006' } });
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

  test('gives the snapshot of a transaction to another one, on every server', async () => {
    const other = new pg.Client(herd.url);
    await other.connect();
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const { rows } = await client.query('SELECT pg_catalog.pg_export_snapshot()');
    await other.query('DELETE FROM item WHERE id > 59990');
    await other.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await other.query(`SET TRANSACTION SNAPSHOT '${rows[0].pg_export_snapshot}'`);
    expect((await other.query(largeGather)).rows).toEqual(all);
    await other.query('COMMIT');
    await client.query('COMMIT');
    expect((await other.query('SELECT count(*)::int AS n FROM item')).rows).toEqual([{ n: 59_990 }]);
    await other.query("INSERT INTO item SELECT g, 'glad', repeat('x', 30) FROM generate_series(59991, 60000) g");
    await other.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await expect(other.query("SET TRANSACTION SNAPSHOT '00000003-0000001B-1'")).rejects.toMatchObject({
      code: '22023',
    });
    await other.end();
  });

  test('returns inserted rows in the order in which they were given', async () => {
    const ids = Array.from({ length: 40 }, (_, i) => 70_000 + ((i * 17) % 40));
    const values = ids.map((id) => `(${id}, 'sad', 'w${id}')`).join(', ');
    const { rows } = await client.query(`INSERT INTO item VALUES ${values} RETURNING id`);
    expect(rows.map((row) => row.id)).toEqual(ids);
    const again = await client.query(
      `INSERT INTO item VALUES ${values}, (1, 'sad', ''), (70100, 'sad', '') ON CONFLICT DO NOTHING RETURNING id`,
    );
    expect(again.rows).toEqual([{ id: 70_100 }]);
    await client.query('DELETE FROM item WHERE id >= 70000');
  });

  test('describes what a cursor fetches by the tables of its query', async () => {
    const oids = await client.query("SELECT 'item'::regclass::oid::int AS item");
    await client.query('BEGIN');
    await client.query('DECLARE "for" CURSOR FOR SELECT id, mood FROM item ORDER BY id');
    for (const fetch of ['FETCH 1 FROM "for"', { text: 'FETCH 1 FROM "for"', name: 'fetch' }]) {
      const { fields } = await client.query(fetch);
      expect(fields.map((field) => [field.tableID, field.columnID])).toEqual([
        [oids.rows[0].item, 1],
        [oids.rows[0].item, 2],
      ]);
    }
    await client.query('COMMIT');
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
