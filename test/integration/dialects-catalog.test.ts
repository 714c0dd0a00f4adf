import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findTool, runTool } from '../drivers/tool.ts';
import { findFixture } from '../fixtures.ts';
import { startHerd, type TestHerd } from '../harness/herd.ts';
import { defaultVersion } from '../harness/postgres.ts';

const folder = findFixture('seed-sql', 'the blocks of the source document');
const psql = findTool('psql');
const pgDump = findTool('pg_dump');

let herd: TestHerd;
let client: pg.Client;

beforeAll(async () => {
  herd = await startHerd({ nodes: 3 });
  client = new pg.Client({ connectionString: herd.url });
  await client.connect();
});
afterAll(async () => {
  await client?.end();
  await herd?.stop();
});

const rows = async (sql: string) => (await client.query({ text: sql, rowMode: 'array' })).rows as unknown[][];

describe.skipIf(folder === undefined)("the source document's blocks, each as one text", () => {
  const block = (file: string) => join(folder!, file);
  const whole = async (file: string) =>
    (await client.query(readFileSync(block(file), 'utf8'))) as unknown as pg.QueryResult[];

  test('05 in one simple query: three tables, then where their rows are', async () => {
    const results = await whole('05-greenplum-distribution.sql');
    expect(results.map((result) => result.command)).toEqual(['CREATE', 'CREATE', 'CREATE', 'SELECT']);
    expect(results[3]!.fields.map(({ name }) => name)).toEqual(['gp_segment_id', 'count']);
    expect(
      await rows(
        'SELECT localoid::regclass::text, policytype, numsegments, distkey::text FROM gp_distribution_policy ORDER BY 1',
      ),
    ).toEqual([
      ['sales_data', 'p', 3, '3'],
      ['temp_data', 'p', 3, ''],
      ['user_sessions', 'p', 3, '2'],
    ]);
  });

  test('06 in one simple query: the settings, and the plan', async () => {
    await client.query(
      "INSERT INTO sales_data (product_id, customer_id, sale_amount, sale_date) SELECT g % 7, g % 9, g, '2024-01-01'::date + g FROM generate_series(1, 90) g",
    );
    const results = await whole('06-greenplum-parallel-query.sql');
    expect(results.slice(0, -1).every((result) => result.command === 'SET')).toBe(true);
    expect(results.at(-1)!.rows.length).toBeGreaterThan(3);
    expect(await rows('SHOW enable_groupagg')).toEqual([['on']]);
    await client.query('RESET ALL');
  });

  test('08 in one simple query: a transaction over both tables', async () => {
    await client.query(
      'CREATE TABLE customer_balance (customer_id int PRIMARY KEY, balance numeric(12,2)) DISTRIBUTE BY HASH(customer_id)',
    );
    await client.query('INSERT INTO customer_balance VALUES (1001, 500), (1002, 500)');
    const results = await whole('08-xl-transactions.sql');
    expect(results.map((result) => result.command)).toEqual([
      'CREATE',
      'BEGIN',
      'INSERT',
      'UPDATE',
      'COMMIT',
      'SELECT',
    ]);
    expect(await rows('SELECT balance FROM customer_balance ORDER BY customer_id')).toEqual([['300.02'], ['500.00']]);
    expect(await rows('SELECT order_id, customer_id, price, order_date IS NOT NULL FROM distributed_orders')).toEqual([
      [1, 1001, '99.99', true],
    ]);
  });

  test('10 in one simple query, and what it finds', async () => {
    const [, empty] = await whole('10-finance-warehouse.sql');
    expect(empty!.rows).toEqual([]);
    await client.query(`INSERT INTO financial_transactions (account_id, transaction_type, amount, currency, transaction_date, counterparty_id, risk_score)
      SELECT g % 6, 'payment', 100 * g, 'EUR', now() - interval '10 minutes', g, 0.3 + (g % 6) * 0.12 FROM generate_series(1, 60) g`);
    const text = readFileSync(block('10-finance-warehouse.sql'), 'utf8');
    const query = text.slice(text.indexOf('WITH risk_analysis'), text.indexOf('-- 实时风险监控'));
    const { rows: found } = await client.query(query);
    // Scores 0.3, 0.42, 0.54, 0.66, 0.78, 0.9 by account; an account's total is 100 × the sum of its ten numbers.
    const total = (account: number) =>
      Array.from({ length: 60 }, (_, i) => i + 1)
        .filter((g) => g % 6 === account)
        .reduce((a, g) => a + 100 * g, 0);
    const volume = (...accounts: number[]) => accounts.reduce((sum, account) => sum + total(account), 0);
    expect(found.map((row) => [row.risk_category, row.account_count, Number(row.total_volume)])).toEqual([
      ['HIGH', '1', volume(5)],
      ['LOW', '2', volume(0, 1)],
      ['MEDIUM', '3', volume(2, 3, 4)],
    ]);
    expect((await rows('SELECT account_id FROM real_time_risk_monitor ORDER BY 1')).flat()).toEqual([4, 5]);
  });

  test.skipIf(psql === undefined)('psql takes them from files, and describes their tables', async () => {
    await client.query('DROP TABLE sales_data, temp_data, user_sessions');
    const made = await runTool('psql', [
      '-X',
      '-v',
      'ON_ERROR_STOP=1',
      '-f',
      block('05-greenplum-distribution.sql'),
      herd.url,
    ]);
    expect([made.code, made.stderr]).toEqual([0, '']);
    expect(made.stdout).toMatch(/gp_segment_id \| count/);
    const described = await runTool('psql', [
      '-X',
      '-c',
      '\\d temp_data',
      '-c',
      '\\d sales_data',
      '-c',
      '\\dt',
      herd.url,
    ]);
    expect([described.code, described.stderr]).toEqual([0, '']);
    for (const word of ['temp_data_id_seq', 'sale_amount', 'user_sessions']) expect(described.stdout).toContain(word);
  });

  test.skipIf(pgDump?.major !== defaultVersion)(
    'pg_dump writes them as ordinary tables with all their rows',
    async () => {
      await client.query("INSERT INTO temp_data (data) SELECT 'd' || g FROM generate_series(1, 25) g");
      const dump = await runTool('pg_dump', ['--inserts', '--table=temp_data', '--table=distributed_orders', herd.url]);
      expect(dump.code, dump.stderr).toBe(0);
      expect(dump.stdout.match(/INSERT INTO public.temp_data /g)).toHaveLength(25);
      expect(dump.stdout.match(/INSERT INTO public.distributed_orders /g)).toHaveLength(1);
      expect(dump.stdout).not.toMatch(/pgherd/);
    },
  );
});

describe("the catalog under Greenplum's and Postgres-XL's names", () => {
  beforeAll(async () => {
    await client.query(`CREATE SCHEMA views; SET search_path = views;
      CREATE TABLE two (a int, b text, c int PRIMARY KEY) DISTRIBUTED BY (b, a);
      CREATE TABLE spread (a int) DISTRIBUTED RANDOMLY;
      CREATE TABLE part (a int) DISTRIBUTE BY HASH(a) TO NODE (worker2);
      CREATE TABLE ref (a int) DISTRIBUTED REPLICATED`);
  });

  test('gp_segment_configuration has the coordinator and the nodes', async () => {
    const { rows: found, fields } = await client.query('SELECT * FROM gp_segment_configuration ORDER BY content');
    expect(fields.map(({ name }) => name)).toEqual([
      ...['dbid', 'content', 'role', 'preferred_role', 'mode', 'status', 'port', 'hostname', 'address', 'datadir'],
    ]);
    expect(found.map(({ content, role, status, hostname }) => [content, role, status, hostname])).toEqual([
      [-1, 'p', 'u', 'coordinator'],
      [0, 'p', 'u', 'worker1'],
      [1, 'p', 'u', 'worker2'],
      [2, 'p', 'u', 'worker3'],
    ]);
    expect(found.slice(1).map(({ port }) => port)).toEqual(herd.nodes.map(({ port }) => port));
  });

  test('gp_distribution_policy tells each table’s key', async () => {
    expect(
      await rows(`SELECT localoid::regclass::text, policytype, numsegments, distkey::text, distclass::text <> ''
      FROM gp_distribution_policy p JOIN pg_class c ON c.oid = p.localoid WHERE relnamespace = 'views'::regnamespace ORDER BY 1`),
    ).toEqual([
      ['part', 'p', 1, '1', true],
      ['ref', 'r', 3, '', false],
      ['spread', 'p', 3, '', false],
      ['two', 'p', 3, '2 1', true],
    ]);
  });

  test('a count by segment joins the configuration', async () => {
    await client.query('INSERT INTO spread SELECT generate_series(1, 30)');
    expect(
      await rows(
        'SELECT c.hostname, count(*) FROM spread s JOIN gp_segment_configuration c ON c.content = s.gp_segment_id GROUP BY 1 ORDER BY 1',
      ),
    ).toEqual([
      ['worker1', '10'],
      ['worker2', '10'],
      ['worker3', '10'],
    ]);
  });

  test('pgxc_node and pgxc_class', async () => {
    expect(
      await rows(
        'SELECT node_name, node_type, node_port, nodeis_primary FROM pgxc_node WHERE node_type = $$D$$ ORDER BY node_id',
      ),
    ).toEqual(herd.nodes.map(({ name, port }) => [name, 'D', port, false]));
    expect(
      await rows(`SELECT pcrelid::regclass::text, pclocatortype, pcattnum, pchashbuckets, array_length(string_to_array(nodeoids::text, ' '), 1)
      FROM pgxc_class p JOIN pg_class c ON c.oid = p.pcrelid WHERE relnamespace = 'views'::regnamespace ORDER BY 1`),
    ).toEqual([
      ['part', 'H', 1, 32, 1],
      ['ref', 'R', 0, 0, 3],
      ['spread', 'N', 0, 0, 3],
      ['two', 'H', 2, 32, 3],
    ]);
  });
});
