import { randomBytes } from 'node:crypto';
import { loopApplicationName, loopName, loopTable } from '../catalog/loop-names.ts';
import { assert } from '../core/assert.ts';
import type { SqlRunner } from '../core/runner.ts';
import { quoteLiteral } from '../sql/quote.ts';
import { dropInsertBack, makeInsertBack } from './loop-insert-sql.ts';
import { byOwner } from './owner.ts';

/** Where the coordinator finds a router. Its door is forgotten once its epoch is fenced. */
export interface LoopDoor {
  readonly host: string;
  readonly port: number;
  readonly epoch: number;
}

/**
 * Makes the foreign server if it is missing, and returns the password by which the coordinator proves to routers who it is: one for all of them.
 * Rejects where postgres_fdw can't be had; then no shell gets a child, and the guards raise as before.
 */
export async function makeLoopServer(coordinator: SqlRunner, database: string): Promise<string> {
  await coordinator.query(serverSql(database).join(';\n'));
  const { rows } = await coordinator.query(passwordSql);
  const password = rows[0]?.[0];
  assert(password, 'the user mapping has a password');
  return password;
}

/** Tells the coordinator of one more router, and makes the foreign tables that are missing. */
export async function openLoopDoor(coordinator: SqlRunner, { host, port, epoch }: LoopDoor): Promise<void> {
  const place = `${quoteLiteral(host)}, ${port}`;
  const tell = `DELETE FROM pgherd.router_door WHERE (host, port) = (${place});
INSERT INTO pgherd.router_door (epoch, host, port) VALUES (${epoch}, ${place})`;
  await coordinator.query([lockDoors, tell, listDoors].join(';\n'));
  await coordinator.query(missingLoopTablesSql);
}

/** Of a router that ends. */
export async function closeLoopDoor(coordinator: SqlRunner, epoch: number): Promise<void> {
  const forget = `DELETE FROM pgherd.router_door WHERE epoch = ${epoch}`;
  await coordinator.query([lockDoors, forget, listDoors].join(';\n'));
}

/** Of routers that have died. */
export async function forgetDeadDoors(coordinator: SqlRunner): Promise<void> {
  const { rows } = await coordinator.query(`SELECT FROM ${deadDoors}`);
  if (rows.length > 0) await coordinator.query([lockDoors, listDoors].join(';\n'));
}

const deadDoors = `pgherd.router_door d WHERE NOT EXISTS (SELECT FROM pgherd.router_epoch e WHERE e.epoch = d.epoch AND NOT e.fenced)`;

/** Routers that start at the same time take turns. */
const lockDoors = 'LOCK TABLE pgherd.router_door IN SHARE ROW EXCLUSIVE MODE';

/**
 * libpq tries the hosts of a list one after the other, as long as they can't be reached or answer 57P03: that is how a router sends
 * away what belongs to another one's session. The server is left alone where the list stays the same, since a change of it closes connections.
 */
const listDoors = `DELETE FROM ${deadDoors};
DO $pgherd$ DECLARE hosts text; ports text; given text[]; BEGIN
  SELECT string_agg(host, ',' ORDER BY epoch DESC), string_agg(port::text, ',' ORDER BY epoch DESC) INTO hosts, ports FROM pgherd.router_door;
  SELECT srvoptions INTO given FROM pg_catalog.pg_foreign_server WHERE srvname = '${loopName}';
  IF hosts IS NOT NULL AND NOT given @> ARRAY['host=' || hosts, 'port=' || ports] THEN
    EXECUTE format('ALTER SERVER ${loopName} OPTIONS (SET host %L, SET port %L)', hosts, ports);
  END IF;
END $pgherd$`;

function serverSql(database: string): string[] {
  const server = [
    ['host', '127.0.0.1'],
    ['port', '0'],
    ['dbname', database],
    ['application_name', loopApplicationName],
    // Rows come in batches; the router holds none of them back.
    ['fetch_size', '10000'],
    ['batch_size', '100'],
    // Otherwise planning a function's statement would ask the router for an EXPLAIN.
    ['use_remote_estimate', 'false'],
    ['connect_timeout', '10'],
  ] as const;
  const options = server.map(([name, value]) => `${name} ${quoteLiteral(value)}`).join(', ');
  return [
    lockDoors,
    'CREATE EXTENSION IF NOT EXISTS postgres_fdw WITH SCHEMA pgherd',
    `CREATE SCHEMA IF NOT EXISTS ${loopName}`,
    `CREATE SERVER IF NOT EXISTS ${loopName} FOREIGN DATA WRAPPER postgres_fdw OPTIONS (${options})`,
    `CREATE USER MAPPING IF NOT EXISTS FOR PUBLIC SERVER ${loopName}
  OPTIONS (user '${loopName}', password ${quoteLiteral(randomBytes(24).toString('hex'))}, password_required 'false')`,
  ];
}

const passwordSql = `SELECT substr(o, length('password=') + 1) FROM pg_catalog.pg_user_mappings m, unnest(m.umoptions) o
  WHERE m.srvname = '${loopName}' AND m.umuser = 0 AND o LIKE 'password=%'`;

/** Of a shell: the foreign table, where there is a server for it and it is missing. It belongs to the shell's owner, as DDL comes down to it. */
const makeLoopTable = (
  oid: string,
) => `IF EXISTS (SELECT FROM pg_catalog.pg_foreign_server WHERE srvname = '${loopName}')
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = '${loopName}' AND c.relname = 't' || ${oid}) THEN
    EXECUTE format('CREATE FOREIGN TABLE ${loopName}.%I () INHERITS (%s) SERVER ${loopName} OPTIONS (schema_name ''${loopName}'', table_name %L)',
      't' || ${oid}, ${oid}::regclass, 't' || ${oid});
    EXECUTE (SELECT format('ALTER FOREIGN TABLE ${loopName}.%I OWNER TO %I', 't' || ${oid}, pg_catalog.pg_get_userbyid(relowner))
      FROM pg_catalog.pg_class WHERE oid = ${oid});
  END IF;
  ${makeInsertBack(oid)}`;

const missingLoopTablesSql = `DO $pgherd$ DECLARE shell record; BEGIN
  FOR shell IN SELECT t.relation::oid AS oid FROM pgherd.dist_table t JOIN pg_catalog.pg_class c ON c.oid = t.relation
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE t.method <> 'reference' AND n.nspname NOT LIKE 'pgherd\\_%' LOOP
  ${makeLoopTable('shell.oid')}
  END LOOP;
END $pgherd$`;

interface Shell {
  readonly oid: number;
  readonly schema: string;
}

export function createLoopSql({ oid, schema }: Shell): string[] {
  if (schema.startsWith('pgherd_')) return [];
  return [byOwner(`DO $pgherd$ BEGIN\n  ${makeLoopTable(`${oid}::oid`)}\nEND $pgherd$`)];
}

/** Before DDL that the foreign table would stand in the way of. */
export function dropLoopSql(oid: number): string[] {
  return [
    byOwner(`DO $pgherd$ BEGIN
  IF to_regclass('${loopTable(oid)}') IS NOT NULL THEN DROP FOREIGN TABLE ${loopTable(oid)}; END IF;
  ${dropInsertBack(`${oid}::oid`)}
END $pgherd$`),
  ];
}

/**
 * SQL: whether a shell's reads and updates come back to the router. Not where a function's text asks for what the foreign table has
 * not: ONLY leaves it out, and PostgreSQL would read the empty shell; it is not sampled; and it has no xmin and the like. The text is
 * seen in the frames around, or where it is stored: a function that was inlined has no frame.
 */
export const loopsBackFunctionSql = String.raw`CREATE OR REPLACE FUNCTION pgherd.loops_back(relation oid, context text) RETURNS boolean
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $pgherd$
DECLARE name text; only_shell text; other text := '\y(tablesample|xmin|xmax|cmin|cmax)\y';
BEGIN
  IF NOT EXISTS (SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE i.inhparent = relation AND n.nspname = '${loopName}') THEN RETURN false; END IF;
  SELECT regexp_replace(relname, '(\W)', '\\\1', 'g') INTO name FROM pg_class WHERE oid = relation;
  only_shell := '\yonly(\s|\(|/\*.*?\*/|--[^\n]*\n)+("?[^\s".()]+"?\s*\.\s*)?"?' || name || '"?(\W|$)';
  name := '(\W|^)' || name || '(\W|$)';
  RETURN context !~* only_shell AND (context !~* other OR context !~* name)
    AND NOT EXISTS (SELECT FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
      WHERE p.oid >= 16384 AND l.lanname = 'sql' AND (p.prosrc ~* only_shell OR p.prosrc ~* other AND p.prosrc ~* name))
    AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
      WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = relation AND d.classid = 'pg_proc'::regclass
        AND (pg_get_function_sqlbody(p.oid) ~* only_shell OR pg_get_function_sqlbody(p.oid) ~* other))
    AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid
      WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = relation AND d.classid = 'pg_rewrite'::regclass
        AND w.rulename = '_RETURN' AND (pg_get_viewdef(w.ev_class) ~* only_shell OR pg_get_viewdef(w.ev_class) ~* other));
END $pgherd$`;
