import { dialectViewBodies } from './dialect-views.ts';

/**
 * The catalog under the names and columns that users of Citus know. What only the nodes can tell (sizes) comes from
 * `pgherd.live_shard_size`: the router expands these views and puts the rows in its place; read past the router, it raises.
 */

export type CompatibilitySchema = 'pg_catalog' | 'pgherd';

/** Views over live rows: the snapshot holds them wherever they live, so that the router can expand them. */
export const liveViewNames: readonly string[] = [
  'citus_tables',
  'citus_shards',
  'citus_shard_sizes',
  'citus_shard_statistics',
  'citus_stat_statements',
  'citus_stat_activity',
  'citus_dist_stat_activity',
  'citus_lock_waits',
  'pgherd_transactions',
  'pgherd_transaction_log',
  'citus_schemas',
  'pgherd_servers',
  'pgherd_pools',
];

export function isLiveView(name: string): boolean {
  return liveViewNames.includes(name);
}

/** `pgherd.live_shard_size(shardid, nodeid, bytes)`: one row per shard and node that holds it (0: the coordinator). */
export const liveShardSizeName = 'live_shard_size';

/** `pgherd.server_traffic(server, bytes_sent, bytes_received)`: between this router's sessions and each server since it started. */
export const serverTrafficName = 'server_traffic';

/** `pgherd.live_transaction`: what is prepared on the nodes. */
export const preparedTransactionsName = 'live_transaction';

/** `pgherd.live_transaction_event`: the last steps of this router's distributed commits. */
export const transactionEventsName = 'live_transaction_event';

export function compatibilitySql(schema: CompatibilitySchema): string {
  const views = Object.entries(viewBodies).flatMap(([name, body]) => [
    `CREATE OR REPLACE VIEW ${schema}.${name} AS ${body}`,
    `GRANT SELECT ON ${schema}.${name} TO PUBLIC`,
  ]);
  if (schema === 'pgherd') return [...liveSql, ...views].join(';\n');
  // Local to this transaction, and switched off again for what follows in it.
  const allow = (value: string) => `SELECT set_config('allow_system_table_mods', '${value}', true)`;
  return [...liveSql, allow('on'), ...views, initialPrivilegesSql(Object.keys(viewBodies)), allow('off')].join(';\n');
}

/** pg_dump writes GRANTs on objects of pg_catalog unless they count as made by initdb. */
export const initialPrivilegesSql = (views: readonly string[]) => `
INSERT INTO pg_catalog.pg_init_privs (objoid, classoid, objsubid, privtype, initprivs)
SELECT c.oid, 'pg_catalog.pg_class'::regclass, 0, 'i', c.relacl
FROM pg_catalog.pg_class c
WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relname = ANY (ARRAY[${views.map((name) => `'${name}'`).join(', ')}])
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_init_privs p
    WHERE p.objoid = c.oid AND p.classoid = 'pg_catalog.pg_class'::regclass AND p.objsubid = 0)`;

/** Read past the router, each raises. */
const liveSql = [
  liveRelationSql(liveShardSizeName, 'sizes of shards were', 'shardid bigint, nodeid integer, bytes bigint'),
  liveRelationSql(
    preparedTransactionsName,
    'prepared transactions were',
    'gid text, nodeid integer, nodename text, since timestamptz, owner text',
  ),
  liveRelationSql(
    transactionEventsName,
    'steps of commits were',
    'number bigint, at timestamptz, gid text, step text, detail text',
  ),
  liveRelationSql(serverTrafficName, 'traffic was', 'server text, bytes_sent bigint, bytes_received bigint'),
];

function liveRelationSql(name: string, what: string, columns: string): string {
  return `
CREATE OR REPLACE FUNCTION pgherd.${name}_guard() RETURNS TABLE (${columns})
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RAISE EXCEPTION USING errcode = '0A000', message = '${what} read on the coordinator, outside the router',
    hint = 'Run the statement itself through the router, not in a function or over a direct connection.';
END $$;
CREATE OR REPLACE VIEW pgherd.${name} AS SELECT * FROM pgherd.${name}_guard()`;
}

/** Mirrors leafSchema(): the schema of the leaf of shard `s` of a table in namespace `n`. */
export const leafSchemaSql =
  "CASE t.method WHEN 'random' THEN '' ELSE 'pgherd_s' || CASE WHEN s.shard_index < 10 THEN '0' ELSE '' END || s.shard_index || '_' END || n.nspname";

/** Hidden tables of global unique indexes are no tables of the user's. */
export const userTablesSql = "n.nspname <> 'pgherd' AND n.nspname NOT LIKE 'pgherd\\_%'";

const tableTypeSql = `CASE WHEN t.method = 'reference' THEN 'reference'
    WHEN EXISTS (SELECT FROM pgherd.dist_schema d WHERE d.colocation_id = t.colocation_id) THEN 'schema' ELSE 'distributed' END`;

const keyNamesSql = `(SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.place)
    FROM unnest(t.key_columns) WITH ORDINALITY AS k(attnum, place)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = t.relation AND a.attnum = k.attnum)`;

/** Every copy of every shard: reference tables on all active nodes and on the coordinator. */
const placementsSql = `SELECT s.shard_id, s.relation, s.shard_index, g.node_id
  FROM pgherd.shard s
  JOIN pgherd.dist_table t ON t.relation = s.relation
  JOIN pgherd.group_shard g ON g.colocation_id = t.colocation_id AND g.shard_index = s.shard_index
UNION ALL
SELECT s.shard_id, s.relation, s.shard_index, e.node_id
  FROM pgherd.shard s
  JOIN pgherd.dist_table t ON t.relation = s.relation AND t.method = 'reference'
  CROSS JOIN (SELECT n.node_id FROM pgherd.node n WHERE n.active UNION ALL
    SELECT 0 FROM pgherd.meta m WHERE m.key = 'coordinator_host') e`;

/** The coordinator is node 0 of group 0 once citus_set_coordinator_host() has told its address. */
const nodesSql = `SELECT n.node_id, n.name, n.port, n.active, n.should_have_shards FROM pgherd.node n
UNION ALL
SELECT 0, h.value, coalesce(p.value, '5432')::integer, true, false
  FROM pgherd.meta h LEFT JOIN pgherd.meta p ON p.key = 'coordinator_port' WHERE h.key = 'coordinator_host'`;

const boundSql = (side: 'from' | 'to') => `CASE g.bounds->>'kind'
    WHEN 'hash' THEN g.bounds->>'remainder'
    WHEN 'range' THEN g.bounds->>'${side}'
    WHEN 'list' THEN (SELECT string_agg(coalesce(v, 'NULL'), ', ') FROM jsonb_array_elements_text(g.bounds->'values') v) END`;

const viewBodies: Readonly<Record<string, string>> = {
  pgherd_transactions: `SELECT l.gid, l.nodename, l.since, l.owner, d.decision,
  CASE WHEN l.gid NOT LIKE 'pgherd:%' AND d.decision IS NULL THEN 'a client prepared it'
    WHEN d.decision = 'commit' THEN 'it is decided, and the server is to be told to commit'
    WHEN d.decision = 'abort' THEN 'it is decided, and the server is to be told to roll back'
    WHEN e.fenced OR e.epoch IS NULL THEN 'its router is dead and nothing was decided: recovery rolls it back'
    ELSE 'nothing is decided yet' END AS why
FROM pgherd.live_transaction l
LEFT JOIN pgherd.transaction_decision d
  ON d.gid = CASE WHEN l.gid LIKE 'pgherd:%' THEN regexp_replace(l.gid, ':[0-9]+$', '') ELSE 'pgherd:client:0:' || l.gid END
LEFT JOIN pgherd.router_epoch e ON e.epoch::text = split_part(l.gid, ':', 3)`,
  pgherd_transaction_log: 'SELECT number, at, gid, step, detail FROM pgherd.live_transaction_event',
  pg_dist_node: `SELECT n.node_id AS nodeid, n.node_id AS groupid, n.name AS nodename, n.port AS nodeport,
  'default'::text AS noderack, n.node_id = 0 AS hasmetadata, n.active AS isactive, 'primary'::text AS noderole,
  'default'::name AS nodecluster, true AS metadatasynced, n.should_have_shards AS shouldhaveshards
FROM (${nodesSql}) n`,

  pg_dist_partition: `SELECT t.relation::regclass AS logicalrelid,
  (CASE t.method WHEN 'hash' THEN 'h' WHEN 'range' THEN 'r' WHEN 'list' THEN 'l' WHEN 'random' THEN 'x' ELSE 'n' END)::"char" AS partmethod,
  ${keyNamesSql} AS partkey, coalesce(t.colocation_id, 0) AS colocationid,
  (CASE t.method WHEN 'reference' THEN 't' ELSE 's' END)::"char" AS repmodel, false AS autoconverted
FROM pgherd.dist_table t JOIN pg_catalog.pg_class c ON c.oid = t.relation
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND ${userTablesSql}`,

  pg_dist_shard: `SELECT s.relation::regclass AS logicalrelid, s.shard_id AS shardid, 't'::"char" AS shardstorage,
  ${boundSql('from')} AS shardminvalue,
  ${boundSql('to')} AS shardmaxvalue
FROM pgherd.shard s
JOIN pgherd.dist_table t ON t.relation = s.relation
JOIN pg_catalog.pg_class c ON c.oid = t.relation
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND ${userTablesSql}
LEFT JOIN pgherd.group_shard g ON g.colocation_id = t.colocation_id AND g.shard_index = s.shard_index`,

  pg_dist_placement: `SELECT row_number() OVER (ORDER BY p.shard_id, p.node_id) AS placementid, p.shard_id AS shardid,
  1 AS shardstate, 0::bigint AS shardlength, p.node_id AS groupid
FROM (${placementsSql}) p JOIN pg_catalog.pg_class c ON c.oid = p.relation
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND ${userTablesSql}`,

  pg_dist_colocation: `SELECT g.colocation_id AS colocationid, g.shard_count AS shardcount, 1 AS replicationfactor,
  (SELECT a.atttypid FROM pgherd.dist_table t
    JOIN pg_catalog.pg_attribute a ON a.attrelid = t.relation AND a.attnum = t.key_columns[1]
    WHERE t.colocation_id = g.colocation_id ORDER BY t.relation LIMIT 1) AS distributioncolumntype,
  (SELECT a.attcollation FROM pgherd.dist_table t
    JOIN pg_catalog.pg_attribute a ON a.attrelid = t.relation AND a.attnum = t.key_columns[1]
    WHERE t.colocation_id = g.colocation_id ORDER BY t.relation LIMIT 1) AS distributioncolumncollation
FROM pgherd.colocation_group g`,

  pg_dist_object: `SELECT 'pg_catalog.pg_proc'::regclass::oid AS classid, d.function AS objid, 0 AS objsubid, NULL::text AS type,
  NULL::text[] AS object_names, NULL::text[] AS object_args, d.argument - 1 AS distribution_argument_index,
  (SELECT t.colocation_id FROM pgherd.dist_table t WHERE t.relation = d.colocated_with) AS colocationid, d.force AS force_delegation
FROM pgherd.dist_function d JOIN pg_catalog.pg_proc p ON p.oid = d.function`,

  citus_tables: `SELECT t.relation::regclass AS table_name, ${tableTypeSql} AS citus_table_type,
  coalesce(${keyNamesSql}, '<none>') AS distribution_column, coalesce(t.colocation_id, 0) AS colocation_id,
  pg_size_pretty(coalesce(z.bytes, 0)) AS table_size,
  (SELECT count(*) FROM pgherd.shard s WHERE s.relation = t.relation) AS shard_count,
  pg_get_userbyid(c.relowner) AS table_owner, coalesce(m.amname, 'heap') AS access_method
FROM pgherd.dist_table t
JOIN pg_catalog.pg_class c ON c.oid = t.relation
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND ${userTablesSql}
LEFT JOIN pg_catalog.pg_am m ON m.oid = c.relam
LEFT JOIN (SELECT s.relation, sum(l.bytes) AS bytes
  FROM pgherd.shard s JOIN pgherd.${liveShardSizeName} l ON l.shardid = s.shard_id GROUP BY s.relation) z
  ON z.relation = t.relation`,

  citus_shards: `SELECT s.relation::regclass AS table_name, s.shard_id AS shardid,
  CASE t.method WHEN 'reference' THEN format('%I.%I', n.nspname, c.relname)
    ELSE format('%I.%I', ${leafSchemaSql}, c.relname) END AS shard_name,
  ${tableTypeSql} AS citus_table_type, coalesce(t.colocation_id, 0) AS colocation_id,
  e.name AS nodename, e.port AS nodeport, coalesce(l.bytes, 0) AS shard_size
FROM (${placementsSql}) s
JOIN pgherd.dist_table t ON t.relation = s.relation
JOIN pg_catalog.pg_class c ON c.oid = t.relation
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND ${userTablesSql}
JOIN (${nodesSql}) e ON e.node_id = s.node_id
LEFT JOIN pgherd.${liveShardSizeName} l ON l.shardid = s.shard_id AND l.nodeid = s.node_id`,

  ...dialectViewBodies(userTablesSql),
};
