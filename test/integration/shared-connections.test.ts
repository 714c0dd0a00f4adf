import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ConnectionPool } from '../../src/backend/pool.ts';
import type { Rider, SharedConnection } from '../../src/backend/shared-connection.ts';
import { decodeDataRow, decodeErrorFields } from '../../src/wire/backend.ts';
import { encodeQuery } from '../../src/wire/frontend.ts';
import { backend as message } from '../../src/wire/message-types.ts';
import { type HerdServers, startHerdServers } from '../harness/postgres.ts';

let servers: HerdServers;
const pools: ConnectionPool[] = [];

beforeAll(async () => {
  servers = await startHerdServers({ nodes: 0 });
}, 120_000);

afterAll(async () => {
  for (const pool of pools) pool.close();
  await servers?.stop();
});

/** With one free connection. */
async function newPool(maxConnections = 5): Promise<ConnectionPool> {
  const { host, port } = servers.coordinator;
  const place = { label: 'server', host, port, database: 'postgres', user: 'postgres', tls: null };
  const pool = new ConnectionPool({ ...place, secret: { kind: 'none' } }, maxConnections, new Map(), true);
  pools.push(pool);
  pool.release(await pool.acquire());
  return pool;
}

const shared = (pool: ConnectionPool): SharedConnection | null => pool.shared!.get('');

/** Everything that a rider hears, in words. */
class Heard implements Rider {
  readonly words: string[] = [];

  onFrame(type: number, frame: Buffer): void {
    if (type === message.dataRow) this.words.push(String(decodeDataRow(frame)[0]).slice(0, 20));
    if (type === message.errorResponse) this.words.push(decodeErrorFields(frame).code);
  }

  onReady(): void {
    this.words.push('ready');
  }

  onLost(): void {
    this.words.push('lost');
  }

  onMoved(): void {
    this.words.push('moved');
  }

  onAlone(isHeavy: boolean): void {
    this.words.push(isHeavy ? 'heavy' : 'alone');
  }
}

class Again extends Heard {
  readonly #then: () => void;

  constructor(then: () => void) {
    super();
    this.#then = then;
  }

  override onReady(): void {
    this.#then();
  }
}

function join(line: SharedConnection, sql: string, prepares = false): Heard {
  const heard = new Heard();
  line.join(encodeQuery(sql), heard, prepares);
  return heard;
}

const words = (heard: Heard, count: number) =>
  expect
    .poll(() => heard.words.length, { timeout: 20_000, interval: 5 })
    .toBeGreaterThanOrEqual(count)
    .then(() => heard.words);

const untilFree = (pool: ConnectionPool) => expect.poll(() => pool.busy, { timeout: 20_000, interval: 5 }).toBe(0);

test('statements in line get their own answers and errors, from one process, and the connection is the pool’s again', async () => {
  const pool = await newPool();
  const line = shared(pool)!;
  const [first, wrong, last] = [
    join(line, 'SELECT pg_backend_pid()'),
    join(line, 'SELECT 1/0'),
    join(line, 'SELECT pg_backend_pid()'),
  ];
  expect(shared(pool)).toBe(line);
  expect(pool.busy).toBe(1);
  const pid = String(line.connection.processId);
  expect(await words(last, 2)).toEqual([pid, 'ready']);
  expect(first.words).toEqual([pid, 'ready']);
  expect(wrong.words).toEqual(['22012', 'ready']);
  expect(pool.busy).toBe(0);
  expect(pool.size).toBe(1);
  expect(shared(pool)).not.toBe(line);
});

test('nobody waits behind a statement that takes long, and nobody joins it', async () => {
  const pool = await newPool();
  const line = shared(pool)!;
  const [long, behind] = [join(line, 'SELECT pg_sleep(0.5)'), join(line, 'SELECT 2')];
  expect(await words(behind, 1)).toEqual(['moved']);
  expect(long.words).toEqual(['heavy']);
  expect(shared(pool)).toBeNull();
  expect(await words(long, 3)).toEqual(['heavy', '', 'ready']);
  await untilFree(pool);
  expect(behind.words).toEqual(['moved']);
  expect(pool.shared!.counts).toEqual({ answered: 1, moved: 1 });
});

test('a large answer is taken to its end by itself', async () => {
  const pool = await newPool();
  const line = shared(pool)!;
  const [large, behind] = [join(line, "SELECT repeat('x', 1000) FROM generate_series(1, 100)"), join(line, 'SELECT 2')];
  expect(await words(behind, 1)).toEqual(['moved']);
  expect(await words(large, 102)).toHaveLength(102);
  expect(large.words.filter((word) => word === 'heavy')).toHaveLength(1);
  await untilFree(pool);
});

test('who waits in line and is cancelled hears nothing more, and nobody else notices', async () => {
  const pool = await newPool();
  const line = shared(pool)!;
  const [first, cancelled, last] = [
    join(line, 'SELECT pg_sleep(0.003)'),
    join(line, 'SELECT 2'),
    join(line, 'SELECT 3'),
  ];
  await new Promise((resolve) => setImmediate(resolve));
  expect(line.cancel(cancelled)).toBe(true);
  await untilFree(pool);
  expect(cancelled.words).toEqual([]);
  expect(first.words.at(-1)).toBe('ready');
  // On a busy machine the first one may have taken too long.
  expect([['3', 'ready'], ['moved']]).toContainEqual(last.words);
});

test('a cancel request for the statement at work ends it alone', async () => {
  const pool = await newPool();
  const line = shared(pool)!;
  const [first, behind] = [join(line, 'SELECT pg_sleep(60)'), join(line, 'SELECT 2')];
  await sleep(50);
  expect(line.cancel(first)).toBe(false);
  expect(await words(first, 3)).toEqual(['heavy', '57014', 'ready']);
  expect(behind.words).toEqual(['moved']);
  await untilFree(pool);
});

test('what nobody waits for any more is cancelled when it takes long', async () => {
  const pool = await newPool();
  const line = shared(pool)!;
  const [, behind] = [join(line, 'SELECT 1'), join(line, 'SELECT pg_sleep(600)')];
  expect(line.cancel(behind)).toBe(true);
  await untilFree(pool);
  expect(behind.words).toEqual([]);
});

test('a connection that is lost fails the statement at work, and moves the others', async () => {
  const pool = await newPool();
  const line = shared(pool)!;
  const [first, behind] = [join(line, 'SELECT pg_terminate_backend(pg_backend_pid())'), join(line, 'SELECT 2')];
  expect(await words(behind, 1)).toEqual(['moved']);
  await expect.poll(() => first.words).toContain('lost');
  expect(pool.size).toBe(0);
  expect(pool.busy).toBe(0);
});

test('a connection that is lost before anything was sent moves all', async () => {
  const pool = await newPool();
  const line = shared(pool)!;
  const first = join(line, 'SELECT 1');
  line.connection.close();
  expect(await words(first, 1)).toEqual(['moved']);
  expect(pool.busy).toBe(0);
});

test('when preparing fails, those who may count on it are sent elsewhere', async () => {
  const pool = await newPool();
  const line = shared(pool)!;
  const [failing, behind] = [join(line, 'SELECT wrong', true), join(line, 'SELECT 2')];
  expect(await words(failing, 3)).toEqual(['alone', '42703', 'ready']);
  expect(behind.words).toEqual(['moved']);
  await untilFree(pool);
});

test('a line that is full is not joined: another connection is taken, if there is one', async () => {
  const pool = await newPool();
  const [one, two] = await Promise.all([pool.acquire(), pool.acquire()]);
  pool.release(one);
  pool.release(two);
  const full = shared(pool)!;
  for (let i = 0; i < 16; i++) join(full, `SELECT ${i}`);
  const second = shared(pool)!;
  expect(second).not.toBe(full);
  const riders = Array.from({ length: 16 }, (_, i) => join(second, `SELECT ${i}`));
  expect(shared(pool)).toBeNull();
  await untilFree(pool);
  expect(riders.map((heard) => heard.words.at(-1))).not.toContain('lost');
});

test('whoever waits for a connection of their own gets the one that is joined again and again', async () => {
  const pool = await newPool(1);
  const line = shared(pool)!;
  let ended = false;
  const again = (): void => {
    const next = shared(pool);
    if (next === line && !ended) next.join(encodeQuery('SELECT 1'), new Again(again), false);
  };
  for (let i = 0; i < 3; i++) again();
  const connection = await pool.acquire();
  ended = true;
  expect(connection).toBe(line.connection);
  expect(line.statements).toBeLessThan(70);
  pool.release(connection);
});

test('a connection with other settings is left to whoever applies them', async () => {
  const pool = await newPool();
  expect(pool.shared!.get('[["datestyle","German"]]')).toBeNull();
  expect(pool.busy).toBe(0);
});
