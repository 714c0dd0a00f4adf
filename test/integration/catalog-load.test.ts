import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loadSnapshot } from '../../src/catalog/load.ts';
import {
  bumpCatalogSql,
  catalogChannel,
  catalogSchemaVersion,
  firstShardId,
  installCatalog,
} from '../../src/catalog/schema-sql.ts';
import type { CatalogSnapshot, ColumnDefault, RelationEntry } from '../../src/catalog/snapshot.ts';
import { leafSchema, resolveRelation } from '../../src/catalog/snapshot.ts';
import type { SqlRunner } from '../../src/core/runner.ts';
import { startPostgres, type TestServer } from '../harness/postgres.ts';
import { runnerOf } from './catalog-runner.ts';

describe.each([18, 15] as const)('the catalog on PostgreSQL %i', (version) => {
  let server: TestServer;
  let client: pg.Client;
  let runner: SqlRunner;

  beforeAll(async () => {
    server = await startPostgres({ version });
    client = await connect();
    runner = runnerOf(client);
  });
  afterAll(async () => {
    await client?.end();
    await server?.stop();
  });
  beforeEach(async () => {
    await client.query('DROP SCHEMA IF EXISTS pgherd CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public');
    await installCatalog(runner);
  });

  async function connect(user = 'postgres'): Promise<pg.Client> {
    const made = new pg.Client({ host: server.host, port: server.port, user, database: 'postgres' });
    await made.connect();
    return made;
  }

  const rowsOf = async (sql: string) => (await runner.query(sql)).rows;
  const relation = (snapshot: CatalogSnapshot, name: string, schema = 'public'): RelationEntry => {
    const entry = snapshot.relations.get(schema)?.get(name);
    if (!entry) throw new Error(`${schema}.${name} is not in the snapshot`);
    return entry;
  };

  /** Two nodes, a hash group of three shards, table `public.orders` in it and reference table `public."Rates"`. */
  async function makeHerd(): Promise<void> {
    await client.query(`
      INSERT INTO pgherd.node (name, host, port, server_version_num) VALUES ('worker1', 'h1', 1001, 150018), ('worker2', 'h2', 1002, NULL);
      CREATE TABLE public.orders (gone int, id bigserial, "Customer" int NOT NULL, note text COLLATE "C", PRIMARY KEY (id, "Customer"));
      ALTER TABLE public.orders DROP COLUMN gone;
      CREATE TABLE public."Rates" (code char(3) PRIMARY KEY, rate numeric(10,4));
      INSERT INTO pgherd.colocation_group VALUES (7, 'hash', 3, '{integer}');
      INSERT INTO pgherd.group_shard SELECT 7, k, 1 + k % 2, jsonb_build_object('kind', 'hash', 'modulus', 3, 'remainder', k)
        FROM generate_series(0, 2) k;
      INSERT INTO pgherd.dist_table (relation, method, key_columns, colocation_id) VALUES ('public.orders'::regclass, 'hash', '{3}', 7);
      INSERT INTO pgherd.dist_table (relation, method) VALUES ('public."Rates"'::regclass, 'reference');
      INSERT INTO pgherd.shard (relation, shard_index) SELECT 'public.orders'::regclass, k FROM generate_series(0, 2) k;
      INSERT INTO pgherd.shard (relation, shard_index) VALUES ('public."Rates"'::regclass, 0);
      INSERT INTO pgherd.global_index VALUES ('public.orders'::regclass, 'orders_note_key', '{4,2}', 'note IS NOT NULL', true, 'pgherd_unique', 'orders_note_key')`);
  }

  test('is installed twice without a change', async () => {
    const [before] = await rowsOf("SELECT value FROM pgherd.meta WHERE key = 'cluster_id'");
    await installCatalog(runner);
    expect(await rowsOf("SELECT value FROM pgherd.meta WHERE key = 'cluster_id'")).toEqual([before]);
    expect(before?.[0]).toMatch(/^[0-9a-f]{12}$/);
  });

  test('is left alone by a router of the same version, brought up by a newer one and refused by an older one', async () => {
    const version = () => rowsOf("SELECT value FROM pgherd.meta WHERE key = 'schema_version'");
    await client.query('DROP VIEW pg_dist_node');
    await installCatalog(runner);
    expect(await rowsOf("SELECT to_regclass('pg_dist_node')")).toEqual([[null]]);
    await client.query("UPDATE pgherd.meta SET value = '0' WHERE key = 'schema_version'");
    await installCatalog(runner);
    expect(await rowsOf("SELECT to_regclass('pg_dist_node')")).toEqual([['pg_dist_node']]);
    expect(await version()).toEqual([[String(catalogSchemaVersion)]]);
    await client.query("UPDATE pgherd.meta SET value = '999' WHERE key = 'schema_version'");
    await expect(installCatalog(runner)).rejects.toMatchObject({ code: '55000' });
  });

  test('is installed by several routers at once', async () => {
    await client.query('DROP SCHEMA pgherd CASCADE');
    const clients = await Promise.all([connect(), connect(), connect()]);
    await Promise.all(clients.map((each) => installCatalog(runnerOf(each))));
    await Promise.all(clients.map((each) => each.end()));
    expect(await rowsOf("SELECT value FROM pgherd.meta WHERE key = 'version'")).toEqual([['1']]);
  });

  test('puts its views into schema pgherd when the router is no superuser', async () => {
    await client.query('DROP SCHEMA pgherd CASCADE');
    await client.query('DO $$BEGIN CREATE ROLE plain_router LOGIN; EXCEPTION WHEN duplicate_object THEN END$$');
    await client.query(
      'GRANT CREATE ON DATABASE postgres TO plain_router; GRANT CREATE ON SCHEMA public TO plain_router',
    );
    const plain = await connect('plain_router');
    await installCatalog(runnerOf(plain));
    const snapshot = await loadSnapshot(runnerOf(plain));
    await plain.end();
    expect(relation(snapshot, 'citus_shards', 'pgherd').kind).toBe('view');
    const found = resolveRelation(snapshot, undefined, 'citus_shards', ['pg_catalog', 'public']);
    expect(found).toEqual({ kind: 'relation', relation: relation(snapshot, 'citus_shards', 'pgherd') });
    expect(resolveRelation(snapshot, undefined, 'live_shard_size', ['pg_catalog', 'public']).kind).toBe('unknown');
  });

  test('is read but not written by ordinary users', async () => {
    await makeHerd();
    await client.query('DO $$BEGIN CREATE ROLE onlooker LOGIN; EXCEPTION WHEN duplicate_object THEN END$$');
    const onlooker = await connect('onlooker');
    expect((await onlooker.query('SELECT count(*)::int FROM pg_dist_shard')).rows).toEqual([{ count: 4 }]);
    expect((await onlooker.query('SELECT count(*)::int FROM pgherd.node')).rows).toEqual([{ count: 2 }]);
    await expect(
      onlooker.query("INSERT INTO pgherd.transaction_decision VALUES ('x', 'commit')"),
    ).rejects.toMatchObject({ code: '42501' });
    await expect(onlooker.query('UPDATE pg_dist_node SET nodeport = 1')).rejects.toMatchObject({ code: /42501|55000/ });
    await onlooker.end();
  });

  test('lets one decision per transaction win', async () => {
    await client.query("INSERT INTO pgherd.transaction_decision VALUES ('g', 'abort')");
    await expect(client.query("INSERT INTO pgherd.transaction_decision VALUES ('g', 'commit')")).rejects.toMatchObject({
      code: '23505',
    });
    await expect(client.query("INSERT INTO pgherd.transaction_decision VALUES ('h', 'perhaps')")).rejects.toMatchObject(
      { code: '23514' },
    );
  });

  test('a bump tells the listeners the new version', async () => {
    const listener = await connect();
    await listener.query(`LISTEN ${catalogChannel}`);
    const heard = new Promise((resolve) => listener.on('notification', (message) => resolve(message.payload)));
    const { rows } = await runner.query(bumpCatalogSql);
    expect(rows[0]?.[0]).toBe('2');
    expect(await heard).toBe('2');
    await listener.end();
    expect((await loadSnapshot(runner)).version).toBe(2);
  });

  test('shows nodes, groups, tables and shards', async () => {
    await makeHerd();
    const snapshot = await loadSnapshot(runner);
    expect(snapshot.nodes).toEqual([
      { id: 1, index: 0, name: 'worker1', host: 'h1', port: 1001, active: true },
      { id: 2, index: 1, name: 'worker2', host: 'h2', port: 1002, active: true },
    ]);
    expect(snapshot.lowestServerVersion).toBe(150018);
    const orders = relation(snapshot, 'orders').distributed;
    expect(orders).toMatchObject({
      primaryKey: ['id', 'Customer'],
      hasRowTriggers: false,
      hasRowSecurity: false,
      estimatedRows: -1,
    });
    expect(orders?.distribution).toEqual({
      kind: 'distributed',
      method: 'hash',
      keys: [
        {
          name: 'Customer',
          attnum: 3,
          typeOid: 23,
          typeName: 'integer',
          family: 'integer',
          collation: null,
          bytewise: true,
        },
      ],
      group: {
        id: 7,
        method: 'hash',
        families: ['integer'],
        shards: [0, 1, 2].map((k) => ({
          index: k,
          nodeId: 1 + (k % 2),
          bounds: { kind: 'hash', modulus: 3, remainder: k },
        })),
      },
      shardIds: [firstShardId, firstShardId + 1, firstShardId + 2],
      globalIndexes: [
        {
          name: 'orders_note_key',
          columns: ['note', 'id'],
          expressions: [],
          predicate: 'note IS NOT NULL',
          nullsNotDistinct: true,
          hiddenSchema: 'pgherd_unique',
          hiddenName: 'orders_note_key',
        },
      ],
    });
    expect(relation(snapshot, 'Rates').distributed?.distribution).toEqual({
      kind: 'reference',
      shardId: firstShardId + 3,
    });
    expect(snapshot.groups.get(7)).toBe((orders!.distribution as { group: unknown }).group);
    expect(snapshot.relationsByOid.get(orders!.oid)).toBe(relation(snapshot, 'orders'));
  });

  test('shows row triggers and row security, but not the guard', async () => {
    await makeHerd();
    await client.query(`CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
      CREATE TRIGGER guard BEFORE INSERT ON public.orders FOR EACH STATEMENT EXECUTE FUNCTION public.f();
      CREATE TRIGGER t BEFORE INSERT ON public."Rates" FOR EACH ROW EXECUTE FUNCTION public.f();
      ALTER TABLE public.orders ENABLE ROW LEVEL SECURITY`);
    const snapshot = await loadSnapshot(runner);
    expect(relation(snapshot, 'orders').distributed).toMatchObject({ hasRowTriggers: false, hasRowSecurity: true });
    expect(relation(snapshot, 'Rates').distributed).toMatchObject({ hasRowTriggers: true, hasRowSecurity: false });
  });

  test('shows all kinds of relations of the users, and hidden tables, but not what is its own', async () => {
    await client.query(`CREATE SCHEMA IF NOT EXISTS pgherd_unique;
      CREATE TABLE public.t (a int PRIMARY KEY); CREATE VIEW public.v AS SELECT a AS "A b" FROM public.t WHERE a > 1;
      CREATE MATERIALIZED VIEW public.m AS SELECT 1 AS one; CREATE SEQUENCE public.s; CREATE TYPE public.pair AS (x int, y text);
      CREATE TABLE public.p (a int) PARTITION BY RANGE (a); CREATE TEMP TABLE temporary (a int);
      CREATE TABLE pgherd_unique.hidden (a int); CREATE TABLE pgherd_unique.other (a int);
      INSERT INTO pgherd.dist_table (relation, method) VALUES ('pgherd_unique.hidden'::regclass, 'reference');
      INSERT INTO pgherd.shard (relation, shard_index) VALUES ('pgherd_unique.hidden'::regclass, 0)`);
    const snapshot = await loadSnapshot(runner);
    await client.query('DROP SCHEMA pgherd_unique CASCADE; DROP TABLE temporary');
    const kinds = [...snapshot.relations.get('public')!.values()].map((entry) => `${entry.name}: ${entry.kind}`);
    expect(kinds.sort()).toEqual(
      [
        'm: materialized view',
        'p: table',
        'pair: composite type',
        's: sequence',
        't: table',
        't_pkey: index',
        'v: view',
      ].sort(),
    );
    expect([...snapshot.relations.keys()].sort()).toEqual(['pg_catalog', 'pgherd', 'pgherd_unique', 'public']);
    expect([...snapshot.relations.get('pg_catalog')!.keys()].sort()).toEqual([
      'citus_shards',
      'citus_tables',
      'pgherd_transaction_log',
      'pgherd_transactions',
    ]);
    expect([...snapshot.relations.get('pgherd')!.keys()].sort()).toEqual([
      'live_shard_size',
      'live_transaction',
      'live_transaction_event',
      'server_traffic',
    ]);
    expect([...snapshot.relations.get('pgherd_unique')!.keys()]).toEqual(['hidden']);
    expect(relation(snapshot, 'v').viewDefinition?.replace(/\s+/g, ' ').trim()).toMatch(
      /^SELECT (t\.)?a AS "A b" FROM public\.t WHERE \((t\.)?a > 1\)$/,
    );
    expect(relation(snapshot, 'v').columns[0]).toMatchObject({ name: 'A b', typeName: 'integer' });
  });

  test('shows columns without the dropped ones, with qualified types and collations', async () => {
    await client.query(`CREATE DOMAIN public.age AS smallint; CREATE TYPE public.mood AS ENUM ('ok');
      CREATE TABLE public.t (gone int, a numeric(10,2), b public.age, c public.mood[] NOT NULL, d text COLLATE "C", e varchar(7));
      ALTER TABLE public.t DROP COLUMN gone; SET search_path = public`);
    const snapshot = await loadSnapshot(runner);
    await client.query('RESET search_path');
    expect(
      relation(snapshot, 't').columns.map(({ name, attnum, typeName, collation, notNull }) => [
        name,
        attnum,
        typeName,
        collation,
        notNull,
      ]),
    ).toEqual([
      ['a', 2, 'numeric(10,2)', null, false],
      ['b', 3, 'public.age', null, false],
      ['c', 4, 'public.mood[]', null, true],
      ['d', 5, 'text', 'pg_catalog."C"', false],
      ['e', 6, 'character varying(7)', null, false],
    ]);
  });

  const defaults: readonly [string, ColumnDefault][] = [
    ['int', { kind: 'none' }],
    ['int DEFAULT 5', { kind: 'constant', expression: '5' }],
    ['numeric(10,2) DEFAULT -5', { kind: 'constant', expression: "'-5'::integer" }],
    ['text DEFAULT NULL', { kind: 'none' }],
    ['boolean DEFAULT true', { kind: 'constant', expression: 'true' }],
    ["varchar(20) DEFAULT 'it''s'", { kind: 'constant', expression: "'it''s'::character varying" }],
    ["text DEFAULT E'a\\\\b'", { kind: 'constant', expression: "'a\\b'::text" }],
    ["jsonb DEFAULT '{}'", { kind: 'constant', expression: "'{}'::jsonb" }],
    ["text[] DEFAULT '{}'", { kind: 'constant', expression: "'{}'::text[]" }],
    ["date DEFAULT '2024-02-01'", { kind: 'constant', expression: "'2024-02-01'::date" }],
    ["timestamptz DEFAULT date '2024-02-01'", { kind: 'volatile', expression: "'2024-02-01'::date" }],
    [
      "timestamp DEFAULT ('now'::text)::timestamp",
      { kind: 'volatile', expression: "('now'::text)::timestamp without time zone" },
    ],
    ['timestamp DEFAULT now()', { kind: 'volatile', expression: 'now()' }],
    ['uuid DEFAULT gen_random_uuid()', { kind: 'volatile', expression: 'gen_random_uuid()' }],
    ['int DEFAULT public.mine()', { kind: 'volatile', expression: 'public.mine()' }],
    ["bigint DEFAULT nextval('public.\"It''s\"')", { kind: 'sequence', sequence: 'public."It\'s"', identity: null }],
    [
      "bigint DEFAULT nextval('public.\"It''s\"') + 1",
      { kind: 'volatile', expression: "(nextval('public.\"It''s\"'::regclass) + 1)" },
    ],
    ['int GENERATED ALWAYS AS IDENTITY', { kind: 'sequence', sequence: 'public.t_c_seq', identity: 'always' }],
    ['int GENERATED BY DEFAULT AS IDENTITY', { kind: 'sequence', sequence: 'public.t_c_seq', identity: 'by default' }],
    ['serial', { kind: 'sequence', sequence: 'public.t_c_seq', identity: null }],
    ['int GENERATED ALWAYS AS (b * 2) STORED', { kind: 'generated', expression: '(b * 2)', stored: true }],
    ['public.sure', { kind: 'volatile', expression: '7' }],
  ];
  test.each(defaults)('a column "%s" has the right kind of default', async (declaration, expected) => {
    await client.query(`CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE SEQUENCE public."It's";
      CREATE DOMAIN public.sure AS int DEFAULT 7; CREATE TABLE public.t (b int, c ${declaration})`);
    await client.query("SET datestyle = 'German'");
    const snapshot = await loadSnapshot(runner);
    await client.query('RESET datestyle');
    expect(relation(snapshot, 't').columns[1]?.default).toEqual(expected);
  });

  test('is seen with uncommitted DDL inside a transaction, whose settings stay', async () => {
    await client.query("BEGIN; SET LOCAL search_path = public; SET datestyle = 'German, DMY'; CREATE TABLE t (a int)");
    await runner.query(bumpCatalogSql);
    const within = await loadSnapshot(runner);
    expect(await rowsOf("SELECT current_setting('search_path'), current_setting('datestyle')")).toEqual([
      ['public', 'German, DMY'],
    ]);
    await client.query('ROLLBACK');
    const after = await loadSnapshot(runner, within);
    expect([within.version, within.relations.get('public')?.has('t')]).toEqual([2, true]);
    expect([after.version, after.relations.get('public')?.has('t') ?? false]).toEqual([1, false]);
    expect(await rowsOf("SELECT current_setting('search_path')")).toEqual([['"$user", public']]);
  });

  test('knows functions by name, the system ones also after a second load', async () => {
    await client.query(
      `CREATE FUNCTION public.lower(text) RETURNS SETOF text STABLE STRICT LANGUAGE sql AS 'SELECT $1'`,
    );
    const first = await loadSnapshot(runner);
    const second = await loadSnapshot(runner, first);
    expect(second.functions).toEqual(first.functions);
    expect(second.functions.get('random')?.[0]).toMatchObject({ volatility: 'volatile', userDefined: false });
    expect(second.functions.get('sum')?.[0]?.kind).toBe('aggregate');
    expect(second.functions.get('row_number')?.[0]?.kind).toBe('window');
    expect(second.functions.get('lower')?.find((traits) => traits.userDefined)).toEqual({
      ...{
        schema: 'public',
        name: 'lower',
        volatility: 'stable',
        kind: 'function',
        returnsSet: true,
        strict: true,
        userDefined: true,
      },
    });
    await client.query('DROP FUNCTION public.lower(text)');
    expect((await loadSnapshot(runner, second)).functions.get('lower')?.some((traits) => traits.userDefined)).toBe(
      false,
    );
  });

  test('is shown in the views of Citus', async () => {
    await makeHerd();
    await client.query("INSERT INTO pgherd.meta VALUES ('coordinator_host', 'here'), ('coordinator_port', '5433')");
    expect(
      await rowsOf(
        'SELECT nodeid, groupid, nodename, nodeport, isactive, shouldhaveshards FROM pg_dist_node ORDER BY 1',
      ),
    ).toEqual([
      ['0', '0', 'here', '5433', 't', 'f'],
      ['1', '1', 'worker1', '1001', 't', 't'],
      ['2', '2', 'worker2', '1002', 't', 't'],
    ]);
    expect(
      await rowsOf(
        'SELECT logicalrelid, partmethod, partkey, colocationid, repmodel FROM pg_dist_partition ORDER BY 4 DESC',
      ),
    ).toEqual([
      ['orders', 'h', '"Customer"', '7', 's'],
      ['"Rates"', 'n', null, '0', 't'],
    ]);
    expect(
      await rowsOf(
        "SELECT shardid, shardminvalue FROM pg_dist_shard WHERE logicalrelid = 'orders'::regclass ORDER BY 1",
      ),
    ).toEqual([0, 1, 2].map((k) => [String(firstShardId + k), String(k)]));
    expect(await rowsOf('SELECT shardid, groupid FROM pg_dist_placement ORDER BY placementid')).toEqual([
      ...[
        [0, 1],
        [1, 2],
        [2, 1],
        [3, 0],
        [3, 1],
        [3, 2],
      ].map(([shard, node]) => [String(firstShardId + shard!), String(node)]),
    ]);
    expect(await rowsOf('SELECT colocationid, shardcount, distributioncolumntype FROM pg_dist_colocation')).toEqual([
      ['7', '3', '23'],
    ]);
  });

  test('says so when sizes are read past the router', async () => {
    await makeHerd();
    await expect(
      client.query("SELECT * FROM citus_shards WHERE table_name = 'orders'::regclass"),
    ).rejects.toMatchObject({
      code: '0A000',
    });
    await expect(client.query('SELECT * FROM citus_tables')).rejects.toMatchObject({ code: '0A000' });
  });

  test('shows the size of every shard once live sizes are there', async () => {
    await makeHerd();
    await client.query(`CREATE OR REPLACE VIEW pgherd.live_shard_size AS SELECT * FROM (VALUES
      (${firstShardId}::bigint, 1, 8192::bigint), (${firstShardId + 1}, 2, 16384), (${firstShardId + 3}, 2, 100)) v (shardid, nodeid, bytes)`);
    expect(
      await rowsOf(
        "SELECT shard_name, nodename, nodeport, shard_size FROM citus_shards WHERE table_name = 'orders'::regclass ORDER BY shardid",
      ),
    ).toEqual([
      [`${leafSchema(0, 'public')}.orders`, 'worker1', '1001', '8192'],
      [`${leafSchema(1, 'public')}.orders`, 'worker2', '1002', '16384'],
      [`${leafSchema(2, 'public')}.orders`, 'worker1', '1001', '0'],
    ]);
    expect(
      await rowsOf(
        'SELECT shard_name, nodename, shard_size FROM citus_shards WHERE table_name = \'"Rates"\'::regclass ORDER BY 2',
      ),
    ).toEqual([
      ['public."Rates"', 'worker1', '0'],
      ['public."Rates"', 'worker2', '100'],
    ]);
    expect(
      await rowsOf(
        'SELECT table_name, citus_table_type, distribution_column, table_size, shard_count, table_owner, access_method FROM citus_tables ORDER BY 1::text DESC',
      ),
    ).toEqual([
      ['orders', 'distributed', '"Customer"', '24 kB', '3', 'postgres', 'heap'],
      ['"Rates"', 'reference', '<none>', '100 bytes', '1', 'postgres', 'heap'],
    ]);
  });

  test('leaf schemas are called alike in TypeScript and in SQL', async () => {
    expect([leafSchema(7, 'public'), leafSchema(42, 'public'), leafSchema(100, 'public')]).toEqual([
      'pgherd_s07_public',
      'pgherd_s42_public',
      'pgherd_s100_public',
    ]);
    await client.query(`CREATE TABLE public.t (a int); INSERT INTO pgherd.node (name, host, port) VALUES ('n', 'h', 1);
      INSERT INTO pgherd.colocation_group VALUES (1, 'hash', 128, '{integer}');
      INSERT INTO pgherd.group_shard SELECT 1, k, 1, jsonb_build_object('kind', 'hash', 'modulus', 128, 'remainder', k) FROM generate_series(0, 127) k;
      INSERT INTO pgherd.dist_table (relation, method, key_columns, colocation_id) VALUES ('public.t'::regclass, 'hash', '{1}', 1);
      INSERT INTO pgherd.shard (relation, shard_index) SELECT 'public.t'::regclass, k FROM generate_series(0, 127) k;
      CREATE OR REPLACE VIEW pgherd.live_shard_size AS SELECT NULL::bigint AS shardid, NULL::int AS nodeid, NULL::bigint AS bytes`);
    const names = (await rowsOf('SELECT shard_name FROM citus_shards ORDER BY shardid')).map((row) => row[0]);
    expect(names).toEqual(Array.from({ length: 128 }, (_, k) => `${leafSchema(k, 'public')}.t`));
  });
});
