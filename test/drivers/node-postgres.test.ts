import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Pair, startPair } from '../oracle/pair.ts';
import { CopyIn, CopyOut } from './copy.ts';
import { createDriverTables, emptyDriverTables, endWithin } from './schema.ts';

vi.setConfig({ testTimeout: 20_000 });

describe('node-postgres', () => {
  let pair: Pair;
  let pool: pg.Pool;

  beforeAll(async () => {
    pair = await startPair();
    await createDriverTables(pair);
    pool = new pg.Pool({ connectionString: pair.herd, max: 5 });
  }, 120_000);

  beforeEach(() => emptyDriverTables(pair), 60_000);

  afterAll(async () => {
    await endWithin(5000, pool?.end());
    await pair?.stop();
  }, 60_000);

  const insert = (name: string, balance = 0) =>
    pool.query('INSERT INTO account (name, balance) VALUES ($1, $2) RETURNING id', [name, balance]);

  test('creates, reads, updates and deletes', async () => {
    expect((await insert('Ada', 10)).rows).toEqual([{ id: 1 }]);
    expect((await insert('Bób')).rows).toEqual([{ id: 2 }]);
    const { rows } = await pool.query('SELECT name, balance FROM account WHERE id = $1', [2]);
    expect(rows).toEqual([{ name: 'Bób', balance: '0.00' }]);
    expect((await pool.query('UPDATE account SET balance = balance + $1', [1])).rowCount).toBe(2);
    expect((await pool.query('DELETE FROM account WHERE id = $1', [1])).rowCount).toBe(1);
    expect((await pool.query('SELECT id, balance FROM account ORDER BY id')).rows).toEqual([
      { id: 2, balance: '1.00' },
    ]);
  });

  test('keeps every type in both directions', async () => {
    const values = [
      'ü',
      '12345678.90',
      new Date('2024-02-29T12:34:56.789Z'),
      ['a', 'b"c', null],
      { deep: [1, 'ä'] },
      'happy',
      Buffer.from([0, 1, 255]),
    ];
    const columns = 'name, balance, opened, tags, info, feeling, picture';
    const text = `INSERT INTO account (${columns}) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING ${columns}`;
    const row = {
      name: values[0],
      balance: values[1],
      opened: values[2],
      tags: values[3],
      info: values[4],
      feeling: values[5],
      picture: values[6],
    };
    expect((await pool.query(text, values)).rows).toEqual([row]);
    expect((await pool.query(`SELECT ${columns} FROM account`)).rows).toEqual([row]);
  });

  test('commits and rolls back over several shards', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await insert(name, 100);
    const client = await pool.connect();
    await client.query('BEGIN');
    await client.query('UPDATE account SET balance = balance - 50 WHERE id = 1');
    await client.query('UPDATE account SET balance = balance + 50 WHERE id = 4');
    await client.query("INSERT INTO currency VALUES ('EUR', 'Euro')");
    expect((await client.query('SELECT sum(balance) FROM account')).rows).toEqual([{ sum: '400.00' }]);
    expect((await pool.query('SELECT balance FROM account WHERE id = 1')).rows).toEqual([{ balance: '100.00' }]);
    await client.query('COMMIT');
    await client.query('BEGIN');
    await client.query('DELETE FROM account');
    await client.query('ROLLBACK');
    client.release();
    const { rows } = await pool.query('SELECT id, balance FROM account ORDER BY balance, id');
    expect(rows.map((row) => [row.id, row.balance])).toEqual([
      [1, '50.00'],
      [2, '100.00'],
      [3, '100.00'],
      [4, '150.00'],
    ]);
  });

  test('reports an error with its fields and goes on', async () => {
    await insert('Ada');
    const failure = await pool
      .query('INSERT INTO account (id, name) VALUES (1, $1)', ['again'])
      .catch((error) => error);
    expect(failure).toMatchObject({ code: '23505', constraint: 'account_pkey', table: 'account', schema: 'public' });
    expect((await pool.query('SELECT count(*)::int AS n FROM account')).rows).toEqual([{ n: 1 }]);
  });

  test('runs named statements with changing values', async () => {
    for (let i = 1; i <= 12; i++) await insert(`n${i}`, i);
    const client = await pool.connect();
    for (let id = 1; id <= 12; id++) {
      const query = { name: 'by-id', text: 'SELECT name FROM account WHERE id = $1', values: [id] };
      expect((await client.query(query)).rows).toEqual([{ name: `n${id}` }]);
    }
    client.release();
  });

  test('pipelines: answers many queries sent at once, in their order, an error among them', async () => {
    for (let i = 1; i <= 8; i++) await insert(`q${i}`);
    const client = new pg.Client({ connectionString: pair.herd, pipeline: true });
    await client.connect();
    const ids = Array.from({ length: 40 }, (_, i) => (i % 8) + 1);
    const byId = (id: number) => client.query('SELECT name FROM account WHERE id = $1', [id]);
    const before = ids.map(byId);
    const failure = client.query('SELECT 1 / (id - 1) FROM account WHERE id = $1', [1]).catch((error) => error);
    const after = ids.map(byId);
    expect(await failure).toMatchObject({ code: '22012' });
    const answers = (await Promise.all([...before, ...after])).slice(ids.length);
    await client.end();
    expect(answers.map((answer) => answer.rows[0].name)).toEqual(ids.map((id) => `q${id}`));
  });

  test('answers parallel clients', async () => {
    await Promise.all(Array.from({ length: 50 }, (_, i) => insert(`p${i}`, i)));
    const { rows } = await pool.query(
      'SELECT count(*)::int AS n, count(DISTINCT id)::int AS ids, sum(balance) FROM account',
    );
    expect(rows).toEqual([{ n: 50, ids: 50, sum: '1225.00' }]);
  });

  test('fetches row by row with a limited Execute', async () => {
    await pool.query('INSERT INTO booking SELECT g % 7, g, g FROM generate_series(1, 100) g');
    const client = await pool.connect();
    const config = { text: 'SELECT id FROM booking ORDER BY id', rows: 9 };
    expect((await client.query(config)).rows.map((row) => Number(row.id))).toEqual(
      Array.from({ length: 100 }, (_, i) => i + 1),
    );
    client.release();
  });

  test('fetches through an SQL cursor', async () => {
    await pool.query('INSERT INTO booking SELECT g % 7, g, g FROM generate_series(1, 25) g');
    const client = await pool.connect();
    await client.query('BEGIN');
    await client.query('DECLARE c CURSOR FOR SELECT id FROM booking ORDER BY id DESC');
    const found: number[] = [];
    for (;;) {
      const { rows } = await client.query('FETCH 10 FROM c');
      if (rows.length === 0) break;
      found.push(...rows.map((row) => Number(row.id)));
    }
    await client.query('COMMIT');
    client.release();
    expect(found).toEqual(Array.from({ length: 25 }, (_, i) => 25 - i));
  });

  test('copies in and out', async () => {
    const client = await pool.connect();
    const lines = Array.from({ length: 5000 }, (_, i) => `${i % 97}\t${i}\t${i}.50\n`);
    expect(await client.query(new CopyIn('COPY booking FROM STDIN', [Buffer.from(lines.join(''))])).done).toBe(5000);
    const { rows } = await client.query('SELECT count(*)::int AS n, sum(amount) FROM booking');
    expect(rows).toEqual([{ n: 5000, sum: '12500000.00' }]);
    const out = (await client.query(new CopyOut('COPY booking TO STDOUT')).done).toString();
    expect(out.split('\n').sort()).toEqual([...lines.map((line) => line.slice(0, -1)), ''].sort());
    const bad = client.query(new CopyIn('COPY booking FROM STDIN', [Buffer.from('1\t9000\t1\n1\tx\t1\n')])).done;
    expect(await bad.catch((error) => error)).toMatchObject({
      code: '22P02',
      where: expect.stringContaining('line 2'),
    });
    expect((await client.query('SELECT count(*)::int AS n FROM booking')).rows).toEqual([{ n: 5000 }]);
    client.release();
  });

  test('hears notifications', async () => {
    const listener = await pool.connect();
    await listener.query('LISTEN news');
    const heard = new Promise((resolve) => listener.once('notification', resolve));
    await pool.query("SELECT pg_notify('news', $1)", ['grüße']);
    expect(await heard).toMatchObject({ channel: 'news', payload: 'grüße' });
    await listener.query('UNLISTEN *');
    listener.release();
  });

  test('streams a big answer while it reads slowly', async () => {
    const client = await pool.connect();
    await client.query('INSERT INTO booking SELECT g % 50, g, g FROM generate_series(1, 20000) g');
    const query = client.query(new pg.Query('SELECT *, repeat($$x$$, 200) FROM booking'));
    let seen = 0;
    await new Promise<void>((resolve, reject) => {
      query.on('row', () => {
        if (++seen % 5000 === 0) {
          const { stream } = (client as pg.PoolClient).connection;
          stream.pause();
          setTimeout(() => stream.resume(), 50);
        }
      });
      query.on('end', () => resolve());
      query.on('error', reject);
    });
    client.release();
    expect(seen).toBe(20000);
  });
});
