import { liveViewNames, serverTrafficName } from './compatibility-sql.ts';
import { delegationsSql } from './delegate-sql.ts';
import { insertBackName } from './loop-names.ts';
import type { ViewOptions } from './snapshot.ts';
import { statisticsViews } from './statistics-views.ts';

/*
 * The SQL that loadSnapshot() runs: one SELECT, so one MVCC snapshot, each column one JSON document whose shape is the
 * interface beside it. All names are qualified: it runs under an empty search_path.
 */

/** Column of a hidden table that holds an expression's values; behind it comes its place in the index, from 1. */
export const expressionColumn = 'pgherd_x';

export interface NodeRow {
  readonly id: number;
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly active: boolean;
  readonly version: number | null;
}

const nodesSql = `SELECT node_id AS id, name, host, port, active, server_version_num AS version
  FROM pgherd.node ORDER BY node_id`;

export interface GroupRow {
  readonly id: number;
  readonly method: string;
  readonly families: readonly string[];
  readonly shards: readonly { readonly index: number; readonly nodeId: number; readonly bounds: unknown }[];
}

const groupsSql = `SELECT g.colocation_id AS id, g.method, g.key_families AS families,
  (SELECT coalesce(json_agg(json_build_object('index', s.shard_index, 'nodeId', s.node_id, 'bounds', s.bounds)
    ORDER BY s.shard_index), '[]') FROM pgherd.group_shard s WHERE s.colocation_id = g.colocation_id) AS shards
  FROM pgherd.colocation_group g`;

export interface SchemaRow {
  readonly name: string;
  readonly colocationId: number;
}

const schemasSql = `SELECT n.nspname AS name, d.colocation_id AS "colocationId"
  FROM pgherd.dist_schema d JOIN pg_catalog.pg_namespace n ON n.oid = d.schema_oid`;

export interface TableRow {
  readonly oid: number;
  readonly method: string;
  readonly colocationId: number | null;
  readonly estimatedRows: number;
  readonly keys: readonly KeyRow[];
  /** Shard ids in the order of their indexes. */
  readonly shardIds: readonly number[];
  readonly primaryKey: readonly string[];
  readonly hasRowTriggers: boolean;
  /** `pg_trigger.tgtype` of users' statement triggers. */
  readonly statementTriggers: readonly number[];
  readonly hasColumnGrants: boolean;
  readonly globalIndexes: readonly GlobalIndexRow[];
}

export interface KeyRow {
  readonly attnum: number;
  /** A domain's base type; any other type itself. */
  readonly typeOid: number;
  readonly baseTypeName: string;
  readonly bytewise: boolean;
}

export interface GlobalIndexRow {
  readonly name: string;
  readonly columns: readonly string[];
  readonly expressions: readonly (string | null)[] | null;
  readonly predicate: string | null;
  readonly nullsNotDistinct: boolean;
  readonly hiddenSchema: string;
  readonly hiddenName: string;
}

/** The type under all domains of `column`. */
const baseTypeSql = (column: string) => `(WITH RECURSIVE d(oid, base) AS (
    SELECT ty.oid, ty.typbasetype FROM pg_catalog.pg_type ty WHERE ty.oid = ${column}
    UNION ALL SELECT ty.oid, ty.typbasetype FROM pg_catalog.pg_type ty JOIN d ON ty.oid = d.base)
  SELECT d.oid FROM d WHERE d.base = 0)`;

/**
 * The extended hash function of a type's default hash class, qualified, or null: what a HASH partition key uses
 * (GetDefaultOpClass): the type's own class, that of a type it is binary coercible to, or of its pseudo-type. Its argument may
 * be of another type than the key (hashint4extended for date, up to 17): to call it, see partitionHashSql.
 */
export const hashFunctionSql = (typeOid: string) => `(
  SELECT quote_ident(pn.nspname) || '.' || quote_ident(p.proname)
  FROM pg_catalog.pg_type kty
  JOIN pg_catalog.pg_opclass o ON o.opcdefault
  JOIN pg_catalog.pg_am am ON am.oid = o.opcmethod AND am.amname = 'hash'
  JOIN pg_catalog.pg_amproc ap ON ap.amprocfamily = o.opcfamily AND ap.amprocnum = 2
    AND ap.amproclefttype = o.opcintype AND ap.amprocrighttype = o.opcintype
  JOIN pg_catalog.pg_proc p ON p.oid = ap.amproc
  JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace
  JOIN pg_catalog.pg_type ity ON ity.oid = o.opcintype
  LEFT JOIN pg_catalog.pg_cast ca ON ca.castsource = kty.oid AND ca.casttarget = o.opcintype
    AND ca.castmethod = 'b' AND ca.castcontext = 'i'
  WHERE kty.oid = ${typeOid} AND (o.opcintype = kty.oid OR ca.oid IS NOT NULL
    OR o.opcintype = 'anyarray'::regtype AND kty.typcategory = 'A'
    OR o.opcintype = 'anyenum'::regtype AND kty.typtype = 'e'
    OR o.opcintype = 'anyrange'::regtype AND kty.typtype = 'r'
    OR o.opcintype = 'anymultirange'::regtype AND kty.typtype = 'm'
    OR o.opcintype = 'record'::regtype AND kty.typtype = 'c')
  ORDER BY o.opcintype <> kty.oid, NOT ity.typispreferred LIMIT 1)`;

/** Whether a collation (an OID, 0 for none) orders as bytes do on every server. 100 is the database's default. */
export const isBytewiseSql = (collation: string) => `(${collation} = 0
  OR EXISTS (SELECT FROM pg_catalog.pg_collation l WHERE l.oid = ${collation} AND l.collnamespace = 'pg_catalog'::regnamespace
    AND l.collname IN ('C', 'POSIX', 'ucs_basic', 'C.UTF-8', 'C.utf8', 'pg_c_utf8'))
  OR ${collation} = 100 AND EXISTS (SELECT FROM pg_catalog.pg_database d
    WHERE d.datname = pg_catalog.current_database() AND (d.datlocprovider = 'c' AND d.datcollate IN ('C', 'POSIX', 'C.UTF-8', 'C.utf8')
      OR d.datlocprovider = 'b' AND to_jsonb(d)->>'datlocale' IN ('C', 'C.UTF-8'))))`;

const columnNamesSql = (numbers: string, relation: string) => `(
  SELECT coalesce(json_agg(a.attname ORDER BY k.place), '[]')
  FROM unnest(${numbers}) WITH ORDINALITY AS k(attnum, place)
  JOIN pg_catalog.pg_attribute a ON a.attrelid = ${relation} AND a.attnum = k.attnum)`;

const tablesSql = `SELECT t.relation::bigint AS oid, t.method, t.colocation_id AS "colocationId",
  t.estimated_rows AS "estimatedRows",
  (SELECT coalesce(json_agg(json_build_object('attnum', k.attnum, 'typeOid', b.oid::bigint,
      'baseTypeName', pg_catalog.format_type(b.oid, NULL), 'bytewise', ${isBytewiseSql('a.attcollation')})
      ORDER BY k.place), '[]')
    FROM unnest(t.key_columns) WITH ORDINALITY AS k(attnum, place)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = t.relation AND a.attnum = k.attnum
    CROSS JOIN LATERAL (SELECT ${baseTypeSql('a.atttypid')} AS oid) b) AS keys,
  (SELECT coalesce(json_agg(s.shard_id ORDER BY s.shard_index), '[]')
    FROM pgherd.shard s WHERE s.relation = t.relation) AS "shardIds",
  coalesce((SELECT ${columnNamesSql('i.indkey::smallint[]', 'i.indrelid')} FROM pg_catalog.pg_index i
    WHERE i.indrelid = t.relation AND i.indisprimary), '[]') AS "primaryKey",
  EXISTS (SELECT FROM pg_catalog.pg_trigger g
    WHERE g.tgrelid = t.relation AND NOT g.tgisinternal AND g.tgname <> '${insertBackName}' AND g.tgtype & 1 = 1 AND NOT starts_with(g.tgname, '!pgherd_')) AS "hasRowTriggers",
  (SELECT coalesce(json_agg(g.tgtype ORDER BY g.tgname), '[]') FROM pg_catalog.pg_trigger g
    WHERE g.tgrelid = t.relation AND NOT g.tgisinternal AND g.tgtype & 1 = 0 AND g.tgenabled <> 'D' AND g.tgname !~ '^!?pgherd_') AS "statementTriggers",
  EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.relation AND a.attacl IS NOT NULL) AS "hasColumnGrants",
  (SELECT coalesce(json_agg(json_build_object('name', x.index_name,
      'columns', (SELECT coalesce(json_agg(coalesce(a.attname, '${expressionColumn}' || k.place) ORDER BY k.place), '[]')
        FROM unnest(x.columns) WITH ORDINALITY AS k(attnum, place)
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = x.relation AND a.attnum = k.attnum AND k.attnum > 0),
      'expressions', to_jsonb(x)->'expressions', 'predicate', x.predicate,
      'nullsNotDistinct', x.nulls_not_distinct, 'hiddenSchema', x.hidden_schema, 'hiddenName', x.hidden_name)
      ORDER BY x.index_name), '[]')
    FROM pgherd.global_index x WHERE x.relation = t.relation) AS "globalIndexes"
  FROM pgherd.dist_table t`;

export interface ForeignKeyRow {
  readonly oid: number;
  readonly name: string;
  readonly child: number;
  readonly parent: number;
  readonly childColumns: readonly number[];
  readonly parentColumns: readonly number[];
  readonly match: string;
  readonly onUpdate: string;
  readonly onDelete: string;
  readonly setColumns: readonly number[];
  readonly deferrable: boolean;
  readonly deferred: boolean;
  readonly validated: boolean;
}

/** All that a distributed or reference table has a part in; what is NOT ENFORCED (PostgreSQL 18) nobody keeps. */
const foreignKeysSql = `SELECT k.oid::bigint AS oid, k.conname AS name, k.conrelid::bigint AS child, k.confrelid::bigint AS parent,
  k.conkey AS "childColumns", k.confkey AS "parentColumns", k.confmatchtype AS match, k.confupdtype AS "onUpdate",
  k.confdeltype AS "onDelete", coalesce(k.confdelsetcols, '{}') AS "setColumns", k.condeferrable AS deferrable,
  k.condeferred AS deferred, k.convalidated AS validated
  FROM pg_catalog.pg_constraint k
  WHERE k.contype = 'f' AND k.conparentid = 0 AND coalesce(to_jsonb(k)->>'conenforced', 'true') = 'true'
    AND (k.conrelid IN (SELECT t.relation FROM pgherd.dist_table t) OR k.confrelid IN (SELECT t.relation FROM pgherd.dist_table t))`;

export interface RelationRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** `pg_class.relkind` */
  readonly kind: string;
  readonly rowSecurity: boolean;
  readonly hasTriggers: boolean;
  readonly viewDefinition: string | null;
  readonly viewOptions: ViewOptions | null;
  readonly columns: readonly ColumnRow[] | null;
}

export interface ColumnRow {
  readonly name: string;
  readonly attnum: number;
  readonly typeOid: number;
  readonly typmod: number;
  readonly typeName: string;
  readonly baseTypeName: string;
  readonly collation: string | null;
  readonly notNull: boolean;
  readonly identity: '' | 'a' | 'd';
  readonly generated: '' | 's' | 'v';
  readonly expression: string | null;
  readonly sequence: string | null;
}

/** pgherd's own relations are left out, but for hidden tables and the views that the router expands. */
const expandedNames = liveViewNames.map((name) => `'${name}'`).join(', ');
const statisticsNames = statisticsViews.map(({ name }) => `'${name}'`).join(', ');
const ownRelationsSql = `c.relkind = 'v' AND (c.relname IN (${expandedNames})
      OR n.nspname = 'pgherd' AND (c.relname LIKE 'live\\_%' OR c.relname = '${serverTrafficName}' OR c.relname IN (${statisticsNames}))) OR EXISTS (SELECT FROM pgherd.dist_table t WHERE t.relation = c.oid)`;

/*
 * Sets joined to sets: with a subquery per row this costs many times more on databases with thousands of columns.
 */
const relationsSql = `WITH rel AS MATERIALIZED (
  SELECT c.oid, n.nspname, c.relname, c.relkind, c.relrowsecurity, c.reloptions, c.relhastriggers
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c', 'i', 'I') AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('information_schema', 'pg_toast') AND n.nspname NOT LIKE 'pg\\_t%temp\\_%'
    AND ((n.nspname NOT IN ('pg_catalog', 'pgherd') AND n.nspname NOT LIKE 'pgherd\\_%')
      OR (n.nspname IN ('pg_catalog', 'pgherd') OR n.nspname LIKE 'pgherd\\_%') AND (${ownRelationsSql}))
), identity AS MATERIALIZED (
  SELECT d.refobjid, d.refobjsubid, quote_ident(sn.nspname) || '.' || quote_ident(s.relname) AS sequence
  FROM pg_catalog.pg_depend d
  JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
  JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace
  WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'i'
), col AS (
  SELECT a.attrelid, json_agg(json_build_object(
    'name', a.attname, 'attnum', a.attnum, 'typeOid', a.atttypid::bigint, 'typmod', a.atttypmod,
    'typeName', pg_catalog.format_type(a.atttypid, a.atttypmod), 'baseTypeName', pg_catalog.format_type(a.atttypid, NULL),
    'collation', CASE WHEN a.attcollation <> ty.typcollation
      THEN quote_ident(con.nspname) || '.' || quote_ident(co.collname) END,
    'notNull', a.attnotnull, 'identity', a.attidentity, 'generated', a.attgenerated,
    'expression', coalesce(pg_catalog.pg_get_expr(def.adbin, def.adrelid), pg_catalog.pg_get_expr(ty.typdefaultbin, 0)),
    'sequence', identity.sequence) ORDER BY a.attnum) AS columns
  FROM rel
  JOIN pg_catalog.pg_attribute a ON a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_catalog.pg_type ty ON ty.oid = a.atttypid
  LEFT JOIN pg_catalog.pg_attrdef def ON def.adrelid = a.attrelid AND def.adnum = a.attnum AND a.atthasdef
  LEFT JOIN pg_catalog.pg_collation co ON co.oid = a.attcollation
  LEFT JOIN pg_catalog.pg_namespace con ON con.oid = co.collnamespace
  LEFT JOIN identity ON identity.refobjid = a.attrelid AND identity.refobjsubid = a.attnum AND a.attidentity <> ''
  WHERE rel.relkind NOT IN ('i', 'I')
  GROUP BY a.attrelid
)
SELECT rel.oid::bigint AS oid, rel.nspname AS schema, rel.relname AS name, rel.relkind AS kind,
  rel.relrowsecurity AS "rowSecurity", col.columns, rel.relhastriggers AND EXISTS (SELECT FROM pg_catalog.pg_trigger g
    WHERE g.tgrelid = rel.oid AND NOT g.tgisinternal AND g.tgname !~ '^!?pgherd_') AS "hasTriggers",
  CASE WHEN rel.relkind IN ('v', 'm') THEN rtrim(pg_catalog.pg_get_viewdef(rel.oid), ';') END AS "viewDefinition",
  CASE WHEN rel.relkind = 'v' THEN json_build_object(
    'checkOption', (SELECT option_value FROM pg_catalog.pg_options_to_table(rel.reloptions) WHERE option_name = 'check_option'),
    'isBarrier', EXISTS (SELECT FROM pg_catalog.pg_options_to_table(rel.reloptions) WHERE option_name = 'security_barrier' AND option_value::boolean),
    'hasActions', EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = rel.oid AND t.tgtype & 64 <> 0)
      OR EXISTS (SELECT FROM pg_catalog.pg_rewrite w WHERE w.ev_class = rel.oid AND w.rulename <> '_RETURN')) END AS "viewOptions"
FROM rel LEFT JOIN col ON col.attrelid = rel.oid`;

/** schema, name, provolatile, prokind, proretset, proisstrict, body, is a trigger's: an array and no object, for there are 3,300 of them. */
export type FunctionRow = readonly [string, string, string, string, boolean, boolean, FunctionBody | null, boolean];

export interface FunctionBody {
  readonly source: string;
  /** Those that have names. */
  readonly parameters: readonly string[];
}

const functionsSql = (
  where: string,
  body = 'NULL',
) => `SELECT json_build_array(n.nspname, p.proname, p.provolatile, p.prokind,
    p.proretset, p.proisstrict, ${body}, p.prorettype = 'pg_catalog.trigger'::pg_catalog.regtype) AS f
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE ${where}`;

/** Of functions of pgherd's own and of compiled ones there is nothing to read. */
const bodySql = `CASE WHEN n.nspname <> 'pgherd' AND p.prolang NOT IN (SELECT oid FROM pg_catalog.pg_language WHERE lanname IN ('c', 'internal'))
    THEN json_build_object('source', coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc), 'parameters', coalesce(p.proargnames, '{}')) END`;

export interface UserCodeRow {
  readonly operators: readonly string[];
  readonly hasCasts: boolean;
}

const isWritten = (
  func: string,
) => `EXISTS (SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang
  WHERE p.oid = ${func} AND (l.lanname NOT IN ('internal', 'c') OR p.provolatile = 'v'))`;

/** From FirstNormalObjectId on. */
const userCodeSql = `SELECT
  (SELECT coalesce(json_agg(DISTINCT o.oprname), '[]') FROM pg_catalog.pg_operator o
    WHERE o.oid >= 16384 AND ${isWritten('o.oprcode')}) AS operators,
  EXISTS (SELECT FROM pg_catalog.pg_cast c WHERE c.oid >= 16384 AND ${isWritten('c.castfunc')}) AS "hasCasts"`;

const jsonOf = (sql: string, value = 'to_json(q)') => `(SELECT coalesce(json_agg(${value}), '[]') FROM (${sql}) q)`;

/** Everything but the functions of pg_catalog, which never change: a later load takes them from the snapshot before. */
export function snapshotSql(withSystemFunctions: boolean): string {
  const system = "n.nspname IN ('pg_catalog', 'information_schema')";
  return `SELECT
  (SELECT json_object_agg(m.key, m.value) FROM pgherd.meta m) AS meta,
  pg_catalog.current_setting('server_version_num') AS version,
  ${jsonOf(nodesSql)} AS nodes,
  ${jsonOf(groupsSql)} AS groups,
  ${jsonOf(schemasSql)} AS schemas,
  ${jsonOf(tablesSql)} AS tables,
  ${jsonOf(foreignKeysSql)} AS foreign_keys,
  ${jsonOf(delegationsSql)} AS delegations,
  ${jsonOf(relationsSql)} AS relations,
  ${jsonOf(functionsSql(`NOT ${system} AND n.nspname NOT LIKE 'pg\\_temp\\_%'`, bodySql), 'q.f')} AS functions,
  ${jsonOf(userCodeSql)} AS user_code,
  ${withSystemFunctions ? jsonOf(functionsSql(system), 'q.f') : 'NULL'} AS system_functions,
  pg_catalog.current_setting('${keptSettingsName}') AS kept`;
}

/** Deparsed expressions are read by the parser and run on nodes, whatever this session has set for its own output. */
const pinnedSettings: Readonly<Record<string, string>> = {
  search_path: '',
  datestyle: 'ISO, YMD',
  intervalstyle: 'postgres',
  extra_float_digits: '1',
  bytea_output: 'hex',
  quote_all_identifiers: 'off',
  standard_conforming_strings: 'on',
};

const keptSettingsName = 'pgherd.kept_settings';

/** Pins the settings for this transaction and remembers what they were. */
export function pinSettingsSql(): string {
  const names = Object.keys(pinnedSettings);
  const kept = names.map((name) => `'${name}', pg_catalog.current_setting('${name}')`).join(', ');
  const pins = Object.entries(pinnedSettings).map(
    ([name, value]) => `pg_catalog.set_config('${name}', '${value}', true)`,
  );
  return `SELECT pg_catalog.set_config('${keptSettingsName}', pg_catalog.json_build_object(${kept})::text, true);
SELECT ${pins.join(', ')}`;
}

/** In a transaction of the session's own, its settings come back; outside one they have already. */
export const restoreSettingsSql =
  'SELECT pg_catalog.set_config(key, value, true) FROM pg_catalog.json_each_text($1::json)';
