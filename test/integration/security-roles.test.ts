import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { allServers, startHerd, type TestHerd } from '../harness/herd.ts';

/** What roles without superuser may do, and may not. Everything is set up through the router. */

let herd: TestHerd;
let root: pg.Client;
let app: pg.Client;
let reader: pg.Client;
let stranger: pg.Client;
const clients: pg.Client[] = [];

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  root = await login('postgres');
  await root.query('CREATE ROLE app LOGIN');
  await root.query('CREATE ROLE reader LOGIN');
  await root.query('CREATE ROLE stranger LOGIN');
  await root.query('CREATE ROLE team');
  await root.query('GRANT team TO app');
  await root.query('GRANT CREATE ON SCHEMA public TO app, team');
  [app, reader, stranger] = [await login('app'), await login('reader'), await login('stranger')];
});

afterAll(async () => {
  for (const client of clients) await client.end().catch(() => {});
  await herd?.stop();
});

async function login(user: string, port = herd.port): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', port, user, database: 'postgres' });
  client.on('error', () => {});
  await client.connect();
  clients.push(client);
  return client;
}

/** Rows, values joined by `|`; or SQLSTATE and message. */
async function outcome(client: pg.Client, sql: string, values: unknown[] = []): Promise<string> {
  try {
    const result = await client.query({ text: sql, values, rowMode: 'array' });
    return result.fields.length === 0
      ? `${result.command} ${result.rowCount}`
      : result.rows.map((row) => row.join('|')).join(', ');
  } catch (error) {
    return `${(error as pg.DatabaseError).code} ${(error as Error).message}`;
  }
}

/** What each server says, coordinator first. */
async function everywhere(sql: string): Promise<string[]> {
  return Promise.all(
    allServers(herd).map(async ({ port }) => {
      const client = await login('postgres', port);
      const said = await outcome(client, sql);
      await client.end();
      return said;
    }),
  );
}

async function makeOrders(): Promise<void> {
  await app.query('CREATE TABLE orders (id int PRIMARY KEY, owner name, amount int, note text)');
  await app.query("SELECT create_distributed_table('orders', 'id')");
  await app.query(
    "INSERT INTO orders SELECT i, (ARRAY['reader', 'app'])[1 + i % 2], i, 'n' || i FROM generate_series(1, 20) i",
  );
}

beforeEach(async () => {
  await root.query('DROP VIEW IF EXISTS shown, nested; DROP TABLE IF EXISTS orders, lookup, accounts CASCADE');
});

test('a role with CREATE on a schema makes, fills, changes and drops distributed tables of its own', async () => {
  await app.query('CREATE TABLE accounts (id serial PRIMARY KEY, email text UNIQUE, balance int CHECK (balance >= 0))');
  await app.query("INSERT INTO accounts (email, balance) VALUES ('before', 7)");
  await app.query("SELECT create_distributed_table('accounts', 'id')");
  await app.query("INSERT INTO accounts (email, balance) SELECT 'e' || i, i FROM generate_series(1, 20) i");
  expect(await outcome(app, 'SELECT count(*), sum(balance) FROM accounts')).toBe('21|217');
  expect(await outcome(app, 'UPDATE accounts SET balance = balance + 1')).toBe('UPDATE 21');
  expect(await outcome(app, "INSERT INTO accounts (email, balance) VALUES ('e1', 1)")).toMatch(
    /^23505 .*accounts_email_key/,
  );
  expect(await outcome(app, 'UPDATE accounts SET balance = -1 WHERE id = 3')).toMatch(/^23514/);
  await app.query('ALTER TABLE accounts ADD COLUMN extra int DEFAULT 5');
  await app.query('CREATE INDEX by_balance ON accounts (balance)');
  expect(await outcome(app, 'SELECT sum(extra) FROM accounts')).toBe('105');
  await app.query("SELECT undistribute_table('accounts')");
  expect(await outcome(app, 'SELECT count(*) FROM accounts')).toBe('21');
  await app.query("SELECT create_distributed_table('accounts', 'id', shard_count := 4)");
  await app.query('TRUNCATE accounts');
  expect(await outcome(app, 'SELECT count(*) FROM accounts')).toBe('0');
  await app.query('DROP TABLE accounts');
  expect(await everywhere("SELECT count(*) FROM pg_class WHERE relname IN ('accounts', 'by_balance')")).toEqual([
    '0',
    '0',
    '0',
  ]);
});

test('its reference, range and list tables too', async () => {
  await app.query('CREATE TABLE lookup (a int PRIMARY KEY, b text)');
  await app.query("SELECT create_reference_table('lookup')");
  expect(await outcome(app, "INSERT INTO lookup VALUES (1, 'x'), (2, 'y')")).toBe('INSERT 2');
  await app.query('CREATE TABLE accounts (id int, b int)');
  await app.query("SELECT create_distributed_table('accounts', 'id', 'range', shard_bounds := 'FROM (0) TO (10)')");
  await app.query("SELECT pgherd_add_shard('accounts', 'FROM (10) TO (20)')");
  expect(await outcome(app, 'INSERT INTO accounts VALUES (1, 1), (12, 2)')).toBe('INSERT 2');
  expect(await outcome(app, 'SELECT l.b, a.b FROM lookup l JOIN accounts a ON a.b = l.a ORDER BY 1')).toBe('x|1, y|2');
});

test('everything that is made for a table belongs to its owner', async () => {
  await makeOrders();
  await app.query('CREATE INDEX by_amount ON orders (amount)');
  const owners = await everywhere(
    "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relname IN ('orders', 'orders_pkey', 'by_amount')",
  );
  expect(owners).toEqual(['app', 'app', 'app']);
});

test('COPY goes in and out as the role', async () => {
  await makeOrders();
  await root.query('GRANT SELECT ON orders TO reader');
  expect(await outcome(reader, 'COPY orders TO STDOUT')).toBe('COPY 20');
  expect(await outcome(stranger, 'COPY orders TO STDOUT')).toMatch(/^42501/);
  expect(await outcome(reader, 'COPY orders FROM STDIN')).toMatch(/^42501/);
});

describe('a role', () => {
  const reads = [
    'SELECT count(*) FROM orders',
    'SELECT amount FROM orders WHERE id = 5',
    'SELECT max(amount) OVER () FROM orders LIMIT 1',
    'SELECT a.amount FROM orders a JOIN orders b ON a.amount = b.id WHERE a.id = 5',
    'SELECT (SELECT sum(amount) FROM orders)',
  ];
  const writes = [
    'UPDATE orders SET amount = 0 WHERE id = 5',
    'UPDATE orders SET amount = 0',
    'DELETE FROM orders',
    'INSERT INTO orders VALUES (100)',
    'INSERT INTO orders SELECT 100 + id FROM orders',
    'TRUNCATE orders',
    'SELECT amount FROM orders WHERE id = 5 FOR UPDATE',
  ];
  const changes = [
    'ALTER TABLE orders ADD COLUMN mine int',
    'CREATE INDEX ON orders (amount)',
    'DROP TABLE orders',
    "SELECT undistribute_table('orders')",
    "SELECT alter_distributed_table('orders', shard_count := 4)",
    "SELECT citus_add_node('127.0.0.1', 1)",
    "SELECT citus_remove_node('127.0.0.1', 1)",
  ];

  test('with SELECT alone reads in all ways and writes in none', async () => {
    await makeOrders();
    await app.query('GRANT SELECT ON orders TO reader');
    for (const sql of reads) expect(`${sql}: ${await outcome(reader, sql)}`).toMatch(/: \d+$/);
    for (const sql of [...writes, ...changes]) {
      const said = await outcome(reader, sql);
      // The last node is not there.
      expect(`${sql}: ${said}`).toMatch(/: (42501|42704)/);
    }
    // PostgreSQL warns only.
    expect(await outcome(reader, 'GRANT SELECT ON orders TO stranger')).toBe('GRANT null');
    expect(await outcome(stranger, 'SELECT count(*) FROM orders')).toMatch(/^42501/);
    expect(await outcome(app, 'SELECT count(*), sum(amount) FROM orders')).toBe('20|210');
  });

  test('without any grant gets 42501 for everything', async () => {
    await makeOrders();
    for (const sql of [...reads, ...writes]) expect(`${sql}: ${await outcome(stranger, sql)}`).toMatch(/: 42501/);
    await app.query('GRANT SELECT ON orders TO reader');
    await app.query('REVOKE SELECT ON orders FROM reader');
    expect(await outcome(reader, reads[0]!)).toMatch(/^42501/);
    expect(await outcome(reader, reads[1]!)).toMatch(/^42501/);
  });

  test('with some columns sees these', async () => {
    await makeOrders();
    await app.query('GRANT SELECT (id, amount), UPDATE (note) ON orders TO reader');
    for (const sql of reads.slice(1)) expect(`${sql}: ${await outcome(reader, sql)}`).toMatch(/: \d+$/);
    expect(await outcome(reader, 'SELECT note FROM orders WHERE id = 5')).toMatch(/^42501/);
    expect(await outcome(reader, 'SELECT * FROM orders')).toMatch(/^42501/);
    expect(await outcome(reader, "UPDATE orders SET note = 'x' WHERE id = 5")).toBe('UPDATE 1');
    expect(await outcome(reader, 'UPDATE orders SET amount = 1 WHERE id = 5')).toMatch(/^42501/);
  });

  test('with INSERT alone needs no right on the sequence of an identity column', async () => {
    await app.query('CREATE TABLE accounts (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text)');
    await app.query("SELECT create_distributed_table('accounts', 'id')");
    await app.query('GRANT INSERT ON accounts TO reader');
    expect(await outcome(reader, "INSERT INTO accounts (name) VALUES ('a'), ('b')")).toBe('INSERT 2');
    expect(await outcome(reader, 'SELECT count(*) FROM accounts')).toMatch(/^42501/);
    expect(await outcome(stranger, "INSERT INTO accounts (name) VALUES ('a')")).toMatch(/^42501/);
    expect(await outcome(stranger, "SELECT pgherd.next_identity('accounts_id_seq')")).toMatch(/^42501/);
    expect(await outcome(app, 'SELECT count(*), max(id) FROM accounts')).toBe('2|2');
  });

  test('that owns nothing of a table does not distribute it', async () => {
    await app.query('CREATE TABLE lookup (a int PRIMARY KEY)');
    await app.query('GRANT ALL ON lookup TO stranger');
    expect(await outcome(stranger, "SELECT create_distributed_table('lookup', 'a')")).toBe(
      '42501 must be owner of table lookup',
    );
    expect(await outcome(stranger, "SELECT create_reference_table('lookup')")).toBe(
      '42501 must be owner of table lookup',
    );
  });
});

describe('row security', () => {
  beforeEach(async () => {
    await makeOrders();
    await app.query('GRANT SELECT, UPDATE, DELETE, INSERT ON orders TO reader');
    await app.query('ALTER TABLE orders ENABLE ROW LEVEL SECURITY');
    await app.query('CREATE POLICY own ON orders USING (owner = current_user)');
  });

  const forms: readonly (readonly [string, string])[] = [
    ['scatter', 'SELECT count(*) FROM orders'],
    ['two phases', 'SELECT owner, count(*) FROM orders GROUP BY owner'],
    ['gather', 'SELECT count(*) FROM orders a JOIN orders b ON a.amount = b.id'],
    ['one shard', 'SELECT count(*) FROM orders WHERE id IN (1)'],
    ['one shard', 'SELECT count(*) FROM orders WHERE id IN (2)'],
  ];

  test('shows each role its own rows, on every rung', async () => {
    const seen = (client: pg.Client) => Promise.all(forms.map(([, sql]) => outcome(client, sql)));
    expect(await seen(reader)).toEqual(['10', 'reader|10', '10', '0', '1']);
    expect(await seen(app)).toEqual(['20', expect.stringContaining('reader|10'), '20', '1', '1']);
    expect(await seen(root)).toEqual(['20', expect.stringContaining('reader|10'), '20', '1', '1']);
    await reader.query("SET pgherd.force_rung = 'gather'");
    expect(await seen(reader)).toEqual(['10', 'reader|10', '10', '0', '1']);
    await reader.query('RESET pgherd.force_rung');
  });

  test('holds for changes, and for values that are written', async () => {
    expect(await outcome(reader, 'UPDATE orders SET amount = 0')).toBe('UPDATE 10');
    expect(await outcome(reader, 'DELETE FROM orders WHERE id = 1')).toBe('DELETE 0');
    expect(await outcome(reader, "INSERT INTO orders VALUES (100, 'app')")).toMatch(/^42501 .*row-level security/);
    expect(await outcome(reader, "INSERT INTO orders VALUES (100, 'reader')")).toBe('INSERT 1');
    expect(await outcome(app, 'SELECT sum(amount) FROM orders')).toBe('100');
  });

  test('by a setting of the session reaches every server', async () => {
    await app.query('DROP POLICY own ON orders');
    await app.query("CREATE POLICY own ON orders USING (owner = current_setting('app.tenant', true))");
    expect(await outcome(reader, 'SELECT count(*) FROM orders')).toBe('0');
    await reader.query("SET app.tenant = 'app'");
    expect(await outcome(reader, 'SELECT count(*), min(owner) FROM orders')).toBe('10|app');
    await reader.query("BEGIN; SET LOCAL app.tenant = 'reader'");
    expect(await outcome(reader, 'SELECT count(*), min(owner) FROM orders')).toBe('10|reader');
    await reader.query('COMMIT');
    expect(await outcome(reader, 'SELECT count(*), min(owner) FROM orders')).toBe('10|app');
    await reader.query('RESET app.tenant');
    expect(await outcome(reader, 'SELECT count(*) FROM orders')).toBe('0');
  });

  test('that is forced on the owner never makes rows disappear', async () => {
    await app.query('ALTER TABLE orders FORCE ROW LEVEL SECURITY');
    expect(await outcome(app, 'SELECT count(*) FROM orders')).toBe('10');
    expect(await outcome(app, "SELECT undistribute_table('orders')")).toMatch(/^42501 row security is forced/);
    await root.query("SELECT undistribute_table('orders')");
    expect(await outcome(app, "SELECT create_distributed_table('orders', 'id')")).toMatch(
      /^42501 row security is forced/,
    );
    expect(await outcome(root, 'SELECT count(*) FROM orders')).toBe('20');
  });
});

describe('SET ROLE', () => {
  test('reaches nodes, inside and outside transactions, and ends', async () => {
    await makeOrders();
    await root.query('SET ROLE stranger');
    expect(await outcome(root, 'SELECT count(*) FROM orders')).toMatch(/^42501/);
    expect(await outcome(root, 'SELECT amount FROM orders WHERE id = 5')).toMatch(/^42501/);
    await root.query('RESET ROLE');
    expect(await outcome(root, 'SELECT count(*) FROM orders')).toBe('20');
    await root.query('BEGIN');
    expect(await outcome(root, 'SELECT count(*) FROM orders')).toBe('20');
    await root.query('SET LOCAL ROLE stranger');
    expect(await outcome(root, 'SELECT amount FROM orders WHERE id = 5')).toMatch(/^42501/);
    await root.query('ROLLBACK');
    expect(await outcome(root, 'SELECT count(*) FROM orders')).toBe('20');
    await root.query('BEGIN; SAVEPOINT a; SET ROLE stranger');
    expect(await outcome(root, 'SELECT count(*) FROM orders')).toMatch(/^42501/);
    await root.query('ROLLBACK TO a');
    expect(await outcome(root, 'SELECT count(*) FROM orders')).toBe('20');
    await root.query('SET ROLE stranger; COMMIT');
    expect(await outcome(root, 'SELECT count(*) FROM orders')).toMatch(/^42501/);
    await root.query('RESET ROLE');
  });

  test('to a role that is not granted is refused', async () => {
    expect(await outcome(app, 'SET ROLE postgres')).toMatch(/^42501/);
    expect(await outcome(app, 'SET SESSION AUTHORIZATION postgres')).toMatch(/^42501/);
    expect(await outcome(app, 'SELECT current_user')).toBe('app');
  });

  test('makes tables belong to the role', async () => {
    await app.query('SET ROLE team');
    await makeOrders();
    await app.query('RESET ROLE');
    const owners = await everywhere("SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'orders'");
    expect(owners).toEqual(['team', 'team', 'team']);
    await app.query('ALTER TABLE orders ADD COLUMN more int');
    expect(await outcome(app, 'SELECT count(more) FROM orders')).toBe('0');
  });

  test('is not left behind for the next session', async () => {
    for (let i = 0; i < 3; i++) {
      const other = await login('postgres');
      await other.query('SET ROLE reader');
      await other.query('SELECT 1');
      await other.end();
      expect(await outcome(root, 'SELECT current_user, session_user')).toBe('postgres|postgres');
    }
  });

  test('SET SESSION AUTHORIZATION by a superuser reaches nodes', async () => {
    await makeOrders();
    await root.query('GRANT SELECT ON orders TO reader');
    await root.query('SET SESSION AUTHORIZATION reader');
    expect(await outcome(root, 'SELECT count(*) FROM orders')).toBe('20');
    expect(await outcome(root, 'UPDATE orders SET amount = 0')).toMatch(/^42501/);
    await root.query('SET SESSION AUTHORIZATION stranger');
    expect(await outcome(root, 'SELECT count(*) FROM orders')).toMatch(/^42501/);
    await root.query('SET SESSION AUTHORIZATION app; SET ROLE team');
    expect(await outcome(root, 'SELECT current_user, session_user')).toBe('team|app');
    expect(await outcome(root, 'SELECT count(*) FROM orders')).toMatch(/^42501/);
    await root.query('RESET ROLE');
    expect(await outcome(root, 'SELECT count(*) FROM orders')).toBe('20');
    await root.query('RESET SESSION AUTHORIZATION');
    expect(await outcome(root, 'UPDATE orders SET amount = 0')).toBe('UPDATE 20');
  });
});

describe('a view', () => {
  beforeEach(async () => {
    await makeOrders();
    await app.query('CREATE VIEW shown AS SELECT id, amount FROM orders WHERE amount <= 5');
  });

  test("is read by its owner, and by a role that sees the tables as the view's owner does", async () => {
    expect(await outcome(app, 'SELECT count(*) FROM shown')).toBe('5');
    await app.query('GRANT SELECT ON shown, orders TO reader');
    expect(await outcome(reader, 'SELECT count(*) FROM shown')).toBe('5');
    expect(await outcome(reader, 'SELECT amount FROM shown WHERE id = 5')).toBe('5');
  });

  test('needs its own grant, whatever is granted on the tables', async () => {
    await app.query('GRANT SELECT ON orders TO reader');
    for (const sql of ['SELECT count(*) FROM shown', 'SELECT amount FROM shown WHERE id = 5']) {
      expect(await outcome(reader, sql)).toBe('42501 permission denied for view shown');
    }
  });

  test('alone fails closed: it never shows less or more than PostgreSQL would', async () => {
    await app.query('GRANT SELECT ON shown TO reader');
    expect(await outcome(reader, 'SELECT count(*) FROM shown')).toMatch(/^0A000 .*PH038/);
    await app.query('GRANT SELECT ON orders TO reader');
    await app.query('ALTER TABLE orders ENABLE ROW LEVEL SECURITY');
    await app.query('CREATE POLICY own ON orders USING (owner = current_user)');
    expect(await outcome(reader, 'SELECT count(*) FROM shown')).toMatch(/^0A000 .*PH038/);
    await app.query('ALTER VIEW shown SET (security_invoker = true)');
    expect(await outcome(reader, 'SELECT count(*) FROM shown')).toBe('2');
  });

  test("over a view is read with the inner view's owner in mind", async () => {
    await app.query('GRANT SELECT ON shown, orders TO reader');
    await root.query('CREATE VIEW nested AS SELECT * FROM shown');
    await root.query('GRANT SELECT ON nested TO reader, stranger');
    expect(await outcome(reader, 'SELECT count(*) FROM nested')).toBe('5');
    expect(await outcome(stranger, 'SELECT count(*) FROM nested')).toMatch(/^0A000 .*PH038/);
  });
});

describe('the rights of the router', () => {
  test('cannot be borrowed', async () => {
    const tries = [
      "SELECT * FROM pgherd.run_as_owner('x', 'SELECT 1')",
      "SELECT * FROM pgherd.run_as_owner('x', 'ALTER ROLE app SUPERUSER')",
      'SELECT * FROM pgherd_secret.guard',
      "INSERT INTO pgherd.transaction_decision VALUES ('x', 'abort')",
      "SELECT pgherd.decide_abort('x')",
      'DELETE FROM pgherd.node',
      "SET pgherd.shell_ok = 'x'",
    ];
    for (const sql of tries) expect(`${sql}: ${await outcome(app, sql)}`).toMatch(/: 42501/);
    await app.query('BEGIN');
    await app.query('SELECT pg_current_xact_id()');
    expect(await outcome(app, "SELECT * FROM pgherd.run_as_owner('x', 'SELECT 1')")).toMatch(/^42501/);
    await app.query('ROLLBACK');
  });

  test('are not lent to what a table evaluates', async () => {
    // Whoever distributes, alters or fills the table as somebody else would carry this out.
    await app.query(
      `CREATE FUNCTION who() RETURNS name LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN current_user; END'`,
    );
    await app.query('CREATE TABLE accounts (id int PRIMARY KEY, maker name DEFAULT who(), CHECK (maker = who()))');
    await app.query('INSERT INTO accounts (id) SELECT generate_series(1, 8)');
    await app.query("SELECT create_distributed_table('accounts', 'id')");
    await app.query("ALTER TABLE accounts ADD COLUMN changer name DEFAULT who(), ADD CHECK (changer = 'app')");
    expect(await outcome(app, 'SELECT DISTINCT maker, changer FROM accounts')).toBe('app|app');
    await app.query('DROP TABLE accounts; DROP FUNCTION who()');
  });

  test('are not needed for two-phase commit', async () => {
    await makeOrders();
    await app.query('BEGIN');
    await app.query('UPDATE orders SET amount = 1');
    await app.query('COMMIT');
    expect(await outcome(app, 'SELECT sum(amount) FROM orders')).toBe('20');
    await app.query('BEGIN; UPDATE orders SET amount = 2; ROLLBACK');
    expect(await outcome(app, 'SELECT sum(amount) FROM orders')).toBe('20');
    expect(await everywhere('SELECT count(*) FROM pg_prepared_xacts')).toEqual(['0', '0', '0']);
  });
});

describe('roles', () => {
  test('made through the router have the same verifier everywhere', async () => {
    await root.query("CREATE ROLE keyed LOGIN PASSWORD 'one'");
    const first = await everywhere("SELECT rolpassword FROM pg_authid WHERE rolname = 'keyed'");
    expect(first[0]).toMatch(/^SCRAM-SHA-256\$/);
    expect(new Set(first).size).toBe(1);
    await root.query("ALTER ROLE keyed PASSWORD 'two'");
    const second = await everywhere("SELECT rolpassword FROM pg_authid WHERE rolname = 'keyed'");
    expect(new Set([...first, ...second]).size).toBe(2);
  });

  test('change their own password, and make others when they may', async () => {
    await root.query("CREATE ROLE maker LOGIN CREATEROLE PASSWORD 'one'");
    const maker = await login('maker');
    await maker.query("ALTER ROLE maker PASSWORD 'own'");
    await maker.query("CREATE ROLE made LOGIN PASSWORD 'x' CONNECTION LIMIT 7");
    const said = await everywhere(
      "SELECT string_agg(rolpassword || rolconnlimit, ',' ORDER BY rolname) FROM pg_authid WHERE rolname IN ('maker', 'made')",
    );
    expect(new Set(said).size).toBe(1);
    await maker.query('DROP ROLE made');
    expect(await everywhere("SELECT count(*) FROM pg_roles WHERE rolname = 'made'")).toEqual(['0', '0', '0']);
    expect(await outcome(app, 'CREATE ROLE forbidden')).toMatch(/^42501/);
    expect(await everywhere("SELECT count(*) FROM pg_roles WHERE rolname = 'forbidden'")).toEqual(['0', '0', '0']);
  });

  test('and their grants are the same on leaves', async () => {
    await makeOrders();
    await app.query('GRANT SELECT, DELETE ON orders TO reader');
    const [, ...nodes] = await everywhere(
      "SELECT DISTINCT has_table_privilege('reader', oid, 'DELETE'), has_table_privilege('reader', oid, 'UPDATE') FROM pg_class WHERE relname = 'orders'",
    );
    expect(nodes).toEqual(['true|false', 'true|false']);
  });
});
