import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

/** create_distributed_function(): calls that run on the node of their argument. */

let herd: TestHerd;
let db: pg.Client;
let other: pg.Client;
const notices: string[] = [];

beforeAll(async () => {
  herd = await startHerd({ nodes: 3, spareNodes: 1, routers: 2 });
  db = await login('postgres');
  // Functions on the coordinator find their way back to the router that started last.
  other = await login('postgres', herd.urls[0]);
  db.on('notice', (notice) => notices.push(notice.message ?? ''));
  for (const part of setUp.split(';;')) await db.query(part);
}, 120_000);
afterAll(async () => {
  await other?.end();
  await db?.end();
  await herd?.stop();
});
beforeEach(async () => {
  await db.query('ROLLBACK');
  await db.query('TRUNCATE orders, lines');
  await db.query("INSERT INTO orders SELECT i % 20, i, i, 'n' || i FROM generate_series(1, 200) i");
  await db.query(
    'INSERT INTO lines SELECT i % 20, i, k, k * 2 FROM generate_series(1, 200) i, generate_series(1, 2) k',
  );
  notices.length = 0;
});

async function login(user: string, url = herd.urls[1]): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', port: Number(new URL(url!).port), user, database: 'postgres' });
  await client.connect();
  return client;
}

async function outcome(sql: string, client = db, values?: unknown[]): Promise<string> {
  try {
    const given = await client.query({ text: sql, rowMode: 'array', ...(values ? { values } : {}) });
    const result = Array.isArray(given) ? given.at(-1) : given;
    return result.rows.map((row: unknown[]) => row.join('|')).join(', ');
  } catch (error) {
    return `${(error as pg.DatabaseError).code} ${(error as Error).message}`;
  }
}

/** What EXPLAIN says first, or the notice before it. */
async function explained(sql: string, client = db): Promise<string> {
  notices.length = 0;
  const [line = ''] = (await outcome(`EXPLAIN ${sql}`, client)).split(', ');
  return notices[0] ?? line;
}

async function onCoordinator(sql: string): Promise<string> {
  await db.query("SET pgherd.force_rung = 'gather'");
  const found = await outcome(sql);
  await db.query('RESET pgherd.force_rung');
  return found;
}

/** As a superuser who goes past the router. */
async function onNode({ host, port }: TestHerd['nodes'][number], sql: string): Promise<string> {
  const client = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
  await client.connect();
  const found = await outcome(sql, client);
  await client.end();
  return found;
}

function onNodes(sql: string): Promise<string[]> {
  return Promise.all(herd.nodes.map((node) => onNode(node, sql)));
}

const setUp = `
CREATE TABLE orders (customer int, id int, total numeric NOT NULL DEFAULT 0, note text, PRIMARY KEY (customer, id));
CREATE TABLE lines (customer bigint, id int, line int, amount numeric, PRIMARY KEY (customer, id, line),
  FOREIGN KEY (customer, id) REFERENCES orders);
CREATE TABLE stamped (customer int PRIMARY KEY, at timestamptz DEFAULT now(), n serial);
CREATE TABLE apart (owner text PRIMARY KEY, what text);
CREATE TABLE rates (code text PRIMARY KEY, rate numeric);
CREATE TABLE here (what text);
;;
SELECT create_distributed_table('orders', 'customer');
SELECT create_distributed_table('lines', 'customer');
SELECT create_distributed_table('stamped', 'customer');
SELECT create_distributed_table('apart', 'owner');
SELECT create_reference_table('rates');
INSERT INTO rates VALUES ('EUR', 2), ('USD', 3);
;;
CREATE FUNCTION total_of(p_customer int) RETURNS numeric LANGUAGE plpgsql AS $$BEGIN
  RETURN (SELECT sum(total) FROM orders WHERE customer = p_customer); END$$;
CREATE FUNCTION total_sql(p_customer int) RETURNS numeric LANGUAGE sql AS 'SELECT sum(o.total) FROM public.orders o WHERE o.customer = $1';
CREATE FUNCTION rows_of(p_customer int, from_id int) RETURNS SETOF orders LANGUAGE sql STABLE AS
  'SELECT * FROM orders WHERE customer = p_customer AND orders.id >= from_id ORDER BY orders.id';
CREATE FUNCTION priced(p_customer bigint, p_code text, OUT sum numeric, OUT n int) LANGUAGE plpgsql AS $$
DECLARE r record; factor rates.rate%TYPE := 1; one orders%ROWTYPE;
BEGIN
  SELECT rate INTO factor FROM rates WHERE code = p_code;
  IF NOT FOUND THEN RAISE EXCEPTION 'no rate for %', p_code USING errcode = 'P0404'; END IF;
  sum := 0; n := 0;
  FOR r IN SELECT o.id, sum(l.amount) AS amount FROM orders o JOIN lines l USING (customer, id) WHERE o.customer = p_customer GROUP BY 1 LOOP
    sum := sum + r.amount * factor;
    CASE WHEN r.id % 2 = 0 THEN n := n + 1; ELSE n := n - 1; END CASE;
  END LOOP;
  SELECT * INTO one FROM orders WHERE customer = p_customer ORDER BY orders.id LIMIT 1;
  BEGIN
    PERFORM 1 / (one.id - one.id);
  EXCEPTION WHEN division_by_zero THEN n := n * 10 + one.id;
  END;
END$$;
CREATE FUNCTION raise_totals(p_customer int, p_by numeric) RETURNS int LANGUAGE plpgsql AS $$DECLARE k int; BEGIN
  UPDATE orders SET total = total + p_by WHERE customer = p_customer;
  GET DIAGNOSTICS k = ROW_COUNT;
  IF p_by < 0 THEN RAISE EXCEPTION 'not down'; END IF;
  RETURN k; END$$;
CREATE PROCEDURE put(p_customer int, p_id int, INOUT p_total numeric) LANGUAGE plpgsql AS $$BEGIN
  INSERT INTO orders (customer, id, total) VALUES (p_customer, p_id, p_total);
  INSERT INTO lines VALUES (p_customer, p_id, 1, p_total);
  SELECT total INTO p_total FROM orders WHERE customer = p_customer AND id = p_id; END$$;
CREATE FUNCTION stamp(p_customer int) RETURNS timestamptz LANGUAGE plpgsql AS $$BEGIN
  UPDATE stamped SET at = now() WHERE customer = p_customer; RETURN now(); END$$;
SELECT create_distributed_function('total_of(int)', 'p_customer');
SELECT create_distributed_function('total_sql(int)', '$1', colocate_with := 'orders');
SELECT create_distributed_function('rows_of(int, int)', 'p_customer', 'orders', true);
SELECT create_distributed_function('priced(bigint, text)', 'p_customer', force_delegation := true);
SELECT create_distributed_function('raise_totals(int, numeric)', 'p_customer', force_delegation := true);
SELECT create_distributed_function('put(int, int, numeric)', 'p_customer', force_delegation := true);
SELECT create_distributed_function('stamp(int)', 'p_customer', force_delegation := true);
`;

test('a call gives on the node what it gives on the coordinator', async () => {
  for (const sql of [
    'SELECT total_of(3)',
    'SELECT total_of(-3)',
    "SELECT total_of('7') AS sum",
    'SELECT total_sql(3)',
    'SELECT public.total_sql(p_customer => 4)',
    'SELECT * FROM rows_of(3, 40)',
    'SELECT id, total + 1 AS more FROM rows_of(3, 40) r WHERE r.total < 150 ORDER BY id DESC LIMIT 2',
    'SELECT rows_of.id FROM rows_of(from_id => 100, p_customer => 5)',
    "SELECT * FROM priced(3, 'EUR')",
    "SELECT priced(4, 'USD')",
    "SELECT priced(4, 'XXX')",
  ]) {
    expect(await explained(sql)).toMatch(/^Rung: delegated/);
    const expected = await onCoordinator(sql);
    // More often than PostgreSQL makes plans for the values of one call.
    for (let run = 0; run < 8; run++) expect(await outcome(sql), sql).toBe(expected);
    await db.query('BEGIN');
    expect(await outcome(sql), sql).toBe(expected);
    await db.query('ROLLBACK');
  }
});

test('a parameter sends the call to its node, whatever way it is prepared', async () => {
  const wanted = ['1|910', '2|920'];
  await db.query('PREPARE each (int) AS SELECT $1, total_of($1 + 0) - total_of($1 + 0)');
  await db.query('PREPARE one (int) AS SELECT total_of($1)');
  expect(await outcome('EXECUTE one (1)')).toBe(await onCoordinator('SELECT total_of(1)'));
  expect(await outcome('EXECUTE each (1)')).toBe('1|0');
  const sums = [];
  for (let key = 0; key < 20; key++) sums.push(await outcome('SELECT total_of($1)', db, [key]));
  const values = [];
  for (let key = 0; key < 20; key++)
    values.push((await db.query({ name: 's', text: 'SELECT total_of($1) AS t', values: [key] })).rows[0].t);
  expect(values).toEqual(sums);
  expect(sums.map((sum, i) => `${i}|${sum}`).slice(1, 3)).toEqual(wanted);
  expect(await outcome('SELECT total_of($1)', db, [null])).toBe('');
});

test('it runs on the node that has the rows, and on no other', async () => {
  const [copy] = await onNodes(
    "SELECT copy_of.proname FROM pg_proc copy_of WHERE prosrc ~ 'RETURN .SELECT sum.total. FROM orders' AND proname LIKE 'pgherd%'",
  );
  const nodeOf = async (key: number) => /node (\d+)/.exec(await outcome(`EXPLAIN SELECT total_of(${key})`))?.[1];
  const before = await outcome('SELECT total_of(3)');
  const ids = (await outcome('SELECT node_id FROM pgherd.node ORDER BY 1')).split(', ');
  for (const [i, node] of herd.nodes.slice(0, 2).entries()) {
    await onNode(
      node,
      `CREATE OR REPLACE FUNCTION pgherd_delegated.${copy}(p_customer int) RETURNS numeric LANGUAGE sql AS 'SELECT -${ids[i]}.0'`,
    );
  }
  const seen = new Set<string>();
  for (let key = 0; key < 20; key++) {
    const answer = await outcome(`SELECT total_of(${key})`);
    expect(answer).toBe(`-${await nodeOf(key)}.0`);
    seen.add(answer);
  }
  expect(seen.size).toBe(2);
  await db.query(`CREATE OR REPLACE FUNCTION total_of(p_customer int) RETURNS numeric LANGUAGE plpgsql AS $$BEGIN
    RETURN (SELECT sum(total) FROM orders WHERE customer = p_customer); END $$`);
  expect(await outcome('SELECT total_of(3)')).toBe(before);
});

test('in a block it sees what was written before, and goes with it', async () => {
  await db.query('BEGIN');
  await db.query('UPDATE orders SET total = 1 WHERE customer = 3');
  expect(await outcome('SELECT total_of(3)')).toBe('10');
  expect(await outcome('SELECT raise_totals(3, 2)')).toBe('10');
  await db.query('SAVEPOINT s');
  expect(await outcome('SELECT raise_totals(3, -5)')).toBe('P0001 not down');
  await db.query('ROLLBACK TO s');
  expect(await outcome('CALL put(3, 999, 5)')).toBe('5');
  expect(await outcome('SELECT sum(total) FROM orders WHERE customer = 3')).toBe('35');
  await db.query('ROLLBACK');
  expect(await outcome('SELECT total_of(3)')).toBe(await onCoordinator('SELECT total_of(3)'));
  expect(await outcome('SELECT count(*) FROM orders WHERE id = 999')).toBe('0');
});

test('writers on two nodes commit in two phases, one alone in one', async () => {
  const steps = () => outcome("SELECT count(*) FROM pgherd_transaction_log WHERE step ILIKE '%prepare%'");
  const nodeOf = async (key: number) => /node (\d+)/.exec(await outcome(`EXPLAIN SELECT raise_totals(${key}, 1)`))?.[1];
  const byNode = new Map<string | undefined, number>();
  for (let key = 0; key < 20; key++) byNode.set(await nodeOf(key), key);
  const [a, b] = [...byNode.values()];
  const before = await steps();
  await db.query(`BEGIN; SELECT raise_totals(${a}, 100); SELECT raise_totals(${a}, 100); COMMIT`);
  expect(await outcome(`SELECT raise_totals(${a}, 100)`)).toBe('10');
  expect(await steps()).toBe(before);
  await db.query('BEGIN');
  expect(await outcome(`SELECT raise_totals(${a}, 1000)`)).toBe('10');
  expect(await outcome(`CALL put(${b}, 999, 1)`)).toBe('1');
  await db.query('COMMIT');
  expect(Number(await steps())).toBeGreaterThan(Number(before));
  expect(await outcome(`SELECT count(*) FROM orders WHERE total > 1300 OR id = 999`)).toBe('11');
});

test('CALL with parameters', async () => {
  expect(await outcome('CALL put($1, $2, $3)', db, [5, 999, '7.5'])).toBe('7.5');
  expect(await outcome('SELECT o.total, l.amount FROM orders o JOIN lines l USING (customer, id) WHERE id = 999')).toBe(
    '7.5|7.5',
  );
  expect(await outcome('CALL put(5, 999, 1)')).toMatch(/^23505/);
  expect(await outcome("CALL put(5, 'x', 1)")).toMatch(/^22P02/);
  expect(await outcome('CALL put(5)')).toMatch(/^42883/);
});

test("a transaction's time is the coordinator's", async () => {
  await db.query('INSERT INTO stamped (customer) VALUES (1) ON CONFLICT DO NOTHING');
  expect(await explained('SELECT stamp(1)')).toMatch(/^Rung: delegated/);
  await db.query('BEGIN');
  expect(await explained('SELECT stamp(1)')).toMatch(/^the function runs on the coordinator: its time is/);
  expect(await outcome('SELECT stamp(1) = now()')).toBe('true');
});

test('other calls stay on the coordinator', async () => {
  for (const sql of [
    'SELECT total_of(customer) FROM orders WHERE id = 3',
    'SELECT total_of(1 + 2)',
    'SELECT total_of(3) + 0',
    'SELECT total_of(3), 1',
    'SELECT total_of(k) FROM (VALUES (3), (4)) v(k)',
    'SELECT total_of(NULL)',
  ]) {
    expect(await explained(sql), sql).not.toMatch(/^Rung: delegated/);
    expect(await outcome(sql), sql).toBe(await onCoordinator(sql));
  }
});

/** Bodies after `p int`, and what is said of them; test/golden/delegation.test.ts has all there is. */
const refused: [string, RegExp][] = [
  ["LANGUAGE sql AS 'SELECT count(*) FROM orders'", /not restricted to the argument/],
  ['LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM orders WHERE customer = p; END', /BEGIN ATOMIC/],
  ['LANGUAGE plpgsql AS $$BEGIN p := 4; RETURN (SELECT count(*) FROM orders WHERE customer = p); END$$', /assigns p/],
  ['LANGUAGE plpgsql AS $$BEGIN INSERT INTO stamped (customer) VALUES (p); RETURN 1; END$$', /default of at/],
];

test('what is not proven is not delegated', async () => {
  for (const [body, reason] of refused) {
    await db.query('BEGIN');
    await db.query(`CREATE FUNCTION f(p int) RETURNS bigint ${body}`);
    await db.query("SELECT create_distributed_function('f(int)', 'p')");
    expect(notices.at(-1), body).toMatch(/^f\(int\) stays on the coordinator: /);
    expect(notices.at(-1), body).toMatch(reason);
    await db.query('SAVEPOINT s');
    expect(await explained('SELECT f(3)'), body).toMatch(reason);
    await db.query('ROLLBACK TO s');
    const forced = await outcome("SELECT create_distributed_function('f(int)', 'p', force_delegation := true)");
    expect(forced, body).toMatch(/^0A000 f\(int\) can't be delegated/);
    await db.query('ROLLBACK');
  }
}, 60_000);

test('another body, name or right counts at once, for prepared statements and other routers too', async () => {
  const run = (client: pg.Client): Promise<string> =>
    client.query({ name: 'n', text: 'SELECT f($1)', values: [3] }).then(
      ({ rows }) => rows[0].f,
      ({ code, message }) => `${code} ${message}`,
    );
  // The other router hears of a change a moment later, and calls nothing that is no more.
  const everywhere = async (wanted: RegExp) => {
    expect(await run(db)).toMatch(wanted);
    const seen: string[] = [];
    await expect.poll(async () => seen[seen.push(await run(other)) - 1]).toMatch(wanted);
    for (const each of seen.slice(0, -1)) expect(each).toMatch(/^(40001 function f\(\) has just been changed|08001)/);
  };
  await db.query(
    "CREATE FUNCTION f(p int) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM orders WHERE customer = p'",
  );
  await db.query("SELECT create_distributed_function('f(int)', 'p', 'orders', true)");
  for (let i = 0; i < 3; i++) await everywhere(/^10$/);
  await db.query(
    "CREATE OR REPLACE FUNCTION f(p int) RETURNS bigint LANGUAGE sql AS 'SELECT 1000 + count(*) FROM orders WHERE customer = p'",
  );
  await everywhere(/^1010$/);
  expect(await explained('SELECT f(3)')).toMatch(/^Rung: delegated/);
  await db.query("CREATE OR REPLACE FUNCTION f(p int) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM orders'");
  await everywhere(/^0A000 f\(\) can't be delegated/);
  await db.query("SELECT create_distributed_function('f(int)', 'p')");
  expect(await run(db)).toBe('200');
  await db.query(`DO $do$BEGIN EXECUTE 'CREATE OR REPLACE FUNCTION f(p int) RETURNS bigint LANGUAGE sql AS
    $$SELECT 5000 + count(*) FROM orders WHERE customer = p$$'; END$do$`);
  expect(await run(db)).toBe('5010');
  expect(await explained('SELECT f(3)')).toMatch(/another version/);
  await db.query(`CREATE FUNCTION replace_f() RETURNS void LANGUAGE plpgsql AS $do$BEGIN
    EXECUTE 'CREATE OR REPLACE FUNCTION f(p int) RETURNS bigint LANGUAGE sql AS $$SELECT 6000 + count(*) FROM orders WHERE customer = p$$'; END$do$`);
  expect(await explained('SELECT f(3)')).toMatch(/^Rung: delegated/);
  await db.query('BEGIN; SELECT replace_f(); SELECT 1');
  expect(await outcome('SELECT f(3)')).toMatch(/^0A000 .*has changed the schema \(PH051\)/);
  await db.query('ROLLBACK');
  expect(await run(db)).toBe('5010');
  expect(await explained('SELECT f(3)')).toMatch(/^Rung: delegated/);
  await db.query('SELECT replace_f()');
  expect(await run(db)).toBe('6010');
  await db.query('ALTER FUNCTION f(int) RENAME TO g');
  expect(await explained('SELECT g(3)')).toMatch(/^Rung: delegated/);
  expect(
    await outcome('SELECT distribution_argument_index FROM pg_dist_object WHERE objid = $1::regproc', db, ['g']),
  ).toBe('0');
  await db.query("SELECT create_distributed_function('g(int)')");
  expect(await explained('SELECT g(3)')).toMatch(/^Result/);
  expect(await outcome('SELECT g(3)')).toBe('6010');
  await db.query("SELECT create_distributed_function('g(int)', 'p')");
  await db.query('DROP FUNCTION g(int)');
  expect(await outcome('SELECT g(3)')).toMatch(/^42883/);
  expect(
    await outcome(
      'SELECT count(*) FROM pgherd.dist_function d WHERE NOT EXISTS (SELECT FROM pg_proc WHERE oid = d.function)',
    ),
  ).toBe('0');
});

test('what becomes of its tables counts at once', async () => {
  await db.query('CREATE TABLE own (k int, v int, PRIMARY KEY (k, v))');
  await db.query("SELECT create_distributed_table('own', 'k', shard_count := 8, colocate_with := 'none')");
  await db.query('INSERT INTO own SELECT i % 20, i FROM generate_series(1, 100) i');
  await db.query(`CREATE FUNCTION own_more(p int) RETURNS int LANGUAGE plpgsql AS
    $$BEGIN INSERT INTO own VALUES (p, 1000); RETURN (SELECT sum(v) FROM own WHERE k = p); END$$`);
  await db.query("SELECT create_distributed_function('own_more(int)', 'p', 'own')");
  const run = () => outcome('SELECT own_more(3)');
  const named = () =>
    db.query({ name: 'own', text: 'SELECT own_more($1)', values: [4] }).then(({ rows }) => rows[0].own_more);
  expect(await run()).toBe('1215');
  expect(await named()).toBe(1220);
  await db.query('DELETE FROM own WHERE v = 1000');
  await db.query("SELECT alter_distributed_table('own', shard_count := 6)");
  expect(await explained('SELECT own_more(3)')).toMatch(/^Rung: delegated/);
  expect(await run()).toBe('1215');
  expect(await named()).toBe(1220);
  await db.query('DELETE FROM own WHERE v = 1000');
  await db.query('CREATE UNIQUE INDEX own_v ON own (v)');
  expect(await explained('SELECT own_more(3)')).toMatch(/^the function runs on the coordinator/);
  expect(await run()).toBe('1215');
  expect(await outcome('SELECT own_more(4)')).toMatch(/^23505/);
  await db.query('DROP INDEX own_v');
  await db.query('DELETE FROM own WHERE v = 1000');
  expect(await explained('SELECT own_more(3)')).toMatch(/^Rung: delegated/);
  await db.query(
    "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO here VALUES ('own'); RETURN NULL; END$$",
  );
  await db.query('CREATE TRIGGER noted AFTER INSERT ON own FOR EACH STATEMENT EXECUTE FUNCTION noted()');
  expect(await explained('SELECT own_more(3)')).toMatch(/FOR EACH STATEMENT/);
  expect(await run()).toBe('1215');
  expect(await outcome('SELECT count(*) FROM here')).toBe('1');
  await db.query('DROP TRIGGER noted ON own; DELETE FROM own WHERE v = 1000');
  await db.query("SELECT undistribute_table('own')");
  expect(await explained('SELECT own_more(3)')).toMatch(/^the function runs on the coordinator/);
  expect(await run()).toBe('1215');
});

test('roles, owners and row security are as on the coordinator', async () => {
  await db.query(`CREATE ROLE app LOGIN; CREATE SCHEMA closed; GRANT SELECT ON orders TO app;
    CREATE FUNCTION definer(p int) RETURNS numeric LANGUAGE sql SECURITY DEFINER SET search_path = public AS 'SELECT sum(amount) FROM lines WHERE customer = p';
    CREATE FUNCTION invoker(p int) RETURNS numeric LANGUAGE sql AS 'SELECT sum(amount) FROM public.lines WHERE customer = p';
    CREATE PROCEDURE closed.put(p int) LANGUAGE plpgsql AS 'BEGIN UPDATE public.orders SET total = 0 WHERE customer = p; END';
    CREATE FUNCTION shown(p int) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM public.orders WHERE customer = p';
    REVOKE EXECUTE ON FUNCTION shown(int) FROM PUBLIC`);
  for (const name of ['definer(int)', 'invoker(int)', 'closed.put(int)', 'shown(int)']) {
    await db.query("SELECT create_distributed_function($1, 'p', force_delegation := true)", [name]);
  }
  const app = await login('app');
  try {
    expect(await explained('SELECT definer(3)', app)).toMatch(/^Rung: delegated/);
    expect(await outcome('SELECT definer(3)', app)).toBe('60');
    expect(await outcome('SELECT invoker(3)', app)).toMatch(/^42501 permission denied for table lines/);
    expect(await outcome('SELECT shown(3)', app)).toMatch(/^42501 permission denied for function shown/);
    expect(await outcome('CALL closed.put(3)', app)).toMatch(/^42501 permission denied for schema closed/);
    expect(await outcome("SELECT create_distributed_function('shown(int)', 'p')", app)).toMatch(/^42501 must be owner/);
    await db.query('GRANT EXECUTE ON FUNCTION shown(int) TO app');
    expect(await outcome('SELECT shown(3)', app)).toBe('10');
    await db.query('ALTER TABLE orders ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON orders USING (id < 100)');
    expect(await explained('SELECT shown(3)', app)).toMatch(/^Rung: delegated/);
    expect(await outcome('SELECT shown(3)', app)).toBe('5');
    expect(await outcome('SELECT shown(3)')).toBe('10');
    await db.query('REVOKE EXECUTE ON FUNCTION shown(int) FROM app');
    expect(await outcome('SELECT shown(3)', app)).toMatch(/^42501 permission denied for function shown/);
  } finally {
    await app.end();
    await db.query('DROP POLICY few ON orders; ALTER TABLE orders DISABLE ROW LEVEL SECURITY');
  }
});

test('functions that a trigger on the node calls do not pass its guard', async () => {
  await db.query(`CREATE FUNCTION peek() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN NEW.note := (SELECT count(*) FROM lines); RETURN NEW; END$$`);
  await db.query('CREATE TRIGGER peek BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION peek()');
  expect(await outcome('SELECT raise_totals(3, 1)')).toMatch(/^0A000 .*PH001/);
  await db.query(`CREATE OR REPLACE FUNCTION peek() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN PERFORM set_config('work_mem', '1MB', false); RETURN NEW; END$$`);
  expect(await explained('SELECT total_of(3)')).toMatch(/^Rung: delegated/);
  expect(await outcome('EXPLAIN SELECT raise_totals(3, 1)')).toMatch(/^0A000 .*triggers of orders may leave something/);
  await db.query('DROP TRIGGER peek ON orders; DROP FUNCTION peek');
  expect(await outcome('SELECT raise_totals(3, 1)')).toBe('10');
});

test('names that the session gives another meaning', async () => {
  await db.query(
    'BEGIN; CREATE SCHEMA nearer; CREATE TABLE nearer.orders (customer int, total numeric); SET LOCAL search_path = nearer, public',
  );
  expect(await explained('SELECT total_of(3)')).toMatch(/orders, which is on the coordinator only/);
  expect(await outcome('SELECT total_of(3)')).toBe('');
  expect(await explained('SELECT total_sql(3)')).toMatch(/^Rung: delegated/);
  await db.query('ROLLBACK; BEGIN; CREATE TEMP TABLE orders (customer int, total numeric) ON COMMIT DROP');
  expect(await explained('SELECT total_of(3)')).toMatch(/temporary relations/);
  expect(await outcome('SELECT total_of(3)')).toBe('');
  await db.query('ROLLBACK; CREATE FUNCTION total_of(p text) RETURNS text LANGUAGE sql RETURN p');
  expect(await explained('SELECT total_of(3)')).toMatch(/several functions of that name/);
  await db.query('DROP FUNCTION total_of(text)');
  expect(await explained('SELECT total_of(3)')).toMatch(/^Rung: delegated/);
});

test('a node that joins has the copies', async () => {
  const name = herd.nodes[2]!.name;
  await db.query('SELECT citus_add_node($1, 5432)', [name]);
  const counts = await onNodes("SELECT count(*) FROM pg_proc WHERE pronamespace = 'pgherd_delegated'::regnamespace");
  expect(new Set(counts).size).toBe(1);
  await db.query('CREATE TABLE wide (k int PRIMARY KEY, v int)');
  await db.query("SELECT create_distributed_table('wide', 'k', colocate_with := 'none')");
  await db.query('INSERT INTO wide SELECT i, i FROM generate_series(1, 60) i');
  await db.query("CREATE FUNCTION wide_of(p int) RETURNS int LANGUAGE sql AS 'SELECT v FROM wide WHERE k = p'");
  await db.query("SELECT create_distributed_function('wide_of(int)', 'p', 'wide', true)");
  for (let key = 1; key <= 60; key++) expect(await outcome(`SELECT wide_of(${key})`)).toBe(String(key));
});
