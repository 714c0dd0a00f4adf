import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  newShardedId,
  postgresHash,
  type ShardingOptions,
  ShardingStrategy,
  ShardsFailedError,
} from '../../src/sdk/entry.ts';
import { carriedShard } from '../../src/sdk/sharded-id.ts';
import { type HerdServers, startHerdServers, type TestServer } from '../harness/postgres.ts';

/** Three plain servers without a router; shards 0 to 3 are schemas of the first two, the third serves as replica. */
let servers: HerdServers;
let sharding: ShardingStrategy;
let spare: TestServer;

const schemas = ['s0', 's1', 's2', 's3'];
const options = (): ShardingOptions => {
  const [worker1, worker2] = servers.nodes;
  return {
    shards: schemas.map((schema, i) => {
      const { host, port } = i % 2 === 0 ? servers.coordinator : worker1!;
      return { host, port, schema, replicas: [{ host: worker2!.host, port: worker2!.port }] };
    }),
    retries: 1,
  };
};

const tables = `
  CREATE TABLE users (user_id text PRIMARY KEY, username text, email text, created_at timestamptz DEFAULT now());
  CREATE TABLE orders (order_id text PRIMARY KEY, user_id text, amount numeric(12,2), created_at timestamptz DEFAULT now());
  CREATE TABLE sample (id int, big bigint, price numeric, at timestamptz, on_day date, data jsonb, raw bytea, ok bool, tags text[], name text)`;

beforeAll(async () => {
  servers = await startHerdServers({ nodes: 2 });
  spare = servers.byName.get('worker2')!;
  for (const { host, port } of [servers.coordinator, ...servers.nodes]) {
    const client = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
    await client.connect();
    for (const schema of schemas) await client.query(`CREATE SCHEMA ${schema}; SET search_path = ${schema}; ${tables}`);
    await client.end();
  }
  sharding = new ShardingStrategy(options());
});

afterAll(async () => {
  sharding.close();
  await servers.stop();
});

test('what the Python program stores and asks comes back, its totals really per user', async () => {
  await sharding.executeQuery('user_001', 'INSERT INTO users VALUES ($1, $2, $3, now())', [
    'user_001',
    'alice',
    'a@example.com',
  ]);
  const order = (user: string, id: string, amount: string) =>
    sharding.executeQuery(user, 'INSERT INTO orders VALUES ($1, $2, $3, now())', [id, user, amount]);
  await order('user_001', 'order_001', '99.99');
  await order('user_001', 'order_002', '149.99');
  await order('user_002', 'order_003', '199.99');
  const mine = await sharding.executeQuery<{ order_id: string; amount: string; created_at: Date }>(
    'user_001',
    'SELECT order_id, amount, created_at FROM orders WHERE user_id = $1 ORDER BY created_at DESC',
    ['user_001'],
    { access: 'read' },
  );
  expect(mine.map(({ order_id, amount }) => [order_id, amount])).toEqual([
    ['order_002', '149.99'],
    ['order_001', '99.99'],
  ]);
  expect(mine[0]!.created_at).toBeInstanceOf(Date);

  // A user whose orders are on two shards, as after a change of placement: concatenated he would be there twice.
  await sharding.executeOnShard(3, "INSERT INTO orders VALUES ('order_004', 'user_002', 0.015, now())");
  const totals = 'SELECT user_id, count(*) AS order_count, sum(amount) AS total_amount FROM orders GROUP BY user_id';
  expect(await sharding.executeDistributedQuery(totals)).toHaveLength(3);
  const combined = await sharding.executeDistributedQuery(totals, [], {
    merge: { kind: 'combine', groupBy: ['user_id'], aggregates: { order_count: 'sum', total_amount: 'sum' } },
  });
  expect(combined).toEqual(
    expect.arrayContaining([
      { user_id: 'user_001', order_count: '2', total_amount: '249.98' },
      { user_id: 'user_002', order_count: '2', total_amount: '200.01' },
    ]),
  );
});

test('values of each type make the way there and back', async () => {
  const at = new Date('2024-02-29T12:34:56.789Z');
  const values = [
    7,
    2n ** 62n,
    '1e3',
    at,
    '2024-02-29',
    { a: [1, null] },
    Buffer.from([0, 255]),
    true,
    ['a "q"', null, '\\', 'NULL'],
    null,
  ];
  const [row] = await sharding.executeQuery(
    'k',
    'INSERT INTO sample VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10) RETURNING *',
    values,
  );
  expect(row).toEqual({
    ...{ id: 7, big: '4611686018427387904', price: '1000', at, on_day: '2024-02-29', data: { a: [1, null] } },
    ...{ raw: Buffer.from([0, 255]), ok: true, tags: ['a "q"', null, '\\', 'NULL'], name: null },
  });
  const [more] = await sharding.executeQuery(
    'k',
    "SELECT '{{1,2},{3,4}}'::int[] AS grid, '{}'::text[] AS none, 1.5::float8 AS f",
  );
  expect(more).toEqual({
    grid: [
      [1, 2],
      [3, 4],
    ],
    none: [],
    f: 1.5,
  });
});

test("PostgreSQL's hash puts every key where PARTITION BY HASH does", async () => {
  const types = {
    int4: 'g',
    int8: 'g::bigint * 4294967297',
    text: "'key ' || g",
    uuid: 'gen_random_uuid()',
    numeric: 'g / 8.0',
  } as const;
  for (const [type, value] of Object.entries(types)) {
    await sharding.executeOnShard(0, `CREATE TABLE hashed_${type} (key ${type}) PARTITION BY HASH (key)`);
    const rows = await sharding.executeOnShard<{ key: string; shard: number }>(
      0,
      `SELECT key::text, (SELECT min(r) FROM generate_series(0, 6) r
         WHERE satisfies_hash_partition('hashed_${type}'::regclass, 7, r, key)) AS shard
       FROM (SELECT ${value} AS key FROM generate_series(-50, 50) g) made`,
    );
    const placement = postgresHash(7, type as 'int4');
    expect(rows).toHaveLength(101);
    expect(rows.map(({ key }) => placement.shardOf(key))).toEqual(rows.map(({ shard }) => shard));
  }
});

test('ordered results are merged by the types of their columns, NULLs where ORDER BY puts them', async () => {
  const fill = (shard: number, values: string) =>
    sharding.executeOnShard(shard, `INSERT INTO sample (price, name) VALUES ${values}`);
  await sharding.executeDistributedQuery('TRUNCATE sample');
  await fill(0, "(10, 'b'), (9.5, 'B')");
  await fill(1, "(NULL, 'a'), (100, 'ä')");
  await fill(2, "(-1, 'z'), (9.50, NULL)");
  const prices = await sharding.executeDistributedQuery<{ price: string }>(
    'SELECT price FROM sample ORDER BY price DESC',
    [],
    {
      merge: { kind: 'ordered', by: [{ column: 'price', direction: 'desc' }], limit: 4 },
    },
  );
  expect(prices.map(({ price }) => price)).toEqual([null, '100', '10', '9.5']);
  const byName = { kind: 'ordered', by: [{ column: 'name' }] } as const;
  const names = await sharding.executeDistributedQuery('SELECT name FROM sample ORDER BY name COLLATE "C"', [], {
    merge: byName,
  });
  expect(names.map(({ name }) => name)).toEqual(['B', 'a', 'b', 'z', 'ä', null]);
  const disordered = sharding.executeDistributedQuery('SELECT name FROM sample ORDER BY name COLLATE "C" DESC', [], {
    merge: byName,
  });
  await expect(disordered).rejects.toThrow(/rows of shard \d are not ordered by name/);
});

test('combined sums are exact, and what is neither grouped nor combined is refused', async () => {
  await sharding.executeDistributedQuery('TRUNCATE sample');
  await sharding.executeOnShard(
    0,
    'INSERT INTO sample (id, big, price) VALUES (1, 9007199254740993, 0.1), (2, 1, NULL)',
  );
  await sharding.executeOnShard(
    1,
    'INSERT INTO sample (id, big, price) VALUES (1, 9007199254740993, 0.20), (2, 1, NULL)',
  );
  const sql =
    'SELECT id, sum(big) AS big, sum(price) AS price, max(price) AS top, count(*) AS n FROM sample GROUP BY id ORDER BY id';
  const merge = (aggregates: Record<string, 'sum' | 'max'>) => ({
    merge: { kind: 'combine', groupBy: ['id'], aggregates } as const,
  });
  expect(
    await sharding.executeDistributedQuery(sql, [], merge({ big: 'sum', price: 'sum', top: 'max', n: 'sum' })),
  ).toEqual([
    { id: 1, big: '18014398509481986', price: '0.30', top: '0.20', n: '2' },
    { id: 2, big: '2', price: null, top: null, n: '2' },
  ]);
  await expect(sharding.executeDistributedQuery(sql, [], merge({ big: 'sum' }))).rejects.toThrow(
    'neither grouped by nor combined',
  );
});

test('a stream brings all rows in order, a batch at a time, and may be left early', async () => {
  await sharding.executeDistributedQuery('TRUNCATE sample');
  for (const shard of [0, 1, 2, 3]) {
    await sharding.executeOnShard(shard, 'INSERT INTO sample (id) SELECT g FROM generate_series($1::int, 20000, 4) g', [
      shard,
    ]);
  }
  const stream = () =>
    sharding.streamDistributedQuery<{ id: number }>('SELECT id FROM sample ORDER BY id', [], {
      orderedBy: [{ column: 'id' }],
      batchRows: 100,
    });
  let expected = 0;
  for await (const { id } of stream()) expect(id).toBe(expected++);
  expect(expected).toBe(20_001);
  for await (const { id } of stream()) if (id === 250) break;
  const [{ count }] = (await sharding.executeQuery(
    'k',
    "SELECT count(*)::int FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND application_name = 'pgherd sdk'",
  )) as [{ count: number }];
  expect(count).toBe(0);
  const failing = sharding.streamDistributedQuery('SELECT 1 / (id - 15000) FROM sample ORDER BY id', [], {
    batchRows: 100,
  });
  await expect(
    (async () => {
      for await (const _ of failing);
    })(),
  ).rejects.toMatchObject({ code: '22012' });
  expect(await sharding.executeDistributedQuery('SELECT 1 AS one')).toHaveLength(4);
});

test('when a shard fails, its number is told, and the others answer if they are asked to', async () => {
  const sql = "SELECT 1 / (current_schema() <> 's2')::int AS one";
  const failed = await sharding.executeDistributedQuery(sql).catch((error) => error);
  expect(failed).toBeInstanceOf(ShardsFailedError);
  expect(failed).toMatchObject({
    code: '22012',
    failures: [{ shard: 2 }],
    message: '1 of 4 shards failed (2): division by zero',
  });
  const { rows, outcomes } = await sharding.settleDistributedQuery(sql);
  expect(rows).toEqual([{ one: 1 }, { one: 1 }, { one: 1 }]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
});

test('a statement that takes too long is cancelled on its server, and its connection serves again', async () => {
  const slow = sharding.executeQuery('k', 'SELECT pg_sleep(60)', [], { timeoutMs: 100 });
  await expect(slow).rejects.toMatchObject({
    code: '57014',
    message: expect.stringContaining('did not end within 100 ms'),
  });
  const abort = new AbortController();
  const given = sharding.executeDistributedQuery('SELECT pg_sleep(60)', [], { signal: abort.signal });
  setTimeout(() => abort.abort(), 50);
  await expect(given).rejects.toMatchObject({ code: '57014' });
  const [row] = await sharding.executeQuery(
    'k',
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active' AND pid <> pg_backend_pid()",
  );
  expect(row).toEqual({ n: 0 });
});

test('reads may go to replicas, change nothing, and fall back to the primary', async () => {
  const where = () => sharding.executeQuery('k', 'SELECT inet_server_port() AS port', [], { access: 'replica' });
  expect(await where()).toEqual([{ port: spare.port }]);
  const writes = sharding.executeQuery('k', "INSERT INTO users VALUES ('x')", [], { access: 'read' });
  await expect(writes).rejects.toMatchObject({ code: '25006' });
  await spare.crash();
  const [row] = await where();
  expect(row!['port']).not.toBe(spare.port);
  await spare.restart();
});

test('a write is sent once; a read is repeated when its connection is lost', async () => {
  await sharding.executeQuery('k', 'CREATE SEQUENCE tries');
  await sharding.executeQuery('k', "SELECT nextval('tries')");
  const lost = sharding.executeQuery('k', "SELECT nextval('tries'), pg_terminate_backend(pg_backend_pid())");
  await expect(lost).rejects.toMatchObject({ code: '08006' });
  expect(await sharding.executeQuery('k', 'SELECT last_value::int AS n FROM tries')).toEqual([{ n: 2 }]);

  const other = new ShardingStrategy(options());
  const [row] = await other.executeQuery('k', 'SELECT clock_timestamp()::text AS now');
  const endOldConnection = `SELECT count(pg_terminate_backend(pid))::int AS ended FROM pg_stat_activity
    WHERE pid = pg_backend_pid() AND backend_start < $1::timestamptz`;
  const read = await other.executeQuery('k', endOldConnection, [row!['now'] as string], { access: 'read' });
  expect(read).toEqual([{ ended: 0 }]);
  other.close();
});

test('a loaned connection keeps its session until it is released', async () => {
  const connection = await sharding.getConnection('user_001');
  await connection.query("SELECT set_config('pgherd.test', 'kept', false)");
  const { rows } = await connection.query("SELECT current_setting('pgherd.test') AS kept");
  expect([connection.shard, rows]).toEqual([sharding.getShardId('user_001'), [{ kept: 'kept' }]]);
  connection.release();
});

test('ids say on which shard their rows are', async () => {
  const byId = new ShardingStrategy({ ...options(), placement: carriedShard(4) });
  await byId.executeDistributedQuery('CREATE TABLE notes (id uuid PRIMARY KEY, body text)');
  const id = newShardedId(2);
  await byId.executeQuery(id, 'INSERT INTO notes VALUES ($1, $2)', [id, 'here']);
  expect(await byId.executeOnShard(2, 'SELECT body FROM notes WHERE id = $1', [id])).toEqual([{ body: 'here' }]);
  byId.close();
});
