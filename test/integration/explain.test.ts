import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { findFixture } from '../fixtures.ts';
import { startHerd, type TestHerd } from '../harness/herd.ts';
import { defaultVersion } from '../harness/postgres.ts';

type Json = { readonly [key: string]: unknown };

describe('EXPLAIN of statements over distributed tables', () => {
  let herd: TestHerd;
  let client: pg.Client;

  beforeAll(async () => {
    herd = await startHerd({ nodes: 3 });
    client = new pg.Client(herd.url);
    await client.connect();
    for (const sql of [
      'CREATE TABLE orders (customer int, id int, total numeric(12,2), placed date, PRIMARY KEY (customer, id))',
      'CREATE TABLE items (customer int, order_id int, quantity int)',
      'CREATE TABLE nation (id int PRIMARY KEY, name text)',
      'CREATE TABLE users (id serial PRIMARY KEY, email text UNIQUE)',
      'CREATE TABLE notes (id int, body text)',
      "SELECT create_distributed_table('orders', 'customer', shard_count => 6)",
      "SELECT create_distributed_table('items', 'customer')",
      "SELECT create_distributed_table('users', 'id')",
      "SELECT create_reference_table('nation')",
      "INSERT INTO orders SELECT g % 50, g, g, '2024-01-01'::date + g FROM generate_series(1, 600) g",
      'INSERT INTO items SELECT g % 50, g, g FROM generate_series(1, 600) g',
      "INSERT INTO nation SELECT g, 'n' || g FROM generate_series(1, 20) g",
    ])
      await client.query(sql);
  }, 120_000);

  afterAll(async () => {
    await client?.end();
    await herd?.stop();
  });

  afterEach(async () => {
    await client.query('ROLLBACK');
  });

  async function lines(sql: string, values: unknown[] = []): Promise<string> {
    const { rows } = await client.query(sql, values);
    return rows.map((row) => row['QUERY PLAN']).join('\n');
  }

  const statements = [
    'SELECT * FROM orders WHERE customer = 7',
    'SELECT customer, count(*) FROM orders WHERE placed < now() GROUP BY customer',
    'SELECT avg(total), count(DISTINCT id) FROM orders',
    'SELECT id FROM orders ORDER BY total DESC LIMIT 3',
    'SELECT o.id, rank() OVER (ORDER BY quantity) FROM orders o LEFT JOIN items i ON i.order_id = o.id',
    'WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT count(*) FROM r, orders',
    'SELECT * FROM orders FOR UPDATE SKIP LOCKED LIMIT 2',
    'INSERT INTO orders VALUES (1, -1, 1)',
    'INSERT INTO orders SELECT customer, id + 1000, total, placed FROM orders',
    "INSERT INTO users (email) VALUES ('a'), ('b') ON CONFLICT DO NOTHING",
    'UPDATE orders SET total = total + 1 WHERE customer = 3',
    'UPDATE orders SET total = total + 1',
    'UPDATE orders SET total = i.quantity FROM items i WHERE i.order_id = orders.id',
    'UPDATE orders SET customer = customer + 1 WHERE id < 9',
    'DELETE FROM orders WHERE id IN (SELECT order_id FROM items WHERE quantity < 4)',
    'DELETE FROM users WHERE email LIKE $$x%$$',
    'MERGE INTO orders o USING items i ON o.id = i.order_id WHEN MATCHED AND i.quantity < 5 THEN DELETE',
    `MERGE INTO orders o USING items i ON o.id = i.order_id WHEN MATCHED AND i.quantity < 5 THEN DELETE
       WHEN NOT MATCHED THEN INSERT (customer, id, total) VALUES (i.customer, i.order_id + 5000, 1)`,
    `MERGE INTO orders o USING notes n ON o.customer = n.id WHEN MATCHED THEN UPDATE SET total = 0
       WHEN NOT MATCHED THEN INSERT (customer, id) VALUES (n.id, 1)`,
    'UPDATE nation SET name = name || id',
    "INSERT INTO nation SELECT id + 100, 'x' FROM orders WHERE id < 3",
    'WITH x AS (UPDATE orders SET total = 0 RETURNING id) SELECT count(*) FROM x',
    `WITH x AS (DELETE FROM items WHERE quantity < 9 RETURNING order_id), y AS (INSERT INTO notes SELECT order_id FROM x RETURNING id)
       UPDATE orders SET total = 0 FROM y WHERE y.id = orders.id`,
    'INSERT INTO notes SELECT id, customer::text FROM orders',
    'CREATE TABLE made AS SELECT * FROM orders',
    'DECLARE c CURSOR FOR SELECT * FROM orders ORDER BY id',
  ];

  test.each(statements)('shows a server’s own plan beneath each step of: %s', async (sql) => {
    await client.query('BEGIN');
    const plain = await lines(`EXPLAIN ${sql}`);
    expect(plain).toMatch(/^Rung: /);
    expect(plain).toContain('cost=');
    expect(plain).not.toContain('not explained');
    const analyzed = await lines(`EXPLAIN (ANALYZE, VERBOSE, BUFFERS) ${sql}`);
    expect(analyzed).toMatch(/\(actual rows=\d+/);
    expect(analyzed).toMatch(/loops=1/);
    expect(analyzed).toMatch(/\nTuple data received from nodes: \d+ bytes\nPlanning Time: [\d.]+ ms\nExecution Time: /);
    expect(analyzed).not.toContain('not explained');
    await client.query('ROLLBACK');
    for (const options of ['FORMAT JSON', 'FORMAT JSON, ANALYZE, COSTS OFF']) {
      await client.query('BEGIN');
      const { rows } = await client.query(`EXPLAIN (${options}) ${sql}`);
      await client.query('ROLLBACK');
      const [{ Plan: root, ...rest }, ...others] = rows[0]['QUERY PLAN'] as [Json & { Plan: Json }];
      expect(others).toEqual([]);
      expect(rest['Rung']).toBeTypeOf('string');
      expect(rest['Execution Time']).toBeTypeOf(options.includes('ANALYZE') ? 'number' : 'undefined');
      for (const node of nodesOf(root)) {
        expect(node['Node Type']).toBeTypeOf('string');
        expect(node['Parallel Aware']).toBeTypeOf('boolean');
        if (!options.includes('COSTS OFF')) expect(node['Total Cost']).toBeTypeOf('number');
      }
      expect(nodesOf(root).some((node) => node['Node Type'] !== 'Custom Scan' && !('Step' in node))).toBe(true);
    }
  });

  test('the source document’s query with ANALYZE, VERBOSE and BUFFERS shows steps, nodes and the plan of one', async () => {
    const path = findFixture('seed-sql/06-greenplum-parallel-query.sql', 'the source document’s EXPLAIN');
    if (path === undefined) return;
    const source = readFileSync(path, 'utf8');
    const explain = source.slice(source.indexOf('EXPLAIN')).trim().replace(/;$/, '');
    await client.query('CREATE TABLE sales_data (customer_id int, sale_amount numeric(10,2), sale_date date)');
    await client.query("SELECT create_distributed_table('sales_data', 'customer_id', shard_count => 6)");
    await client.query("INSERT INTO sales_data SELECT g % 9, g, '2023-12-01'::date + g FROM generate_series(1, 400) g");
    const shown = await lines(explain);
    for (const wanted of [
      /^Rung: scatter \(/,
      /-> Scatter, concatenate on node 1, node 2, node 3\n {5}SELECT\s/,
      /Gather Motion 3:1 {2}\(actual rows=9 bytes=\d+ time=[\d.]+ ms\)/,
      /Task Count: 3, Tasks Shown: One of 3/,
      /Task on node 2 \(worker2\): rows=\d+ bytes=\d+ time=/,
      /HashAggregate .*\(actual time=.*loops=1\)/,
      /Output: sales_data\.customer_id, sum\(sales_data\.sale_amount\)/,
      /Buffers: shared hit=/,
    ])
      expect(shown).toMatch(wanted);
  });

  test('ANALYZE runs a change once, in the transaction', async () => {
    const sum = async () => Number((await client.query('SELECT sum(total) FROM orders')).rows[0].sum);
    const before = await sum();
    await client.query('BEGIN');
    expect(await lines('EXPLAIN ANALYZE UPDATE orders SET total = total + 1')).toContain('changed=600');
    expect(await sum()).toBe(before + 600);
    await client.query('ROLLBACK');
    expect(await sum()).toBe(before);
    await lines('EXPLAIN ANALYZE UPDATE orders SET total = total + 1');
    await lines('EXPLAIN ANALYZE UPDATE orders SET total = total + 1 WHERE customer = 1');
    await lines('EXPLAIN UPDATE orders SET total = total + 1');
    expect(await sum()).toBe(before + 612);
    await lines('EXPLAIN ANALYZE UPDATE nation SET name = name || $$!$$ WHERE id = 1');
    expect((await client.query('SELECT name FROM nation WHERE id = 1')).rows).toEqual([{ name: 'n1!' }]);
    const newUser = async () =>
      (await client.query('INSERT INTO users (email) VALUES (random()) RETURNING id')).rows[0].id;
    const id = await newUser();
    expect(await lines("EXPLAIN ANALYZE INSERT INTO users (email) VALUES ('one')")).toContain('changed=1');
    expect(await newUser()).toBe(id + 2);
  });

  test('ANALYZE lets triggers fire once for each row', async () => {
    await client.query('CREATE TABLE shot (id int PRIMARY KEY, n int)');
    await client.query("SELECT create_distributed_table('shot', 'id', shard_count => 3)");
    await client.query('INSERT INTO shot SELECT g, 0 FROM generate_series(1, 30) g');
    // No rollback takes back what a sequence has counted.
    await client.query("SELECT * FROM run_command_on_workers('CREATE SEQUENCE shots')");
    await client.query(
      `CREATE FUNCTION count_shot() RETURNS trigger LANGUAGE plpgsql
         AS 'BEGIN PERFORM nextval(''shots''); RETURN NEW; END'`,
    );
    await client.query('CREATE TRIGGER shoot BEFORE UPDATE ON shot FOR EACH ROW EXECUTE FUNCTION count_shot()');
    expect(await lines('EXPLAIN ANALYZE UPDATE shot SET n = 7')).toContain('changed=30');
    const { rows } = await client.query("SELECT * FROM run_command_on_workers('SELECT last_value FROM shots')");
    expect(rows.reduce((sum, { result }) => sum + Number(result), 0)).toBe(30);
  });

  test('CREATE TABLE AS makes its table, DECLARE no cursor', async () => {
    expect(await lines('EXPLAIN ANALYZE CREATE TABLE kept AS SELECT id FROM orders')).toContain('actual rows=600');
    expect((await client.query('SELECT count(*)::int FROM kept')).rows).toEqual([{ count: 600 }]);
    await client.query('BEGIN');
    await lines('EXPLAIN ANALYZE DECLARE gone CURSOR FOR SELECT * FROM orders');
    await expect(client.query('FETCH FROM gone')).rejects.toMatchObject({ code: '34000' });
    await client.query('ROLLBACK');
  });

  test.each([
    ['text', 25],
    ['yaml', 25],
    ['json', 114],
    ['xml', 142],
  ])('FORMAT %s has the column QUERY PLAN and its type in both protocols', async (format, oid) => {
    const text = `EXPLAIN (FORMAT ${format}) SELECT count(*) FROM orders WHERE total > 5`;
    const simple = await client.query(text);
    const extended = await client.query({ text, values: [] });
    for (const { fields } of [simple, extended]) {
      expect(fields).toMatchObject([{ name: 'QUERY PLAN', dataTypeID: oid }]);
    }
    expect(extended.rows).toEqual(simple.rows);
    if (format === 'text') return;
    expect(simple.rows.length).toBe(1);
    // PostgreSQL's own parser reads it.
    if (format === 'xml') {
      const [path] = ['//*[local-name()="Node-Type"]/text()'];
      const read = await client.query('SELECT xpath($1, $2::xml)::text AS found', [path, simple.rows[0]['QUERY PLAN']]);
      expect(read.rows[0].found).toContain('Gather Motion');
    }
  });

  test('options are judged as PostgreSQL judges them', async () => {
    const plain = new pg.Client({ ...herd.coordinator, user: 'postgres', database: 'postgres' });
    await plain.connect();
    const outcome = async (to: pg.Client, sql: string) =>
      to.query(sql).then(
        () => 'fine',
        ({ code, message, position, where }) => ({ code, message, position, where }),
      );
    for (const options of [
      ...['FOO', 'TIMING', 'WAL', 'FORMAT blah', 'ANALYZE, GENERIC_PLAN', 'COSTS 2', 'BUFFERS maybe', 'SERIALIZE'],
      ...['ANALYZE, SERIALIZE nothing', 'MEMORY', 'SETTINGS', 'SUMMARY', 'ANALYZE off, COSTS on', 'GENERIC_PLAN'],
      ...['ANALYZE, TIMING off', 'ANALYZE 1, WAL true', 'VERBOSE, VERBOSE off', 'FORMAT text, FORMAT json'],
    ]) {
      const expected = await outcome(plain, `EXPLAIN (${options}) SELECT 1 AS orders`);
      expect([options, await outcome(client, `EXPLAIN (${options}) SELECT count(*) FROM orders`)]).toEqual([
        options,
        expected,
      ]);
    }
    await plain.end();
    const unknown = await outcome(client, 'EXPLAIN (COSTS off) SELECT nope FROM orders');
    expect(unknown).toMatchObject({ code: '42703', position: '28' });
  });

  test('parameters are shown, of EXECUTE and of the protocol', async () => {
    await client.query('PREPARE by_day (int, date) AS SELECT * FROM orders WHERE customer = $1 AND placed > $2');
    const executed = await lines("EXPLAIN (COSTS OFF) EXECUTE by_day (3 + 4, '2024-03-01')");
    expect(executed).toMatch(/^Rung: single shard/);
    expect(executed).toContain("\nParameters: $1 = '7'::integer, $2 = '2024-03-01'::date");
    expect(executed).toContain('(customer = 7)');
    const bound = await lines('EXPLAIN ANALYZE SELECT * FROM orders WHERE customer = $1', [7]);
    expect(bound).toContain("Parameters: $1 = '7'::integer");
    expect(bound).toContain('actual rows=12');
    await client.query('PREPARE here (int) AS SELECT $1 + 1');
    expect(await lines('EXPLAIN (COSTS OFF) EXECUTE here (1)')).toBe('Result');
    await expect(client.query('EXPLAIN EXECUTE nowhere (1)')).rejects.toMatchObject({ code: '26000' });
  });

  test.runIf(defaultVersion >= 16)('GENERIC_PLAN leaves parameters open', async () => {
    const shown = await lines('EXPLAIN (GENERIC_PLAN, COSTS OFF) SELECT * FROM orders WHERE customer = $1 AND id = $2');
    expect(shown).toMatch(/Index Cond: \(\(customer = \$1\) AND \(id = \$2\)\)/);
    const change = await lines('EXPLAIN (GENERIC_PLAN) INSERT INTO orders SELECT customer, $1, 1 FROM items');
    expect(change).not.toContain('not explained');
  });

  test('citus.explain_all_tasks shows the plan of every node', async () => {
    await client.query("SET citus.explain_all_tasks = 'on'");
    const shown = await lines('EXPLAIN ANALYZE SELECT count(*) FROM orders');
    expect(shown).toContain('Task Count: 3, Tasks Shown: All');
    expect(shown.match(/-> {2}Task on node/g)).toHaveLength(3);
    await client.query('RESET citus.explain_all_tasks');
  });

  test('an error under ANALYZE fails the transaction and undoes the change', async () => {
    await expect(client.query('EXPLAIN ANALYZE UPDATE orders SET total = 1 / (id - id)')).rejects.toMatchObject({
      code: '22012',
    });
    expect((await client.query('SELECT count(*)::int FROM orders')).rows).toEqual([{ count: 600 }]);
  });

  test('statements over local and reference tables get PostgreSQL’s own plan', async () => {
    expect(await lines('EXPLAIN (COSTS OFF) SELECT * FROM notes')).toBe('Seq Scan on notes');
    expect(await lines('EXPLAIN (COSTS OFF) SELECT * FROM nation, notes')).toContain('Nested Loop');
  });
});

function nodesOf(node: Json): Json[] {
  const children = (node['Plans'] ?? []) as Json[];
  return [node, ...children.flatMap(nodesOf)];
}
