import { pgError, unsupported } from '../core/errors.ts';
import type { ViewUse } from '../plan/plan.ts';
import type { SessionState } from './session-state.ts';

/**
 * PostgreSQL reads a view's tables as the view's owner (unless security_invoker is set), under the owner's row security. The
 * expanded view is read as the session's own role. So it must be a role that sees exactly the same; otherwise the statement
 * is refused.
 */
export async function checkViewAccess(session: SessionState, uses: readonly ViewUse[]): Promise<void> {
  const connection = await session.coordinator();
  const { rows: facts } = await connection.query(viewsSql, [arrayOf(uses.map((use) => use.view))]);
  const current = facts[0]?.[3] ?? '';
  const ownerOf = new Map(facts.map(([oid, owner, invoker]) => [Number(oid), invoker === 't' ? null : owner!]));
  /** As whom the views' own relations are read: the nearest view with an owner's rights decides. */
  const reader = (views: readonly number[]) => views.map((view) => ownerOf.get(view)).find((owner) => owner) ?? current;
  const accesses = uses.flatMap(({ view, within, tables, privileges = ['SELECT'] }) =>
    privileges.flatMap((privilege) => [
      { role: reader(within), relation: view, privilege },
      ...tables.map((relation) => ({ role: reader([view, ...within]), relation, privilege })),
    ]),
  );
  const { rows } = await connection.query(accessSql, [JSON.stringify(accesses)]);
  for (const [name, kind, granted, partly] of rows) {
    if (granted === 'f' && partly === 'f') {
      throw pgError('insufficientPrivilege', `permission denied for ${kind} ${name}`);
    }
  }
  for (const [name, kind, granted, , own, alike] of rows) {
    if (kind === 'view' && granted === 'f') throw unsupported('PH038', `view "${name}", of which columns are granted,`);
    if (kind === 'table' && (own === 'f' || alike === 'f')) {
      throw unsupported('PH038', `a view that reads distributed table "${name}" with the rights of its owner`);
    }
  }
}

function arrayOf(oids: readonly number[]): string {
  return `{${oids.join(',')}}`;
}

const viewsSql = `SELECT c.oid, pg_catalog.pg_get_userbyid(c.relowner), EXISTS (
    SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) o WHERE o.option_name = 'security_invoker' AND o.option_value::boolean),
  current_user
FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1::oid[])`;

/** Whether row security leaves a role alone. */
const exempt = (
  role: string,
) => `EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = ${role} AND (r.rolsuper OR r.rolbypassrls
    OR (NOT c.relforcerowsecurity AND pg_catalog.pg_has_role(${role}, c.relowner, 'USAGE'))))`;

const accessSql = `SELECT c.relname, CASE c.relkind WHEN 'v' THEN 'view' ELSE 'table' END,
  pg_catalog.has_table_privilege(x.role, c.oid, x.privilege),
  CASE WHEN x.privilege = 'DELETE' THEN false ELSE pg_catalog.has_any_column_privilege(x.role, c.oid, x.privilege) END,
  x.role = current_user OR pg_catalog.has_table_privilege(c.oid, x.privilege),
  x.role = current_user OR NOT c.relrowsecurity OR (${exempt('x.role')} AND ${exempt('current_user')})
FROM pg_catalog.json_to_recordset($1::json) AS x(role name, relation oid, privilege text) JOIN pg_catalog.pg_class c ON c.oid = x.relation`;
