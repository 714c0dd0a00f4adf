import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

/* PREPARE TRANSACTION, COMMIT PREPARED and ROLLBACK PREPARED by a client. */

let herd: TestHerd;
let client: pg.Client;
const clients: pg.Client[] = [];

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  client = await connect(herd.url);
  await client.query('CREATE TABLE t (id integer PRIMARY KEY, v integer NOT NULL)');
  await client.query("SELECT create_distributed_table('t', 'id')");
  await client.query('CREATE TABLE l (v integer)');
  await client.query('INSERT INTO t SELECT g, 0 FROM generate_series(1, 20) g');
});

afterAll(async () => {
  for (const each of clients) await each.end();
  await herd.stop();
});

async function connect(url: string): Promise<pg.Client> {
  const connected = new pg.Client({ connectionString: url });
  await connected.connect();
  clients.push(connected);
  return connected;
}

const server = ({ host, port }: { host: string; port: number }) =>
  connect(`postgresql://postgres@${host}:${port}/postgres`);

async function gids(): Promise<string[][]> {
  return Promise.all(
    [herd.coordinator, ...herd.nodes].map(async (place) => {
      const { rows } = await (await server(place)).query('SELECT gid FROM pg_prepared_xacts ORDER BY gid');
      return rows.map(({ gid }) => gid);
    }),
  );
}

const sum = async () => Number((await client.query('SELECT sum(v) FROM t')).rows[0].sum);

async function prepare(gid: string): Promise<void> {
  await client.query('BEGIN');
  await client.query('UPDATE t SET v = v + 1');
  await client.query('INSERT INTO l VALUES (1)');
  await client.query(`PREPARE TRANSACTION '${gid.replaceAll("'", "''")}'`);
}

test('what was prepared is on all servers, seen by nobody, and is committed by any session', async () => {
  await prepare('first');
  expect(await gids()).toEqual([['first'], ['first'], ['first']]);
  expect(await sum()).toBe(0);
  await (await connect(herd.url)).query("COMMIT PREPARED 'first'");
  expect(await sum()).toBe(20);
  expect((await client.query('SELECT count(*)::int FROM l')).rows[0].count).toBe(1);
  expect(await gids()).toEqual([[], [], []]);
});

test('or rolled back', async () => {
  await prepare("it's second");
  await client.query("ROLLBACK PREPARED 'it''s second'");
  expect(await sum()).toBe(20);
  expect(await gids()).toEqual([[], [], []]);
});

test('a name that nobody has, or that is taken, is refused and leaves nothing behind', async () => {
  await expect(client.query("COMMIT PREPARED 'nobody'")).rejects.toMatchObject({ code: '42704' });
  await expect(client.query("ROLLBACK PREPARED 'nobody'")).rejects.toMatchObject({ code: '42704' });
  await prepare('taken');
  await client.query('BEGIN');
  await client.query('INSERT INTO t VALUES (100, 1)');
  await expect(client.query("PREPARE TRANSACTION 'taken'")).rejects.toMatchObject({ code: '42710' });
  expect((await client.query('SELECT 1 AS alive')).rows).toEqual([{ alive: 1 }]);
  expect((await client.query('SELECT count(*)::int FROM t WHERE id = 100')).rows[0].count).toBe(0);
  await client.query("ROLLBACK PREPARED 'taken'");
  await expect(client.query("COMMIT PREPARED 'pgherd:x:1:1:1'")).rejects.toMatchObject({ code: '22023' });
});

test('in a failed transaction PREPARE rolls back, and COMMIT PREPARED is refused in a block', async () => {
  await client.query('BEGIN');
  await client.query('SELECT 1 / 0').catch(() => {});
  expect((await client.query("PREPARE TRANSACTION 'failed'")).command).toBe('ROLLBACK');
  await client.query('BEGIN');
  await expect(client.query("COMMIT PREPARED 'failed'")).rejects.toMatchObject({ code: '25001' });
  await client.query('ROLLBACK');
});

test('a transaction that was prepared in part only can be rolled back, and not committed', async () => {
  const node = await server(herd.nodes[0]!);
  await node.query('BEGIN');
  await node.query('UPDATE t SET v = v + 1');
  await node.query("PREPARE TRANSACTION 'part'");
  await expect(client.query("COMMIT PREPARED 'part'")).rejects.toMatchObject({ code: '42704' });
  await client.query("ROLLBACK PREPARED 'part'");
  expect(await gids()).toEqual([[], [], []]);
});

test('a commit that was begun can be repeated, and not turned round', async () => {
  await prepare('begun');
  const coordinator = await server(herd.coordinator);
  await coordinator.query(
    "INSERT INTO pgherd.transaction_decision (gid, decision, nodes) VALUES ('pgherd:client:0:begun', 'commit', '{1,2}')",
  );
  await (await server(herd.nodes[0]!)).query("COMMIT PREPARED 'begun'");
  await expect(client.query("ROLLBACK PREPARED 'begun'")).rejects.toMatchObject({ code: '55000' });
  await client.query("COMMIT PREPARED 'begun'");
  expect(await sum()).toBe(40);
  await expect
    .poll(async () => (await coordinator.query('SELECT gid FROM pgherd.transaction_decision')).rows, {
      timeout: 20_000,
    })
    .toEqual([]);
});

test('a role that the session has set owns it, and another one is refused', async () => {
  await client.query('CREATE ROLE preparer LOGIN');
  await client.query('CREATE ROLE stranger LOGIN');
  await client.query('GRANT ALL ON t, l TO preparer');
  await client.query('BEGIN');
  await client.query('SET LOCAL ROLE preparer');
  await client.query('UPDATE t SET v = v + 1');
  await client.query("PREPARE TRANSACTION 'owned'");
  const stranger = await connect(herd.url.replace('postgres@', 'stranger@'));
  await expect(stranger.query("COMMIT PREPARED 'owned'")).rejects.toMatchObject({ code: '42501' });
  const preparer = await connect(herd.url.replace('postgres@', 'preparer@'));
  await preparer.query("COMMIT PREPARED 'owned'");
  expect(await sum()).toBe(60);
});
