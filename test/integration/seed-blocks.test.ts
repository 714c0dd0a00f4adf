import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkConfig } from '../../src/cli/config.ts';
import { parseYaml } from '../../src/cli/config-source.ts';
import { gpconfig } from '../../src/cli/gpconfig.ts';
import { findFixture } from '../fixtures.ts';
import { startHerd, type TestHerd } from '../harness/herd.ts';

const folder = findFixture('seed-sql', 'the blocks of the source document');

describe.skipIf(folder === undefined)("the source document's SQL runs as it stands", () => {
  let herd: TestHerd;
  let client: pg.Client;
  const notices: string[] = [];

  beforeAll(async () => {
    herd = await startHerd({ nodes: 3 });
    client = new pg.Client({ connectionString: herd.url });
    client.on('notice', (notice) => notices.push(notice.message ?? ''));
    await client.connect();
  }, 120_000);

  afterAll(async () => {
    await client?.end();
    await herd?.stop();
  });

  /** The statements of a block, one by one, as psql sends them: no server need know where one ends but by its semicolon. */
  const statements = (file: string) =>
    readFileSync(join(folder!, file), 'utf8')
      .replaceAll(/^--.*$/gm, '')
      .split(/;\s*(?:\n|$)/)
      .map((text) => text.trim())
      .filter((text) => text !== '');
  const run = async (file: string) => {
    const results: pg.QueryResult[] = [];
    for (const statement of statements(file)) results.push(await client.query(statement));
    return results;
  };
  const query = async (sql: string) => (await client.query(sql)).rows;

  test('01: the extension is built in, the nodes are known', async () => {
    await run('01-citus-cluster.sql');
    expect(notices.join()).toMatch(/built in/);
    expect(await query('SELECT nodename FROM pg_dist_node WHERE nodeid > 0 ORDER BY nodeid')).toEqual([
      { nodename: 'worker1' },
      { nodename: 'worker2' },
      { nodename: 'worker3' },
    ]);
  });

  test('02: 32 shards over three nodes; the second call is a notice; e-mail is unique over all of them', async () => {
    const results = await run('02-citus-tables.sql');
    const shards = results.at(-1)!.rows;
    expect(shards).toHaveLength(32);
    expect(new Set(shards.map((row) => row.nodename)).size).toBe(3);
    expect(notices.at(-1)).toMatch(/already distributed this way/);
    await client.query(`INSERT INTO distributed_users (username, email, created_at)
      SELECT 'u' || g, 'u' || g || '@x', '2023-12-01'::timestamp + g * interval '1 day' FROM generate_series(1, 60) g`);
    await expect(
      client.query("INSERT INTO distributed_users (username, email) VALUES ('x', 'u7@x')"),
    ).rejects.toMatchObject({ code: '23505', constraint: 'distributed_users_email_key' });
  });

  test('03: join, aggregate and window over users and their orders', async () => {
    // As the block reads them: orders of users, with an amount.
    await client.query(`CREATE TABLE distributed_orders (order_id serial, user_id int, amount numeric(10,2), created_at timestamp,
      PRIMARY KEY (user_id, order_id))`);
    await client.query(
      "SELECT create_distributed_table('distributed_orders', 'user_id', colocate_with := 'distributed_users')",
    );
    await client.query(`INSERT INTO distributed_orders (user_id, amount, created_at)
      SELECT 1 + g % 60, g, '2023-12-20'::timestamp + (g % 40) * interval '1 day' FROM generate_series(1, 240) g`);
    const [joined, byDay, ranked] = await run('03-citus-queries.sql');
    // Users 31 to 60 joined in 2024; each has four orders.
    expect(joined!.rows).toHaveLength(30 * 4);
    expect(new Set(joined!.rows.map((row) => row.username)).has('u30')).toBe(false);
    // Days 12 to 39 after December 20th are in 2024, each with six orders.
    expect(byDay!.rows).toHaveLength(28);
    expect(byDay!.rows.every((row) => row.user_count === '6')).toBe(true);
    const sum = byDay!.rows.reduce((total, row) => total + Number(row.total_amount), 0);
    const expected = Array.from({ length: 240 }, (_, i) => i + 1).filter((g) => g % 40 >= 12);
    expect(sum).toBe(expected.reduce((total, g) => total + g, 0));
    expect(ranked!.rows).toHaveLength(28 * 6);
    const ranksOf = new Map<number, number[]>();
    for (const { user_id: user, order_rank: rank } of ranked!.rows) {
      ranksOf.set(user, [...(ranksOf.get(user) ?? []), Number(rank)]);
    }
    for (const ranks of ranksOf.values()) expect(ranks.sort()).toEqual(ranks.map((_, i) => i + 1));
    await client.query('CREATE SCHEMA block03');
    await client.query('ALTER TABLE distributed_orders SET SCHEMA block03');
  });

  test('04: gpconfig by pgherd gpconfig, on the coordinator and on the nodes', async () => {
    const lines = readFileSync(join(folder!, '04-greenplum-gpconfig.sql'), 'utf8').match(/^gpconfig .*$/gm)!;
    expect(lines).toHaveLength(6);
    for (const line of lines) {
      const [, change, value, mastervalue] = /^gpconfig -c (\S+) -v (\S+)(?: -m (\S+))?$/.exec(line)!;
      await gpconfig(
        { data: '', url: herd.url, change: change!, value: value!, ...(mastervalue ? { mastervalue } : {}) },
        () => {},
      );
    }
    const written = async (name: string) =>
      (await query(`SELECT file_value FROM pgherd_settings('${name}') ORDER BY nodeid`)).map((row) => row.file_value);
    expect(await written('max_connections')).toEqual(['200', '1000', '1000', '1000']);
    expect(await written('shared_buffers')).toEqual(['256MB', '1GB', '1GB', '1GB']);
    expect(await written('work_mem')).toEqual(['64MB', '256MB', '256MB', '256MB']);
    for (const name of ['max_connections', 'shared_buffers', 'work_mem']) {
      await gpconfig({ data: '', url: herd.url, remove: name }, () => {});
    }
  });

  test('05: DISTRIBUTED BY, DISTRIBUTED RANDOMLY, and where the rows are', async () => {
    const [, , , empty] = await run('05-greenplum-distribution.sql');
    expect(empty!.fields.map((field) => field.name)).toEqual(['gp_segment_id', 'count']);
    expect(empty!.rows).toEqual([]);
    await client.query(`INSERT INTO sales_data (product_id, customer_id, sale_amount, sale_date)
      SELECT g % 7, g % 90, g, '2023-07-01'::date + g FROM generate_series(1, 450) g`);
    const bySegment = (await client.query(statements('05-greenplum-distribution.sql').at(-1)!)).rows;
    expect(bySegment.map((row) => row.gp_segment_id)).toEqual([0, 1, 2]);
    expect(bySegment.reduce((total, row) => total + Number(row.count), 0)).toBe(450);
    const tables = await query(
      "SELECT table_name::text, distribution_column FROM citus_tables WHERE table_name::text IN ('sales_data', 'temp_data', 'user_sessions') ORDER BY 1",
    );
    expect(tables.map((row) => [row.table_name, row.distribution_column])).toEqual([
      ['sales_data', 'customer_id'],
      ['temp_data', '<none>'],
      ['user_sessions', 'user_id'],
    ]);
    await client.query("INSERT INTO temp_data (data) SELECT 'd' || g FROM generate_series(1, 30) g");
    const spread = await query('SELECT gp_segment_id, count(*)::int AS n FROM temp_data GROUP BY 1 ORDER BY 1');
    expect(spread.map((row) => row.n)).toEqual([10, 10, 10]);
  });

  test('06: planner settings reach the nodes, and the plan shows steps and what they did', async () => {
    const results = await run('06-greenplum-parallel-query.sql');
    const lines = results.at(-1)!.rows.map((row) => row['QUERY PLAN'] as string);
    expect(lines.join('\n')).toMatch(/Rung: scatter/);
    expect(lines.join('\n')).toMatch(/GROUP BY customer_id/);
    const nodes = await query("SELECT result FROM run_command_on_workers('SHOW enable_nestloop')");
    expect(nodes.map((row) => row.result)).toEqual(['off', 'off', 'off']);
    const select = statements('06-greenplum-parallel-query.sql')
      .at(-1)!
      .replace(/^EXPLAIN \([^)]*\)/, '');
    const found = (await client.query(select)).rows;
    const expected = new Map<number, { sum: number; count: number }>();
    for (let g = 184; g <= 450; g++) {
      const own = expected.get(g % 90) ?? { sum: 0, count: 0 };
      expected.set(g % 90, { sum: own.sum + g, count: own.count + 1 });
    }
    const large = [...expected].filter(([, { sum }]) => sum > 1000);
    expect(found).toHaveLength(large.length);
    for (const [customer, { sum, count }] of large) {
      expect(found).toContainEqual({
        customer_id: customer,
        total_sales: `${sum}.00`,
        transaction_count: String(count),
      });
    }
    await client.query('RESET ALL');
  });

  test('07: there is no GTM to configure; addresses and connections have their places', async () => {
    const [, coordinator, node] = readFileSync(join(folder!, '07-xl-configuration.sql'), 'utf8').split(
      /^-- (?:配置协调节点|配置数据节点)$/m,
    );
    const settingIn = (part: string, name: string) => new RegExp(`^${name} = '?([^'\\n]*)'?$`, 'm').exec(part)![1]!;
    const listen = {
      host: settingIn(coordinator!, 'listen_addresses').replace('*', '0.0.0.0'),
      port: settingIn(coordinator!, 'port'),
    };
    const yaml = `listen: { host: ${listen.host}, port: ${listen.port} }\ncoordinator: { host: c }\nnodes: [{ name: n, host: h, port: ${settingIn(node!, 'port')} }]\n`;
    const config = checkConfig(parseYaml('pgherd.yaml', yaml));
    expect(config).toMatchObject({ listen: { host: '0.0.0.0', port: 5432 }, nodes: [{ port: 5433 }] });
    const connections = {
      value: settingIn(node!, 'max_connections'),
      mastervalue: settingIn(coordinator!, 'max_connections'),
    };
    await gpconfig({ data: '', url: herd.url, change: 'max_connections', ...connections }, () => {});
    const written = await query("SELECT file_value FROM pgherd_settings('max_connections') ORDER BY nodeid");
    expect(written.map((row) => row.file_value)).toEqual(['200', '1000', '1000', '1000']);
    await gpconfig({ data: '', url: herd.url, remove: 'max_connections' }, () => {});
  });

  test('08: a table distributed by hash, and a transaction over two tables', async () => {
    await client.query('CREATE SCHEMA block08');
    await client.query('SET search_path = block08, public');
    await client.query(
      'CREATE TABLE customer_balance (customer_id int PRIMARY KEY, balance numeric(12,2)) DISTRIBUTE BY HASH(customer_id)',
    );
    await client.query('INSERT INTO customer_balance VALUES (1001, 500), (1002, 500)');
    const results = await run('08-xl-transactions.sql');
    expect(await query('SELECT quantity, price, order_date IS NOT NULL AS dated FROM distributed_orders')).toEqual([
      { quantity: 2, price: '99.99', dated: true },
    ]);
    expect(await query('SELECT balance FROM customer_balance ORDER BY customer_id')).toEqual([
      { balance: '300.02' },
      { balance: '500.00' },
    ]);
    const sessions = results.at(-1)!.rows;
    expect(sessions.length).toBeGreaterThan(0);
    expect(sessions.every((row) => row.nodename === 'coordinator')).toBe(true);
    await client.query('RESET search_path');
  });

  test('09: times by shard, bytes by node, and the statements of all servers', async () => {
    const [times, balance, slow] = await run('09-shard-monitoring.sql');
    expect(times!.fields.map((field) => field.name)).toEqual([
      ...['shard_id', 'table_name', 'shard_size', 'shard_count', 'avg_query_time', 'max_query_time'],
    ]);
    const users = times!.rows.filter((row) => row.table_name === 'distributed_users');
    expect(users).toHaveLength(32);
    expect(users.every((row) => row.avg_query_time > 0 && row.shard_count === '32')).toBe(true);
    const average = times!.rows.map((row) => row.avg_query_time);
    expect(average).toEqual([...average].sort((a, b) => b - a));
    expect(balance!.rows.map((row) => row.nodename).sort()).toEqual(
      expect.arrayContaining(['worker1', 'worker2', 'worker3']),
    );
    expect(balance!.rows.every((row) => Number(row.total_size) > 0)).toBe(true);
    expect(slow!.rows).toHaveLength(10);
    expect(slow!.rows.every((row) => /distributed/.test(row.query) && row.total_time >= row.mean_time)).toBe(true);
  });

  test('10: risk by account, and the view of the last hour', async () => {
    const [create, , ...rest] = statements('10-finance-warehouse.sql');
    await client.query(create!);
    await client.query(`INSERT INTO financial_transactions (account_id, transaction_type, amount, currency, transaction_date, counterparty_id, risk_score)
      SELECT g % 30, 'transfer', 1000 * (1 + g % 30), 'EUR', now() - (g % 3) * interval '20 minutes', g, (g % 30) / 30.0
      FROM generate_series(0, 299) g`);
    const categories = (await client.query(statements('10-finance-warehouse.sql')[1]!)).rows;
    // Scores are k/30: above 0.8 from 25 on, above 0.5 from 16 on. Each account has ten transactions of 1000 * (1 + k).
    expect(categories).toEqual([
      {
        risk_category: 'HIGH',
        account_count: '5',
        avg_amount: expect.stringMatching(/^280000\./),
        total_volume: '1400000.00',
      },
      {
        risk_category: 'LOW',
        account_count: '16',
        avg_amount: expect.stringMatching(/^85000\./),
        total_volume: '1360000.00',
      },
      {
        risk_category: 'MEDIUM',
        account_count: '9',
        avg_amount: expect.stringMatching(/^210000\./),
        total_volume: '1890000.00',
      },
    ]);
    for (const statement of rest) await client.query(statement);
    const watched = await query(
      'SELECT account_id, recent_transactions, recent_amount FROM real_time_risk_monitor ORDER BY account_id',
    );
    // A risk above 0.7 from account 22 on; more than 100,000 from account 10 on.
    expect(watched.map((row) => row.account_id)).toEqual(Array.from({ length: 20 }, (_, i) => i + 10));
    expect(watched[0]).toEqual({ account_id: 10, recent_transactions: '10', recent_amount: '110000.00' });
  });

  test('11: session settings hold on all servers; shared_buffers is PostgreSQL’s own error, with what to do', async () => {
    const all = statements('11-session-settings.sql');
    for (const statement of all.slice(0, -1)) await client.query(statement);
    await expect(client.query(all.at(-1)!)).rejects.toMatchObject({
      code: '55P02',
      hint: expect.stringContaining('pgherd gpconfig -c shared_buffers -v 4GB --restart'),
    });
    const nodes = await query("SELECT DISTINCT result FROM run_command_on_all_nodes('SHOW work_mem')");
    expect(nodes).toEqual([{ result: '256MB' }]);
    await client.query('RESET ALL');
  });

  test('12: indexes online, and how they are used', async () => {
    await client.query(`CREATE TABLE distributed_transactions (transaction_id bigserial, user_id int, transaction_date timestamp,
      amount numeric(15,2), status text)`);
    await client.query("SELECT create_distributed_table('distributed_transactions', 'user_id')");
    await client.query(`INSERT INTO distributed_transactions (user_id, transaction_date, amount, status)
      SELECT g % 50, now() - g * interval '1 minute', g * 20, 'done' FROM generate_series(1, 1000) g`);
    const used = (await run('12-indexes.sql')).at(-1)!;
    expect(used.fields.map((field) => field.name)).toEqual([
      ...['schemaname', 'tablename', 'indexname', 'idx_scan', 'idx_tup_read', 'idx_tup_fetch'],
    ]);
    const names = used.rows.filter((row) => row.tablename === 'distributed_transactions').map((row) => row.indexname);
    expect([...new Set(names)].sort()).toEqual([
      'idx_high_value_transactions',
      'idx_transactions_covering',
      'idx_transactions_user_date',
    ]);
    expect(
      await query(
        "SELECT bool_and(indisvalid) AS valid FROM pg_index WHERE indrelid = 'distributed_transactions'::regclass",
      ),
    ).toEqual([{ valid: true }]);
    expect(await query('SELECT count(*)::int AS n FROM distributed_transactions WHERE amount > 10000')).toEqual([
      { n: 500 },
    ]);
  });

  test('13: the view over all servers’ statements, and bytes by node', async () => {
    const balance = (await run('13-monitoring-views.sql')).at(-1)!.rows;
    expect(balance.length).toBeGreaterThanOrEqual(3);
    for (const row of balance) {
      expect(Number(row.max_size)).toBeGreaterThanOrEqual(Number(row.min_size));
      expect(Number(row.total_size)).toBeGreaterThan(0);
    }
    const performance = await query('SELECT * FROM distributed_performance');
    expect(Object.keys(performance[0])).toEqual([
      ...['query', 'calls', 'total_time', 'mean_time', 'rows', 'shared_blks_hit', 'shared_blks_read'],
      ...['nodename', 'shard_count', 'total_size'],
    ]);
    expect(new Set(performance.map((row) => row.nodename)).size).toBe(balance.length);
    expect(performance.every((row) => /distributed/.test(row.query))).toBe(true);
  });
});
