import type { SqlRunner } from '../../core/runner.ts';
import { defaultOrderSql } from '../../schema/admit-node.ts';

/** How a table looks on one server; null: it is not there. */
export interface TableShape {
  readonly columns: string;
  readonly constraints: string;
  readonly indexes: string;
}

/** What one server says of itself. */
export interface ServerFacts {
  readonly version: number;
  readonly encoding: string;
  readonly order: string;
  /** The collation's version has changed under the indexes that were built with the old one. */
  readonly staleCollation: boolean;
  readonly settings: Readonly<Record<string, string>>;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  readonly tables: Readonly<Record<string, TableShape | null>>;
  readonly roles: readonly string[];
  readonly extensions: Readonly<Record<string, string>>;
  /** Prepared for more than a minute. */
  readonly oldPrepared: number;
  readonly invalidIndexes: readonly string[];
}

export interface Server {
  readonly name: string;
  readonly isCoordinator: boolean;
  /** A string: why it could not be asked. */
  readonly facts: ServerFacts | string;
  /** This machine's clock, halfway through the question, and how far off that may be. */
  readonly localMs: number;
  readonly uncertaintyMs: number;
}

export interface Examination {
  /** Of a cluster with nodes; else of a single server. */
  readonly isHerd: boolean;
  readonly servers: readonly Server[];
}

/** Asks all servers of a cluster, through its router; Citus's own function does the same there. */
export async function examine(runner: SqlRunner): Promise<Examination> {
  const isHerd =
    (await one(
      runner,
      "SELECT to_regproc('run_command_on_all_nodes') IS NOT NULL AND to_regclass('pg_dist_node') IS NOT NULL",
    )) === 't';
  if (!isHerd) {
    const ask = async () => [{ name: 'server', isCoordinator: true, facts: await factsOf(runner) }];
    return { isHerd, servers: await timed(ask) };
  }
  const { rows: nodes } = await runner.query('SELECT nodeid, nodename FROM pg_dist_node ORDER BY nodeid');
  const names = new Map(nodes.map(([id, name]) => [id!, name!]));
  const { rows: tables } = await runner.query(
    `SELECT format('%I.%I', n.nspname, c.relname) FROM pg_dist_partition p
       JOIN pg_class c ON c.oid = p.logicalrelid JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY 1`,
  );
  const sql = factsSql(tables.map(([name]) => name!));
  // With a server down pgherd refuses the whole; then each is asked by itself.
  const servers = await timed(() => askAll(runner, sql, names)).catch(() =>
    askEach(runner, sql, ['coordinator', ...names.values()]),
  );
  return { isHerd, servers };
}

type Answer = Pick<Server, 'name' | 'isCoordinator' | 'facts'>;

async function askAll(runner: SqlRunner, sql: string, names: ReadonlyMap<string, string>): Promise<Answer[]> {
  const { rows } = await runner.query(
    'SELECT nodeid, success, result FROM run_command_on_all_nodes($1) ORDER BY nodeid',
    [sql],
  );
  const answers = rows.map(
    ([id, success, result]): Answer => ({
      ...{ name: names.get(id!) ?? 'coordinator', isCoordinator: !names.has(id!) },
      facts: success === 't' ? (JSON.parse(result!) as ServerFacts) : (result ?? 'it did not answer'),
    }),
  );
  const silent = [...names.values()].filter((name) => !answers.some((answer) => answer.name === name));
  return [...answers, ...silent.map((name) => ({ name, isCoordinator: false, facts: 'it is not active' }))];
}

async function askEach(runner: SqlRunner, sql: string, names: readonly string[]): Promise<Server[]> {
  const servers: Server[] = [];
  for (const name of names) {
    const direct = `EXECUTE DIRECT ON ("${name.replaceAll('"', '""')}") '${sql.replaceAll("'", "''")}'`;
    const ask = async (): Promise<Answer[]> => {
      const parse = (text: string | null) => JSON.parse(text!) as ServerFacts;
      const facts = await one(runner, direct).then(parse, (error: Error) => error.message);
      return [{ name, isCoordinator: name === 'coordinator', facts }];
    };
    servers.push(...(await timed(ask)));
  }
  return servers;
}

async function timed(ask: () => Promise<Answer[]>): Promise<Server[]> {
  const beganMs = Date.now();
  const answers = await ask();
  const endedMs = Date.now();
  const clock = { localMs: (beganMs + endedMs) / 2, uncertaintyMs: (endedMs - beganMs) / 2 };
  return answers.map((answer) => ({ ...answer, ...clock }));
}

async function factsOf(runner: SqlRunner): Promise<ServerFacts> {
  return JSON.parse((await one(runner, factsSql([])))!) as ServerFacts;
}

async function one(runner: SqlRunner, sql: string): Promise<string | null> {
  return (await runner.query(sql)).rows[0]?.[0] ?? null;
}

const settingNames = [
  ...[
    'max_prepared_transactions',
    'max_connections',
    'max_locks_per_transaction',
    'fsync',
    'full_page_writes',
    'autovacuum',
  ],
  ...[
    'shared_preload_libraries',
    'lc_messages',
    'TimeZone',
    'DateStyle',
    'IntervalStyle',
    'standard_conforming_strings',
  ],
  ...[
    'default_transaction_isolation',
    'synchronous_commit',
    'wal_level',
    'statement_timeout',
    'idle_in_transaction_session_timeout',
  ],
];

const quoted = (texts: readonly string[]) =>
  `ARRAY[${texts.map((text) => `'${text.replaceAll("'", "''")}'`).join(', ')}]::text[]`;

/** As a server's own configuration has them, whatever the connection that asks has set. */
const settingsSql = `(SELECT json_object_agg(name, reset_val) FROM pg_catalog.pg_settings WHERE name = ANY (${quoted(settingNames)}))`;

function factsSql(tables: readonly string[]): string {
  return `SELECT json_build_object(
  'version', current_setting('server_version_num')::integer, 'encoding', current_setting('server_encoding'),
  'order', ${defaultOrderSql},
  'staleCollation', coalesce(d.datcollversion <> pg_database_collation_actual_version(d.oid), false),
  'settings', ${settingsSql},
  'nowMs', round(extract(epoch FROM clock_timestamp()) * 1000)::bigint,
  'tables', coalesce((SELECT json_object_agg(n.name, ${tableSql}) FROM unnest(${quoted(tables)}) n(name)
      LEFT JOIN pg_catalog.pg_class c ON c.oid = to_regclass(n.name)), '{}'::json),
  'roles', (SELECT json_agg(r.rolname ORDER BY r.rolname) FROM pg_catalog.pg_roles r WHERE r.rolname !~ '^pg_'),
  'extensions', coalesce((SELECT json_object_agg(e.extname, e.extversion) FROM pg_catalog.pg_extension e), '{}'::json),
  'oldPrepared', (SELECT count(*) FROM pg_catalog.pg_prepared_xacts x WHERE x.database = current_database() AND x.prepared < now() - interval '1 minute'),
  'invalidIndexes', coalesce((SELECT json_agg(i.indexrelid::regclass::text) FROM pg_catalog.pg_index i WHERE NOT i.indisvalid
      AND i.indrelid >= 16384 AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)), '[]'::json))
FROM pg_catalog.pg_database d WHERE d.datname = current_database()`;
}

const tableSql = `CASE WHEN c.oid IS NOT NULL THEN json_build_object(
  'columns', (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END, ', ' ORDER BY a.attname)
    FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  'constraints', coalesce((SELECT string_agg(pg_get_constraintdef(k.oid), '; ' ORDER BY pg_get_constraintdef(k.oid))
    FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u', 'c', 'f') AND k.conparentid = 0), ''),
  'indexes', coalesce((SELECT string_agg(i.indexrelid::regclass::text, ', ' ORDER BY i.indexrelid::regclass::text)
    FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid), '')) END`;
