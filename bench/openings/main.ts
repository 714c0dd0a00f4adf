import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type pg from 'pg';
import { connectRaw } from '../../test/oracle/client.ts';
import { median } from '../median.ts';
import { createProgress } from '../progress.ts';
import { startServers } from '../servers.ts';

/*
 * What snapshots over all nodes cost: a SELECT over all nodes with pgherd.snapshot = global and = local, in turns, alone and beside
 * transactions that commit on two nodes.
 */

const usage = `npm run bench -- openings [options]

  --clients N   readers (4)
  --writers N   sessions that commit over two nodes, in the second half of the rows (4)
  --nodes N     (2)
  --seconds N   of each measurement (5)
  --rounds N    measurements of each kind, in turns; the median counts (3)
`;

const { values: given } = parseArgs({
  options: {
    help: { type: 'boolean' },
    clients: { type: 'string', default: '4' },
    writers: { type: 'string', default: '4' },
    nodes: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
  },
});

interface Options {
  readonly clients: number;
  readonly writers: number;
  readonly nodes: number;
  readonly seconds: number;
  readonly rounds: number;
}

interface Figures {
  readonly readsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly commitsPerSecond: number;
}

const accounts = 1_000;
const shapes = {
  'sum over all rows': 'SELECT sum(balance) FROM account',
  'four rows, anywhere': 'SELECT id, balance FROM account WHERE id IN (17, 170, 371, 900)',
} as const;
const progress = createProgress(() => '');
const stop = { asked: false };
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    stop.asked = true;
  });
}

if (given.help) process.stdout.write(usage);
else await bench(readOptions());

function readOptions(): Options {
  const number = (name: 'clients' | 'writers' | 'nodes' | 'seconds' | 'rounds') => {
    const value = Number(given[name]);
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} is a whole number from 1`);
    return value;
  };
  return {
    clients: number('clients'),
    writers: number('writers'),
    nodes: number('nodes'),
    seconds: number('seconds'),
    rounds: number('rounds'),
  };
}

async function bench(options: Options): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'pgherd-openings-'));
  progress.say('starting the servers');
  const servers = await startServers(dir, { nodes: options.nodes });
  try {
    await makeTable(servers.herdUrl);
    const lines: string[] = [];
    for (const [shape, sql] of Object.entries(shapes)) {
      for (const writers of [0, options.writers]) {
        if (stop.asked) break;
        lines.push(...(await compare(servers.herdUrl, { shape, sql, writers }, options)));
      }
    }
    progress.clear();
    process.stdout.write(`${heading(options)}\n${lines.join('\n')}\n`);
  } finally {
    await servers.stop();
    rmSync(dir, { recursive: true, force: true });
    progress.clear();
  }
}

async function makeTable(url: string): Promise<void> {
  const client = await connectRaw(url);
  await client.query('CREATE TABLE account (id integer PRIMARY KEY, balance bigint NOT NULL)');
  await client.query("SELECT create_distributed_table('account', 'id')");
  await client.query(`INSERT INTO account SELECT g, 100 FROM generate_series(1, ${accounts}) g`);
  await client.end();
}

interface Comparison {
  readonly shape: string;
  readonly sql: string;
  readonly writers: number;
}

/** Both settings in turns, so that what else the machine does falls on both. */
async function compare(url: string, { shape, sql, writers }: Comparison, options: Options): Promise<string[]> {
  const measured = { global: [] as Figures[], local: [] as Figures[] };
  for (let round = 0; round < options.rounds; round++) {
    for (const snapshot of ['global', 'local'] as const) {
      progress.say(`${shape}, ${writers} writers, ${snapshot}, round ${round + 1}`);
      measured[snapshot].push(await measure(url, { sql, snapshot, writers }, options));
    }
  }
  const of = (snapshot: 'global' | 'local', figure: keyof Figures) =>
    median(measured[snapshot].map((figures) => figures[figure]));
  const row = (snapshot: 'global' | 'local') =>
    [
      shape.padEnd(20),
      String(writers).padStart(7),
      snapshot.padStart(8),
      of(snapshot, 'readsPerSecond').toFixed(0).padStart(8),
      of(snapshot, 'p50Ms').toFixed(2).padStart(8),
      of(snapshot, 'p99Ms').toFixed(2).padStart(8),
      of(snapshot, 'commitsPerSecond').toFixed(0).padStart(10),
    ].join(' ');
  const ratio = of('global', 'readsPerSecond') / of('local', 'readsPerSecond');
  return [row('global'), `${row('local')}   global / local: ${ratio.toFixed(2)}`];
}

function heading({ clients, nodes, seconds, rounds }: Options): string {
  const columns = ['statement'.padEnd(20), 'writers', 'snapshot', ' reads/s', '  p50 ms', '  p99 ms', ' commits/s'];
  return `${clients} readers, ${nodes} nodes, median of ${rounds} × ${seconds} s\n${columns.join(' ')}`;
}

async function measure(
  url: string,
  { sql, snapshot, writers }: { readonly sql: string; readonly snapshot: string; readonly writers: number },
  { clients, seconds }: Options,
): Promise<Figures> {
  const endMs = performance.now() + seconds * 1_000;
  const latenciesMs: number[] = [];
  let commits = 0;
  const isOver = () => performance.now() >= endMs || stop.asked;
  const read = async () => {
    const client = await connectRaw(url);
    await client.query(`SET pgherd.snapshot = ${snapshot}`);
    while (!isOver()) {
      const beganMs = performance.now();
      await client.query(sql);
      latenciesMs.push(performance.now() - beganMs);
    }
    await client.end();
  };
  const write = async (seed: number) => {
    const client = await connectRaw(url);
    for (let turn = seed; !isOver(); turn++) {
      await transfer(client, turn, seed);
      commits += 1;
    }
    await client.end();
  };
  await Promise.all([
    ...Array.from({ length: clients }, read),
    ...Array.from({ length: writers }, (_, seed) => write(seed + 1)),
  ]);
  latenciesMs.sort((a, b) => a - b);
  const at = (share: number) => latenciesMs[Math.floor(share * (latenciesMs.length - 1))] ?? Number.NaN;
  return {
    readsPerSecond: latenciesMs.length / seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    commitsPerSecond: commits / seconds,
  };
}

/** Rows of its own for each writer, the lower one first: they wait for nobody. Mostly on two nodes. */
async function transfer(client: pg.Client, turn: number, seed: number): Promise<void> {
  const from = 1 + ((turn * 16 + seed) % (accounts / 2));
  const to = from + accounts / 2;
  await client.query('BEGIN');
  await client.query(`UPDATE account SET balance = balance - 1 WHERE id = ${from}`);
  await client.query(`UPDATE account SET balance = balance + 1 WHERE id = ${to}`);
  await client.query('COMMIT');
}
