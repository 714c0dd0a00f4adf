import { delegatePrefix, delegateSchema } from '../catalog/delegate-sql.ts';
import { unsupportedCodes } from '../core/unsupported.ts';
import { quoteLiteral } from '../sql/quote.ts';

/**
 * The guards of DESIGN 3. PostgreSQL folds the constant expression of an extended-statistics object whenever it plans a
 * statement over the table, so a raising function there sees every read; writes are seen by an ALWAYS statement trigger.
 *
 * What a frame of PG_CONTEXT says (innermost first, own frame taken off):
 * - nothing: the statement came from the client, that is from the router;
 * - `PL/…`, `SQL function`: a function frame;
 * - `SQL statement "…"` not beneath `PL/`: SPI used by C code: referential integrity (its texts are ri_triggers.c's), or
 *   query_to_xml() and its kind, which are function frames as well.
 * These are the words of English messages: in another language the guards raise too often, never too seldom.
 */

/** Schema that only the owner may use: GRANT SELECT ON ALL TABLES IN SCHEMA pgherd must never reach the secret. */
export const secretSchema = 'pgherd_secret';

export const shellGuardName = 'pgherd_guard';

/** Referential integrity asks the referencing table: on a shell the answer "no rows" is right, the nodes give their own. */
const askReferencing = String.raw`SELECT 1 FROM (ONLY )?"[^\n]* x WHERE \$1 OPERATOR\([^\n]* FOR KEY SHARE OF x`;
const cascade = String.raw`DELETE FROM (ONLY )?"[^\n]* WHERE \$1 OPERATOR\([^\n]*|UPDATE (ONLY )?"[^\n]* SET [^\n]* WHERE \$[0-9]+ OPERATOR\([^\n]*`;
/** It asks the referenced table, or validates a new constraint: right on a node, where all of a key's rows are. */
const askReferenced = String.raw`SELECT 1 FROM [^\n]* FOR KEY SHARE OF x[^\n]*|SELECT fk\.[^\n]*`;

/**
 * Commands that plan a table to choose workers or an order, and that give no rows to anybody; without a text, an autovacuum
 * worker. One statement only: another might follow. Whatever they call is a frame of its own.
 */
const maintenance = String.raw`^\s*(ANALYZE|VACUUM|REINDEX|CLUSTER|CREATE\s+(UNIQUE\s+)?INDEX|ALTER\s+TABLE)\y[^;]*;?\s*$`;

/** Whether the guards let a statement through by themselves as maintenance. */
export function isMaintenanceText(text: string): boolean {
  return /^\s*(ANALYZE|VACUUM|REINDEX|CLUSTER|CREATE\s+(UNIQUE\s+)?INDEX|ALTER\s+TABLE)\b[^;]*;?\s*$/i.test(text);
}

/** The frame that is not directly beneath a PL/ frame: there a user's own text could pose as one. */
const frame = (texts: string) => String.raw`^SQL statement "(${texts})"(\n(?!PL/)|$)`;

const referencingFrame = frame(`${askReferencing}|${cascade}`);
const integrityFrame = frame(`${askReferenced}|${cascade}`);
/** With log_parameter_max_length_on_error, PostgreSQL shows the parameters of the client's own statement. */
const portalFrame = String.raw`^(unnamed )?portal [^\n]*$`;

/**
 * The frame of a statement of a function that has been proven to touch rows of one node only, and no other frame. What the statement sets
 * off has frames of its own: functions that it calls, triggers, and, if these are written in C, their statements.
 */
const copyName = `${delegatePrefix}[0-9]+_[0-9a-f]+`;
const ownStatement = String.raw`(SQL (statement|expression)|PL/pgSQL (expression|assignment)) ".*"\n`;
const delegateFrame = String.raw`^(SQL function "${copyName}" |(${ownStatement})?PL/pgSQL function ${delegateSchema}\.${copyName}\()[^\n]*(\n(unnamed )?portal [^\n]*)?$`;
const otherFrame = String.raw`\nSQL statement "|(^|\n)[^\n]{0,3}(PL/(?!pgSQL (assignment|expression) ")|SQL function )[^\n]*\n(?!(unnamed )?portal [^\n]*$)`;

/** The frames around the guard: its own line taken off. */
const readContext = `GET DIAGNOSTICS context = PG_CONTEXT;
  context := CASE WHEN strpos(context, E'\\n') = 0 THEN '' ELSE substr(context, strpos(context, E'\\n') + 1) END;`;

/**
 * Passes while withShellAccess() lets this transaction through. The token is good for one backend and one transaction, so
 * that reading it there gives nothing away. Without a secret, in a database restored from a dump, the guards are inert:
 * there the rows are really in the tables.
 */
const openCheck = `
  IF NOT (SELECT c.relispopulated FROM pg_class c WHERE c.oid = '${secretSchema}.guard'::regclass) THEN RETURN RESULT; END IF;
  SELECT g.secret INTO secret FROM ${secretSchema}.guard g;
  IF secret IS NULL THEN RETURN RESULT; END IF;
  token := encode(sha256(convert_to(secret || ':' || pg_backend_pid() || ':' || pg_current_xact_id_if_assigned(), 'UTF8')), 'hex');
  IF current_setting('pgherd.shell_ok', true) = token THEN RETURN RESULT; END IF;`;

const transactionSql = 'pg_backend_pid(), pg_current_xact_id_if_assigned()';
const hashSql = (...parts: string[]) =>
  `encode(sha256(convert_to(concat_ws(':', ${parts.join(', ')}), 'UTF8')), 'hex')`;

/** At the top level of a statement by which the router fires triggers: what these do is in frames of their own. */
const firingCheck = `
  IF context = '' AND current_setting('pgherd.firing', true) = ${hashSql('secret', "'firing'", transactionSql)} THEN RETURN RESULT; END IF;`;

/**
 * Stands in the WHERE of a statement that fires a shell's triggers (fire-triggers.ts), between those BEFORE and those AFTER it: the
 * setting says which of them are switched off. Good for one call, by whoever knows the number; that travels as a parameter, which no
 * function sees.
 */
export const firingGateSql = `CREATE OR REPLACE FUNCTION pgherd.firing_gate(nonce text, replication_role text) RETURNS boolean LANGUAGE plpgsql
  STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgherd$
DECLARE secret text;
BEGIN
  SELECT g.secret INTO secret FROM ${secretSchema}.guard g;
  IF secret IS NULL OR current_setting('pgherd.gate', true) IS DISTINCT FROM ${hashSql('secret', "'gate'", 'nonce', 'replication_role', transactionSql)} THEN
    RAISE EXCEPTION USING errcode = '42501', message = 'only the router fires triggers';
  END IF;
  PERFORM set_config('pgherd.gate', '', true), set_config('pgherd.firing', '', true), set_config('session_replication_role', replication_role, true);
  RETURN false;
END $pgherd$`;

/** For the owner of the secret: gives what session_replication_role was, and whether there is a gate; then sets the role to another. */
export const openFiringSql = (
  nonce: string,
  during: string | null,
) => `SELECT current_setting('session_replication_role') AS role,
  to_regprocedure('pgherd.firing_gate(text, text)') IS NOT NULL AS gate,
  set_config('pgherd.firing', ${hashSql('g.secret', "'firing'", 'pg_backend_pid(), pg_current_xact_id()')}, true) AS a,
  set_config('pgherd.gate', ${hashSql('g.secret', "'gate'", quoteLiteral(nonce), during === null ? "'replica'" : "current_setting('session_replication_role')", 'pg_backend_pid(), pg_current_xact_id()')}, true) AS b
  ${during === null ? '' : `, set_config('session_replication_role', ${quoteLiteral(during)}, true) AS c`}
FROM ${secretSchema}.guard g`;

/** For the owner of the secret. Ends with the transaction at the latest. */
export const openShellsSql = `SELECT set_config('pgherd.shell_ok', encode(sha256(convert_to(
  g.secret || ':' || pg_backend_pid() || ':' || pg_current_xact_id(), 'UTF8')), 'hex'), true) FROM ${secretSchema}.guard g`;

export const closeShellsSql = "SELECT set_config('pgherd.shell_ok', '', true)";

const hint = quoteLiteral(unsupportedCodes.PH001.hint);

function functionSql(name: string, returns: string, traits: string, declarations: string, body: string): string {
  return `CREATE OR REPLACE FUNCTION pgherd.${name} RETURNS ${returns} LANGUAGE plpgsql ${traits}
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgherd$
DECLARE ${declarations}
BEGIN${body}
END $pgherd$`;
}

/** On every server; the coordinator's and the nodes' secrets differ. */
export const secretTableSql = [
  `CREATE SCHEMA IF NOT EXISTS ${secretSchema}`,
  `REVOKE ALL ON SCHEMA ${secretSchema} FROM PUBLIC`,
  // pg_dump carries no rows of a materialized view, and its restore finds none: what it selects hangs on a setting.
  `CREATE MATERIALIZED VIEW IF NOT EXISTS ${secretSchema}.guard AS
  SELECT gen_random_uuid()::text || gen_random_uuid()::text AS secret WHERE current_setting('pgherd.bootstrap', true) = 'on'
  WITH NO DATA`,
  `REVOKE ALL ON ${secretSchema}.guard FROM PUBLIC`,
];

/** On the coordinator. */
export const coordinatorGuardsSql = [
  functionSql(
    'shell_guard(relation regclass)',
    'integer',
    'IMMUTABLE PARALLEL SAFE',
    'secret text; token text; context text;',
    `${openCheck.replaceAll('RESULT', '1')}
  ${readContext}
  IF context ~ ${quoteLiteral(referencingFrame)} THEN RETURN 1; END IF;
  IF context = '' AND (current_query() IS NULL OR current_query() ~* ${quoteLiteral(maintenance)}) THEN RETURN 1; END IF;
  ${firingCheck.replaceAll('RESULT', '1')}
  IF pgherd.loops_back(relation, context) THEN RETURN 1; END IF;
  RAISE EXCEPTION USING errcode = '0A000', hint = ${hint},
    message = format('distributed table %s was read on the coordinator, outside the router (PH001)', relation);`,
  ),
  functionSql(
    'shell_write_guard()',
    'trigger',
    '',
    'secret text; token text; context text;',
    `${openCheck.replaceAll('RESULT', 'NULL')}
  ${readContext}
  IF context ~ ${quoteLiteral(referencingFrame)} THEN RETURN NULL; END IF;${firingCheck.replaceAll('RESULT', 'NULL')}
  IF tg_op IN ('UPDATE', 'DELETE') AND pgherd.loops_back(tg_relid, context) THEN RETURN NULL; END IF;
  IF tg_op = 'INSERT' AND pgherd.inserts_back(tg_relid, context) THEN RETURN NULL; END IF;
  RAISE EXCEPTION USING errcode = '0A000', hint = ${hint},
    message = format('distributed table %s was written on the coordinator, outside the router (PH001)', tg_relid::regclass);`,
  ),
];

/** Makes the secret where there is none. */
export const makeSecretSql = `DO $pgherd$ BEGIN
  IF (SELECT c.relispopulated FROM pg_class c WHERE c.oid = '${secretSchema}.guard'::regclass) THEN
    IF EXISTS (SELECT FROM ${secretSchema}.guard) THEN RETURN; END IF;
  END IF;
  PERFORM set_config('pgherd.bootstrap', 'on', true);
  REFRESH MATERIALIZED VIEW ${secretSchema}.guard;
  PERFORM set_config('pgherd.bootstrap', '', true);
END $pgherd$`;

/** False in a database restored from a dump of one of the herd's. */
export const inHerdSql = `CREATE OR REPLACE FUNCTION pgherd.in_herd() RETURNS boolean LANGUAGE plpgsql STABLE
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgherd$
BEGIN
  IF NOT (SELECT c.relispopulated FROM pg_class c WHERE c.oid = '${secretSchema}.guard'::regclass) THEN RETURN false; END IF;
  RETURN EXISTS (SELECT FROM ${secretSchema}.guard);
END $pgherd$`;

/**
 * A guard for every server: passes at top level and in a frame of referential integrity, raises in any other. It is run for
 * each planning on a node, so it is no security definer and sets nothing (which would cost more than the rest of it);
 * therefore all names are qualified, lest a client's search_path put other operators in.
 */
function frameGuardSql(name: string, returns: string, traits: string, pass: string, raise: string, also = ''): string {
  return `CREATE OR REPLACE FUNCTION pgherd.${name} RETURNS ${returns} LANGUAGE plpgsql ${traits} AS $pgherd$
DECLARE context pg_catalog.text;
BEGIN
  GET DIAGNOSTICS context = PG_CONTEXT;
  IF pg_catalog.strpos(context, E'\\n') OPERATOR(pg_catalog.=) 0 THEN RETURN ${pass}; END IF;
  context := pg_catalog.substr(context, pg_catalog.strpos(context, E'\\n') OPERATOR(pg_catalog.+) 1);
  IF context OPERATOR(pg_catalog.~) ${quoteLiteral(`${integrityFrame}|${portalFrame}`)} THEN RETURN ${pass}; END IF;
  ${also}IF NOT pgherd.in_herd() THEN RETURN ${pass}; END IF;
  RAISE EXCEPTION USING errcode = '0A000', ${raise};
END $pgherd$`;
}

/** Copies of a reference table stay alike only while the router alone changes them. */
export const referenceGuardSql = frameGuardSql(
  'reference_write_guard()',
  'trigger',
  '',
  'NULL',
  `hint = ${quoteLiteral(unsupportedCodes.PH030.hint)},
    message = pg_catalog.format('reference table %s was written by a function, outside the router (PH030)', tg_relid::pg_catalog.regclass)`,
);

/** On a node: a function that reads a distributed table there would see this node's shards only. */
export const nodeGuardSql = frameGuardSql(
  'node_guard(relation pg_catalog.regclass)',
  'pg_catalog.int4',
  'IMMUTABLE PARALLEL SAFE',
  '1',
  `hint = ${hint},
    message = pg_catalog.format('a function on a node reads distributed table %s: it would see only this node''s shards (PH001)', relation)`,
  `IF context OPERATOR(pg_catalog.~) ${quoteLiteral(delegateFrame)}
    AND context OPERATOR(pg_catalog.!~) ${quoteLiteral(otherFrame)} THEN RETURN 1; END IF;
  `,
);
