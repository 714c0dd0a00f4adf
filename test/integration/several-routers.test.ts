import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

/* Routers over one coordinator: snapshots of one, commits of the others. */

let herd: TestHerd;
const clients: pg.Client[] = [];
const accounts = 20;
const total = accounts * 100;

beforeAll(async () => {
  herd = await startHerd({ nodes: 2, routers: 3 });
  const client = await connect(0);
  await client.query('CREATE TABLE account (id integer PRIMARY KEY, balance bigint NOT NULL)');
  await client.query("SELECT create_distributed_table('account', 'id')");
  await client.query('CREATE TABLE booked (n bigint NOT NULL)');
  await client.query('INSERT INTO booked VALUES (0)');
  await client.query(`INSERT INTO account SELECT g, 100 FROM generate_series(1, ${accounts}) g`);
});

afterAll(async () => {
  for (const client of clients) await client.end();
  await herd.stop();
});

async function connect(router: number): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: herd.urls[router]! });
  // A router that ends takes its sessions along.
  client.on('error', () => undefined);
  await client.connect();
  clients.push(client);
  return client;
}

async function until(stopMs: number, work: () => Promise<void>): Promise<number> {
  let times = 0;
  for (; Date.now() < stopMs; times++) await work();
  return times;
}

test('a reader through one router sees all or nothing of the commits through the others', async () => {
  const stopMs = Date.now() + 5_000;
  const wrong: string[] = [];
  let turn = 0;
  const writer = async (router: number) => {
    const client = await connect(router);
    return until(stopMs, async () => {
      turn += 1;
      const from = 1 + ((turn * 7) % accounts);
      const to = 1 + ((turn * 11 + 3) % accounts);
      if (from === to) return;
      await client.query('BEGIN');
      for (const [id, amount] of [
        [from, -5],
        [to, 5],
      ].sort(([a], [b]) => a! - b!)) {
        await client.query('UPDATE account SET balance = balance + $2 WHERE id = $1', [id, amount]);
      }
      await client.query('COMMIT');
    });
  };
  const reader = async (router: number, isolation: string | null) => {
    const client = await connect(router);
    return until(stopMs, async () => {
      if (isolation !== null) await client.query(`BEGIN ISOLATION LEVEL ${isolation}`);
      const { rows } = await client.query('SELECT sum(balance) FROM account');
      if (isolation !== null) await client.query('COMMIT');
      if (Number(rows[0].sum) !== total) wrong.push(`router ${router}: ${rows[0].sum}`);
    });
  };
  const [writes, reads] = await Promise.all([
    Promise.all([writer(0), writer(1), writer(1)]),
    Promise.all([reader(0, null), reader(1, null), reader(2, null), reader(2, 'REPEATABLE READ')]),
  ]);
  expect(wrong).toEqual([]);
  expect(Math.min(...writes)).toBeGreaterThan(10);
  expect(Math.min(...reads)).toBeGreaterThan(10);
});

test('decisions are forgotten and nothing stays prepared', async () => {
  const coordinator = new pg.Client({ ...herd.coordinator, user: 'postgres', database: 'postgres' });
  await coordinator.connect();
  clients.push(coordinator);
  await expect
    .poll(async () => (await coordinator.query('SELECT gid FROM pgherd.transaction_decision')).rows, {
      timeout: 20_000,
    })
    .toEqual([]);
});

test('a decided transaction of a dead router is finished before a reader of another sees half of it', async () => {
  const server = async ({ host, port }: { host: string; port: number }) => {
    const client = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
    await client.connect();
    clients.push(client);
    return client;
  };
  const coordinator = await server(herd.coordinator);
  const cluster = (await coordinator.query("SELECT value FROM pgherd.meta WHERE key = 'cluster_id'")).rows[0].value;
  const { epoch } = (await coordinator.query('INSERT INTO pgherd.router_epoch DEFAULT VALUES RETURNING epoch')).rows[0];
  const key = `pgherd:${cluster}:${epoch}:1`;
  for (const [index, node] of herd.nodes.entries()) {
    const client = await server(node);
    await client.query('BEGIN');
    await client.query('UPDATE account SET balance = balance + 1 WHERE id = (SELECT min(id) FROM account)');
    await client.query(`PREPARE TRANSACTION '${key}:${index + 1}'`);
  }
  await coordinator.query("INSERT INTO pgherd.transaction_decision VALUES ($1, 'commit', now(), '{1,2}')", [key]);
  // The router died when it had told the first node.
  await (await server(herd.nodes[0]!)).query(`COMMIT PREPARED '${key}:1'`);
  const reader = await connect(2);
  const { rows } = await reader.query('SELECT sum(balance) FROM account');
  expect(Number(rows[0].sum)).toBe(total + 2);
});

test('a session with the token of another router goes on only after the snapshots that were being taken', async () => {
  const token = (await (await connect(0)).query('SHOW pgherd.causality_token')).rows[0]['pgherd.causality_token'];
  const opening = new pg.Client({ ...herd.coordinator, user: 'postgres', database: 'postgres' });
  await opening.connect();
  clients.push(opening);
  await opening.query('SELECT pg_advisory_lock($1, 0)', [0x70676865]);
  const moved = await connect(1);
  let ready = false;
  const setting = moved.query(`SET pgherd.causality_token = '${token}'`).then(() => {
    ready = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(ready).toBe(false);
  await opening.query('SELECT pg_advisory_unlock($1, 0)', [0x70676865]);
  await setting;
});

test('a router that does not share the herd is not started beside others', async () => {
  const coordinator = new pg.Client({ ...herd.coordinator, user: 'postgres', database: 'postgres' });
  await coordinator.connect();
  clients.push(coordinator);
  const { rows } = await coordinator.query(
    "SELECT mode, count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND classid = $1 GROUP BY mode",
    [0x70676866],
  );
  expect(rows).toEqual([{ mode: 'ShareLock', count: 3 }]);
});

test('functions find their way back to the router of their session, whichever that is, and whichever have gone', async () => {
  const first = await connect(0);
  await first.query(`CREATE FUNCTION money() RETURNS numeric LANGUAGE plpgsql AS
    $$ BEGIN UPDATE account SET balance = balance + 1 WHERE id = 1; RETURN (SELECT sum(balance) FROM account); END $$`);
  const moneyBy = async (client: pg.Client) => {
    await client.query('BEGIN');
    const { rows } = await client.query('SELECT money() AS money');
    await client.query('ROLLBACK');
    return Number(rows[0].money);
  };
  const money = 1 + Number((await first.query('SELECT sum(balance) AS sum FROM account')).rows[0].sum);
  const sessions = await Promise.all([0, 1, 2, 0, 1, 2].map(connect));
  for (let round = 0; round < 2; round++)
    expect(await Promise.all(sessions.map(moneyBy))).toEqual(sessions.map(() => money));
  const doors = async () => (await first.query('SELECT count(*)::int AS count FROM pgherd.router_door')).rows[0].count;
  expect(await doors()).toBe(3);
  await herd.routers[2]!.stop();
  expect(await doors()).toBe(2);
  const later = await Promise.all([0, 1].map(connect));
  expect(await Promise.all(later.map(moneyBy))).toEqual([money, money]);
});
