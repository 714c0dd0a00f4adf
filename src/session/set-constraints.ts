import type { ConstraintsSetStmt, Node } from '@pgsql/types';
import type { ExecutionContext } from '../execute/context.ts';
import { quoteIdentifier, quoteLiteral } from '../sql/quote.ts';
import type { SessionState } from './session-state.ts';
import type { ParsedStatement } from './statement-cache.ts';

/** SET CONSTRAINTS, which the coordinator has taken: for the foreign keys that the router keeps, and for those that the nodes keep. */
export async function setConstraints(
  session: SessionState,
  statement: ParsedStatement,
  context: ExecutionContext,
): Promise<void> {
  const { constraints = [], deferred = false } = (statement.node as { ConstraintsSetStmt: ConstraintsSetStmt })
    .ConstraintsSetStmt;
  const names = constraints.flatMap((node) => ('RangeVar' in node ? [node.RangeVar.relname ?? ''] : []));
  if (!session.transaction.inBlock) return;
  await session.transaction.setLocally(
    'constraint',
    names.length === 0 ? statement.text : constraints.map((node) => whereItIs(node, deferred)).join('; '),
  );
  await session.keys.setConstraints(names.length === 0 ? null : names, deferred, context);
}

/** A node has neither the constraints of local tables nor those that the router keeps. */
function whereItIs(node: Node, deferred: boolean): string {
  const { schemaname, relname = '' } = 'RangeVar' in node ? node.RangeVar : {};
  const schemas = schemaname === undefined ? 'current_schemas(true)' : `ARRAY[${quoteLiteral(schemaname)}]`;
  const name = `${schemaname === undefined ? '' : `${quoteIdentifier(schemaname)}.`}${quoteIdentifier(relname)}`;
  const body = `BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace
      WHERE c.condeferrable AND c.conname = ${quoteLiteral(relname)} AND n.nspname = ANY (${schemas}))
    THEN SET CONSTRAINTS ${name} ${deferred ? 'DEFERRED' : 'IMMEDIATE'}; END IF;
  END`;
  return `DO ${quoteLiteral(body)}`;
}
