import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

/** Functions, procedures, DO blocks and triggers on the coordinator over distributed tables. */

let herd: TestHerd;
let db: pg.Client;
const notices: string[] = [];

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  db = await login('postgres');
  db.on('notice', (notice) => notices.push(notice.message ?? ''));
  await db.query(setUp);
});
afterAll(async () => {
  await db?.end();
  await herd?.stop();
});
beforeEach(async () => {
  await db.query('ROLLBACK');
  await db.query('TRUNCATE orders, lines, log');
  await db.query("INSERT INTO orders SELECT i, i % 10, i, 'n' || i FROM generate_series(1, 100) i");
  await db.query('INSERT INTO lines SELECT i, k, k * 2 FROM generate_series(1, 100) i, generate_series(1, 3) k');
  notices.length = 0;
});

async function login(user: string): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', port: herd.port, user, database: 'postgres' });
  await client.connect();
  return client;
}

async function outcome(sql: string, client = db): Promise<string> {
  try {
    const given = await client.query({ text: sql, rowMode: 'array' });
    const result = Array.isArray(given) ? given.at(-1) : given;
    return result.rows.map((row: unknown[]) => row.join('|')).join(', ');
  } catch (error) {
    return `${(error as pg.DatabaseError).code} ${(error as Error).message}`;
  }
}

const setUp = `
CREATE TABLE orders (id int PRIMARY KEY, cust int NOT NULL, total numeric NOT NULL DEFAULT 0, note text);
CREATE TABLE lines (order_id int, line int, amount numeric, PRIMARY KEY (order_id, line));
CREATE TABLE log (what text);
SELECT create_distributed_table('orders', 'id');
SELECT create_distributed_table('lines', 'order_id');
CREATE FUNCTION total_of(c int) RETURNS numeric LANGUAGE plpgsql AS $$BEGIN
  RETURN (SELECT sum(total) FROM orders WHERE cust = c); END$$;
CREATE FUNCTION total_sql(c int) RETURNS numeric LANGUAGE sql AS 'SELECT sum(total) FROM public.orders WHERE cust = c';
CREATE FUNCTION of_customer(c int) RETURNS SETOF orders LANGUAGE sql STABLE AS 'SELECT * FROM orders WHERE cust = c';
CREATE FUNCTION dynamic(t text) RETURNS bigint LANGUAGE plpgsql AS $$DECLARE n bigint; BEGIN
  EXECUTE format('SELECT count(*) FROM %I', t) INTO n; RETURN n; END$$;
CREATE FUNCTION walk(c int) RETURNS text LANGUAGE plpgsql AS $$DECLARE r record; found text := ''; BEGIN
  FOR r IN SELECT o.id, sum(l.amount) AS s FROM orders o JOIN lines l ON l.order_id = o.id WHERE o.cust = c GROUP BY o.id ORDER BY o.id LOOP
    found := found || r.id || ':' || r.s || ' ';
  END LOOP; RETURN found; END$$;
CREATE FUNCTION raise_total(c int) RETURNS int LANGUAGE plpgsql AS $$DECLARE n int; BEGIN
  UPDATE orders SET total = total + 1, note = 'raised ' || now()::date WHERE cust = c;
  GET DIAGNOSTICS n = ROW_COUNT; RETURN n; END$$;
CREATE FUNCTION remove(c int) RETURNS int LANGUAGE plpgsql AS $$DECLARE n int; BEGIN
  DELETE FROM lines l USING orders o WHERE o.id = l.order_id AND o.cust = c;
  DELETE FROM orders WHERE cust = c;
  GET DIAGNOSTICS n = ROW_COUNT; RETURN n; END$$;
CREATE FUNCTION guarded(c int) RETURNS text LANGUAGE plpgsql AS $$BEGIN
  UPDATE orders SET total = 1000 WHERE cust = c;
  BEGIN
    DELETE FROM orders WHERE cust = c;
    PERFORM 1 / 0;
  EXCEPTION WHEN division_by_zero THEN RETURN 'caught ' || (SELECT count(*) || ' ' || sum(total) FROM orders WHERE cust = c);
  END; RETURN 'not caught'; END$$;
CREATE FUNCTION only_shell() RETURNS bigint LANGUAGE plpgsql AS $$DECLARE n bigint; BEGIN
  EXECUTE 'SELECT count(*) FROM ' || 'ON' || 'LY /* x */ orders' INTO n; RETURN n; END$$;
`;

test.each([
  ['PL/pgSQL', 'SELECT total_of(3)', '480'],
  ['SQL', 'SELECT total_sql(3)', '480'],
  ['a set-returning function in FROM', 'SELECT count(*), sum(total) FROM of_customer(3)', '10|480'],
  ['dynamic SQL', "SELECT dynamic('orders')", '100'],
  ['a join in a loop', 'SELECT walk(3)', '3:12 13:12 23:12 33:12 43:12 53:12 63:12 73:12 83:12 93:12 '],
  ['a call for each row of a distributed table', 'SELECT sum(total_of(cust)) FROM orders WHERE id <= 20', '10100'],
  ['a lateral call', 'SELECT count(*) FROM orders o, LATERAL of_customer(o.cust) c WHERE o.id <= 3', '30'],
])('%s reads the rows of all nodes', async (_, sql, expected) => {
  expect(await outcome(sql)).toBe(expected);
  expect(await outcome(`BEGIN; ${sql}; COMMIT`.replace('; COMMIT', ''))).toBe(expected);
  await db.query('COMMIT');
});

test('own writes are seen, and a rollback undoes what functions wrote', async () => {
  await db.query('BEGIN');
  await db.query('UPDATE orders SET total = 0 WHERE cust = 3');
  expect(await outcome('SELECT total_of(3)')).toBe('0');
  expect(await outcome('SELECT raise_total(3)')).toBe('10');
  expect(
    await outcome('SELECT sum(total), count(*) FILTER (WHERE note LIKE $$raised%$$) FROM orders WHERE cust = 3'),
  ).toBe('10|10');
  await db.query('ROLLBACK');
  expect(await outcome('SELECT sum(total) FROM orders WHERE cust = 3')).toBe('480');
});

test('INSERT gives its rows back, and what it could not insert is an error', async () => {
  await db.query(`CREATE OR REPLACE FUNCTION add(c int, n int) RETURNS text LANGUAGE plpgsql AS $$DECLARE a text; k int; BEGIN
    INSERT INTO orders SELECT 1000 + i, c, i FROM generate_series(1, n) i;
    GET DIAGNOSTICS k = ROW_COUNT;
    INSERT INTO public.orders (id, cust) VALUES (2000, c) RETURNING id || ' ' || total INTO a;
    RETURN k || ' ' || a || ' ' || found; END$$`);
  expect(await outcome('SELECT add(55, 250)')).toBe('250 2000 0 true');
  expect(await outcome('SELECT count(*), sum(total) FROM orders WHERE cust = 55')).toBe('251|31375');
  expect(await outcome('SELECT add(55, 1)')).toMatch(/^23505/);
  await db.query('BEGIN; DELETE FROM orders WHERE cust = 55');
  expect(await outcome('SELECT add(55, 2), total_of(55)')).toBe('2 2000 0 true|3');
  await db.query('ROLLBACK');
  expect(await outcome('SELECT count(*) FROM orders WHERE cust = 55')).toBe('251');
  expect(await outcome('DO $$BEGIN INSERT INTO orders VALUES (3000, NULL); END$$')).toMatch(/^23502/);
  expect(await outcome('DO $$BEGIN INSERT INTO orders VALUES (5, 5) ON CONFLICT DO NOTHING; END$$')).toMatch(/PH001/);
});

test('many inserts of one transaction, by one statement, by a loop, and within each other', async () => {
  await db.query(`CREATE OR REPLACE FUNCTION nested(i int) RETURNS int LANGUAGE plpgsql AS
    $$BEGIN INSERT INTO orders VALUES (50000 + i, 88, 1); RETURN i; END$$`);
  await db.query(`DO $$BEGIN
    INSERT INTO orders SELECT i, 66, 1 FROM generate_series(10001, 14000) i;
    FOR i IN 20001..20500 LOOP INSERT INTO orders VALUES (i, 66, 1); END LOOP;
    INSERT INTO orders SELECT 30000 + nested(i), 77, 1 FROM generate_series(1, 20) i;
  END$$`);
  expect(await outcome('SELECT cust, count(*) FROM orders WHERE cust > 60 GROUP BY 1 ORDER BY 1')).toBe(
    '66|4500, 77|20, 88|20',
  );
});

test('INSERT leaves the settings of the session as they were', async () => {
  await db.query("BEGIN; SET LOCAL enable_hashjoin = off; SET search_path = 'public', 'pg_catalog'");
  const settings = () =>
    outcome(`SELECT current_setting(n) FROM unnest(ARRAY['search_path', 'session_replication_role', 'enable_seqscan',
      'enable_hashjoin', 'enable_mergejoin', 'pgherd.shell_ok']) WITH ORDINALITY s(n, i) ORDER BY i`);
  const before = await settings();
  await db.query('DO $$BEGIN INSERT INTO orders SELECT i, 1 FROM generate_series(500, 1700) i; END$$');
  expect(await settings()).toBe(before);
  expect(await outcome('SELECT count(*) FROM orders WHERE id >= 500')).toBe('1201');
  await db.query('ROLLBACK; RESET search_path');
  expect(await outcome('SELECT count(*) FROM orders WHERE id >= 500')).toBe('0');
});

test('INSERT fills identity, generated and referencing columns, and undoes with its exception block', async () => {
  await db.query(`CREATE TABLE parents (id int PRIMARY KEY);
    CREATE TABLE children (id bigint GENERATED ALWAYS AS IDENTITY, parent int REFERENCES parents, n int, twice int GENERATED ALWAYS AS (n * 2) STORED,
      PRIMARY KEY (parent, id))`);
  await db.query("SELECT create_distributed_table('parents', 'id')");
  await db.query("SELECT create_distributed_table('children', 'parent')");
  await db.query('INSERT INTO parents VALUES (1), (2)');
  await db.query(`CREATE OR REPLACE FUNCTION born(p int) RETURNS text LANGUAGE plpgsql AS $$DECLARE a text; BEGIN
    INSERT INTO children (parent, n) VALUES (p, 4) RETURNING id || ' ' || twice INTO a; RETURN a;
    EXCEPTION WHEN foreign_key_violation THEN RETURN 'no parent'; END$$`);
  expect(await outcome('SELECT born(1)')).toBe('1 8');
  expect(await outcome('SELECT born(3)')).toBe('no parent');
  expect(await outcome('SELECT born(2)')).toBe('3 8');
  expect(await outcome('SELECT id, parent, twice FROM children ORDER BY id')).toBe('1|1|8, 3|2|8');
  await db.query('DROP TABLE children, parents');
});

test('INSERT beneath a trigger of the table itself is refused', async () => {
  await db.query(`CREATE TABLE noted (id int PRIMARY KEY, note text);
    CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.note := 'x' || coalesce(NEW.note, ''); RETURN NEW; END$$;
    CREATE TRIGGER n BEFORE INSERT ON noted FOR EACH ROW EXECUTE FUNCTION note()`);
  await db.query("SELECT create_distributed_table('noted', 'id')");
  expect(await outcome('DO $$BEGIN INSERT INTO noted VALUES (1); END$$')).toMatch(/PH001/);
  await db.query('INSERT INTO noted VALUES (1)');
  expect(await outcome('SELECT note FROM noted')).toBe('x');
  await db.query('DROP TABLE noted');
});

test('a function that waits on a node times out, or gets its turn, and the session goes on', async () => {
  const other = await login('postgres');
  await other.query('BEGIN; UPDATE orders SET total = 1 WHERE cust = 3');
  await db.query("SET statement_timeout = '500ms'");
  expect(await outcome('SELECT raise_total(3)')).toMatch(/^57014/);
  await db.query('RESET statement_timeout');
  const waiting = outcome('SELECT raise_total(3)');
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await other.query('ROLLBACK');
  expect(await waiting).toBe('10');
  expect(await outcome('SELECT total_of(3)')).toBe('490');
  await other.end();
});

test('a local row that references a shell is not checked against the empty shell', async () => {
  const direct = new pg.Client({ ...herd.coordinator, user: 'postgres', database: 'postgres' });
  await direct.connect();
  await direct.query(
    'CREATE TABLE notes (order_id int); ALTER TABLE notes ADD FOREIGN KEY (order_id) REFERENCES orders NOT VALID',
  );
  expect(await outcome('INSERT INTO notes VALUES (1)', direct)).toMatch(/PH001/);
  await direct.query('DROP TABLE notes');
  await direct.end();
});

test("an owner's code gets no more rights when rows are inserted by a function", async () => {
  await db.query('CREATE ROLE sly LOGIN; GRANT CREATE ON SCHEMA public TO sly');
  const sly = await login('sly');
  const direct = new pg.Client({ ...herd.coordinator, user: 'sly', database: 'postgres' });
  await direct.connect();
  await sly.query(`CREATE TABLE bait (id int PRIMARY KEY);
    CREATE FUNCTION grab() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''%'', current_user; END'`);
  await sly.query("SELECT create_distributed_table('bait', 'id')");
  await direct.query('CREATE TRIGGER grab BEFORE DELETE ON bait FOR EACH ROW EXECUTE FUNCTION grab()');
  await direct.query('ALTER TABLE bait ENABLE ALWAYS TRIGGER grab; ALTER TABLE bait DISABLE TRIGGER pgherd_guard');
  expect(await outcome('INSERT INTO bait VALUES (1)', direct)).toMatch(/^0A000 .*PH001/);
  await direct.query('DROP TRIGGER grab ON bait');
  const child = `pgherd_loop.t${await outcome("SELECT 'bait'::regclass::oid", direct)}`;
  await outcome(`CREATE TRIGGER grab BEFORE INSERT ON ${child} FOR EACH ROW EXECUTE FUNCTION grab()`, direct);
  expect(await outcome('INSERT INTO bait VALUES (1)', direct)).toMatch(/^(0A000 .*PH001|08001)/);
  expect(
    await outcome(
      'CREATE TRIGGER mine AFTER INSERT ON bait FOR EACH ROW EXECUTE FUNCTION pgherd.insert_back()',
      direct,
    ),
  ).toMatch(/^42501/);
  await direct.end();
  await sly.end();
  await db.query('DROP TABLE bait CASCADE');
});

test('what a function wrote is committed', async () => {
  expect(await outcome('SELECT raise_total(3)')).toBe('10');
  expect(await outcome('SELECT sum(total) FROM orders WHERE cust = 3')).toBe('490');
  expect(await outcome('SELECT remove(3)')).toBe('10');
  expect(await outcome('SELECT count(*) FROM orders')).toBe('90');
  expect(await outcome('SELECT count(*) FROM lines')).toBe('270');
});

test('an exception block undoes its own writes on all nodes', async () => {
  expect(await outcome('SELECT guarded(3)')).toBe('caught 10 10000');
  expect(await outcome('SELECT count(*), sum(total) FROM orders WHERE cust = 3')).toBe('10|10000');
});

test("savepoints of the client and of a function's exception blocks nest", async () => {
  await db.query('BEGIN; SAVEPOINT s2');
  expect(await outcome('SELECT guarded(3)')).toBe('caught 10 10000');
  await db.query('SAVEPOINT b');
  expect(await outcome('SELECT guarded(4)')).toBe('caught 10 10000');
  await db.query('ROLLBACK TO SAVEPOINT b');
  expect(await outcome('SELECT sum(total) FROM orders WHERE cust IN (3, 4)')).toBe('10490');
  await db.query('ROLLBACK TO SAVEPOINT s2');
  expect(await outcome('SELECT total_of(3)')).toBe('480');
  expect(await outcome('SELECT guarded(5)')).toBe('caught 10 10000');
  await db.query('RELEASE SAVEPOINT s2');
  expect(await outcome('SELECT 1/0')).toMatch(/^22012/);
  await db.query('ROLLBACK');
  expect(await outcome('SELECT sum(total) FROM orders')).toBe('5050');
});

test('an error in a function rolls everything back', async () => {
  expect(await outcome('DO $$BEGIN UPDATE orders SET total = 0; PERFORM 1/0; END$$')).toMatch(/^22012/);
  expect(await outcome('SELECT sum(total) FROM orders')).toBe('5050');
});

test('DO blocks and procedures read and write', async () => {
  await db.query(
    "DO $$BEGIN UPDATE orders SET note = 'done' WHERE cust = 1; INSERT INTO log SELECT count(*) FROM orders; END$$",
  );
  expect(await outcome("SELECT count(*) FROM orders WHERE note = 'done'")).toBe('10');
  await db.query(
    'CREATE OR REPLACE PROCEDURE clear(c int) LANGUAGE plpgsql AS $$BEGIN DELETE FROM orders WHERE cust = c; END$$',
  );
  await db.query('CALL clear(1)');
  expect(await outcome('SELECT count(*) FROM orders')).toBe('90');
  await db.query('BEGIN; CALL clear(2); ROLLBACK');
  expect(await outcome('SELECT count(*) FROM orders')).toBe('90');
});

test('a procedure that commits still may, and reads distributed tables', async () => {
  await db.query(`CREATE OR REPLACE PROCEDURE steps() LANGUAGE plpgsql AS $$BEGIN
    INSERT INTO log SELECT count(*) FROM orders; COMMIT; INSERT INTO log VALUES ('second'); ROLLBACK; END$$`);
  await db.query('CALL steps()');
  expect(await outcome('SELECT what FROM log')).toBe('100');
});

test('triggers on local tables write distributed tables, in the same transaction', async () => {
  await db.query(`CREATE TABLE IF NOT EXISTS payments (order_id int, amount numeric);
    CREATE OR REPLACE FUNCTION pay() RETURNS trigger LANGUAGE plpgsql AS
      $$BEGIN UPDATE orders SET total = total - NEW.amount WHERE id = NEW.order_id; RETURN NEW; END$$;
    DROP TRIGGER IF EXISTS pay ON payments;
    CREATE TRIGGER pay AFTER INSERT ON payments FOR EACH ROW EXECUTE FUNCTION pay()`);
  await db.query('INSERT INTO payments VALUES (5, 2), (6, 3)');
  expect(await outcome('SELECT id, total FROM orders WHERE id IN (5, 6) ORDER BY 1')).toBe('5|3, 6|3');
  await db.query('BEGIN; INSERT INTO payments VALUES (5, 2); ROLLBACK');
  expect(await outcome('SELECT total FROM orders WHERE id = 5')).toBe('3');
  expect(await outcome('SELECT count(*) FROM payments')).toBe('2');
  await db.query('DROP TABLE payments');
});

test('REPEATABLE READ gives functions the snapshot of the transaction', async () => {
  const other = await login('postgres');
  await db.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  expect(await outcome('SELECT total_of(3)')).toBe('480');
  await other.query('UPDATE orders SET total = 0 WHERE cust = 3');
  expect(await outcome('SELECT total_of(3)')).toBe('480');
  await db.query('COMMIT');
  expect(await outcome('SELECT total_of(3)')).toBe('0');
  await other.end();
});

test('ONLY would leave the rows out, and raises', async () => {
  expect(await outcome('SELECT only_shell()')).toMatch(/PH001/);
});

test('output settings of the session do not change values', async () => {
  await db.query("SET datestyle = 'SQL, DMY'; SET extra_float_digits = -3; SET intervalstyle = 'sql_standard'");
  await db.query('CREATE TABLE IF NOT EXISTS exact (id int PRIMARY KEY, at timestamptz, f float8, i interval)');
  await db.query("SELECT create_distributed_table('exact', 'id')");
  await db.query(
    "INSERT INTO exact VALUES (1, '2025-02-03 04:05:06.789+00', 0.1::float8 + 0.2::float8, '-1 day 2:03')",
  );
  const plain = await outcome(
    'SELECT f = 0.1::float8 + 0.2::float8, i = $$-1 day 2:03$$::interval, at = $$2025-02-03 04:05:06.789+00$$::timestamptz FROM exact',
  );
  await db.query(
    'CREATE OR REPLACE FUNCTION exact() RETURNS SETOF exact LANGUAGE sql STABLE AS $$SELECT * FROM exact$$',
  );
  expect(
    await outcome(
      'SELECT f = 0.1::float8 + 0.2::float8, i = $$-1 day 2:03$$::interval, at = $$2025-02-03 04:05:06.789+00$$::timestamptz FROM exact()',
    ),
  ).toBe(plain);
  await db.query('RESET ALL; DROP TABLE exact CASCADE');
});

test('many rows come through, in a cursor loop that changes them', async () => {
  await db.query("INSERT INTO orders SELECT i, 77, i, repeat('x', 100) FROM generate_series(1000, 26000) i");
  expect(await outcome('SELECT total_of(77)')).toBe(String(((1000 + 26000) * 25001) / 2));
  expect(await outcome('SELECT raise_total(7)')).toBe('10');
});

test.each([
  ['ALTER TABLE orders ADD COLUMN extra int DEFAULT 7; SELECT 1', 'SELECT sum(extra) FROM of_customer(3)', '70'],
  ['ALTER TABLE orders DROP COLUMN extra; SELECT 1', 'SELECT total_of(3)', '480'],
  [
    'ALTER TABLE orders RENAME COLUMN note TO remark; ALTER TABLE orders RENAME COLUMN remark TO note',
    'SELECT raise_total(3)',
    '10',
  ],
  ['ALTER TABLE orders RENAME TO x; ALTER TABLE x RENAME TO orders', "SELECT dynamic('orders')", '100'],
])('after %s functions go on', async (ddl, sql, expected) => {
  for (const statement of ddl.split('; ')) await db.query(statement);
  expect(await outcome(sql)).toBe(expected);
});

test.each([
  ['TABLESAMPLE', 'PERFORM count(*) FROM orders TABLESAMPLE bernoulli (1)', /PH001/],
  ['xmin', 'PERFORM xmin FROM orders', /PH001/],
  ['MERGE', 'MERGE INTO orders o USING (VALUES (1)) v(i) ON o.id = v.i WHEN MATCHED THEN DELETE', /^0A000/],
  ['a condition on ctid', "PERFORM FROM orders WHERE ctid = '(0,1)'", /PH007/],
  ['a table without a primary key', 'UPDATE keyless SET b = 1 WHERE a < now()::text::date - current_date', /PH052/],
  ['the end of a transaction', 'INSERT INTO deferring VALUES (1)', /PH051/],
])('%s in a function raises', async (_, statement, expected) => {
  await db.query(`CREATE TABLE IF NOT EXISTS keyless (a int, b int); CREATE TABLE IF NOT EXISTS deferring (a int);
    CREATE OR REPLACE FUNCTION at_end() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM count(*) FROM orders; RETURN NULL; END';
    DROP TRIGGER IF EXISTS e ON deferring;
    CREATE CONSTRAINT TRIGGER e AFTER INSERT ON deferring DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION at_end()`);
  await db.query("SELECT create_distributed_table('keyless', 'a')");
  expect(await outcome(`DO $$BEGIN ${statement}; END$$`)).toMatch(expected);
  expect(await outcome('SELECT count(*) FROM orders')).toBe('100');
  expect(await outcome('SELECT count(*) FROM deferring')).toBe('0');
});

test('rows are compared by their addresses as on one server', async () => {
  await db.query(`DO $$BEGIN
    DELETE FROM lines a USING lines b WHERE a.order_id = b.order_id AND a.order_id < 4 AND a.ctid < b.ctid; END$$`);
  expect(await outcome('SELECT order_id, count(*) FROM lines WHERE order_id < 5 GROUP BY 1 ORDER BY 1')).toBe(
    '1|1, 2|1, 3|1, 4|3',
  );
});

test('global unique indexes and changed keys follow what functions write', async () => {
  await db.query('CREATE TABLE people (id int PRIMARY KEY, email text UNIQUE)');
  await db.query("SELECT create_distributed_table('people', 'id')");
  await db.query("INSERT INTO people SELECT i, 'p' || i FROM generate_series(1, 20) i");
  await db.query("DO $$BEGIN UPDATE people SET email = 'q' || id WHERE id < 5; END$$");
  expect(await outcome("INSERT INTO people VALUES (50, 'q3')")).toMatch(/^23505/);
  expect(await outcome("INSERT INTO people VALUES (51, 'p3')")).toBe('');
  expect(await outcome("DO $$BEGIN UPDATE people SET email = 'p9' WHERE id = 1; END$$")).toMatch(/^23505/);
  await db.query('DROP TABLE people');
});

test('ANALYZE and VACUUM look at no rows of nodes through the coordinator', async () => {
  await db.query('ANALYZE orders');
  await db.query('VACUUM ANALYZE orders');
  await db.query('VACUUM');
  expect(await outcome('SELECT total_of(3)')).toBe('480');
});

test('who connects to the coordinator itself gets no rows, and no empty table', async () => {
  const direct = new pg.Client({ ...herd.coordinator, user: 'postgres', database: 'postgres' });
  await direct.connect();
  expect(await outcome('SELECT * FROM orders', direct)).toMatch(/^08001/);
  expect(await outcome('SELECT total_of(3)', direct)).toMatch(/^08001/);
  await direct.end();
  const posing = async (backend: number) => {
    const client = new pg.Client({
      ...{ host: '127.0.0.1', port: herd.port, user: 'pgherd_loop', password: 'x', database: 'postgres' },
      application_name: `pgherd_loop ${backend}`,
    });
    client.on('error', () => {});
    return client.connect().then(
      () => 'in',
      (error: pg.DatabaseError) => error.code,
    );
  };
  // Whose session it is not, sends it on to the next router.
  expect(await posing(1)).toBe('57P03');
  await db.query('BEGIN');
  const { rows } = await db.query('SELECT pg_backend_pid() AS pid');
  expect(await posing(rows[0].pid)).toBe('28P01');
  await db.query('ROLLBACK');
});

test('an ordinary role uses its functions with its own privileges', async () => {
  await db.query('CREATE ROLE app LOGIN; CREATE ROLE stranger LOGIN');
  await db.query('GRANT SELECT, UPDATE ON orders TO app');
  const app = await login('app');
  const stranger = await login('stranger');
  expect(await outcome('SELECT total_of(3)', app)).toBe('480');
  expect(await outcome('SELECT raise_total(3)', app)).toBe('10');
  expect(await outcome('SELECT remove(3)', app)).toMatch(/^42501/);
  expect(await outcome('SELECT total_of(3)', stranger)).toMatch(/^42501/);
  await db.query('SET ROLE stranger');
  expect(await outcome('SELECT total_of(3)')).toMatch(/^42501/);
  await db.query('RESET ROLE');
  await db.query('ALTER TABLE orders ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON orders USING (id < 50)');
  expect(await outcome('SELECT total_of(3)', app)).toMatch(/^0A000 .*PH051/);
  await db.query('DROP POLICY own ON orders; ALTER TABLE orders DISABLE ROW LEVEL SECURITY');
  await app.end();
  await stranger.end();
});

test('the owner of a table that is no superuser changes it, and its functions follow', async () => {
  await db.query('CREATE ROLE builder LOGIN; GRANT CREATE ON SCHEMA public TO builder');
  const builder = await login('builder');
  await builder.query('CREATE TABLE mine (id int PRIMARY KEY, a int)');
  await builder.query("SELECT create_distributed_table('mine', 'id')");
  await builder.query('INSERT INTO mine SELECT i, i FROM generate_series(1, 10) i');
  await builder.query('ALTER TABLE mine ADD COLUMN b int DEFAULT 2');
  await builder.query('CREATE FUNCTION mine() RETURNS bigint LANGUAGE sql AS $$SELECT sum(a * b) FROM mine$$');
  expect(await outcome('SELECT mine()', builder)).toBe('110');
  await builder.query("SELECT undistribute_table('mine')");
  expect(await outcome('SELECT mine()', builder)).toBe('110');
  await builder.query('DROP TABLE mine');
  await builder.end();
});

test("a user's function beside a value that rows of another table give", async () => {
  await db.query(`CREATE FUNCTION tenfold(i int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT i * 10';
    CREATE FUNCTION noted(i int) RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO log VALUES (i::text); RETURN i; END'`);
  const where = 'cust >= (SELECT max(line) FROM lines) AND id < 20';
  const distinct = `SELECT DISTINCT tenfold(cust) AS v FROM orders WHERE ${where} ORDER BY 1`;
  expect(await outcome(distinct)).toBe('30, 40, 50, 60, 70, 80, 90');
  expect(await outcome(`BEGIN; ${distinct}`)).toBe('30, 40, 50, 60, 70, 80, 90');
  await db.query('ROLLBACK');
  expect(await outcome(`SELECT count(DISTINCT tenfold(cust)), min(noted(1)) FROM orders WHERE ${where}`)).toBe('7|1');
  expect(await outcome('SELECT count(*) > 0 FROM log')).toBe('true');
});
