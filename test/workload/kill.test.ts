import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { HerdStatus } from '../../src/cli/status.ts';
import { serverProcesses } from '../../src/cluster/process.ts';
import { Random } from '../differential/random.ts';
import { drawPort } from '../harness/postgres.ts';

/*
 * kill -9 of random processes of an embedded herd under a write load: postmasters, backends and the supervisor with the router in it. Every
 * acknowledged write is there, none half there. PGHERD_LONG=1: until 20 kills and 1,000 acknowledged writes.
 */

const long = process.env['PGHERD_LONG'] === '1';
const enough = long ? { kills: 20, writes: 1_000 } : { kills: 5, writes: 20 };
const killEveryMs = 3_000;
const maxMs = long ? 900_000 : 60_000;

const dataDir = join(tmpdir(), `pgherd-kill-${process.pid}`);
const main = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts');
const serverNames = ['coordinator', 'worker1', 'worker2'];
let port: number;

beforeAll(async () => {
  port = await drawPort();
  await up();
  const client = await connect();
  await client.query('CREATE TABLE t (id bigint PRIMARY KEY, w integer NOT NULL)');
  await client.query("SELECT create_distributed_table('t', 'id')");
  await client.query('CREATE TABLE l (w integer NOT NULL)');
  await client.end();
});

afterAll(async () => {
  await pgherd('down');
  await rm(dataDir, { recursive: true, force: true });
});

async function pgherd(command: string, ...args: string[]): Promise<string> {
  const child = spawn(process.execPath, ['--import', 'tsx', main, command, '--data', dataDir, ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  await once(child, 'close');
  return output;
}

const up = () => pgherd('up', '--detach', '--port', String(port), '--nodes', '2');

async function connect(): Promise<pg.Client> {
  for (;;) {
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' });
    client.on('error', () => {});
    try {
      await client.connect();
      return client;
    } catch {
      await client.end().catch(() => {});
      await sleep(200);
    }
  }
}

/** Each write puts one number on several nodes, and every other one on the coordinator too. */
async function write(client: pg.Client, w: number): Promise<boolean> {
  await client.query('BEGIN');
  await client.query('INSERT INTO t SELECT $1 * 10 + g, $1 FROM generate_series(1, 4) g', [w]);
  if (w % 2 === 0) await client.query('INSERT INTO l VALUES ($1)', [w]);
  return (await client.query('COMMIT')).command === 'COMMIT';
}

test('every acknowledged write is there and none is half there, whatever is killed', async () => {
  const random = new Random(7);
  const acknowledged = new Set<number>();
  const refused = new Set<number>();
  const startedMs = Date.now();
  let kills = 0;
  let last = 0;
  let over = false;
  const writer = async () => {
    let client = await connect();
    while (!over) {
      last += 1;
      const w = last;
      try {
        if (await write(client, w)) acknowledged.add(w);
      } catch (error) {
        const { code = '' } = error as { code?: string };
        // What is neither acknowledged nor refused may be there or not.
        if (/^[0-9A-Z]{5}$/.test(code) && code !== '08007' && !code.startsWith('57P')) refused.add(w);
        await client.end().catch(() => {});
        client = await connect();
      }
    }
    await client.end().catch(() => {});
  };
  const killer = async () => {
    while (!over) {
      await sleep(killEveryMs);
      kills += await killSomething(random);
      const done = kills >= enough.kills && acknowledged.size >= enough.writes;
      over = done || Date.now() - startedMs > maxMs;
    }
  };
  await Promise.all([writer(), writer(), writer(), killer()]);
  await up();
  if (long) process.stdout.write(`${kills} kills, ${acknowledged.size} acknowledged writes, ${refused.size} refused\n`);
  expect(kills).toBeGreaterThanOrEqual(enough.kills);
  expect(acknowledged.size).toBeGreaterThanOrEqual(enough.writes);
  await expect.poll(leftovers, { timeout: 60_000, interval: 1_000 }).toBe(0);
  const client = await connect();
  const { rows } = await client.query(
    'SELECT t.w, count(*)::int AS rows, (SELECT count(*)::int FROM l WHERE l.w = t.w) AS here FROM t GROUP BY t.w',
  );
  const local = await client.query('SELECT w FROM l');
  await client.end();
  const found = new Map(rows.map(({ w, rows: count, here }) => [w as number, { count, here }]));
  for (const [w, { count, here }] of found) {
    expect(count, `write ${w}`).toBe(4);
    expect(here, `write ${w}`).toBe(w % 2 === 0 ? 1 : 0);
  }
  for (const { w } of local.rows) expect(found.has(w), `write ${w}`).toBe(true);
  for (const w of acknowledged) expect(found.has(w), `write ${w} was acknowledged`).toBe(true);
  for (const w of refused) expect(found.has(w), `write ${w} was refused`).toBe(false);
}, 1_200_000);

/** Prepared transactions on the nodes. */
async function leftovers(): Promise<number> {
  const { nodes } = JSON.parse(await pgherd('status', '--json')) as HerdStatus;
  let count = 0;
  for (const node of nodes) {
    const client = new pg.Client({ host: '127.0.0.1', port: node.port!, user: 'postgres', database: 'postgres' });
    await client.connect();
    count += (await client.query('SELECT count(*)::int AS n FROM pg_prepared_xacts')).rows[0].n;
    await client.end();
  }
  return count;
}

/** Gives 1 when something was killed. */
async function killSomething(random: Random): Promise<number> {
  if (random.chance(0.25)) {
    const { pid } = JSON.parse(await pgherd('status', '--json')) as HerdStatus;
    const killed = kill(pid);
    await up();
    return killed;
  }
  const processes = await serverProcesses(join(dataDir, 'servers', random.pick(serverNames)));
  return processes.length === 0 ? 0 : kill(random.pick(processes));
}

function kill(pid: number | null): number {
  if (pid === null) return 0;
  try {
    process.kill(pid, 'SIGKILL');
    return 1;
  } catch {
    return 0;
  }
}
