import { insertBackName, loopName } from '../catalog/loop-names.ts';
import { secretSchema, shellGuardName } from './guard-sql.ts';

/*
 * A row that a function inserts goes into the shell, so that defaults, constraints, row security and RETURNING are PostgreSQL's own.
 * Before anybody looks, all rows of the statement are sent to the router through the foreign table and deleted from the shell. The
 * trigger's name makes it the first after a row is in: what referential integrity would check it finds gone; the nodes check it.
 */

const functionName = 'pgherd.insert_back()';
/** Fires when the rows' triggers have: the next statement's first row is one again. */
const statementEndName = `${insertBackName}ed`;

/** What insert_back() sets for a while. */
const keptSettings = [
  'search_path',
  'session_replication_role',
  'enable_seqscan',
  'enable_hashjoin',
  'enable_mergejoin',
];

/**
 * The first row's call sends all; a setting tells the others, which are many, so nothing is set for them and their names are qualified.
 * Only a superuser may keep the triggers of users from firing; that makes the session plan anew, so it is done only where there are some.
 * Rows are deleted by their key where that can be: the dead rows of a long transaction pile up in the shell. What is known of an empty
 * table's size is no guide, so no join is left to choose.
 */
export const insertBackFunctionSql = `CREATE OR REPLACE FUNCTION ${functionName} RETURNS trigger LANGUAGE plpgsql
  SECURITY DEFINER AS $pgherd$
DECLARE columns pg_catalog.text; key pg_catalog.text; kept pg_catalog.json;
BEGIN
  IF tg_level OPERATOR(pg_catalog.=) 'STATEMENT' THEN PERFORM pg_catalog.set_config('pgherd.inserted', '', true); RETURN NULL; END IF;
  IF pg_catalog.current_setting('pgherd.inserted', true) OPERATOR(pg_catalog.=) tg_relid::pg_catalog.oid::pg_catalog.text THEN RETURN NULL; END IF;
  kept := pg_catalog.json_build_object(${keptSettings.map((name) => `'${name}', pg_catalog.current_setting('${name}')`).join(', ')});
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  IF NOT pgherd.inserts_back(tg_relid, '') THEN
    RAISE EXCEPTION USING errcode = '0A000', message = format('rows of distributed table %s cannot be inserted outside the router (PH001)', tg_relid::regclass);
  END IF;
  PERFORM set_config('pgherd.shell_ok', encode(sha256(convert_to(g.secret || ':' || pg_backend_pid() || ':' || pg_current_xact_id(), 'UTF8')), 'hex'), true)
    FROM ${secretSchema}.guard g;
  IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = tg_relid AND tgtype & 8 = 8 AND tgname <> '${shellGuardName}') THEN
    PERFORM set_config('session_replication_role', 'replica', true);
  END IF;
  SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO columns
    FROM pg_attribute WHERE attrelid = tg_relid AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
  SELECT string_agg(format('s.%1$I = n.%1$I', a.attname), ' AND ') INTO key
    FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) JOIN pg_type y ON y.oid = a.atttypid
    WHERE i.indrelid = tg_relid AND i.indisprimary HAVING bool_and(y.typnamespace = 'pg_catalog'::regnamespace);
  EXECUTE format('INSERT INTO ${loopName}.%I (%s) SELECT %s FROM pgherd_rows', 't' || tg_relid, columns, columns);
  PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true);
  IF key IS NULL THEN EXECUTE format('DELETE FROM ONLY %s', tg_relid::regclass);
  ELSE EXECUTE format('DELETE FROM ONLY %1$s WHERE ctid = ANY (ARRAY(SELECT x.ctid FROM pgherd_rows n,
    LATERAL (SELECT s.ctid FROM ONLY %1$s s WHERE %2$s OFFSET 0) x))', tg_relid::regclass, key);
  END IF;
  PERFORM set_config('pgherd.shell_ok', '', true), set_config('pgherd.inserted', tg_relid::oid::text, true);
  PERFORM pg_catalog.set_config(s.name, s.value, true) FROM pg_catalog.json_each_text(kept) AS s(name, value)
    WHERE s.value OPERATOR(pg_catalog.<>) pg_catalog.current_setting(s.name);
  RETURN NULL;
END $pgherd$;
REVOKE EXECUTE ON FUNCTION ${functionName} FROM PUBLIC`;

/** PL/pgSQL: makes the triggers of a shell that has a foreign table, where there is such a function. */
export const makeInsertBack = (oid: string) =>
  `IF to_regprocedure('${functionName}') IS NOT NULL AND to_regclass('${loopName}.t' || ${oid}) IS NOT NULL
    AND (SELECT count(*) FROM pg_catalog.pg_trigger WHERE tgrelid = ${oid} AND tgenabled = 'A' AND tgnewtable IS NOT NULL = (tgtype & 1 = 1)
      AND tgname IN ('${insertBackName}', '${statementEndName}')) < 2 THEN
    EXECUTE format('CREATE OR REPLACE TRIGGER "${insertBackName}" AFTER INSERT ON %s REFERENCING NEW TABLE AS pgherd_rows
      FOR EACH ROW EXECUTE FUNCTION ${functionName}', ${oid}::regclass);
    EXECUTE format('CREATE OR REPLACE TRIGGER "${statementEndName}" AFTER INSERT ON %s FOR EACH STATEMENT EXECUTE FUNCTION ${functionName}', ${oid}::regclass);
    EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER "${insertBackName}", ENABLE ALWAYS TRIGGER "${statementEndName}"', ${oid}::regclass);
  END IF;`;

/** PL/pgSQL: takes them away. */
export const dropInsertBack = (oid: string) =>
  `IF EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = ${oid} AND tgname IN ('${insertBackName}', '${statementEndName}')) THEN
    EXECUTE format('DROP TRIGGER IF EXISTS "${insertBackName}" ON %s', ${oid}::regclass);
    EXECUTE format('DROP TRIGGER IF EXISTS "${statementEndName}" ON %s', ${oid}::regclass);
  END IF;`;

/**
 * SQL: whether rows inserted into a shell find their way. Row triggers of users would fire here and on the node; ON CONFLICT would be
 * decided by the empty shell. And insert_back() runs as a superuser, so nothing of a user's may run in it: no trigger that fires even
 * there, none on the foreign table, no generated column with a user's function.
 */
export const insertsBackFunctionSql = String.raw`CREATE OR REPLACE FUNCTION pgherd.inserts_back(relation oid, context text) RETURNS boolean
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $pgherd$
BEGIN
  RETURN (SELECT count(*) = 2 FROM pg_trigger WHERE tgrelid = relation AND tgname IN ('${insertBackName}', '${statementEndName}') AND tgenabled = 'A')
    AND NOT EXISTS (SELECT FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE g.tgrelid = relation AND NOT g.tgisinternal AND g.tgtype & 5 = 5 AND g.tgenabled <> 'D' AND n.nspname <> 'pgherd')
    AND NOT EXISTS (SELECT FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE g.tgrelid = relation AND NOT g.tgisinternal AND g.tgenabled IN ('A', 'R') AND n.nspname <> 'pgherd')
    AND NOT EXISTS (SELECT FROM pg_inherits i JOIN pg_trigger g ON g.tgrelid = i.inhrelid WHERE i.inhparent = relation)
    AND NOT EXISTS (SELECT FROM pg_attrdef f JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
      JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
      WHERE (a.attgenerated <> '' OR a.attinhcount = 0 AND a.attrelid <> relation) AND d.refobjid >= 16384
        AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass, 'pg_cast'::regclass)
        AND (a.attrelid = relation OR a.attrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = relation)))
    AND context !~* '\yon\s+conflict\y'
    AND NOT (context ~ '^SQL function ' AND EXISTS (SELECT FROM pg_proc p WHERE p.oid >= 16384
      AND (p.prosrc ~* '\yon\s+conflict\y' OR pg_get_function_sqlbody(p.oid) ~* '\yon\s+conflict\y')
      AND context ~ ('^SQL function "' || regexp_replace(p.proname, '(\W)', '\\\1', 'g') || '"')));
END $pgherd$`;
