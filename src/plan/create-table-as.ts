import type { IntoClause, Node, SelectStmt } from '@pgsql/types';
import { PgError } from '../core/errors.ts';
import { conditions } from '../core/sqlstate.ts';
import { deparseChecked } from '../sql/deparse.ts';
import type { PlanContext } from './context.ts';
import type { Model } from './model.ts';
import type { Plan } from './plan.ts';
import { planStaged } from './stage/plan-staged.ts';
import { queryRows } from './utility-query.ts';

/** A table that a statement makes of a query's rows. */
export interface CreatedTable {
  readonly query: SelectStmt;
  readonly into: IntoClause;
  /** IF NOT EXISTS: there may be one already. */
  readonly mayExist: boolean;
}

/** CREATE TABLE AS, and SELECT INTO; null: something else, or a query of another form. */
export function createdTable(node: Node): CreatedTable | null {
  if ('SelectStmt' in node) {
    const { intoClause: into, ...query } = node.SelectStmt;
    return into ? { query, into, mayExist: false } : null;
  }
  if (!('CreateTableAsStmt' in node)) return null;
  const { query, into, objtype, if_not_exists: mayExist = false } = node.CreateTableAsStmt;
  if (objtype !== 'OBJECT_TABLE' || !into || !query || !('SelectStmt' in query)) return null;
  return { query: query.SelectStmt, into, mayExist };
}

/**
 * The nodes answer most of the query; what they give goes into the table. PostgreSQL itself makes it, empty, of the query over the shell
 * tables, so that its columns are as they should be, type modifiers, domains and collations included. Null: it takes a gather.
 */
export function planCreateTableAs(
  { query, into, mayExist }: CreatedTable,
  model: Model,
  context: PlanContext,
): Plan | null {
  const { rel } = into;
  if (mayExist || into.skipData || !rel?.relname || context.force === 'gather') return null;
  const plan = planStaged({ SelectStmt: query }, model, context);
  if (!('rung' in plan) || plan.beside?.readsCoordinator) return null;
  const create = emptyTable(query, into);
  const filled = queryRows(plan, { SelectStmt: query }, context);
  if (create === null || filled === null) return null;
  const schema = rel.relpersistence === 't' ? 'pg_temp' : (rel.schemaname ?? null);
  const { rows, motions } = filled;
  return {
    ...plan,
    motions,
    final: { kind: 'fill table', create, schema, name: rel.relname, rows },
    returnsRows: false,
  };
}

/** Null: it can't be written, or its parameters would have to come along. */
function emptyTable(query: SelectStmt, into: IntoClause): string | null {
  if (JSON.stringify(query).includes('"ParamRef"')) return null;
  const fields = { query: { SelectStmt: query }, into: { ...into, skipData: true }, objtype: 'OBJECT_TABLE' };
  try {
    return deparseChecked({ CreateTableAsStmt: fields } as Node);
  } catch (error) {
    if (error instanceof PgError && error.code === conditions.featureNotSupported) return null;
    throw error;
  }
}
