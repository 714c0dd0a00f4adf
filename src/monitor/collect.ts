import { serverFactsSql } from '../catalog/server-facts.ts';
import { PgError } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { conditions } from '../core/sqlstate.ts';
import { readFacts, readServers } from './facts.ts';
import {
  type DiskState,
  type GroupShards,
  type NodeShards,
  type NodeState,
  type Observation,
  type PoolState,
  type Seen,
  type ServerState,
  type SlowQuery,
  type StatementTotals,
  seen,
  seenIn,
} from './observation.ts';

export interface CollectOptions {
  /** From which mean on a query is slow. */
  readonly slowMeanMs: number;
  /** Of statements that are counted; a pattern of LIKE. */
  readonly statementPattern: string;
  /** The disk that a server's data are on; null: it isn't on this machine. */
  readonly diskOf: ((dataDirectory: string) => Promise<Omit<DiskState, 'server'>>) | null;
}

/**
 * What the cluster says through SQL alone. A part that fails is unseen, with the reason; it never rejects. `known`: statements that were
 * read not long ago, for servers have many.
 */
export async function collect(
  runner: SqlRunner,
  atMs: number,
  options: CollectOptions,
  known: Statements | null = null,
): Promise<Observation> {
  const greeting = await part(() => runner.query('SELECT 1'));
  if (greeting.kind === 'unseen') return nothingSeen(atMs, greeting.why);
  const servers = await part(() => readServerStates(runner));
  const nodes = await part(() => readNodes(runner, servers));
  const groups = await part(() => readGroups(runner));
  const shards = groups.kind === 'seen' ? seen(byNode(groups.value)) : groups;
  const { statements, slowQueries } = known ?? (await readStatements(runner, options));
  const pools = await part(() => readPools(runner));
  const disks = await part(() => readDisks(servers, options));
  return { atMs, cluster: { kind: 'reached' }, nodes, servers, shards, groups, statements, slowQueries, pools, disks };
}

export type Statements = Pick<Observation, 'statements' | 'slowQueries'>;

async function readStatements(runner: SqlRunner, options: CollectOptions): Promise<Statements> {
  const statements = await part(() => readTotals(runner, options.statementPattern));
  const slowQueries = await part(() => readSlowQueries(runner, options.slowMeanMs));
  return { statements, slowQueries };
}

function nothingSeen(atMs: number, why: string): Observation {
  const unseen = { kind: 'unseen', why } as const;
  return {
    ...{ atMs, cluster: { kind: 'unreachable', why }, nodes: unseen, servers: unseen, shards: unseen, groups: unseen },
    ...{ statements: unseen, slowQueries: unseen, pools: unseen, disks: unseen },
  };
}

async function part<T>(read: () => Promise<T>): Promise<Seen<T>> {
  try {
    return seen(await read());
  } catch (error) {
    return { kind: 'unseen', why: error instanceof Error ? error.message : String(error) };
  }
}

/** Tries one way after the other while the cluster says that it has no such relation, column or function. */
async function firstThatExists<T>(ways: readonly (() => Promise<T>)[]): Promise<T> {
  const missing: readonly string[] = [
    conditions.undefinedTable,
    conditions.undefinedColumn,
    conditions.undefinedFunction,
  ];
  let last: unknown;
  for (const way of ways) {
    try {
      return await way();
    } catch (error) {
      if (!(error instanceof PgError) || !missing.includes(error.code)) throw error;
      last = error;
    }
  }
  throw last;
}

/** pgherd's own view; on a cluster of the extension a command on all nodes; on one server that server. */
function readServerStates(runner: SqlRunner): Promise<readonly ServerState[]> {
  return firstThatExists([
    async () => {
      const sql =
        'SELECT nodeid, nodename, nodeport, reachable, error, facts, answer_ms FROM pgherd_servers ORDER BY nodeid';
      return readServers((await runner.query(sql)).rows);
    },
    async () => {
      const { rows: nodes } = await runner.query('SELECT nodeid, nodename, nodeport FROM pg_dist_node');
      const known = new Map(nodes.map(([id, name, port]) => [id, [name ?? null, port ?? null]]));
      const sql = 'SELECT nodeid, success, result FROM run_command_on_all_nodes($1)';
      const { rows } = await runner.query(sql, [serverFactsSql]);
      return readServers(
        rows
          .map(([id = null, success = null, result = null]) => [
            ...[id, ...(known.get(id) ?? ['coordinator', null])],
            ...[success, result, result],
          ])
          .sort(([a], [b]) => Number(a) - Number(b)),
      );
    },
    async () => {
      const facts = readFacts((await runner.query(serverFactsSql)).rows[0]![0]!);
      return [{ id: 0, name: 'server', port: 0, answerMs: null, answer: { kind: 'facts' as const, facts } }];
    },
  ]);
}

async function readNodes(runner: SqlRunner, servers: Seen<readonly ServerState[]>): Promise<readonly NodeState[]> {
  const { rows } = await runner.query(
    'SELECT nodeid, nodename, nodeport, isactive, noderole FROM pg_dist_node ORDER BY nodename',
  );
  const answers = new Map((seenIn(servers) ?? []).map((server) => [server.id, server.answer.kind === 'facts']));
  return rows.map(([id, name, port, active, role]) => ({
    ...{ id: Number(id), name: name!, port: Number(port), active: active === 't', role: role! },
    reachable: answers.get(Number(id)) ?? null,
  }));
}

async function readGroups(runner: SqlRunner): Promise<readonly GroupShards[]> {
  const { rows } = await runner.query(
    'SELECT nodename, colocation_id, count(*), coalesce(sum(shard_size), 0) FROM citus_shards GROUP BY 1, 2 ORDER BY 1, 2',
  );
  return rows.map(([node, group, count, bytes]) => ({
    ...{ node: node!, group: group ?? '', count: Number(count), bytes: Number(bytes) },
  }));
}

/** The fullest first. */
function byNode(groups: readonly GroupShards[]): NodeShards[] {
  const nodes = new Map<string, NodeShards>();
  for (const { node, count, bytes } of groups) {
    const known = nodes.get(node);
    nodes.set(node, { node, count: (known?.count ?? 0) + count, bytes: (known?.bytes ?? 0) + bytes });
  }
  return [...nodes.values()].sort((a, b) => b.bytes - a.bytes || (a.node < b.node ? -1 : 1));
}

async function readTotals(runner: SqlRunner, pattern: string): Promise<StatementTotals> {
  const by = (node: string) => async () => {
    const sql = `SELECT ${node}, count(*), sum(calls), sum(total_exec_time), max(total_exec_time)
      FROM pg_stat_statements WHERE query LIKE $1 GROUP BY 1 ORDER BY 1`;
    return (await runner.query(sql, [pattern])).rows;
  };
  const rows = (await firstThatExists([by('nodename'), by('NULL::text')])).map(([node, ...figures]) => {
    const [statements, calls, totalMs, maxMs] = figures.map(Number) as [number, number, number, number];
    return { node: node ?? null, statements, calls, totalMs, maxMs };
  });
  const sum = (figure: 'statements' | 'calls' | 'totalMs') => rows.reduce((all, row) => all + row[figure], 0);
  return {
    statements: sum('statements'),
    calls: sum('calls'),
    averageTotalMs: sum('totalMs') / Math.max(sum('statements'), 1),
    maxTotalMs: Math.max(0, ...rows.map(({ maxMs }) => maxMs)),
    byNode: rows.flatMap(({ node, calls, totalMs }) =>
      node === null ? [] : [{ node, calls, meanMs: totalMs / calls }],
    ),
  };
}

const maxSlowQueries = 10;

/** Whole statements as the router measures them, and what each server has of them. The slowest first. */
async function readSlowQueries(runner: SqlRunner, slowMeanMs: number): Promise<readonly SlowQuery[]> {
  const after = `ORDER BY 5 DESC LIMIT ${maxSlowQueries}`;
  const onServers = (where: string) => async () => {
    const sql = `SELECT ${where}, query, calls, total_exec_time, mean_exec_time, rows FROM pg_stat_statements WHERE mean_exec_time > $1 ${after}`;
    return (await runner.query(sql, [String(slowMeanMs)])).rows;
  };
  const byRouter = async () => {
    const sql = `SELECT 'router', query, calls, total_time, mean_time, NULL FROM citus_stat_statements WHERE mean_time > $1 ${after}`;
    return (await runner.query(sql, [String(slowMeanMs)])).rows;
  };
  const rows = [
    ...(await firstThatExists([byRouter, async () => []])),
    ...(await firstThatExists([onServers('nodename'), onServers('NULL::text')])),
  ];
  return rows
    .map(([where, query, calls, totalMs, meanMs, count]) => ({
      ...{ where: where ?? null, query: query ?? '', calls: Number(calls) },
      ...{ totalMs: Number(totalMs), meanMs: Number(meanMs), rows: count == null ? null : Number(count) },
    }))
    .sort((a, b) => b.meanMs - a.meanMs)
    .slice(0, maxSlowQueries);
}

async function readPools(runner: SqlRunner): Promise<readonly PoolState[]> {
  const { rows } = await runner.query('SELECT server, role, open, busy, waiting, max_connections FROM pgherd_pools');
  return rows.map(([server, role, ...figures]) => {
    const [open, busy, waiting, maxConnections] = figures.map(Number) as [number, number, number, number];
    return { server: server!, role: role!, open, busy, waiting, maxConnections };
  });
}

async function readDisks(
  servers: Seen<readonly ServerState[]>,
  { diskOf }: CollectOptions,
): Promise<readonly DiskState[]> {
  if (servers.kind === 'unseen') throw new Error(servers.why);
  if (diskOf === null) throw new Error('PostgreSQL does not tell the free space of its disks');
  const found = await Promise.all(
    servers.value.map(async ({ name, answer }) => {
      const directory = answer.kind === 'facts' ? answer.facts.dataDirectory : null;
      return directory === null ? [] : [{ server: name, ...(await diskOf(directory)) }];
    }),
  );
  return found.flat();
}
