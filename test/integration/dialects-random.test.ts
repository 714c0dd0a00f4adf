import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CopyIn, CopyOut } from '../drivers/copy.ts';
import { startHerd, type TestHerd } from '../harness/herd.ts';

/* What test/oracle/random.sql can't see: where the rows are. */

let herd: TestHerd;
let client: pg.Client;
let nodes: pg.Client[];

beforeAll(async () => {
  herd = await startHerd({ nodes: 3 });
  const connect = async (options: pg.ClientConfig) => {
    const connection = new pg.Client(options);
    await connection.connect();
    return connection;
  };
  client = await connect({ connectionString: herd.url });
  nodes = await Promise.all(
    herd.nodes.map(({ host, port }) => connect({ host, port, user: 'postgres', database: 'postgres' })),
  );
});
afterAll(async () => {
  await Promise.all([client, ...(nodes ?? [])].map((each) => each?.end()));
  await herd?.stop();
});

const rows = async (sql: string) => (await client.query({ text: sql, rowMode: 'array' })).rows as unknown[][];
const plan = async (sql: string) => (await rows(`EXPLAIN ${sql}`)).flat().join('\n');
const onNodes = (sql: string) =>
  Promise.all(nodes.map(async (node) => Number(Object.values((await node.query(sql)).rows[0])[0])));
const code = (sql: string) =>
  client.query(sql).then(
    () => 'none',
    (error: pg.DatabaseError) => `${error.code} ${error.message}`,
  );

describe('a table whose rows are spread at random', () => {
  test('is one plain table per node', async () => {
    await client.query('CREATE TABLE spread (id serial, v text) DISTRIBUTED RANDOMLY');
    expect(await rows("SELECT partmethod, partkey FROM pg_dist_partition WHERE logicalrelid = 'spread'")).toEqual([
      ['x', null],
    ]);
    expect(await rows("SELECT shard_name, nodename FROM citus_shards WHERE table_name = 'spread' ORDER BY 2")).toEqual([
      ['public.spread', 'worker1'],
      ['public.spread', 'worker2'],
      ['public.spread', 'worker3'],
    ]);
    const kinds = await Promise.all(
      nodes.map((node) => node.query("SELECT relkind FROM pg_class WHERE oid = 'spread'::regclass")),
    );
    expect(kinds.map((kind) => kind.rows[0].relkind)).toEqual(['r', 'r', 'r']);
  });

  test('gets its rows evenly: many at once, one at a time, by COPY', async () => {
    await client.query("INSERT INTO spread (v) SELECT 'many' FROM generate_series(1, 300)");
    expect(await onNodes('SELECT count(*) FROM spread')).toEqual([100, 100, 100]);
    for (let i = 0; i < 60; i++) await client.query("INSERT INTO spread (v) VALUES ('single')");
    const singles = await onNodes("SELECT count(*) FROM spread WHERE v = 'single'");
    expect(singles.reduce((a, b) => a + b)).toBe(60);
    expect(Math.min(...singles)).toBeGreaterThan(3);
    const copy = client.query(new CopyIn('COPY spread (v) FROM STDIN', [Buffer.from('copied\n'.repeat(300))]) as never);
    await (copy as unknown as CopyIn).done;
    expect(await onNodes("SELECT count(*) FROM spread WHERE v = 'copied'")).toEqual([100, 100, 100]);
    expect(await rows('SELECT count(*), count(DISTINCT id), max(id) FROM spread')).toEqual([['660', '660', 660]]);
  });

  test('is never joined, grouped or filtered as if a value said where its rows are', async () => {
    for (const sql of [
      'SELECT * FROM spread WHERE id = 3',
      'SELECT * FROM spread WHERE id IS NULL',
      'UPDATE spread SET v = v WHERE id = 3',
    ])
      expect(await plan(sql)).not.toMatch(/single shard/);
    expect(await plan('SELECT id, count(*) FROM spread GROUP BY id')).toMatch(/Rung: two phases/);
    expect(await plan('SELECT DISTINCT id FROM spread')).not.toMatch(/Rung: scatter/);
    expect(await plan('SELECT rank() OVER (PARTITION BY id) FROM spread')).not.toMatch(/Rung: scatter/);
    expect(await plan('SELECT a.id FROM spread a JOIN spread b USING (id)')).not.toMatch(/Rung: scatter/);
    expect(await plan('SELECT * FROM spread WHERE v = $$x$$')).toMatch(/Rung: scatter/);
  });

  test('goes out by COPY, keeps its rows through undistribute_table, and gets them anew', async () => {
    const out = client.query(new CopyOut('COPY spread (v) TO STDOUT') as never) as unknown as CopyOut;
    expect((await out.done).toString().split('\n')).toHaveLength(661);
    await client.query("SELECT undistribute_table('spread')");
    expect(await rows('SELECT count(*) FROM spread')).toEqual([['660']]);
    await client.query("DELETE FROM spread WHERE v = 'single'");
    await client.query('ALTER TABLE spread SET DISTRIBUTED RANDOMLY');
    expect(await onNodes('SELECT count(*) FROM spread')).toEqual([200, 200, 200]);
    await client.query('ALTER TABLE spread SET DISTRIBUTED BY (id)');
    expect(await plan('SELECT * FROM spread WHERE id = 3')).toMatch(/single shard/);
    await client.query('ALTER TABLE spread DISTRIBUTE BY ROUNDROBIN');
    expect(await onNodes('SELECT count(*) FROM spread')).toEqual([200, 200, 200]);
  });

  test('REORGANIZE evens out what has become uneven', async () => {
    await nodes[0]!.query('DELETE FROM spread');
    await client.query('ALTER TABLE spread SET WITH (REORGANIZE=false)');
    expect(await onNodes('SELECT count(*) FROM spread')).toEqual([0, 200, 200]);
    await client.query('ALTER TABLE spread SET WITH (REORGANIZE=true)');
    const counts = await onNodes('SELECT count(*) FROM spread');
    expect(counts.reduce((a, b) => a + b)).toBe(400);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    expect(Number((await rows("SELECT citus_total_relation_size('spread')"))[0]![0])).toBeGreaterThan(8192);
  });

  test('functions read all of it, and none on a node reads a slice', async () => {
    await client.query(
      'CREATE FUNCTION slice() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM spread); END $$',
    );
    expect(await rows('SELECT slice()')).toEqual(await rows('SELECT count(*) FROM spread'));
    const [node] = nodes;
    await expect(node!.query('SELECT slice()')).rejects.toThrow(/PH001/);
  });

  test('what such a table can not have is refused', async () => {
    expect(await code('CREATE TABLE x (r int4range, EXCLUDE USING gist (r WITH &&)) DISTRIBUTED RANDOMLY')).toMatch(
      /^0A000/,
    );
  });

  test('foreign keys hold, whichever node a row and what it references are on', async () => {
    await client.query('CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree) DISTRIBUTED RANDOMLY');
    await client.query('INSERT INTO tree SELECT g, nullif(g - 1, 0) FROM generate_series(1, 20) g');
    expect(await code('INSERT INTO tree VALUES (100, 99)')).toMatch(/^23503/);
    expect(await code('DELETE FROM tree WHERE id = 3')).toMatch(/^23503/);
    expect(await code('UPDATE tree SET parent = 77 WHERE id = 5')).toMatch(/^23503/);
    expect(await code('DELETE FROM tree WHERE id = 20')).toBe('none');
  });

  test('MERGE inserts each row once', async () => {
    await client.query(`CREATE TABLE target (id int, v text) DISTRIBUTED RANDOMLY;
      CREATE TABLE source (id int) DISTRIBUTED BY (id);
      INSERT INTO target SELECT g, 'old' FROM generate_series(1, 20) g;
      INSERT INTO source SELECT g FROM generate_series(11, 40) g`);
    await client.query(`MERGE INTO target t USING source s ON s.id = t.id
      WHEN MATCHED THEN UPDATE SET v = 'met' WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'new')`);
    expect(await rows('SELECT v, count(*), count(DISTINCT id) FROM target GROUP BY 1 ORDER BY 1')).toEqual([
      ['met', '10', '10'],
      ['new', '20', '20'],
      ['old', '10', '10'],
    ]);
  });

  test('a unique index is unique over all nodes, built CONCURRENTLY too', async () => {
    await client.query('CREATE TABLE unique_too (a int, b int) DISTRIBUTED RANDOMLY');
    await client.query('INSERT INTO unique_too SELECT g, g FROM generate_series(1, 30) g');
    await client.query('CREATE INDEX CONCURRENTLY plain_index ON unique_too (b)');
    await client.query('CREATE UNIQUE INDEX CONCURRENTLY unique_index ON unique_too (a)');
    const outcomes = await Promise.all(Array.from({ length: 6 }, () => code('INSERT INTO unique_too VALUES (7, 0)')));
    expect(new Set(outcomes)).toEqual(new Set([expect.stringMatching(/^23505.*unique_index/)]));
    expect(await onNodes("SELECT count(*) FROM pg_indexes WHERE indexname = 'plain_index'")).toEqual([1, 1, 1]);
    await client.query('DROP INDEX CONCURRENTLY plain_index');
    await client.query('DROP INDEX unique_index');
    expect(await code('INSERT INTO unique_too VALUES (7, 0)')).toBe('none');
    expect(await code('CREATE UNIQUE INDEX CONCURRENTLY unique_index ON unique_too (a)')).toMatch(/^23505/);
  });
});
