import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

let herd: TestHerd;
let client: pg.Client;
const notices: string[] = [];

beforeAll(async () => {
  herd = await startHerd({ nodes: 3 });
  client = new pg.Client({ connectionString: herd.url });
  client.on('notice', (notice) => notices.push(notice.message ?? ''));
  await client.connect();
});
afterAll(async () => {
  await client?.end();
  await herd?.stop();
});

const rows = async (sql: string) => (await client.query({ text: sql, rowMode: 'array' })).rows as unknown[][];
const run = async (sql: string) => (await client.query(sql)) as unknown as pg.QueryResult[];
/** `h` and the key's columns, `n` of a reference table; undefined: local. */
const placement = async (table: string) =>
  (await rows(`SELECT partmethod, partkey FROM pg_dist_partition WHERE logicalrelid = '${table}'::regclass`))[0];
const code = (sql: string) =>
  client.query(sql).then(
    () => 'none',
    (error: pg.DatabaseError) => `${error.code} ${error.message}`,
  );

describe('CREATE TABLE', () => {
  test('DISTRIBUTED BY makes a table of 32 shards, serial keys and all, in one statement', async () => {
    await run('CREATE TABLE sales (id serial PRIMARY KEY, region text, amount numeric(10,2)) DISTRIBUTED BY (region)');
    expect(await placement('sales')).toEqual(['h', 'region']);
    await run("INSERT INTO sales (region, amount) SELECT 'r' || g % 7, g FROM generate_series(1, 100) g");
    expect(await rows('SELECT count(*), max(id), sum(amount) FROM sales')).toEqual([['100', 100, '5050.00']]);
    expect(await code("INSERT INTO sales VALUES (7, 'elsewhere', 0)")).toMatch(/^23505/);
  });

  test('REPLICATED makes a reference table', async () => {
    await run('CREATE TABLE countries (code char(2) PRIMARY KEY) DISTRIBUTED REPLICATED');
    await run('CREATE TABLE currencies (code char(3)) DISTRIBUTE BY REPLICATION');
    expect(await placement('countries')).toEqual(['n', null]);
    expect(await placement('currencies')).toEqual(['n', null]);
  });

  test('without a clause a table stays local', async () => {
    await run('CREATE TABLE plain (a int)');
    expect(await placement('plain')).toBeUndefined();
  });

  test('Postgres-XL spells it DISTRIBUTE BY; MODULO is stored as HASH, and says so', async () => {
    notices.length = 0;
    await run(
      'CREATE TABLE xl_hash (a int) DISTRIBUTE BY HASH(a); CREATE TABLE xl_modulo (a int) DISTRIBUTE BY MODULO(a)',
    );
    expect([await placement('xl_hash'), await placement('xl_modulo')]).toEqual([
      ['h', 'a'],
      ['h', 'a'],
    ]);
    expect(notices).toEqual([expect.stringMatching(/MODULO.*stored as HASH/)]);
  });

  test('IF NOT EXISTS leaves a table of that name as it is', async () => {
    await run('CREATE TABLE IF NOT EXISTS plain (a int) DISTRIBUTED BY (a)');
    expect(await placement('plain')).toBeUndefined();
    await run('CREATE TABLE IF NOT EXISTS sales (id int) DISTRIBUTED BY (id)');
    expect(await placement('sales')).toEqual(['h', 'region']);
    await run('CREATE TABLE IF NOT EXISTS fresh (a int) DISTRIBUTED BY (a)');
    expect(await placement('fresh')).toEqual(['h', 'a']);
  });

  test('LIKE a distributed table', async () => {
    await run('CREATE TABLE sales_copy (LIKE sales INCLUDING ALL) DISTRIBUTED BY (id)');
    await run("INSERT INTO sales_copy VALUES (1, 'x', 2)");
    expect(await rows('SELECT * FROM sales_copy')).toEqual([[1, 'x', '2.00']]);
    expect(await placement('sales_copy')).toEqual(['h', 'id']);
  });

  test('a key column that does not exist, or cannot be one, leaves no table behind', async () => {
    expect(await code('CREATE TABLE bad (a int) DISTRIBUTED BY (b)')).toMatch(/^42703/);
    expect(await code('CREATE TABLE bad (a json) DISTRIBUTED BY (a)')).toMatch(/PH003/);
    expect(await rows("SELECT to_regclass('bad')")).toEqual([[null]]);
  });

  test('in a transaction it can be rolled back', async () => {
    await run('BEGIN; CREATE TABLE passing (a int) DISTRIBUTED BY (a); INSERT INTO passing VALUES (1), (2)');
    expect(await rows('SELECT count(*) FROM passing')).toEqual([['2']]);
    await run('ROLLBACK');
    expect(await rows("SELECT to_regclass('passing')")).toEqual([[null]]);
  });

  test('through the extended protocol', async () => {
    await client.query({ name: 'make', text: 'CREATE TABLE "Extended" ("K 1" int) DISTRIBUTED BY ("K 1")' });
    expect(await placement('"Extended"')).toEqual(['h', '"K 1"']);
  });

  test('a temporary table stays with its session, and the notice says so', async () => {
    notices.length = 0;
    await run('CREATE TEMP TABLE mine (a int) DISTRIBUTED BY (a); INSERT INTO mine VALUES (1)');
    await run('CREATE TEMP TABLE mine_too AS SELECT 1 AS a DISTRIBUTED RANDOMLY');
    expect(await rows('SELECT * FROM mine JOIN mine_too USING (a)')).toEqual([[1]]);
    expect(notices).toHaveLength(2);
    expect(notices[0]).toMatch(/temporary/);
  });

  test("Greenplum's storage options are ignored, which a notice says; PostgreSQL's count", async () => {
    notices.length = 0;
    await run(`CREATE TABLE columnar (a int) WITH (appendonly = true, fillfactor = 50, compresstype = 'zlib') DISTRIBUTED BY (a);
      CREATE TABLE columnar_too WITH (appendoptimized, orientation=column) AS SELECT 1 AS a DISTRIBUTED BY (a);
      CREATE TABLE columnar_local (a int) WITH (appendonly=true)`);
    expect(notices.filter((notice) => /storage/.test(notice))).toEqual([
      expect.stringMatching(/appendonly, compresstype$/),
      expect.stringMatching(/appendoptimized, orientation$/),
      expect.stringMatching(/appendonly$/),
    ]);
    expect(await rows("SELECT reloptions FROM pg_class WHERE relname = 'columnar'")).toEqual([[['fillfactor=50']]]);
    expect(await placement('columnar_too')).toEqual(['h', 'a']);
    expect(await code('CREATE TABLE other (a int) WITH (nonsense = 1)')).toMatch(/^22023/);
  });

  test('two columns make one key: rows, pruning and joins go by both', async () => {
    await run(`CREATE TABLE pairs (a int, b text, v int) DISTRIBUTED BY (a, b);
      CREATE TABLE more (x int, y text, w int) DISTRIBUTED BY (x, y);
      INSERT INTO pairs SELECT g % 10, 'b' || g % 3, g FROM generate_series(1, 300) g;
      INSERT INTO more SELECT g % 10, 'b' || g % 3, g FROM generate_series(1, 30) g`);
    const plan = async (sql: string) => (await rows(`EXPLAIN ${sql}`)).flat().join('\n');
    const byBoth = 'SELECT count(*), sum(v) FROM pairs WHERE a = 3 AND b = $$b1$$';
    expect(await plan(byBoth)).toMatch(/single shard/);
    expect(await rows(byBoth)).toEqual([['10', '1480']]);
    expect(await plan('SELECT count(*) FROM pairs WHERE a = 3')).not.toMatch(/single shard/);
    expect(await rows('SELECT count(*) FROM pairs WHERE a = 3')).toEqual([['30']]);
    const join = 'SELECT pairs.a, pairs.b, v, w FROM pairs JOIN more ON a = x AND b = y';
    expect(await plan(join)).toMatch(/Rung: scatter/);
    expect(await plan(join.replace(' AND b = y', ''))).not.toMatch(/Rung: scatter/);
    expect(await rows(`SELECT count(*) FROM (${join}) j`)).toEqual([['300']]);
    expect(await rows('SELECT count(*) FROM pairs JOIN more ON a = x')).toEqual([['900']]);
    await run("UPDATE pairs SET b = 'moved' WHERE a = 3 AND b = 'b1'");
    expect(await rows(byBoth.replace('b1', 'moved'))).toEqual([['10', '1480']]);
    expect(await rows("SELECT count(*) FROM pairs WHERE b = 'moved' AND a IN (3, 4)")).toEqual([['10']]);
    await run('UPDATE pairs SET a = a + 1, v = v WHERE v <= 30');
    expect(await rows('SELECT count(*), sum(v), sum(a) FROM pairs')).toEqual([['300', '45150', '1380']]);
    await run("DELETE FROM pairs WHERE a = 5 AND b = 'b0'");
    expect(await rows("SELECT count(*) FROM pairs WHERE a = 5 AND b = 'b0'")).toEqual([['0']]);
  });
});

describe('CREATE TABLE AS', () => {
  test('rows go to their shards, with the types of the query', async () => {
    const result = (await client.query(
      'CREATE TABLE totals AS SELECT region, sum(amount) AS total FROM sales GROUP BY region DISTRIBUTED BY (region)',
    )) as pg.QueryResult;
    expect(result.command).toBe('SELECT');
    expect(result.rowCount).toBe(7);
    expect(await placement('totals')).toEqual(['h', 'region']);
    expect(await rows("SELECT region, total, pg_typeof(total)::text FROM totals WHERE region = 'r1'")).toEqual([
      ['r1', '750.00', 'numeric'],
    ]);
  });

  test('WITH NO DATA, IF NOT EXISTS, DISTRIBUTED REPLICATED, and a clause before AS', async () => {
    await run('CREATE TABLE empty AS SELECT * FROM sales WITH NO DATA DISTRIBUTED BY (id)');
    expect(await placement('empty')).toEqual(['h', 'id']);
    expect(await rows('SELECT count(*) FROM empty')).toEqual([['0']]);
    await run('CREATE TABLE IF NOT EXISTS empty AS SELECT 1 AS b DISTRIBUTED BY (b)');
    expect(await placement('empty')).toEqual(['h', 'id']);
    await run('CREATE TABLE regions DISTRIBUTE BY REPLICATION AS SELECT DISTINCT region FROM sales');
    expect(await placement('regions')).toEqual(['n', null]);
    expect(await rows('SELECT count(*) FROM regions')).toEqual([['7']]);
  });

  test('a key that does not fit leaves no table behind', async () => {
    expect(await code('CREATE TABLE bad AS SELECT 1 AS a DISTRIBUTED BY (b)')).toMatch(/^42703/);
    expect(await rows("SELECT to_regclass('bad')")).toEqual([[null]]);
  });
});

describe('ALTER TABLE', () => {
  test('SET DISTRIBUTED BY moves the rows', async () => {
    await run(
      'CREATE TABLE moving (a int, b int, note text DEFAULT $$n$$); INSERT INTO moving SELECT g, g % 5 FROM generate_series(1, 50) g',
    );
    for (const [clause, placed] of [
      ['SET DISTRIBUTED BY (a)', ['h', 'a']],
      ['SET WITH (REORGANIZE=true) DISTRIBUTED BY (b)', ['h', 'b']],
      ['SET DISTRIBUTED BY (b, a)', ['h', 'b, a']],
      ['SET DISTRIBUTED REPLICATED', ['n', null]],
      ['DISTRIBUTE BY HASH (a)', ['h', 'a']],
    ] as const) {
      await run(`ALTER TABLE moving ${clause}`);
      expect(await placement('moving')).toEqual(placed);
      expect(await rows('SELECT count(*), sum(a), sum(b), min(note) FROM moving')).toEqual([
        ['50', '1275', '100', 'n'],
      ]);
      expect(await rows('SELECT b FROM moving WHERE a = 7')).toEqual([[2]]);
    }
    await run('ALTER TABLE IF EXISTS nowhere SET DISTRIBUTED BY (a)');
    expect(await code('ALTER TABLE nowhere SET DISTRIBUTED BY (a)')).toMatch(/^42P01/);
  });
});
