import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type CommitStep, ShardingStrategy } from '../../src/sdk/entry.ts';
import { type HerdServers, startHerdServers } from '../harness/postgres.ts';

let servers: HerdServers;
let sharding: ShardingStrategy;
let steps: CommitStep[] = [];
let beforeNextStep: ((step: CommitStep) => Promise<void>) | undefined;

const accounts = 30;
const urls = () =>
  [servers.coordinator, ...servers.nodes].map(({ host, port }) => `postgresql://postgres@${host}:${port}/postgres`);

beforeAll(async () => {
  servers = await startHerdServers({ nodes: 2 });
  sharding = new ShardingStrategy({
    shards: urls(),
    name: 'bank',
    onStep: async (step) => {
      steps.push(step);
      await beforeNextStep?.(step);
    },
  });
  await sharding.executeDistributedQuery(
    'CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL CHECK (balance < 1000000))',
  );
});

beforeEach(async () => {
  steps = [];
  beforeNextStep = undefined;
  await sharding.executeDistributedQuery('TRUNCATE account');
  for (let id = 1; id <= accounts; id++) await sharding.executeQuery(id, 'INSERT INTO account VALUES ($1, 100)', [id]);
});

afterAll(async () => {
  sharding.close();
  await servers.stop();
});

const total = async () => {
  const sum = { merge: { kind: 'combine', groupBy: [], aggregates: { sum: 'sum' } } } as const;
  return (await sharding.executeDistributedQuery('SELECT sum(balance) FROM account', [], sum))[0]!['sum'];
};
const prepared = async () => (await sharding.executeDistributedQuery('SELECT gid FROM pg_prepared_xacts')).length;
const balance = async (id: number) =>
  (await sharding.executeQuery(id, 'SELECT balance FROM account WHERE id = $1', [id]))[0]!['balance'];

/** Two accounts on different shards. */
const a = 1;
const b = () =>
  Array.from({ length: accounts }, (_, i) => i + 1).find((id) => sharding.getShardId(id) !== sharding.getShardId(a))!;

const move = (amount: number) =>
  sharding.withDistributedTransaction(async (transaction) => {
    const change = async (id: number, by: number) =>
      (await transaction.on(id)).query('UPDATE account SET balance = balance + $1 WHERE id = $2', [by, id]);
    await change(a, -amount);
    await change(b(), amount);
  });

test('a transaction on one shard commits, rolls back when the work fails, and runs again when told to', async () => {
  const add = 'UPDATE account SET balance = balance + 1 WHERE id = 1';
  const outcome = await sharding.withTransaction(a, ({ query }) => query(add));
  expect([outcome.rowCount, outcome.command, await balance(a)]).toEqual([1, 'UPDATE', 101]);
  const failing = sharding.withTransaction(a, async ({ query }) => {
    await query(add);
    throw new Error('not this time');
  });
  await expect(failing).rejects.toThrow('not this time');
  const swallowed = sharding.withTransaction(a, async ({ query }) => {
    await query(add);
    await query('SELECT 1/0').catch(() => {});
  });
  await expect(swallowed).rejects.toMatchObject({ code: '25P02' });
  expect(await balance(a)).toBe(101);
  const increment = () =>
    sharding.withTransaction(
      a,
      async ({ query }) => {
        const { rows } = await query<{ balance: number }>('SELECT balance FROM account WHERE id = 1');
        await query('UPDATE account SET balance = $1 WHERE id = 1', [rows[0]!.balance + 1]);
      },
      { isolation: 'serializable', reruns: 20 },
    );
  await Promise.all([increment(), increment(), increment(), increment()]);
  expect(await balance(a)).toBe(105);
});

test('a transaction over two shards changes both, and leaves neither prepared transactions nor decisions', async () => {
  await move(30);
  expect([await balance(a), await balance(b())]).toEqual([70, 130]);
  expect(steps.map(({ kind }) => kind)).toEqual(['prepared', 'decided']);
  expect(await prepared()).toBe(0);
  const home = sharding.getShardId(a);
  expect(await sharding.executeOnShard(home, 'SELECT * FROM pgherd_sdk.decision')).toEqual([]);
});

test('a refusal on either shard, at once or at the end, undoes both', async () => {
  await expect(move(2_000_000)).rejects.toMatchObject({ code: '23514' });
  await sharding.executeDistributedQuery(
    'ALTER TABLE account ADD CONSTRAINT late UNIQUE (balance, id) DEFERRABLE INITIALLY DEFERRED',
  );
  const collide = (id: number) =>
    sharding.withDistributedTransaction(async (transaction) => {
      for (const each of [a, b()])
        await (await transaction.on(each)).query('UPDATE account SET balance = 7 WHERE id = $1', [each]);
      const { query } = await transaction.on(id);
      await query('ALTER TABLE account DROP CONSTRAINT account_pkey');
      await query('INSERT INTO account VALUES ($1, 7)', [id]);
    });
  for (const id of [a, b()]) await expect(collide(id)).rejects.toMatchObject({ code: '23505' });
  await sharding.executeDistributedQuery('ALTER TABLE account DROP CONSTRAINT late');
  expect([await total(), await prepared()]).toEqual([String(accounts * 100), 0]);
});

test('when the home shard dies before its COMMIT, all is undone; when a node dies after it, recovery commits there', async () => {
  const home = servers.byName.get(['coordinator', 'worker1', 'worker2'][sharding.getShardId(a)]!)!;
  const other = servers.byName.get(['coordinator', 'worker1', 'worker2'][sharding.getShardId(b())]!)!;
  beforeNextStep = async ({ kind }) => {
    if (kind === 'prepared') await home.crash();
  };
  await expect(move(10)).rejects.toMatchObject({ code: '08007' });
  await home.restart();
  expect(await sharding.recover({ olderThanMs: 0 })).toMatchObject({ committed: 0, rolledBack: 1, left: 0 });
  expect([await balance(a), await balance(b()), await prepared()]).toEqual([100, 100, 0]);

  beforeNextStep = async ({ kind }) => {
    if (kind === 'decided') await other.crash();
  };
  await move(10);
  expect(steps.at(-1)).toMatchObject({ kind: 'untold', shards: [sharding.getShardId(b())] });
  expect(await sharding.recover({ olderThanMs: 0 })).toMatchObject({
    committed: 0,
    unreachable: [sharding.getShardId(b())],
  });
  await other.restart();
  expect(await sharding.recover({ olderThanMs: 0 })).toMatchObject({ committed: 1, left: 0, unreachable: [] });
  expect([await balance(a), await balance(b())]).toEqual([90, 110]);
});

test('a maker that recovery has overtaken cannot commit any more', async () => {
  beforeNextStep = async ({ kind }) => {
    if (kind === 'prepared') await sharding.recover({ olderThanMs: 0 });
  };
  await expect(move(10)).rejects.toMatchObject({
    code: '40001',
    message: expect.stringContaining('recovery was faster'),
  });
  expect([await balance(a), await balance(b()), await prepared()]).toEqual([100, 100, 0]);
});

test('young transactions are left to their maker', async () => {
  let seen: unknown;
  beforeNextStep = async ({ kind }) => {
    if (kind === 'prepared') seen = await sharding.recover();
  };
  await move(10);
  expect(seen).toMatchObject({ committed: 0, rolledBack: 0, left: 1 });
  expect(await balance(b())).toBe(110);
});

test.each(['prepared', 'decided', 'told', 'never'])(
  'no money is made or lost when the process is killed (%s)',
  async (step) => {
    const script = join(import.meta.dirname, '..', 'harness', 'transfers.ts');
    const args = ['--import', 'tsx', script, JSON.stringify(urls()), step];
    const child: ChildProcess = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    await once(child.stdout!, 'data');
    if (step === 'never') {
      await sleep(400);
      child.kill('SIGKILL');
    }
    await ended;
    await recoveredAndQuiet();
    expect([await total(), await prepared()]).toEqual([String(accounts * 100), 0]);
  },
);

/**
 * A killed client's statements may still be at work on the servers: what they do then is recovered too. Some wait for rows that a prepared
 * transaction has locked, so each look recovers first.
 */
async function recoveredAndQuiet(): Promise<void> {
  const busy = `SELECT pid FROM pg_stat_activity WHERE application_name = 'pgherd sdk' AND state <> 'idle' AND pid <> pg_backend_pid()`;
  const busyOnceRecovered = async () => {
    await sharding.recover({ olderThanMs: 0 });
    return (await sharding.executeDistributedQuery(busy)).length;
  };
  await expect.poll(busyOnceRecovered, { timeout: 20_000 }).toBe(0);
  await sharding.recover({ olderThanMs: 0 });
}

test('the library asks for what it needs: without prepared transactions, a hint', async () => {
  const { host, port } = servers.coordinator;
  const client = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
  await client.connect();
  await client.query('ALTER SYSTEM SET max_prepared_transactions = 0');
  await client.query('CHECKPOINT');
  await client.end();
  const coordinator = servers.byName.get('coordinator')!;
  await coordinator.crash();
  await coordinator.restart();
  const all = sharding.withDistributedTransaction(async (transaction) => {
    for (const shard of [1, 0, 2]) await (await transaction.onShard(shard)).query('UPDATE account SET balance = 0');
  });
  await expect(all).rejects.toMatchObject({
    code: '55000',
    fields: { hint: expect.stringContaining('max_prepared_transactions') },
  });
  expect(await total()).toBe(String(accounts * 100));
});
