import net from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { encodeStartup } from '../../src/wire/frontend.ts';
import { allServers, startHerd, type TestHerd } from '../harness/herd.ts';

/** Cancel requests, timeouts and encodings reach every server, and leave the session usable. */

let herd: TestHerd;
let client: pg.Client;
const clients: pg.Client[] = [];

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  client = await login();
  await client.query('CREATE TABLE points (id int PRIMARY KEY, v int)');
  await client.query("SELECT create_distributed_table('points', 'id')");
  await client.query('INSERT INTO points SELECT i, i FROM generate_series(1, 40) i');
});

afterAll(async () => {
  for (const each of clients) await each.end().catch(() => {});
  await herd?.stop();
});

async function login(options: pg.ClientConfig = {}, port = herd.port): Promise<pg.Client> {
  const made = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres', ...options });
  made.on('error', () => {});
  await made.connect();
  clients.push(made);
  return made;
}

async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'none';
  } catch (error) {
    return `${(error as pg.DatabaseError).code} ${(error as Error).message}`;
  }
}

/** Statements that a server is running for clients of the router. */
async function running(): Promise<number> {
  const counts = await Promise.all(
    allServers(herd).map(async ({ port }) => {
      const direct = await login({}, port);
      const { rows } = await direct.query(
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE state = 'active' AND query ~ 'pg_sleep' AND pid <> pg_backend_pid()",
      );
      await direct.end();
      return rows[0].n as number;
    }),
  );
  return counts.reduce((sum, n) => sum + n, 0);
}

async function cancel(target: pg.Client): Promise<void> {
  const { processID, secretKey } = target as unknown as { processID: number; secretKey: number };
  const canceller = new pg.Client({ host: '127.0.0.1', port: herd.port }) as unknown as {
    connection: {
      connect(port: number, host: string): void;
      on(event: string, listener: () => void): void;
      cancel(id: number, key: number): void;
    };
  };
  await new Promise<void>((resolve) => {
    canceller.connection.on('connect', () => canceller.connection.cancel(processID, secretKey));
    canceller.connection.on('end', resolve);
    canceller.connection.on('error', resolve);
    canceller.connection.connect(herd.port, '127.0.0.1');
  });
}

const slow: readonly (readonly [string, string])[] = [
  ['a scatter', 'SELECT id, pg_sleep(20) FROM points'],
  ['a change on all nodes', 'UPDATE points SET v = v WHERE pg_sleep(20) IS NOT NULL'],
  ['one shard', 'SELECT pg_sleep(20) FROM points WHERE id = 5'],
  ['a gather', 'SELECT a.id, pg_sleep(20) FROM points a JOIN points b ON a.v = b.id'],
  ['the coordinator', 'SELECT pg_sleep(20)'],
];

for (const [name, sql] of slow) {
  test(`a cancel request ends ${name} at once, on every server`, async () => {
    const victim = await login();
    const started = Date.now();
    const answer = failure(victim.query(sql));
    await vi.waitFor(async () => expect(await running()).toBeGreaterThan(0), { timeout: 5_000 });
    await cancel(victim);
    expect(await answer).toMatch(/^57014 canceling statement due to user request/);
    expect(Date.now() - started).toBeLessThan(10_000);
    await vi.waitFor(async () => expect(await running()).toBe(0), { timeout: 5_000 });
    const { rows } = await victim.query('SELECT count(*)::int AS n FROM points');
    expect(rows).toEqual([{ n: 40 }]);
    await victim.end();
  });
}

test('a cancel request in a transaction fails it, and it can be rolled back', async () => {
  const victim = await login();
  await victim.query('BEGIN');
  await victim.query('UPDATE points SET v = -1 WHERE id = 3');
  const answer = failure(victim.query('SELECT pg_sleep(20) FROM points'));
  await vi.waitFor(async () => expect(await running()).toBeGreaterThan(0), { timeout: 5_000 });
  await cancel(victim);
  expect(await answer).toMatch(/^57014/);
  expect(await failure(victim.query('SELECT 1'))).toMatch(/^25P02/);
  await victim.query('ROLLBACK');
  expect((await victim.query('SELECT v FROM points WHERE id = 3')).rows).toEqual([{ v: 3 }]);
  await victim.end();
});

test('a cancel request with a wrong key, or too late, does nothing', async () => {
  const victim = await login();
  await cancel(Object.assign(Object.create(victim), { secretKey: 1 }));
  await victim.query('SELECT 1');
  await cancel(victim);
  expect((await victim.query('SELECT count(*)::int AS n FROM points')).rows).toEqual([{ n: 40 }]);
  await victim.end();
});

test('a client that goes away takes its statements with it', async () => {
  const victim = await login();
  victim.query('SELECT id, pg_sleep(20) FROM points').catch(() => {});
  await vi.waitFor(async () => expect(await running()).toBeGreaterThan(0), { timeout: 5_000 });
  (victim as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  await vi.waitFor(async () => expect(await running()).toBe(0), { timeout: 5_000 });
});

test('statement_timeout ends fragments on nodes, and only those of its session', async () => {
  const hasty = await login();
  await hasty.query("SET statement_timeout = '200ms'");
  for (const [, sql] of slow) {
    expect(await failure(hasty.query(sql))).toMatch(/^57014 canceling statement due to statement timeout/);
  }
  await hasty.query("BEGIN; SET LOCAL statement_timeout = '20s'");
  await hasty.query('SELECT pg_sleep(0.3) FROM points WHERE id = 5');
  await hasty.query('COMMIT');
  await hasty.end();
  await client.query('SELECT pg_sleep(0.3) FROM points WHERE id = 5');
});

test('statement_timeout of the startup packet does too', async () => {
  const hasty = await login({ statement_timeout: 200 });
  expect(await failure(hasty.query('SELECT id, pg_sleep(20) FROM points'))).toMatch(/^57014/);
  await hasty.end();
});

test('lock_timeout ends waits for locks on nodes', async () => {
  const hasty = await login();
  await client.query('BEGIN');
  await client.query('UPDATE points SET v = v WHERE id = 5');
  await hasty.query("SET lock_timeout = '200ms'");
  expect(await failure(hasty.query('UPDATE points SET v = v WHERE id = 5'))).toMatch(/^55P03/);
  expect(await failure(hasty.query('UPDATE points SET v = v'))).toMatch(/^55P03/);
  await client.query('ROLLBACK');
  await hasty.query('UPDATE points SET v = v');
  await hasty.end();
});

test('idle_in_transaction_session_timeout ends the session, and frees its locks on nodes', async () => {
  const idle = await login();
  await idle.query("SET idle_in_transaction_session_timeout = '300ms'");
  const ended = new Promise<Error>((resolve) => idle.on('error', resolve));
  await idle.query('BEGIN');
  await idle.query('UPDATE points SET v = v WHERE id = 5');
  expect((await ended) as pg.DatabaseError).toMatchObject({ code: '25P03' });
  await client.query("SET lock_timeout = '5s'");
  await client.query('UPDATE points SET v = v WHERE id = 5');
  await client.query('RESET lock_timeout');
});

test('idle_in_transaction_session_timeout does not count the time that statements take', async () => {
  const busy = await login();
  await busy.query("SET idle_in_transaction_session_timeout = '400ms'");
  expect((await busy.query('SHOW idle_in_transaction_session_timeout')).rows).toEqual([
    { idle_in_transaction_session_timeout: '400ms' },
  ]);
  await busy.query('BEGIN');
  await busy.query('UPDATE points SET v = v WHERE id = 5');
  await busy.query('SELECT pg_sleep(1)');
  await busy.query('SELECT pg_sleep(1) FROM points WHERE id = 6');
  await busy.query('UPDATE points SET v = v WHERE id = 5');
  await busy.query('COMMIT');
  // Outside a transaction it does not count at all.
  await new Promise((resolve) => setTimeout(resolve, 800));
  await busy.query('SELECT count(*) FROM points');
  await busy.end();
});

test('an encoding other than UTF8 is refused with its code, and the session goes on', async () => {
  const writer = await login();
  for (const sql of [
    "SET client_encoding = 'LATIN1'",
    "SET NAMES 'latin1'",
    "SET LOCAL client_encoding TO 'WIN1252'",
  ]) {
    expect(await failure(writer.query(sql))).toMatch(/^0A000 .*PH009/);
  }
  expect(await failure(writer.query("SELECT set_config('client_encoding', 'LATIN1', false)"))).toMatch(/PH009/);
  await writer.query(
    "SET client_encoding = 'UTF8'; SET NAMES 'utf-8'; RESET client_encoding; SET client_encoding TO DEFAULT",
  );
  expect((await writer.query("SELECT 'žluťoučký' AS text")).rows).toEqual([{ text: 'žluťoučký' }]);
  expect((await writer.query('SHOW client_encoding')).rows).toEqual([{ client_encoding: 'UTF8' }]);
  await writer.end();
  expect(await startupAnswer({ user: 'postgres', database: 'postgres', client_encoding: 'LATIN1' })).toContain('PH009');
});

/** What the router says to a startup packet until it hangs up. */
async function startupAnswer(parameters: Record<string, string>): Promise<string> {
  const socket = net.connect({ host: '127.0.0.1', port: herd.port });
  const heard: Buffer[] = [];
  socket.on('data', (chunk) => heard.push(chunk));
  socket.write(encodeStartup(Object.entries(parameters)));
  await new Promise((resolve) => socket.on('close', resolve));
  return Buffer.concat(heard).toString('latin1');
}
