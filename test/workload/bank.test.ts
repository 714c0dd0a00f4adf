import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

/* Transfers between rows on different nodes while readers sum everything. PGHERD_LONG=1: until 10,000 totals were read. */

const long = process.env['PGHERD_LONG'] === '1';
const accounts = 20;
const total = accounts * 100;

let herd: TestHerd;

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  const client = await connect();
  await client.query('CREATE TABLE account (id integer PRIMARY KEY, balance bigint NOT NULL)');
  await client.query("SELECT create_distributed_table('account', 'id')");
  await client.query(`INSERT INTO account SELECT g, 100 FROM generate_series(1, ${accounts}) g`);
  await client.end();
});

afterAll(() => herd?.stop());

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: herd.url });
  await client.connect();
  return client;
}

interface Outcome {
  readonly reads: number;
  readonly wrong: number;
  readonly transfers: number;
}

/** Readers of every form, beside writers, until so many totals were read. */
async function run(snapshot: 'global' | 'local', enoughReads: number): Promise<Outcome> {
  const outcome = { reads: 0, wrong: 0, transfers: 0 };
  const over = () => outcome.reads >= enoughReads;
  const write = async (seed: number) => {
    const client = await connect();
    for (let turn = seed; !over(); turn++) {
      const from = 1 + ((turn * 7) % accounts);
      const to = 1 + ((turn * 11 + seed) % accounts);
      if (from === to) continue;
      const parts = [
        [from, -5],
        [to, 5],
      ].sort(([a], [b]) => a! - b!);
      await client.query('BEGIN');
      for (const part of parts) await client.query('UPDATE account SET balance = balance + $2 WHERE id = $1', part);
      await client.query('COMMIT');
      outcome.transfers += 1;
    }
    await client.end();
  };
  const read = async (sql: string, block: string | null) => {
    const client = await connect();
    await client.query(`SET pgherd.snapshot = ${snapshot}`);
    while (!over()) {
      if (block !== null) await client.query(block);
      const { rows } = await client.query(sql);
      if (block !== null) await client.query('COMMIT');
      const sum = rows.reduce((all, row) => all + Number(row.sum ?? row.balance), 0);
      outcome.reads += 1;
      if (sum !== total) outcome.wrong += 1;
    }
    await client.end();
  };
  const sum = 'SELECT sum(balance) FROM account';
  await Promise.all([
    ...[1, 2, 3, 4].map(write),
    read(sum, null),
    read('SELECT balance FROM account', null),
    read('SELECT a.balance FROM account a JOIN account b ON a.balance = b.balance AND a.id = b.id', 'BEGIN'),
    read(sum, 'BEGIN ISOLATION LEVEL REPEATABLE READ'),
  ]);
  return outcome;
}

test('no total is wrong', async () => {
  const { reads, wrong, transfers } = await run('global', long ? 10_000 : 300);
  if (long) process.stdout.write(`global: ${wrong} of ${reads} totals were wrong, beside ${transfers} transfers\n`);
  expect(wrong).toBe(0);
  expect(transfers).toBeGreaterThan(10);
}, 900_000);

test.runIf(long)(
  'without global snapshots some are, or the test shows nothing',
  async () => {
    const { reads, wrong, transfers } = await run('local', 10_000);
    process.stdout.write(`local: ${wrong} of ${reads} totals were wrong, beside ${transfers} transfers\n`);
    expect(wrong).toBeGreaterThan(0);
  },
  900_000,
);
