import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bootstrapCoordinator, bootstrapNode } from '../../src/schema/bootstrap.ts';
import { guardParentSql, guardReferenceSql, guardShellSql, withShellAccess } from '../../src/schema/guard.ts';
import { startPostgres, type TestServer } from '../harness/postgres.ts';
import { type Client, connect, failure } from './schema-herd.ts';

describe.each([15, 18] as const)('PostgreSQL %i', (version) => {
  let server: TestServer;
  let db: Client;
  let user: Client;

  beforeAll(async () => {
    server = await startPostgres({ version });
    db = await connect(server.port);
    await bootstrapCoordinator(db);
    await db.query(setUp);
    const oid = async (name: string) => Number((await db.rows(`SELECT '${name}'::regclass::oid`))[0]);
    for (const name of ['orders', 'lines']) {
      await db.query(guardShellSql({ oid: await oid(name), schema: 'public', name }).join(';'));
    }
    await db.query(guardReferenceSql({ oid: await oid('countries'), schema: 'public', name: 'countries' }).join(';'));
    user = await connect(server.port, 'app');
  });
  afterAll(async () => {
    await user?.end();
    await db?.end();
    await server?.stop();
  });

  const outside = /^0A000 distributed table public\.(orders|lines) was (read|written) on the coordinator/;

  test.each(forbidden)('%s raises', async (statement) => {
    const failed = await failure(db.query(`BEGIN; ${statement}`));
    await db.query('ROLLBACK; DEALLOCATE ALL');
    expect(failed).toMatch(outside);
  });

  test.each([
    ['a read', 'SELECT * FROM orders'],
    ['a view', 'SELECT * FROM order_sums'],
    ['a function', 'SELECT count_plpgsql()'],
  ])('%s by an ordinary user raises', async (_, statement) => {
    expect(await failure(user.query(statement))).toMatch(outside);
  });

  test.each([
    "SET pgherd.shell_ok = 'on'",
    "SET pgherd.shell_ok = 'true'",
    "SELECT set_config('pgherd.shell_ok', 'on', false)",
    "SELECT set_config('pgherd.shell_ok', encode(sha256(''), 'hex'), false)",
    "SET search_path = pg_temp; CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT ''''::bytea'; SET pgherd.shell_ok = ''",
  ])('%s does not switch the guard off', async (statement) => {
    await user.query(statement);
    expect(await failure(user.query('SELECT * FROM public.orders'))).toMatch(outside);
    await user.query('RESET ALL');
  });

  test('an ordinary user cannot read the secret', async () => {
    expect(await failure(user.query('SELECT secret FROM pgherd_secret.guard'))).toMatch(/^42501/);
    await bootstrapCoordinator(db);
    expect(await failure(user.query('SELECT secret FROM pgherd_secret.guard'))).toMatch(/^42501/);
  });

  test('the router may look while it has access, and no longer', async () => {
    await db.query('BEGIN');
    await withShellAccess(db, () => db.query('TRUNCATE orders, lines'));
    expect(await failure(db.query('SELECT * FROM orders'))).toMatch(outside);
    await db.query('ROLLBACK');
    await db.query('BEGIN');
    const token = await withShellAccess(
      db,
      async () => (await db.rows("SELECT current_setting('pgherd.shell_ok')"))[0]!,
    );
    await db.query('ROLLBACK');
    await db.query("SELECT set_config('pgherd.shell_ok', $1, false)", [token]);
    expect(await failure(db.query('SELECT * FROM orders'))).toMatch(outside);
    await db.query('RESET pgherd.shell_ok');
  });

  test('Parse and Describe, and all DDL that looks at no rows, work', async () => {
    await db.query('PREPARE p AS SELECT id, total * 2 AS x FROM orders WHERE cust = $1 AND total > $2');
    expect(await db.rows("SELECT parameter_types FROM pg_prepared_statements WHERE name = 'p'")).toEqual([
      '{integer,numeric}',
    ]);
    for (const statement of allowedDdl.split(';\n')) await db.query(statement);
    for (const command of [
      'VACUUM orders',
      'ANALYZE orders',
      'REINDEX TABLE orders',
      'CLUSTER orders USING orders_pkey',
    ]) {
      await db.query(command);
    }
    expect(await failure(db.query('SELECT * FROM orders'))).toMatch(outside);
    for (const trick of ['ANALYZE local; SELECT * FROM orders', 'ALTER TABLE local ADD CHECK (count_plpgsql() = id)']) {
      expect(await failure(db.query(trick))).toMatch(outside);
    }
  });

  test('a foreign key to a shell is validated with access only', async () => {
    const add = 'ALTER TABLE lines ADD CONSTRAINT again FOREIGN KEY (order_id) REFERENCES orders';
    expect(await failure(db.query(add))).toMatch(outside);
    await db.query('BEGIN');
    await withShellAccess(db, () => db.query(add));
    await db.query('ROLLBACK');
  });

  test('a reference table that a shell references can be changed and its keys deleted', async () => {
    await db.query('BEGIN');
    await db.query("UPDATE countries SET code = 'FR' WHERE code = 'IT'; DELETE FROM countries WHERE code = 'DE'");
    expect(await db.rows('SELECT code FROM countries')).toEqual(['FR']);
    await db.query('ROLLBACK');
  });

  test('a local row that references a shell raises, and is not checked against the empty shell', async () => {
    await db.query('CREATE TABLE notes (order_id integer)');
    await db.query('ALTER TABLE notes ADD FOREIGN KEY (order_id) REFERENCES orders NOT VALID');
    expect(await failure(db.query('INSERT INTO notes VALUES (1)'))).toMatch(outside);
    await db.query('DROP TABLE notes');
  });

  test.each(['SELECT write_countries()', 'DO $$BEGIN DELETE FROM countries; END$$', 'SELECT write_countries_sql()'])(
    '%s: a function cannot change one copy of a reference table',
    async (statement) => {
      expect(await failure(db.query(statement))).toMatch(/^0A000 reference table countries was written by a function/);
    },
  );

  test('in a database restored from a dump the guards are inert', async () => {
    await db.query('REFRESH MATERIALIZED VIEW pgherd_secret.guard');
    expect(await db.rows('SELECT count(*) FROM orders')).toEqual(['0']);
    expect(await failure(db.query('BEGIN; SELECT write_countries()'))).toBe('');
    await db.query('ROLLBACK');
    await bootstrapCoordinator(db);
    expect(await failure(db.query('SELECT * FROM orders'))).toMatch(outside);
  });
});

const setUp = `
CREATE ROLE app LOGIN;
CREATE TABLE countries (code text PRIMARY KEY);
INSERT INTO countries VALUES ('DE'), ('IT');
CREATE TABLE orders (id integer PRIMARY KEY, cust integer NOT NULL, total numeric, country text REFERENCES countries ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE lines (order_id integer NOT NULL REFERENCES orders ON DELETE CASCADE, line integer);
CREATE VIEW order_sums AS SELECT cust, sum(total) FROM orders GROUP BY cust;
CREATE MATERIALIZED VIEW order_copy AS SELECT * FROM orders WITH NO DATA;
CREATE FUNCTION count_plpgsql() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM orders); END';
CREATE FUNCTION count_sql() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM orders';
CREATE FUNCTION ids_sql() RETURNS SETOF integer LANGUAGE sql STABLE AS 'SELECT id FROM orders';
CREATE FUNCTION count_atomic() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM orders; END;
CREATE FUNCTION write_plpgsql() RETURNS void LANGUAGE plpgsql AS 'BEGIN INSERT INTO orders VALUES (1, 1); END';
CREATE FUNCTION write_countries() RETURNS void LANGUAGE plpgsql AS 'BEGIN DELETE FROM countries; END';
CREATE FUNCTION write_countries_sql() RETURNS void LANGUAGE sql AS 'DELETE FROM countries';
CREATE PROCEDURE count_proc() LANGUAGE plpgsql AS 'BEGIN PERFORM count(*) FROM orders; END';
CREATE FUNCTION pose() RETURNS void LANGUAGE plpgsql AS $$BEGIN
  EXECUTE 'SELECT 1 FROM ONLY "public"."orders" x WHERE $1 OPERATOR(pg_catalog.=) "id" FOR KEY SHARE OF x' USING 1; END$$;
CREATE TABLE local (id integer);
INSERT INTO local VALUES (1);
CREATE TABLE watched (id integer);
CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM 1 FROM orders; RETURN NEW; END';
CREATE TRIGGER watch BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION watch();
CREATE FUNCTION allowed(integer) RETURNS boolean LANGUAGE plpgsql STABLE AS 'BEGIN RETURN EXISTS (SELECT FROM orders WHERE id = $1); END';
CREATE TABLE rls (id integer);
INSERT INTO rls VALUES (1);
ALTER TABLE rls ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON rls USING (allowed(id));
GRANT SELECT ON orders, order_sums TO app;
GRANT SELECT ON rls TO app`;

const forbidden = [
  'SELECT * FROM orders',
  'SELECT 1 FROM orders WHERE false',
  'SELECT * FROM ONLY orders',
  'TABLE orders',
  'SELECT 1 WHERE EXISTS (SELECT FROM orders)',
  'SELECT * FROM local JOIN orders USING (id)',
  'WITH o AS (SELECT * FROM orders) SELECT * FROM o',
  'SELECT count_plpgsql()',
  'SELECT count_sql()',
  'SELECT * FROM ids_sql()',
  'SELECT count_atomic()',
  'SELECT write_plpgsql()',
  'SELECT pose()',
  'CALL count_proc()',
  'SELECT * FROM order_sums',
  'REFRESH MATERIALIZED VIEW order_copy',
  'CREATE MATERIALIZED VIEW m AS SELECT * FROM orders',
  'CREATE TABLE c AS SELECT * FROM orders',
  'SELECT * INTO c FROM orders',
  'DO $$BEGIN PERFORM 1 FROM orders; END$$',
  'DECLARE c CURSOR FOR SELECT * FROM orders',
  'PREPARE q AS SELECT * FROM orders; EXECUTE q',
  'PREPARE q (integer) AS SELECT * FROM orders WHERE id = $1; SET LOCAL plan_cache_mode = force_generic_plan; EXECUTE q(1)',
  "SELECT query_to_xml('SELECT * FROM orders', true, false, '')",
  'INSERT INTO watched VALUES (1)',
  'SET LOCAL ROLE app; SELECT * FROM rls',
  'INSERT INTO orders VALUES (1, 1)',
  'INSERT INTO orders SELECT 1, 1',
  'INSERT INTO orders SELECT 1, 1 FROM orders',
  'INSERT INTO orders VALUES (1, 1) ON CONFLICT DO NOTHING',
  'UPDATE orders SET cust = 1',
  'DELETE FROM orders',
  'MERGE INTO orders o USING (VALUES (1)) s (i) ON o.id = s.i WHEN MATCHED THEN DELETE',
  'TRUNCATE orders CASCADE',
  "COPY orders FROM PROGRAM 'echo 1,1,1,DE' CSV",
  "COPY (SELECT * FROM orders) TO PROGRAM 'cat > /dev/null'",
  'EXPLAIN SELECT * FROM orders',
];

const allowedDdl = `
ALTER TABLE orders ADD COLUMN note text DEFAULT 'x', ADD COLUMN amount integer;
ALTER TABLE orders ALTER COLUMN amount TYPE bigint;
CREATE INDEX ON orders (cust);
CREATE INDEX ON orders (lower(note)) WHERE total > 0;
CREATE UNIQUE INDEX ON orders (cust, id) INCLUDE (note);
ALTER TABLE orders ADD CONSTRAINT c1 CHECK (total >= 0), ALTER COLUMN note SET NOT NULL;
ALTER TABLE orders RENAME TO o2;
ALTER TABLE o2 RENAME TO orders`;

describe.each([15, 18] as const)('a node on PostgreSQL %i', (version) => {
  let server: TestServer;
  let db: Client;

  beforeAll(async () => {
    server = await startPostgres({ version });
    db = await connect(server.port);
    await bootstrapNode(db);
    await db.query(nodeSetUp);
    for (const name of ['na', 'nb']) {
      const [oid] = await db.rows(`SELECT '${name}'::regclass::oid`);
      await db.query(guardParentSql({ oid: Number(oid), schema: 'public', name }).join(';'));
    }
  });
  afterAll(async () => {
    await db?.end();
    await server?.stop();
  });

  test('what the router sends works: reads, writes, prepared statements, foreign keys, their validation, ANALYZE', async () => {
    await db.query('INSERT INTO na VALUES (1, 1), (2, 2), (3, 3); INSERT INTO nb VALUES (1), (2)');
    expect(await db.rows('SELECT count(*) FROM na')).toEqual(['3']);
    await db.query('DELETE FROM na WHERE id = 1; UPDATE na SET c = 3');
    expect(await db.rows('SELECT count(*) FROM nb')).toEqual(['1']);
    await db.query('PREPARE pp(integer) AS SELECT * FROM na WHERE id = $1; EXECUTE pp(2)');
    await db.query('ALTER TABLE nb ADD CONSTRAINT again FOREIGN KEY (id) REFERENCES na; ANALYZE na; ANALYZE nb');
    expect(await failure(db.query('INSERT INTO nb VALUES (77)'))).toMatch(/^23503/);
  });

  test('a trigger that writes a leaf may have its foreign key checked', async () => {
    await db.query('INSERT INTO source VALUES (3)');
    expect(await db.rows('SELECT count(*) FROM nb WHERE id = 3')).toEqual(['1']);
  });

  test.each([
    'SELECT g()',
    'SELECT gs()',
    'SELECT * FROM gss()',
    'INSERT INTO reading VALUES (1)',
    'DO $$BEGIN PERFORM 1 FROM na; END$$',
    "SELECT query_to_xml('SELECT * FROM na', true, false, '')",
    "SELECT * FROM ts_stat('SELECT to_tsvector(c::text) FROM na')",
    'SELECT pose()',
  ])('%s: a function that reads a distributed table raises', async (statement) => {
    expect(await failure(db.query(statement))).toMatch(/^0A000 a function on a node reads distributed table na/);
  });
});

const nodeSetUp = `
CREATE TABLE na (id integer PRIMARY KEY, c integer) PARTITION BY HASH (id);
CREATE TABLE na0 PARTITION OF na FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE na1 PARTITION OF na FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE nb (id integer PRIMARY KEY REFERENCES na (id) ON DELETE CASCADE) PARTITION BY HASH (id);
CREATE TABLE nb0 PARTITION OF nb FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE nb1 PARTITION OF nb FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE FUNCTION g() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM na); END';
CREATE FUNCTION gs() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM na';
CREATE FUNCTION gss() RETURNS SETOF integer LANGUAGE sql STABLE SET pgherd.node_function = 'on' AS 'SELECT id FROM na';
CREATE FUNCTION pose() RETURNS void LANGUAGE plpgsql AS $$BEGIN
  EXECUTE 'SELECT 1 FROM "public"."na" x WHERE "id" OPERATOR(pg_catalog.=) $1 FOR KEY SHARE OF x' USING 1; END$$;
CREATE TABLE reading (id integer);
CREATE FUNCTION read_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM count(*) FROM na; RETURN NEW; END';
CREATE TRIGGER r BEFORE INSERT ON reading FOR EACH ROW EXECUTE FUNCTION read_trigger();
CREATE TABLE source (id integer);
CREATE FUNCTION write_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO nb VALUES (NEW.id); RETURN NEW; END';
CREATE TRIGGER w BEFORE INSERT ON source FOR EACH ROW EXECUTE FUNCTION write_trigger()`;
