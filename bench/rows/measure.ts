import { setTimeout } from 'node:timers/promises';
import { connectRaw } from '../../test/oracle/client.ts';
import { median } from '../median.ts';
import type { BenchServers } from '../servers.ts';
import { canCopy, runBulk } from './bulk.ts';
import type { Options } from './options.ts';
import { cpuSeconds, endedChildrenSeconds, memoryBytes, serverCpuSeconds } from './processes.ts';
import type { BulkRow, LatencyRow, SideName, TrafficRow } from './row.ts';
import { processesOf, type Side, type Sides } from './sides.ts';
import { runLoad, type Traffic } from './traffic.ts';

/** What one run on one side gave. */
export interface Run {
  /** Transactions a second; of bulk rows the reciprocal of the seconds. */
  readonly perSecond: number;
  readonly seconds: number | null;
  readonly p50Us: number | null;
  readonly p99Us: number | null;
  /** CPU time of router or pooler, for each statement of the script, BEGIN and END included; of bulk rows for the whole. */
  readonly cpuUs: number | null;
  /** The same of all PostgreSQL servers, of the coordinator among them, and of the load generator. */
  readonly serversCpuUs: number | null;
  readonly coordinatorCpuUs: number | null;
  readonly clientCpuUs: number | null;
  /** The most that router or pooler had. */
  readonly memoryBytes: number | null;
}

export type Figures = Partial<Record<SideName, readonly Run[]>>;

/** A server takes no more clients than its max_connections, less what is reserved. */
const maxDirectClients = 190;
const memoryIntervalMs = 500;
const warmSeconds = 3;
const backendEndMs = 300;

/** One side after the other, round after round. */
export async function measureTraffic(row: TrafficRow | LatencyRow, sides: Sides, options: Options): Promise<Figures> {
  const clients = row.kind === 'latency' ? 1 : (row.clients ?? options.clients);
  const protocol = options.protocol ?? row.protocol;
  const script = row.script(sides.facts);
  const taking = sides.all.filter((side) => side.name !== 'plain' || clients <= maxDirectClients);
  const loadOf = (side: Side) => ({ port: side.port, database: side.database(protocol), protocol, script, clients });
  // What the router has not run yet, it compiles first; connections are opened.
  for (const side of taking) await runLoad({ ...loadOf(side), seconds: Math.min(warmSeconds, options.seconds) });
  return inTurn(taking, options.rounds, async (side) => {
    return watched(side, async () => {
      const traffic = await runLoad({ ...loadOf(side), seconds: options.seconds });
      return { traffic, statements: traffic.transactions * script.statements.length };
    });
  });
}

export async function measureBulk(
  row: BulkRow,
  sides: Sides,
  options: Options,
  servers: BenchServers,
): Promise<Figures> {
  if ('copy' in row.work && !canCopy()) throw new Error(`${row.name} needs psql`);
  const taking = sides.all.filter((side) => side.name !== 'pooler');
  return inTurn(taking, options.rounds, async (side) => {
    const url = side.name === 'plain' ? servers.plainUrl : servers.herdUrl;
    await makeReady(row, url, servers);
    let seconds = 0;
    const run = await watched(side, async () => {
      seconds = await runBulk(row, url, sides.file);
      const traffic = { transactions: 1, perSecond: 1 / seconds, p50Us: null, p99Us: null };
      return { traffic, statements: 1 };
    });
    return { ...run, seconds };
  });
}

/** Nothing of an earlier run is left to be written. */
async function makeReady({ empties }: BulkRow, url: string, servers: BenchServers): Promise<void> {
  const client = await connectRaw(url);
  if (empties !== undefined) await client.query(`TRUNCATE ${empties}`);
  await client.end();
  for (const each of servers.servers) {
    const server = await connectRaw(each.url);
    await server.query('CHECKPOINT');
    await server.end();
  }
}

async function inTurn(sides: readonly Side[], rounds: number, run: (side: Side) => Promise<Run>): Promise<Figures> {
  const figures: { [name in SideName]?: Run[] } = {};
  for (let round = 0; round < rounds; round++) {
    for (const side of sides) {
      figures[side.name] ??= [];
      figures[side.name]!.push(await run(side));
    }
  }
  return figures;
}

/** Runs the work, and looks at the processes meanwhile. */
async function watched(
  side: Side,
  work: () => Promise<{ readonly traffic: Traffic; readonly statements: number }>,
): Promise<Run> {
  const pids = processesOf(side);
  let most = 0;
  const timer = setInterval(() => {
    most = Math.max(most, memoryBytes(pids));
  }, memoryIntervalMs);
  const before = usedSeconds(side, pids);
  try {
    const { traffic, statements } = await work();
    // A server's process that is just ending is in nobody's account.
    await setTimeout(backendEndMs);
    const after = usedSeconds(side, pids);
    most = Math.max(most, memoryBytes(pids));
    const { perSecond, p50Us, p99Us } = traffic;
    const us = (part: keyof Used) => (statements === 0 ? null : ((after[part] - before[part]) * 1e6) / statements);
    return {
      ...{ perSecond, seconds: null, p50Us, p99Us },
      cpuUs: pids.length === 0 ? null : us('between'),
      serversCpuUs: us('servers'),
      coordinatorCpuUs: side.servers.coordinator.length === 0 ? null : us('coordinator'),
      clientCpuUs: us('client'),
      memoryBytes: pids.length === 0 ? null : most,
    };
  } finally {
    clearInterval(timer);
  }
}

type Used = ReturnType<typeof usedSeconds>;

/** CPU seconds so far: of what stands between client and servers, of the servers, of clients that have ended. */
function usedSeconds({ servers }: Side, pids: readonly number[]) {
  const sum = (postmasters: readonly number[]) => postmasters.reduce((total, pid) => total + serverCpuSeconds(pid), 0);
  const coordinator = sum(servers.coordinator);
  return {
    ...{ between: cpuSeconds(pids), coordinator, servers: coordinator + sum(servers.nodes) },
    client: endedChildrenSeconds(process.pid),
  };
}

/** Of the runs that have the figure; null: none has. */
export function medianOf(runs: readonly Run[] | undefined, figure: keyof Run): number | null {
  const values = (runs ?? []).map((run) => run[figure]).filter((value): value is number => value !== null);
  return values.length === 0 ? null : median(values);
}
