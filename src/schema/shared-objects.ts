import type { SqlRunner } from '../core/runner.ts';
import { quoteIdentifier, quoteLiteral } from '../sql/quote.ts';
import { withPinnedSettings } from './describe-table.ts';
import { granteeSql } from './relation-sql.ts';
import { describeSchemas, type SchemaShape } from './schema-shape.ts';

/**
 * What tables on nodes may depend on, read from the coordinator as SQL, for a node that joins the herd: roles, schemas,
 * extensions, types and functions. Aggregates, operators, casts and collations of users are not among them.
 */
export async function describeRoles(runner: SqlRunner): Promise<string[]> {
  const { rows: privilege } = await runner.query("SELECT current_setting('is_superuser')");
  const passwords = privilege[0]?.[0] === 'on';
  const { rows } = await runner.query(rolesSql(passwords));
  const { rows: members } = await runner.query(membersSql);
  return [
    ...rows.map(([sql]) => sql!),
    ...members.map(
      ([role, member, admin]) =>
        `GRANT ${quoteIdentifier(role!)} TO ${quoteIdentifier(member!)}${admin === 't' ? ' WITH ADMIN OPTION' : ''}`,
    ),
  ];
}

/**
 * CREATE, unless it is there, and ALTER with everything, the SCRAM verifier included: so a client's own proof of its password
 * holds on every server. Of the superuser that initdb made, only the password.
 */
export function rolesSql(passwords: boolean, name?: string): string {
  const password = passwords
    ? "CASE WHEN a.rolpassword IS NOT NULL THEN format(' PASSWORD %L', a.rolpassword) END"
    : 'NULL';
  const flags = ['super', 'inherit', 'createrole', 'createdb', 'canlogin', 'replication', 'bypassrls']
    .map((flag) => `CASE WHEN r.rol${flag} THEN ' ' ELSE ' NO' END || '${roleFlags[flag]}'`)
    .join(' || ');
  return `SELECT concat(
  CASE WHEN r.oid <> 10 THEN format('DO $pgherd$BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = %L) THEN CREATE ROLE %I; END IF; END$pgherd$; ', r.rolname, r.rolname) END,
  format('ALTER ROLE %I WITH', r.rolname), CASE WHEN r.oid <> 10 THEN ${flags} ELSE ' LOGIN' END,
  ' CONNECTION LIMIT ' || r.rolconnlimit, ${password},
  CASE WHEN r.rolvaliduntil IS NOT NULL THEN format(' VALID UNTIL %L', r.rolvaliduntil) END,
  (SELECT string_agg(format('; ALTER ROLE %I SET %I TO %s', r.rolname, split_part(c, '=', 1),
    CASE WHEN split_part(c, '=', 1) IN ('search_path', 'datestyle') THEN substr(c, strpos(c, '=') + 1)
      ELSE quote_literal(substr(c, strpos(c, '=') + 1)) END), '') FROM unnest(r.rolconfig) c))
FROM pg_catalog.pg_roles r ${passwords ? 'JOIN pg_catalog.pg_authid a ON a.oid = r.oid' : ''}
WHERE r.rolname !~ '^pg_' AND (r.oid <> 10 OR ${passwords ? 'a.rolpassword IS NOT NULL' : 'false'})
  ${name === undefined ? '' : `AND r.rolname = ${quoteLiteral(name)}`} ORDER BY r.oid`;
}

const roleFlags: Readonly<Record<string, string>> = {
  super: 'SUPERUSER',
  inherit: 'INHERIT',
  createrole: 'CREATEROLE',
  createdb: 'CREATEDB',
  canlogin: 'LOGIN',
  replication: 'REPLICATION',
  bypassrls: 'BYPASSRLS',
};

const membersSql = `SELECT r.rolname, m.rolname, bool_or(a.admin_option)
FROM pg_catalog.pg_auth_members a JOIN pg_catalog.pg_roles r ON r.oid = a.roleid JOIN pg_catalog.pg_roles m ON m.oid = a.member
WHERE m.rolname !~ '^pg_' AND a.grantor <> a.member GROUP BY 1, 2 ORDER BY 1, 2`;

export async function describeAllSchemas(runner: SqlRunner): Promise<string[]> {
  return (await describeSchemas(runner)).flatMap(createSchemaSql);
}

export function createSchemaSql(schema: SchemaShape): string[] {
  const name = quoteIdentifier(schema.name);
  return [
    `CREATE SCHEMA IF NOT EXISTS ${name}`,
    `ALTER SCHEMA ${name} OWNER TO ${quoteIdentifier(schema.owner)}`,
    ...schema.usage.map((role) => `GRANT USAGE ON SCHEMA ${name} TO ${granteeSql(role)}`),
    ...schema.create.map((role) => `GRANT CREATE ON SCHEMA ${name} TO ${granteeSql(role)}`),
  ];
}

export async function describeExtensions(
  runner: SqlRunner,
): Promise<{ readonly name: string; readonly sql: string }[]> {
  const { rows } = await runner.query(`SELECT e.extname, n.nspname FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql' AND n.nspname !~ '^pgherd(_|$)' ORDER BY e.oid`);
  return rows.map(([name, schema]) => ({
    name: name!,
    sql: `CREATE EXTENSION IF NOT EXISTS ${quoteIdentifier(name!)} WITH SCHEMA ${quoteIdentifier(schema!)}`,
  }));
}

export interface SharedObject {
  /** For messages: `function public.f(integer)`. */
  readonly label: string;
  readonly sql: string;
}

/** Types and functions, in the order in which they were made: each as SQL that makes it. */
export async function describeObjects(runner: SqlRunner): Promise<SharedObject[]> {
  return withPinnedSettings(runner, async () => {
    const { rows } = await runner.query(objectsSql);
    return rows.map(([label, sql]) => ({ label: label!, sql: sql! }));
  });
}

/** An object of a user: not the system's, not pgherd's, not an extension's. */
const isUserObject = (oid: string, namespace: string, catalog: string) => `n.oid = ${namespace}
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname !~ '^(pg_temp_|pgherd(_|$))'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '${catalog}'::regclass AND d.objid = ${oid} AND d.deptype = 'e')`;

const objectsSql = `
SELECT label, sql FROM (
  SELECT t.oid, 'type ' || format_type(t.oid, NULL) AS label, CASE t.typtype
    WHEN 'e' THEN format('CREATE TYPE %I.%I AS ENUM (%s)', n.nspname, t.typname,
      (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid))
    WHEN 'd' THEN concat(format('CREATE DOMAIN %I.%I AS %s', n.nspname, t.typname, format_type(t.typbasetype, t.typtypmod)),
      (SELECT format(' COLLATE %I.%I', ln.nspname, l.collname) FROM pg_collation l JOIN pg_namespace ln ON ln.oid = l.collnamespace
        JOIN pg_type b ON b.oid = t.typbasetype WHERE l.oid = t.typcollation AND l.oid <> b.typcollation),
      ' DEFAULT ' || t.typdefault, CASE WHEN t.typnotnull THEN ' NOT NULL' END,
      (SELECT string_agg(format(' CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)), '' ORDER BY k.conname)
        FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'))
    WHEN 'c' THEN format('CREATE TYPE %I.%I AS (%s)', n.nspname, t.typname,
      (SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
        FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped))
    WHEN 'r' THEN (SELECT format('CREATE TYPE %I.%I AS RANGE (SUBTYPE = %s, MULTIRANGE_TYPE_NAME = %s)', n.nspname, t.typname,
        format_type(r.rngsubtype, NULL), format_type(r.rngmultitypid, NULL)) FROM pg_range r WHERE r.rngtypid = t.oid) END AS sql
  FROM pg_type t JOIN pg_namespace n ON ${isUserObject('t.oid', 't.typnamespace', 'pg_type')}
  WHERE t.typtype IN ('e', 'd', 'r') OR t.typtype = 'c' AND EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c')
  UNION ALL
  SELECT p.oid, 'function ' || p.oid::regprocedure, concat_ws('; ', rtrim(pg_get_functiondef(p.oid), E'\\n'),
    format('ALTER %s %s OWNER TO %I', CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, p.oid::regprocedure, pg_get_userbyid(p.proowner)),
    (SELECT string_agg(format('%s ON %s %s %s %s', g.verb, CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, p.oid::regprocedure,
        g.word, g.role), '; ')
      FROM (SELECT 'REVOKE ALL' AS verb, 'FROM' AS word, 'PUBLIC' AS role WHERE p.proacl IS NOT NULL
        UNION ALL SELECT 'GRANT EXECUTE', 'TO', CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END
          FROM aclexplode(p.proacl) x) g),
    ${/* Not inlined past the guard of the parents: see setOnNodesSql(). */ ''}
    CASE WHEN p.proretset AND p.proconfig IS NULL AND p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'sql')
      THEN format('ALTER FUNCTION %s SET pgherd.node_function TO ''on''', p.oid::regprocedure) END)
  FROM pg_proc p JOIN pg_namespace n ON ${isUserObject('p.oid', 'p.pronamespace', 'pg_proc')}
  WHERE p.prokind IN ('f', 'p', 'w')
) o ORDER BY o.oid`;

/**
 * SQL functions that return sets can be inlined, and then their reads look like the statement's own to the node guard. A SET
 * clause keeps them functions. Gives the ALTER statements for those of a name, as a node has them.
 */
export const inlinableFunctionsSql = `SELECT format('ALTER FUNCTION %s SET pgherd.node_function TO ''on''', p.oid::regprocedure)
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang AND l.lanname = 'sql'
WHERE p.proname = $1 AND p.proretset AND p.proconfig IS NULL AND p.prokind = 'f'
  AND p.pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)`;
