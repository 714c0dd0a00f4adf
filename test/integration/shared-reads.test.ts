import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

const token = 'a token of enough length';
let herd: TestHerd;
let node: pg.Client;
const clients: pg.Client[] = [];

beforeAll(async () => {
  herd = await startHerd({ nodes: 1, http: { guard: { kind: 'token', token }, tls: null } });
  const admin = await connect();
  for (const table of ['items', 'others']) {
    await admin.query(`CREATE TABLE ${table} (id int PRIMARY KEY, v int, note text)`);
    await admin.query(`SELECT create_distributed_table('${table}', 'id', shard_count := 2)`);
    await admin.query(`INSERT INTO ${table} SELECT g, g % 10, 'note ' || g FROM generate_series(1, 200) g`);
  }
  const { host, port } = herd.byName.get('worker1')!;
  node = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
  await node.connect();
}, 120_000);

afterAll(async () => {
  await Promise.all(clients.map((client) => client.end().catch(() => {})));
  await node?.end();
  await herd?.stop();
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: herd.url });
  client.on('error', () => {});
  await client.connect();
  clients.push(client);
  return client;
}

const connectAll = (count: number) => Promise.all(Array.from({ length: count }, connect));

/** Statements that were answered in line with others' so far. */
async function counts(): Promise<{ answered: number; moved: number }> {
  const headers = { authorization: `Bearer ${token}` };
  const text = await (await fetch(`http://127.0.0.1:${herd.httpPort}/metrics`, { headers })).text();
  const count = (outcome: string) =>
    Number(
      new RegExp(`shared_statements_total\\{server="worker1",outcome="${outcome}"\\} (\\d+)`).exec(text)?.[1] ?? 0,
    );
  return { answered: count('answered'), moved: count('moved') };
}

const point = (client: pg.Client, id: number) =>
  client.query({ name: 'point', text: 'SELECT id, note FROM items WHERE id = $1', values: [id] });
const other = (client: pg.Client, id: number) =>
  client.query({ name: 'other', text: 'SELECT id, note FROM others WHERE id = $1', values: [id] });
const quotient = (client: pg.Client, id: number) =>
  client.query({ name: 'quotient', text: 'SELECT 100 / v AS q FROM items WHERE id = $1', values: [id] });
const unnamed = (client: pg.Client, id: number) => client.query('SELECT id, v FROM items WHERE id = $1', [id]);
const simple = (client: pg.Client, id: number) => client.query(`SELECT note, id FROM items WHERE id = ${id}`);

/** Runs it until it is one that goes in line. */
async function untilShared(client: pg.Client, run: (client: pg.Client, id: number) => Promise<unknown>): Promise<void> {
  const isShared = async () => {
    const before = (await counts()).answered;
    for (let i = 0; i < 20; i++) await run(client, 1 + (i % 9));
    return (await counts()).answered - before;
  };
  await expect.poll(isShared, { timeout: 30_000, interval: 1 }).toBe(20);
}

test('each client gets its own rows and errors, whatever becomes of the others', async () => {
  const all = await connectAll(24);
  for (const run of [point, quotient, simple, unnamed]) await untilShared(all[0]!, run);
  const before = await counts();
  const work = async (client: pg.Client, seed: number) => {
    for (let i = 0; i < 60; i++) {
      const id = 1 + ((seed * 37 + i * 11) % 200);
      if (i % 4 === 0) expect((await unnamed(client, id)).rows).toEqual([{ id, v: id % 10 }]);
      else if (i % 3 === 0) expect((await simple(client, id)).rows).toEqual([{ note: `note ${id}`, id }]);
      else if (i % 3 === 1) expect((await point(client, id)).rows).toEqual([{ id, note: `note ${id}` }]);
      else if (id % 10 === 0) await expect(quotient(client, id)).rejects.toMatchObject({ code: '22012' });
      else expect((await quotient(client, id)).rows).toEqual([{ q: Math.trunc(100 / (id % 10)) }]);
    }
  };
  const [leavers, stayers] = [all.slice(0, 6), all.slice(6)];
  const leave = async (client: pg.Client, seed: number) => {
    for (let i = 0; i < 5 + seed; i++) await point(client, 1 + i);
    const last = point(client, 1).catch(() => {});
    (client as unknown as { connection: { stream: net.Socket } }).connection.stream.destroy();
    await last;
  };
  let ended = false;
  const holding = (async () => {
    const holder = await connect();
    for (; !ended; await sleep(20)) {
      await holder.query('BEGIN');
      await holder.query('LOCK TABLE items IN ACCESS EXCLUSIVE MODE');
      await sleep(12);
      await holder.query('COMMIT');
    }
  })();
  await Promise.all([...stayers.map(work), ...leavers.map(leave)]);
  ended = true;
  await holding;
  const after = await counts();
  expect(after.answered).toBeGreaterThan(before.answered + 100);
  expect(after.moved).toBeGreaterThan(before.moved);
  await untilBusy(0);
});

/** Of the router's connections. */
const busyOnNode = async (): Promise<{ pid: number; query: string }[]> => {
  const sql = `SELECT pid, query FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND state <> 'idle' AND query ~ '(items|others)'`;
  return (await node.query(sql)).rows;
};

const untilBusy = (count: number) =>
  expect.poll(async () => (await busyOnNode()).length, { timeout: 20_000 }).toBe(count);

test('a statement that waits for a lock keeps nobody waiting, and can be cancelled', async () => {
  const [holder, canceller, ...readers] = await connectAll(10);
  await untilShared(readers[0]!, point);
  await untilShared(readers[0]!, other);
  await untilShared(readers[0]!, unnamed);
  // What a session has not prepared yet goes by itself.
  for (const client of readers) for (const run of [point, other]) await run(client, 1);
  await holder!.query('BEGIN');
  await holder!.query('LOCK TABLE items IN ACCESS EXCLUSIVE MODE');
  // The holder has taken a connection: another one is there now.
  await untilShared(readers[0]!, other);
  const before = await counts();
  const waiting = readers.slice(0, 4);
  const outcomes = waiting.map((client, i) =>
    (i < 2 ? point(client, 1) : unnamed(client, 1)).then(
      ({ rows }) => String(rows[0].id),
      (error: pg.DatabaseError) => error.code,
    ),
  );
  // Sent behind them, in one turn.
  const behind = await Promise.all(readers.slice(4).map((client) => other(client, 7)));
  expect(behind.map(({ rows }) => rows[0].note)).toEqual(Array(4).fill('note 7'));
  expect((await counts()).moved).toBeGreaterThan(before.moved);
  await untilBusy(5);
  await cancel(waiting[0]!);
  await cancel(waiting[2]!);
  expect([await outcomes[0], await outcomes[2]]).toEqual(['57014', '57014']);
  await untilBusy(3);
  const process = (await busyOnNode()).find(({ query }) => query.includes('FROM') && query.includes('items'))!;
  const [{ global_pid }] = (
    await canceller!.query('SELECT global_pid FROM citus_stat_activity WHERE nodeid > 0 AND pid = $1', [process.pid])
  ).rows as { global_pid: string }[] as [{ global_pid: string }];
  await canceller!.query('SELECT pg_cancel_backend($1)', [global_pid]);
  expect(await Promise.race([outcomes[1], outcomes[3]])).toBe('57014');
  await holder!.query('ROLLBACK');
  expect((await Promise.all(outcomes)).sort()).toEqual(['1', '57014', '57014', '57014']);
  expect((await point(waiting[0]!, 2)).rows).toEqual([{ id: 2, note: 'note 2' }]);
});

/** A cancel request, as libpq sends it. */
async function cancel(client: pg.Client): Promise<void> {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
  const request = Buffer.alloc(16);
  [16, 80877102, processID, secretKey].forEach((word, i) => {
    request.writeInt32BE(word | 0, i * 4);
  });
  await new Promise<void>((resolve) => {
    const socket = net.connect(herd.port, '127.0.0.1', () => socket.end(request));
    socket.on('close', () => resolve());
    socket.resume();
  });
}

test('a node’s process that dies fails no more than the statement at work', async () => {
  const readers = await connectAll(12);
  await untilShared(readers[0]!, point);
  const failed: (string | undefined)[] = [];
  let [done, ended] = [0, false];
  const work = async (client: pg.Client, seed: number) => {
    for (let i = 0; !ended; i++) {
      const id = 1 + ((seed * 37 + i) % 200);
      const rows = await point(client, id).then(
        (result) => result.rows,
        (error: pg.DatabaseError) => void failed.push(error.code),
      );
      if (rows !== undefined) expect(rows).toEqual([{ id, note: `note ${id}` }]);
      done += 1;
    }
  };
  const working = readers.map(work);
  let kills = 0;
  for (let round = 0; round < 15; round++) {
    const until = done + 100;
    await expect.poll(() => done, { timeout: 20_000, interval: 2 }).toBeGreaterThan(until);
    const { rows } = await node.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ 'SELECT id, note' AND pid <> pg_backend_pid()`,
    );
    kills += rows.length;
  }
  ended = true;
  await Promise.all(working);
  expect(kills).toBeGreaterThanOrEqual(15);
  expect(failed.length).toBeLessThanOrEqual(kills);
  expect(new Set(failed)).toEqual(new Set(failed.length > 0 ? ['08006'] : []));
});

test('a client that does not read its large answer holds up nobody', async () => {
  const [writer, slow, reader] = await connectAll(3);
  const text = 'SELECT note FROM items i WHERE id = $1';
  const run = (client: pg.Client, id: number) => client.query({ name: 'large', text, values: [id] });
  await untilShared(slow!, run);
  await untilShared(reader!, point);
  await writer!.query("UPDATE items SET note = repeat('x', 20000000) WHERE id = 100");
  const { stream } = (slow as unknown as { connection: { stream: net.Socket } }).connection;
  const answer = run(slow!, 100);
  stream.pause();
  for (let i = 1; i < 100; i++) expect((await point(reader!, i)).rows).toEqual([{ id: i, note: `note ${i}` }]);
  stream.resume();
  expect((await answer).rows[0].note).toHaveLength(20_000_000);
  await writer!.query("UPDATE items SET note = 'note 100' WHERE id = 100");
});

test('what does more than read, or calls users’ code, is never in line with others', async () => {
  const client = await connect();
  await client.query('CREATE FUNCTION twice(int) RETURNS int IMMUTABLE LANGUAGE sql AS $$ SELECT $1 * 2 $$');
  await client.query('CREATE FUNCTION same(int, int) RETURNS bool IMMUTABLE LANGUAGE sql AS $$ SELECT $1 = $2 $$');
  await client.query('CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = same)');
  await client.query('CREATE FUNCTION of(others) RETURNS int STABLE LANGUAGE sql AS $$ SELECT 1 $$');
  const texts = [
    'SELECT v FROM items WHERE id = 5 FOR UPDATE',
    'SELECT v FROM items WHERE id = 5 AND twice(v) > 0',
    'SELECT v FROM items WHERE id = 5 AND v === 5',
    'SELECT others.of FROM others WHERE id = 5',
    'SELECT v, random() FROM items WHERE id = 5',
    'SELECT v, now() FROM items WHERE id = 5',
    'SELECT v FROM items WHERE id = 5 AND pg_advisory_unlock_shared(1) IS NOT NULL',
    'UPDATE items SET v = v WHERE id = 5',
    'WITH gone AS (DELETE FROM items WHERE id = 7000 RETURNING v) SELECT v FROM gone',
  ];
  const before = await counts();
  for (const text of texts) for (let i = 0; i < 40; i++) await client.query(text);
  await client.query('BEGIN');
  for (let i = 0; i < 20; i++) await point(client, 1);
  await client.query('COMMIT');
  expect(await counts()).toEqual(before);
});

test('what a session has committed it reads in line with others', async () => {
  const [writer, ...readers] = await connectAll(8);
  await untilShared(writer!, point);
  let ended = false;
  const noise = readers.map(async (client) => {
    while (!ended) await point(client, 3);
  });
  for (let i = 0; i < 100; i++) {
    await writer!.query('UPDATE items SET note = $1 WHERE id = 50', [`version ${i}`]);
    expect((await point(writer!, 50)).rows).toEqual([{ id: 50, note: `version ${i}` }]);
  }
  ended = true;
  await Promise.all(noise);
});

test('sessions with other settings share with their like alone', async () => {
  const [admin, ...readers] = await connectAll(7);
  await admin!.query('CREATE TABLE days (id int PRIMARY KEY, d date)');
  await admin!.query("SELECT create_distributed_table('days', 'id', shard_count := 2)");
  await admin!.query("INSERT INTO days SELECT g, date '2026-12-01' FROM generate_series(1, 20) g");
  const day = async (client: pg.Client, id: number) => {
    const types = { getTypeParser: () => String };
    const query = { name: 'day', text: 'SELECT d FROM days WHERE id = $1', values: [id], types: types as never };
    return (await client.query(query)).rows[0].d as string;
  };
  for (const client of readers.slice(3)) await client.query("SET datestyle = 'German'");
  await untilShared(readers[0]!, day);
  await untilShared(readers[3]!, day);
  const before = await counts();
  const shown = await Promise.all(
    readers.map(async (client) => {
      const seen = new Set<string>();
      for (let i = 0; i < 60; i++) seen.add(await day(client, 1 + (i % 20)));
      return [...seen];
    }),
  );
  expect(shown).toEqual([...Array(3).fill(['2026-12-01']), ...Array(3).fill(['01.12.2026'])]);
  expect((await counts()).answered).toBeGreaterThan(before.answered);
});
