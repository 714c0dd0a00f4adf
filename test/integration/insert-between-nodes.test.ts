import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { limits } from '../../src/core/limits.ts';
import { startHerd, type TestHerd } from '../harness/herd.ts';
import { connectRaw } from '../oracle/client.ts';

/** INSERT … SELECT whose rows change nodes. */

let herd: TestHerd;
let db: pg.Client;

beforeAll(async () => {
  herd = await startHerd({ nodes: 3 });
  db = await connectRaw(herd.url);
  await db.query(`CREATE TABLE source (id int PRIMARY KEY, other int, v numeric(8,2), t varchar(20), at timestamptz, f float8, tags text[]);
    CREATE TABLE target (other int, id bigint NOT NULL, v numeric(6,1) CHECK (v < 9000), t varchar(8), at timestamptz, f real, tags text[],
      made text DEFAULT 'here', twice numeric GENERATED ALWAYS AS (v * 2) STORED, PRIMARY KEY (other, id));
    CREATE TABLE plain AS SELECT 1 AS one`);
  await db.query("SELECT create_distributed_table('source', 'id')");
  await db.query("SELECT create_distributed_table('target', 'other')");
  await db.query(`INSERT INTO source SELECT g, g % 700, g * 0.37, 'n' || g, '2024-01-01'::timestamptz + g * interval '1 minute', g / 3.0, ARRAY['a', g::text]
    FROM generate_series(1, 20000) g`);
});

afterAll(async () => {
  await db?.end();
  await herd?.stop();
});

const columns = '(id, other, v, t, at, f)';
const count = async () =>
  (await db.query('SELECT count(*) AS n, sum(twice) AS s, count(DISTINCT made) AS m FROM target')).rows[0];

test('many rows go from node to node, with what the target makes of them', async () => {
  const { rows: plan } = await db.query(
    `EXPLAIN INSERT INTO target ${columns} SELECT id, other, v, t, at, f FROM source`,
  );
  const steps = plan.map((row) => row['QUERY PLAN']).filter((line) => line.startsWith('->'));
  expect(steps[0]).toBe('-> Compute rows on node 1, node 2, node 3');
  const done = await db.query(`INSERT INTO target ${columns} SELECT id, other, v, t, at, f FROM source`);
  expect(done.rowCount).toBe(20_000);
  const expected = await db.query('SELECT sum(round(v, 1) * 2) AS s FROM source');
  expect(await count()).toEqual({ n: '20000', s: expected.rows[0].s, m: '1' });
  const { rows: wrong } = await db.query(
    'SELECT count(*) AS n FROM source s LEFT JOIN target t ON t.id = s.id AND t.other = s.other AND t.t = s.t AND t.at = s.at AND t.f = s.f::real WHERE t.id IS NULL',
  );
  expect(wrong[0].n).toBe('0');
});

test('a table is read as it was before its own rows are added', async () => {
  const done = await db.query(
    'INSERT INTO source (id, other, v, t, at, f) SELECT id + 100000, other, v, t, at, f FROM source',
  );
  expect(done.rowCount).toBe(20_000);
  await db.query('DELETE FROM source WHERE id > 100000');
});

test('a row that the target refuses leaves nothing of the others, in a block too', async () => {
  await db.query('TRUNCATE target');
  const many = (extra: string) => `INSERT INTO target ${columns} SELECT id, other, ${extra}, at, f FROM source`;
  await expect(db.query(many('v, t || t || t || t'))).rejects.toMatchObject({ code: '22001' });
  await expect(db.query(many('CASE WHEN id = 77 THEN 9500 ELSE v END, t'))).rejects.toMatchObject({ code: '23514' });
  await expect(
    db.query(`INSERT INTO target ${columns} SELECT nullif(id, 19999), other, v, t, at, f FROM source`),
  ).rejects.toMatchObject({ code: '23502' });
  expect((await count()).n).toBe('0');
  await db.query('BEGIN');
  await db.query(many('v, t'));
  expect((await count()).n).toBe('20000');
  await db.query('SAVEPOINT here');
  await expect(db.query(many('v, t'))).rejects.toMatchObject({ code: '23505' });
  await db.query('ROLLBACK TO here');
  expect((await count()).n).toBe('20000');
  await db.query('ROLLBACK');
  expect((await count()).n).toBe('0');
});

test('EXPLAIN ANALYZE inserts, and counts what travels', async () => {
  await db.query('TRUNCATE target');
  const { rows } = await db.query(
    `EXPLAIN (ANALYZE) INSERT INTO target ${columns} SELECT id, other, v, t, at, f FROM source`,
  );
  expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toMatch(/Compute rows on node 1[\s\S]*actual rows=20000 /);
  expect((await count()).n).toBe('20000');
  await db.query('TRUNCATE target');
});

test('rows that are too many to hold go over the coordinator', async () => {
  const held = limits.maxStagedBytes;
  Object.assign(limits, { maxStagedBytes: 100_000 });
  try {
    const done = await db.query(`INSERT INTO target ${columns} SELECT id, other, v, t, at, f FROM source`);
    expect(done.rowCount).toBe(20_000);
    expect((await count()).n).toBe('20000');
  } finally {
    Object.assign(limits, { maxStagedBytes: held });
  }
  await db.query('TRUNCATE target');
});

test('few rows, parameters, a role with the right to insert, and rows of local tables', async () => {
  const few = await db.query(
    `INSERT INTO target ${columns} SELECT id, other, v, t, at, f FROM source WHERE id <= $1`,
    [5],
  );
  expect(few.rowCount).toBe(5);
  await db.query(`INSERT INTO target (other, id, v) SELECT other, id, one FROM source, plain WHERE id BETWEEN 6 AND 9`);
  await db.query('INSERT INTO target (other, id, tags) SELECT other, id, tags FROM source WHERE id = 10');
  expect((await count()).n).toBe('10');
  expect((await db.query('SELECT tags[2] AS t FROM target WHERE id = 10')).rows).toEqual([{ t: '10' }]);
  await db.query('CREATE ROLE writer LOGIN; GRANT SELECT ON source TO writer; GRANT INSERT ON target TO writer');
  const writer = await connectRaw(herd.url.replace('postgres@', 'writer@'));
  const done = await writer.query(
    `INSERT INTO target ${columns} SELECT id, other, v, t, at, f FROM source WHERE id > 100`,
  );
  expect(done.rowCount).toBe(19_900);
  await db.query('REVOKE INSERT ON target FROM writer');
  await expect(
    writer.query('INSERT INTO target (other, id) SELECT other, id + 1000000 FROM source'),
  ).rejects.toMatchObject({
    code: '42501',
  });
  await writer.end();
});
