import type { SqlRunner } from '../core/runner.ts';
import { type CompatibilitySchema, initialPrivilegesSql, leafSchemaSql, userTablesSql } from './compatibility-sql.ts';
import { quoteName } from './quote.ts';
import {
  liveGuardSql,
  liveRelationSql,
  liveStatisticsName,
  type StatisticsColumn,
  statisticsViewSql,
  statisticsViews,
} from './statistics-views.ts';

/** Raised whenever the SQL of these views changes: only then are they made anew. */
const statisticsVersion = 6;

/** Where the extension goes on a server that has not got it yet. */
const extensionSchema = 'pgherd_statistics';

/**
 * pg_stat_statements, where it is preloaded and may be made; where somebody has made it already, it stays in their schema. Run on
 * every server.
 */
export async function installStatementStatistics(runner: SqlRunner): Promise<void> {
  const { rows } = await runner.query(`SELECT current_setting('is_superuser') = 'on'
    AND EXISTS (SELECT FROM pg_catalog.pg_settings s WHERE s.name = 'pg_stat_statements.max')
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_stat_statements')`);
  if (rows[0]?.[0] !== 't') return;
  await runner.query(
    [
      "SELECT set_config('client_min_messages', 'warning', true)",
      `CREATE SCHEMA IF NOT EXISTS ${extensionSchema}`,
      `GRANT USAGE ON SCHEMA ${extensionSchema} TO PUBLIC`,
      `CREATE EXTENSION IF NOT EXISTS pg_stat_statements SCHEMA ${extensionSchema}`,
    ].join(';\n'),
  );
}

/** Where the extension is on a server. */
export const statementSchemaSql = `SELECT n.nspname FROM pg_catalog.pg_extension e
  JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'`;

/** Makes the cluster-wide statistics views on the coordinator, or brings them up to date. */
export async function installStatistics(runner: SqlRunner): Promise<void> {
  await installStatementStatistics(runner);
  const { rows } = await runner.query(stateSql);
  const [superuser, wanted, found] = rows[0] ?? [];
  if (wanted === found) return;
  const schema = superuser === 'on' ? 'pg_catalog' : 'pgherd';
  await runner.query(statisticsSql(await readColumns(runner), schema));
  await runner.query(
    `INSERT INTO pgherd.meta VALUES ('statistics_version', $1) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
    [wanted ?? ''],
  );
}

/** The views follow the columns of the server's own, so another server version makes them anew. */
const stateSql = `SELECT current_setting('is_superuser'),
  concat_ws(':', ${statisticsVersion}, current_setting('server_version_num'),
    (SELECT e.extversion FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_stat_statements')),
  (SELECT m.value FROM pgherd.meta m WHERE m.key = 'statistics_version')`;

type Columns = ReadonlyMap<string, readonly StatisticsColumn[]>;

async function readColumns(runner: SqlRunner): Promise<Columns> {
  const names = statisticsViews.map(({ name }) => `'${name}'`).join(', ');
  const { rows } = await runner.query(`SELECT c.relname, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relname IN (${names}) AND (c.relnamespace = 'pg_catalog'::regnamespace OR EXISTS (
      SELECT FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_depend d ON d.refobjid = e.oid AND d.deptype = 'e'
      WHERE e.extname = 'pg_stat_statements' AND d.objid = c.oid))
    ORDER BY c.relname, a.attnum`);
  const columns = new Map<string, StatisticsColumn[]>();
  for (const [view, name, type] of rows) {
    columns.set(view!, [...(columns.get(view!) ?? []), { name: name!, type: type! }]);
  }
  return columns;
}

function statisticsSql(columns: Columns, schema: CompatibilitySchema): string {
  const known = statisticsViews.flatMap((view) => {
    const own = columns.get(view.name);
    return own ? statisticsViewSql(view, own) : [];
  });
  const live = Object.entries(liveRelations).map(([name, own]) => liveRelationSql(name, own));
  const bodies = Object.entries(citusViews(columns));
  const named = bodies.map(([name, body]) => `CREATE OR REPLACE VIEW ${schema}.${name} AS ${body}`);
  const grants = bodies.map(([name]) => `GRANT SELECT ON ${schema}.${name} TO PUBLIC`);
  const inSystem = schema === 'pg_catalog';
  const allow = (value: string) => (inSystem ? [`SELECT set_config('allow_system_table_mods', '${value}', true)`] : []);
  return [
    "SELECT set_config('client_min_messages', 'warning', true)",
    liveGuardSql,
    ...[...live, ...known].map(ifItFits),
    ...allow('on'),
    ...processFunctions(schema),
    ...named.map(ifItFits),
    ...grants,
    ...(inSystem ? [initialPrivilegesSql(bodies.map(([name]) => name))] : []),
    ...allow('off'),
    'GRANT SELECT ON ALL TABLES IN SCHEMA pgherd TO PUBLIC',
  ].join(';\n');
}

/** Views of users may depend on the columns of an older server version: then they stay, and what is not there any more is NULL. */
function ifItFits(sql: string): string {
  return `DO $pgherd$ BEGIN EXECUTE $view$${sql}$view$; EXCEPTION WHEN invalid_table_definition THEN NULL; END $pgherd$`;
}

const number = (name: string) => ({ name, type: 'bigint' });
const figure = (name: string) => ({ name, type: 'double precision' });
const word = (name: string) => ({ name, type: 'text' });

/** Rows that the router itself, or all servers together, can tell. */
export const liveRelations: Readonly<Record<string, readonly StatisticsColumn[]>> = {
  live_shard_time: [number('shardid'), number('calls'), figure('total_ms'), figure('max_ms')],
  live_statement: [
    ...[number('queryid'), { name: 'role', type: 'name' }, word('query'), word('rung')],
    ...[number('calls'), figure('total_ms'), figure('max_ms')],
  ],
  live_server: [
    ...[
      { name: 'nodeid', type: 'integer' },
      word('nodename'),
      { name: 'nodeport', type: 'integer' },
      { name: 'reachable', type: 'boolean' },
    ],
    ...[word('error'), { name: 'facts', type: 'jsonb' }, figure('answer_ms')],
  ],
  live_pool: [
    ...[word('server'), { name: 'role', type: 'name' }],
    ...['open', 'busy', 'waiting', 'max_connections'].map((name) => ({ name, type: 'integer' })),
  ],
  live_lock_wait: [
    ...[
      { name: 'waiting_node', type: 'integer' },
      { name: 'waiting_pid', type: 'integer' },
    ],
    ...[{ name: 'blocking_pid', type: 'integer' }, word('waiting_query'), word('blocking_query')],
  ],
};

/** How Citus numbers processes over all servers. */
const globalPid = (node: string, pid: string) => `(${node}::bigint * 10000000000 + ${pid})`;

/** Global process ids, and who has them, as plain functions. The coordinator is node 0. */
function processFunctions(schema: CompatibilitySchema): string[] {
  const define = (signature: string, type: string, body: string, volatility = 'IMMUTABLE') =>
    `CREATE OR REPLACE FUNCTION ${schema}.${signature} RETURNS ${type} LANGUAGE sql ${volatility} STRICT AS $$ SELECT ${body} $$`;
  return [
    define('citus_calculate_gpid(nodeid integer, pid integer)', 'bigint', globalPid('$1', '$2')),
    define('citus_nodeid_for_gpid(global_pid bigint)', 'integer', '($1 / 10000000000)::integer'),
    define('citus_pid_for_gpid(global_pid bigint)', 'integer', '($1 % 10000000000)::integer'),
    define('citus_backend_gpid()', 'bigint', 'pg_catalog.pg_backend_pid()::bigint', 'STABLE'),
    define('citus_coordinator_nodeid()', 'integer', '0'),
    define('citus_is_coordinator()', 'boolean', 'true'),
    define(
      'citus_nodename_for_nodeid(nodeid integer)',
      'text',
      'n.name FROM pgherd.node n WHERE n.node_id = $1',
      'STABLE',
    ),
    define(
      'citus_nodeport_for_nodeid(nodeid integer)',
      'integer',
      'n.port FROM pgherd.node n WHERE n.node_id = $1',
      'STABLE',
    ),
  ];
}

function citusViews(columns: Columns): Record<string, string> {
  const activity = (columns.get('pg_stat_activity') ?? []).map(({ name }) => quoteName(name));
  const shown = (alias: string) =>
    activity.map((name) => (name === '"datid"' || name === '"usesysid"' ? `w.${name}` : `${alias}.${name}`)).join(', ');
  const live = `pgherd.${liveStatisticsName('pg_stat_activity')}`;
  // OIDs of databases and roles are the coordinator's.
  const activityOf = (where: string) => `SELECT ${globalPid('l.nodeid', 'l.pid')} AS global_pid, l.nodeid,
  l.nodeid <> 0 AS is_worker_query, ${shown('l')}
FROM ${live} l
CROSS JOIN LATERAL (SELECT (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = l.datid) AS datid,
  (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = l.usesysid) AS usesysid) w${where}`;
  return {
    citus_shard_statistics: `SELECT s.shard_id, s.relation::regclass AS table_name,
  (SELECT coalesce(sum(z.bytes), 0)::bigint FROM pgherd.live_shard_size z WHERE z.shardid = s.shard_id) AS shard_size,
  (SELECT count(*) FROM pgherd.shard o WHERE o.relation = s.relation) AS shard_count,
  coalesce(l.total_ms / nullif(l.calls, 0), 0) AS avg_query_time, coalesce(l.max_ms, 0) AS max_query_time,
  coalesce(l.calls, 0) AS calls,
  CASE t.method WHEN 'reference' THEN format('%I.%I', n.nspname, c.relname)
    ELSE format('%I.%I', ${leafSchemaSql}, c.relname) END AS shard_name
FROM pgherd.shard s
JOIN pgherd.dist_table t ON t.relation = s.relation
JOIN pg_catalog.pg_class c ON c.oid = s.relation
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND ${userTablesSql}
LEFT JOIN pgherd.live_shard_time l ON l.shardid = s.shard_id`,
    citus_shard_sizes: 'SELECT z.shardid::integer AS shard_id, z.bytes AS size FROM pgherd.live_shard_size z',
    citus_schemas: `SELECT n.oid::regnamespace AS schema_name, d.colocation_id,
  pg_size_pretty((SELECT coalesce(sum(z.bytes), 0) FROM pgherd.dist_table t JOIN pgherd.shard s ON s.relation = t.relation
    JOIN pgherd.live_shard_size z ON z.shardid = s.shard_id WHERE t.colocation_id = d.colocation_id)) AS schema_size,
  pg_get_userbyid(n.nspowner) AS schema_owner
FROM pgherd.dist_schema d JOIN pg_catalog.pg_namespace n ON n.oid = d.schema_oid`,
    citus_stat_statements: `SELECT l.queryid, r.oid AS userid, d.oid AS dbid, l.query, l.rung AS executor,
  NULL::text AS partition_key, l.calls, l.total_ms AS total_time, l.total_ms / nullif(l.calls, 0) AS mean_time, l.max_ms AS max_time
FROM pgherd.live_statement l
LEFT JOIN pg_catalog.pg_roles r ON r.rolname = l.role
LEFT JOIN pg_catalog.pg_database d ON d.datname = current_database()`,
    pgherd_servers: 'SELECT nodeid, nodename, nodeport, reachable, error, facts, answer_ms FROM pgherd.live_server',
    pgherd_pools: 'SELECT server, role, open, busy, waiting, max_connections FROM pgherd.live_pool',
    citus_stat_activity: activityOf(''),
    citus_dist_stat_activity: activityOf(' WHERE l.nodeid = 0'),
    citus_lock_waits: `SELECT ${globalPid('l.waiting_node', 'l.waiting_pid')} AS waiting_gpid,
  ${globalPid('l.waiting_node', 'l.blocking_pid')} AS blocking_gpid, l.waiting_query AS blocked_statement,
  l.blocking_query AS current_statement_in_blocking_process, l.waiting_node AS waiting_nodeid, l.waiting_node AS blocking_nodeid
FROM pgherd.live_lock_wait l`,
  };
}
