import type { SqlRunner } from '../core/runner.ts';

/** Of a schema, what nodes must know. */
export interface SchemaShape {
  readonly name: string;
  readonly owner: string;
  /** Roles with USAGE; null: PUBLIC. */
  readonly usage: readonly (string | null)[];
  readonly create: readonly (string | null)[];
  readonly comment: string | null;
}

/** The schemas of these names, or all that users made and `public`. */
export async function describeSchemas(runner: SqlRunner, names?: readonly string[]): Promise<SchemaShape[]> {
  const { rows } = await runner.query(describeSql, [JSON.stringify(names ?? null)]);
  return rows.map(([shape]) => JSON.parse(shape!) as SchemaShape);
}

const rolesSql = (
  privilege: string,
) => `(SELECT coalesce(json_agg(CASE WHEN g.grantee <> 0 THEN pg_catalog.pg_get_userbyid(g.grantee) END), '[]')
  FROM pg_catalog.aclexplode(coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) g
  WHERE g.privilege_type = '${privilege}' AND g.grantee <> n.nspowner)`;

const describeSql = `SELECT json_build_object('name', n.nspname, 'owner', pg_catalog.pg_get_userbyid(n.nspowner),
  'usage', ${rolesSql('USAGE')}, 'create', ${rolesSql('CREATE')}, 'comment', obj_description(n.oid, 'pg_namespace'))
FROM pg_catalog.pg_namespace n
WHERE CASE WHEN $1 = 'null' THEN n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pgherd(_|$)'
  ELSE n.nspname IN (SELECT json_array_elements_text($1::json)) END
ORDER BY n.oid`;
