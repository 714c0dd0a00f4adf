import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';
import { defaultVersion } from '../harness/postgres.ts';

/* Row locks, time limits, deferred constraints and lost servers, over several nodes. */

let herd: TestHerd;
let one: pg.Client;
let other: pg.Client;

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  const client = await connect();
  await client.query('CREATE TABLE t (id integer PRIMARY KEY, v integer NOT NULL)');
  await client.query("SELECT create_distributed_table('t', 'id')");
  await client.query('INSERT INTO t SELECT g, 0 FROM generate_series(1, 8) g');
  await client.query('CREATE TABLE parent (id integer PRIMARY KEY)');
  await client.query("SELECT create_distributed_table('parent', 'id')");
  await client.query(
    'CREATE TABLE child (id integer PRIMARY KEY REFERENCES parent DEFERRABLE INITIALLY DEFERRED, v integer)',
  );
  await client.query("SELECT create_distributed_table('child', 'id')");
  await client.end();
});

afterAll(() => herd?.stop());

beforeEach(async () => {
  one = await connect();
  other = await connect();
});

afterEach(async () => {
  await one.end().catch(() => {});
  await other.end().catch(() => {});
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: herd.url });
  client.on('error', () => {});
  await client.connect();
  return client;
}

const ids = async (client: pg.Client, sql: string) => (await client.query(sql)).rows.map(({ id }) => id);

test('row locks on many nodes: NOWAIT fails, SKIP LOCKED passes them by', async () => {
  await one.query('BEGIN');
  expect(await ids(one, 'SELECT id FROM t WHERE id <= 3 ORDER BY id FOR UPDATE')).toEqual([1, 2, 3]);
  await expect(other.query('SELECT id FROM t FOR UPDATE NOWAIT')).rejects.toMatchObject({ code: '55P03' });
  expect(await ids(other, 'SELECT id FROM t ORDER BY id FOR UPDATE SKIP LOCKED')).toEqual([4, 5, 6, 7, 8]);
  expect(await ids(other, 'SELECT id FROM t ORDER BY id LIMIT 2 FOR SHARE SKIP LOCKED')).toEqual([4, 5]);
  await one.query('ROLLBACK');
  await one.query('BEGIN');
  await one.query('SELECT id FROM t FOR SHARE');
  expect(await ids(other, 'SELECT id FROM t ORDER BY id FOR SHARE NOWAIT')).toHaveLength(8);
});

test('lock_timeout and statement_timeout end waiting on any node', async () => {
  await one.query('BEGIN');
  await one.query('SELECT id FROM t FOR UPDATE');
  await other.query("SET lock_timeout = '200ms'");
  await expect(other.query('UPDATE t SET v = 1')).rejects.toMatchObject({ code: '55P03' });
  await other.query("SET lock_timeout = 0; SET statement_timeout = '200ms'");
  await expect(other.query('UPDATE t SET v = 1')).rejects.toMatchObject({ code: '57014' });
  await other.query("BEGIN; SET LOCAL statement_timeout = '100ms'");
  await expect(other.query('UPDATE t SET v = 1 WHERE id = 2')).rejects.toMatchObject({
    code: '57014',
    message: 'canceling statement due to statement timeout',
  });
  await other.query('ROLLBACK');
  await one.query('ROLLBACK');
  expect((await other.query('UPDATE t SET v = 0')).rowCount).toBe(8);
});

test('statement_timeout counts all that a statement does, step by step', async () => {
  await one.query("SET statement_timeout = '500ms'");
  await expect(one.query('SELECT count(*), pg_sleep(0.3), pg_sleep(0.3) FROM t GROUP BY v')).rejects.toMatchObject({
    code: '57014',
  });
  expect((await one.query('SELECT 1 AS alive')).rows).toEqual([{ alive: 1 }]);
});

test('SET LOCAL statement_timeout counts all steps too, each statement of a message apart, and is taken back by ROLLBACK TO', async () => {
  // One step on the coordinator, one on a node: neither takes as long as both may.
  const inTwoSteps = `INSERT INTO t (id, v) SELECT 100 + length(pg_sleep(0.9)::text), 1 RETURNING pg_sleep(0.9)`;
  await one.query('RESET statement_timeout');
  await one.query('BEGIN');
  await one.query('SAVEPOINT s');
  await one.query("SET LOCAL statement_timeout = '1500ms'");
  await one.query('SELECT pg_sleep(0.9); SELECT pg_sleep(0.9)');
  await expect(one.query(inTwoSteps)).rejects.toMatchObject({
    code: '57014',
    message: 'canceling statement due to statement timeout',
  });
  await one.query('ROLLBACK TO s');
  expect((await one.query(inTwoSteps)).rowCount).toBe(1);
  await one.query('ROLLBACK TO s');
  await one.query("SELECT set_config('statement_timeout', '1500ms', true)");
  await expect(one.query(inTwoSteps)).rejects.toMatchObject({ code: '57014' });
  await one.query('ROLLBACK');
  expect((await one.query(inTwoSteps)).rowCount).toBe(1);
  await one.query('DELETE FROM t WHERE id >= 100');
});

test.runIf(defaultVersion >= 17)('transaction_timeout ends the session, as in PostgreSQL', async () => {
  const ended = new Promise<string | undefined>((resolve) =>
    one.on('error', (error) => resolve((error as { code?: string }).code)),
  );
  await one.query("SET transaction_timeout = '300ms'");
  await one.query('SELECT 1');
  await one.query('BEGIN');
  await one.query('UPDATE t SET v = 5');
  expect(await ended).toBe('25P04');
  expect((await other.query('SELECT sum(v)::int FROM t')).rows[0].sum).toBe(0);
  await other.query("BEGIN; SET LOCAL transaction_timeout = '300ms'");
  await expect(other.query('SELECT pg_sleep(5)')).rejects.toMatchObject({ code: '25P04' });
});

test('idle_in_transaction_session_timeout ends the session', async () => {
  const ended = new Promise<string | undefined>((resolve) =>
    one.on('error', (error) => resolve((error as { code?: string }).code)),
  );
  await one.query("SET idle_in_transaction_session_timeout = '200ms'");
  await one.query('BEGIN');
  await one.query('UPDATE t SET v = 5');
  expect(await ended).toBe('25P03');
  expect((await other.query('SELECT sum(v)::int FROM t')).rows[0].sum).toBe(0);
});

test('deferred constraints are checked at COMMIT on all nodes, or nothing is committed', async () => {
  await one.query('BEGIN');
  await one.query('INSERT INTO child SELECT g FROM generate_series(1, 6) g');
  await one.query('INSERT INTO parent SELECT g FROM generate_series(1, 6) g');
  await one.query('COMMIT');
  await one.query('BEGIN');
  await one.query('UPDATE t SET v = 1');
  await one.query('INSERT INTO child VALUES (7)');
  await expect(one.query('COMMIT')).rejects.toMatchObject({ code: '23503', constraint: 'child_id_fkey' });
  expect((await one.query('SELECT sum(v)::int FROM t')).rows[0].sum).toBe(0);
  await expect(one.query('INSERT INTO child VALUES (7)')).rejects.toMatchObject({ code: '23503' });
});

test('SET CONSTRAINTS reaches every node: those that take part, and those that join later', async () => {
  await one.query('BEGIN');
  await one.query('INSERT INTO child SELECT g FROM generate_series(11, 16) g');
  await expect(one.query('SET CONSTRAINTS ALL IMMEDIATE')).rejects.toMatchObject({ code: '23503' });
  await one.query('ROLLBACK');
  await one.query('BEGIN');
  await one.query('SET CONSTRAINTS child_id_fkey IMMEDIATE');
  for (const id of [11, 12]) {
    await one.query('SAVEPOINT s');
    await expect(one.query('INSERT INTO child VALUES ($1)', [id])).rejects.toMatchObject({ code: '23503' });
    await one.query('ROLLBACK TO s');
  }
  await one.query('SET CONSTRAINTS child_id_fkey DEFERRED');
  await one.query('INSERT INTO child SELECT g FROM generate_series(11, 16) g');
  await one.query('ROLLBACK');
  await one.query('BEGIN');
  await expect(one.query('SET CONSTRAINTS nothing IMMEDIATE')).rejects.toMatchObject({ code: '42704' });
  await one.query('ROLLBACK');
});

test('advisory locks are global', async () => {
  await one.query('SELECT pg_advisory_lock(77)');
  const tryLock = async (client: pg.Client) =>
    (await client.query('SELECT pg_try_advisory_lock(77) AS got')).rows[0].got;
  expect(await tryLock(other)).toBe(false);
  await one.query('SELECT pg_advisory_unlock(77)');
  expect(await tryLock(other)).toBe(true);
  await one.query('BEGIN');
  await one.query('SELECT id, pg_advisory_xact_lock(1000 + id) FROM t');
  const tryAll = 'SELECT count(*)::int AS got FROM generate_series(1, 8) g WHERE pg_try_advisory_lock(1000 + g)';
  expect((await other.query(tryAll)).rows[0].got).toBe(0);
  await one.query('COMMIT');
  expect((await other.query(tryAll)).rows[0].got).toBe(8);
});

test('what was set before a write stays with two-phase commit: SET TRANSACTION READ ONLY comes last', async () => {
  await one.query('BEGIN');
  await one.query('UPDATE t SET v = v + 1');
  await one.query('SET TRANSACTION READ ONLY');
  await one.query('COMMIT');
  expect((await one.query('SELECT sum(v)::int FROM t')).rows[0].sum).toBe(8);
  await one.query('UPDATE t SET v = 0');
});

test('an update of a table without triggers of its own leaves the coordinator out', async () => {
  const coordinator = new pg.Client({ ...herd.coordinator, user: 'postgres', database: 'postgres' });
  await coordinator.connect();
  await one.query('UPDATE t SET v = 0 WHERE id = 1');
  await one.query('BEGIN');
  await one.query('UPDATE t SET v = 0 WHERE id = 1');
  const { rows } = await coordinator.query("SELECT query FROM pg_stat_activity WHERE state = 'idle in transaction'");
  await coordinator.end();
  expect(rows).toEqual([]);
});

test('an UPDATE finds its rows first where those of another table are too many to travel with it', async () => {
  await one.query('CREATE TABLE goal (id integer PRIMARY KEY, v integer)');
  await one.query('CREATE TABLE big (id integer PRIMARY KEY, target integer, txt text)');
  for (const table of ['goal', 'big']) await one.query(`SELECT create_distributed_table('${table}', 'id')`);
  await one.query('INSERT INTO goal SELECT g, g FROM generate_series(1, 80) g');
  await one.query("INSERT INTO big SELECT g + 1000, g, repeat('x', 1000000 + g) FROM generate_series(1, 70) g");
  const updated = await one.query('UPDATE goal SET v = length(b.txt) FROM big b WHERE b.target = goal.id');
  expect(updated.rowCount).toBe(70);
  const { rows } = await one.query('SELECT sum(v)::text AS sum FROM goal');
  expect(rows[0].sum).toBe(String(70 * 1_000_000 + (80 * 81) / 2));
  await one.query('DROP TABLE goal, big');
});

test('a node that is lost in the middle fails the transactions that use it, by name, and the sessions live on', async () => {
  await one.query('BEGIN');
  await one.query('UPDATE t SET v = 1');
  await other.query('BEGIN');
  await other.query('SELECT 1');
  await herd.byName.get('worker1')!.crash();
  await expect(one.query('UPDATE t SET v = 2')).rejects.toMatchObject({
    code: '08006',
    message: expect.stringContaining('worker1'),
  });
  await expect(one.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
  await one.query('ROLLBACK');
  await other.query('SELECT 2');
  await other.query('COMMIT');
  await herd.byName.get('worker1')!.restart();
  expect((await one.query('SELECT sum(v)::int FROM t')).rows[0].sum).toBe(0);
});
