import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { connectRaw } from '../../test/oracle/client.ts';
import type { Progress } from '../progress.ts';
import type { BenchServers } from '../servers.ts';
import { psql } from './bulk.ts';
import type { Options } from './options.ts';
import { type Pooler, poolerDatabases, startPooler } from './pgbouncer.ts';
import { family, parentOf } from './processes.ts';
import type { DataFacts, Protocol, SideName, TableName } from './row.ts';
import { createFunctions, createTable, pairPlacesOf, tablesOf, visitRowsSql } from './tables.ts';

/** One way to the data. */
export interface Side {
  readonly name: SideName;
  readonly port: number;
  database(protocol: Protocol): string;
  /** What stands in the way of the queries; null: nothing. */
  readonly pid: number | null;
  /** Postmasters of the PostgreSQL servers that do the work. */
  readonly servers: Postmasters;
}

export interface Postmasters {
  readonly coordinator: readonly number[];
  readonly nodes: readonly number[];
}

export interface Sides {
  readonly all: readonly Side[];
  readonly pooler: Pooler | null;
  readonly facts: DataFacts;
  /** CSV rows for COPY in. */
  readonly file: string;
}

export async function openSides(
  servers: BenchServers,
  options: Options,
  dir: string,
  progress: Progress,
): Promise<Sides> {
  const plainPort = portOf(servers.plainUrl);
  const pooler = options.sides.includes('pooler') ? await startPooler(join(dir, 'pgbouncer'), plainPort) : null;
  const direct = () => 'postgres';
  const { plain, herd: herdServers } = await postmastersOf(servers);
  const all: Side[] = [{ name: 'plain', port: plainPort, database: direct, pid: null, servers: plain }];
  if (pooler !== null) {
    const database = (protocol: Protocol) => poolerDatabases[protocol === 'prepared' ? 'session' : 'transaction'];
    all.push({ name: 'pooler', port: pooler.port, database, pid: pooler.pid, servers: plain });
  }
  const { herdPid: pid } = servers;
  all.push({ name: 'herd', port: portOf(servers.herdUrl), database: direct, pid, servers: herdServers });
  const file = join(dir, 'visits.csv');
  const facts = await load(servers, options, { dir, file, progress });
  return { all: all.filter(({ name }) => options.sides.includes(name)), pooler, facts, file };
}

async function postmastersOf({ servers }: BenchServers): Promise<{ plain: Postmasters; herd: Postmasters }> {
  const [plain, coordinator, ...nodes] = await Promise.all(servers.map(({ url }) => postmasterOf(url)));
  return { plain: { coordinator: [], nodes: [plain!] }, herd: { coordinator: [coordinator!], nodes } };
}

async function postmasterOf(url: string): Promise<number> {
  const client = await connectRaw(url);
  const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
  const postmaster = parentOf(Number(rows[0].pid));
  await client.end();
  return postmaster;
}

function portOf(url: string): number {
  return Number(new URL(url).port);
}

export function processesOf({ name, pid }: Side): number[] {
  if (pid === null) return [];
  return name === 'herd' ? family(pid) : [pid];
}

interface Surroundings {
  readonly dir: string;
  readonly file: string;
  readonly progress: Progress;
}

/** Makes what the rows need and is not there from an earlier run. */
async function load(
  servers: BenchServers,
  options: Options,
  { dir, file, progress }: Surroundings,
): Promise<DataFacts> {
  const marker = join(dir, 'rows.json');
  const made = readMarker(marker);
  const key = (table: TableName) =>
    `${table} ${table === 'visit' ? options.bulkRows : options.scale} ${options.nodes} ${options.shards}`;
  const wanted = [...new Set(options.rows.flatMap((row) => row.tables))].filter((table) => !made.has(key(table)));
  const plain = await connectRaw(servers.plainUrl);
  const herd = await connectRaw(servers.herdUrl);
  try {
    await herd.query(`SET citus.shard_count = ${options.shards}`);
    for (const table of wanted) {
      progress.say(`loading ${table}`);
      await loadTable(table, options, { plain, herd });
      if (table === 'visit')
        await psql(servers.plainUrl, `\\copy (${oneLine(visitRowsSql(options.bulkRows))}) TO '${file}' (FORMAT csv)`);
      made.add(key(table));
    }
    for (const client of [plain, herd]) await client.query('CHECKPOINT');
    writeFileSync(marker, JSON.stringify([...made]));
    const needsPairs = options.rows.some((row) => row.tables.includes('pair'));
    return { scale: options.scale, places: needsPairs ? await pairPlacesOf(herd) : [1, 2] };
  } finally {
    await plain.end();
    await herd.end();
  }
}

async function loadTable(
  name: TableName,
  options: Options,
  { plain, herd }: { plain: pg.Client; herd: pg.Client },
): Promise<void> {
  for (const table of tablesOf(name, options)) {
    await createTable(plain, table, false);
    await createTable(herd, table, true);
  }
  if (name !== 'bank functions') return;
  await createFunctions(plain, false);
  await createFunctions(herd, true);
}

function oneLine(sql: string): string {
  return sql.replace(/\s+/g, ' ');
}

function readMarker(file: string): Set<string> {
  try {
    return new Set(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return new Set();
  }
}
