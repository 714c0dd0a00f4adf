import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { transactions } from '../../src/cli/transactions.ts';
import { startHerd, type TestHerd } from '../harness/herd.ts';

let herd: TestHerd;
const clients: pg.Client[] = [];

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  const client = await connect(herd.url);
  await client.query('CREATE TABLE account (id integer PRIMARY KEY, balance bigint NOT NULL)');
  await client.query("SELECT create_distributed_table('account', 'id')");
  await client.query('INSERT INTO account SELECT g, 100 FROM generate_series(1, 40) g');
});

afterAll(async () => {
  for (const client of clients) await client.end();
  await herd.stop();
});

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  clients.push(client);
  return client;
}

const server = ({ host, port }: { host: string; port: number }) =>
  connect(`postgresql://postgres@${host}:${port}/postgres`);

test('a transaction that wrote on two nodes leaves nothing prepared and no decision behind', async () => {
  const client = await connect(herd.url);
  await client.query('BEGIN');
  await client.query('UPDATE account SET balance = balance + 1');
  await client.query('UPDATE account SET balance = balance - 1');
  await client.query('COMMIT');
  const prepared = await Promise.all(
    herd.nodes.map(async (node) => (await (await server(node)).query('SELECT gid FROM pg_prepared_xacts')).rows),
  );
  expect(prepared.flat()).toEqual([]);
  const coordinator = await server(herd.coordinator);
  await expect
    .poll(async () => (await coordinator.query('SELECT gid FROM pgherd.transaction_decision')).rows, {
      timeout: 10_000,
    })
    .toEqual([]);
});

test('an error on one node undoes the change on the other', async () => {
  const client = await connect(herd.url);
  await expect(client.query('UPDATE account SET balance = 100 / (id - 7)')).rejects.toMatchObject({ code: '22012' });
  const { rows } = await client.query('SELECT sum(balance) FROM account');
  expect(rows[0].sum).toBe('4000');
});

test('what a dead router left prepared is settled by its decision row, and other gids are left alone', async () => {
  const coordinator = await server(herd.coordinator);
  const cluster = (await coordinator.query("SELECT value FROM pgherd.meta WHERE key = 'cluster_id'")).rows[0].value;
  const epoch = (await coordinator.query('INSERT INTO pgherd.router_epoch DEFAULT VALUES RETURNING epoch')).rows[0]
    .epoch;
  const gid = (sequence: number, node: number) => `pgherd:${cluster}:${epoch}:${sequence}:${node}`;
  const node = await server(herd.nodes[0]!);
  await node.query('CREATE TABLE witness (what text)');
  const prepare = async (what: string, name: string) => {
    await node.query('BEGIN');
    await node.query('INSERT INTO witness VALUES ($1)', [what]);
    await node.query(`PREPARE TRANSACTION '${name}'`);
  };
  await prepare('decided', gid(1, 1));
  await prepare('undecided', gid(2, 1));
  await prepare('foreign', 'somebody else');
  await coordinator.query(
    `INSERT INTO pgherd.transaction_decision (gid, decision) VALUES ('pgherd:${cluster}:${epoch}:1', 'commit')`,
  );
  await expect
    .poll(async () => (await node.query('SELECT gid FROM pg_prepared_xacts ORDER BY gid')).rows, {
      timeout: 30_000,
      interval: 500,
    })
    .toEqual([{ gid: 'somebody else' }]);
  expect((await node.query('SELECT what FROM witness')).rows).toEqual([{ what: 'decided' }]);
  const fenced = await coordinator.query('SELECT fenced FROM pgherd.router_epoch WHERE epoch = $1', [epoch]);
  expect(fenced.rows).toEqual([{ fenced: true }]);
  const decide = (proof: string) =>
    coordinator.query(`SELECT pgherd.decide_commit('late', $1, '{1}', ${proof}) FROM pgherd_secret.guard`, [epoch]);
  const proof = "encode(sha256(convert_to(concat_ws(':', secret, 'decide', 'late', secret), 'UTF8')), 'hex')";
  await expect(decide(proof)).rejects.toMatchObject({ code: '40001' });
  await expect(decide("'guessed'")).rejects.toMatchObject({ code: '42501' });
  await node.query("ROLLBACK PREPARED 'somebody else'");
});

test('readers of several nodes see all or nothing of each transfer between them', async () => {
  const writers = 4;
  const stopAt = Date.now() + 4_000;
  let transfers = 0;
  let reads = 0;
  const wrong: string[] = [];
  const write = async (seed: number) => {
    const client = await connect(herd.url);
    while (Date.now() < stopAt) {
      const from = 1 + ((transfers * 7 + seed) % 40);
      const to = 1 + ((transfers * 11 + seed * 3) % 40);
      const [first, second] = from < to ? [from, to] : [to, from];
      await client.query('BEGIN');
      await client.query('UPDATE account SET balance = balance - 5 WHERE id = $1', [first]);
      await client.query('UPDATE account SET balance = balance + 5 WHERE id = $1', [second]);
      await client.query('COMMIT');
      transfers += 1;
    }
  };
  const read = async (sql: string) => {
    const client = await connect(herd.url);
    while (Date.now() < stopAt) {
      const { rows } = await client.query(sql);
      const total = rows.reduce((sum, row) => sum + BigInt(row.sum ?? row.balance), 0n);
      if (total !== 4000n) wrong.push(`${sql}: ${total}`);
      reads += 1;
    }
  };
  await Promise.all([
    ...Array.from({ length: writers }, (_, seed) => write(seed)),
    read('SELECT sum(balance) FROM account'),
    read('SELECT balance FROM account'),
  ]);
  expect(wrong).toEqual([]);
  expect(Math.min(transfers, reads)).toBeGreaterThan(10);
});

test('a deadlock over two nodes is broken, and the younger transaction is told', async () => {
  const nodeOf = new Map<number, number>();
  for (const node of herd.nodes) {
    const { rows } = await (await server(node)).query('SELECT id FROM account');
    for (const { id } of rows) nodeOf.set(id, herd.nodes.indexOf(node));
  }
  const here = [...nodeOf].find(([, node]) => node === 0)![0];
  const there = [...nodeOf].find(([, node]) => node === 1)![0];
  const older = await connect(herd.url);
  const younger = await connect(herd.url);
  const touch = (client: pg.Client, id: number) =>
    client.query('UPDATE account SET balance = balance + 0 WHERE id = $1', [id]);
  await older.query('BEGIN');
  await touch(older, here);
  await younger.query('BEGIN');
  await touch(younger, there);
  const waiting = touch(older, there);
  await expect(touch(younger, here)).rejects.toMatchObject({
    code: '40P01',
    detail: expect.stringMatching(/waits for .*\n.*waits for/),
  });
  await younger.query('ROLLBACK');
  await waiting;
  await older.query('COMMIT');
});

test('an order and a balance on different nodes have two prepared participants, whose steps can be followed', async () => {
  const client = await connect(herd.url);
  await client.query('BEGIN');
  await client.query('UPDATE account SET balance = balance - 1 WHERE id IN (1, 2, 3, 4)');
  await client.query('UPDATE account SET balance = balance + 1 WHERE id IN (1, 2, 3, 4)');
  await client.query('COMMIT');
  const lines: { gid: string; step: string; detail: string }[] = [];
  await transactions({ data: '', url: herd.url }, (line) => lines.push(JSON.parse(line)), AbortSignal.abort());
  const { gid } = lines.findLast(({ step }) => step === 'outcome')!;
  expect(
    lines
      .filter((line) => line.gid === gid)
      .map(({ step, detail }) => `${step}: ${detail}`)
      .sort(),
  ).toEqual([
    'begin: nodes 1, 2',
    'decision: commit',
    'outcome: committed',
    `prepare: node 1: PREPARE TRANSACTION '${gid}:1'`,
    `prepare: node 2: PREPARE TRANSACTION '${gid}:2'`,
    'told: node 1: COMMIT PREPARED done',
    'told: node 2: COMMIT PREPARED done',
    'vote: node 1: prepared',
    'vote: node 2: prepared',
  ]);
});

test('pgherd_transactions shows what is prepared, since when and why', async () => {
  const node = await server(herd.nodes[1]!);
  await node.query('BEGIN');
  await node.query('UPDATE account SET balance = balance WHERE id = (SELECT min(id) FROM account)');
  await node.query("PREPARE TRANSACTION 'by a client'");
  const client = await connect(herd.url);
  const { rows } = await client.query(
    'SELECT gid, nodename, since <= now() AS since, owner, decision, why FROM pgherd_transactions',
  );
  expect(rows).toEqual([
    {
      gid: 'by a client',
      nodename: 'worker2',
      since: true,
      owner: 'postgres',
      decision: null,
      why: 'a client prepared it',
    },
  ]);
  await node.query("ROLLBACK PREPARED 'by a client'");
});
