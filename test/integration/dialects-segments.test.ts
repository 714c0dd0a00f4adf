import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

let herd: TestHerd;
let client: pg.Client;
/** Rows per node of a table, asked of the nodes themselves. */
let truth: (table: string, where?: string) => Promise<number[]>;

beforeAll(async () => {
  herd = await startHerd({ nodes: 3 });
  client = new pg.Client({ connectionString: herd.url });
  await client.connect();
  truth = (table, where = 'true') =>
    Promise.all(
      herd.nodes.map(async ({ host, port }) => {
        const node = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
        await node.connect();
        const { rows } = await node.query(`SELECT count(*)::int AS n FROM ${table} WHERE ${where}`);
        await node.end();
        return rows[0].n;
      }),
    );
  await client.query(`
    CREATE TABLE t (id int PRIMARY KEY, k int, v text) DISTRIBUTED BY (id);
    CREATE TABLE u (t_id int, w int) DISTRIBUTED BY (t_id);
    CREATE TABLE r (a int) DISTRIBUTED RANDOMLY;
    CREATE TABLE ref (k int PRIMARY KEY, label text) DISTRIBUTED REPLICATED;
    CREATE TABLE loc (a int);
    CREATE TABLE own (id int, gp_segment_id text) DISTRIBUTED BY (id);
    INSERT INTO t SELECT g, g % 5, 'v' || g FROM generate_series(1, 200) g;
    INSERT INTO u SELECT g, g * 2 FROM generate_series(1, 300) g;
    INSERT INTO r SELECT g FROM generate_series(1, 90) g;
    INSERT INTO ref SELECT g, 'l' || g FROM generate_series(0, 4) g;
    INSERT INTO loc VALUES (1), (2);
    INSERT INTO own VALUES (1, 'mine')`);
});
afterAll(async () => {
  await client?.end();
  await herd?.stop();
});

const rows = async (sql: string) => (await client.query({ text: sql, rowMode: 'array' })).rows as unknown[][];
const plan = async (sql: string) => (await rows(`EXPLAIN ${sql}`)).flat().join('\n');
const failure = (sql: string) =>
  client.query(sql).then(
    () => null,
    (error: pg.DatabaseError) => ({ code: error.code, message: error.message, position: error.position }),
  );
/** The same under every rung that can be asked for. */
const everywhere = async (sql: string, expected: unknown[][]) => {
  expect(await rows(sql)).toEqual(expected);
  await client.query('SET pgherd.force_rung = gather');
  try {
    expect(await rows(sql)).toEqual(expected);
  } finally {
    await client.query('RESET pgherd.force_rung');
  }
};
const counts = (perNode: readonly number[]) => perNode.map((n, i) => [i, String(n)]);

describe('gp_segment_id', () => {
  test('counts rows by node, in two phases', async () => {
    for (const [select, group] of [
      ['gp_segment_id', 'GROUP BY gp_segment_id ORDER BY gp_segment_id'],
      ['gp_segment_id', 'GROUP BY 1 ORDER BY 1'],
      ['t.gp_segment_id', 'GROUP BY t.gp_segment_id ORDER BY 1'],
      ['public.t.gp_segment_id', 'GROUP BY public.t.gp_segment_id ORDER BY 1'],
      ['"gp_segment_id"', 'GROUP BY GP_Segment_ID ORDER BY 1'],
    ])
      await everywhere(`SELECT ${select}, count(*) FROM t ${group}`, counts(await truth('t')));
    expect(await plan('SELECT gp_segment_id, count(*) FROM t GROUP BY 1 ORDER BY 1')).toMatch(/Rung: two phases/);
    await everywhere('SELECT gp_segment_id, count(*) FROM r GROUP BY 1 ORDER BY 1', counts([30, 30, 30]));
  });

  test('has its name and type', async () => {
    const { fields } = await client.query('SELECT gp_segment_id FROM t LIMIT 0');
    expect(fields.map(({ name, dataTypeID }) => [name, dataTypeID])).toEqual([['gp_segment_id', 23]]);
    const prepared = await client.query({ text: 'SELECT gp_segment_id, id FROM t WHERE id = $1', values: [7] });
    expect(prepared.fields.map(({ name }) => name)).toEqual(['gp_segment_id', 'id']);
    expect(prepared.rows).toHaveLength(1);
  });

  test('in WHERE, HAVING, ORDER BY, DISTINCT, windows and expressions', async () => {
    const perNode = await truth('t');
    await everywhere('SELECT count(*) FROM t WHERE gp_segment_id = 1', [[String(perNode[1])]]);
    await everywhere('SELECT DISTINCT gp_segment_id FROM t ORDER BY 1', [[0], [1], [2]]);
    await everywhere('SELECT max(gp_segment_id), min(gp_segment_id + 10) FROM t', [[2, 10]]);
    await everywhere('SELECT count(*) FROM t GROUP BY gp_segment_id HAVING gp_segment_id > 1', [[String(perNode[2])]]);
    await everywhere(
      'SELECT DISTINCT ON (gp_segment_id) gp_segment_id, count(*) OVER (PARTITION BY gp_segment_id) FROM t ORDER BY gp_segment_id',
      counts(perNode),
    );
    const ordered = (await rows('SELECT gp_segment_id, id FROM t ORDER BY gp_segment_id DESC, id')) as number[][];
    expect(ordered.map(([segment]) => segment)).toEqual([2, 1, 0].flatMap((i) => Array(perNode[i]).fill(i)));
  });

  test('an alias of that name is what ORDER BY means', async () => {
    expect(await rows('SELECT -id AS gp_segment_id FROM t WHERE id < 4 ORDER BY gp_segment_id')).toEqual([
      [-3],
      [-2],
      [-1],
    ]);
  });

  test('in joins, subqueries, CTEs and set operations', async () => {
    const joined = await truth('t');
    await everywhere(
      'SELECT t.gp_segment_id, u.gp_segment_id, count(*) FROM t JOIN u ON u.t_id = t.id GROUP BY 1, 2 ORDER BY 1',
      joined.map((n, i) => [i, i, String(n)]),
    );
    const outer = await truth('u', 't_id > 200');
    await everywhere('SELECT t.gp_segment_id, count(*) FROM u LEFT JOIN t ON t.id = u.t_id GROUP BY 1 ORDER BY 1', [
      ...counts(joined),
      [null, String(outer.reduce((a, b) => a + b))],
    ]);
    await everywhere(
      'SELECT s.gp_segment_id, sum(s.n) FROM (SELECT gp_segment_id, k, count(*) AS n FROM t GROUP BY 1, 2) s GROUP BY gp_segment_id ORDER BY 1',
      counts(joined),
    );
    await everywhere(
      'WITH c AS (SELECT gp_segment_id, id FROM t) SELECT gp_segment_id, count(*) FROM c GROUP BY 1 ORDER BY 1',
      counts(joined),
    );
    await everywhere('SELECT gp_segment_id FROM t UNION SELECT gp_segment_id FROM loc ORDER BY gp_segment_id', [
      [-1],
      [0],
      [1],
      [2],
    ]);
    await everywhere('SELECT count(*) FROM t WHERE gp_segment_id = (SELECT min(gp_segment_id) FROM r)', [
      [String(joined[0])],
    ]);
    await everywhere(
      'SELECT count(*) FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.t_id = t.id AND u.gp_segment_id = t.gp_segment_id)',
      [['200']],
    );
    await everywhere(
      'SELECT a.gp_segment_id = b.gp_segment_id, count(*) FROM t a JOIN u b ON b.w = a.id GROUP BY 1 ORDER BY 1',
      await rows(
        `SELECT x.s = y.s, count(*) FROM (SELECT id, gp_segment_id AS s FROM t) x JOIN (SELECT w, gp_segment_id AS s FROM u) y ON y.w = x.id GROUP BY 1 ORDER BY 1`,
      ),
    );
  });

  test('beside all columns, which do not show it', async () => {
    const { fields } = await client.query('SELECT *, gp_segment_id FROM t ORDER BY id LIMIT 1');
    expect(fields.map(({ name }) => name)).toEqual(['id', 'k', 'v', 'gp_segment_id']);
    await everywhere('SELECT t.*, t.gp_segment_id >= 0 AS there FROM t WHERE id = 3', [[3, 3, 'v3', true]]);
    await everywhere('SELECT * FROM t WHERE gp_segment_id >= 0 AND id = 3', [[3, 3, 'v3']]);
    await everywhere('SELECT * FROM t JOIN u ON t.id = u.t_id AND t.gp_segment_id = u.gp_segment_id WHERE id = 3', [
      [3, 3, 'v3', 3, 6],
    ]);
    await everywhere('SELECT x.*, x.gp_segment_id < 3 FROM t AS x (a, b) WHERE a = 3', [[3, 3, 'v3', true]]);
  });

  test('of reference and local tables it is -1', async () => {
    await everywhere('SELECT DISTINCT gp_segment_id FROM ref', [[-1]]);
    await everywhere('SELECT DISTINCT gp_segment_id FROM loc', [[-1]]);
    await everywhere('SELECT DISTINCT ref.gp_segment_id, t.gp_segment_id FROM t JOIN ref USING (k) ORDER BY 2', [
      [-1, 0],
      [-1, 1],
      [-1, 2],
    ]);
  });

  test("a user's own column of that name wins", async () => {
    expect(await rows('SELECT gp_segment_id FROM own')).toEqual([['mine']]);
    expect(await rows('SELECT own.gp_segment_id, t.gp_segment_id >= 0 FROM own JOIN t USING (id)')).toEqual([
      ['mine', true],
    ]);
    expect(await rows('SELECT gp_segment_id FROM own JOIN t USING (id)')).toEqual([['mine']]);
  });

  test('in views, cursors, EXPLAIN, CREATE TABLE AS, COPY and prepared statements', async () => {
    const expected = counts(await truth('t'));
    await client.query('CREATE VIEW per_node AS SELECT gp_segment_id, count(*) AS n FROM t GROUP BY gp_segment_id');
    await everywhere('SELECT gp_segment_id, n FROM per_node ORDER BY 1', expected);
    await client.query(
      'CREATE TABLE kept AS SELECT gp_segment_id, count(*) FROM t GROUP BY 1 DISTRIBUTED BY (gp_segment_id)',
    );
    expect(await rows('SELECT gp_segment_id, count FROM kept ORDER BY 1')).toEqual(expected);
    await client.query('BEGIN; DECLARE c CURSOR FOR SELECT gp_segment_id, count(*) FROM t GROUP BY 1 ORDER BY 1');
    expect(await rows('FETCH ALL FROM c')).toEqual(expected);
    await client.query('COMMIT');
    await client.query('PREPARE p AS SELECT gp_segment_id, count(*) FROM t GROUP BY 1 ORDER BY 1');
    expect(await rows('EXECUTE p')).toEqual(expected);
  });

  test('gives what a plain column with the same values gives', async () => {
    for (const table of ['t', 'u', 'r']) {
      await client.query(`CREATE TABLE copy_of_${table} AS SELECT *, gp_segment_id AS s FROM ${table}`);
    }
    for (const sql of [
      'SELECT count(DISTINCT SEG) FROM T',
      'SELECT SEG, k, count(*), sum(id) FROM T GROUP BY ROLLUP (SEG, k)',
      'SELECT SEG, k, count(*) FROM T GROUP BY GROUPING SETS ((SEG), (k), ())',
      'SELECT id, SEG FROM T WHERE SEG IN (0, 2) OR id < 10',
      'SELECT id FROM T WHERE SEG = ANY (ARRAY[1]) AND k = 3',
      'SELECT x.SEG, l.y FROM T x, LATERAL (SELECT x.SEG * 10 + x.id AS y) l WHERE x.id < 30',
      'SELECT x.id, (SELECT count(*) FROM U y WHERE y.SEG = x.SEG AND y.t_id < x.id) FROM T x WHERE x.id < 20',
      'SELECT x.SEG, y.SEG, count(*) FROM T x JOIN U y ON x.id = y.w GROUP BY 1, 2',
      'SELECT x.SEG, y.SEG, count(*) FROM T x FULL JOIN U y ON x.id = y.w AND x.SEG = y.SEG GROUP BY 1, 2',
      'SELECT x.SEG, z.SEG, count(*) FROM T x JOIN R z ON x.id = z.a GROUP BY 1, 2',
      'SELECT x.id FROM T x WHERE EXISTS (SELECT 1 FROM R z WHERE z.a = x.id AND z.SEG <> x.SEG)',
      'SELECT x.id FROM T x WHERE x.SEG NOT IN (SELECT z.SEG FROM R z WHERE z.a < 3)',
      'SELECT SEG, rank() OVER (PARTITION BY SEG ORDER BY id), lag(id) OVER (ORDER BY SEG, id) FROM T',
      'WITH c AS (SELECT SEG AS s, max(id) AS m FROM T GROUP BY 1) SELECT c.s, T.id FROM c JOIN T ON T.id = c.m',
      'SELECT SEG FROM T INTERSECT SELECT SEG FROM R WHERE a < 5',
      'SELECT json_agg(q ORDER BY q.s) FROM (SELECT SEG AS s, count(*) FROM T GROUP BY 1) q',
      'SELECT CASE WHEN SEG = 0 THEN $$zero$$ ELSE $$other$$ END, count(*) FROM T GROUP BY 1',
      'SELECT max(SEG) FILTER (WHERE k = 1), array_agg(DISTINCT SEG ORDER BY SEG) FROM T',
      'SELECT id FROM T ORDER BY SEG DESC, id LIMIT 7 OFFSET 2',
    ]) {
      const as = (copy: string, column: string) =>
        sql.replace(/\b(T|U|R)\b/g, (table) => copy + table.toLowerCase()).replaceAll('SEG', column);
      const sorted = (found: unknown[][]) => found.map((row) => JSON.stringify(row)).sort();
      const expected = sorted(await rows(as('copy_of_', 's')));
      expect(sorted(await rows(as('', 'gp_segment_id'))), sql).toEqual(expected);
      await client.query('SET pgherd.force_rung = gather');
      expect(sorted(await rows(as('', 'gp_segment_id'))), `${sql}, gathered`).toEqual(expected);
      await client.query('RESET pgherd.force_rung');
    }
  });

  test('is refused where the coordinator reads rows by way of the router', async () => {
    expect(
      await failure('CREATE MATERIALIZED VIEW stored AS SELECT gp_segment_id, count(*) FROM t GROUP BY 1'),
    ).toMatchObject({
      code: '0A000',
      message: expect.stringMatching(/PH042/),
    });
    await client.query(
      'CREATE FUNCTION of_view() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT max(gp_segment_id) FROM per_node); END $$',
    );
    expect(await failure('SELECT of_view()')).toMatchObject({ code: '0A000', message: expect.stringMatching(/PH042/) });
    await client.query('CREATE MATERIALIZED VIEW here AS SELECT gp_segment_id, count(*) FROM loc GROUP BY 1');
    expect(await rows('SELECT * FROM here')).toEqual([[-1, '2']]);
  });

  test('in changes: what they return and which rows they concern', async () => {
    const inserted = await rows(
      "INSERT INTO t VALUES (1001, 1, 'x'), (1002, 1, 'x'), (1003, 1, 'x'), (1004, 1, 'x') RETURNING id, gp_segment_id",
    );
    expect(inserted).toEqual(await rows('SELECT id, gp_segment_id FROM t WHERE id > 1000 ORDER BY id'));
    const perNode = await truth('t');
    expect((await client.query("UPDATE t SET v = 'on 1' WHERE gp_segment_id = 1")).rowCount).toBe(perNode[1]);
    expect(await truth('t', "v = 'on 1'")).toEqual([0, perNode[1], 0]);
    expect((await client.query('DELETE FROM t WHERE gp_segment_id = 2 RETURNING gp_segment_id')).rows).toEqual(
      Array(perNode[2]).fill({ gp_segment_id: 2 }),
    );
    expect(await truth('t')).toEqual([perNode[0], perNode[1], 0]);
  });

  test('errors stand where the client wrote them', async () => {
    expect(await failure('SELECT gp_segment_id, nope FROM t')).toMatchObject({ code: '42703', position: '23' });
    expect(await failure('SELECT t.gp_segment_id FROM t JOIN u ON t.id = nope.x')).toMatchObject({
      code: '42P01',
      position: '48',
    });
    expect(await failure('SELECT gp_segment_id FROM t, u')).toMatchObject({ code: '42702' });
    expect(await failure('SELECT gp_segment_id FROM (SELECT 1) s')).toMatchObject({ code: '42703', position: '8' });
  });
});
