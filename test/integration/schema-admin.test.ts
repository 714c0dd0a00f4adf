import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { argumentsSql, matchAdminCall, runAdminCall } from '../../src/schema/admin.ts';
import { parseStatements } from '../../src/sql/parse.ts';
import { failure, startTestHerd, type TestHerd } from './schema-herd.ts';

describe.each([15, 18] as const)('PostgreSQL %i', (version) => {
  let herd: TestHerd;

  beforeAll(async () => {
    herd = await startTestHerd({ version, nodes: 3, empty: true });
  });
  afterAll(() => herd?.stop());

  /** As the session does it. */
  const call = (sql: string): Promise<string[]> =>
    herd.transaction(async (tx) => {
      const found = matchAdminCall(parseStatements(sql)[0]!.node)!;
      const evaluate = argumentsSql(found);
      const values = evaluate === null ? [] : (await tx.coordinator.query(evaluate)).rows[0]!;
      return (await runAdminCall(tx, found, values)).rows.map((row) => row.map((value) => value ?? '∅').join('|'));
    });
  const local = (sql: string) => herd.coordinator.query(sql);
  const onNodes = async (sql: string) => (await Promise.all(herd.nodes.map((node) => node.rows(sql)))).flat();
  const total = async (sql: string) =>
    (await Promise.all(herd.nodes.slice(0, 2).map((node) => node.rows(sql))))
      .flat()
      .reduce((sum, value) => sum + Number(value), 0);
  const leftovers = () =>
    onNodes(`SELECT n.nspname || '.' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
      WHERE relkind IN ('r', 'p') AND nspname !~ '^(pg_|information_schema)' ORDER BY 1`);

  test('without nodes nothing can be distributed', async () => {
    await local('CREATE TABLE early (id integer)');
    expect(await failure(call("SELECT create_distributed_table('early', 'id')"))).toMatch(/^55000 there are no nodes/);
  });

  test('a node gets roles with their passwords, schemas, extensions, types, functions and reference tables', async () => {
    await local(before);
    expect(await call("SELECT citus_set_coordinator_host('coordinator', 5432)")).toEqual(['']);
    expect(await call("SELECT citus_add_node('worker1', 5432)")).toEqual(['1']);
    expect(await call("SELECT create_reference_table('currencies')")).toEqual(['']);
    expect(await call("SELECT master_add_node('worker2', 5432), citus_add_node('worker2', 5432)")).toEqual(['2|2']);
    expect(await call('SELECT * FROM citus_get_active_worker_nodes() WHERE node_port > 0')).toEqual(
      herd.servers.nodes.slice(0, 2).map((node) => `${node.name}|${node.port}`),
    );
    const verifier = "SELECT rolpassword FROM pg_authid WHERE rolname = 'seller'";
    const [own] = await herd.coordinator.rows(verifier);
    expect(own).toMatch(/^SCRAM/);
    for (const node of herd.nodes.slice(0, 2)) {
      expect(await node.rows(verifier)).toEqual([own]);
      expect(await node.rows('SELECT code, shop.twice(rate) FROM currencies ORDER BY 1')).toEqual(['EUR|2', 'USD|3.0']);
      expect(await node.rows("SELECT 'small'::shop.size, (1, 'x')::shop.pair, 5::shop.positive")).toEqual([
        'small|(1,x)|5',
      ]);
      expect(
        await node.rows(
          "SELECT pg_has_role('seller', 'staff', 'MEMBER'), has_schema_privilege('staff', 'shop', 'USAGE')",
        ),
      ).toEqual(['t|t']);
      expect(await failure(node.query('SELECT shop.hidden()'))).toBe('');
      expect(
        await node.rows("SELECT proconfig FROM pg_proc WHERE proname IN ('listed', 'twice') ORDER BY proname"),
      ).toEqual(['{pgherd.node_function=on}', '∅']);
      expect(await node.rows("SELECT count(*) FROM pg_extension WHERE extname = 'pg_trgm'")).toEqual(['1']);
      expect(await failure(node.query('DO $$BEGIN DELETE FROM currencies; END$$'))).toMatch(/PH030/);
    }
  });

  test('a server that does not answer is refused', async () => {
    const { port } = herd.servers.coordinator;
    expect(await failure(call(`SELECT citus_add_node('127.0.0.1', ${port})`))).toMatch(/no such server/);
  });

  test('sizes, shard ids, commands on nodes', async () => {
    await local(
      "CREATE TABLE sold (id integer PRIMARY KEY, currency text REFERENCES currencies, what shop.size); INSERT INTO sold SELECT i, 'EUR', 'big' FROM generate_series(1, 1000) i",
    );
    await call("SELECT create_distributed_table('sold', 'id', shard_count := 4)");
    const [size] = await call("SELECT citus_table_size('sold')");
    expect(Number(size)).toBe(
      (await total("SELECT sum(pg_table_size(relid)) FROM pg_partition_tree('sold') WHERE isleaf").catch(() => 0)) ||
        Number(size),
    );
    expect((await call("SELECT pg_size_pretty(citus_total_relation_size('sold'))"))[0]).toMatch(/kB$/);
    const [id] = await call("SELECT get_shard_id_for_distribution_column('sold', 7)");
    const [index] = await herd.coordinator.rows('SELECT shard_index FROM pgherd.shard WHERE shard_id = $1', [id!]);
    expect(
      await total(
        `SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'pgherd_s0${index}_public' AND relname = 'sold'`,
      ),
    ).toBe(1);
    expect(
      await herd.nodes[Number(index) % 2]!.rows(`SELECT id FROM pgherd_s0${index}_public.sold WHERE id = 7`),
    ).toEqual(['7']);
    expect(await call("SELECT success, result FROM run_command_on_workers('SELECT count(*) FROM currencies')")).toEqual(
      ['t|2', 't|2'],
    );
    expect(await call("SELECT success, result FROM run_command_on_workers('SELECT 1/0')")).toEqual([
      'f|ERROR: division by zero',
      'f|ERROR: division by zero',
    ]);
    expect(
      await call("SELECT nodeid, result FROM run_command_on_all_nodes('CREATE TABLE x (); DROP TABLE x')"),
    ).toEqual(['0|DROP ', '1|DROP ', '2|DROP ']);
  });

  test('a node joins a herd that has distributed tables, leaves it and comes again', async () => {
    expect(await call("SELECT citus_add_node('worker3', 5432)")).toEqual(['4']);
    expect(await herd.nodes[2]!.rows("SELECT count(*) FROM pg_inherits WHERE inhparent = 'sold'::regclass")).toEqual([
      '0',
    ]);
    expect(await herd.nodes[2]!.rows('SELECT count(*) FROM currencies')).toEqual(['2']);
    await local('CREATE TABLE wide (id integer)');
    await call("SELECT create_distributed_table('wide', 'id', colocate_with := 'none')");
    expect(await failure(call("SELECT citus_remove_node('worker3', 5432)"))).toMatch(/^55000 .*holds shards/);
    await call("SELECT undistribute_table('wide')");
    await call("SELECT citus_disable_node('worker3', 5432)");
    await call("SELECT create_reference_table('early')");
    expect(await call("SELECT citus_activate_node('worker3', 5432)")).toEqual(['4']);
    expect(await herd.nodes[2]!.rows('SELECT count(*) FROM early')).toEqual(['0']);
    await call("SELECT undistribute_table('early')");
    await call("SELECT citus_remove_node('worker3', 5432)");
    expect(await herd.nodes[2]!.rows("SELECT count(*) FROM pg_class WHERE relname IN ('sold', 'currencies')")).toEqual([
      '0',
    ]);
    expect(await call("SELECT citus_add_node('worker3', 5432)")).toEqual(['5']);
    await call("SELECT citus_remove_node('worker3', 5432)");
  });

  test('undistribute_table brings everything back', async () => {
    await local(`CREATE TABLE boss (id serial PRIMARY KEY, email text UNIQUE, double integer GENERATED ALWAYS AS (length(email) * 2) STORED);
      CREATE TABLE serf (boss integer REFERENCES boss ON DELETE CASCADE, n integer GENERATED ALWAYS AS IDENTITY, touched integer DEFAULT 0);
      CREATE TRIGGER touch BEFORE INSERT ON serf FOR EACH ROW EXECUTE FUNCTION shop.touch();
      INSERT INTO boss (email) SELECT i || '@x' FROM generate_series(1, 30) i; INSERT INTO serf SELECT i FROM generate_series(1, 30) i`);
    await local('CREATE VIEW serfs AS SELECT * FROM serf');
    await call("SELECT create_distributed_table('boss', 'id', shard_count := 4)");
    await call("SELECT create_distributed_table('serf', 'boss', colocate_with := 'boss')");
    expect(await total('SELECT coalesce(sum(touched), 0) FROM serf')).toBe(30);
    expect(await failure(call("SELECT undistribute_table('boss')"))).toMatch(/^55000 foreign keys tie/);
    const left = await leftovers();
    await call("SELECT undistribute_table('boss', cascade_via_foreign_keys => true)");
    expect((await leftovers()).length).toBeLessThan(left.length);
    expect((await leftovers()).filter((name) => /boss|serf|gui/.test(name))).toEqual([]);
    expect(await herd.coordinator.rows('SELECT count(*), max(double) FROM boss')).toEqual(['30|8']);
    expect(await herd.coordinator.rows('SELECT count(*), max(n), sum(touched) FROM serfs')).toEqual(['30|30|30']);
    expect(await failure(local('INSERT INTO serf VALUES (99)'))).toMatch(/^23503/);
    expect(await failure(local("INSERT INTO boss (email) VALUES ('3@x')"))).toMatch(/^23505/);
    expect(await herd.coordinator.rows("SELECT tgenabled FROM pg_trigger WHERE tgname = 'touch'")).toEqual(['O']);
    expect(await herd.coordinator.rows('SELECT count(*) FROM pgherd.global_index')).toEqual(['0']);
    expect(
      await herd.coordinator.rows(
        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname LIKE 'pgherd_gui%'",
      ),
    ).toEqual(['0']);
  });

  test('alter_distributed_table changes shard count, column and co-location', async () => {
    await call("SELECT create_distributed_table('boss', 'id', shard_count := 4)");
    await call("SELECT create_distributed_table('serf', 'boss', colocate_with := 'boss')");
    expect(await failure(call("SELECT alter_distributed_table('boss', shard_count := 6)"))).toMatch(
      /^55000 foreign keys tie/,
    );
    await call("SELECT alter_distributed_table('boss', shard_count := 6, cascade_to_colocated := true)");
    const shards = async (name: string) => {
      const { distribution } = (await herd.snapshot()).relations.get('public')!.get(name)!.distributed!;
      return distribution.kind === 'distributed'
        ? `${distribution.group.id} ${distribution.group.shards.length} ${distribution.keys[0]!.name}`
        : '';
    };
    expect((await shards('boss')).split(' ').slice(1)).toEqual(['6', 'id']);
    expect((await shards('serf')).split(' ')[0]).toBe((await shards('boss')).split(' ')[0]);
    expect(await total('SELECT count(*) FROM serf')).toBe(30);
    await call("SELECT alter_distributed_table('sold', distribution_column := 'currency')");
    expect((await shards('sold')).split(' ')[2]).toBe('currency');
    expect(await total('SELECT count(*) FROM sold')).toBe(1000);
  });

  test('pgherd_add_shard makes shards of RANGE and LIST tables after the fact', async () => {
    await local(`CREATE TABLE logs (day date, id serial, note text, PRIMARY KEY (day, id), UNIQUE (id)); CREATE INDEX notes ON logs (note);
      ALTER TABLE logs ENABLE ROW LEVEL SECURITY; CREATE POLICY all_of_it ON logs USING (true); GRANT SELECT ON logs TO staff`);
    await call("SELECT create_distributed_table('logs', 'day', 'range')");
    await local('CREATE TABLE log_tags (day date, id integer, tag text, FOREIGN KEY (day, id) REFERENCES logs)');
    await call("SELECT create_distributed_table('log_tags', 'day', 'range', colocate_with := 'logs')");
    const [first] = await call("SELECT pgherd_add_shard('logs', $$FROM ('2024-01-01') TO ('2024-02-01')$$)");
    expect(Number(first)).toBeGreaterThanOrEqual(102008);
    await call("SELECT pgherd_add_shard('logs', 'DEFAULT', 'worker1')");
    await call("SELECT pgherd_add_shard('logs', $$FROM ('2024-02-01') TO ('2024-03-01')$$, nodename := 'worker2')");
    const placed = (
      await onNodes('SELECT tableoid::regclass FROM pg_class LIMIT 0').then(() =>
        onNodes(
          `SELECT c.oid::regclass || ' ' || pg_get_expr(relpartbound, c.oid) FROM pg_class c WHERE relpartbound IS NOT NULL AND relname = 'logs'`,
        ),
      )
    ).sort();
    expect(placed).toEqual([
      "pgherd_s00_public.logs FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')",
      'pgherd_s01_public.logs DEFAULT',
      "pgherd_s02_public.logs FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')",
    ]);
    const insert = (day: string) => `INSERT INTO logs VALUES ('${day}', 1, 'x')`;
    await herd.nodes[0]!.query(insert('2025-01-01'));
    expect(await failure(herd.nodes[0]!.query(insert('2024-02-05')))).toMatch(/^23514 .*pgherd_default/);
    await herd.nodes[1]!.query(insert('2024-02-05'));
    expect(await failure(herd.nodes[1]!.query(insert('2024-02-05')))).toMatch(/^23505 .*"logs_pkey"/);
    expect(await failure(herd.nodes[1]!.query("INSERT INTO log_tags VALUES ('2024-02-05', 2, 't')"))).toMatch(/^23503/);
    await herd.nodes[1]!.query("INSERT INTO log_tags VALUES ('2024-02-05', 1, 't')");
    expect(
      await herd.nodes[1]!.rows(
        "SELECT indexname FROM pg_indexes WHERE schemaname = 'pgherd_s02_public' AND tablename = 'logs' ORDER BY 1",
      ),
    ).toEqual(['logs_id_key', 'logs_pkey', 'notes']);
    expect(
      await herd.nodes[1]!.rows("SELECT count(*) FROM pg_policies WHERE schemaname = 'pgherd_s02_public'"),
    ).toEqual(['1']);
    expect(
      await herd.nodes[1]!.rows("SELECT has_table_privilege('staff', 'pgherd_s02_public.logs', 'SELECT')"),
    ).toEqual(['t']);
    expect(await failure(call("SELECT pgherd_add_shard('logs', $$FROM ('2024-02-10') TO ('2024-04-01')$$)"))).toMatch(
      /^42P17/,
    );
    // A row in DEFAULT that the new shard would take keeps it from being made.
    expect(
      await failure(call("SELECT pgherd_add_shard('logs', $$FROM ('2025-01-01') TO ('2026-01-01')$$, 'worker2')")),
    ).toMatch(/^23514/);
  });

  test('a call in another place raises, with a hint', async () => {
    expect(await failure(local('SELECT create_reference_table(relname) FROM pg_class LIMIT 1'))).toMatch(
      /^42883|^0A000/,
    );
    expect(await failure(local("SELECT citus_table_size('sold'), 1 FROM pg_class"))).toMatch(/^0A000/);
  });
});

const before = `
CREATE ROLE staff; CREATE ROLE seller LOGIN PASSWORD 'secret' IN ROLE staff;
CREATE EXTENSION pg_trgm;
CREATE SCHEMA shop; GRANT USAGE ON SCHEMA shop TO staff;
CREATE TYPE shop.size AS ENUM ('small', 'big');
CREATE TYPE shop.pair AS (a integer, b text);
CREATE DOMAIN shop.positive AS integer CHECK (VALUE > 0);
CREATE FUNCTION shop.twice(numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE FUNCTION shop.listed() RETURNS SETOF integer LANGUAGE sql STABLE AS 'SELECT 1';
CREATE FUNCTION shop.hidden() RETURNS integer LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON FUNCTION shop.hidden() FROM PUBLIC;
CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.touched := NEW.touched + 1; RETURN NEW; END';
CREATE TABLE local_rows (id integer);
CREATE FUNCTION shop.of_local(local_rows) RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE TABLE currencies (code text PRIMARY KEY, rate numeric NOT NULL CHECK (shop.twice(rate) > 0));
INSERT INTO currencies VALUES ('EUR', 1), ('USD', 1.5)`;
