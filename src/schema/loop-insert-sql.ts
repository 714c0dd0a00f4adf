import { insertBackName, loopName } from '../catalog/loop-names.ts';
import { secretSchema } from './guard-sql.ts';

/*
 * A row that a function inserts goes into the shell, so that defaults, constraints, row security and RETURNING are PostgreSQL's own.
 * Before anybody looks, all rows of the statement are sent to the router through the foreign table and deleted from the shell. The
 * trigger's name makes it the first after the row is in: what referential integrity would check it finds gone; the nodes check it.
 */

const functionName = 'pgherd.insert_back()';

/** Only a superuser may make a function whose statements fire no triggers of users. */
export const insertBackFunctionSql = `CREATE OR REPLACE FUNCTION ${functionName} RETURNS trigger LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET session_replication_role = 'replica' AS $pgherd$
DECLARE columns text; found boolean;
BEGIN
  PERFORM set_config('pgherd.shell_ok', encode(sha256(convert_to(g.secret || ':' || pg_backend_pid() || ':' || pg_current_xact_id(), 'UTF8')), 'hex'), true)
    FROM ${secretSchema}.guard g;
  EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s)', tg_relid::regclass) INTO found;
  IF found THEN
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO columns
      FROM pg_attribute WHERE attrelid = tg_relid AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
    EXECUTE format('INSERT INTO ${loopName}.%I (%s) SELECT %s FROM ONLY %s', 't' || tg_relid, columns, columns, tg_relid::regclass);
    EXECUTE format('DELETE FROM ONLY %s', tg_relid::regclass);
  END IF;
  PERFORM set_config('pgherd.shell_ok', '', true);
  RETURN NULL;
END $pgherd$`;

/** PL/pgSQL: makes the trigger of a shell that has a foreign table, where there is such a function. */
export const makeInsertBack = (oid: string) =>
  `IF to_regprocedure('${functionName}') IS NOT NULL AND to_regclass('${loopName}.t' || ${oid}) IS NOT NULL
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = ${oid} AND tgname = '${insertBackName}' AND tgenabled = 'A') THEN
    EXECUTE format('CREATE OR REPLACE TRIGGER "${insertBackName}" AFTER INSERT ON %s FOR EACH ROW EXECUTE FUNCTION ${functionName}', ${oid}::regclass);
    EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER "${insertBackName}"', ${oid}::regclass);
  END IF;`;

/** PL/pgSQL: takes it away. */
export const dropInsertBack = (
  oid: string,
) => `IF EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = ${oid} AND tgname = '${insertBackName}') THEN
    EXECUTE format('DROP TRIGGER "${insertBackName}" ON %s', ${oid}::regclass);
  END IF;`;

/**
 * SQL: whether rows inserted into a shell find their way. Triggers of users would fire here and on the node; ON CONFLICT would be
 * decided by the empty shell.
 */
export const insertsBackFunctionSql = String.raw`CREATE OR REPLACE FUNCTION pgherd.inserts_back(relation oid, context text) RETURNS boolean
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $pgherd$
BEGIN
  RETURN EXISTS (SELECT FROM pg_trigger WHERE tgrelid = relation AND tgname = '${insertBackName}' AND tgenabled = 'A')
    AND NOT EXISTS (SELECT FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE g.tgrelid = relation AND NOT g.tgisinternal AND g.tgtype & 4 = 4 AND g.tgenabled <> 'D' AND n.nspname <> 'pgherd')
    AND context !~* '\yon\s+conflict\y'
    AND NOT (context ~ '^SQL function ' AND EXISTS (SELECT FROM pg_proc p WHERE p.oid >= 16384
      AND (p.prosrc ~* '\yon\s+conflict\y' OR pg_get_function_sqlbody(p.oid) ~* '\yon\s+conflict\y')
      AND context ~ ('^SQL function "' || regexp_replace(p.proname, '(\W)', '\\\1', 'g') || '"')));
END $pgherd$`;
