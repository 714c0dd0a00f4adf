import { execFileSync } from 'node:child_process';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

/* One router of two processes. Clients go to them in turn. */

const token = 'a token of enough length';
let herd: TestHerd;
const clients: pg.Client[] = [];

beforeAll(async () => {
  herd = await startHerd({ nodes: 2, workers: 2, http: { guard: { kind: 'token', token }, tls: null } });
  const client = await connect();
  await client.query('CREATE TABLE item (id integer PRIMARY KEY, amount bigint NOT NULL)');
  await client.query("SELECT create_distributed_table('item', 'id', shard_count := 4)");
  await client.query('INSERT INTO item SELECT g, 100 FROM generate_series(1, 100) g');
});

afterAll(async () => {
  await Promise.all(clients.map((client) => client.end().catch(() => {})));
  await herd?.stop();
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: herd.url });
  client.on('error', () => {});
  await client.connect();
  clients.push(client);
  return client;
}

const slotOf = (client: pg.Client) => (client as unknown as { processID: number }).processID >>> 24;

/** A client of each worker. */
async function connectBoth(): Promise<[pg.Client, pg.Client]> {
  const found = new Map<number, pg.Client>();
  for (let tries = 0; found.size < 2 && tries < 20; tries++) {
    const client = await connect();
    found.set(slotOf(client), client);
  }
  return [found.get(0)!, found.get(1)!];
}

/** The processes of the workers, by slot. */
function workerPids(): number[] {
  const lines = execFileSync('ps', ['--ppid', String(process.pid), '-o', 'pid=,args='], { encoding: 'utf8' }).split(
    '\n',
  );
  return lines.filter((line) => line.includes('workers/worker.ts')).map((line) => Number.parseInt(line, 10));
}

const code = (outcome: Promise<unknown>) =>
  outcome.then(
    () => 'none',
    (error: { code?: string }) => error.code,
  );

test('a cancel request that comes to the other worker reaches the session', async () => {
  const both = await connectBoth();
  for (const client of [...both, ...both]) {
    const outcome = code(client.query('SELECT pg_sleep(30), count(*) FROM item'));
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
    const messenger = new pg.Client({ connectionString: herd.url }) as unknown as {
      connection: pg.Connection & { cancel(processId: number, secret: number): void };
    };
    messenger.connection.on('connect', () => messenger.connection.cancel(processID, secretKey));
    (messenger.connection as unknown as { connect(port: number, host: string): void }).connect(herd.port, '127.0.0.1');
    expect(await outcome).toBe('57014');
  }
});

test('a schema change through one worker is known to the other when the statement returns', async () => {
  const [first, second] = await connectBoth();
  for (let i = 0; i < 4; i++) {
    const [changing, other] = i % 2 === 0 ? [first, second] : [second, first];
    await changing.query(`CREATE TABLE made_${i} (id integer PRIMARY KEY)`);
    await changing.query(`SELECT create_distributed_table('made_${i}', 'id', shard_count := 4)`);
    await other.query(`INSERT INTO made_${i} VALUES (1), (2), (3)`);
    expect((await other.query(`SELECT count(*) FROM made_${i}`)).rows).toEqual([{ count: '3' }]);
    await changing.query(`ALTER TABLE made_${i} ADD COLUMN note text DEFAULT 'x'`);
    expect((await other.query(`SELECT note FROM made_${i} WHERE id = 2`)).rows).toEqual([{ note: 'x' }]);
  }
});

test('a circle of waiting through both workers is broken', async () => {
  const [first, second] = await connectBoth();
  const node = async (low: number) =>
    (await first.query('SELECT min(id) AS id FROM item WHERE gp_segment_id = $1', [low])).rows[0].id;
  const [a, b] = [await node(0), await node(1)];
  const add = (client: pg.Client, id: number) =>
    client.query('UPDATE item SET amount = amount + 1 WHERE id = $1', [id]);
  await first.query('BEGIN');
  await second.query('BEGIN');
  await add(first, a);
  await add(second, b);
  const waits = async (client: pg.Client, id: number) => {
    const outcome = await code(add(client, id));
    await client.query('ROLLBACK');
    return outcome;
  };
  const outcomes = await Promise.all([waits(first, b), waits(second, a)]);
  expect(outcomes.toSorted()).toEqual(['40P01', 'none']);
});

test('what workers tell from memory is told of both', async () => {
  const both = await connectBoth();
  await both[0].query('SELECT citus_stat_statements_reset()');
  for (const client of both) await client.query('SELECT amount FROM item WHERE id = 7');
  for (const client of both) {
    const { rows } = await client.query(
      "SELECT calls FROM citus_stat_statements WHERE query = 'SELECT amount FROM item WHERE id = $1'",
    );
    expect(rows).toEqual([{ calls: '2' }]);
    await client.query('BEGIN');
    await client.query('UPDATE item SET amount = amount');
    await client.query('COMMIT');
  }
  for (const client of both) {
    const { rows } = await client.query(
      "SELECT count(DISTINCT gid) FROM pgherd_transaction_log WHERE step = 'outcome'",
    );
    expect(Number(rows[0].count)).toBeGreaterThanOrEqual(2);
  }
});

test('the metrics are of both workers', async () => {
  const both = await connectBoth();
  const counted = async () => {
    const headers = { authorization: `Bearer ${token}` };
    const text = await (await fetch(`http://127.0.0.1:${herd.httpPort}/metrics`, { headers })).text();
    return Number(/^pgherd_statements_total\{class="delete"\} (\d+)/m.exec(text)?.[1]);
  };
  const before = await counted();
  for (const client of both) await client.query('DELETE FROM item WHERE id = -1');
  await expect.poll(counted, { timeout: 20_000 }).toBe(before + 2);
});

test('functions that read distributed tables find their way back to the worker that called them', async () => {
  const both = await connectBoth();
  await both[0].query(`CREATE FUNCTION total() RETURNS bigint LANGUAGE plpgsql
    AS $$ BEGIN RETURN (SELECT sum(amount) FROM item); END $$`);
  for (let i = 0; i < 4; i++) {
    for (const client of await connectBoth()) {
      await client.query('BEGIN');
      await client.query('UPDATE item SET amount = amount + 1 WHERE id = 1');
      expect((await client.query('SELECT total()')).rows).toEqual([{ total: '10001' }]);
      await client.query('ROLLBACK');
    }
  }
});

test('a snapshot exported by one worker is imported by the other', async () => {
  const [leader, follower] = await connectBoth();
  await leader.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await leader.query('SELECT count(*) FROM item');
  const { rows } = await leader.query('SELECT pg_export_snapshot()');
  await (await connect()).query('INSERT INTO item VALUES (1000, 1)');
  await follower.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await follower.query(`SET TRANSACTION SNAPSHOT '${rows[0].pg_export_snapshot}'`);
  expect((await follower.query('SELECT count(*) FROM item')).rows).toEqual([{ count: '100' }]);
  await leader.query('COMMIT');
  await follower.query('COMMIT');
  await leader.query('DELETE FROM item WHERE id = 1000');
});

test('pg_terminate_backend reaches a session of the other worker', async () => {
  const [first, second] = await connectBoth();
  const [observer] = await connectBoth();
  await first.query('BEGIN');
  await first.query('UPDATE item SET amount = 0');
  const outcome = code(second.query('UPDATE item SET amount = 4711'));
  const sql = `SELECT min(global_pid) AS pid FROM citus_stat_activity
    WHERE state = 'active' AND nodeid > 0 AND query LIKE '%47' || '11%'`;
  let pid: string | null = null;
  await expect.poll(async () => (pid = (await observer.query(sql)).rows[0].pid), { timeout: 20_000 }).not.toBeNull();
  await observer.query('SELECT pg_terminate_backend($1)', [pid]);
  expect(await outcome).toBe('57P01');
  await first.query('ROLLBACK');
});

test('a worker that is killed is started anew, what it left is settled, and the other goes on', async () => {
  const [first, second] = await connectBoth();
  const ended = new Promise((resolve) => second.once('end', resolve));
  await second.query('BEGIN');
  await second.query('UPDATE item SET amount = amount + 1');
  const before = workerPids();
  expect(before).toHaveLength(2);
  process.kill(before[1]!, 'SIGKILL');
  await ended;
  // Its locks go with its connections.
  await first.query('UPDATE item SET amount = amount + 2');
  expect((await first.query('SELECT sum(amount)::int FROM item')).rows).toEqual([{ sum: 100 * 102 }]);
  await expect.poll(workerPids, { timeout: 20_000 }).toHaveLength(2);
  await expect.poll(async () => (await connectBoth())[1] !== undefined, { timeout: 20_000 }).toBe(true);
  const [again] = (await connectBoth()).slice(1);
  expect((await again!.query('SELECT sum(amount)::int FROM item')).rows).toEqual([{ sum: 100 * 102 }]);
  await again!.query('CREATE TABLE after_it (id integer PRIMARY KEY)');
  expect((await first.query('SELECT count(*) FROM after_it')).rows).toEqual([{ count: '0' }]);
});
