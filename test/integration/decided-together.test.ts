import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FaultyHerd, startFaultyHerd } from '../harness/faulty-herd.ts';

let herd: FaultyHerd;
/** An id on each node, for each of three sessions. */
let ids: number[][];
const clients: pg.Client[] = [];

beforeAll(async () => {
  herd = await startFaultyHerd(2);
  const client = await connect(herd.url);
  await client.query('CREATE TABLE t (id integer PRIMARY KEY, v integer NOT NULL)');
  await client.query("SELECT create_distributed_table('t', 'id')");
  await client.query('INSERT INTO t SELECT g, 0 FROM generate_series(1, 60) g');
  const { rows } = await client.query('SELECT id, gp_segment_id AS node FROM t ORDER BY id');
  const on = (node: number) => rows.filter((row) => row.node === node).map(({ id }) => id as number);
  ids = [0, 1, 2].map((i) => [on(0)[i]!, on(1)[i]!]);
});

afterAll(async () => {
  for (const client of clients) await client.end();
  await herd?.stop();
});

async function connect(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  clients.push(client);
  return client;
}

function coordinator(): Promise<pg.Client> {
  const { host, port } = herd.coordinator;
  return connect(`postgresql://postgres@${host}:${port}/postgres`);
}

async function openTransaction(session: number, value: number): Promise<pg.Client> {
  const client = await connect(herd.url);
  await client.query('BEGIN');
  for (const id of ids[session]!) await client.query('UPDATE t SET v = $1 WHERE id = $2', [value, id]);
  return client;
}

/** SQLSTATE, or null. */
function commit(client: pg.Client): Promise<string | null> {
  return client.query('COMMIT').then(
    () => null,
    ({ code }) => code,
  );
}

const keys = /pgherd:\w+:\d+:\d+/g;

async function valuesOf(session: number): Promise<number[]> {
  const { rows } = await clients[0]!.query('SELECT v FROM t WHERE id = ANY ($1)', [ids[session]]);
  return rows.map(({ v }) => v);
}

test('transactions are decided together, and one that may not commit takes no other along', async () => {
  const recovery = await coordinator();
  const [first, second, third] = await Promise.all([0, 1, 2].map((session) => openTransaction(session, 7)));
  const decisions: string[][] = [];
  let others: Promise<(string | null)[]> | null = null;
  herd.proxies.get('coordinator')!.fateOf = async ({ type, text }) => {
    if (type !== 'B' || !text.includes('{pgherd:')) return { kind: 'pass' };
    const decided = text.match(keys)!;
    decisions.push(decided);
    if (others !== null) return { kind: 'pass' };
    // Recovery has given up the transaction that comes next.
    const doomed = decided[0]!.replace(/\d+$/, (sequence) => String(Number(sequence) + 1));
    await recovery.query("INSERT INTO pgherd.transaction_decision (gid, decision) VALUES ($1, 'abort')", [doomed]);
    const doomedCommit = commit(second!);
    await new Promise((resolve) => setTimeout(resolve, 100));
    others = Promise.all([doomedCommit, commit(third!)]);
    await expect.poll(() => prepared(), { timeout: 10_000 }).toBe(6);
    return { kind: 'delay', ms: 100 };
  };
  expect(await commit(first!)).toBeNull();
  expect(await others!).toEqual(['23505', null]);
  expect(decisions.map(({ length }) => length)).toEqual([1, 2, 1, 1]);
  expect([await valuesOf(0), await valuesOf(1), await valuesOf(2)]).toEqual([
    [7, 7],
    [0, 0],
    [7, 7],
  ]);
  expect(await prepared()).toBe(0);
});

async function prepared(): Promise<number> {
  const counts = await Promise.all(
    herd.nodes.map(async ({ host, port }) => {
      const client = new pg.Client(`postgresql://postgres@${host}:${port}/postgres`);
      await client.connect();
      const { rows } = await client.query('SELECT count(*)::integer AS n FROM pg_prepared_xacts');
      await client.end();
      return rows[0].n as number;
    }),
  );
  return counts.reduce((sum, each) => sum + each, 0);
}

test('a router that was declared dead decides nothing more', async () => {
  const recovery = await coordinator();
  const client = await openTransaction(0, 8);
  await recovery.query('UPDATE pgherd.router_epoch SET fenced = true');
  expect(await commit(client)).toBe('40001');
  for (const id of [0, -1]) {
    const change = clients[0]!.query('UPDATE t SET v = $1 WHERE id > $2', [9, id]);
    await expect(change).rejects.toMatchObject({ code: '40001' });
  }
  expect(await valuesOf(0)).toEqual([7, 7]);
  await recovery.query('UPDATE pgherd.router_epoch SET fenced = false');
});
