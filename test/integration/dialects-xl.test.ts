import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

let herd: TestHerd;
let client: pg.Client;
const notices: string[] = [];

beforeAll(async () => {
  herd = await startHerd({ nodes: 4, spareNodes: 1 });
  client = new pg.Client({ connectionString: herd.url });
  client.on('notice', (notice) => notices.push(notice.message ?? ''));
  await client.connect();
  await client.query('CREATE TABLE t (id int, v text) DISTRIBUTE BY HASH(id)');
  await client.query("INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 100) g");
});
afterAll(async () => {
  await client?.end();
  await herd?.stop();
});

const rows = async (sql: string) => (await client.query({ text: sql, rowMode: 'array' })).rows as unknown[][];
const code = (sql: string) =>
  client.query(sql).then(
    () => 'none',
    (error: pg.DatabaseError) => `${error.code} ${error.message}`,
  );
const nodesOf = async (table: string) =>
  (await rows(`SELECT DISTINCT nodename FROM citus_shards WHERE table_name = '${table}' ORDER BY 1`)).flat();

describe('TO NODE', () => {
  test('restricts the shards to these nodes, and tables of the same wish are co-located', async () => {
    await client.query('CREATE TABLE a (id int, v int) DISTRIBUTE BY HASH(id) TO NODE (worker1, worker3)');
    await client.query('CREATE TABLE b (id int, w int) DISTRIBUTE BY HASH(id) TO NODE worker1, worker3');
    await client.query('CREATE TABLE c (id int) DISTRIBUTE BY HASH(id)');
    expect([await nodesOf('a'), await nodesOf('b')]).toEqual([
      ['worker1', 'worker3'],
      ['worker1', 'worker3'],
    ]);
    expect(await nodesOf('c')).toEqual(['worker1', 'worker2', 'worker3']);
    await client.query(
      'INSERT INTO a SELECT g, g FROM generate_series(1, 50) g; INSERT INTO b SELECT g, g FROM generate_series(1, 50) g',
    );
    const join = 'SELECT count(*) FROM a JOIN b USING (id)';
    expect((await rows(`EXPLAIN ${join}`)).flat().join()).toMatch(/two phases/);
    expect(await rows(join)).toEqual([['50']]);
    expect(await rows('SELECT gp_segment_id FROM a GROUP BY 1 ORDER BY 1')).toEqual([[0], [2]]);
  });

  test('goes with the other modes, CREATE TABLE AS and ALTER TABLE', async () => {
    await client.query('CREATE TABLE spread DISTRIBUTE BY ROUNDROBIN TO NODE (worker2, worker3) AS SELECT id FROM t');
    expect(await nodesOf('spread')).toEqual(['worker2', 'worker3']);
    expect(await rows('SELECT gp_segment_id, count(*) FROM spread GROUP BY 1 ORDER BY 1')).toEqual([
      [1, '50'],
      [2, '50'],
    ]);
    await client.query('ALTER TABLE spread DISTRIBUTE BY HASH (id) TO NODE (worker2)');
    expect(await nodesOf('spread')).toEqual(['worker2']);
    expect(await rows('SELECT count(*), sum(id) FROM spread')).toEqual([['100', '5050']]);
    notices.length = 0;
    await client.query('CREATE TABLE copies (a int) DISTRIBUTE BY REPLICATION TO NODE (worker1)');
    expect(notices).toEqual([expect.stringMatching(/every node gets a copy/)]);
  });

  test('of a node or group that is not there is an error', async () => {
    expect(await code('CREATE TABLE x (a int) DISTRIBUTE BY HASH(a) TO NODE (worker1, nowhere)')).toMatch(/^42704/);
    expect(await code('CREATE TABLE x (a int) DISTRIBUTE BY HASH(a) TO GROUP g')).toMatch(/PH040/);
    expect(await rows("SELECT to_regclass('x')")).toEqual([[null]]);
  });
});

describe('EXECUTE DIRECT', () => {
  test("reads one node's part of a table", async () => {
    const parts = await Promise.all(
      herd.nodes.slice(0, 3).map(async ({ host, port }) => {
        const node = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
        await node.connect();
        const { rows: found } = await node.query('SELECT count(*) FROM t');
        await node.end();
        return found[0].count;
      }),
    );
    for (const [i, name] of ['worker1', 'worker2', 'worker3'].entries())
      expect(await rows(`EXECUTE DIRECT ON (${name}) 'SELECT count(*) FROM t'`)).toEqual([[parts[i]]]);
    const both = await rows("EXECUTE DIRECT ON (worker1, worker2) 'SELECT count(*) FROM t'");
    expect(both).toHaveLength(2);
    expect(both).toEqual(expect.arrayContaining([[parts[0]], [parts[1]]]));
    const extended = await client.query({
      name: 'direct',
      text: "EXECUTE DIRECT ON (worker2) 'SELECT 1 AS one, $$x$$ AS x'",
    });
    expect([extended.rows, extended.command, extended.rowCount]).toEqual([[{ one: 1, x: 'x' }], 'SELECT', 1]);
  });

  test('sees what the transaction has done, and leaves it as it was', async () => {
    await client.query("BEGIN; DELETE FROM t WHERE v LIKE 'v1%'");
    const left = await Promise.all(
      ['worker1', 'worker2', 'worker3'].map(async (name) =>
        Number((await rows(`EXECUTE DIRECT ON (${name}) 'SELECT count(*) FROM t'`))[0]![0]),
      ),
    );
    expect(left.reduce((a, b) => a + b)).toBe(88);
    await client.query("INSERT INTO t VALUES (1, 'v1')");
    await client.query('ROLLBACK');
    expect(await rows('SELECT count(*) FROM t')).toEqual([['100']]);
  });

  test('knows the coordinator by its name', async () => {
    await client.query('CREATE TABLE here (a int); INSERT INTO here VALUES (1), (2)');
    expect(await rows("EXECUTE DIRECT ON (coordinator) 'SELECT count(*) FROM here'")).toEqual([['2']]);
    expect(await rows("EXECUTE DIRECT ON (coordinator) 'SELECT count(*) FROM t'")).toEqual([['100']]);
    expect(await rows("EXECUTE DIRECT ON (worker1) 'SHOW server_version_num'")).toHaveLength(1);
  });

  test('writes nothing', async () => {
    for (const sql of ['DELETE FROM t', 'INSERT INTO t VALUES (1)', 'DROP TABLE t', 'SET work_mem = 1', 'BEGIN'])
      expect(await code(`EXECUTE DIRECT ON (worker1) '${sql}'`)).toMatch(/^0A000.*PH043/);
    expect(await code("EXECUTE DIRECT ON (worker1) 'SELECT * INTO x FROM t'")).toMatch(/^25006/);
    expect(await code("EXECUTE DIRECT ON (worker1) 'EXPLAIN ANALYZE DELETE FROM t'")).toMatch(/^25006/);
    expect(await code("EXECUTE DIRECT ON (worker1) 'WITH d AS (DELETE FROM t RETURNING 1) SELECT * FROM d'")).toMatch(
      /^25006/,
    );
    expect(await code("EXECUTE DIRECT ON (worker1) 'SELECT 1; SELECT 2'")).toMatch(/^42601/);
    expect(await code("EXECUTE DIRECT ON (nowhere) 'SELECT 1'")).toMatch(/^42704/);
    expect(await rows('SELECT count(*) FROM t')).toEqual([['100']]);
  });
});

describe('nodes', () => {
  test('CREATE NODE brings a server into the herd, DROP NODE takes it out', async () => {
    const { host, port } = herd.nodes.at(-1)!;
    await client.query(`CREATE NODE dn4 WITH (TYPE = 'datanode', HOST = '${host}', PORT = ${port}, PREFERRED)`);
    expect(notices.at(-1)).toMatch(/PREFERRED/);
    await client.query('SELECT pgxc_pool_reload()');
    await client.query('CREATE TABLE far (a int) DISTRIBUTE BY HASH(a) TO NODE (dn4)');
    await client.query('INSERT INTO far SELECT generate_series(1, 10)');
    expect(await rows('SELECT gp_segment_id, count(*) FROM far GROUP BY 1')).toEqual([[3, '10']]);
    expect(await rows("EXECUTE DIRECT ON (dn4) 'SELECT count(*) FROM far'")).toEqual([['10']]);
    expect(await code(`CREATE NODE dn4 WITH (TYPE = 'datanode', HOST = '${host}', PORT = ${port})`)).toMatch(/^42710/);
    expect(await code('DROP NODE dn4')).toMatch(/^55000.*holds shards/);
    await client.query('DROP TABLE far');
    await client.query('ALTER NODE dn4 WITH (PRIMARY)');
    expect(await code('ALTER NODE dn4 WITH (PORT = 1)')).toMatch(/PH040/);
    await client.query('DROP NODE dn4');
    expect(await code('DROP NODE dn4')).toMatch(/^42704/);
    expect(await rows('SELECT count(*) FROM citus_get_active_worker_nodes()')).toEqual([['3']]);
  });

  test('pgxc_pool_reload() reads the catalog anew', async () => {
    expect(await rows('SELECT pgxc_pool_reload()')).toEqual([[true]]);
  });

  test('what is none of a data node or coordinator is refused', async () => {
    expect(await code("CREATE NODE g WITH (TYPE = 'gtm', HOST = 'localhost', PORT = 6666)")).toMatch(/PH040/);
    expect(await code("CREATE NODE g WITH (TYPE = 'datanode', HOST = 'localhost', PORT = 'x')")).toMatch(/^22023/);
  });
});
