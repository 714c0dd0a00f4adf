import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

let herd: TestHerd;
let client: pg.Client;

const connect = async (url = herd.url) => {
  const opened = new pg.Client({ connectionString: url });
  await opened.connect();
  return opened;
};
const rows = async (sql: string) => (await client.query(sql)).rows;

/** Validity of an index: on the shell, and for each node how many of its relations have it, valid and not. */
async function state(name: string) {
  const sql = `SELECT coalesce(sum(i.indisvalid::int), 0)::int AS valid, count(*)::int - coalesce(sum(i.indisvalid::int), 0)::int AS invalid
    FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid WHERE c.relname = '${name}'`;
  const found = [];
  for (const { host, port } of [herd.coordinator, ...herd.nodes]) {
    const direct = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
    await direct.connect();
    const { valid, invalid } = (await direct.query(sql)).rows[0];
    found.push(`${valid}/${invalid}`);
    await direct.end();
  }
  return found.join(' ');
}

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  client = await connect();
  await client.query('CREATE TABLE t (id int, v int, w text)');
  await client.query("SELECT create_distributed_table('t', 'id', shard_count := 4)");
  await client.query("INSERT INTO t SELECT g, g % 50, 'w' || g FROM generate_series(1, 200) g");
}, 120_000);

afterAll(async () => {
  await client?.end();
  await herd?.stop();
});

test('CREATE INDEX CONCURRENTLY lets writes through while it waits, and ends with a valid index everywhere', async () => {
  const writer = await connect();
  await writer.query('BEGIN');
  await writer.query('INSERT INTO t VALUES (1001, 1)');
  const other = await connect();
  const building = other.query('CREATE INDEX CONCURRENTLY t_v ON t (v) INCLUDE (w) WHERE v > 10');
  let built = false;
  void building.then(() => {
    built = true;
  });
  await expect.poll(() => state('t_v'), { timeout: 20_000, interval: 100 }).toMatch(/^0\/1 .*[1-9]/);
  // Rows for every shard: were a leaf locked, one of these would wait.
  await client.query("SET statement_timeout = '10s'");
  await client.query('INSERT INTO t SELECT g, 12 FROM generate_series(2001, 2040) g');
  await client.query('UPDATE t SET v = 13 WHERE id BETWEEN 2001 AND 2040');
  await client.query('RESET statement_timeout');
  expect(built).toBe(false);
  const [{ job_id: atWork }] = await rows("SELECT job_id FROM pgherd.job WHERE state = 'running'");
  await expect(client.query(`SELECT pgherd_resume_job(${atWork})`)).rejects.toMatchObject({ code: '55006' });
  expect(await rows("SELECT state FROM pgherd.job WHERE kind = 'create index' ORDER BY job_id DESC LIMIT 1")).toEqual([
    { state: 'running' },
  ]);
  await writer.query('COMMIT');
  await building;
  // The parent and two leaves on each node.
  expect(await state('t_v')).toBe('1/0 3/0 3/0');
  const [job] = await rows('SELECT state, progress FROM pgherd.job ORDER BY job_id DESC LIMIT 1');
  expect(job.state).toBe('finished');
  expect([...job.progress.nodes].sort()).toEqual(['worker1', 'worker2']);
  expect(await rows('SELECT count(*)::int AS n FROM t WHERE v = 13')).toEqual([{ n: 40 + 4 }]);
  await writer.end();
  await other.end();
}, 60_000);

test('a failure leaves an INVALID index that is in nobody’s way and can be dropped', async () => {
  await client.query("INSERT INTO t VALUES (5, 5, 'twice'), (5, 5, 'twice')");
  await expect(client.query('CREATE UNIQUE INDEX CONCURRENTLY t_unique ON t (id, w)')).rejects.toMatchObject({
    code: '23505',
    hint: expect.stringMatching(/is invalid now.*pgherd_resume_job\(\d+\)/s),
  });
  expect(await state('t_unique')).toMatch(/^0\/1 /);
  await client.query('ALTER TABLE t ADD COLUMN x int');
  await client.query('DROP INDEX t_unique');
  expect(await state('t_unique')).toBe('0/0 0/0 0/0');
}, 60_000);

test('what failed can be resumed', async () => {
  await expect(client.query('CREATE UNIQUE INDEX CONCURRENTLY t_unique ON t (id, w)')).rejects.toMatchObject({
    code: '23505',
  });
  await client.query("DELETE FROM t WHERE w = 'twice'");
  const [job] = await rows(
    "SELECT job_id, state, error FROM pgherd.job WHERE state = 'failed' ORDER BY job_id DESC LIMIT 1",
  );
  expect(job.error).toMatch(/unique/);
  await client.query(`SELECT pgherd_resume_job(${job.job_id})`);
  expect(await state('t_unique')).toBe('1/0 3/0 3/0');
  await client.query("INSERT INTO t VALUES (5, 5, 'once')");
  await expect(client.query("INSERT INTO t VALUES (5, 5, 'once')")).rejects.toMatchObject({
    code: '23505',
    constraint: 't_unique',
  });
  await expect(client.query(`SELECT pgherd_resume_job(${job.job_id})`)).rejects.toMatchObject({ code: '55000' });
}, 60_000);

test('DROP INDEX CONCURRENTLY waits for readers without making others wait', async () => {
  const reader = await connect();
  await reader.query('BEGIN');
  await reader.query('SELECT count(*) FROM t');
  const other = await connect();
  const dropping = other.query('DROP INDEX CONCURRENTLY t_unique');
  await expect.poll(() => state('t_unique'), { timeout: 20_000, interval: 100 }).toMatch(/^0\/1 /);
  await client.query("SET statement_timeout = '10s'");
  for (let i = 0; i < 5; i++) await client.query('SELECT count(*) FROM t');
  await client.query('RESET statement_timeout');
  await reader.query('COMMIT');
  await dropping;
  expect(await state('t_unique')).toBe('0/0 0/0 0/0');
  await reader.end();
  await other.end();
}, 60_000);

test('neither runs in a transaction block', async () => {
  for (const sql of ['CREATE INDEX CONCURRENTLY t_w ON t (w)', 'DROP INDEX CONCURRENTLY t_v']) {
    await client.query('BEGIN');
    await expect(client.query(sql)).rejects.toMatchObject({ code: '25001' });
    await client.query('ROLLBACK');
  }
  expect(await state('t_v')).toBe('1/0 3/0 3/0');
});

test('REINDEX CONCURRENTLY works on the index and on the table', async () => {
  await client.query('REINDEX INDEX CONCURRENTLY t_v');
  await client.query('REINDEX TABLE CONCURRENTLY t');
  expect(await state('t_v')).toBe('1/0 3/0 3/0');
}, 60_000);

test('an index without a name, IF NOT EXISTS, a reference table, and a local one', async () => {
  await client.query('CREATE INDEX CONCURRENTLY ON t (x)');
  expect(await state('t_x_idx')).toBe('1/0 3/0 3/0');
  await client.query('CREATE INDEX CONCURRENTLY IF NOT EXISTS t_x_idx ON t (x)');
  expect(await state('t_x_idx')).toBe('1/0 3/0 3/0');
  await client.query('CREATE TABLE r (a int PRIMARY KEY, b int)');
  await client.query("SELECT create_reference_table('r')");
  await client.query('INSERT INTO r VALUES (1, 2)');
  await client.query('CREATE INDEX CONCURRENTLY r_b ON r (b)');
  expect(await state('r_b')).toBe('1/0 1/0 1/0');
  await client.query('DROP INDEX CONCURRENTLY r_b');
  expect(await state('r_b')).toBe('0/0 0/0 0/0');
  await client.query('CREATE TABLE here (a int)');
  await client.query('CREATE INDEX CONCURRENTLY here_a ON here (a)');
  await client.query('DROP INDEX CONCURRENTLY here_a');
  expect(await state('here_a')).toBe('0/0 0/0 0/0');
}, 60_000);

test('a unique index without the distribution column is made in one transaction, and says so', async () => {
  await client.query('CREATE TABLE u (id int, w int)');
  await client.query("SELECT create_distributed_table('u', 'id', shard_count := 4)");
  const notices: string[] = [];
  const note = (notice: { message?: string | undefined }) => notices.push(notice.message ?? '');
  client.on('notice', note);
  await client.query('CREATE UNIQUE INDEX CONCURRENTLY u_w ON u (w)');
  client.off('notice', note);
  expect(notices.join()).toMatch(/one transaction/);
  await client.query('INSERT INTO u VALUES (1, 1)');
  await expect(client.query('INSERT INTO u VALUES (2, 1)')).rejects.toMatchObject({ code: '23505' });
  await client.query('CREATE TABLE anywhere (w int) DISTRIBUTED RANDOMLY');
  await client.query('CREATE UNIQUE INDEX CONCURRENTLY anywhere_w ON anywhere (w)');
  await client.query('INSERT INTO anywhere VALUES (1), (2), (3), (4)');
  for (const w of [1, 2, 3, 4]) {
    await expect(client.query('INSERT INTO anywhere VALUES ($1)', [w])).rejects.toMatchObject({ code: '23505' });
  }
  await client.query('CREATE TABLE plain (w int) DISTRIBUTED RANDOMLY');
  await client.query('CREATE INDEX CONCURRENTLY plain_w ON plain (w)');
  expect(await state('plain_w')).toBe('1/0 1/0 1/0');
});

test('an ordinary owner builds and drops its indexes, nobody else does', async () => {
  await client.query('CREATE ROLE owner LOGIN; CREATE ROLE stranger LOGIN; GRANT CREATE ON SCHEMA public TO owner');
  const owner = await connect(herd.url.replace('postgres@', 'owner@'));
  await owner.query('CREATE TABLE o (id int, v int)');
  await owner.query("SELECT create_distributed_table('o', 'id', shard_count := 4)");
  await owner.query('CREATE INDEX CONCURRENTLY o_v ON o (v)');
  expect(await state('o_v')).toBe('1/0 3/0 3/0');
  const stranger = await connect(herd.url.replace('postgres@', 'stranger@'));
  await expect(stranger.query('DROP INDEX CONCURRENTLY o_v')).rejects.toMatchObject({ code: '42501' });
  await expect(stranger.query('CREATE INDEX CONCURRENTLY o_w ON o (v)')).rejects.toMatchObject({ code: '42501' });
  expect(await state('o_v')).toBe('1/0 3/0 3/0');
  await owner.query('DROP INDEX CONCURRENTLY o_v');
  expect(await state('o_v')).toBe('0/0 0/0 0/0');
  await Promise.all([owner.end(), stranger.end()]);
}, 60_000);
