import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

/*
 * What users' functions leave behind in their session stays in it, is found again by its next statement whichever connection that gets,
 * reaches the nodes, and is never found by another session.
 */

let herd: TestHerd;
let ours: pg.Client;
let others: pg.Client[];

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  ours = new pg.Client({ connectionString: herd.url });
  await ours.connect();
  await ours.query(`
    CREATE TABLE t (id int PRIMARY KEY, tenant text);
    SELECT create_distributed_table('t', 'id');
    INSERT INTO t SELECT g, CASE g % 2 WHEN 0 THEN 'even' ELSE 'odd' END FROM generate_series(1, 20) g;
    CREATE TABLE here (id int);
    CREATE FUNCTION make_temporary() RETURNS void LANGUAGE plpgsql AS
      $$ BEGIN CREATE TEMP TABLE t ON COMMIT PRESERVE ROWS AS SELECT 99 AS id, 'mine' AS tenant; END $$;
    CREATE FUNCTION make_by_another() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM make_temporary(); RETURN 1; END $$;
    CREATE FUNCTION set_tenant(x text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('app.tenant', x, false); END $$;
    CREATE FUNCTION set_tenant_here(x text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('app.tenant', x, true); END $$;
    CREATE FUNCTION set_any(name text, x text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config(name, x, false); END $$;
    CREATE FUNCTION run(command text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE command; END $$;
    CREATE FUNCTION take_lock() RETURNS void LANGUAGE sql AS 'SELECT pg_advisory_lock(77)';
    CREATE PROCEDURE set_by_command() LANGUAGE plpgsql AS $$ BEGIN SET app.tenant = 'even'; END $$;
    CREATE FUNCTION on_change() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN PERFORM set_config('app.trigger', 'fired', false); RETURN NEW; END $$;
    CREATE TRIGGER each BEFORE INSERT ON here FOR EACH ROW EXECUTE FUNCTION on_change();
    CREATE TRIGGER each BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION on_change();
    CREATE ROLE tenant_user LOGIN;
    GRANT ALL ON t, here TO tenant_user;
    ALTER TABLE t ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON t TO tenant_user USING (tenant = current_setting('app.tenant', true));
  `);
  others = Array.from({ length: 4 }, () => new pg.Client({ connectionString: herd.url }));
  for (const other of others) await other.connect();
}, 120_000);

afterAll(async () => {
  for (const client of [ours, ...others]) await client.end();
  await herd.stop();
});

async function one(client: pg.Client, sql: string): Promise<unknown> {
  return Object.values((await client.query(sql)).rows[0] ?? {})[0];
}

/** What each of the other sessions finds, all at work at the same time, so that they share what connections there are. */
async function foundByOthers(sql: string): Promise<unknown[]> {
  const found: unknown[] = [];
  for (let round = 0; round < 5; round++) found.push(...(await Promise.all(others.map((other) => one(other, sql)))));
  return [...new Set(found)];
}

/** A setting of no server's own that was set and taken back is empty, as in PostgreSQL. */
const tenant = "SELECT nullif(current_setting('app.tenant', true), '')";

async function withSession(work: (client: pg.Client) => Promise<void>, url = herd.url): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

const asTenant = () => {
  const url = new URL(herd.url);
  url.username = 'tenant_user';
  return url.href;
};

test.each([
  'SELECT make_temporary()',
  'SELECT make_by_another() FROM here RIGHT JOIN (VALUES (1)) AS v (x) ON true',
  'DO $$ BEGIN CREATE TEMP TABLE t AS SELECT 99 AS id; END $$',
  'DO $$ BEGIN PERFORM make_by_another(); END $$',
  "SELECT run('CREATE TEMP TABLE t AS SELECT 99 AS id')",
])('temporary tables made by %s shadow others, for this session alone', async (sql) => {
  await withSession(async (client) => {
    await client.query(sql);
    expect(await one(client, 'SELECT count(*) FROM t')).toBe('1');
    expect(await foundByOthers('SELECT count(*) FROM t')).toEqual(['20']);
    expect(await one(client, 'SELECT id FROM t')).toBe(99);
    await client.query('DROP TABLE t');
    expect(await one(client, 'SELECT count(*) FROM t')).toBe('20');
  });
  expect(await foundByOthers("SELECT to_regclass('pg_temp.t')")).toEqual([null]);
});

test.each([
  "SELECT set_tenant('even')",
  "SELECT set_any('app.tenant', 'even')",
  'CALL set_by_command()',
  "SELECT run('SET app.tenant = ''even''')",
  "DO $$ BEGIN PERFORM set_tenant('even'); END $$",
  "DO $$ BEGIN SET app.tenant TO 'even'; END $$",
  "SELECT set_tenant('even') FROM t WHERE id = 1",
])('a setting made by %s is the session’s own', async (sql) => {
  await withSession(async (client) => {
    await client.query(sql);
    expect(await foundByOthers(tenant)).toEqual([null]);
    expect(await one(client, tenant)).toBe('even');
  });
  expect(await foundByOthers(tenant)).toEqual([null]);
});

test('settings made by functions reach the nodes, where policies read them', async () => {
  await withSession(async (client) => {
    expect(await one(client, 'SELECT count(*) FROM t')).toBe('0');
    await client.query("SELECT set_tenant('odd')");
    expect(await one(client, 'SELECT count(*) FROM t')).toBe('10');
    await client.query('BEGIN');
    await client.query("SELECT set_tenant_here('nobody')");
    expect(await one(client, 'SELECT count(*) FROM t')).toBe('0');
    await client.query('COMMIT');
    expect(await one(client, 'SELECT count(*) FROM t')).toBe('10');
    await client.query('BEGIN');
    await client.query("SELECT set_tenant('nobody')");
    await client.query('ROLLBACK');
    expect(await one(client, 'SELECT count(*) FROM t WHERE id > 0')).toBe('10');
  }, asTenant());
});

test('a lock that a function takes stays with the session until it gives it back', async () => {
  await withSession(async (client) => {
    await client.query('SELECT take_lock()');
    expect(await foundByOthers('SELECT pg_try_advisory_lock(77)')).toEqual([false]);
    expect(await one(client, 'SELECT pg_advisory_unlock(77)')).toBe(true);
  });
});

test('what triggers set is found by their session on the coordinator, and by nobody on the nodes', async () => {
  await withSession(async (client) => {
    await client.query('INSERT INTO here VALUES (1)');
    expect(await one(client, "SELECT current_setting('app.trigger', true)")).toBe('fired');
    for (let i = 0; i < 3; i++) await client.query('UPDATE t SET tenant = tenant WHERE id = $1', [2]);
  });
  expect(await foundByOthers("SELECT nullif(current_setting('app.trigger', true), '')")).toEqual([null]);
  expect(
    await foundByOthers("SELECT max(tenant || coalesce(nullif(current_setting('app.trigger', true), ''), '-')) FROM t"),
  ).toEqual(['odd-']);
});

test.each([
  ['CREATE TABLE pg_temp.x AS SELECT 1 AS a', 'SELECT a FROM x', "to_regclass('pg_temp.x')"],
  [
    'CREATE TABLE pg_temp.x (a int DEFAULT 1); INSERT INTO x DEFAULT VALUES',
    'SELECT a FROM x',
    "to_regclass('pg_temp.x')",
  ],
  ['SET search_path = pg_temp, public; CREATE TABLE x AS SELECT 1 AS a', 'SELECT a FROM x', "to_regclass('pg_temp.x')"],
  [
    "CREATE FUNCTION pg_temp.one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    'SELECT pg_temp.one()',
    "to_regprocedure('pg_temp.one()')",
  ],
  ["CREATE TYPE pg_temp.bit AS ENUM ('1')", "SELECT '1'::pg_temp.bit::text::int", "to_regtype('pg_temp.bit')"],
])('%s makes what only its session has', async (sql, query, found) => {
  await withSession(async (client) => {
    await client.query(sql);
    expect(await foundByOthers(`SELECT ${found}`)).toEqual([null]);
    expect(await one(client, query)).toBe(1);
    expect(await one(client, 'SELECT count(*) FROM t')).toBe('20');
  });
});

test('what is temporary is dropped without a word to the nodes', async () => {
  await withSession(async (client) => {
    await client.query(
      "CREATE FUNCTION pg_temp.one() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE DOMAIN pg_temp.d AS int",
    );
    await client.query("COMMENT ON FUNCTION pg_temp.one() IS 'x'; ALTER FUNCTION pg_temp.one() STABLE");
    await client.query('DROP FUNCTION pg_temp.one(); DROP DOMAIN pg_temp.d');
    expect(await one(client, "SELECT to_regprocedure('pg_temp.one()')")).toBeNull();
  });
});

test('who has nothing temporary any more shares connections again', async () => {
  await withSession(async (client) => {
    const pids = async () => {
      const found = new Set<unknown>();
      for (let i = 0; i < 10; i++)
        found.add(
          (await Promise.all([ours, client, ...others].map((each) => one(each, 'SELECT pg_backend_pid()'))))[1],
        );
      return found.size;
    };
    await client.query('DO $$ BEGIN CREATE TEMP TABLE brief (a int) ON COMMIT DROP; END $$');
    await client.query(
      'BEGIN; CREATE TEMP VIEW v AS SELECT 1 AS id; CREATE TEMP TABLE x (a int) ON COMMIT DROP; COMMIT',
    );
    expect(await pids()).toBe(1);
    await client.query('DISCARD TEMP');
    await expect(client.query('SELECT * FROM v')).rejects.toMatchObject({ code: '42P01' });
    await expect.poll(pids).toBeGreaterThan(1);
  });
});
