/** The catalog under the names and columns that users of Greenplum and Postgres-XL know. */

/** The columns of a table's key, by their places, as the text of a vector. */
const keyVectorSql = (value: string) => `coalesce((SELECT string_agg((${value})::text, ' ' ORDER BY k.place)
    FROM unnest(t.key_columns) WITH ORDINALITY AS k(attnum, place)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = t.relation AND a.attnum = k.attnum), '')`;

/** Ids of the nodes that hold rows of a table. */
const tableNodesSql = `SELECT g.node_id FROM pgherd.group_shard g WHERE g.colocation_id = t.colocation_id
    UNION SELECT n.node_id FROM pgherd.node n WHERE n.active AND t.method = 'reference'`;

const hashClassSql = `coalesce((SELECT o.oid FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_am m ON m.oid = o.opcmethod
      WHERE m.amname = 'hash' AND o.opcdefault AND o.opcintype = a.atttypid LIMIT 1), 0)`;

const coordinatorSql = (key: string, otherwise: string) =>
  `coalesce((SELECT m.value FROM pgherd.meta m WHERE m.key = 'coordinator_${key}'), ${otherwise})`;

/** `userTables`: what keeps hidden tables out, over pg_namespace n. */
export function dialectViewBodies(userTables: string): Record<string, string> {
  const tables = `pgherd.dist_table t JOIN pg_catalog.pg_class c ON c.oid = t.relation
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND ${userTables}`;
  return {
    gp_segment_configuration: `SELECT 1::smallint AS dbid, (-1)::smallint AS content, 'p'::"char" AS role, 'p'::"char" AS preferred_role,
  'n'::"char" AS mode, 'u'::"char" AS status, ${coordinatorSql('port', "current_setting('port')")}::integer AS port,
  'coordinator'::text AS hostname, ${coordinatorSql('host', "'localhost'")} AS address, NULL::text AS datadir
UNION ALL
SELECT (n.node_id + 1)::smallint, (row_number() OVER (ORDER BY n.node_id) - 1)::smallint, 'p', 'p', 'n',
  (CASE WHEN n.active THEN 'u' ELSE 'd' END)::"char", n.port, n.name, n.host, NULL
FROM pgherd.node n`,

    gp_distribution_policy: `SELECT t.relation AS localoid,
  (CASE t.method WHEN 'reference' THEN 'r' ELSE 'p' END)::"char" AS policytype,
  (SELECT count(*) FROM (${tableNodesSql}) s)::integer AS numsegments,
  ${keyVectorSql('k.attnum')}::int2vector AS distkey, ${keyVectorSql(hashClassSql)}::oidvector AS distclass
FROM ${tables}`,

    pgxc_node: `SELECT 0::oid AS oid, 'coordinator'::name AS node_name, 'C'::"char" AS node_type,
  ${coordinatorSql('port', "current_setting('port')")}::integer AS node_port, ${coordinatorSql('host', "'localhost'")}::name AS node_host,
  false AS nodeis_primary, false AS nodeis_preferred, 0 AS node_id
UNION ALL
SELECT n.node_id::oid, n.name::name, 'D', n.port, n.host::name, false, false, n.node_id FROM pgherd.node n`,

    pgxc_class: `SELECT t.relation AS pcrelid,
  (CASE t.method WHEN 'hash' THEN 'H' WHEN 'random' THEN 'N' WHEN 'reference' THEN 'R' WHEN 'range' THEN 'G' ELSE 'L' END)::"char"
    AS pclocatortype,
  coalesce(t.key_columns[1], 0)::smallint AS pcattnum,
  (CASE t.method WHEN 'hash' THEN 1 ELSE 0 END)::smallint AS pchashalgorithm,
  (CASE t.method WHEN 'hash' THEN (SELECT g.shard_count FROM pgherd.colocation_group g WHERE g.colocation_id = t.colocation_id)
    ELSE 0 END)::smallint AS pchashbuckets,
  coalesce((SELECT string_agg(s.node_id::text, ' ' ORDER BY s.node_id) FROM (${tableNodesSql}) s), '')::oidvector AS nodeoids
FROM ${tables}`,
  };
}
