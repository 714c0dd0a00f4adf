import { spawn } from 'node:child_process';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

let herd: TestHerd;
let client: pg.Client;
const notices: string[] = [];

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  client = new pg.Client({ connectionString: herd.url });
  client.on('notice', ({ message }) => notices.push(message ?? ''));
  await client.connect();
  await client.query(`CREATE TABLE t (id int PRIMARY KEY, owner name DEFAULT current_user, v int);
    CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE NOTICE '% % %', TG_WHEN, TG_OP, current_user; RETURN NULL; END $$;
    CREATE TRIGGER b BEFORE INSERT OR UPDATE OF v OR DELETE ON t FOR EACH STATEMENT EXECUTE FUNCTION tell();
    CREATE TRIGGER a AFTER INSERT OR UPDATE OF v OR DELETE ON t FOR EACH STATEMENT EXECUTE FUNCTION tell();
    CREATE TRIGGER e AFTER TRUNCATE ON t FOR EACH STATEMENT EXECUTE FUNCTION tell();
    INSERT INTO t SELECT g, 'postgres', g FROM generate_series(1, 20) g`);
  notices.length = 0;
  await client.query("SELECT create_distributed_table('t', 'id')");
}, 120_000);

afterAll(async () => {
  await client.end();
  await herd.stop();
});

async function heard(sql: string): Promise<string[]> {
  notices.length = 0;
  await client.query(sql);
  return [...notices];
}

test('distributing a table with triggers fires none of them', () => {
  expect(notices.filter((notice) => /^(BEFORE|AFTER)/.test(notice))).toEqual([]);
});

test('COPY is an INSERT to triggers, and their notices reach the client', async () => {
  const psql = spawn('psql', ['-X', herd.url, '-c', 'COPY t (id, v) FROM STDIN']);
  const said: string[] = [];
  for (const stream of [psql.stdout, psql.stderr]) stream.on('data', (chunk) => said.push(String(chunk)));
  psql.stdin.end('101\t1\n102\t2\n');
  await new Promise((resolve) => psql.once('close', resolve));
  const lines = said.join('').split('\n');
  expect(lines.toSorted()).toEqual(['', 'COPY 2', 'NOTICE:  AFTER INSERT postgres', 'NOTICE:  BEFORE INSERT postgres']);
});

test('EXPLAIN ANALYZE fires them, EXPLAIN does not', async () => {
  expect(await heard('EXPLAIN (ANALYZE, COSTS off) UPDATE t SET v = v')).toEqual([
    'BEFORE UPDATE postgres',
    'AFTER UPDATE postgres',
  ]);
  expect(await heard('EXPLAIN UPDATE t SET v = v')).toEqual([]);
  expect(await heard('UPDATE t SET owner = owner')).toEqual([]);
});

test('they run as who sends the statement, within its rights', async () => {
  await client.query('CREATE ROLE clerk; GRANT INSERT, DELETE, UPDATE (v) ON t TO clerk; SET ROLE clerk');
  expect(await heard('INSERT INTO t (id) VALUES (201), (202)')).toEqual(['BEFORE INSERT clerk', 'AFTER INSERT clerk']);
  expect(await heard('UPDATE t SET v = 0')).toEqual(['BEFORE UPDATE clerk', 'AFTER UPDATE clerk']);
  await expect(client.query('UPDATE t SET owner = NULL')).rejects.toMatchObject({ code: '42501' });
  await expect(client.query('TRUNCATE t')).rejects.toMatchObject({ code: '42501' });
  await expect(client.query("SELECT pgherd.firing_gate('x', 'replica')")).rejects.toMatchObject({ code: '42501' });
  await client.query('RESET ROLE');
  expect((await client.query('SHOW session_replication_role')).rows).toEqual([{ session_replication_role: 'origin' }]);
});

test('a trigger of the table itself can open no gate', async () => {
  await client.query(`CREATE FUNCTION open_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM pgherd.firing_gate(current_setting('pgherd.gate'), 'replica'); RETURN NULL; END $$;
    CREATE TRIGGER g BEFORE DELETE ON t FOR EACH STATEMENT EXECUTE FUNCTION open_gate()`);
  await expect(client.query('DELETE FROM t WHERE false')).rejects.toMatchObject({ code: '42501' });
  await client.query('DROP TRIGGER g ON t');
});

test('where row security lets a role change nothing at all, the statement is refused, or fires and changes nothing', async () => {
  await client.query(
    'CREATE ROLE nobody_s; GRANT ALL ON t TO nobody_s; ALTER TABLE t ENABLE ROW LEVEL SECURITY; SET ROLE nobody_s',
  );
  // PostgreSQL 15 evaluates the rest of such a condition too, so that the triggers have fired.
  const end = await client.query('DELETE FROM t').then(
    ({ rowCount }) => rowCount,
    ({ code }) => code,
  );
  expect(['0A000', 0]).toContain(end);
  await client.query('RESET ROLE; ALTER TABLE t DISABLE ROW LEVEL SECURITY');
});

test('a session that plays a replica fires none', async () => {
  await client.query('SET session_replication_role = replica');
  expect(await heard('UPDATE t SET v = 1')).toEqual([]);
  await client.query('RESET session_replication_role');
  expect(await heard('UPDATE t SET v = 1 WHERE id = 1')).toHaveLength(2);
});

test('through a view the triggers of its table fire', async () => {
  await client.query('CREATE VIEW w AS SELECT id, v FROM t WHERE id < 10');
  expect(await heard('UPDATE w SET v = 3')).toEqual(['BEFORE UPDATE postgres', 'AFTER UPDATE postgres']);
});

test('what foreign keys do on the nodes would go unheard, so such a key is refused', async () => {
  await client.query(
    "CREATE TABLE child (id int PRIMARY KEY REFERENCES t ON DELETE CASCADE); SELECT create_distributed_table('child', 'id')",
  );
  const create = (event: string) =>
    client.query(`CREATE TRIGGER a AFTER ${event} ON child FOR EACH STATEMENT EXECUTE FUNCTION tell()`);
  await expect(create('DELETE')).rejects.toThrow(/PH033/);
  await create('INSERT');
  await expect(
    client.query('CREATE TRIGGER r AFTER INSERT ON child REFERENCING NEW TABLE AS n EXECUTE FUNCTION tell()'),
  ).rejects.toThrow(/PH033/);
  await client.query('DROP TABLE child');
});

test('a table that is taken back keeps them', async () => {
  expect(await heard('TRUNCATE t')).toEqual([]);
  await client.query("SELECT undistribute_table('t')");
  expect(await heard('INSERT INTO t (id) VALUES (1)')).toEqual(['BEFORE INSERT postgres', 'AFTER INSERT postgres']);
  expect(await heard('TRUNCATE t')).toEqual(['AFTER TRUNCATE postgres']);
});
