import { pinSettingsSql, restoreSettingsSql } from '../catalog/load-sql.ts';
import { insertBackName, loopName } from '../catalog/loop-names.ts';
import type { SqlRunner } from '../core/runner.ts';
import { arrayText } from './array-text.ts';
import { shellGuardName } from './guard-sql.ts';
import { watchTriggerPrefix } from './key-watch.ts';
import type { TableShape } from './table-shape.ts';

/** The shapes of the tables that still exist, in the order of their OIDs. */
export async function describeTables(runner: SqlRunner, oids: readonly number[]): Promise<TableShape[]> {
  if (oids.length === 0) return [];
  return withPinnedSettings(runner, async () => {
    const { rows } = await runner.query(describeSql, [arrayText(oids)]);
    return rows.map(([shape]) => JSON.parse(shape!) as TableShape);
  });
}

/** Definitions are read under an empty search_path, so that all names in them are qualified. Inside a transaction only. */
export async function withPinnedSettings<T>(runner: SqlRunner, work: () => Promise<T>): Promise<T> {
  const { rows } = await runner.query(`${pinSettingsSql()}; SELECT pg_catalog.current_setting('pgherd.kept_settings')`);
  const result = await work();
  await runner.query(restoreSettingsSql, [rows[0]![0]!]);
  return result;
}

const grantsSql = (acl: string) => `(SELECT coalesce(json_agg(json_build_object(
    'grantee', CASE WHEN g.grantee <> 0 THEN pg_get_userbyid(g.grantee) END,
    'privilege', g.privilege_type, 'grantable', g.is_grantable) ORDER BY g.grantee, g.privilege_type), '[]')
  FROM aclexplode(${acl}) g)`;

const listSql = (from: string, value: string, order: string) =>
  `(SELECT coalesce(json_agg(${value} ORDER BY ${order}), '[]') FROM ${from})`;

const columnsSql = listSql(
  `pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped`,
  `json_build_object('attnum', a.attnum, 'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
    'collation', (SELECT format('%I.%I', n.nspname, l.collname) FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace
      WHERE l.oid = a.attcollation AND a.attcollation <> t.typcollation),
    'notNull', a.attnotnull, 'default', pg_get_expr(d.adbin, d.adrelid),
    'usesSequence', EXISTS (SELECT FROM pg_depend p JOIN pg_class s ON s.oid = p.refobjid AND s.relkind = 'S'
        WHERE p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass)
      OR pg_get_expr(d.adbin, d.adrelid) ~ 'nextval\\(',
    'identity', a.attidentity, 'generated', a.attgenerated,
    'storage', CASE WHEN a.attstorage <> t.typstorage THEN CASE a.attstorage
      WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END,
    'compression', CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END,
    'statisticsTarget', CASE WHEN a.attstattarget >= 0 THEN a.attstattarget END,
    'options', coalesce(to_json(a.attoptions), '[]'), 'comment', col_description(c.oid, a.attnum),
    'grants', CASE WHEN a.attacl IS NOT NULL THEN ${grantsSql('a.attacl')} END,
    'missingValue', CASE WHEN a.atthasmissing THEN (a.attmissingval::text::text[])[1] END)`,
  'a.attnum',
);

const indexDetails = `'unique', i.indisunique, 'keyColumns', (SELECT coalesce(json_agg(k.attnum ORDER BY k.place), '[]')
      FROM unnest(i.indkey::smallint[]) WITH ORDINALITY k(attnum, place) WHERE k.place <= i.indnkeyatts),
    'expressions', (SELECT coalesce(json_agg(CASE WHEN k.attnum = 0 THEN json_build_object(
        'sql', pg_get_indexdef(i.indexrelid, k.place::integer, false), 'type', format_type(ka.atttypid, ka.atttypmod),
        'collation', CASE WHEN ka.attcollation <> ky.typcollation THEN ka.attcollation::regcollation::text END) END ORDER BY k.place), '[]')
      FROM unnest(i.indkey::smallint[]) WITH ORDINALITY k(attnum, place)
      JOIN pg_attribute ka ON ka.attrelid = i.indexrelid AND ka.attnum = k.place JOIN pg_type ky ON ky.oid = ka.atttypid
      WHERE k.place <= i.indnkeyatts),
    'predicate', pg_get_expr(i.indpred, i.indrelid), 'nullsNotDistinct', i.indnullsnotdistinct,
    'options', coalesce(to_json(x.reloptions), '[]'), 'clustered', i.indisclustered, 'replicaIdentity', i.indisreplident`;

const constraintsSql = listSql(
  "pg_constraint k WHERE k.conrelid = c.oid AND k.contype IN ('c', 'f', 'p', 'u', 'x')",
  `json_build_object('oid', k.oid::bigint, 'name', k.conname, 'type', k.contype, 'definition', pg_get_constraintdef(k.oid),
    'validated', k.convalidated, 'noInherit', k.connoinherit AND k.contype = 'c', 'columns', coalesce(to_json(k.conkey), '[]'),
    'comment', obj_description(k.oid, 'pg_constraint'),
    'index', CASE WHEN k.contype IN ('p', 'u', 'x') THEN (SELECT json_build_object(${indexDetails},
        'equalColumns', (SELECT coalesce(json_agg(e.attnum), '[]') FROM unnest(k.conkey, k.conexclop) e(attnum, operator)
          JOIN pg_operator o ON o.oid = e.operator WHERE o.oprname = '='))
      FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indexrelid = k.conindid) END,
    'reference', CASE WHEN k.contype = 'f' THEN json_build_object('oid', k.confrelid::bigint, 'columns', k.confkey,
      'onUpdate', k.confupdtype, 'onDelete', k.confdeltype, 'setColumns', coalesce(to_json(k.confdelsetcols), '[]')) END)`,
  "k.contype = 'f', k.oid",
);

/** What stands before USING is known to the letter, so it is cut off by its length. */
const indexesSql = listSql(
  `pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid
    AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))`,
  `json_build_object('oid', x.oid::bigint, 'name', x.relname, ${indexDetails}, 'equalColumns', json_build_array(),
    'definition', substr(pg_get_indexdef(x.oid), 1 + length(format('CREATE %sINDEX %I ON %I.%I ',
      CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, x.relname, n.nspname, c.relname))),
    'comment', obj_description(x.oid, 'pg_class'), 'valid', i.indisvalid)`,
  'x.oid',
);

const policiesSql = listSql(
  'pg_policy p WHERE p.polrelid = c.oid',
  `json_build_object('name', p.polname, 'using', pg_get_expr(p.polqual, p.polrelid),
    'check', pg_get_expr(p.polwithcheck, p.polrelid), 'definition', concat_ws(' ',
    'AS', CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
    'FOR', CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
    'TO', (SELECT string_agg(CASE WHEN r = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', ') FROM unnest(p.polroles) r),
    'USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
    'WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'))`,
  'p.polname',
);

/** tgtype: 1 row, 2 before. */
const triggersSql = listSql(
  `pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgname <> '${shellGuardName}' AND NOT starts_with(g.tgname, '${insertBackName}')
    AND NOT starts_with(g.tgname, '${watchTriggerPrefix}')`,
  `json_build_object('name', g.tgname, 'definition', pg_get_triggerdef(g.oid), 'enabled', g.tgenabled,
    'row', g.tgtype & 1 = 1, 'before', g.tgtype & 2 = 2, 'constraint', g.tgconstraint <> 0,
    'events', (SELECT json_agg(e.name) FROM (VALUES ('insert', 4), ('delete', 8), ('update', 16), ('truncate', 32)) e(name, bit)
      WHERE g.tgtype & e.bit <> 0),
    'transitionTables', g.tgoldtable IS NOT NULL OR g.tgnewtable IS NOT NULL)`,
  'g.tgname',
);

const statisticsSql = listSql(
  `pg_statistic_ext s JOIN pg_namespace sn ON sn.oid = s.stxnamespace WHERE s.stxrelid = c.oid AND sn.nspname <> 'pgherd'`,
  `json_build_object('schema', sn.nspname, 'name', s.stxname, 'target', CASE WHEN s.stxstattarget >= 0 THEN s.stxstattarget END,
    'definition', substr(split_part(pg_get_statisticsobjdef(s.oid), format(' FROM %I.%I', n.nspname, c.relname), 1),
      1 + length(format('CREATE STATISTICS %I.%I ', sn.nspname, s.stxname))))`,
  's.stxname',
);

const describeSql = `SELECT json_build_object('oid', c.oid::bigint, 'schema', n.nspname, 'name', c.relname,
  'quotedName', format('%I.%I', n.nspname, c.relname), 'owner', pg_get_userbyid(c.relowner),
  'kind', c.relkind, 'persistence', c.relpersistence, 'accessMethod', (SELECT m.amname FROM pg_am m WHERE m.oid = c.relam),
  'options', (SELECT coalesce(json_agg(o), '[]') FROM (SELECT unnest(c.reloptions) AS o
    UNION ALL SELECT 'toast.' || unnest(t.reloptions) FROM pg_class t WHERE t.oid = c.reltoastrelid) o(o)),
  'replicaIdentity', c.relreplident, 'rowSecurity', c.relrowsecurity, 'forceRowSecurity', c.relforcerowsecurity,
  'comment', obj_description(c.oid, 'pg_class'),
  'grants', CASE WHEN c.relacl IS NOT NULL THEN ${grantsSql('c.relacl')} END,
  'isPartition', c.relispartition,
  'hasRelatives', EXISTS (SELECT FROM pg_inherits h WHERE c.oid IN (h.inhrelid, h.inhparent)
    AND h.inhrelid NOT IN (SELECT l.oid FROM pg_class l JOIN pg_namespace ln ON ln.oid = l.relnamespace WHERE ln.nspname = '${loopName}')),
  'hasRules', EXISTS (SELECT FROM pg_rewrite w WHERE w.ev_class = c.oid AND w.rulename <> '_RETURN'),
  'columns', ${columnsSql}, 'constraints', ${constraintsSql}, 'indexes', ${indexesSql},
  'policies', ${policiesSql}, 'triggers', ${triggersSql}, 'statistics', ${statisticsSql})
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY ($1::oid[]) ORDER BY c.oid`;
